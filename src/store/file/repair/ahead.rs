//! What the files have of the log already.
//!
//! Owns the knowledge of which events must not be carried out again: those that a compaction put into a file
//! whose checkpoint is lost.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use crate::codec::checkpoint::CheckpointHead;
use crate::codec::document::{Item, scan_document};
use crate::model::{Change, Event, Seq, Text};

/// The conversations whose files may be ahead of the checkpoint that is believed.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    extents: HashMap<String, Extent>,
    /// Conversations whose files no checkpoint knows of.
    unlisted: HashMap<String, PathBuf>,
    /// Those of them that the log has events for.
    mixed: Vec<(String, PathBuf)>,
}

/// How far a file is ahead.
#[derive(Debug)]
enum Extent {
    /// It has every event up to this one.
    Through(Seq),
    /// Nobody can say; it has the messages and actions of these ids.
    Unknown(HashSet<Text>, HashSet<Text>),
}

impl Ahead {
    /// Remembers what a file has that the believed checkpoint does not know of.
    pub(super) fn note(&mut self, id: &str, bytes: &[u8], lost: Option<CheckpointHead>) {
        let extent = match (lost, scan_document(bytes)) {
            (Some(head), _) => Extent::Through(head.covered_seq),
            (None, Ok(document)) => {
                let ids = |items: &[Item]| items.iter().filter_map(|item| item.id.clone()).collect();
                Extent::Unknown(ids(&document.messages), ids(&document.actions))
            }
            (None, Err(_)) => return,
        };
        self.extents.insert(id.to_owned(), extent);
    }

    /// Remembers a file that no checkpoint knows of.
    pub(super) fn note_unlisted(&mut self, id: &str, path: PathBuf) {
        self.unlisted.insert(id.to_owned(), path);
    }

    /// The files that no checkpoint knows of, and to whose conversations the log had something to add.
    pub(super) fn mixed(&self) -> &[(String, PathBuf)] {
        &self.mixed
    }

    /// Whether the files have an event in them.
    pub(super) fn has(&mut self, seq: Seq, event: &Event) -> bool {
        let id = &event.conversation_id;
        self.mixed.extend(self.unlisted.remove_entry(id));
        match (self.extents.get(id), &event.change) {
            (None, _) => false,
            (Some(Extent::Through(covered)), _) => seq <= *covered,
            // It is carried out, and what comes behind it begins from nothing.
            (Some(Extent::Unknown(..)), Change::Clear | Change::Remove { .. } | Change::Reset { .. }) => {
                self.extents.remove(id);
                false
            }
            (Some(Extent::Unknown(..)), Change::Create { .. }) => true,
            (Some(Extent::Unknown(messages, actions)), change) => {
                let has = |ids: &HashSet<Text>| change.subject().is_some_and(|id| ids.contains(id));
                (matches!(change, Change::AddMessage(_)) && has(messages))
                    || (matches!(change, Change::AddAction(_)) && has(actions))
            }
        }
    }
}
