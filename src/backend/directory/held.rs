//! Conversations whose files could not be read when a compaction was to write them, in a store that is open.
//!
//! Owns how their events come back from the log at an opening, and how it is found out that a file is as it was
//! again. Which of them a compaction holds, and where, is the snapshot's.

use super::reads::ReadState;
use super::replay::held_events;
use crate::codec::checkpoint::Checkpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Found, Index, Slot};
use crate::log::recovery::{self, Source};
use crate::model::{DamagedFile, Event, Seq};
use crate::rules::Request;
use crate::snapshot::load;

/// Says of each held conversation that it is, in words.
pub(super) fn notes(checkpoint: &Checkpoint) -> Vec<String> {
    let holds = checkpoint.held().conversations.iter();
    let named = holds.filter_map(|hold| Some((hold, checkpoint.entry(hold.ordinal)?.id)));
    let note = |(hold, id): (&crate::codec::checkpoint::Hold, &str)| {
        format!(
            "the log holds {} of conversation {id:?}, whose file a compaction could not read",
            count(hold.events)
        )
    };
    named.map(note).collect()
}

/// So many events, in words.
pub(super) fn count(events: u64) -> String {
    if events == 1 { "1 event".to_owned() } else { format!("{events} events") }
}

impl ReadState {
    /// The error that additions to a held conversation answer with.
    pub(super) fn held_damage(&self, index: &Index, slot: &Slot) -> Error {
        let id = &slot.summary.id;
        let events = index.hold_of(slot).map_or(0, |hold| hold.events);
        let name = slot.ordinal.and_then(|ordinal| Some(index.checkpoint().file_of(ordinal)?.0));
        let reason = format!(
            "conversation {id:?} cannot be added to: its file cannot be read, and the log holds {} since then, until \
             the file is put back or accepted as it is, or the conversation is removed",
            count(events)
        );
        let path = name.map_or_else(|| self.layout.index_file(), |name| self.layout.conversation(name));
        Error::new(ErrorKind::Corrupt, reason).at(&path, None)
    }

    /// Looks whether the files of held conversations can be read again, and gives those that cannot be.
    pub(super) fn look_at_held(&self) -> Vec<DamagedFile> {
        let held: Vec<(String, u64)> = {
            let index = self.index();
            let held = index.holds().filter(|(_, _, slot)| slot.is_held);
            held.map(|(hold, entry, _)| (entry.id.to_owned(), hold.events)).collect()
        };
        let mut unreadable = Vec::new();
        for (id, events) in held {
            if let Err(error) = self.look_at_one_held(&id) {
                let told = load::unreadable(&id, &error);
                let reason = format!("{}; the log holds {} since then", told.reason, count(events));
                unreadable.push(DamagedFile { reason, ..told });
            }
        }
        unreadable
    }

    /// Names those that cannot be read, or says of those that are named already what is held of them.
    pub(super) fn tell_held(&self, damaged: &mut Vec<DamagedFile>) {
        for file in self.look_at_held() {
            match damaged.iter_mut().find(|told| told.conversation_id == file.conversation_id) {
                Some(told) => told.reason = file.reason,
                None => damaged.push(file),
            }
        }
    }

    /// Whether one of the conversations of a batch was held, or not added to because of its file, and that can be
    /// read again.
    pub(super) fn has_been_put_back(&self, batch: &[Request]) -> bool {
        batch.iter().any(|request| {
            let id = &request.conversation_id;
            let is_held = matches!(self.index().find(id), Found::Slot(slot) if slot.is_held);
            if self.suspicion(id).is_none() {
                return is_held && matches!(self.look_at_one_held(id), Ok(true));
            }
            let place = {
                let index = self.index();
                index.checkpoint().find(id).map(|ordinal| (index.checkpoint().head().epoch, ordinal))
            };
            // A look at the file as it is now takes the suspicion away, if it is as recorded.
            place.is_some_and(|(epoch, ordinal)| self.load(id, epoch, ordinal).is_ok())
                && self.suspicion(id).is_none()
        })
    }

    /// Whether a conversation is not held any more.
    fn look_at_one_held(&self, id: &str) -> Result<bool> {
        let (epoch, ordinal) = {
            let index = self.index();
            let Found::Slot(Slot { is_held: true, ordinal: Some(ordinal), .. }) = index.find(id) else {
                return Ok(true);
            };
            (index.checkpoint().head().epoch, *ordinal)
        };
        self.load(id, epoch, ordinal)?;
        Ok(!matches!(self.index().find(id), Found::Slot(slot) if slot.is_held))
    }
}

impl ReadState {
    /// The events of a conversation that a compaction could not write because its file could not be read; none if
    /// it is not held. What came after that compaction is not among them.
    pub(super) fn held_events(&self, id: &str) -> Result<Vec<(Seq, Event)>> {
        let checkpoint = self.index().checkpoint().clone();
        let inventory = crate::log::inventory::Inventory::take(&*self.vfs, &self.layout.log())?;
        let source = Source {
            vfs: &*self.vfs,
            inventory: &inventory,
            head: checkpoint.head(),
            control: None,
            holder: recovery::Holder::Caller,
        };
        held_events(source, &checkpoint, Some(id))
    }
}
