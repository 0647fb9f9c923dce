//! One store per directory in a process.
//!
//! Owns the table of directories that this process writes to, so that a second opening gets the first one's
//! store and not an error about its own lock; unless the directory was removed and made anew since.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use super::engine::Engine;
use crate::backend::locked::locked;
use crate::error::Result;
use crate::vfs::{Identity, Vfs};

/// What is open in a directory. Locked while it is being opened, so that two openings of one directory do not
/// meet at its lock file; openings of other directories go on beside it.
type Slot = Mutex<Weak<Engine>>;

/// A directory: in which process, in which file system, where, and what is open there.
struct Row {
    /// A process that was forked off has its parent's rows. What is open there is the parent's, and only it may write.
    process: u32,
    vfs: Identity,
    root: PathBuf,
    slot: Arc<Slot>,
}

static OPEN: Mutex<Vec<Row>> = Mutex::new(Vec::new());

/// The slot of a directory, which whoever opens it keeps until it is filled.
fn slot(vfs: Identity, root: &Path) -> Arc<Slot> {
    let mut rows = locked(&OPEN);
    let process = std::process::id();
    // Of a slot that nobody else holds nothing can be in the making. A slot of a parent may have been locked when
    // the process was forked off, and is then so for ever.
    rows.retain(|row| {
        row.process == process && (Arc::strong_count(&row.slot) > 1 || locked(&row.slot).strong_count() > 0)
    });
    if let Some(row) = rows.iter().find(|row| row.vfs == vfs && row.root == root) {
        return Arc::clone(&row.slot);
    }
    let slot = Arc::new(Mutex::new(Weak::new()));
    rows.push(Row { process, vfs, root: root.to_owned(), slot: Arc::clone(&slot) });
    slot
}

/// The open store of a directory, or the one that `open` makes.
pub(crate) fn shared(
    vfs: &Arc<dyn Vfs>,
    root: &Path,
    open: impl FnOnce() -> Result<Arc<Engine>>,
) -> Result<Arc<Engine>> {
    let slot = slot(Identity::of(vfs), root);
    let mut slot = locked(&slot);
    // Order: count the opening before anything else is done with the store. Reversed, the last of the others
    // could end it in between.
    if let Some(engine) = slot.upgrade().filter(|engine| engine.is_in_place() && engine.enter()) {
        return Ok(engine);
    }
    let engine = open()?;
    engine.enter();
    *slot = Arc::downgrade(&engine);
    Ok(engine)
}
