//! One reading of all events: does each prove itself, and whose is it?
//!
//! Owns the proof of the events as a whole: checksums, numbers without gaps, batches without gaps. What stays in memory
//! is an outline: the conversations' ids, and of each event its number, in two or three bytes.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::columns::{corrupt, number_at};
use super::connection::{Connection, Row, all, first};
use super::events::{each_from, with_event};
use crate::codec::bytes::to_u64;
use crate::codec::payload::{ChangeView, EventView};
use crate::error::{ErrorKind, Result};
use crate::model::Seq;

/// How many bytes of events are folded at once, if they are of more than one conversation.
const AT_ONCE: u64 = 1 << 20;

/// How many conversations are folded at once.
const MOST: usize = 256;

/// Rising numbers, each as its distance from the one before, in groups of seven bits.
#[derive(Debug, Default)]
struct Numbers {
    bytes: Vec<u8>,
    last: Seq,
}

/// What the events are about, but for what they say.
#[derive(Debug, Default)]
pub(super) struct Outline {
    conversations: HashMap<String, usize>,
    lives: Vec<Life>,
    /// The number behind the last event.
    pub(super) next_seq: Seq,
    /// How many events prove themselves.
    pub(super) events: u64,
    /// How many bytes they have.
    pub(super) bytes: u64,
    /// What is wrong with the events, each with its number.
    pub(super) damage: Vec<Damage>,
    /// The events that have a mark of a transaction which is none. Nothing is lost by that.
    pub(super) marks: Vec<Seq>,
    batch: Option<Batch>,
}

/// Events that are not there, or not as they were written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Damage {
    pub(super) first: Seq,
    pub(super) last: Seq,
    pub(super) reason: String,
}

/// The events of an id, over all conversations that had it one after the other.
#[derive(Debug, Default)]
struct Life {
    events: Numbers,
    bytes: u64,
    /// The number of the conversation that there is.
    number: Option<Seq>,
    /// Whether the last one was removed.
    is_removed: bool,
}

/// The first and the last number of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Batch {
    first: Seq,
    last: Seq,
}

impl Numbers {
    fn push(&mut self, number: Seq) {
        let mut rest = number - self.last;
        self.last = number;
        while rest > 127 {
            self.bytes.push(u8::try_from(rest & 127).unwrap_or_default() | 128);
            rest >>= 7;
        }
        self.bytes.push(u8::try_from(rest).unwrap_or_default());
    }

    fn each(&self) -> impl Iterator<Item = Seq> + '_ {
        let (mut number, mut distance, mut shift) = (0, 0, 0_u32);
        self.bytes.iter().filter_map(move |byte| {
            distance |= Seq::from(byte & 127) << shift;
            if byte & 128 != 0 {
                shift += 7;
                return None;
            }
            number += std::mem::take(&mut distance);
            shift = 0;
            Some(number)
        })
    }
}

impl Outline {
    /// An outline of no events.
    pub(super) fn empty() -> Self {
        Self { next_seq: 1, ..Self::default() }
    }

    /// Reads all events.
    pub(super) fn read(connection: &mut dyn Connection) -> Result<Self> {
        let mut outline = Self::empty();
        let below = first(connection, "SELECT COUNT(*) FROM aral_events WHERE seq < 1", &[], |row| {
            number_at(row, 0)
        })?;
        if let Some(count @ 1..) = below {
            outline.damaged(0, 0, format!("{count} events have numbers below 1"));
        }
        each_from(connection, 1, &mut |row| {
            outline.row(row)?;
            Ok(ControlFlow::Continue(()))
        })?;
        outline.ends();
        outline.marks(connection)?;
        Ok(outline)
    }

