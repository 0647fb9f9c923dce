//! Where a store is, as Python programs name it, and which databases a process has open.
//!
//! Owns the telling of a directory from a database, and what a fork means for a database: SQLite keeps in the process
//! which locks its connections have on a file. A process that is forked off has a copy of that and none of the locks, so
//! that another one could take the database's log away under it.

use std::ffi::OsString;
use std::mem;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Mutex, PoisonError};

use aral_store::{Error, ErrorKind, MessageStore, Options, Result, StoreUrl, location};
use pyo3::prelude::*;

use crate::failure::{forked_database, raised};

/// The databases that this process has open, and those that one had open from which it was forked off, with its number.
/// Python forks between two steps of its threads that have the interpreter, and only such a step takes this lock.
static OPEN: Mutex<Vec<(PathBuf, u32)>> = Mutex::new(Vec::new());

/// A place that a Python program has named.
pub(crate) enum Place {
    /// A directory.
    Directory(PathBuf),
    /// A database: its URL from the root, and the file that it is in, which is asked for by one name only.
    Database(OsString, PathBuf),
}

impl Place {
    /// What a path or a URL names. A store in memory has none in Python.
    pub(crate) fn of(path: PathBuf) -> Result<Self> {
        match StoreUrl::of(&path)? {
            StoreUrl::Sqlite(file) => {
                // Connections are made when they are needed, and the current directory may be another one by then.
                let file = std::path::absolute(&file).map_err(|error| Error::io("find", &file, error))?;
                let mut url = OsString::from("sqlite:");
                url.push(&file);
                Ok(Self::Database(url, same_for_all(&file)))
            }
            _ => location::check_directory(&path).map(|()| Self::Directory(path)),
        }
    }

    /// Opens the store there.
    pub(crate) fn open(
        self,
        py: Python<'_>,
        options: Options,
    ) -> PyResult<(MessageStore, Option<Arc<Open>>)> {
        let (open, opened) = match self {
            Self::Directory(dir) => (None, py.detach(|| options.open(dir))),
            Self::Database(url, file) => {
                let open = Open::begin(file).map_err(|opened| forked_database(py, opened))?;
                (Some(Arc::new(open)), py.detach(|| options.connect(url)))
            }
        };
        opened.map(|store| (store, open)).map_err(|error| raised(py, &error))
    }
}

/// The name of a file by whichever name it was asked for, also of one that is not there yet.
fn same_for_all(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| match (file.parent().map(Path::canonicalize), file.file_name()) {
        (Some(Ok(dir)), Some(name)) => dir.join(name),
        _ => file.to_owned(),
    })
}

/// A database that is open, for as long as anything has a connection to it.
pub(crate) struct Open {
    file: PathBuf,
    process: u32,
}

impl Open {
    /// Says which process has it, if that is one from which this one was forked off.
    fn begin(file: PathBuf) -> std::result::Result<Self, u32> {
        let process = process::id();
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let theirs = open.iter().find(|(path, owner)| *path == file && *owner != process);
        if let Some((_, owner)) = theirs {
            return Err(*owner);
        }
        open.push((file.clone(), process));
        Ok(Self { file, process })
    }

    /// Drops what has connections, unless they are those of the process that this one was forked off from: SQLite must not
    /// even close them here.
    pub(crate) fn let_go<T>(open: Option<&Arc<Self>>, connected: T) {
        if open.is_some_and(|open| open.process != process::id()) {
            mem::forget(connected);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.process != process::id() {
            return;
        }
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = open.iter().position(|(path, owner)| *path == self.file && *owner == self.process);
        if let Some(at) = mine {
            open.swap_remove(at);
        }
    }
}

/// Whether a path is the URL of a database; refuses one that is no directory's either.
#[pyfunction]
pub(crate) fn is_database(py: Python<'_>, path: PathBuf) -> PyResult<bool> {
    let place = Place::of(path).map_err(|error| raised(py, &error))?;
    Ok(matches!(place, Place::Database(..)))
}

/// Refuses a database for what can be done to directories alone.
pub(crate) fn directory(path: PathBuf, reason: &str) -> Result<PathBuf> {
    match Place::of(path)? {
        Place::Directory(dir) => Ok(dir),
        Place::Database(_, file) => Err(Error::new(ErrorKind::Unsupported, reason).at(&file, None)),
    }
}
