//! Conversations that a compaction could not write, and where in the log their events are kept.
//!
//! Owns the block at the end of the heap that says so. Only a checkpoint of major version 2 has one: software
//! that does not know of it would drop the segments that it names.

use super::{Checkpoint, CheckpointHead};
use crate::codec::bytes::{Fields, MAX_NUMBER, to_u64, to_usize};
use crate::codec::segment::{FORMAT_MAJOR, Previous};
use crate::model::Seq;

/// Where in the header the major version is.
const MAJOR_AT: usize = 8;
/// The major version of a checkpoint that has such a block.
const HELD_MAJOR: u16 = 2;
const CONVERSATION_LEN: usize = 32;
const SEGMENT_LEN: usize = 40;
/// Behind the rows: how many there are of each.
const FOOT_LEN: usize = 8;

/// A conversation whose file could not be read, so that it is not as `covered` says but as it was before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hold {
    /// Its place in the order.
    pub(crate) ordinal: usize,
    /// Its file has every event up to this one.
    pub(crate) after: Seq,
    /// The last of its events that are held; later ones are in the log as everybody's are.
    pub(crate) through: Seq,
    /// How many are held.
    pub(crate) events: u64,
}

/// A segment that is kept because such events are in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HeldSegment {
    /// The first event that is in it; also in the file's name.
    pub(crate) first_seq: Seq,
    /// Its number and its end, which its successor said: that one may be gone.
    pub(crate) end: Previous,
}

/// All that is held.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Held {
    /// By their places in the order.
    pub(crate) conversations: Vec<Hold>,
    /// By their numbers.
    pub(crate) segments: Vec<HeldSegment>,
}

impl Hold {
    /// Whether an event of the conversation is one of those that are held.
    pub(crate) fn has(&self, seq: Seq) -> bool {
        self.after < seq && seq <= self.through
    }
}

impl Held {
    pub(crate) fn is_empty(&self) -> bool {
        self.conversations.is_empty()
    }

    /// What is held of the conversation at a place in the order.
    pub(crate) fn of(&self, ordinal: usize) -> Option<&Hold> {
        let at = self.conversations.binary_search_by_key(&ordinal, |hold| hold.ordinal).ok()?;
        self.conversations.get(at)
    }

    /// Whether a segment is kept.
    fn keeps(&self, number: u64) -> bool {
        self.segments.binary_search_by_key(&number, |segment| segment.end.number).is_ok()
    }

    /// The lowest major version of a checkpoint that says all of this.
    pub(super) fn major_version(&self) -> u16 {
        if self.is_empty() { FORMAT_MAJOR } else { HELD_MAJOR }
    }

    /// Whether a checkpoint of a version can be read, and has such a block; `None` if it cannot be.
    pub(super) fn is_in(major: u16) -> Option<bool> {
        match major {
            FORMAT_MAJOR => Some(false),
            HELD_MAJOR => Some(true),
            _ => None,
        }
    }

    pub(super) fn write(&self, heap: &mut Vec<u8>) {
        if self.is_empty() {
            return;
        }
        for hold in &self.conversations {
            for field in [to_u64(hold.ordinal), hold.after, hold.through, hold.events] {
                heap.extend(field.to_le_bytes());
            }
        }
        for HeldSegment { first_seq, end } in &self.segments {
            for field in [end.number, *first_seq, end.valid_len, end.next_seq] {
                heap.extend(field.to_le_bytes());
            }
            heap.extend(end.rollup.to_le_bytes());
            heap.extend([0; 4]);
        }
        for count in [self.conversations.len(), self.segments.len()] {
            heap.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
        }
    }

    /// What a checkpoint of a version that can be read says; `None` if it says what cannot be.
    pub(super) fn at_end(all: &[u8], heap: &[u8], entries: usize, head: &CheckpointHead) -> Option<Self> {
        let major = Fields(all.get(MAJOR_AT..)?).u16()?;
        if Self::is_in(major)? { Self::read(heap, entries, head) } else { Some(Self::default()) }
    }

    /// Reads the block that a heap ends with; `None` if there is none that can be.
    fn read(heap: &[u8], entries: usize, head: &CheckpointHead) -> Option<Self> {
        let (rest, foot) = heap.split_at_checked(heap.len().checked_sub(FOOT_LEN)?)?;
        let mut foot = Fields(foot);
        let [conversations, segments] = [foot.u32()?, foot.u32()?].map(|count| to_usize(count.into()));
        let length =
            conversations.checked_mul(CONVERSATION_LEN)?.checked_add(segments.checked_mul(SEGMENT_LEN)?)?;
        let mut rows = Fields(rest.get(rest.len().checked_sub(length)?..)?);
        let mut held = Self::default();
        for _ in 0..conversations {
            let ordinal = to_usize(rows.u64()?);
            let (after, through, events) = (rows.u64()?, rows.u64()?, rows.u64()?);
            held.conversations.push(Hold { ordinal, after, through, events });
        }
        for _ in 0..segments {
            let (number, first_seq) = (rows.u64()?, rows.u64()?);
            let (valid_len, next_seq, rollup) = (rows.u64()?, rows.u64()?, rows.u32()?);
            let _zero = rows.u32()?;
            held.segments
                .push(HeldSegment { first_seq, end: Previous { number, valid_len, next_seq, rollup } });
        }
        held.is_possible(entries, head).then_some(held)
    }

    fn is_possible(&self, entries: usize, head: &CheckpointHead) -> bool {
        let is_in_order = self.conversations.is_sorted_by(|a, b| a.ordinal < b.ordinal)
            && self.segments.is_sorted_by(|a, b| a.end.number < b.end.number);
        let are_events = |hold: &Hold| hold.after <= hold.through && hold.through <= head.covered_seq;
        let is_old = |segment: &HeldSegment| {
            let numbers = [segment.end.number, segment.first_seq, segment.end.next_seq];
            segment.end.number < head.first_segment && numbers.iter().all(|number| *number <= MAX_NUMBER)
        };
        is_in_order
            && self.conversations.iter().all(|hold| hold.ordinal < entries && are_events(hold))
            && self.segments.iter().all(is_old)
    }
}

impl Checkpoint {
    /// What is held in the log.
    pub(crate) fn held(&self) -> &Held {
        &self.held
    }

    /// Whether a checkpoint of which only the header may be whole says that anything is held.
    pub(crate) fn says_of_held(bytes: &[u8]) -> bool {
        let major = Fields(bytes.get(MAJOR_AT..).unwrap_or_default()).u16();
        Self::head_alone(bytes).is_some() && major.and_then(Held::is_in) == Some(true)
    }

    /// Whether a segment may not be removed.
    pub(crate) fn needs_segment(&self, number: u64) -> bool {
        number >= self.head.first_segment || self.held.keeps(number)
    }
}
