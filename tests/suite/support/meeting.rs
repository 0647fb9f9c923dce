//! A file system in which another writer comes right before a chosen call, and on which locks need not hold.
//!
//! Wraps a simulated one and counts every call, of files too. Owns the plan of at most one such visit and the locks
//! that everybody gets. Knows nothing of what files mean.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aral_store::vfs::{DirEntry, Lock, Mapping, Metadata, OpenMode, Vfs, VfsFile};

use super::simfs::SimFs;

/// Whether a lock keeps others out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Locks {
    Hold,
    /// Everybody gets them, as on a share of the network without a lock service.
    AreForEverybody,
}

/// Whether somebody may come right before a removal, between the look at the lock and the call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Removals {
    AreCalls,
    /// Whoever is due then comes right behind it.
    GoFirst,
}

type Visit = Box<dyn FnOnce() + Send>;

struct Shared {
    inner: SimFs,
    locks: Locks,
    removals: Removals,
    /// How many calls there were, and before which one the visit is to take place.
    plan: Mutex<(u64, Option<(u64, Visit)>)>,
}

/// A handle; clones share the count and the plan.
#[derive(Clone)]
pub(crate) struct Meeting(Arc<Shared>);

impl fmt::Debug for Meeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meeting").field("inner", &self.0.inner).finish_non_exhaustive()
    }
}

impl Meeting {
    pub(crate) fn over(inner: &SimFs, locks: Locks, removals: Removals) -> Self {
        Self(Arc::new(Shared { inner: inner.clone(), locks, removals, plan: Mutex::default() }))
    }

    /// Lets somebody come right before the n-th call from now on, counted from 1.
    pub(crate) fn at(&self, call: u64, visit: impl FnOnce() + Send + 'static) {
        let mut plan = self.0.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let due = plan.0 + call;
        plan.1 = Some((due, Box::new(visit)));
    }

    /// Whether the visit has taken place.
    pub(crate) fn has_been(&self) -> bool {
        self.0.plan.lock().unwrap_or_else(PoisonError::into_inner).1.is_none()
    }

    fn call(&self) -> &SimFs {
        let due = {
            let mut plan = self.0.plan.lock().unwrap_or_else(PoisonError::into_inner);
            plan.0 += 1;
            let now = plan.0;
            plan.1.take_if(|(due, _)| *due <= now)
        };
        if let Some((_, visit)) = due {
            visit();
        }
        &self.0.inner
    }
}

#[derive(Debug)]
struct File(Meeting, Arc<dyn VfsFile>);

/// A lock that keeps nobody out.
#[derive(Debug)]
struct Loose {
    fs: Meeting,
    path: PathBuf,
    file_number: u64,
}

impl Lock for Loose {
    fn changed_nanos(&self) -> io::Result<Option<i128>> {
        match self.fs.call().metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            found => {
                found.map(|found| (found.file_number == self.file_number).then_some(found.modified_nanos))
            }
        }
    }
}

/// A lock that keeps others out; the look whether it is in place is a call as any other.
#[derive(Debug)]
struct Held(Meeting, Box<dyn Lock>);

impl Lock for Held {
    fn changed_nanos(&self) -> io::Result<Option<i128>> {
        self.0.call();
        self.1.changed_nanos()
    }
}

impl Vfs for Meeting {
    fn open(&self, path: &Path, how: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let file = self.call().open(path, how)?;
        Ok(Arc::new(File(self.clone(), file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call().rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call().rename_new(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        if self.0.removals == Removals::AreCalls {
            self.call();
        }
        self.0.inner.remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.call().create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.call().remove_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.call().read_dir(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.call().metadata(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.call().sync_dir(path)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let inner = self.call();
        if self.0.locks == Locks::Hold {
            let held = |lock| -> Box<dyn Lock> { Box::new(Held(self.clone(), lock)) };
            return Ok(inner.try_lock(path)?.map(held));
        }
        drop(inner.try_lock(path)?);
        let file_number = inner.metadata(path)?.file_number;
        Ok(Some(Box::new(Loose { fs: self.clone(), path: path.to_owned(), file_number })))
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.call().canonical(path)
    }
}

impl VfsFile for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.call();
        self.1.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.call();
        self.1.write_at(bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.0.call();
        self.1.allocate(length)
    }

    fn ready(&self, range: Range<u64>) -> io::Result<()> {
        self.1.ready(range)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.call();
        self.1.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.call();
        self.1.sync()
    }

    fn metadata(&self) -> io::Result<Metadata> {
        self.0.call();
        self.1.metadata()
    }

    fn map(&self) -> io::Result<Option<Arc<dyn Mapping>>> {
        self.0.call();
        self.1.map()
    }
}
