//! What many threads did to one store and were told, and whether one order of it all explains it.
//!
//! Owns the recording, with a counter for a clock, and the judgement. Receipts give the order of what was
//! carried out: replayed in it, the oracle must give every receipt. Each other answer must be the oracle's in
//! some state that was possible at a moment of the call: none older than what had been acknowledged or seen
//! before the call began, none newer than what had been asked for before it ended. Earliest states first, so
//! that a state is chosen for each if there is any choice at all.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use aral_store::{Conversation, ErrorKind, Message, Mutation, Operation, Order, Receipt, Summary};

use crate::support::check::Checked;
use crate::support::oracle::{Expected, Known, Oracle};

/// A call and its answer.
#[derive(Clone, Debug)]
pub(super) enum Did {
    Write(Vec<Mutation>, Result<Vec<Expected>, ErrorKind>),
    Conversation(String, Option<Conversation>),
    Summary(String, Option<Summary>),
    Last(String, usize, Result<Vec<Message>, ErrorKind>),
    List(Order, Vec<Summary>),
    LastSeq(u64),
    Close,
    /// Refused, because the store was closed.
    Closed,
}

/// Who asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
    /// Any thread, through the one store.
    Store,
    /// The viewer of this number, which was about to be opened at this time.
    Viewer(u64, u64),
}

/// A call with the times of its beginning and its end.
#[derive(Clone, Debug)]
struct Call {
    who: Who,
    begun: u64,
    ended: u64,
    did: Did,
}

/// What happened, in no particular order.
#[derive(Debug, Default)]
pub(super) struct History {
    clock: AtomicU64,
    calls: Mutex<Vec<Call>>,
}

pub(super) fn plain(receipt: &Receipt) -> Expected {
    Expected {
        seq: receipt.seq,
        conversation_id: receipt.conversation_id.clone(),
        id: receipt.id.clone(),
        version: receipt.version,
    }
}

/// The writes in their order, the states between them, and what reads have seen so far.
struct Serial<'h> {
    writes: Vec<&'h Call>,
    /// One more than there are writes.
    states: Vec<Oracle>,
    /// Of each answer that has been explained: who, when it ended, by which state.
    seen: Vec<(Who, u64, usize)>,
}

impl History {
    pub(super) fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Makes a call and keeps its answer; gives whether the store is still open.
    pub(super) fn call(&self, who: Who, call: impl FnOnce() -> Did) -> bool {
        let begun = self.now();
        let did = call();
        let ended = self.now();
        let is_open = !matches!(did, Did::Closed);
        self.calls.lock().unwrap().push(Call { who, begun, ended, did });
        is_open
    }

    /// Finds the one order, and gives the state at its end and the count of answers that it explains.
    pub(super) fn judge(&self) -> Checked<(Oracle, usize)> {
        let mut calls = self.calls.lock().unwrap().clone();
        calls.sort_by_key(|call| call.begun);
        closes_once(&calls)?;
        let (writes, others): (Vec<&Call>, Vec<&Call>) =
            calls.iter().partition(|call| is_first_use(&call.did));
        let mut order = Serial::of(writes)?;
        for call in others {
            order.explain(call)?;
        }
        Ok((order.states.pop().unwrap_or_default(), calls.len()))
    }
}

/// Nothing is refused as closed before the close began, and nothing else comes of what began after its end.
fn closes_once(calls: &[Call]) -> Checked {
    let Some(close) = calls.iter().find(|call| matches!(call.did, Did::Close)) else { return Ok(()) };
    for call in calls.iter().filter(|call| call.who == Who::Store) {
        let is_refused = matches!(call.did, Did::Closed);
        if (is_refused && call.ended < close.begun) || (!is_refused && call.begun > close.ended) {
            return Err(format!("a close at {}..{}, and {call:?}", close.begun, close.ended));
        }
    }
    Ok(())
}

/// Whether this is the call by which its events came to be. A retry with a key gets the receipt of another
/// call, with that one's id.
fn is_first_use(did: &Did) -> bool {
    let Did::Write(batch, Ok(receipts)) = did else { return false };
    batch.iter().zip(receipts).all(|(mutation, receipt)| {
        let Operation::AddMessage(new) = &mutation.operation else { return true };
        new.id.as_ref() == Some(&receipt.id)
    })
}

impl<'h> Serial<'h> {
    /// Replays what was carried out.
    fn of(mut writes: Vec<&'h Call>) -> Checked<Self> {
        writes.sort_by_key(|call| {
            let Did::Write(_, Ok(receipts)) = &call.did else { return 0 };
            receipts[0].seq
        });
        let mut states = vec![Oracle::default()];
        let mut latest_beginning = 0;
        for call in &writes {
            let Did::Write(batch, is) = &call.did else { continue };
            let mut next = states[states.len() - 1].clone();
            let ought = next.apply(0, batch);
            if *is != ought {
                return Err(format!("replayed in the order of receipts\n  is    {is:?}\n  ought {ought:?}"));
            }
            if call.ended < latest_beginning {
                return Err(format!("a later call has an earlier number than {call:?}"));
            }
            latest_beginning = latest_beginning.max(call.begun);
            states.push(next);
        }
        Ok(Self { writes, states, seen: Vec::new() })
    }

    /// Finds a state that explains an answer.
    fn explain(&mut self, call: &Call) -> Checked {
        if matches!(call.did, Did::Close | Did::Closed) {
            return Ok(());
        }
        // A viewer shows a state of its opening or a newer one, and sees what is written before the store
        // shows it; so what a viewer has seen binds viewers only.
        let since = if let Who::Viewer(_, opened) = call.who { opened } else { call.begun };
        let written = self.writes.iter().rposition(|write| write.ended < since).map_or(0, |at| at + 1);
        let binds = |(who, ended, _): &&(Who, u64, usize)| match (who, call.who) {
            (Who::Store, _) => *ended < since,
            (Who::Viewer(..), Who::Store) => false,
            (Who::Viewer(..), Who::Viewer(..)) => *ended < call.begun,
        };
        let seen = self.seen.iter().filter(binds).map(|(_, _, state)| *state).max().unwrap_or(0);
        let begun = self.writes.iter().take_while(|write| write.begun < call.ended).count();
        let mut possible = written.max(seen)..=begun;
        let Some(state) = possible.clone().find(|state| explains(&self.states[*state], &call.did)) else {
            let ought = possible.next().map(|state| self.states[state].last_seq);
            return Err(format!(
                "no state of {possible:?}, the first with event {ought:?}, explains {call:?}"
            ));
        };
        self.seen.push((call.who, call.ended, state));
        Ok(())
    }
}

fn explains(state: &Oracle, did: &Did) -> bool {
    let known = |id: &str| state.find(id);
    match did {
        Did::Write(batch, answer) => state.clone().apply(0, batch) == *answer,
        Did::Conversation(id, is) => known(id).map(|known| &known.conversation) == is.as_ref(),
        Did::Summary(id, is) => known(id).map(Known::summary) == *is,
        Did::Last(id, count, Ok(is)) => known(id).is_some_and(|known| {
            let all = &known.conversation.messages;
            all[all.len().saturating_sub(*count)..] == is[..]
        }),
        Did::Last(id, _, Err(kind)) => known(id).is_none() && *kind == ErrorKind::NotFound,
        Did::List(order, is) => state.list(*order) == *is,
        Did::LastSeq(is) => state.last_seq == *is,
        Did::Close | Did::Closed => true,
    }
}
