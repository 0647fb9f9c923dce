//! The operating system's files without syncs, to make large stores ready that are measured later.
//!
//! Owns a wrapper around the store's file system in which every sync does nothing. No figure is taken with it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aral_store::vfs::{DirEntry, Lock, Mapping, Metadata, OpenMode, OsVfs, Vfs, VfsFile};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsynced;

#[derive(Debug)]
struct UnsyncedFile(Arc<dyn VfsFile>);

impl Vfs for Unsynced {
    fn open(&self, path: &Path, how: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        Ok(Arc::new(UnsyncedFile(OsVfs.open(path, how)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsVfs.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        OsVfs.remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        OsVfs.create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        OsVfs.remove_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        OsVfs.read_dir(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        OsVfs.metadata(path)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        OsVfs.try_lock(path)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        OsVfs.canonical(path)
    }
}

impl VfsFile for UnsyncedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.0.allocate(length)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn metadata(&self) -> io::Result<Metadata> {
        self.0.metadata()
    }

    fn map(&self) -> io::Result<Option<Arc<dyn Mapping>>> {
        self.0.map()
    }
}
