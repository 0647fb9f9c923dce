//! Looking at the files, and taking in what is not as the checkpoint has it.
//!
//! Owns what happens to a directory that the original wrote, to files that were added while the store was
//! closed, and to files that cannot be read or are not as recorded. A recorded file is never replaced by what
//! lies in its place now: that may be an edit, and it may be a file of the store's own from another time, with
//! fewer messages. Only its owner knows, and says so by accepting it. Reads only; what it finds becomes a
//! new checkpoint, which its caller writes or keeps in memory.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use super::layout::{self, Layout, looks_like};
use super::load::{is_changed, is_same, long_document, not_as_recorded, of_another};
use super::names::{ENDING, stem};
use super::row::Row;
use super::stray;
use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::{
    Checkpoint, CheckpointBuilder, CheckpointHead, Entry, FileState, Fingerprint,
};
use crate::codec::index_file::read_index;
use crate::error::{Error, ErrorKind, Result};
use crate::index::Reliance;
use crate::model::{DamagedFile, RecoveryReport, Text, Timestamp};
use crate::vfs::{FileKind, Metadata, Vfs};

/// What the files are, beside what the checkpoint says.
#[derive(Debug)]
pub(crate) struct Reconciliation {
    /// A checkpoint's bytes with what was taken in; none if everything is as the checkpoint says.
    pub(crate) checkpoint: Option<Vec<u8>>,
}

/// Looks at the files of a store whose checkpoint is `old`.
///
/// `reliance` says what the log has of a conversation, and whether its file still counts beside that.
///
/// # Errors
///
/// I/O errors on the directories. A single file that cannot be read is an entry in the report, unless it is memory that
/// was lacking: `OutOfMemory`.
pub(crate) fn reconcile(
    vfs: &dyn Vfs,
    layout: &Layout,
    old: &Checkpoint,
    reliance: &dyn Fn(&str) -> Reliance,
    report: &mut RecoveryReport,
) -> Result<Reconciliation> {
    let mut work = Work {
        vfs,
        layout,
        old,
        report,
        reliance,
        files: list_files(vfs, layout)?,
        builder: CheckpointBuilder::default(),
        ids: HashMap::new(),
        claimed: HashSet::new(),
        has_news: false,
        no_memory: None,
    };
    work.old_entries(old);
    let index_file = work.index_file(old.head().index_file.as_ref())?;
    work.unlisted();
    // A list that lacks a conversation is out of date, and the next compaction writes it anew.
    let index_file = index_file.filter(|_| work.report.unlisted.is_empty());
    for key in old.keys() {
        work.builder.key(&key);
    }
    for tombstone in old.tombstones() {
        work.builder.tombstone(&tombstone);
    }
    // Those that were there keep their places in the order.
    work.builder.hold(old.held().clone());
    let head = CheckpointHead { epoch: old.head().epoch + 1, index_file, ..*old.head() };
    if let Some(error) = work.no_memory {
        return Err(error);
    }
    let checkpoint = work.has_news.then(|| work.builder.finish(&head));
    Ok(Reconciliation { checkpoint })
}

/// The conversation files that there are, by name.
fn list_files(vfs: &dyn Vfs, layout: &Layout) -> Result<BTreeMap<String, FileKind>> {
    let entries = layout::list_dir(vfs, &layout.conversations())?;
    Ok(entries
        .into_iter()
        .filter(|e| e.name_is_exact && e.name.ends_with(ENDING))
        .map(|e| (e.name, e.kind))
        .collect())
}

struct Work<'w> {
    vfs: &'w dyn Vfs,
    layout: &'w Layout,
    old: &'w Checkpoint,
    report: &'w mut RecoveryReport,
    reliance: &'w dyn Fn(&str) -> Reliance,
    /// The files that no entry has claimed yet.
    files: BTreeMap<String, FileKind>,
    builder: CheckpointBuilder,
    /// The conversations that there are, and the names of their files.
    ids: HashMap<String, String>,
    /// The files that an entry stands for, whether or not the entry has their name as its id.
    claimed: HashSet<String>,
    has_news: bool,
    /// Why a file could not be looked at that may be as sound as any: nothing is to be made of that.
    no_memory: Option<Error>,
}

