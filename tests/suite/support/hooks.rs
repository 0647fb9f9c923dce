//! A file system in which something happens right before a chosen call.
//!
//! Wraps any other one. What happens may use the store itself, because no lock is held meanwhile: this is how
//! a test puts one thread's step exactly between two steps of another. Owns the plan of at most one such
//! event; knows nothing of what files mean.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aral_store::vfs::{DirEntry, Lock, Metadata, OpenMode, Vfs, VfsFile};

use super::faultfs::Call;

type Event = (Call, String, Box<dyn FnOnce() + Send>);

/// The calls of open files are not seen, only those of the file system.
pub(crate) struct Hooked {
    inner: Arc<dyn Vfs>,
    next: Mutex<Option<Event>>,
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooked").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Hooked {
    pub(crate) fn over(inner: impl Vfs + 'static) -> Arc<Self> {
        Arc::new(Self { inner: Arc::new(inner), next: Mutex::new(None) })
    }

    /// Lets something happen once, right before the next call of a kind on a path with these letters in it;
    /// of a rename, the new path.
    pub(crate) fn before(&self, call: Call, part: &str, event: impl FnOnce() + Send + 'static) {
        *self.next() = Some((call, part.to_owned(), Box::new(event)));
    }

    /// Whether what was planned has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.next().is_none()
    }

    fn next(&self) -> MutexGuard<'_, Option<Event>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self, call: Call, path: &Path) -> &dyn Vfs {
        let is_due = |event: &mut Event| event.0 == call && path.to_string_lossy().contains(event.1.as_str());
        let due = self.next().take_if(is_due);
        if let Some((_, _, event)) = due {
            event();
        }
        &*self.inner
    }
}

impl Vfs for Hooked {
    fn open(&self, path: &Path, how: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let call = if how == OpenMode::CreateNew { Call::Create } else { Call::Open };
        self.at(call, path).open(path, how)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.at(Call::Rename, to).rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.at(Call::Remove, path).remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.at(Call::CreateDir, path).create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.at(Call::RemoveDir, path).remove_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.at(Call::ReadDir, path).read_dir(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.at(Call::Metadata, path).metadata(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.at(Call::SyncDir, path).sync_dir(path)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.at(Call::Lock, path).try_lock(path)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.at(Call::Canonical, path).canonical(path)
    }
}