    /// Takes a row of [`EVENT`](super::events::EVENT) in, which follows on those before it.
    pub(super) fn row(&mut self, row: &dyn Row) -> Result<()> {
        let seq = number_at(row, 0)?;
        if seq > self.next_seq {
            let (first, last) = (self.next_seq, seq - 1);
            self.damaged(first, last, missing(first, last));
        }
        self.next_seq = seq + 1;
        let length = to_u64(row.bytes(5).map_or(0, <[u8]>::len));
        let read = with_event(row, |numbers, view| {
            self.borders(seq, Batch { first: numbers.first_seq, last: numbers.last_seq });
            self.event(seq, length, view)
        });
        match read {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.damaged(seq, seq, error.message().to_owned());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn damaged(&mut self, first: Seq, last: Seq, reason: String) {
        self.damage.push(Damage { first, last, reason });
        // Where the batch of the next one began is unknown.
        self.batch = None;
    }

    /// Holds a batch together, as far as the events before it are known.
    fn borders(&mut self, seq: Seq, batch: Batch) {
        let is_behind = self.batch.is_none_or(|before| before.last < seq);
        let is_known = self.batch.is_some() || seq == 1;
        let is_right = (batch.first..=batch.last).contains(&seq)
            && (!is_known || if is_behind { batch.first == seq } else { self.batch == Some(batch) });
        if !is_right {
            let reason = format!(
                "event {seq}: its batch, events {} to {}, does not follow on the one before",
                batch.first, batch.last
            );
            self.damaged(seq, seq, reason);
        }
        self.batch = Some(batch);
    }

    /// Takes note of events that are missing behind the last one.
    pub(super) fn ends_before(&mut self, next_seq: Seq) {
        if self.next_seq < next_seq {
            let (first, last) = (self.next_seq, next_seq - 1);
            self.damaged(first, last, missing(first, last));
            self.next_seq = next_seq;
        }
    }

    /// Whether the last batch is whole.
    pub(super) fn ends(&mut self) {
        if let Some(Batch { last, .. }) = self.batch
            && last >= self.next_seq
        {
            let first = self.next_seq;
            self.damaged(first, last, missing(first, last));
        }
    }

    /// Looks at the marks of transactions, which no checksum covers: each has its length, and stands at the beginning of a batch.
    fn marks(&mut self, connection: &mut dyn Connection) -> Result<()> {
        let sql = "SELECT seq FROM aral_events WHERE seq > 0 AND group_id IS NOT NULL \
                   AND (LENGTH(group_id) <> 16 OR seq <> first_seq) ORDER BY seq";
        self.marks = all(connection, sql, &[], |row| number_at(row, 0))?;
        Ok(())
    }

    fn event(&mut self, seq: Seq, length: u64, view: &EventView<'_>) -> Result<()> {
        let bad = |reason: String| corrupt(format!("event {seq}: {reason}"));
        let id = view.conversation.to_id().map_err(|damage| bad(damage.0))?;
        self.bytes += length;
        self.events += 1;
        if id.is_empty() {
            // What stands in the place of an event that was erased.
            let is_nothing = matches!(view.change, ChangeView::Clear) && view.key.is_none();
            return if is_nothing { Ok(()) } else { Err(bad("it is of no conversation".to_owned())) };
        }
        let at = *self.conversations.entry(id).or_insert_with(|| {
            self.lives.push(Life::default());
            self.lives.len() - 1
        });
        let Some(life) = self.lives.get_mut(at) else { return Ok(()) };
        life.events.push(seq);
        life.bytes += length;
        if life.number.is_none() && begins(&view.change) {
            (life.number, life.is_removed) = (Some(seq), false);
        }
        if let ChangeView::Remove | ChangeView::RemoveAt(_) | ChangeView::RemoveFor { .. } = view.change {
            (life.number, life.is_removed) = (None, true);
        }
        Ok(())
    }

    /// The ids that events prove, in order, each with the number of the conversation that there is.
    pub(super) fn ids(&self) -> Vec<(&str, Option<Seq>)> {
        let number = |at: &usize| self.lives.get(*at).and_then(|life| life.number);
        let mut ids: Vec<_> = self.conversations.iter().map(|(id, at)| (&**id, number(at))).collect();
        ids.sort_unstable();
        ids
    }

    /// The numbers of the events of an id, rising.
    pub(super) fn events_of(&self, id: &str) -> Vec<Seq> {
        let life = self.conversations.get(id).and_then(|at| self.lives.get(*at));
        life.map(|life| life.events.each().collect()).unwrap_or_default()
    }

    /// The numbers of the conversations that there are, rising.
    pub(super) fn live(&self) -> Vec<Seq> {
        let mut numbers: Vec<Seq> = self.lives.iter().filter_map(|life| life.number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Whether the last conversation of an id was removed, and none has begun since.
    pub(super) fn is_removed(&self, id: &[u8]) -> bool {
        let at = std::str::from_utf8(id).ok().and_then(|id| self.conversations.get(id));
        at.and_then(|at| self.lives.get(*at)).is_some_and(|life| life.is_removed)
    }

    /// The numbers of the events of some conversations at a time, rising: of few bytes, or of one conversation.
    pub(super) fn parts(&self) -> impl Iterator<Item = Vec<Seq>> + '_ {
        let mut lives = self.lives.iter().peekable();
        std::iter::from_fn(move || {
            let first = lives.next()?;
            let (mut bytes, mut seqs) = (first.bytes, first.events.each().collect::<Vec<_>>());
            for _ in 1..MOST {
                let Some(next) = lives.next_if(|next| bytes + next.bytes <= AT_ONCE) else { break };
                bytes += next.bytes;
                seqs.extend(next.events.each());
            }
            seqs.sort_unstable();
            Some(seqs)
        })
    }
}

fn missing(first: Seq, last: Seq) -> String {
    if first == last {
        format!("event {first} is missing")
    } else {
        format!("events {first} to {last} are missing")
    }
}

/// Whether a conversation begins with this if there is none.
fn begins(change: &ChangeView<'_>) -> bool {
    matches!(
        change,
        ChangeView::Create { .. }
            | ChangeView::Reset { .. }
            | ChangeView::AddMessage(_)
            | ChangeView::AddAction(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rising_numbers_take_few_bytes_and_come_back() {
        let numbers = [1, 2, 3, 130, 131, 1 << 20, (1 << 20) + 127, (1 << 20) + 255, (1 << 62) - 1];
        let mut kept = Numbers::default();
        for number in numbers {
            kept.push(number);
        }
        assert_eq!(kept.each().collect::<Vec<_>>(), numbers);
        assert!(kept.bytes.len() < 30, "{} bytes", kept.bytes.len());
    }
}
