//! The writing of a chapter, from beginning to end.
//!
//! Owns the order: the bases, the batches, the entries, the table, the foot, and then its name. Does not know what is kept and for how long.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::chapter::{Chapter, Part};
use super::chapter_list::{EXTENSION, name};
use super::layout::{self, Layout};
use crate::codec::bytes::to_u64;
use crate::codec::chapter::{
    ChapterEntry, ChapterHead, MAX_BODY, RECORD_HEAD, encode_batch, encode_foot, record_head,
};
use crate::error::{Error, Result};
use crate::model::{Change, Seq};
use crate::vfs::{self, OpenMode, Vfs, VfsFile};

/// How much is written at once.
const WRITTEN_AT_ONCE: usize = 1 << 20;
/// A record that is being written.
#[derive(Debug, Default)]
struct Record {
    hash: crc32fast::Hasher,
    length: usize,
}

/// What was copied from another chapter, and is not led to yet.
pub(crate) struct Copied {
    /// Where each record stood, and where it stands now.
    moved: BTreeMap<u64, u64>,
    /// The entries of that chapter, as it had them.
    pub(crate) entries: Vec<ChapterEntry>,
}

/// A chapter that is being written.
pub(crate) struct Writer {
    file: Arc<dyn VfsFile>,
    unfinished: PathBuf,
    buffer: Vec<u8>,
    written: u64,
    /// The longest body of a record.
    pub(crate) longest: usize,
    entries: BTreeMap<String, ChapterEntry>,
    /// Of each conversation with events that were taken over the newest of them, unless it ended with that.
    taken_over: BTreeMap<String, Option<Seq>>,
}

impl Writer {
    /// Begins one, which has no name until it is finished.
    pub(crate) fn begin(vfs: &dyn Vfs, layout: &Layout, head: &ChapterHead) -> Result<Self> {
        let path = layout.archive().join(name(head.first, head.last));
        let unfinished = path.with_extension("tmp");
        layout::remove_file(vfs, &unfinished)?;
        let opened = vfs.open(&unfinished, OpenMode::CreateNew);
        let file = opened.map_err(|e| Error::io("create", &unfinished, e))?;
        Ok(Self::on(file, unfinished, head))
    }

    /// Begins one in a file that is empty, which errors name by this path.
    pub(crate) fn on(file: Arc<dyn VfsFile>, path: PathBuf, head: &ChapterHead) -> Self {
        let (entries, taken_over) = (BTreeMap::new(), BTreeMap::new());
        let (buffer, written, longest) = (head.encode(), 0, MAX_BODY);
        Self { file, unfinished: path, buffer, written, longest, entries, taken_over }
    }

    fn offset(&self) -> u64 {
        self.written + to_u64(self.buffer.len())
    }

    fn flush(&mut self) -> Result<()> {
        let written = vfs::write_all_at(&*self.file, &self.buffer, self.written);
        written.map_err(|e| Error::io("write", &self.unfinished, e))?;
        self.written += to_u64(self.buffer.len());
        self.buffer.clear();
        Ok(())
    }

    fn record(&mut self, body: &[u8]) -> Result<u64> {
        let offset = self.offset();
        self.begin_record();
        let mut record = Record::default();
        self.add_to(&mut record, body)?;
        self.end_record(offset, &record)?;
        Ok(offset)
    }

    /// Leaves room for what stands before a body.
    fn begin_record(&mut self) {
        self.buffer.extend([0; RECORD_HEAD]);
    }

    fn add_to(&mut self, record: &mut Record, piece: &[u8]) -> Result<()> {
        record.hash.update(piece);
        record.length += piece.len();
        self.buffer.extend(piece);
        if self.buffer.len() >= WRITTEN_AT_ONCE { self.flush() } else { Ok(()) }
    }

    /// Writes what stands before the body, now that it is known.
    fn end_record(&mut self, offset: u64, record: &Record) -> Result<()> {
        let head = record_head(offset, record.length, &record.hash);
        // A part of the head is on the disk if the room for it was.
        let place = offset.checked_sub(self.written).and_then(|place| usize::try_from(place).ok());
        match place.and_then(|place| self.buffer.get_mut(place..place + head.len())) {
            Some(room) => {
                room.copy_from_slice(&head);
                Ok(())
            }
            None => vfs::write_all_at(&*self.file, &head, offset)
                .map_err(|e| Error::io("write", &self.unfinished, e)),
        }
    }

    /// Takes over all that the chapter before has. This one must have been begun with the first event of that one.
    ///
    /// # Errors
    ///
    /// Corruption of that chapter; those of the system.
    pub(crate) fn take_over(&mut self, earlier: &Chapter) -> Result<()> {
        let mut ends = BTreeMap::new();
        let copied = self.copy(earlier, |offset, part| {
            let body = match part {
                Part::Base(body) => body,
                Part::Batch(body) => {
                    for event in earlier.all_events(offset, body)? {
                        let is_removed = matches!(event.event.change, Change::Remove { .. });
                        let end = (!is_removed).then_some(event.seq);
                        ends.insert(event.event.conversation_id.clone(), end);
                    }
                    body
                }
            };
            Ok(Some(Cow::Borrowed(body)))
        })?;
        self.link(copied);
        self.taken_over = ends;
        Ok(())
    }

