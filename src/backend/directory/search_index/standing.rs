//! How a store stands to an index of it.
//!
//! Owns which conversations the index cannot speak for: those that have changed since, and those that have no event, whose files may be
//! exchanged without one.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::backend::Backend;
use crate::backend::directory::reads::ReadState;
use crate::backend::directory::search_file::{About, Known};
use crate::codec::bytes::to_usize;
use crate::codec::segment::StoreId;
use crate::error::Result;
use crate::index::{Entry, Index, Lists, Slot};
use crate::model::Seq;

/// What a store holds at one moment, as far as an index is concerned.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Standing {
    pub(super) store_id: StoreId,
    pub(super) last_seq: Seq,
    /// The conversations that have to be looked at.
    pub(super) unindexed: Vec<String>,
}

/// The conversations of a store with their newest events; `None` if it is damaged.
pub(super) fn conversations(reads: &ReadState) -> Option<Vec<(String, Seq)>> {
    if reads.has_suspects() {
        return None;
    }
    let index = reads.index();
    index.order().map(|found| found.newest().map(|(id, seq)| (id.to_owned(), seq))).collect()
}

/// Whether a conversation still begins with what is in the index, and at most more has been added.
pub(super) fn begins_with(reads: &ReadState, id: &str, known: &Known) -> bool {
    matches!(reads.fold(id, known.messages), Ok(Some(fold)) if fold == known.fold)
}

impl Standing {
    /// How a store stands to an index that has come up to this event; `None` if it is damaged.
    pub(super) fn of(reads: &ReadState, indexed_seq: Seq) -> Option<Self> {
        if reads.vfs.sealing().is_some() || reads.has_suspects() {
            return None;
        }
        let index = reads.index();
        let mut unindexed: Vec<String> =
            index.changed_since(indexed_seq)?.into_iter().map(str::to_owned).collect();
        // The same ones are in the same order, whichever of them was written to last.
        unindexed.sort_unstable();
        let store_id = index.checkpoint().head().store_id;
        Some(Self { store_id, last_seq: index.next_seq() - 1, unindexed })
    }

    /// Whether an index that says this of itself can be asked. A store that shows an older state has messages that are not in it any more.
    pub(super) fn can_ask(&self, about: &About) -> bool {
        about.is_whole && about.store == self.store_id && self.last_seq >= about.reached_seq
    }

    /// Whether the index cannot speak for a conversation.
    pub(super) fn is_unindexed(&self, id: &str) -> bool {
        self.unindexed.binary_search_by(|other| other.as_str().cmp(id)).is_ok()
    }

    /// Whether a conversation is there, and the index speaks for it.
    pub(super) fn is_indexed(&self, backend: &impl Backend, id: &str) -> bool {
        !self.is_unindexed(id) && matches!(backend.summary(id), Ok(Some(_)))
    }

    /// Gives conversations numbers in the order of their beginnings.
    pub(super) fn rank(reads: &ReadState, ranks: &mut HashMap<String, u64>) {
        let index = reads.index();
        for (id, rank) in ranks {
            *rank = index.beginning(id).unwrap_or_default();
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

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a store is taken back to its files")]
mod tests {
    use std::sync::Arc;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::backend::Backend;
    use crate::backend::directory::engine::Engine;
    use crate::backend::directory::open;
    use crate::backend::settings::Settings;
    use crate::model::{Messages, Mutation, Operation};
    use crate::snapshot::layout::Layout;

    /// Holds that what is found in the order of activity is what going over all conversations finds.
    fn hold(reads: &ReadState) {
        let all = conversations(reads).unwrap();
        let last = reads.index().next_seq();
        for seq in 0..last {
            let changed =
                |(id, last_seq): &(String, Seq)| (*last_seq == 0 || *last_seq > seq).then(|| id.to_owned());
            let mut ought: Vec<String> = all.iter().filter_map(changed).collect();
            ought.sort_unstable();
            assert_eq!(Standing::of(reads, seq).unwrap().unindexed, ought, "behind {seq}");
        }
        let mut ranks: HashMap<String, u64> = all.iter().map(|(id, _)| (id.clone(), 0)).collect();
        Standing::rank(reads, &mut ranks);
        let numbers: Vec<u64> = all.iter().filter_map(|(id, _)| ranks.get(id).copied()).collect();
        assert!(numbers.is_sorted_by(|one, other| one < other), "{numbers:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_has_changed_is_found_without_going_over_everything(steps in vec((0_usize..6, 0..9), 0..40)) {
            let dir = tempfile::tempdir().unwrap();
            let settings = Settings::default();
            let open = || Engine::open(Layout::new(dir.path()), settings.clone()).unwrap();
            let mut engine = open();
            for (which, step) in steps {
                let id = format!("c{which}");
                let append = |mutation| drop(engine.append_one(mutation));
                match step {
                    0 => append(Mutation::new(id, Operation::RemoveConversation)),
                    1 => drop(engine.compact().unwrap()),
                    2 => {
                        // Whatever there is then has no event.
                        engine.compact().unwrap();
                        drop(engine);
                        std::fs::remove_dir_all(dir.path().join("log")).unwrap();
                        engine = open();
                    }
                    // Its file is read, which no event has asked for.
                    3 => drop(engine.messages(&id, &Messages::all())),
                    _ => append(Mutation::add_message(id, "rain")),
                }
                hold(engine.reads());
            }
            let read = open::for_reading(&*settings.vfs, &Layout::new(dir.path())).unwrap();
            hold(&ReadState::new(Arc::clone(&settings.vfs), Layout::new(dir.path()), read));
        }
    }
}
