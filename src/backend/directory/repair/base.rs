//! What a damaged store's checkpoints and JSON files still give.
//!
//! Owns which checkpoint is believed, what stands in for one that cannot be read, and which file is as
//! recorded. What is believed is written into the new store as its snapshot, byte for byte, with a checkpoint
//! that says the same of it. One flipped bit is turned back where a checksum tells which one it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::already_applied::AlreadyApplied;
use super::checkpoint_choice::CheckpointChoice;
use super::{is_no_damage, loss, readable};
use crate::backend::directory::checkpoint_file::read_checkpoint;
use crate::backend::directory::sync_pool::{SyncPool, with_sync_pool};
use crate::clock::{now_micros, random_id};
use crate::codec::checkpoint::{
    Checkpoint, CheckpointBuilder, CheckpointHead, Entry, FileState, Fingerprint,
};
use crate::codec::document::{DocumentWriter, scan_document};
use crate::codec::index_file::{IndexFile, read_index};
use crate::codec::segment::StoreId;
use crate::error::{Error, ErrorKind, Result};
use crate::index::Reliance;
use crate::log::inventory::{self, Inventory};
use crate::model::{JsonObject, RecoveryReport, RepairReport, Seq, Text};
use crate::snapshot::layout::{self, Layout};
use crate::snapshot::load::{is_same, not_as_recorded};
use crate::snapshot::names::stem;
use crate::snapshot::sink::{Sink, Syncs};
use crate::snapshot::{bit_flip, publish, reconcile};
use crate::vfs::{FileKind, Vfs};

/// Where the log goes on from.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) store_id: Option<StoreId>,
    pub(super) first_segment: u64,
    /// The first event that is not in the snapshot; none if nobody can say.
    pub(super) next_seq: Option<Seq>,
    /// Files of which the log may hold what is in them already.
    pub(super) ahead: AlreadyApplied,
    /// The checkpoint that is believed, of epoch 0 if there is none.
    pub(super) checkpoint: Checkpoint,
}

impl Base {
    /// Writes the new store's snapshot.
    pub(super) fn save(
        vfs: &dyn Vfs,
        source: &Layout,
        target: &Layout,
        inventory: &Inventory,
        report: &mut RepairReport,
    ) -> Result<Self> {
        let choice = CheckpointChoice::find(vfs, inventory, report)?;
        let mut work = Work { vfs, source, target, report, ahead: AlreadyApplied::default() };
        let choice = work.go_back(choice, inventory)?;
        for dir in [target.conversations(), target.log()] {
            layout::ensure_dir(vfs, &dir)?;
        }
        layout::sync_dir(vfs, target.root())?;
        let old = &choice.checkpoint;
        let is_known = old.head().epoch > 0;
        let store_id = is_known.then_some(old.head().store_id).or(choice.lost.map(|head| head.store_id));
        let next_seq = match (is_known, choice.lost) {
            (true, _) => Some(old.head().covered_seq + 1),
            (false, Some(head)) => Some(head.covered_seq + 1),
            (false, None) => None,
        };
        let first_segment = if is_known { old.head().first_segment } else { 1 };
        let oldest = inventory.segments.first().map_or(0, |(_, first, _)| first.saturating_sub(1));
        let covered_seq = next_seq.map_or(oldest, |next| next - 1);
        let snapshot = work.snapshot(&choice, inventory)?;
        with_sync_pool(snapshot.entries().count(), |pool| work.write(&choice, &snapshot, covered_seq, pool))?;
        let control = store_id.and_then(|id| inventory::read_control(vfs, &source.log(), id));
        if let Some(control) = control.filter(|c| c.checkpoint_epoch > choice.newest_epoch) {
            let reason = format!("checkpoint {} is missing: CONTROL names it", control.checkpoint_epoch);
            work.lose(&Error::corrupt(&source.log(), 0, reason), None);
        }
        Ok(Self { store_id, first_segment, next_seq, ahead: work.ahead, checkpoint: choice.checkpoint })
    }
}

struct Work<'w> {
    vfs: &'w dyn Vfs,
    source: &'w Layout,
    target: &'w Layout,
    report: &'w mut RepairReport,
    ahead: AlreadyApplied,
}

