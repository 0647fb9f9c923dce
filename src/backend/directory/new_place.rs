//! Where a new store comes to be that a repair or a restore makes.
//!
//! Owns the name that it has until it is whole, and what must not be in its way.

use std::path::{Path, PathBuf};

use super::root::{beside, existing_dir};
use crate::error::{Error, Result};
use crate::snapshot::layout;
use crate::snapshot::nested;
use crate::vfs::{FileKind, Vfs};

/// What the directory of a store that is not finished ends in.
pub(super) const UNFINISHED: &str = ".partial";

/// What makes the new store, in the words of its errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Maker {
    pub(super) verb: &'static str,
    /// What it is made from.
    pub(super) source: &'static str,
}

/// Where the new store comes to be.
#[derive(Debug)]
pub(super) struct NewPlace {
    parent: PathBuf,
    pub(super) unfinished: PathBuf,
    pub(super) finished: PathBuf,
}

impl NewPlace {
    /// Makes sure that nothing is in the way. `root` is the directory of what it is made from.
    pub(super) fn choose(vfs: &dyn Vfs, root: &Path, to: &Path, maker: Maker) -> Result<Self> {
        let refused = |reason: &str, path: &Path| Err(Error::invalid(reason).at(path, None));
        let Some(name) = to.file_name() else {
            return refused("the new store needs a name of its own", to);
        };
        let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let parent = existing_dir(vfs, parent)?;
        let finished = parent.join(name);
        if finished.starts_with(root) {
            return refused(&format!("the new store must not lie in {}", maker.source), &finished);
        }
        nested::must_lie_in_no_store(vfs, &finished)?;
        match layout::probe(vfs, &finished)? {
            None => {}
            Some(found) if found.kind == FileKind::Directory => {
                let there = vfs.read_dir(&finished).map_err(|e| Error::io("list", &finished, e))?;
                if !there.is_empty() {
                    return refused(&format!("the directory to {} to is not empty", maker.verb), &finished);
                }
            }
            Some(_) => return refused("not a directory", &finished),
        }
        let unfinished = beside(&finished, UNFINISHED);
        must_be_free(vfs, &unfinished, maker)?;
        Ok(Self { parent, unfinished, finished })
    }

    pub(super) fn make(&self, vfs: &dyn Vfs) -> Result<()> {
        layout::ensure_dir(vfs, &self.unfinished).map(|_| ())
    }

    /// Gives the new store its name, durably.
    pub(super) fn finish(&self, vfs: &dyn Vfs) -> Result<()> {
        layout::sync_dir(vfs, &self.unfinished)?;
        rename(vfs, &self.unfinished, &self.finished, &self.parent)
    }
}

/// Refuses a name that an earlier one has left.
pub(super) fn must_be_free(vfs: &dyn Vfs, path: &Path, maker: Maker) -> Result<()> {
    if layout::probe(vfs, path)?.is_some() {
        let reason = format!("this is left of a {} that was stopped; remove it first", maker.verb);
        return Err(Error::invalid(reason).at(path, None));
    }
    Ok(())
}

/// Renames durably within a directory.
pub(super) fn rename(vfs: &dyn Vfs, from: &Path, to: &Path, parent: &Path) -> Result<()> {
    vfs.rename(from, to).map_err(|e| Error::io("rename", from, e))?;
    layout::sync_dir(vfs, parent)
}
