//! The reading of a chapter: what a compaction of a store that keeps its history has covered.
//!
//! Owns the finding of one conversation in one, and the reading of all of it. Nothing of the present depends on them. Does
//! not know what is kept and for how long.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chapter_list::Named;
use crate::codec::bytes::{has_room, to_u64};
use crate::codec::chapter::{
    BadChapter, ChapterEntry, ChapterHead, FOOT_LEN, HEAD_LEN, RECORD_HEAD, check_base, decode_base,
    decode_batch, decode_foot, decode_record_head, record_crc,
};
use crate::codec::payload::{BadPayload, EventView, for_each_event, too_new};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{HistoryBase, PastEvent, Seq};
use crate::vfs::{self, OpenMode, Vfs, VfsFile};

/// How long an entry of the table is: the CRC-32 of an id, and where its record is.
const ROW: usize = 12;

/// A chapter that can be read from.
#[derive(Debug)]
pub(crate) struct Chapter {
    path: PathBuf,
    pub(crate) head: ChapterHead,
    file: Arc<dyn VfsFile>,
    length: u64,
}

impl Chapter {
    pub(crate) fn open(vfs: &dyn Vfs, named: &Named) -> Result<Self> {
        let path = &named.path;
        let file = vfs.open(path, OpenMode::Read).map_err(|e| Error::io("open", path, e))?;
        Self::in_file(named, file)
    }

    /// The one in a file that is open.
    pub(crate) fn in_file(named: &Named, file: Arc<dyn VfsFile>) -> Result<Self> {
        let path = &named.path;
        let length = file.metadata().map_err(|e| Error::io("look at", path, e))?.len;
        if length < to_u64(HEAD_LEN + FOOT_LEN) {
            return Err(damaged(
                path,
                0,
                "the file is shorter than an empty chapter",
                (named.first, named.last),
            ));
        }
        let head = ChapterHead::decode(&read(&*file, path, 0, HEAD_LEN)?).map_err(|bad| match bad {
            BadChapter::Newer(format) => Error::new(
                ErrorKind::UnsupportedFormat,
                format!("format {format} of a history is newer than this software, which reads format 1"),
            )
            .at(path, Some(8)),
            BadChapter::Damaged(reason) => damaged(path, 0, reason, (named.first, named.last)),
        })?;
        if (head.first, head.last) != (named.first, named.last) {
            return Err(damaged(path, 0, "the head belongs to another file name", (named.first, named.last)));
        }
        Ok(Self { path: path.clone(), head, file, length })
    }

    /// The error for what is wrong with it at an offset.
    pub(super) fn bad(&self, offset: u64, reason: &str) -> Error {
        damaged(&self.path, offset, reason, (self.head.first, self.head.last))
    }

    /// The body of the record at an offset, and where the next one begins.
    pub(super) fn record(&self, offset: u64) -> Result<(Vec<u8>, u64)> {
        let bad = |reason| self.bad(offset, reason);
        let end = self.length.saturating_sub(to_u64(FOOT_LEN));
        let start = offset.checked_add(to_u64(RECORD_HEAD)).filter(|start| *start <= end);
        let start = start.ok_or_else(|| bad("a record lies outside of the chapter"))?;
        let head = read(&*self.file, &self.path, offset, RECORD_HEAD)?;
        let (length, crc) = decode_record_head(&head).ok_or_else(|| bad("a record is too long"))?;
        if start + to_u64(length) > end {
            return Err(bad("a record goes on behind the chapter's end"));
        }
        let body = read(&*self.file, &self.path, start, length)?;
        if record_crc(offset, &body) != crc {
            return Err(bad("a record does not have its checksum"));
        }
        Ok((body, start + to_u64(length)))
    }

    pub(super) fn table(&self) -> Result<(u64, Vec<u8>)> {
        let at = self.length - to_u64(FOOT_LEN);
        let foot = read(&*self.file, &self.path, at, FOOT_LEN)?;
        let table = decode_foot(&foot)
            .ok_or_else(|| self.bad(at, "the chapter's foot does not have its checksum"))?;
        Ok((table, self.record(table)?.0))
    }