impl Work<'_> {
    fn lose(&mut self, error: &Error, id: Option<&str>) {
        self.report.lost.push(loss(error, id, None));
    }

    /// Goes by the checkpoint before, if a compaction was being published and not all of its files can be
    /// read: the log that it was to replace may still be there.
    fn go_back(&mut self, newest: CheckpointChoice, inventory: &Inventory) -> Result<CheckpointChoice> {
        let [.., (_, older), _] = inventory.checkpoints.as_slice() else { return Ok(newest) };
        let older = readable(read_checkpoint(self.vfs, older).map(Some))?;
        let Some(older) = older else { return Ok(newest) };
        let is_needed = older.head().first_segment;
        if newest.is_behind || !inventory.segments.iter().any(|(number, ..)| *number == is_needed) {
            return Ok(newest);
        }
        let (told, epoch) = (self.report.notes.len(), newest.checkpoint.head().epoch);
        let unread = newest
            .checkpoint
            .entries()
            .enumerate()
            // What is held is told by its checkpoint to be in no file.
            .filter(|(ordinal, _)| newest.checkpoint.held().of(*ordinal).is_none())
            .find_map(|(ordinal, entry)| self.file(&entry, &self.source.staged(epoch, ordinal)).err());
        self.report.notes.truncate(told);
        let Some(error) = unread else { return Ok(newest) };
        if is_no_damage(&error) {
            return Err(error);
        }
        self.report.notes.push(format!("a compaction was not finished, and gone back behind it: {error}"));
        Ok(CheckpointChoice {
            checkpoint: older,
            is_behind: true,
            lost: Some(*newest.checkpoint.head()),
            newer: Some(newest.checkpoint),
            ..newest
        })
    }

    /// The checkpoint with what is in the directory and not in it.
    fn snapshot(&mut self, choice: &CheckpointChoice, inventory: &Inventory) -> Result<Checkpoint> {
        // While a compaction is being published the files lie in two places, as the newest checkpoint says.
        // Staged files show that one is, even if the checkpoint before is gone.
        let epoch = choice.checkpoint.head().epoch;
        let is_staged = |ordinal: usize| {
            let staged = layout::probe(self.vfs, &self.source.staged(epoch, ordinal));
            staged.is_ok_and(|found| found.is_some())
        };
        let is_publishing =
            inventory.checkpoints.len() > 1 || (0..choice.checkpoint.entries().count()).any(is_staged);
        if !choice.is_behind && is_publishing {
            return Ok(choice.checkpoint.clone());
        }
        let mut found = RecoveryReport::default();
        // What is held was said of the file as it was recorded; it is found out below whether it is that still.
        let old = &choice.checkpoint;
        let reliance = |id: &str| {
            let ordinal = old.find(id);
            if ordinal.is_some_and(|ordinal| old.held().of(ordinal).is_some()) {
                return Reliance::LogAlone;
            }
            let path = ordinal.and_then(|ordinal| old.entry(ordinal));
            let path = path.map(|entry| self.source.conversation(entry.file_name));
            if path.is_some_and(|path| choice.has_published(self.vfs, &path)) {
                Reliance::WhateverIsThere
            } else {
                Reliance::FileAlone
            }
        };
        let reconciled = reconcile::reconcile(self.vfs, self.source, old, &reliance, &mut found)?;
        for path in found.unlisted.iter().filter(|path| !choice.has_published(self.vfs, path)) {
            self.report.notes.push(format!("not listed, and taken in: {}", path.display()));
        }
        // Files that cannot be read are found again as they are copied; the rest is told here.
        for file in found.damaged {
            let id = file.conversation_id.as_deref();
            if id.is_none_or(|id| old.tombstone(id).is_some()) {
                self.lose(&Error::new(ErrorKind::Corrupt, file.reason).at(&file.path, file.offset), id);
                self.quarantine(file.path.file_name().and_then(|name| name.to_str()).unwrap_or_default())?;
            }
        }
        let Some(bytes) = reconciled.checkpoint else { return Ok(choice.checkpoint.clone()) };
        Checkpoint::parse(Arc::new(bytes)).map_err(|bad| {
            Error::new(ErrorKind::Failed, format!("reconciling gave a bad checkpoint: {bad:?}"))
        })
    }

    /// Whether a file that was looked at is somebody else's than the one that was recorded.
    fn is_foreign(&self, found: &Entry<'_>, before: &Entry<'_>, choice: &CheckpointChoice) -> bool {
        let path = self.source.conversation(found.file_name);
        let has_changed = before.state == FileState::Intact && !is_same(&before.file, &found.file);
        has_changed && !choice.has_published(self.vfs, &path)
    }

    /// Writes every file that can be believed, and a checkpoint that says so.
    fn write(
        &mut self,
        choice: &CheckpointChoice,
        snapshot: &Checkpoint,
        covered_seq: Seq,
        pool: &SyncPool,
    ) -> Result<()> {
        let epoch = snapshot.head().epoch;
        let mut builder = CheckpointBuilder::default();
        let mut listed = Vec::new();
        let mut is_whole = true;
        for (ordinal, entry) in snapshot.entries().enumerate() {
            let staged = self.source.staged(epoch, ordinal);
            let before = choice.checkpoint.find(entry.id).and_then(|at| choice.checkpoint.entry(at));
            let entry = before.filter(|before| self.is_foreign(&entry, before, choice)).unwrap_or(entry);
            let bytes = match self.file(&entry, &staged) {
                Ok(bytes) => bytes,
                Err(error) if is_no_damage(&error) => return Err(error),
                Err(error) => {
                    is_whole = false;
                    self.lose(&error, Some(entry.id));
                    self.quarantine(entry.file_name)?;
                    let Some(known) = before.filter(|before| before.state == FileState::Intact) else {
                        continue;
                    };
                    let (bytes, head) = without_content(&known);
                    let file = self.put(known.file_name, &bytes, pool)?;
                    builder.entry(&Entry { file, ..head });
                    listed.push(Text::from(stem(known.file_name)));
                    continue;
                }
            };
            if entry.is_listed {
                listed.push(Text::from(stem(entry.file_name)));
            }
            let print = self.put(entry.file_name, &bytes, pool)?;
            let newer = choice.newer.as_ref();
            let published = newer.and_then(|newer| newer.entry(newer.find(entry.id)?));
            let published = published.filter(|published| is_same(&published.file, &print));
            if before.is_none_or(|before| !is_same(&before.file, &entry.file)) {
                let lost = choice.lost.filter(|_| newer.is_none() || published.is_some());
                self.ahead.note(entry.id, &bytes, lost);
            }
            let is_told = published.is_some() || (choice.is_behind && newer.is_none());
            if before.is_none() && !is_told {
                self.ahead.note_unlisted(entry.id, self.source.conversation(entry.file_name));
            }
            builder.entry(&Entry { file: print, ..published.unwrap_or(entry) });
        }
        for key in snapshot.keys() {
            builder.key(&key);
        }
        for tombstone in snapshot.tombstones() {
            builder.tombstone(&tombstone);
        }
        // Order: the files are durable before a checkpoint says so.
        pool.wait()?;
        layout::sync_dir(self.vfs, &self.target.conversations())?;
        let index_file = self.index_file(snapshot.head(), listed, is_whole)?;
        layout::sync_dir(self.vfs, self.target.root())?;
        let head = CheckpointHead {
            store_id: random_id(),
            epoch: 1,
            covered_seq,
            first_segment: 1,
            created_unix_micros: now_micros(),
            index_file,
        };
        publish::commit(self.vfs, self.target, 1, &builder.finish(&head))
    }

    fn put(&self, file_name: &str, bytes: &[u8], pool: &SyncPool) -> Result<Fingerprint> {
        let mut sink = Sink::create(self.vfs, &self.target.conversation(file_name))?;
        sink.write(bytes)?;
        sink.finish(pool)
    }

    /// The bytes of a conversation's file as they were recorded.
    fn file(&mut self, entry: &Entry<'_>, staged: &Path) -> Result<Vec<u8>> {
        let path = if entry.file_name.is_empty() {
            self.source.index_file()
        } else {
            self.source.conversation(entry.file_name)
        };
        if entry.state != FileState::Intact {
            return Err(Error::new(ErrorKind::Corrupt, entry.note).at(&path, entry.damage_offset()));
        }
        let mut error = Error::corrupt(&path, 0, "the conversation's file is missing");
        for place in [&*path, staged] {
            let (bytes, print) = match layout::read_file(self.vfs, place) {
                Ok(Some(read)) => read,
                Ok(None) => continue,
                Err(unread) if is_no_damage(&unread) => return Err(unread),
                Err(unread) => {
                    error = unread;
                    continue;
                }
            };
            let whole = if is_same(&print, &entry.file) {
                Some(bytes)
            } else {
                error = not_as_recorded(&bytes, &entry.file, place);
                let turned = bit_flip::turned_back(&bytes, entry.file.crc);
                let turned = turned.filter(|_| print.len == entry.file.len);
                if turned.is_some() {
                    let note = format!("one bit was flipped, and has been turned back: {error}");
                    self.report.notes.push(note);
                }
                turned
            };
            match whole.map(|bytes| (scan_document(&bytes), bytes)) {
                Some((Ok(_), bytes)) => return Ok(bytes),
                Some((Err(bad), _)) => error = Error::corrupt(place, bad.offset, bad.reason),
                None => {}
            }
        }
        self.elsewhere(entry, &path)?.ok_or(error)
    }

    /// The bytes that were recorded, under the name of another conversation's file.
    fn elsewhere(&mut self, entry: &Entry<'_>, own: &Path) -> Result<Option<Vec<u8>>> {
        let dir = self.source.conversations();
        for found in self.vfs.read_dir(&dir).unwrap_or_default() {
            let path = dir.join(&found.name);
            let may_be = found.name_is_exact && found.kind == FileKind::File;
            let length = layout::probe(self.vfs, &path).ok().flatten().map(|metadata| metadata.len);
            if !may_be || length != Some(entry.file.len) {
                continue;
            }
            let read = readable(layout::read_file(self.vfs, &path))?;
            let Some((bytes, print)) = read else { continue };
            if is_same(&print, &entry.file) && scan_document(&bytes).is_ok() {
                let (own, path) = (own.display(), path.display());
                self.report.notes.push(format!("what {own} ought to hold was found in {path}"));
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// Keeps a copy of a file that cannot be read, for whoever wants to look.
    fn quarantine(&mut self, file_name: &str) -> Result<()> {
        if file_name.is_empty() {
            return Ok(());
        }
        let read = layout::read_file(self.vfs, &self.source.conversation(file_name));
        let Some((bytes, print)) = readable(read)? else { return Ok(()) };
        let dir = self.target.quarantine();
        if layout::ensure_dir(self.vfs, &dir)? {
            layout::sync_dir(self.vfs, &self.target.log())?;
        }
        // Long names are cut, so that the copy's name stays within what a file system takes.
        let name: String = file_name.chars().take(50).collect();
        let number = self.report.quarantined.len();
        let copy: PathBuf = dir.join(format!("{name}.{number:x}-{:08x}", print.crc));
        layout::write_file(self.vfs, &copy, &bytes)?;
        layout::sync_dir(self.vfs, &dir)?;
        self.report.quarantined.push(copy);
        Ok(())
    }

    /// Writes the list of conversations, with whatever else stands in it.
    fn index_file(
        &mut self,
        head: &CheckpointHead,
        listed: Vec<Text>,
        is_whole: bool,
    ) -> Result<Option<Fingerprint>> {
        let path = self.source.index_file();
        let found = match layout::read_file(self.vfs, &path) {
            Ok(found) => found.map(|(bytes, _)| bytes),
            Err(error) if is_no_damage(&error) => return Err(error),
            Err(error) => {
                self.lose(&error, None);
                None
            }
        };
        let Some(bytes) = found else { return Ok(None) };
        let is_recorded =
            |bytes: &[u8]| head.index_file.is_some_and(|recorded| crc32fast::hash(bytes) == recorded.crc);
        let turned = head.index_file.and_then(|recorded| bit_flip::turned_back(&bytes, recorded.crc));
        let bytes = turned.filter(|turned| is_recorded(turned)).unwrap_or(bytes);
        match read_index(&bytes) {
            Ok(_) if is_whole && is_recorded(&bytes) => {
                layout::write_file(self.vfs, &self.target.index_file(), &bytes).map(Some)
            }
            Ok(base) => {
                let bytes = base.with_ids(listed).write();
                layout::write_file(self.vfs, &self.target.index_file(), &bytes).map(Some)
            }
            Err(bad) => {
                self.lose(&Error::corrupt(&path, bad.offset, bad.reason), None);
                let bytes = IndexFile::default().with_ids(listed).write();
                layout::write_file(self.vfs, &self.target.index_file(), &bytes).map(Some)
            }
        }
    }
}

/// What a checkpoint knows of a conversation whose file is lost: its title and its times.
fn without_content<'e>(known: &Entry<'e>) -> (Vec<u8>, Entry<'e>) {
    let title = Text::from_wtf8(known.title.to_vec()).unwrap_or_default();
    let nothing = JsonObject::EMPTY;
    let mut writer = DocumentWriter::new(&Text::from(known.id), &title, known.created_at, &nothing, &nothing);
    writer.finish();
    let entry = Entry { messages: 0, actions: 0, note: "", is_canonical: true, is_listed: true, ..*known };
    (writer.buffered().to_vec(), entry)
}
