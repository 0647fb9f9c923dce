//! Writing: batches of several callers as one object.
//!
//! Owns the competition for the next place in the log: judge on what is known, make the object, and begin again if another has the
//! place. Nobody hears anything before the object is there; a refusal is told only when it was judged on all that was there
//! when the call began.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use super::group::{self, Around, Payload, is_emptied};
use super::names;
use super::reads::Reads;
use super::state::State;
use super::tries::{self, Made};
use crate::clock::now_micros;
use crate::codec::frame::MAX_PAYLOAD;
use crate::codec::ids::IdView;
use crate::codec::payload::{FIRST_SCHEMA, KeyView, MAX_FRAME_EVENTS, encode_parts};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Action, Change, Message, Seq, Version};
use crate::rules::{
    Folded, KeyRecord, Lookups, Pending, Refusal, Request, Resolved, SeenReply, Step, Validation, last_with,
    only_appends_text,
};

/// What came of a batch.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// It was carried out before.
    Before(Vec<KeyRecord>),
    /// It was carried out now; each of its events left its conversation with a version.
    Now { first_seq: Seq, versions: SmallVec<[Version; 1]> },
}

/// How many bytes one object has at most, if they are of more than one batch.
const MOST_BYTES: usize = 8 << 20;

/// How often a place is lost to another in a row before somebody else's turn is given up.
const MOST_LOSSES: u32 = 10_000;

/// What a round makes of the batches.
struct Round {
    /// What is decided, by the numbers of the batches; the others wait for the next round.
    outcomes: Vec<Option<Result<Outcome>>>,
    around: Around,
    payloads: Vec<Payload>,
    /// Somebody hears of what is there already, or is refused for it, which may be out of date.
    refuses: bool,
}

/// What writes.
#[derive(Debug)]
pub(super) struct Committer {
    pub(super) reads: Arc<Reads>,
}

impl Committer {
    /// Carries batches out, each by itself, in as few objects as possible.
    pub(super) fn carry_out(&self, batches: &[&[Request]]) -> Vec<Result<Outcome>> {
        let mut decided: Vec<Option<Result<Outcome>>> = batches.iter().map(|_| None).collect();
        let (mut is_fresh, mut losses) = (false, 0);
        while decided.iter().any(Option::is_none) {
            match self.round(batches, &mut decided, is_fresh) {
                Ok(Ended::Done) => {}
                Ok(Ended::Failed) => is_fresh = false,
                Ok(Ended::OutOfDate) => {
                    losses += 1;
                    let advanced =
                        if losses < MOST_LOSSES { self.reads.journal.advance() } else { Err(self.overrun()) };
                    is_fresh = true;
                    if let Err(error) = advanced {
                        fail(&mut decided, &error);
                    }
                }
                Err(error) => fail(&mut decided, &error),
            }
        }
        let none = || Err(Error::new(ErrorKind::Failed, "a batch was carried out without an outcome"));
        decided.into_iter().map(|outcome| outcome.unwrap_or_else(none)).collect()
    }

    fn overrun(&self) -> Error {
        let reason =
            format!("others were faster {MOST_LOSSES} times in a row; nothing was written, try again");
        Error::new(ErrorKind::Locked, reason).at(self.reads.journal.objects.place(), None)
    }

