//! The directory that a store is in.
//!
//! Owns the way to its own name, its making, and the names that stand beside it while a repair puts another in its place.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::snapshot::layout::{self, Layout};
use crate::vfs::{FileKind, Vfs};

/// What the name of a repaired store ends in that is complete and has not taken its place yet.
pub(super) const COMPLETE: &str = ".repaired";

/// What the name of a damaged store gets that has been replaced; a date follows.
pub(super) const DAMAGED: &str = ".damaged-";

/// A path whose name is another one's with something behind it.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The directory under its own name, if it is one.
pub(super) fn existing_dir(vfs: &dyn Vfs, dir: &Path) -> Result<PathBuf> {
    if dir.as_os_str().is_empty() {
        return Err(Error::invalid("the store's path is empty; the current directory is named `.`"));
    }
    let root = vfs.canonical(dir).map_err(|error| {
        if let Some(interrupted) = missing_for_now(vfs, dir, &error) {
            return interrupted;
        }
        let error = Error::io("open", dir, error);
        if error.kind() == ErrorKind::NotFound { error.context("there is no store") } else { error }
    })?;
    match layout::probe(vfs, &root)? {
        Some(metadata) if metadata.kind == FileKind::Directory => Ok(root),
        _ => Err(Error::new(ErrorKind::InvalidInput, "not a directory").at(dir, None)),
    }
}

/// Why a directory is not there, if a repair was about to put a store there.
fn missing_for_now(vfs: &dyn Vfs, dir: &Path, error: &io::Error) -> Option<Error> {
    (error.kind() == io::ErrorKind::NotFound).then(|| interrupted(vfs, dir)).flatten()
}

/// Makes a directory and those above it that are missing, durably.
pub(super) fn make_dirs(vfs: &dyn Vfs, dir: &Path) -> Result<()> {
    match vfs.canonical(dir) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A new store in its place would hide the one that is beside it.
            if let Some(interrupted) = missing_for_now(vfs, dir, &error) {
                return Err(interrupted);
            }
        }
        Err(error) => return Err(Error::io("open", dir, error)),
    }
    let parent = match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    make_dirs(vfs, parent)?;
    match vfs.create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Error::io("create", dir, error)),
        _ => layout::sync_dir(vfs, parent),
    }
}

/// What the directory that a store is missing from is told of, if a repair was stopped between two renames there.
fn interrupted(vfs: &dyn Vfs, dir: &Path) -> Option<Error> {
    let (name, parent) = (dir.file_name()?.to_str()?, dir.parent()?);
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let complete = beside(dir, COMPLETE);
    let log = layout::probe(vfs, &Layout::new(&complete).log()).ok().flatten();
    log.filter(|found| found.kind == FileKind::Directory)?;
    let begins = format!("{name}{DAMAGED}");
    let names = vfs.read_dir(parent).ok()?.into_iter().map(|entry| entry.name);
    let kept = names.filter(|name| name.starts_with(&begins)).max()?;
    let reason = format!(
        "a repair was stopped before the repaired store took this place: it is complete in {}, and the damaged one \
         is kept in {}; rename the first one to go on",
        complete.display(),
        parent.join(kept).display()
    );
    Some(Error::new(ErrorKind::NotFound, reason).at(dir, None))
}
