//! A file system whose calls take their time.
//!
//! Wraps any other one and lets a test do something at the start of every call that writes, syncs or names:
//! wait, give way to other threads, count. Owns nothing but that; changes no call and no answer.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aral_store::vfs::{DirEntry, Lock, Mapping, Metadata, OpenMode, Vfs, VfsFile};

use super::faultfs::Call;

type Pace = Arc<dyn Fn(Call) + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Paced {
    inner: Arc<dyn Vfs>,
    pace: Pace,
}

struct PacedFile {
    inner: Arc<dyn VfsFile>,
    pace: Pace,
}

impl fmt::Debug for Paced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paced").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl fmt::Debug for PacedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacedFile").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Paced {
    /// Calls `pace` at the start of every call, without a lock.
    pub(crate) fn over(inner: impl Vfs + 'static, pace: impl Fn(Call) + Send + Sync + 'static) -> Self {
        Self { inner: Arc::new(inner), pace: Arc::new(pace) }
    }

    fn at(&self, call: Call) -> &dyn Vfs {
        (self.pace)(call);
        &*self.inner
    }
}

impl PacedFile {
    fn at(&self, call: Call) -> &dyn VfsFile {
        (self.pace)(call);
        &*self.inner
    }
}

impl Vfs for Paced {
    fn open(&self, path: &Path, how: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let call = if how == OpenMode::CreateNew { Call::Create } else { Call::Open };
        let inner = self.at(call).open(path, how)?;
        Ok(Arc::new(PacedFile { inner, pace: Arc::clone(&self.pace) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.at(Call::Rename).rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.at(Call::Remove).remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.at(Call::CreateDir).create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.at(Call::RemoveDir).remove_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.at(Call::ReadDir).read_dir(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.at(Call::Metadata).metadata(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.at(Call::SyncDir).sync_dir(path)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.at(Call::Lock).try_lock(path)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.at(Call::Canonical).canonical(path)
    }
}

impl VfsFile for PacedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.at(Call::Read).read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.at(Call::Write).write_at(bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.at(Call::Allocate).allocate(length)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.at(Call::SetLen).set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.at(Call::Sync).sync()
    }

    fn metadata(&self) -> io::Result<Metadata> {
        self.at(Call::Metadata).metadata()
    }

    fn map(&self) -> io::Result<Option<Arc<dyn Mapping>>> {
        self.at(Call::Map).map()
    }
}
