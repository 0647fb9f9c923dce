//! Stores that are no directories.
//!
//! Owns what a command can tell of a database by its name, before the database is opened.

use std::path::{Path, PathBuf};

use aral_store::{Error, ErrorKind, StoreUrl, location};

use crate::exit::Failure;

/// The file of the database that a store's name leads to; `None` for a directory.
pub(crate) fn file_of(name: &Path) -> Result<Option<PathBuf>, Failure> {
    match StoreUrl::of(name)? {
        StoreUrl::Directory(_) => Ok(None),
        #[cfg(feature = "sqlite")]
        StoreUrl::Sqlite(file) => Ok(Some(file)),
        // What ends with the command is no store to name.
        _ => Ok(location::check_directory(name).map(|()| None)?),
    }
}

/// Holds that there is a database; whether there is a store in it shows when it is opened.
pub(crate) fn must_exist(file: &Path) -> Result<(), Failure> {
    match file.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => {
            let text = "there is no such database; name another one with -d, or make it with aral-store new";
            Err(Error::new(ErrorKind::NotFound, text).at(file, None).into())
        }
        Err(error) => Err(Failure::file("look for the database", file, error)),
    }
}