impl Work<'_> {
    /// A whole file, and how it looks.
    fn read(&mut self, path: &Path) -> Result<Option<(Vec<u8>, Fingerprint)>> {
        layout::read_file(self.vfs, path).inspect_err(|error| {
            if error.kind() == ErrorKind::OutOfMemory {
                self.no_memory.get_or_insert_with(|| error.clone());
            }
        })
    }

    /// What a file holds that nothing is recorded of.
    fn row(&mut self, file_name: &str, path: &Path, is_listed: bool) -> Result<Option<Row>> {
        if let Some((document, print)) = long_document(self.vfs, path, None)? {
            return Ok(Some(Row::of(file_name, Ok(document), print, is_listed)));
        }
        let read = self.read(path)?;
        Ok(read.map(|(bytes, print)| Row::read(file_name, &bytes, print, is_listed)))
    }

    fn damaged(&mut self, path: &Path, offset: Option<u64>, id: Option<&str>, reason: &str) {
        let conversation_id = id.map(str::to_owned);
        self.report.damaged.push(DamagedFile {
            path: path.to_owned(),
            offset,
            conversation_id,
            reason: reason.to_owned(),
            is_forbidden: false,
        });
    }

    fn push(&mut self, row: &Row) {
        let path = self.layout.conversation(&row.file_name);
        if row.state != FileState::Intact {
            let offset = row.as_entry().damage_offset();
            self.damaged(&path, offset, Some(&row.id), &row.note);
        }
        self.ids.insert(row.id.clone(), row.file_name.clone());
        self.builder.entry(&row.as_entry());
    }

    fn old_entries(&mut self, old: &Checkpoint) {
        for entry in old.entries() {
            self.old_entry(&entry);
        }
    }

    fn old_entry(&mut self, entry: &Entry<'_>) {
        let path = self.layout.conversation(entry.file_name);
        let is_there = self.files.remove(entry.file_name).is_some();
        self.claimed.insert(entry.file_name.to_owned());
        let looked = if is_there { layout::probe(self.vfs, &path) } else { Ok(None) };
        let metadata = looked.as_ref().ok().copied().flatten();
        let is_as_recorded = match (&metadata, entry.state) {
            // Nothing is known of the file, so nothing new is written down of it; whoever reads it will see.
            _ if looked.is_err() => true,
            (Some(metadata), FileState::Intact | FileState::Damaged) => looks_like(metadata, &entry.file),
            (None, FileState::Missing) => true,
            (None, _) | (Some(_), FileState::Missing) => false,
        };
        if is_as_recorded || (self.reliance)(entry.id) == Reliance::LogAlone {
            if entry.state != FileState::Intact {
                self.damaged(&path, entry.damage_offset(), Some(entry.id), entry.note);
            }
            self.ids.insert(entry.id.to_owned(), entry.file_name.to_owned());
            self.builder.entry(entry);
            return;
        }
        self.changed_entry(entry, &path, metadata.as_ref());
    }

    /// A file that does not look as it was recorded.
    fn changed_entry(&mut self, entry: &Entry<'_>, path: &Path, metadata: Option<&Metadata>) {
        if entry.state == FileState::Intact && metadata.is_some_and(|found| found.len == entry.file.len) {
            // Looked through a piece at a time: a copy of a store has such files only, however long they are.
            if let Ok(Some(print)) = layout::print_of(self.vfs, path)
                && is_same(&print, &entry.file)
            {
                self.touched(entry, print);
                return;
            }
        }
        let read = if metadata.is_some() { self.read(path) } else { Ok(None) };
        let found = match read {
            Ok(found) => found,
            Err(error) => {
                // What cannot be read now may be read next time, so nothing new is written down of it.
                self.keep_damaged(entry, path, None, error.message());
                if let Some(told) = self.report.damaged.last_mut() {
                    told.is_forbidden = error.is_forbidden();
                }
                return;
            }
        };
        let row = match found {
            Some((_, print)) if entry.state == FileState::Intact && is_same(&print, &entry.file) => {
                self.touched(entry, print);
                return;
            }
            Some((bytes, print)) => {
                let row = Row::read(entry.file_name, &bytes, print, entry.is_listed);
                // A file without an id counts as the conversation that it was.
                if row.state == FileState::Intact && row.id != entry.id && row.id != stem(entry.file_name) {
                    let reason = of_another(&row.id);
                    self.keep_damaged(entry, path, None, &reason);
                    return;
                }
                if entry.state == FileState::Intact && !self.is_whatever_is_there(entry) {
                    let error = not_as_recorded(&bytes, &entry.file, path);
                    let offset = error.place().and_then(|place| place.offset);
                    if is_changed(&error) {
                        self.report.changed.push(path.to_owned());
                    }
                    self.keep_damaged(entry, path, offset, error.message());
                    return;
                }
                // Nothing could be read of it so far, so nothing that counted is replaced.
                if row.state == FileState::Intact {
                    self.report.mended.push(path.to_owned());
                }
                Row { id: entry.id.to_owned(), ..row }
            }
            None if entry.state == FileState::Intact => {
                self.keep_damaged(entry, path, None, stray::MISSING);
                return;
            }
            None => Row {
                note: stray::MISSING.to_owned(),
                state: FileState::Missing,
                ..Row::nothing(entry.id, entry.file_name, entry.is_listed, entry.created_at)
            },
        };
        self.has_news = true;
        self.push(&row);
    }

    /// A file that was copied or touched: only the time differs.
    fn touched(&mut self, entry: &Entry<'_>, print: Fingerprint) {
        self.has_news = true;
        self.ids.insert(entry.id.to_owned(), entry.file_name.to_owned());
        self.builder.entry(&Entry { file: print, ..*entry });
    }

    fn is_whatever_is_there(&self, entry: &Entry<'_>) -> bool {
        (self.reliance)(entry.id) == Reliance::WhateverIsThere
    }

    /// Reports a file that cannot be used, and leaves its entry as it was, so that the file counts again should
    /// its owner put it back.
    fn keep_damaged(&mut self, entry: &Entry<'_>, path: &Path, offset: Option<u64>, reason: &str) {
        self.damaged(path, offset, Some(entry.id), reason);
        self.ids.insert(entry.id.to_owned(), entry.file_name.to_owned());
        self.builder.entry(entry);
    }

    /// Reads `message_store.json` if it is new or has changed, and takes in what it lists.
    fn index_file(&mut self, recorded: Option<&Fingerprint>) -> Result<Option<Fingerprint>> {
        let path = self.layout.index_file();
        let metadata = layout::probe(self.vfs, &path)?;
        if metadata.is_none() && recorded.is_some() {
            // Nothing depends on it, and the next compaction writes it anew.
            self.has_news = true;
            return Ok(None);
        }
        if metadata.is_none() || metadata.zip(recorded).is_some_and(|(m, recorded)| looks_like(&m, recorded))
        {
            return Ok(recorded.copied());
        }
        let (bytes, print) = match self.read(&path) {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(recorded.copied()),
            Err(error) => {
                self.damaged(&path, None, None, error.message());
                return Ok(recorded.copied());
            }
        };
        if let Some(recorded) = recorded.filter(|recorded| print.len == recorded.len) {
            if print.crc == recorded.crc {
                self.has_news = true;
                return Ok(Some(print));
            }
            if let Some(at) = super::bit_flip::flipped_byte(&bytes, recorded.crc) {
                self.damaged(&path, Some(to_u64(at)), None, "one bit of the file is flipped");
                return Ok(Some(*recorded));
            }
        }
        match read_index(&bytes) {
            Ok(index) => {
                self.has_news = true;
                for id in index.ids {
                    self.listed(&id);
                }
                Ok(Some(print))
            }
            Err(bad) => {
                self.damaged(&path, Some(bad.offset), None, &bad.reason);
                Ok(recorded.copied())
            }
        }
    }

    /// Takes in a conversation that `message_store.json` lists and the checkpoint does not know.
    fn listed(&mut self, listed: &Text) {
        let Some(listed) = listed.as_str() else {
            let path = self.layout.index_file();
            self.damaged(&path, None, None, "a listed id is not valid Unicode");
            return;
        };
        if listed.len() > crate::model::MAX_ID_BYTES {
            let path = self.layout.index_file();
            self.damaged(&path, None, None, "a listed id is over 1024 bytes");
            return;
        }
        let file_name = format!("{listed}{ENDING}");
        match self.files.remove(&file_name) {
            Some(kind) => self.new_file(&file_name, kind, true),
            // Listed under an entry that there is already.
            None if self.ids.contains_key(listed) || self.claimed.contains(&file_name) => {}
            // A list from before the conversation was removed.
            None if self.old.tombstone(listed).is_some() => {}
            None => {
                let mut row = Row::nothing(listed, &file_name, true, epoch());
                row.state = FileState::Missing;
                row.note = "message_store.json lists the conversation, and there is no file; put it there, or take the \
                            conversation away with `aral-store rm`"
                    .to_owned();
                // A name that could lead out of the directory is shown, and never joined to a path.
                if file_name.contains(['/', '\\', '\0']) || listed.is_empty() || file_name.len() > 255 {
                    row.file_name = String::new();
                }
                self.push(&row);
            }
        }
    }

    /// Takes in the files that nothing lists.
    fn unlisted(&mut self) {
        for (file_name, kind) in std::mem::take(&mut self.files) {
            self.new_file(&file_name, kind, false);
        }
    }

    fn new_file(&mut self, file_name: &str, kind: FileKind, is_listed: bool) {
        self.claimed.insert(file_name.to_owned());
        let path = self.layout.conversation(file_name);
        let read = match kind {
            FileKind::File => self.row(file_name, &path, is_listed),
            FileKind::Directory | FileKind::Other => Err(Error::invalid("not a regular file")),
        };
        let row = match read {
            Ok(Some(row)) => row,
            Ok(None) => return,
            Err(error) => {
                let row = Row::nothing(stem(file_name), file_name, is_listed, epoch());
                Row { state: FileState::Damaged, note: error.message().to_owned(), ..row }
            }
        };
        // A second file for one conversation is shown and kept; which is meant is not ours to guess.
        if let Some(own) = self.ids.get(&row.id) {
            stray::tell_second(&mut self.report.damaged, &path, &row.id, own);
            return;
        }
        if (self.reliance)(&row.id) != Reliance::FileAlone {
            stray::tell_in_log(&mut self.report.damaged, &path, &row.id);
            return;
        }
        if let Some(tombstone) = self.old.tombstone(&row.id) {
            // Whoever put it there may not know that it was removed; it stays as it is, and is not taken in.
            let reason = stray::of_removed(tombstone.id, tombstone.seq);
            self.damaged(&path, None, Some(&row.id), &reason);
            return;
        }
        if !is_listed && row.state == FileState::Intact {
            self.report.unlisted.push(path);
        }
        self.has_news = true;
        self.push(&row);
    }
}

/// The time of what has none.
fn epoch() -> Timestamp {
    Timestamp::EPOCH
}
