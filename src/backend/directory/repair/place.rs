//! Where a repaired store comes to be.
//!
//! Owns the names beside it, and the order in which it takes the damaged one's place: at every moment the
//! directory's name stands for one whole store, or, on a file system that cannot exchange two names at once, both
//! are there under names that say what they are. Nothing that has a name loses it to another.

use std::io;
use std::path::{Path, PathBuf};

use crate::backend::directory::root::{COMPLETE, DAMAGED, beside, existing_dir};
use crate::error::{Error, Result};
use crate::model::Timestamp;
use crate::snapshot::layout::{self, Layout};
use crate::snapshot::nested;
use crate::vfs::{FileKind, Vfs};

/// What the directory of a repair that is not finished ends in.
const UNFINISHED: &str = ".partial";

/// How many damaged stores of a day are kept under names of their own.
const MOST_KEPT: u32 = 1_000;

/// Where the new store comes to be.
#[derive(Debug)]
pub(super) struct Place {
    parent: PathBuf,
    pub(super) unfinished: PathBuf,
    pub(super) finished: PathBuf,
}

impl Place {
    /// Makes sure that nothing is in the way.
    pub(super) fn choose(vfs: &dyn Vfs, source: &Layout, to: &Path) -> Result<Self> {
        let refused = |reason: &str, path: &Path| Err(Error::invalid(reason).at(path, None));
        let Some(name) = to.file_name() else {
            return refused("the new store needs a name of its own", to);
        };
        let parent = match to.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let parent = existing_dir(vfs, parent)?;
        let finished = parent.join(name);
        let unfinished = beside(&finished, UNFINISHED);
        if parent.starts_with(source.root()) || finished == source.root() {
            return refused("the new store must not lie in the old one", &finished);
        }
        nested::must_lie_in_no_store(vfs, &finished)?;
        match layout::probe(vfs, &finished)? {
            None => {}
            Some(found) if found.kind == FileKind::Directory => {
                let there = vfs.read_dir(&finished).map_err(|e| Error::io("list", &finished, e))?;
                if !there.is_empty() {
                    return refused("the directory to repair to is not empty", &finished);
                }
            }
            Some(_) => return refused("not a directory", &finished),
        }
        must_be_free(vfs, &unfinished)?;
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

/// How a repaired store takes the place of the damaged one.
#[derive(Debug)]
pub(super) struct Swap {
    parent: PathBuf,
    root: PathBuf,
    pub(super) unfinished: PathBuf,
    complete: PathBuf,
    /// What the damaged store is called afterwards.
    pub(super) kept: PathBuf,
}

impl Swap {
    /// Makes sure that nothing is in the way.
    pub(super) fn choose(vfs: &dyn Vfs, root: &Path, now: i64) -> Result<Self> {
        let Some(parent) = root.parent() else {
            let reason = "the topmost directory cannot be replaced; repair the store to another one";
            return Err(Error::invalid(reason).at(root, None));
        };
        let (unfinished, complete) = (beside(root, UNFINISHED), beside(root, COMPLETE));
        must_be_free(vfs, &unfinished)?;
        must_be_free(vfs, &complete)?;
        let time = Timestamp::from_unix_micros(now).unwrap_or(Timestamp::EPOCH).to_string();
        let day: String = time.chars().take(10).filter(char::is_ascii_digit).collect();
        let names = (1..MOST_KEPT).map(|number| match number {
            1 => beside(root, &format!("{DAMAGED}{day}")),
            number => beside(root, &format!("{DAMAGED}{day}-{number}")),
        });
        for kept in names {
            if layout::probe(vfs, &kept)?.is_none() {
                let (parent, root) = (parent.to_owned(), root.to_owned());
                return Ok(Self { parent, root, unfinished, complete, kept });
            }
        }
        let reason =
            "too many damaged stores of today are kept beside it; remove some, or repair to another one";
        Err(Error::invalid(reason).at(root, None))
    }

    /// Puts the new store in the old one's place, durably, and keeps the old one.
    pub(super) fn finish(&self, vfs: &dyn Vfs) -> Result<()> {
        layout::sync_dir(vfs, &self.unfinished)?;
        // Order: the new store has the name under which the old one will be kept before the two are exchanged, so
        // that the old one never has a name that asks to be removed.
        rename(vfs, &self.unfinished, &self.kept, &self.parent)?;
        match vfs.exchange(&self.kept, &self.root) {
            Ok(()) => return layout::sync_dir(vfs, &self.parent),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(error) => return Err(self.not_in_place(vfs, Error::io("exchange", &self.root, error))),
        }
        // Order: the new store says that it is complete, then the old one gives its name up, then the new one takes
        // it, each durably. Whoever looks in between finds both beside the name, and is told so.
        rename(vfs, &self.kept, &self.complete, &self.parent)?;
        let renamed = rename(vfs, &self.root, &self.kept, &self.parent);
        renamed.map_err(|error| self.not_in_place(vfs, error))?;
        rename(vfs, &self.complete, &self.root, &self.parent)
    }

    /// The error for a repaired store that cannot take its place; it is complete, and keeps a name that says so.
    fn not_in_place(&self, vfs: &dyn Vfs, error: Error) -> Error {
        if layout::probe(vfs, &self.complete).is_ok_and(|found| found.is_none()) {
            // If this fails as well, the store is found under the other name.
            rename(vfs, &self.kept, &self.complete, &self.parent).ok();
        }
        error.context("the repaired store is complete beside it, and cannot take its place")
    }
}

fn must_be_free(vfs: &dyn Vfs, path: &Path) -> Result<()> {
    if layout::probe(vfs, path)?.is_some() {
        let reason = "this is left of a repair that was stopped; remove it first";
        return Err(Error::invalid(reason).at(path, None));
    }
    Ok(())
}

/// Renames durably within a directory.
fn rename(vfs: &dyn Vfs, from: &Path, to: &Path, parent: &Path) -> Result<()> {
    vfs.rename(from, to).map_err(|e| Error::io("rename", from, e))?;
    layout::sync_dir(vfs, parent)
}
