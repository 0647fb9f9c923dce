//! The conversations that were removed, so that nothing brings one back unasked.
//!
//! Owns how many are remembered: the newest 100,000 at least. Those since the checkpoint are slots that do not exist
//! any more; those before it are in the checkpoint.

use std::cmp::Reverse;

use super::{Found, Index};
use crate::codec::checkpoint::TombstoneEntry;
use crate::index::slot::{Body, Slot};
use crate::model::Tombstone;
use crate::rules::KEPT_TOMBSTONES;

impl Slot {
    /// What is remembered of it, if an event ended it.
    fn tombstone(&self) -> Option<Tombstone> {
        let Body::Ended(removed_at, reason) = self.body else { return None };
        Some(Tombstone { id: self.summary.id.clone(), seq: self.summary.last_seq, removed_at, reason })
    }
}

impl Index {
    /// What is remembered of a conversation that was removed and has not begun again.
    pub(crate) fn tombstone(&self, id: &str) -> Option<Tombstone> {
        if !matches!(self.find(id), Found::Nothing) {
            return None;
        }
        let slot = self.by_id.get(id.as_bytes()).and_then(|at| self.slots.get(*at));
        slot.and_then(Slot::tombstone)
            .or_else(|| self.checkpoint.tombstone(id).map(TombstoneEntry::to_tombstone))
    }

    /// The newest of them, newest first.
    pub(crate) fn tombstones(&self) -> Vec<Tombstone> {
        let mut removed: Vec<Tombstone> = self.slots.iter().filter_map(Slot::tombstone).collect();
        let is_known_anew = |id: &str| {
            let slot = self.by_id.get(id.as_bytes()).and_then(|at| self.slots.get(*at));
            slot.is_some_and(|slot| slot.tombstone().is_some())
        };
        let older = self.checkpoint.tombstones();
        let older = older.filter(|entry| !is_known_anew(entry.id) && self.tombstone(entry.id).is_some());
        removed.extend(older.map(TombstoneEntry::to_tombstone));
        removed.sort_unstable_by_key(|tombstone| Reverse(tombstone.seq));
        removed.truncate(KEPT_TOMBSTONES);
        removed
    }
}
