//! Chapters as files: one for each compaction of a store that keeps its history.
//!
//! Owns their names, the writing of one from beginning to end, the finding of one conversation in one, and the reading of
//! all of it. Nothing of the present depends on them. Does not know what is kept and for how long.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::layout::{self, Layout};
use crate::codec::bytes::to_u64;
use crate::codec::chapter::{
    BadChapter, ChapterEntry, ChapterHead, FOOT_LEN, HEAD_LEN, RECORD_HEAD, decode_base, decode_batch,
    decode_foot, decode_record_head, encode_base, encode_batch, encode_foot, record_crc, record_head,
};
use crate::codec::payload::{BadPayload, for_each_event, too_new};
use crate::error::{Error, ErrorKind, Result};
use crate::log::segment::UNFINISHED;
use crate::model::{HistoryBase, PastEvent, Seq};
use crate::vfs::{self, FileKind, OpenMode, Vfs, VfsFile};

const ENDING: &str = ".chapter";
/// How much is written at once.
const WRITTEN_AT_ONCE: usize = 1 << 20;
/// How long an entry of the table is: the CRC-32 of an id, and where its record is.
const ROW: usize = 12;

/// A chapter's file, by its name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Named {
    pub(crate) last: Seq,
    pub(crate) first: Seq,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

fn name(first: Seq, last: Seq) -> String {
    format!("{first:016x}-{last:016x}{ENDING}")
}

fn parse_name(text: &str) -> Option<(Seq, Seq)> {
    let (first, last) = text.strip_suffix(ENDING)?.split_once('-')?;
    let parsed = (u64::from_str_radix(first, 16).ok()?, u64::from_str_radix(last, 16).ok()?);
    (name(parsed.0, parsed.1) == text && 0 < parsed.0 && parsed.0 <= parsed.1).then_some(parsed)
}

/// The chapters that there are, those that end first before the others.
pub(crate) fn list(vfs: &dyn Vfs, layout: &Layout) -> Result<Vec<Named>> {
    let dir = layout.archive();
    let mut found = Vec::new();
    for entry in layout::list_dir(vfs, &dir)? {
        if let Some((first, last)) = parse_name(&entry.name).filter(|_| entry.kind == FileKind::File) {
            let path = dir.join(&entry.name);
            let bytes = layout::probe(vfs, &path)?.map_or(0, |metadata| metadata.len);
            found.push(Named { last, first, path, bytes });
        }
    }
    found.sort();
    Ok(found)
}

/// Removes what was not finished. Only for whoever keeps others from writing one.
pub(crate) fn remove_unfinished(vfs: &dyn Vfs, layout: &Layout) -> Result<()> {
    let dir = layout.archive();
    for entry in layout::list_dir(vfs, &dir)? {
        if entry.kind == FileKind::File && entry.name.ends_with(UNFINISHED) {
            layout::remove_file(vfs, &dir.join(&entry.name))?;
        }
    }
    Ok(())
}

/// Those of them that lead up to an event without a gap, oldest first.
pub(crate) fn chain(mut all: Vec<Named>, through: Seq) -> Vec<Named> {
    let (mut chain, mut end) = (Vec::new(), through);
    while let Some(named) = all.pop() {
        // Of two that end alike, which a compaction that failed may leave, the longer one has all of the other.
        if named.last == end {
            let longest = all.iter().position(|other| other.last == end && other.first < named.first);
            let named = longest.map_or(named, |at| all.remove(at));
            end = named.first - 1;
            chain.push(named);
        }
    }
    chain.reverse();
    chain
}

/// The newest events that no chapter has although one has older ones. Dropping the oldest leaves no such gap.
pub(crate) fn gap(all: &[Named], through: Seq) -> Option<(Seq, Seq)> {
    let first = chain(all.to_vec(), through).first().map_or(through + 1, |named| named.first);
    let before = all.iter().map(|named| named.last).filter(|last| *last < first).max()?;
    Some((before + 1, first - 1))
}

/// What is said of such a gap.
pub(crate) fn gap_in_words((first, last): (Seq, Seq), layout: &Layout) -> String {
    format!(
        "the history of events {first} to {last} is missing in {}, and what it keeps of older ones leads to nothing",
        layout.archive().display()
    )
}

/// A chapter that is being written.
pub(crate) struct Writer {
    file: Arc<dyn VfsFile>,
    unfinished: PathBuf,
    path: PathBuf,
    buffer: Vec<u8>,
    written: u64,
    entries: BTreeMap<String, ChapterEntry>,
}

impl Writer {
    /// Begins one, which has no name until it is finished.
    pub(crate) fn begin(vfs: &dyn Vfs, layout: &Layout, head: &ChapterHead) -> Result<Self> {
        let path = layout.archive().join(name(head.first, head.last));
        let unfinished = path.with_extension("tmp");
        layout::remove_file(vfs, &unfinished)?;
        let opened = vfs.open(&unfinished, OpenMode::CreateNew);
        let file = opened.map_err(|e| Error::io("create", &unfinished, e))?;
        let (buffer, entries) = (head.encode(), BTreeMap::new());
        Ok(Self { file, unfinished, path, buffer, written: 0, entries })
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
        self.buffer.extend(record_head(offset, body));
        self.buffer.extend(body);
        if self.buffer.len() >= WRITTEN_AT_ONCE {
            self.flush()?;
        }
        Ok(offset)
    }

