//! Stores that are no directories.
//!
//! Owns what a command can tell of a database by its name, and what of that name it may show.

use std::io::Read;
use std::path::{Path, PathBuf};

use aral_store::{Error, ErrorKind, StoreUrl, location};

use crate::exit::Failure;
use crate::key;

/// A database that a store's name leads to.
pub(crate) enum Database {
    /// A file.
    File(PathBuf),
    /// On a server; what it is called without a password.
    Server(PathBuf),
}

/// The database that a store's name leads to; `None` for a directory.
pub(crate) fn of(name: &Path) -> Result<Option<Database>, Failure> {
    match StoreUrl::of(name)? {
        StoreUrl::Directory(_) => Ok(None),
        StoreUrl::Sqlite(file) => Ok(Some(Database::File(file))),
        StoreUrl::Postgres(url) => Ok(Some(Database::Server(url.to_string().into()))),
        #[cfg(feature = "cloud")]
        StoreUrl::Cloud(url) => Ok(Some(Database::Server(url.to_string().into()))),
        #[cfg(feature = "firestore")]
        StoreUrl::Firestore(url) => Ok(Some(Database::Server(url.to_string().into()))),
        #[cfg(feature = "mongodb")]
        StoreUrl::Mongodb(url) => Ok(Some(Database::Server(url.to_string().into()))),
        // What ends with the command is no store to name.
        StoreUrl::Memory | _ => Ok(location::check_directory(name).map(|()| None)?),
    }
}

/// A store's name as it may be shown.
pub(crate) fn shown(name: &Path) -> PathBuf {
    match of(name) {
        Ok(Some(Database::Server(shown))) => shown,
        Ok(_) | Err(_) => name.to_owned(),
    }
}

impl Database {
    /// Holds that there is a database; whether there is a store in it shows when it is opened, except on a server, where
    /// there is always something.
    pub(crate) fn must_exist(&self, name: &Path) -> Result<(), Failure> {
        match self {
            Self::File(_) => self.must_be_a_place(),
            Self::Server(_) => is_there(name),
        }
    }

    /// Whether there is something in its file, of which nobody can tell on a server.
    pub(crate) fn holds_something(&self) -> bool {
        match self {
            Self::File(file) => file.metadata().is_ok_and(|metadata| metadata.len() > 0),
            Self::Server(_) => false,
        }
    }

    /// Holds that there is a file, if it is one; what is on a server shows when it is asked.
    pub(crate) fn must_be_a_place(&self) -> Result<(), Failure> {
        let text = "there is no such database; name another one with -d, or make it with aral-store new";
        let Self::File(file) = self else { return Ok(()) };
        match file.try_exists() {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::new(ErrorKind::NotFound, text).at(file, None).into()),
            Err(error) => Err(Failure::file("look for the database", file, error)),
        }
    }

    /// Whether it may hold a store. What cannot be looked at may.
    pub(crate) fn may_hold_a_store(&self, name: &Path) -> bool {
        match self {
            Self::File(file) if !file.try_exists().unwrap_or(true) => false,
            Self::File(_) | Self::Server(_) => match is_there(name) {
                Err(Failure::Store(error)) => error.kind() != ErrorKind::NotFound,
                Ok(()) | Err(_) => true,
            },
        }
    }
}

/// Whether the store keeps an index for searching, which somebody has to bring up to date.
pub(crate) fn has_search_index(name: &Path) -> Result<bool, Failure> {
    Ok(matches!(StoreUrl::of(name)?, StoreUrl::Sqlite(_) | StoreUrl::Postgres(_)))
}

/// Whether a file begins as those of SQLite do.
pub(crate) fn is_sqlite(path: &Path) -> bool {
    let mut beginning = [0; 16];
    #[expect(clippy::disallowed_methods, reason = "what is no directory is no store")]
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut beginning));
    read.is_ok() && &beginning == b"SQLite format 3\0"
}

/// Asks a database whether there is a store.
fn is_there(name: &Path) -> Result<(), Failure> {
    Ok(key::options().read_only().connect(name).map(drop)?)
}
