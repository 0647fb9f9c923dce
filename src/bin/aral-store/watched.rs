//! The operating system's files, with an eye on how much is read and written.
//!
//! Owns the counting that moves a progress bar on; everything else is passed on as it is.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aral_store::vfs::{DirEntry, Lock, Mapping, Metadata, OpenMode, OsVfs, Vfs, VfsFile};

use crate::output::to_u64;
use crate::progress::{Unit, advance};

/// A file system that is watched.
#[derive(Debug)]
pub(crate) struct Watched(OsVfs);

impl Watched {
    pub(crate) fn new() -> Self {
        Self(OsVfs)
    }
}

impl Vfs for Watched {
    fn open(&self, path: &Path, how: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(WatchedFile(self.0.open(path, how)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.0.exchange(one, other)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename_new(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.0.remove_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.0.read_dir(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.0.metadata(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(path)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.0.try_lock(path)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.0.canonical(path)
    }

    fn is_the_only_one(&self) -> bool {
        self.0.is_the_only_one()
    }

    fn open_files_limit(&self) -> usize {
        self.0.open_files_limit()
    }
}

#[derive(Debug)]
struct WatchedFile(Arc<dyn VfsFile>);

impl VfsFile for WatchedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.0.read_at(buffer, offset)?;
        advance(Unit::StoreBytes, to_u64(count));
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let count = self.0.write_at(bytes, offset)?;
        advance(Unit::StoreBytes, to_u64(count));
        Ok(count)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.0.allocate(length)
    }

    fn ready(&self, range: Range<u64>) -> io::Result<()> {
        self.0.ready(range)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()?;
        advance(Unit::Files, 1);
        Ok(())
    }

    fn metadata(&self) -> io::Result<Metadata> {
        self.0.metadata()
    }

    fn map(&self) -> io::Result<Option<Arc<dyn Mapping>>> {
        let map = self.0.map()?;
        // Whoever maps a file is about to go through it.
        advance(Unit::StoreBytes, map.as_ref().map_or(0, |map| to_u64(map.bytes().len())));
        Ok(map)
    }
}
