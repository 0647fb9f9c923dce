//! Keeping everybody from writing a file that is about to be removed.
//!
//! Owns the lock, which is SQLite's own. Whoever was writing could else leave a journal beside the next file of the name, with which that would
//! be taken back to what was in this one. Nobody begins to write a file that has lost its name: SQLite looks.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::errors;
use crate::error::{ErrorKind, Result};
use crate::snapshot::layout;
use crate::vfs::{FileKind, Vfs};

/// How long whoever writes or reads the file is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A file that nobody writes for as long as this is there.
#[derive(Debug)]
pub(crate) struct Held(#[expect(dead_code, reason = "its lock ends with it")] Connection);

/// Keeps everybody from writing a file; `None` if it is nothing that anybody could be writing.
///
/// # Errors
///
/// `Locked` if somebody goes on using it.
pub(crate) fn hold(vfs: &dyn Vfs, path: &Path) -> Result<Option<Held>> {
    if !layout::probe(vfs, path)?.is_some_and(|found| found.kind == FileKind::File) {
        return Ok(None);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let held = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(PATIENCE)?;
        connection.execute_batch("BEGIN EXCLUSIVE")?;
        Ok(Held(connection))
    });
    match held.map_err(|error| errors::of("use the database", path, &error)) {
        Err(error) if error.kind() == ErrorKind::Locked => Err(error),
        held => Ok(held.ok()),
    }
}
