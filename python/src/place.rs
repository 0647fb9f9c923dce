//! Where a store is, as Python programs name it, and which databases a process has open.
//!
//! Owns the telling of a directory from a database, and what a fork means for a database. SQLite keeps in the process
//! which locks its connections have on a file. A process that is forked off has a copy of that and none of the locks, so
//! that another one could take the database's log away under it. Connections to a server are the parent's alone: a
//! process that is forked off makes its own, and neither uses nor closes those.

use std::ffi::OsString;
use std::mem;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Mutex, PoisonError};

use aral_store::{Error, ErrorKind, MessageStore, Options, Result, StoreUrl, location};
use pyo3::prelude::*;

use crate::failure::{forked_database, raised};

/// The SQLite files that this process has open, and those that one had open from which it was forked off, with its number.
/// Python forks between two steps of its threads that have the interpreter, and only such a step takes this lock.
static OPEN: Mutex<Vec<(PathBuf, u32)>> = Mutex::new(Vec::new());

/// A place that a Python program has named.
pub(crate) enum Place {
    /// A directory.
    Directory(PathBuf),
    /// An SQLite file: its URL from the root, and the file, which is asked for by one name only.
    File(OsString, PathBuf),
    /// A database on a server, or a bucket: its URL, and how it is shown, which is without the user and the password.
    Server(PathBuf, String),
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
                Ok(Self::File(url, same_for_all(&file)))
            }
            StoreUrl::Postgres(target) => Ok(Self::Server(path, target.to_string())),
            StoreUrl::Cloud(target) => Ok(Self::Server(path, target.to_string())),
            StoreUrl::Mongodb(target) => Ok(Self::Server(path, target.to_string())),
            StoreUrl::Firestore(target) => Ok(Self::Server(path, target.to_string())),
            _ => location::check_directory(&path).map(|()| Self::Directory(path)),
        }
    }

    /// The directory from the root on, if it is one.
    pub(crate) fn dir(&self) -> Option<Result<PathBuf>> {
        match self {
            Self::Directory(dir) => {
                Some(std::path::absolute(dir).map_err(|error| Error::io("find", dir, error)))
            }
            Self::File(..) | Self::Server(..) => None,
        }
    }

    /// Opens the store there.
    pub(crate) fn open(
        self,
        py: Python<'_>,
        options: Options,
    ) -> PyResult<(MessageStore, Option<Arc<Open>>)> {
        let (name, open) = self.entered(py)?;
        let opened = match &open {
            None => py.detach(|| options.open(name)),
            Some(_) => py.detach(|| options.connect(name)),
        };
        opened.map(|store| (store, open.map(Arc::new))).map_err(|error| raised(py, &error))
    }

    /// The name by which the library knows the place, and what says that this process has connections to it, if it is a database.
    pub(crate) fn entered(self, py: Python<'_>) -> PyResult<(PathBuf, Option<Open>)> {
        Ok(match self {
            Self::Directory(dir) => (dir, None),
            Self::File(url, file) => {
                let open = Open::of_file(file).map_err(|opened| forked_database(py, opened))?;
                (url.into(), Some(open))
            }
            Self::Server(url, _) => (url, Some(Open::of_server())),
        })
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
    /// The SQLite file, if it is one.
    file: Option<PathBuf>,
    process: u32,
}

impl Open {
    /// A database on a server, or a bucket, which any process may open.
    fn of_server() -> Self {
        Self { file: None, process: process::id() }
    }

    /// An SQLite file. Says which process has it, if that is one from which this one was forked off.
    fn of_file(file: PathBuf) -> std::result::Result<Self, u32> {
        let process = process::id();
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let theirs = open.iter().find(|(path, owner)| *path == file && *owner != process);
        if let Some((_, owner)) = theirs {
            return Err(*owner);
        }
        open.push((file.clone(), process));
        Ok(Self { file: Some(file), process })
    }

    /// Drops what has connections, unless they are those of the process that this one was forked off from: SQLite must not
    /// even close them here, and a server would be told in the parent's name that it is done.
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
        let Some(file) = &self.file else { return };
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = open.iter().position(|(path, owner)| path == file && *owner == self.process);
        if let Some(at) = mine {
            open.swap_remove(at);
        }
    }
}

/// How the database is shown whose URL a path is, without a user and a password; nothing for a directory. Refuses a URL that
/// no store can have.
#[pyfunction]
pub(crate) fn database(py: Python<'_>, path: PathBuf) -> PyResult<Option<OsString>> {
    Ok(match Place::of(path.clone()).map_err(|error| raised(py, &error))? {
        Place::Directory(_) => None,
        Place::File(..) => Some(path.into_os_string()),
        Place::Server(_, shown) => Some(shown.into()),
    })
}

/// Refuses a database for what can be done to directories alone.
pub(crate) fn directory(path: PathBuf, reason: &str) -> Result<PathBuf> {
    let at = match Place::of(path)? {
        Place::Directory(dir) => return Ok(dir),
        Place::File(_, file) => file,
        Place::Server(_, shown) => shown.into(),
    };
    Err(Error::new(ErrorKind::Unsupported, reason).at(&at, None))
}
