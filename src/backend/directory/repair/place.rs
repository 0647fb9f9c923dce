//! How a repaired store takes the place of the damaged one.
//!
//! Owns the names beside it, and the order in which it takes that place: at every moment the
//! directory's name stands for one whole store, or, on a file system that cannot exchange two names at once, both
//! are there under names that say what they are. Nothing that has a name loses it to another.

use std::io;
use std::path::{Path, PathBuf};

use crate::backend::directory::new_place::{Maker, UNFINISHED, must_be_free, rename};
use crate::backend::directory::root::{COMPLETE, DAMAGED, beside};
use crate::error::{Error, Result};
use crate::model::Timestamp;
use crate::snapshot::layout;
use crate::vfs::Vfs;

/// How many damaged stores of a day are kept under names of their own.
const MOST_KEPT: u32 = 1_000;

/// What makes the new store.
pub(super) const REPAIR: Maker = Maker { verb: "repair", source: "the old one" };

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
        must_be_free(vfs, &unfinished, REPAIR)?;
        must_be_free(vfs, &complete, REPAIR)?;
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
