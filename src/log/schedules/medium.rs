//! A file system for the search: a step at each call, and one call that goes wrong.
//!
//! Owns the bytes as they were written and as they were when they were last synced. It has just what the
//! log needs of a file system; everything else is refused. Knows nothing of what the files mean.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use shuttle::thread;

use crate::vfs::{DirEntry, FileKind, Lock, Mapping, Metadata, OpenMode, Vfs, VfsFile};

/// The calls that can go wrong; the header of a segment counts among the writes, its making among the syncs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Call {
    Write,
    Sync,
    Allocate,
}

/// How a call goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ill {
    Fails,
    Panics,
}

/// The files, by name.
#[derive(Debug)]
pub(super) struct Medium {
    files: Mutex<HashMap<PathBuf, Arc<File>>>,
    ill: Arc<Option<Illness>>,
}

#[derive(Debug)]
struct Illness {
    call: Call,
    left: AtomicUsize,
    how: Ill,
}

#[derive(Debug)]
struct File {
    written: Mutex<Vec<u8>>,
    synced: Mutex<Vec<u8>>,
    ill: Arc<Option<Illness>>,
}

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl Medium {
    /// Empty; the call of this number, counted from 0, goes wrong.
    pub(super) fn new(ill: Option<(Call, usize, Ill)>) -> Arc<Self> {
        let ill = ill.map(|(call, nth, how)| Illness { call, left: AtomicUsize::new(nth + 1), how });
        Arc::new(Self { files: Mutex::default(), ill: Arc::new(ill) })
    }

    /// Whether the planned call has failed.
    pub(super) fn has_failed(&self) -> bool {
        let ill = self.ill.as_ref().as_ref();
        ill.is_some_and(|ill| ill.how == Ill::Fails && ill.left.load(Ordering::Relaxed) == 0)
    }

    /// Whether a sync has covered these bytes.
    pub(super) fn is_durable(&self, path: &Path, offset: u64, bytes: &[u8]) -> bool {
        let files = self.files.lock().unwrap();
        let synced = files[path].synced.lock().unwrap();
        synced.get(place(offset)..place(offset) + bytes.len()) == Some(bytes)
    }
}

impl File {
    /// A step of the search, which may be the one that goes wrong.
    fn step(&self, call: Call) -> io::Result<()> {
        thread::yield_now();
        let Some(ill) = self.ill.as_ref().as_ref().filter(|ill| ill.call == call) else { return Ok(()) };
        let left = ill.left.load(Ordering::Relaxed);
        ill.left.store(left.saturating_sub(1), Ordering::Relaxed);
        if left != 1 {
            return Ok(());
        }
        match ill.how {
            Ill::Fails => Err(io::Error::from_raw_os_error(5)),
            Ill::Panics => panic!("the leader dies on purpose"),
        }
    }
}

impl VfsFile for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let written = self.written.lock().unwrap();
        let rest = written.get(place(offset)..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.step(Call::Write)?;
        let mut written = self.written.lock().unwrap();
        written[place(offset)..place(offset) + bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.step(Call::Allocate)?;
        self.written.lock().unwrap().resize(place(length), 0);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.written.lock().unwrap().truncate(place(length));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        // What is written while the sync is under way need not be covered by it.
        let before = self.written.lock().unwrap().clone();
        self.step(Call::Sync)?;
        *self.synced.lock().unwrap() = before;
        Ok(())
    }

    fn metadata(&self) -> io::Result<Metadata> {
        refused()
    }

    fn map(&self) -> io::Result<Option<Arc<dyn Mapping>>> {
        Ok(None)
    }
}

impl Vfs for Medium {
    fn open(&self, path: &Path, how: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        // The log works without CONTROL, in fewer steps.
        if how != OpenMode::CreateNew || !path.to_string_lossy().contains(".seg") {
            return refused();
        }
        let ill = Arc::clone(&self.ill);
        let file = Arc::new(File { written: Mutex::default(), synced: Mutex::default(), ill });
        self.files.lock().unwrap().insert(path.to_owned(), Arc::<File>::clone(&file));
        Ok(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.files.lock().unwrap();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.files.lock().unwrap().remove(path);
        Ok(())
    }

    fn create_dir(&self, _path: &Path) -> io::Result<()> {
        refused()
    }

    fn remove_dir(&self, _path: &Path) -> io::Result<()> {
        refused()
    }

    fn read_dir(&self, _path: &Path) -> io::Result<Vec<DirEntry>> {
        refused()
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        if self.files.lock().unwrap().contains_key(path) {
            return Ok(Metadata { kind: FileKind::File, len: 0, modified_nanos: 0, file_number: 0 });
        }
        Err(io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn try_lock(&self, _path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        refused()
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }
}
