//! How a store stands to an index of it.
//!
//! Owns which conversations the index cannot speak for: those that have changed since, and those that have no event, whose files may be
//! exchanged without one.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::backend::Backend;
use crate::backend::directory::reads::ReadState;
use crate::codec::bytes::to_usize;
use crate::codec::segment::StoreId;
use crate::error::Result;
use crate::index::{Entry, Found, Index, Lists, Slot};
use crate::model::Seq;

/// What a store holds at one moment, as far as an index is concerned.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Standing {
    pub(super) store_id: StoreId,
    pub(super) last_seq: Seq,
    /// The conversations that have to be looked at.
    pub(super) unindexed: Vec<String>,
}

/// The newest event of a conversation, and its id; `None` if it cannot be read.
fn known<'f>(found: &'f Found<'f>) -> Option<(&'f str, Seq)> {
    match found {
        Found::Slot(slot) => Some((&slot.summary.id, slot.summary.last_seq)),
        Found::Checkpoint(entry, _) => Some((entry.id, entry.last_seq)),
        Found::Damaged(_) | Found::Nothing => None,
    }
}

/// The conversations of a store with their newest events; `None` if it is damaged.
pub(super) fn conversations(reads: &ReadState) -> Option<Vec<(String, Seq)>> {
    if reads.has_suspects() {
        return None;
    }
    let index = reads.index();
    index.order().map(|found| known(&found).map(|(id, seq)| (id.to_owned(), seq))).collect()
}

impl Standing {
    /// How a store stands to an index that has come up to this event; `None` if it is damaged.
    pub(super) fn of(reads: &ReadState, indexed_seq: Seq) -> Option<Self> {
        if reads.vfs.sealing().is_some() || reads.has_suspects() {
            return None;
        }
        let index = reads.index();
        let mut unindexed = Vec::new();
        for found in index.order() {
            let (id, last_seq) = known(&found)?;
            if last_seq == 0 || last_seq > indexed_seq {
                unindexed.push(id.to_owned());
            }
        }
        let store_id = index.checkpoint().head().store_id;
        Some(Self { store_id, last_seq: index.next_seq() - 1, unindexed })
    }

    /// Whether a conversation is there, and the index speaks for it.
    pub(super) fn is_indexed(&self, backend: &impl Backend, id: &str) -> bool {
        !self.unindexed.iter().any(|other| other == id) && matches!(backend.summary(id), Ok(Some(_)))
    }

    /// Puts in which place in the order of their beginnings these conversations have.
    pub(super) fn rank(reads: &ReadState, ranks: &mut HashMap<String, u64>) {
        for (number, found) in (0..).zip(reads.index().order()) {
            if let Some(rank) = known(&found).and_then(|(id, _)| ranks.get_mut(id)) {
                *rank = number;
            }
        }
    }
}

impl ReadState {
    /// What a conversation's first messages are told by, all of them together: where they lie, and what proves them there. `None` if
    /// there are fewer. As long as no compaction moves them, it is the same as before if, and only if, they are.
    pub(super) fn fold(&self, id: &str, messages: u64) -> Result<Option<u64>> {
        let look = |index: &Index, slot: &Slot, lists: &Lists| {
            let first = lists.messages.get(..to_usize(messages));
            (first.map(|first| fold(index, slot, first)), self.source_of(index, slot, &[]))
        };
        Ok(self.read_what(id, look, |fold, _| Ok(*fold))?.flatten())
    }
}

fn fold(index: &Index, slot: &Slot, entries: &[Entry]) -> u64 {
    // Another version of it gives other numbers, and what they are of is taken in once more.
    let mut hasher = DefaultHasher::new();
    let mut is_in_file = false;
    for entry in entries {
        let position = entry.position();
        is_in_file |= position.segment().is_none();
        (position.segment(), position.offset(), position.len()).hash(&mut hasher);
        (position.crc(), entry.id_hash()).hash(&mut hasher);
    }
    if is_in_file {
        index.checkpoint().head().epoch.hash(&mut hasher);
    }
    // Text that was put behind one does not move it.
    for grown in slot.grown_among(entries) {
        (grown.base.segment(), grown.base.offset(), grown.length, grown.pieces.len()).hash(&mut hasher);
    }
    hasher.finish()
}