    /// Carries out what can be carried out with one object.
    fn round(
        &self,
        batches: &[&[Request]],
        decided: &mut [Option<Result<Outcome>>],
        is_fresh: bool,
    ) -> Result<Ended> {
        let journal = &self.reads.journal;
        let waiting: Vec<&[Request]> = batches
            .iter()
            .zip(&*decided)
            .filter(|(_, outcome)| outcome.is_none())
            .map(|(batch, _)| *batch)
            .collect();
        let found = self.look_up(&waiting)?;
        let round = judge(&journal.state(), &waiting, &found);
        let place = round.place();
        if round.refuses && !is_fresh {
            return Ok(Ended::OutOfDate);
        }
        if round.outcomes.iter().all(Option::is_none) {
            // What was looked up is out of date: others have changed it.
            return Ok(Ended::OutOfDate);
        }
        if !round.payloads.is_empty() {
            let made = group::encode(&round.around, &round.payloads);
            let is_mine = |there: &[u8]| there == made.bytes || is_emptied(there) && there == made.origin;
            let name = names::segment(place.0, place.1);
            match tries::create(&*journal.objects, &name, &made.bytes, &is_mine) {
                Ok(Made::Mine) => journal.take(place, &made.bytes, None)?,
                Ok(Made::Theirs(_)) => return Ok(Ended::OutOfDate),
                Err(error) => {
                    settle(decided, round.outcomes, Some(&error));
                    return Ok(Ended::Failed);
                }
            }
        }
        settle(decided, round.outcomes, None);
        Ok(Ended::Done)
    }

