//! One store per directory in a process.
//!
//! Owns the table of directories that this process writes to, so that a second opening gets the first one's
//! store and not an error about its own lock.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::file::Engine;
use crate::error::Result;
use crate::vfs::Vfs;

/// A store that is open: in which file system, where, and the store unless it has been dropped.
struct Row {
    /// The address of the file system, which tells apart those that tests put in.
    vfs: usize,
    root: PathBuf,
    engine: Weak<Engine>,
}

static OPEN: Mutex<Vec<Row>> = Mutex::new(Vec::new());

/// All uses of the operating system's file system are one; any other is told by its address.
fn identity(vfs: &Arc<dyn Vfs>) -> usize {
    if format!("{vfs:?}") == "OsVfs" { 0 } else { Arc::as_ptr(vfs).cast::<()>().addr() }
}

/// The open store of a directory, or the one that `open` makes.
pub(crate) fn shared(
    vfs: &Arc<dyn Vfs>,
    root: &Path,
    open: impl FnOnce() -> Result<Arc<Engine>>,
) -> Result<Arc<Engine>> {
    let vfs = identity(vfs);
    // Held while opening, so that two openings at the same time do not meet at the lock file.
    let mut rows = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    rows.retain(|row| row.engine.strong_count() > 0);
    let found = rows.iter().find(|row| row.vfs == vfs && row.root == root);
    if let Some(engine) = found.and_then(|row| row.engine.upgrade()).filter(|engine| !engine.is_closed()) {
        return Ok(engine);
    }
    let engine = open()?;
    rows.retain(|row| row.vfs != vfs || row.root != root);
    rows.push(Row { vfs, root: root.to_owned(), engine: Arc::downgrade(&engine) });
    Ok(engine)
}
