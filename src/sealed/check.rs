//! What can be said of an encrypted store's files without its key.
//!
//! Owns the going over the files of keys and the sealed ones, by the checksums that are outside of what is sealed. The
//! segments of the log are the log's to check.

use std::path::{Path, PathBuf};

use super::blocks::first_damaged;
use super::files::is_sealed_in_blocks;
use super::key_file::{KEY_FILE, KEYS_DIR, Purpose, id_of, read};
use crate::error::{Error, Result};
use crate::vfs::{FileKind, OpenMode, Vfs};

/// What is told of each file that was read: how long it is, and what is wrong with it.
type Tell<'t> = &'t mut dyn FnMut(u64, Result<()>);

fn names(vfs: &dyn Vfs, dir: &Path) -> Result<Vec<(PathBuf, FileKind)>> {
    let entries = match vfs.read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        listed => listed.map_err(|e| Error::io("list", dir, e))?,
    };
    let mut names: Vec<(PathBuf, FileKind)> =
        entries.into_iter().map(|entry| (dir.join(entry.name), entry.kind)).collect();
    names.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(names)
}

/// Checks the files of all keys in `log`.
///
/// # Errors
///
/// Those of the system on directories.
pub(crate) fn check_keys(vfs: &dyn Vfs, log: &Path, tell: Tell<'_>) -> Result<()> {
    let mut all = vec![(log.join(KEY_FILE), Purpose::Store)];
    let is_finished = |path: &PathBuf| path.extension().is_none();
    let keys = names(vfs, &log.join(KEYS_DIR))?.into_iter().map(|(path, _)| path).filter(is_finished);
    all.extend(keys.map(|path| (path, Purpose::Conversation)));
    for (path, purpose) in all {
        let bytes = read(vfs, &path);
        let length = bytes.as_ref().map_or(0, |bytes| u64::try_from(bytes.len()).unwrap_or_default());
        tell(length, bytes.and_then(|bytes| id_of(&bytes, purpose, &path).map(drop)));
    }
    Ok(())
}

/// Checks every file in the store's directory that is sealed in blocks.
///
/// # Errors
///
/// Those of the system on directories.
pub(crate) fn check_blocks(vfs: &dyn Vfs, root: &Path, tell: Tell<'_>) -> Result<()> {
    let mut waiting = vec![root.to_owned()];
    while let Some(dir) = waiting.pop() {
        for (path, kind) in names(vfs, &dir)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            // What was not finished is removed by the next opening, whatever is in it.
            let is_unfinished = name.ends_with(".tmp") || name.starts_with(".staged-");
            let is_sealed = path.strip_prefix(root).is_ok_and(is_sealed_in_blocks);
            match kind {
                FileKind::Directory => waiting.push(path),
                FileKind::File if is_sealed && !is_unfinished => {
                    let file = vfs.open(&path, OpenMode::Read).map_err(|e| Error::io("open", &path, e));
                    let length = file.as_ref().ok().and_then(|f| f.metadata().ok()).map_or(0, |m| m.len);
                    let found = file.and_then(|file| {
                        first_damaged(&path, &*file).map_err(|e| Error::io("read", &path, e))
                    });
                    let wrong = "the checksum of a sealed block is wrong";
                    let checked =
                        found.and_then(|at| at.map_or(Ok(()), |at| Err(Error::corrupt(&path, at, wrong))));
                    tell(length, checked);
                }
                FileKind::File | FileKind::Other => {}
            }
        }
    }
    Ok(())
}
