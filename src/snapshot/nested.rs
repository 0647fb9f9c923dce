//! Directories that belong to a store, and are no place for another one.
//!
//! Owns the refusal of what would be written into a store's own directories: its list would be read as a conversation
//! there, and its log as a part of the outer one's.

use std::path::{Path, PathBuf};

use super::layout::Layout;
use crate::error::{Error, Result};
use crate::log::inventory::{CONTROL, LOCK};
use crate::vfs::Vfs;

/// Refuses a directory that lies among the files of a store, or that would once it was made.
///
/// # Errors
///
/// `InvalidInput`, naming the store.
pub(crate) fn must_lie_in_no_store(vfs: &dyn Vfs, dir: &Path) -> Result<()> {
    let path = resolved(vfs, dir);
    for own in path.ancestors() {
        let Some(root) = own.parent() else { continue };
        let store = Layout::new(root);
        if (own == store.conversations() || own == store.log()) && is_store(vfs, &store) {
            let reason = format!("it would lie among the files of the store {}", root.display());
            return Err(Error::invalid(format!("{reason}; name another directory")).at(dir, None));
        }
    }
    Ok(())
}

/// Refuses a directory that is a store's, or lies in it.
///
/// # Errors
///
/// `InvalidInput`.
pub(crate) fn must_lie_outside_of(vfs: &dyn Vfs, root: &Path, dir: &Path) -> Result<()> {
    if resolved(vfs, dir).starts_with(root) {
        let reason = "it lies in the directory of the store that is exported; name another directory";
        return Err(Error::invalid(reason).at(dir, None));
    }
    Ok(())
}

/// The name that a path has for everybody, whether all of it is there or not.
pub(crate) fn resolved(vfs: &dyn Vfs, path: &Path) -> PathBuf {
    for there in path.ancestors() {
        let named = if there.as_os_str().is_empty() { Path::new(".") } else { there };
        if let Ok(known) = vfs.canonical(named) {
            return path.strip_prefix(there).map_or(known.clone(), |rest| known.join(rest));
        }
    }
    path.to_owned()
}

/// Whether there is what a store, or the original, leaves in its directory and nobody else does.
fn is_store(vfs: &dyn Vfs, store: &Layout) -> bool {
    let log = store.log();
    let signs = [store.index_file(), store.marker(), log.join(CONTROL), log.join(LOCK)];
    signs.iter().any(|sign| vfs.metadata(sign).is_ok())
}
