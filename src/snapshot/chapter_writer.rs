//! The writing of a chapter, from beginning to end.
//!
//! Owns the order: the bases, the batches, the entries, the table, the foot, and then its name. Does not know what is kept and for how long.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::chapter_list::name;
use super::layout::{self, Layout};
use crate::codec::bytes::to_u64;
use crate::codec::chapter::{
    ChapterEntry, ChapterHead, MAX_BODY, encode_base, encode_batch, encode_foot, record_head,
};
use crate::error::{Error, Result};
use crate::model::{HistoryBase, Seq};
use crate::vfs::{self, OpenMode, Vfs, VfsFile};

/// How much is written at once.
const WRITTEN_AT_ONCE: usize = 1 << 20;
/// A chapter that is being written.
pub(crate) struct Writer {
    file: Arc<dyn VfsFile>,
    unfinished: PathBuf,
    path: PathBuf,
    buffer: Vec<u8>,
    written: u64,
    /// The longest body of a record.
    pub(crate) longest: usize,
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
        Ok(Self { file, unfinished, path, buffer, written: 0, longest: MAX_BODY, entries })
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

    /// Takes note of what a conversation was; of one that cannot be read, or is too long for a record, that it was there. Says
    /// whether it was the first.
    pub(crate) fn base(&mut self, id: &str, base: Option<&HistoryBase>) -> Result<bool> {
        let body = base.and_then(encode_base).filter(|body| body.len() <= self.longest);
        let offset = match body {
            Some(body) => Some(self.record(&body)?),
            None => None,
        };
        let entry =
            ChapterEntry { id: id.to_owned(), base: offset, is_lost: offset.is_none(), batches: Vec::new() };
        self.entries.insert(id.to_owned(), entry);
        Ok(offset.is_some())
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
