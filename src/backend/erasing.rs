//! Erasing: what an engine does that can prove that nothing is left of something.

use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Place, Result};
use crate::model::{Erasure, ErasureReport, Matched};
pub use crate::rules::Where;

/// What [`Backend::erasing`](super::Backend::erasing) gives.
pub trait Erasing {
    /// What an erasure would take; nothing is changed.
    ///
    /// # Errors
    ///
    /// `NotFound` if nothing of the kind is or was there, as far as that is kept; those of reading it.
    fn erasable(&self, what: &Erasure) -> Result<ErasureReport>;

    /// Erases it. What stops this is gone on with by whoever opens the store for writing next.
    ///
    /// # Errors
    ///
    /// Those of [`erasable`](Self::erasable); `ReadOnly`; those of a compaction.
    fn erase(&self, what: &Erasure) -> Result<ErasureReport>;

    /// What meets conditions, of what is there and of what is kept of the past.
    ///
    /// # Errors
    ///
    /// Those of reading it. What is damaged is in the answer.
    fn matching(&self, conditions: &Where) -> Result<Matched>;

    /// Where a receipt's texts still are: in any file of the store, beside it, and in these files and directories.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a receipt that is none; `InvalidInput` for one of another store; `Io` for what cannot be read.
    fn remnants(&self, receipt: &str, also: &[PathBuf]) -> Result<Vec<Place>>;
}

/// What those answer that cannot.
pub(super) fn unsupported() -> Error {
    let reason = "only a directory can be erased from: copy the store into one with `aral-store copy`, erase there, copy that into a new store, and delete this one with its backups";
    Error::new(ErrorKind::Unsupported, reason)
}
