//! What the files have of the log already.
//!
//! Owns the knowledge of which events must not be carried out again: those that a compaction put into a file
//! whose checkpoint is lost. Where nobody can say whether an event is in its file, it is set aside and named.

use std::collections::HashMap;
use std::path::PathBuf;

use super::loss;
use crate::codec::bytes::to_usize;
use crate::codec::checkpoint::CheckpointHead;
use crate::codec::document::{Document, Fallback, Item, read_action, read_message, scan_document};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Change, Event, RepairReport, Seq, Text, Timestamp};
use crate::snapshot::layout::{self, Layout};
use crate::vfs::Vfs;

/// The conversations whose files may be ahead of the checkpoint that is believed.
#[derive(Debug, Default)]
pub(super) struct AlreadyApplied {
    extents: HashMap<String, Extent>,
    /// Conversations whose files no checkpoint knows of.
    unlisted: HashMap<String, PathBuf>,
    /// Those of them that the log has events for.
    mixed: Vec<(String, PathBuf)>,
    /// The numbers of events that are in their files, as the files themselves prove.
    proven: Vec<Seq>,
    /// Events of which nobody can say whether they are in their files.
    unproven: Vec<(Seq, Event)>,
}

/// How far a file is ahead.
#[derive(Debug)]
enum Extent {
    /// It has every event up to this one.
    Through(Seq),
    /// Nobody can say; it has these messages and actions.
    Unknown(Items),
}

/// What a file has, each message and action by its id, with the checksums of those that have it.
#[derive(Debug, Default)]
struct Items {
    messages: HashMap<Text, Vec<u32>>,
    actions: HashMap<Text, Vec<u32>>,
}

/// Whether a file has what an event adds.
enum Found {
    /// It has nothing of that id.
    Nothing,
    /// It has the very same.
    Same,
    /// It has something else under the id: what was made of it, or another one that was given the id too.
    Other,
}

impl Items {
    fn of(document: &Document, bytes: &[u8]) -> Self {
        let created_at = document.head.created_at.unwrap_or(Timestamp::EPOCH);
        let mut items = Self::default();
        let slice = |item: &Item| {
            let start = to_usize(item.offset);
            bytes.get(start..start + to_usize(u64::from(item.len))).unwrap_or_default()
        };
        for item in &document.messages {
            let Some(id) = item.id.clone() else { continue };
            let read = read_message(slice(item), &Fallback { id: || id.clone(), created_at });
            let sum = read.map_or(0, |message| checksum(Change::AddMessage(message)));
            items.messages.entry(id).or_default().push(sum);
        }
        for item in &document.actions {
            let Some(id) = item.id.clone() else { continue };
            let read = read_action(slice(item), &Fallback { id: || id.clone(), created_at });
            let sum = read.map_or(0, |action| checksum(Change::AddAction(action)));
            items.actions.entry(id).or_default().push(sum);
        }
        items
    }

    /// Looks for what an event adds. What was found once stands for one event: an id may have been given twice.
    fn take(&mut self, change: &Change) -> Found {
        let items = if matches!(change, Change::AddMessage(_)) {
            &mut self.messages
        } else if matches!(change, Change::AddAction(_)) {
            &mut self.actions
        } else {
            return Found::Nothing;
        };
        let Some(sums) = change.subject().and_then(|id| items.get_mut(id)) else { return Found::Nothing };
        let sum = checksum(change.clone());
        match sums.iter().position(|known| *known == sum) {
            Some(at) => {
                sums.swap_remove(at);
                Found::Same
            }
            None => Found::Other,
        }
    }
}

/// A checksum of everything that a change says.
fn checksum(change: Change) -> u32 {
    let event = Event { conversation_id: String::new(), change, key: None };
    crc32fast::hash(event.to_json_line(0).as_bytes())
}

impl AlreadyApplied {
    /// Remembers what a file has that the believed checkpoint does not know of.
    pub(super) fn note(&mut self, id: &str, bytes: &[u8], lost: Option<CheckpointHead>) {
        let extent = match (lost, scan_document(bytes)) {
            (Some(head), _) => Extent::Through(head.covered_seq),
            (None, Ok(document)) => Extent::Unknown(Items::of(&document, bytes)),
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

    /// Whether an event is not to be carried out, because the files have it, or because nobody can say whether they do.
    pub(super) fn has(&mut self, seq: Seq, event: &Event) -> bool {
        let id = &event.conversation_id;
        self.mixed.extend(self.unlisted.remove_entry(id));
        let items = match self.extents.get_mut(id) {
            None => return false,
            Some(Extent::Through(covered)) => return seq <= *covered,
            Some(Extent::Unknown(items)) => items,
        };
        match &event.change {
            // It is carried out, and what comes behind it begins from nothing.
            Change::Clear | Change::Remove { .. } | Change::Reset { .. } => {
                self.extents.remove(id);
                false
            }
            // The same of one message or action.
            Change::RemoveMessage(message) => {
                items.messages.remove(message);
                false
            }
            Change::RemoveAction(action) => {
                items.actions.remove(action);
                false
            }
            Change::Create { .. } => {
                self.proven.push(seq);
                true
            }
            change @ (Change::AddMessage(_)
            | Change::AddAction(_)
            | Change::EditMessage(_)
            | Change::EditAction(_)
            | Change::SetTitle(_)
            | Change::SetMetadata(_)
            | Change::SetVersion(_)
            | Change::SetCreatedAt(_)
            | Change::SetExtra(_)) => match items.take(change) {
                Found::Nothing => false,
                Found::Same => {
                    self.proven.push(seq);
                    true
                }
                Found::Other => {
                    self.unproven.push((seq, event.clone()));
                    true
                }
            },
        }
    }

    /// Says what became of the events that were not carried out, and keeps those that may be lost by it.
    pub(super) fn tell(
        &self,
        vfs: &dyn Vfs,
        source: &Layout,
        target: &Layout,
        report: &mut RepairReport,
    ) -> Result<()> {
        if let (Some(first), Some(last)) = (self.proven.first(), self.proven.last()) {
            let count = self.proven.len();
            let events = if count == 1 { "1 event".to_owned() } else { format!("{count} events") };
            report.notes.push(format!("{events} of the log, from {first} to {last}, the files have already"));
        }
        if self.unproven.is_empty() {
            return Ok(());
        }
        let mut lines = String::new();
        for (seq, event) in &self.unproven {
            lines.push_str(&event.to_json_line(*seq));
            lines.push('\n');
            let reason = "its file has something else under the same id, and no checkpoint says which of the two is the \
                          later one; the file's counts, and the event is kept as a line of `append`";
            let error = Error::new(ErrorKind::Corrupt, reason).at(&source.log(), None);
            report.lost.push(loss(&error, Some(&event.conversation_id), Some((*seq, Some(*seq)))));
        }
        let dir = target.quarantine();
        if layout::ensure_dir(vfs, &dir)? {
            layout::sync_dir(vfs, &target.log())?;
        }
        let copy = dir.join(format!("unproven-{:08x}.jsonl", crc32fast::hash(lines.as_bytes())));
        layout::write_file(vfs, &copy, lines.as_bytes())?;
        layout::sync_dir(vfs, &dir)?;
        report.quarantined.push(copy);
        Ok(())
    }
}
