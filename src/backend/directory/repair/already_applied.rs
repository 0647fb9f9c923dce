//! What the files have of the log already.
//!
//! Owns the knowledge of which events must not be carried out again: those that a compaction put into a file
//! whose checkpoint is lost. Where nobody can say whether an event is in its file, it is set aside and named.

use std::collections::HashMap;
use std::path::PathBuf;

use super::file_items::{Doubt, Items, Verdict};
use super::loss;
use crate::codec::checkpoint::CheckpointHead;
use crate::codec::document::scan_document;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Change, Event, RepairReport, Seq};
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
    unproven: Vec<(Seq, Event, Doubt)>,
}

/// How far a file is ahead.
#[derive(Debug)]
enum Extent {
    /// It has every event up to this one.
    Through(Seq),
    /// Nobody can say; it has these messages and actions.
    Unknown(Items),
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
        let verdict = match &event.change {
            // It is carried out, and what comes behind it begins from nothing.
            Change::Clear | Change::Remove { .. } | Change::Reset { .. } => {
                self.extents.remove(id);
                Verdict::Missing
            }
            Change::Create { .. } => Verdict::InFile,
            change @ (Change::AddMessage(_)
            | Change::AddAction(_)
            | Change::EditMessage(_)
            | Change::AppendText { .. }
            | Change::EditAction(_)
            | Change::RemoveMessage(_)
            | Change::RemoveAction(_)
            | Change::SetTitle(_)
            | Change::SetMetadata(_)
            | Change::SetVersion(_)
            | Change::SetCreatedAt(_)
            | Change::SetExtra(_)) => items.judge(seq, change),
        };
        match verdict {
            Verdict::Missing => {}
            Verdict::InFile => self.proven.push(seq),
            Verdict::Unproven(doubt) => self.unproven.push((seq, event.clone(), doubt)),
        }
        verdict != Verdict::Missing
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
        self.tell_order(report);
        if self.unproven.is_empty() {
            return Ok(());
        }
        let mut lines = String::new();
        for (seq, event, doubt) in &self.unproven {
            lines.push_str(&event.to_json_line(*seq));
            lines.push('\n');
            let why = match doubt {
                Doubt::Other => {
                    "its file has something else under the same id, and no checkpoint says which of the two is the later one"
                }
                Doubt::Several => {
                    "its file has the id that it is about more than once, and no checkpoint says whether the event is in it"
                }
                Doubt::Follows => {
                    "an event before it that is about the same id has been set aside, so that nobody can say what it would \
                     change"
                }
            };
            let reason = format!("{why}; the file's counts, and the event is kept as a line of `append`");
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

    /// Says of which conversations nobody can tell the order.
    fn tell_order(&self, report: &mut RepairReport) {
        let mut late = Vec::new();
        for (id, extent) in &self.extents {
            match extent {
                Extent::Unknown(items) if items.out_of_place() > 0 => late.push((items.out_of_place(), id)),
                Extent::Unknown(_) | Extent::Through(_) => {}
            }
        }
        late.sort_by_key(|(_, id)| *id);
        for (count, id) in late {
            report.notes.push(format!(
                "conversation {id:?}: nobody can say where in their order {count} of its messages and actions stood, which the \
                 log adds before something that the file has; they are at the end"
            ));
        }
    }
}
