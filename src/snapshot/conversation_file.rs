//! A conversation's file from which single items are read.
//!
//! Owns where the file may be while a compaction is being published, when it is kept open for the next who reads
//! from it, and the reading ahead. Every item is held against its position's checksum, whichever way its bytes
//! came.

use std::cell::{Cell, RefCell};
use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

use super::file_cache::{FileCache, FileName};
use super::layout::Layout;
use crate::codec::bytes::{to_u64, to_usize};
use crate::error::{Error, Result};
use crate::index::Position;
use crate::vfs::{self, OpenMode, Vfs, VfsFile};

/// How far two items may lie apart and still count as neighbours: what stands between them is a comma, a line
/// break and an indentation.
const NEIGHBOURS: u64 = 64;
/// How much is read ahead at first, and at most: the more neighbours were read, the more follow.
const FIRST_AHEAD: usize = 16 << 10;
const MOST_AHEAD: usize = 1 << 20;
/// How much memory a thread keeps for its next window.
const MOST_SPARE: usize = 256 << 10;

thread_local! {
    /// The memory of the last window, so that the next one need not be filled with zeros before it is read into.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A file that items are read from. Not for several threads at a time.
#[derive(Debug)]
pub(crate) struct ConversationFile<'v> {
    vfs: &'v dyn Vfs,
    layout: &'v Layout,
    name: FileName<'v>,
    /// One that was kept open, or the first that was there of the places where it may be.
    file: Option<Arc<dyn VfsFile>>,
    /// Where it is kept for the next who reads from it.
    file_cache: Option<&'v FileCache>,
    cache_state: Cell<CacheState>,
    window: RefCell<Window>,
}

/// What is known of the file that was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum CacheState {
    /// Nothing yet.
    New,
    /// It is kept, because what was read from it was right.
    Kept,
    /// What was read from it was not right: it is not to be kept.
    Doubtful,
}

/// A part of the file that was read at once.
#[derive(Debug)]
struct Window {
    offset: u64,
    /// What was read, and behind it what an earlier window has left.
    memory: Vec<u8>,
    filled: usize,
    /// Where the last item ended.
    last_end: u64,
    ahead: usize,
    /// Up to where items will be read one after another, if that is known.
    expected_end: u64,
}

impl Window {
    fn get(&self, position: Position) -> Option<&[u8]> {
        let start = to_usize(position.offset().checked_sub(self.offset)?);
        self.memory.get(..self.filled)?.get(start..start.checked_add(position.len())?)
    }