    /// Writes the records of another chapter, each as it is given back, or not at all. Nothing leads to them until they are
    /// [linked](Self::link).
    ///
    /// # Errors
    ///
    /// Corruption of that chapter; whatever the visit gives; those of the system.
    pub(crate) fn copy(
        &mut self,
        other: &Chapter,
        mut visit: impl for<'b> FnMut(u64, &Part<'b>) -> Result<Option<Cow<'b, [u8]>>>,
    ) -> Result<Copied> {
        let mut moved = BTreeMap::new();
        let entries = other.read_through(|offset, part| {
            if let Some(body) = visit(offset, &part)? {
                moved.insert(offset, self.record(&body)?);
            }
            Ok(())
        })?;
        Ok(Copied { moved, entries })
    }

    /// Makes the entries of what was copied lead to it.
    pub(crate) fn link(&mut self, copied: Copied) {
        let moved = copied.moved;
        for mut entry in copied.entries {
            entry.base = entry.base.and_then(|base| moved.get(&base).copied());
            entry.batches.retain_mut(|batch| moved.get(batch).map(|moved| *batch = *moved).is_some());
            self.entries.insert(entry.id.clone(), entry);
        }
    }

    /// Whether what was taken over leads to what a conversation is when the events begin that are added: to its state after that event, or
    /// to its not being there. Nothing if it has nothing of the conversation.
    pub(crate) fn leads_to(&self, id: &str, end: Option<Seq>) -> Option<bool> {
        let entry = self.entries.get(id)?;
        Some(!entry.is_lost && self.taken_over.get(id) == Some(&end))
    }

    /// Takes note of what a conversation was, which is given a piece at a time. If that fails, or the pieces are too long for a record, takes
    /// note that it was there, and what was written of it is a record that nothing leads to. Says whether it was the first; nothing if
    /// there turns out to be no such conversation.
    ///
    /// # Errors
    ///
    /// Those of the pieces, and those of the system.
    pub(crate) fn base(
        &mut self,
        id: &str,
        pieces: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<bool>) -> Result<Option<bool>>,
    ) -> Result<Option<bool>> {
        let offset = self.offset();
        self.begin_record();
        let mut record = Record::default();
        let given = pieces(&mut |piece| {
            let fits = record.length.saturating_add(piece.len()) <= self.longest;
            if fits {
                self.add_to(&mut record, piece)?;
            }
            Ok(fits)
        });
        let is_whole = matches!(given, Ok(Some(true)));
        if !is_whole {
            record = self.blank(offset, record.length)?;
        }
        self.end_record(offset, &record)?;
        if !matches!(given, Ok(None)) {
            let base = is_whole.then_some(offset);
            let entry = ChapterEntry { id: id.to_owned(), base, is_lost: !is_whole, batches: Vec::new() };
            self.entries.insert(id.to_owned(), entry);
        }
        given
    }

    /// Leaves nothing of a body but its length: nobody would look for what it says in a record that nothing leads to.
    fn blank(&mut self, offset: u64, length: usize) -> Result<Record> {
        self.flush()?;
        let mut record = Record::default();
        let (zeros, mut at) = ([0; 4096], offset + to_u64(RECORD_HEAD));
        while record.length < length {
            let piece = zeros.get(..length - record.length).unwrap_or(&zeros);
            vfs::write_all_at(&*self.file, piece, at).map_err(|e| Error::io("write", &self.unfinished, e))?;
            record.hash.update(piece);
            record.length += piece.len();
            at += to_u64(piece.len());
        }
        Ok(record)
    }

    /// Adds a batch as it stood in the log, whose events are about these conversations.
    pub(crate) fn batch(
        &mut self,
        (first_seq, events, schema): (Seq, u32, u16),
        payload: &[u8],
        ids: &[String],
    ) -> Result<()> {
        let offset = self.record(&encode_batch(first_seq, events, schema, payload))?;
        for id in ids {
            let new = || ChapterEntry { id: id.clone(), ..ChapterEntry::default() };
            self.entries.entry(id.clone()).or_insert_with(new).batches.push(offset);
        }
        Ok(())
    }

    /// Writes what a chapter ends with.
    pub(crate) fn end(&mut self) -> Result<()> {
        let mut rows = Vec::new();
        for entry in std::mem::take(&mut self.entries).into_values() {
            rows.push((crc32fast::hash(entry.id.as_bytes()), self.record(&entry.encode())?));
        }
        rows.sort_unstable();
        let rows: Vec<u8> = rows
            .into_iter()
            .flat_map(|(hash, offset)| hash.to_le_bytes().into_iter().chain(offset.to_le_bytes()))
            .collect();
        let table = self.record(&rows)?;
        self.buffer.extend(encode_foot(table));
        self.flush()
    }

    /// Ends it and gives it its name. When this returns, it is durable.
    pub(crate) fn finish(mut self, vfs: &dyn Vfs, layout: &Layout) -> Result<()> {
        self.end()?;
        let path = self.unfinished.with_extension(EXTENSION);
        self.file.sync().map_err(|e| Error::io("sync", &self.unfinished, e))?;
        // Order: sync the file, then rename, then sync the directory. Reversed, a crash leaves a name on bytes that
        // never reached the disk.
        vfs.rename(&self.unfinished, &path).map_err(|e| Error::io("rename", &self.unfinished, e))?;
        layout::sync_dir(vfs, &layout.archive())
    }
}
