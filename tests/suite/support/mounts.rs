//! Two file systems under one root: a store's, and that of its backups.
//!
//! Owns which path is on which, so that either can lose its power alone, and a call before each look or change by path,
//! in which somebody else can come in between.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aral_store::vfs::{DirEntry, Lock, Metadata, OpenMode, Vfs, VfsFile};

use super::simfs::{self, SimFs};

/// Below which directory the file system of the backups is.
pub(crate) const BACKUPS: &str = "/backups";

type Between = Box<dyn FnMut(u64) + Send>;

/// Both.
#[derive(Clone)]
pub(crate) struct Mounts {
    pub(crate) store: SimFs,
    pub(crate) backups: SimFs,
    /// What is called before each call, with how many there were before.
    between: Arc<Mutex<(u64, Option<Between>)>>,
}

impl fmt::Debug for Mounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mounts").field("store", &self.store).finish_non_exhaustive()
    }
}

/// A file system for backups.
pub(crate) fn empty() -> SimFs {
    let backups = SimFs::with(simfs::Settings::default());
    backups.put_dir(BACKUPS);
    backups
}

impl Mounts {
    pub(crate) fn new(store: &SimFs, backups: &SimFs) -> Self {
        Self { store: store.clone(), backups: backups.clone(), between: Arc::default() }
    }

    /// The same with somebody who comes in between.
    pub(crate) fn between(self, call: impl FnMut(u64) + Send + 'static) -> Self {
        Self { between: Arc::new(Mutex::new((0, Some(Box::new(call))))), ..self }
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> u64 {
        self.between.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn of(&self, path: &Path) -> &SimFs {
        let mut between = self.between.lock().unwrap_or_else(PoisonError::into_inner);
        let (calls, call) = &mut *between;
        if let Some(call) = call {
            call(*calls);
        }
        *calls += 1;
        if path.starts_with(BACKUPS) { &self.backups } else { &self.store }
    }
}

impl Vfs for Mounts {
    fn open(&self, path: &Path, how: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        self.of(path).open(path, how)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        assert_eq!(from.starts_with(BACKUPS), to.starts_with(BACKUPS), "{}", to.display());
        self.of(from).rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.of(path).remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.of(path).create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.of(path).remove_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.of(path).read_dir(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.of(path).metadata(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.of(path).sync_dir(path)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.of(path).try_lock(path)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.of(path).canonical(path)
    }
}