    /// Reads an item into the window, and more behind it if the one before it, which ended there, was read before.
    fn read(&mut self, file: &dyn VfsFile, position: Position, last_end: u64) -> io::Result<()> {
        let distance = position.offset().checked_sub(last_end);
        let is_next = last_end > 0 && distance.is_some_and(|distance| distance <= NEIGHBOURS);
        self.ahead = if is_next { (self.ahead * 2).clamp(FIRST_AHEAD, MOST_AHEAD) } else { 0 };
        if let Some(expected) = self.expected_end.checked_sub(position.offset()).filter(|length| *length > 0)
        {
            self.ahead = to_usize(expected).min(MOST_AHEAD);
        }
        self.offset = position.offset();
        // What the file does not have, the window does not have either.
        self.filled = 0;
        let wanted = position.len().max(self.ahead);
        if self.memory.len() < wanted {
            // What an earlier window has left is not read any more, and need not be copied to where there is room.
            if self.memory.capacity() < wanted {
                self.memory = Vec::new();
            }
            self.memory
                .try_reserve_exact(wanted - self.memory.len())
                .map_err(|_| io::ErrorKind::OutOfMemory)?;
            self.memory.resize(wanted, 0);
        }
        while self.filled < position.len() {
            let rest = self.memory.get_mut(self.filled..wanted).unwrap_or_default();
            match file.read_at(rest, self.offset + to_u64(self.filled)) {
                Ok(0) => break,
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.filled = 0;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

/// One past the last byte of an item.
fn end_of(item: Position) -> u64 {
    item.offset() + to_u64(item.len())
}

impl Default for Window {
    fn default() -> Self {
        let memory = SPARE.try_with(Cell::take).unwrap_or_default();
        Self { offset: 0, memory, filled: 0, last_end: 0, ahead: 0, expected_end: 0 }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        if self.memory.capacity() <= MOST_SPARE {
            // A thread that is about to end has no use for it.
            SPARE.try_with(|spare| spare.set(mem::take(&mut self.memory))).ok();
        }
    }
}

impl<'v> ConversationFile<'v> {
    /// Opens the file wherever it may be.
    ///
    /// # Errors
    ///
    /// I/O errors. A file that is nowhere is found out when it is read.
    pub(crate) fn open(vfs: &'v dyn Vfs, layout: &'v Layout, name: FileName<'v>) -> Result<Self> {
        let mut opened = Self::unopened(vfs, layout, name);
        let first = opened.candidates().next().transpose()?;
        opened.file = first;
        Ok(opened)
    }

    /// Takes the file that is kept, or opens it and keeps it once what is read from it is right.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub(crate) fn kept(
        vfs: &'v dyn Vfs,
        layout: &'v Layout,
        name: FileName<'v>,
        file_cache: &'v FileCache,
    ) -> Result<Self> {
        let mut opened = Self { file_cache: Some(file_cache), ..Self::unopened(vfs, layout, name) };
        opened.file = file_cache.get(name);
        if opened.file.is_some() {
            opened.cache_state.set(CacheState::Kept);
            return Ok(opened);
        }
        let first = opened.candidates().next().transpose()?;
        opened.file = first;
        Ok(opened)
    }

    fn unopened(vfs: &'v dyn Vfs, layout: &'v Layout, name: FileName<'v>) -> Self {
        Self {
            vfs,
            layout,
            name,
            file: None,
            file_cache: None,
            cache_state: Cell::new(CacheState::New),
            window: RefCell::default(),
        }
    }

    /// The file's name in the snapshot. Put together when it is asked for: who reads from a kept file has no use for it.
    pub(crate) fn path(&self) -> PathBuf {
        self.layout.conversation(self.name.name)
    }

    /// The files that there are in the places where it may be. A compaction that is being published may move it
    /// from the second place to the first between two looks: hence the third.
    fn candidates(&self) -> impl Iterator<Item = Result<Arc<dyn VfsFile>>> {
        [false, true, false].into_iter().filter_map(|is_staged| {
            let staged = || self.layout.staged(self.name.epoch, self.name.ordinal);
            let path = if is_staged { staged() } else { self.path() };
            let open = || self.vfs.open(&path, OpenMode::Read);
            let opened = open().or_else(|error| match self.file_cache {
                // Some of those that are open may be ours, and can go; or another reader has just let go of them.
                Some(kept) if vfs::is_out_of_files(&error) => {
                    kept.let_go();
                    open()
                }
                _ => Err(error),
            });
            match opened {
                Ok(file) => Some(Ok(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => Some(Err(Error::io("open", &path, error))),
            }
        })
    }

    /// Says which items will be read, in which order: if they lie side by side, they are read at once.
    pub(crate) fn expect(&self, items: impl Iterator<Item = Position>) {
        let mut end = 0;
        for item in items.filter(|item| item.segment().is_none()) {
            let is_neighbour = item.offset().checked_sub(end).is_some_and(|distance| distance <= NEIGHBOURS);
            if end > 0 && !is_neighbour {
                break;
            }
            end = end_of(item);
        }
        self.window.borrow_mut().expected_end = end;
    }

    /// Calls with the bytes of an item.
    ///
    /// # Errors
    ///
    /// `Corrupt` if no candidate has there what the position proves; `Io`.
    pub(crate) fn with<T>(&self, position: Position, take: impl FnOnce(&[u8]) -> T) -> Result<T> {
        let window = &mut *self.window.borrow_mut();
        let last_end = mem::replace(&mut window.last_end, end_of(position));
        let bytes = match (window.get(position), &self.file) {
            (None, Some(file)) => {
                let read = window.read(&**file, position, last_end);
                read.map_err(|e| Error::io("read", &self.path(), e)).inspect_err(|_| self.doubt())?;
                window.get(position)
            }
            (bytes, _) => bytes,
        };
        if let Some(bytes) = bytes.filter(|bytes| position.proves(bytes)) {
            self.keep();
            return Ok(take(bytes));
        }
        self.doubt();
        self.elsewhere(position).map(|bytes| take(&bytes))
    }

    /// Keeps the file, from which something right was read.
    fn keep(&self) {
        if let (CacheState::New, Some(kept), Some(file)) =
            (self.cache_state.get(), self.file_cache, &self.file)
        {
            kept.keep(self.name, file);
            self.cache_state.set(CacheState::Kept);
        }
    }

    /// Sees that nobody else comes upon the file, from which something else was read than ought to be there.
    fn doubt(&self) {
        if let Some(kept) = self.file_cache {
            kept.forget(self.name);
        }
        self.cache_state.set(CacheState::Doubtful);
    }

    /// The bytes of an item that the file that was opened first does not have.
    fn elsewhere(&self, position: Position) -> Result<Vec<u8>> {
        let room = vfs::zeros(position.len());
        let mut bytes = room.map_err(|e| Error::io("read", &self.path(), e))?;
        for file in self.candidates() {
            match vfs::read_exact_at(&*file?, &mut bytes, position.offset()) {
                Ok(()) if position.proves(&bytes) => return Ok(bytes),
                Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                    return Err(Error::io("read", &self.path(), error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Err(Error::corrupt(&self.path(), position.offset(), "the file has changed since it was read"))
    }
}
