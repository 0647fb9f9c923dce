//! A backup in a store of objects, as the directory that it would be.
//!
//! Owns the way from paths to objects: the same names, in the same layout. What makes and reads backups sees a file system, in which this
//! place lies beside the machine's own files. There are no directories, so all that a backup can have are there; there is no
//! lock, so each write has a condition.

mod shelf;

mod file;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::objects::Objects;
use crate::error::Result;
use crate::vfs::{DirEntry, FileKind, Lock, Metadata, OpenMode, Vfs, VfsFile};
use file::{ObjectFile, metadata};
use shelf::Shelf;

/// A file system in which one place is a store of objects.
#[derive(Debug)]
pub(crate) struct ObjectFiles {
    shelf: Arc<Shelf>,
    rest: Arc<dyn Vfs>,
}

impl ObjectFiles {
    pub(crate) fn new(objects: Arc<dyn Objects>, rest: Arc<dyn Vfs>) -> Self {
        Self { shelf: Arc::new(Shelf::new(objects)), rest }
    }

    /// The path of the place.
    pub(crate) fn root(&self) -> &Path {
        &self.shelf.root
    }

    /// Holds that conditions are kept to, by what is there under a name.
    ///
    /// # Errors
    ///
    /// `Unsupported` where they are not; what requests end with.
    pub(crate) fn must_keep_conditions(&self, name: &str) -> Result<()> {
        self.shelf.must_keep_conditions(name)
    }

    fn both(&self, from: &Path, to: &Path) -> io::Result<Option<(String, String)>> {
        match (self.shelf.name(from), self.shelf.name(to)) {
            (None, None) => Ok(None),
            (Some(from), Some(to)) => Ok(Some((from, to))),
            (Some(_), None) | (None, Some(_)) => Err(io::ErrorKind::CrossesDevices.into()),
        }
    }

    fn file(&self, name: String) -> io::Result<Arc<dyn VfsFile>> {
        let found = self.shelf.read(&name)?.ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(ObjectFile::of(&self.shelf, name, found)))
    }
}

/// Whether a name is that of a directory, each of which is always there.
fn is_dir(name: &str) -> bool {
    let is_epoch = |part: &str| part.len() == 16 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    match name.split('/').collect::<Vec<_>>().as_slice() {
        ["" | "segments" | "checkpoints" | "set-aside" | "keys"] => true,
        ["checkpoints", epoch] | ["checkpoints", epoch, "conversations"] => is_epoch(epoch),
        _ => false,
    }
}

/// Whether a list that does not show a name, since it is late, would do harm.
fn matters(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or_default();
    !name.starts_with("checkpoints/") || file.starts_with("CHECKPOINT-") || file == "dropped"
}

/// Held by whoever writes; each write has its own condition.
#[derive(Debug)]
struct NoLock;

impl Lock for NoLock {
    fn changed_nanos(&self) -> io::Result<Option<i128>> {
        Ok(None)
    }
}

impl Vfs for ObjectFiles {
    fn open(&self, path: &Path, how: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let Some(name) = self.shelf.name(path) else { return self.rest.open(path, how) };
        match how {
            OpenMode::Read | OpenMode::ReadWrite => self.file(name),
            OpenMode::CreateNew => Ok(Arc::new(ObjectFile::new(&self.shelf, name))),
        }
    }

    fn open_files_limit(&self) -> usize {
        self.rest.open_files_limit()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self.both(from, to)? {
            Some((from, to)) => self.shelf.rename(&from, &to),
            None => self.rest.rename(from, to),
        }
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.rest.exchange(one, other)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self.both(from, to)? {
            Some((from, to)) => self.shelf.rename(&from, &to),
            None => self.rest.rename_new(from, to),
        }
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let Some(name) = self.shelf.name(path) else { return self.rest.remove_file(path) };
        self.shelf.remove(&name);
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.shelf.name(path).map_or_else(|| self.rest.create_dir(path), |_| Ok(()))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.shelf.name(path).map_or_else(|| self.rest.remove_dir(path), |_| Ok(()))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let Some(name) = self.shelf.name(path) else { return self.rest.read_dir(path) };
        let prefix = if name.is_empty() { name } else { name + "/" };
        let mut entries = BTreeMap::new();
        for name in self.shelf.list(&prefix)? {
            let rest = name.strip_prefix(&prefix).unwrap_or_default();
            let (first, kind) = match rest.split_once('/') {
                Some((first, _)) => (first, FileKind::Directory),
                None => (rest, FileKind::File),
            };
            entries.insert(first.to_owned(), kind);
        }
        let entry = |(name, kind)| DirEntry { name, name_is_exact: true, kind };
        Ok(entries.into_iter().map(entry).collect())
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let Some(name) = self.shelf.name(path) else { return self.rest.metadata(path) };
        if is_dir(&name) {
            return Ok(Metadata { kind: FileKind::Directory, ..metadata(0) });
        }
        let length = match self.shelf.knows(&name) {
            // How long what came with a checkpoint is nobody asks.
            Some(true) if name.starts_with("checkpoints/") => 0,
            Some(false) if !matters(&name) => return Err(io::ErrorKind::NotFound.into()),
            Some(_) | None => self.shelf.read(&name)?.ok_or(io::ErrorKind::NotFound)?.bytes.len(),
        };
        Ok(metadata(length))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.shelf.name(path).map_or_else(|| self.rest.sync_dir(path), |_| self.shelf.settle())
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.shelf.name(path).map_or_else(|| self.rest.try_lock(path), |_| Ok(Some(Box::new(NoLock))))
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.shelf.name(path).map_or_else(|| self.rest.canonical(path), |_| Ok(path.to_owned()))
    }
}