    /// What it has of a conversation.
    pub(crate) fn entry(&self, id: &str) -> Result<Option<ChapterEntry>> {
        let (_, table) = self.table()?;
        let hash = crc32fast::hash(id.as_bytes()).to_le_bytes();
        for row in table.chunks_exact(ROW).filter(|row| row.starts_with(&hash)) {
            let offset =
                row.get(4..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes));
            let body = self.record(offset)?.0;
            let entry = ChapterEntry::decode(&body);
            let entry = entry.ok_or_else(|| self.bad(offset, "an entry of the table is cut short"))?;
            if entry.id == id {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// What a conversation was when the chapter begins.
    pub(crate) fn base(&self, offset: u64) -> Result<HistoryBase> {
        let body = self.record(offset)?.0;
        decode_base(&body).map_err(|bad| self.bad(offset, &bad.0))
    }

    /// A conversation's events in some batches.
    pub(crate) fn events(&self, entry: &ChapterEntry) -> Result<Vec<PastEvent>> {
        let mut found = Vec::new();
        for offset in &entry.batches {
            self.batch(*offset, &self.record(*offset)?.0, Some(&entry.id), &mut found)?;
        }
        Ok(found)
    }

    /// Adds the events of a batch, or those of one conversation.
    fn batch(&self, offset: u64, body: &[u8], id: Option<&str>, found: &mut Vec<PastEvent>) -> Result<()> {
        let mut seq = decode_batch(body).map_or(0, |(first, ..)| first);
        let batch = seq;
        self.for_each(offset, body, |view| {
            if id.is_none_or(|id| view.conversation.with_bytes(|bytes| bytes == id.as_bytes())) {
                found.push(PastEvent::new(seq, batch, view.to_event()?));
            }
            seq += 1;
            Ok(())
        })?;
        Ok(())
    }

    /// Takes a batch apart, and gives the number behind its last event.
    fn for_each(
        &self,
        offset: u64,
        body: &[u8],
        mut visit: impl FnMut(&EventView<'_>) -> std::result::Result<(), BadPayload>,
    ) -> Result<Seq> {
        let bad = |reason: &str| self.bad(offset, reason);
        let (first, events, schema, payload) =
            decode_batch(body).ok_or_else(|| bad("a batch is cut short"))?;
        if let Some(reason) = too_new(schema) {
            return Err(Error::new(ErrorKind::UnsupportedFormat, reason).at(&self.path, Some(offset)));
        }
        let read = for_each_event::<BadPayload>(payload, events, |view, _| visit(view));
        read.map_err(|damage| bad(&damage.0))?;
        Ok(first + u64::from(events))
    }

    /// All events of a batch that was read through.
    pub(crate) fn all_events(&self, offset: u64, body: &[u8]) -> Result<Vec<PastEvent>> {
        if !has_room(body.len().saturating_mul(2)) {
            let reason = format!("there is no memory for what is {} bytes long", body.len());
            return Err(Error::new(ErrorKind::OutOfMemory, reason).at(&self.path, Some(offset)));
        }
        let mut found = Vec::new();
        self.batch(offset, body, None, &mut found)?;
        Ok(found)
    }

    /// Reads all of it, in order, and gives the entries.
    ///
    /// # Errors
    ///
    /// Corruption, naming the events that the chapter holds; whatever the visit gives.
    pub(crate) fn read_through(
        &self,
        mut visit: impl FnMut(u64, Part<'_>) -> Result<()>,
    ) -> Result<Vec<ChapterEntry>> {
        let (table, rows) = self.table()?;
        let (mut at, mut kinds, mut entries) = (to_u64(HEAD_LEN), BTreeMap::new(), Vec::new());
        for row in rows.chunks_exact(ROW) {
            let offset =
                row.get(4..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes));
            let body = self.record(offset)?.0;
            let entry = ChapterEntry::decode(&body);
            let entry = entry.ok_or_else(|| self.bad(offset, "an entry of the table is cut short"))?;
            kinds.extend(entry.base.map(|base| (base, true)));
            kinds.extend(entry.batches.iter().map(|batch| (*batch, false)));
            entries.push(entry);
        }
        let mut next = self.head.first;
        while at < table {
            let (body, behind) = self.record(at)?;
            match kinds.get(&at) {
                Some(true) => visit(at, Part::Base(&body))?,
                Some(false) => {
                    let first = decode_batch(&body).map(|(first, ..)| first);
                    if first != Some(next) {
                        return Err(self.bad(at, "a batch does not follow the one before it"));
                    }
                    next = self.for_each(at, &body, |_| Ok(()))?;
                    visit(at, Part::Batch(&body))?;
                }
                None => {}
            }
            at = behind;
        }
        if next == self.head.last + 1 { Ok(entries) } else { Err(self.bad(table, "events are missing")) }
    }

    /// Reads all of it, and names the conversations that were there before it and of which it does not say what they were.
    ///
    /// # Errors
    ///
    /// Those of [`read_through`](Self::read_through).
    pub(crate) fn check(&self) -> Result<Vec<String>> {
        let entries = self.read_through(|offset, part| match part {
            Part::Base(body) => check_base(body).map_err(|damage| self.bad(offset, &damage.0)),
            Part::Batch(_) => Ok(()),
        })?;
        Ok(entries.into_iter().filter(|entry| entry.is_lost).map(|entry| entry.id).collect())
    }
}

/// A record of a chapter.
#[derive(Debug)]
pub(crate) enum Part<'b> {
    Base(&'b [u8]),
    Batch(&'b [u8]),
}

fn damaged(path: &Path, offset: u64, reason: &str, (first, last): (Seq, Seq)) -> Error {
    let text = format!(
        "{reason}; it keeps the history of events {first} to {last}, on which nothing of the present depends"
    );
    Error::corrupt(path, offset, text)
}

fn read(file: &dyn VfsFile, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>> {
    let read = vfs::zeros(length).and_then(|mut bytes| {
        vfs::read_exact_at(file, &mut bytes, offset)?;
        Ok(bytes)
    });
    read.map_err(|e| Error::io("read", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::chapter::encode_base;
    use crate::codec::payload::{EventView, encode_event};
    use crate::model::{Change, Conversation, Event, HistoryBase, Timestamp};
    use crate::snapshot::chapter_list;
    use crate::snapshot::chapter_writer::Writer;
    use crate::snapshot::layout::{self, Layout};
    use crate::vfs::OsVfs;

    #[test]
    fn a_conversation_that_is_too_long_for_a_record_is_told_when_it_is_left_out_and_when_the_chapter_is_read()
    {
        let dir = tempfile::tempdir().unwrap();
        let (vfs, layout) = (OsVfs, Layout::new(dir.path()));
        for dir in [layout.log(), layout.archive()] {
            assert!(layout::ensure_dir(&vfs, &dir).unwrap());
        }
        let head = ChapterHead { store_id: [7; 16], first: 3, last: 3, created_unix_micros: 0 };
        let mut writer = Writer::begin(&vfs, &layout, &head).unwrap();
        writer.longest = 200;
        let base = |id: &str, title: usize| {
            let mut conversation = Conversation::new(id, Timestamp::EPOCH);
            conversation.title = "t".repeat(title).into();
            HistoryBase::new(conversation, 2, Timestamp::EPOCH)
        };
        let mut note = |id: &str, bytes: &[u8]| {
            writer.base(id, |add| {
                for piece in bytes.chunks(7) {
                    if !add(piece)? {
                        return Ok(Some(false));
                    }
                }
                Ok(Some(true))
            })
        };
        assert_eq!(note("short", &encode_base(&base("short", 10)).unwrap()).unwrap(), Some(true));
        assert_eq!(note("long", &encode_base(&base("long", 300)).unwrap()).unwrap(), Some(false));
        let damaged = Error::new(ErrorKind::Corrupt, "damaged");
        let failed = writer.base("damaged", |add| {
            assert!(add(b"what there is of it")?);
            Err(damaged)
        });
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(writer.base("absent", |_| Ok(None)).unwrap(), None);
        let mut payload = Vec::new();
        let event = Event::new("short", Change::Clear);
        encode_event(&EventView::of(&event, 0), &mut payload).unwrap();
        writer.batch((3, 1, 1), &payload, &["short".to_owned()]).unwrap();
        writer.finish(&vfs, &layout).unwrap();
        let named = chapter_list::list(&vfs, &layout).unwrap().remove(0);
        let chapter = Chapter::open(&vfs, &named).unwrap();
        let entry = |id| chapter.entry(id).unwrap().unwrap();
        assert_eq!(chapter.base(entry("short").base.unwrap()).unwrap(), base("short", 10));
        assert_eq!((entry("long").base, entry("long").is_lost), (None, true));
        assert_eq!(chapter.entry("absent").unwrap(), None);
        let bytes = vfs::read_all(&*chapter.file, 1 << 20).unwrap();
        let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(
            holds(b"tttttttttt") && !holds(&[b't'; 11]) && !holds(b"what there is"),
            "nothing is left of them"
        );
        let mut told = chapter.check().unwrap();
        told.sort();
        assert_eq!(told, ["damaged", "long"]);
    }
}
