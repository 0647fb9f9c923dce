//! Conversations whose files could not be read, so that their events are held in the log.
//!
//! Owns how such events are carried out at an opening, apart from all others, and when a conversation is in its file.
//! Does not read files.

use super::{Found, Index};
use crate::codec::checkpoint::{Checkpoint, Entry as CatalogEntry, Hold};
use crate::codec::payload::EventView;
use crate::index::Misfit;
use crate::index::position::Position;
use crate::index::slot::Slot;
use crate::model::Seq;

/// Whether a compaction has nothing to write of a conversation. One that is held is tried again only once its file
/// is known to be as recorded.
pub(super) fn is_in_file(checkpoint: &Checkpoint, slot: &Slot) -> bool {
    let is_held = slot.ordinal.is_some_and(|ordinal| checkpoint.held().of(ordinal).is_some());
    slot.summary.last_seq <= checkpoint.head().covered_seq && (slot.is_held || !is_held)
}

impl Index {
    /// Whether a compaction has nothing to write of a conversation.
    pub(super) fn is_in_file(&self, slot: &Slot) -> bool {
        is_in_file(&self.checkpoint, slot)
    }

    /// Whether a conversation's file has all of it.
    pub(crate) fn has_all_in_file(&self, slot: &Slot) -> bool {
        slot.summary.last_seq <= self.checkpoint.head().covered_seq && self.hold_of(slot).is_none()
    }

    /// What is held, each with what the checkpoint says of the file; those that their owner has let go of left out.
    pub(crate) fn holds(&self) -> impl Iterator<Item = (&Hold, CatalogEntry<'_>, &Slot)> {
        self.checkpoint.held().conversations.iter().filter_map(|hold| {
            let entry = self.checkpoint.entry(hold.ordinal)?;
            let Found::Slot(slot) = self.find(entry.id) else { return None };
            (slot.ordinal == Some(hold.ordinal)).then_some((hold, entry, slot))
        })
    }

    /// What is held of one conversation.
    pub(crate) fn hold_of(&self, slot: &Slot) -> Option<&Hold> {
        self.checkpoint.held().of(slot.ordinal?)
    }

    /// Carries an event out that is held, at an opening, before any that the checkpoint does not cover. Its key and
    /// its number are in the checkpoint.
    pub(crate) fn apply_held(
        &mut self,
        id: &str,
        view: &EventView<'_>,
        seq: Seq,
        position: Position,
    ) -> Result<(), Misfit> {
        let ordinal = self.checkpoint.find(id);
        let (_, slot) = self.touch(id).ok_or_else(|| Misfit("no slot".to_owned()))?;
        slot.apply(view, seq, position, false)?;
        if slot.exists {
            // One that began among these events is in its place all the same.
            slot.ordinal = ordinal;
        }
        slot.is_held = slot.needs_file();
        Ok(())
    }
}
