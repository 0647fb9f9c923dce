//! Erasing, and the proof of it.

use std::path::PathBuf;

use super::handle::MessageStore;
use crate::error::{Place, Result};
use crate::model::{Erasure, ErasureReport};

impl MessageStore {
    /// What an erasure would take by now, and what it would not; nothing is changed.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is and was nothing of the kind, as far as that is kept; `Unsupported` where nothing can be erased;
    /// those of [`history`](Self::history).
    pub fn erasable(&self, what: &Erasure) -> Result<ErasureReport> {
        self.backend().erasing()?.erasable(what)
    }

    /// Erases a conversation, or messages: after this no file of the store has a text of it, neither the log nor the history that is
    /// kept, the JSON files, idempotency keys, or what was set aside. Nothing brings it back. What is remembered of a conversation is
    /// its id, when, and that it was erased; of a message, its id and place in the history.
    ///
    /// The whole log is compacted for it. Stopped at any moment, it is gone on with when the store is next opened for writing; until then
    /// it is there as it was, or gone. What is not the store's own is named in the report and left: copies that a repair has kept
    /// beside it. Backups, exports and copies elsewhere are nobody's to know here; see docs/durability.md for what file systems keep.
    ///
    /// # Errors
    ///
    /// Those of [`erasable`](Self::erasable), [`compact`](Self::compact) and [`append`](Self::append); `Corrupt` if another
    /// conversation's file cannot be read, so that the log has to stay.
    pub fn erase(&self, what: &Erasure) -> Result<ErasureReport> {
        self.backend().erasing()?.erase(what)
    }

    /// Where texts of a receipt still are, in each file the first: in the store, beside it, and in these files and directories, such as a backup.
    ///
    /// The receipt has salted digests of pieces of the texts, which are looked for at every byte. What is not found is not there
    /// as plain text; what is compressed or encrypted is not looked into, and texts of less than 12 bytes cannot be told.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a receipt that is none, or was changed; `InvalidInput` for one of another store; `Io`.
    pub fn remnants(&self, receipt: &str, also: &[PathBuf]) -> Result<Vec<Place>> {
        self.backend().erasing()?.remnants(receipt, also)
    }
}