    /// Reads what the batches look for by id.
    fn look_up(&self, batches: &[&[Request]]) -> Result<Found> {
        let mut found = Found::default();
        let of_batches = batches.iter().flat_map(|batch| batch.iter().map(move |request| (*batch, request)));
        for (batch, request) in of_batches.filter(|(_, request)| request.looks()) {
            let id = &request.conversation_id;
            match self.reads.folded(id) {
                Ok(folded) => {
                    let lookup = found.lookups.entry(id.clone()).or_default();
                    if let Some(folded) = folded {
                        lookup.last_seq = folded.last_seq;
                        look_for(&folded, (batch, request), lookup);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    drop(found.unreadable.insert(id.clone(), error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

/// What was looked up.
#[derive(Default)]
struct Found {
    lookups: Lookups,
    /// Conversations that cannot be read, and why: batches that look into them are refused, and no others.
    unreadable: HashMap<String, Error>,
}

impl Found {
    /// Why a batch cannot be judged.
    fn hinders(&self, batch: &[Request]) -> Option<&Error> {
        batch
            .iter()
            .filter(|request| request.looks())
            .find_map(|request| self.unreadable.get(&request.conversation_id))
    }
}

/// How a round ended.
enum Ended {
    Done,
    /// Others were faster, or may have been.
    OutOfDate,
    /// The object could not be made, or nobody knows.
    Failed,
}

fn fail(decided: &mut [Option<Result<Outcome>>], error: &Error) {
    for outcome in decided.iter_mut().filter(|outcome| outcome.is_none()) {
        *outcome = Some(Err(error.clone()));
    }
}

/// Hands a round's outcomes to those who waited. If the object could not be made, those who would have got a receipt get the
/// error, and those who were refused, perhaps for what did not happen, are judged again.
fn settle(
    decided: &mut [Option<Result<Outcome>>],
    outcomes: Vec<Option<Result<Outcome>>>,
    error: Option<&Error>,
) {
    let waiting = decided.iter_mut().filter(|outcome| outcome.is_none());
    for (slot, outcome) in waiting.zip(outcomes) {
        *slot = match (outcome, error) {
            (Some(Ok(Outcome::Now { .. })), Some(error)) => Some(Err(error.clone())),
            (Some(Err(_)), Some(_)) => None,
            (outcome, _) => outcome,
        };
    }
}

fn look_for(folded: &Folded, (batch, request): (&[Request], &Request), lookup: &mut crate::rules::Lookup) {
    let conversation = &folded.conversation;
    match &request.step {
        Step::AppendText { message_id: id, .. } if only_appends_text(batch, &request.conversation_id) => {
            if let Some((at, message)) = last_with(&conversation.messages, id) {
                lookup.replies.insert(id.clone(), SeenReply::of(at, message));
            }
        }
        Step::EditMessage(id, _)
        | Step::FinishMessage(id, _)
        | Step::AppendText { message_id: id, .. }
        | Step::RemoveMessage(id)
        | Step::Ready(Change::AddMessage(Message { id, .. })) => {
            let found = (0..).zip(&conversation.messages).filter(|(_, message)| message.id == *id);
            lookup.messages.insert(id.clone(), found.map(|(at, message)| (at, message.clone())).collect());
        }
        Step::EditAction(id, _)
        | Step::RemoveAction(id)
        | Step::Ready(Change::AddAction(Action { id, .. })) => {
            let found = (0..).zip(&conversation.actions).filter(|(_, action)| action.id == *id);
            lookup.actions.insert(id.clone(), found.map(|(at, action)| (at, action.clone())).collect());
        }
        Step::Ready(_) => {}
    }
}

impl Round {
    fn place(&self) -> (u64, Seq) {
        (self.around.number, self.around.first_seq)
    }
}

/// Judges batches one after the other, each on what those before it leave.
fn judge(state: &State, batches: &[&[Request]], found: &Found) -> Round {
    let (mut pending, mut next_seq, mut bytes) = (Pending::default(), state.next_seq, 0_usize);
    let mut round =
        Round { outcomes: Vec::new(), around: around(state), payloads: Vec::new(), refuses: false };
    for batch in batches {
        if !round.payloads.is_empty() && bytes > MOST_BYTES {
            round.outcomes.push(None);
            continue;
        }
        if let Some(error) = found.hinders(batch) {
            round.refuses = true;
            round.outcomes.push(Some(Err(error.clone())));
            continue;
        }
        let mut validation = Validation::new(state, &pending, &found.lookups, next_seq);
        let outcome = match validation.resolve(batch) {
            Ok(resolved) => match encode(batch, &resolved) {
                Ok(payload) => {
                    let versions = resolved.iter().map(|resolved| resolved.version).collect();
                    let accepted = validation.into_accepted();
                    pending.add(accepted);
                    bytes = bytes.saturating_add(payload.bytes.len());
                    let first_seq = next_seq;
                    next_seq += u64::from(payload.events);
                    round.payloads.push(payload);
                    Some(Ok(Outcome::Now { first_seq, versions }))
                }
                Err(error) => Some(Err(error)),
            },
            Err(Refusal::Known(known)) => {
                round.refuses = true;
                Some(Ok(Outcome::Before(known)))
            }
            Err(Refusal::Impossible(error)) => {
                round.refuses = true;
                Some(Err(error))
            }
            Err(Refusal::Stale) => None,
        };
        round.outcomes.push(outcome);
    }
    round
}

/// What an object says of the store that is about to get the next place.
pub(super) fn around(state: &State) -> Around {
    let (number, first_seq) = state.next_place();
    Around {
        store_id: state.store_id(),
        number,
        previous: state.end.unwrap_or_default(),
        first_seq,
        writer_epoch: state.writer_epoch.max(1),
        created_unix_micros: now_micros(),
    }
}

/// The events of a batch in the log's encoding.
fn encode(batch: &[Request], resolved: &[Resolved<'_>]) -> Result<Payload> {
    let over = || Error::invalid(format!("the batch is over the limit of {MAX_PAYLOAD} bytes"));
    let (mut bytes, mut schema) = (Vec::new(), FIRST_SCHEMA);
    for (request, resolved) in batch.iter().zip(resolved) {
        let key = request.key.as_deref().map(|text| KeyView { text, fingerprint: request.fingerprint });
        let id = IdView::of(request.conversation_id.as_bytes());
        encode_parts(id, &resolved.change, resolved.at, key, &mut bytes).ok_or_else(over)?;
        schema = schema.max(resolved.schema);
        if bytes.len() > MAX_PAYLOAD {
            return Err(over());
        }
    }
    let events = u32::try_from(batch.len()).ok().filter(|events| *events <= MAX_FRAME_EVENTS);
    let events = events.ok_or_else(|| Error::invalid("the batch has too many mutations"))?;
    Ok(Payload { bytes, schema, events })
}