    /// Takes note of what a conversation was; of one that cannot be read, that it was there.
    pub(crate) fn base(&mut self, id: &str, base: Option<&HistoryBase>) -> Result<()> {
        let offset = match base.and_then(encode_base) {
            Some(body) => Some(self.record(&body)?),
            None => None,
        };
        let entry =
            ChapterEntry { id: id.to_owned(), base: offset, is_lost: offset.is_none(), batches: Vec::new() };
        self.entries.insert(id.to_owned(), entry);
        Ok(())
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

    /// Ends it and gives it its name. When this returns, it is durable.
    pub(crate) fn finish(mut self, vfs: &dyn Vfs, layout: &Layout) -> Result<()> {
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
        self.flush()?;
        self.file.sync().map_err(|e| Error::io("sync", &self.unfinished, e))?;
        // Order: sync the file, then rename, then sync the directory. Reversed, a crash leaves a name on bytes that
        // never reached the disk.
        vfs.rename(&self.unfinished, &self.path).map_err(|e| Error::io("rename", &self.unfinished, e))?;
        layout::sync_dir(vfs, &layout.archive())
    }
}

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

    fn bad(&self, offset: u64, reason: &str) -> Error {
        damaged(&self.path, offset, reason, (self.head.first, self.head.last))
    }

    /// The body of the record at an offset, and where the next one begins.
    fn record(&self, offset: u64) -> Result<(Vec<u8>, u64)> {
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

    fn table(&self) -> Result<(u64, Vec<u8>)> {
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

    /// Adds the events of a batch, or those of one conversation, and gives the number behind its last one.
    fn batch(&self, offset: u64, body: &[u8], id: Option<&str>, found: &mut Vec<PastEvent>) -> Result<Seq> {
        let bad = |reason: &str| self.bad(offset, reason);
        let (batch, events, schema, payload) =
            decode_batch(body).ok_or_else(|| bad("a batch is cut short"))?;
        if let Some(reason) = too_new(schema) {
            return Err(Error::new(ErrorKind::UnsupportedFormat, reason).at(&self.path, Some(offset)));
        }
        let mut seq = batch;
        let read = for_each_event::<BadPayload>(payload, events, |view, _| {
            if id.is_none_or(|id| view.conversation.with_bytes(|bytes| bytes == id.as_bytes())) {
                found.push(PastEvent::new(seq, batch, view.to_event()?));
            }
            seq += 1;
            Ok(())
        });
        read.map_err(|damage| bad(&damage.0))?;
        Ok(seq)
    }

    /// Reads all of it.
    ///
    /// # Errors
    ///
    /// Corruption, naming the events that the chapter holds.
    pub(crate) fn check(&self) -> Result<()> {
        let (table, rows) = self.table()?;
        let (mut at, mut kinds) = (to_u64(HEAD_LEN), BTreeMap::new());
        for row in rows.chunks_exact(ROW) {
            let offset =
                row.get(4..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes));
            let body = self.record(offset)?.0;
            let entry = ChapterEntry::decode(&body);
            let entry = entry.ok_or_else(|| self.bad(offset, "an entry of the table is cut short"))?;
            kinds.extend(entry.base.map(|base| (base, true)));
            kinds.extend(entry.batches.into_iter().map(|batch| (batch, false)));
        }
        let mut next = self.head.first;
        while at < table {
            let (body, behind) = self.record(at)?;
            match kinds.get(&at) {
                Some(true) => drop(decode_base(&body).map_err(|damage| self.bad(at, &damage.0))?),
                Some(false) => {
                    let first = decode_batch(&body).map(|(first, ..)| first);
                    if first != Some(next) {
                        return Err(self.bad(at, "a batch does not follow the one before it"));
                    }
                    next = self.batch(at, &body, None, &mut Vec::new())?;
                }
                None => {}
            }
            at = behind;
        }
        if next == self.head.last + 1 { Ok(()) } else { Err(self.bad(table, "events are missing")) }
    }
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

    #[test]
    fn a_chain_goes_back_to_the_first_gap_and_over_what_a_failed_compaction_left() {
        let named = |(first, last): (u64, u64)| Named {
            last,
            first,
            path: PathBuf::from(name(first, last)),
            bytes: 1,
        };
        let chained = |all: &[(u64, u64)], through| -> Vec<(u64, u64)> {
            let mut all: Vec<Named> = all.iter().map(|pair| named(*pair)).collect();
            all.sort();
            chain(all, through).into_iter().map(|named| (named.first, named.last)).collect()
        };
        assert_eq!(chained(&[(1, 4), (5, 9)], 9), [(1, 4), (5, 9)]);
        assert_eq!(chained(&[(1, 3), (5, 9)], 9), [(5, 9)]);
        assert_eq!(chained(&[(1, 4), (5, 9)], 10), []);
        assert_eq!(chained(&[(1, 4), (5, 7), (5, 9)], 9), [(1, 4), (5, 9)]);
        let missing = |all: &[(u64, u64)], through| {
            gap(&all.iter().map(|pair| named(*pair)).collect::<Vec<_>>(), through)
        };
        assert_eq!(missing(&[(5, 9), (10, 12)], 12), None);
        assert_eq!(missing(&[(1, 3), (5, 9)], 9), Some((4, 4)));
        assert_eq!(missing(&[(1, 3), (4, 9)], 12), Some((10, 12)));
        assert_eq!(missing(&[(1, 4), (5, 7), (5, 9), (10, 11)], 9), None);
        assert_eq!(parse_name(&name(5, 9)), Some((5, 9)));
        assert_eq!(parse_name("5-9.chapter"), None);
    }
}
