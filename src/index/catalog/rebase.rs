//! Going over from one checkpoint to the next.
//!
//! Owns what becomes of each touched conversation then: forgotten where the new checkpoint says the same, cut off
//! from the segments that go, or left as it is where its events are held.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::{Index, held};
use crate::codec::checkpoint::Checkpoint;
use crate::index::recent::Recent;
use crate::index::slot::{Body, HeadSource};

impl Index {
    /// Goes over to a checkpoint that covers the same events and knows more files.
    pub(crate) fn refresh(&mut self, checkpoint: Checkpoint) {
        for slot in &mut self.slots {
            if slot.ordinal.is_some() {
                slot.ordinal = checkpoint.find(&slot.summary.id);
            }
        }
        self.checkpoint = checkpoint;
        self.activity = OnceLock::new();
    }

    /// Goes over to the checkpoint that a compaction has made of the captured state.
    pub(crate) fn rebase(&mut self, checkpoint: Checkpoint) {
        let covered = checkpoint.head().covered_seq;
        let first_segment = checkpoint.head().first_segment;
        let old_slots = std::mem::take(&mut self.slots);
        let fresh = std::mem::take(&mut self.fresh);
        (self.by_id, self.last) = (HashMap::default(), None);
        self.records = false;
        self.keys.forget_through(covered);
        let mut moved = HashMap::new();
        for (at, mut slot) in old_slots.into_iter().enumerate() {
            let ordinal = checkpoint.find(&slot.summary.id);
            let is_held = ordinal.is_some_and(|ordinal| checkpoint.held().of(ordinal).is_some());
            if is_held && slot.ordinal.is_some() {
                // It is as it was, before its file: all that came since is in segments that are kept.
                slot.is_held = slot.needs_file();
                (slot.ordinal, slot.since) = (ordinal, Vec::new());
            } else if slot.summary.last_seq <= covered {
                let was_rewritten = !held::is_in_file(&self.checkpoint, &slot);
                if was_rewritten || !slot.exists || ordinal.is_none() {
                    continue;
                }
                slot.ordinal = ordinal;
            } else if !slot.is_new_since && slot.born <= covered {
                slot.ordinal = ordinal;
                slot.body = Body::Deferred(std::mem::take(&mut slot.since));
                slot.metadata = rebased(slot.metadata, first_segment);
                slot.extra = rebased(slot.extra, first_segment);
            } else {
                // It began or ended after the state was taken: everything it has lies in the newer segments.
                slot.ordinal = None;
            }
            moved.insert(at, self.slots.len());
            self.by_id.insert(slot.summary.id.as_bytes().into(), self.slots.len());
            self.slots.push(slot);
        }
        self.fresh = fresh
            .into_iter()
            .filter(|(_, born)| *born > covered)
            .filter_map(|(at, born)| Some((*moved.get(&at)?, born)))
            .collect();
        self.checkpoint = checkpoint;
        self.activity = OnceLock::new();
        self.recent = Recent::default();
        let mut recent: Vec<_> = (self.slots.iter().enumerate())
            .filter(|(_, slot)| slot.exists && slot.summary.last_seq > covered)
            .map(|(at, slot)| (slot.summary.last_seq, at))
            .collect();
        recent.sort_unstable();
        for (_, at) in recent {
            self.recent.put_first(at);
        }
    }
}

/// Where a head stands once the segments before `first_segment` are in the snapshot.
fn rebased(source: HeadSource, first_segment: u64) -> HeadSource {
    match source {
        HeadSource::Event(position) if position.segment().is_some_and(|number| number >= first_segment) => {
            source
        }
        HeadSource::Event(_) | HeadSource::Snapshot | HeadSource::Empty => HeadSource::Snapshot,
    }
}
