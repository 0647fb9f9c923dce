//! Erasing: what an engine does that can prove that nothing is left of something.

use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Place, Result};
use crate::model::{Erasure, ErasureReport, KeptReceipt, Matched};
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

    /// The receipts that it keeps of what was erased, the oldest first. What is damaged is among them.
    ///
    /// # Errors
    ///
    /// Those of the backend, for what keeps all of them from being read.
    fn receipts(&self) -> Result<Vec<KeptReceipt>>;

    /// Whether some of the events that it keeps stand in the place of others that were erased.
    ///
    /// # Errors
    ///
    /// Those of the backend.
    fn has_erased_events(&self) -> Result<bool> {
        Ok(false)
    }

    /// Where a receipt's texts still are: in any file of the store, beside it, and in these files and directories.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a receipt that is none; `InvalidInput` for one of another store; `Io` for what cannot be read.
    fn remnants(&self, receipt: &str, also: &[PathBuf]) -> Result<Vec<Place>>;
}

/// What those answer that cannot.
pub(super) fn unsupported() -> Error {
    let reason = "a store of objects and one in memory cannot be erased from: copy the store into a directory or a database with `aral-store copy`, erase there, copy that into a new store, and delete this one with its backups";
    Error::new(ErrorKind::Unsupported, reason)
}

/// The forks of a conversation and theirs, by which conversation each is a fork of.
pub(super) fn forks_of(from: &[(String, String)], id: &str) -> Vec<String> {
    let mut found = vec![id.to_owned()];
    let mut at = 0;
    while let Some(parent) = found.get(at).cloned() {
        let of = from.iter().filter(|(of, _)| *of == parent).map(|(_, fork)| fork.clone());
        let new: Vec<String> = of.filter(|fork| !found.contains(fork)).collect();
        found.extend(new);
        at += 1;
    }
    found.split_off(1)
}

/// What answers for something of which nothing is known.
pub(super) fn unknown(what: &Erasure) -> Error {
    let id = &what.conversation_id;
    let reason = match &what.message_id {
        None => format!("there is no conversation {id:?}, and nothing that is kept tells of one"),
        Some(message) => {
            let message = message.to_string_lossy();
            format!(
                "there is no message {message:?} in conversation {id:?}, and nothing that is kept tells of one"
            )
        }
    };
    Error::new(ErrorKind::NotFound, reason)
}

/// What is said of an erasure that has failed and is to be gone on with.
pub(super) const UNFINISHED: &str =
    "an erasure was begun and is not finished; the next opening for writing goes on with it";
