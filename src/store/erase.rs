//! Erasing, and the proof of it.

use std::path::PathBuf;

use super::handle::MessageStore;
use crate::backend::Where;
use crate::error::{Place, Result};
use crate::model::{Erasure, ErasureReport, KeptReceipt, Matched};

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

    /// What meets conditions by its metadata: of what is there, and of what is kept of what was removed; nothing is changed.
    ///
    /// All that is kept is read once.
    ///
    /// # Errors
    ///
    /// `Unsupported` where nothing can be erased; those of reading. What is damaged is in the answer.
    pub fn matching(&self, conditions: &Where) -> Result<Matched> {
        self.backend().erasing()?.matching(conditions)
    }

    /// [Erases](Self::erase) all that [meets conditions](Self::matching), one after the other, each with a receipt of its own, and gives
    /// what that was and what came of it. What only met them before is not erased, and neither is what cannot be read.
    ///
    /// Each costs what an erasure costs. Stopped in between, it can be called again.
    ///
    /// # Errors
    ///
    /// Those of [`matching`](Self::matching) and [`erase`](Self::erase), with how many were erased before.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::{JsonObject, MessageStore, NewConversation, Where};
    /// let store = MessageStore::open(dir.path())?;
    /// let of_anna = NewConversation::new().metadata(JsonObject::parse(r#"{"user": "anna"}"#)?);
    /// store.create_conversation_with_id("c1", of_anna)?;
    /// store.add_message("c2", "of somebody else")?;
    /// let (matched, done) = store.erase_where(&Where::parse(r#"metadata.user = "anna""#)?)?;
    /// assert_eq!((matched.found[0].conversation_id.as_str(), done.len()), ("c1", 1));
    /// assert_eq!(store.stats()?.conversations, 1);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn erase_where(&self, conditions: &Where) -> Result<(Matched, Vec<ErasureReport>)> {
        let matched = self.matching(conditions)?;
        let mut done = Vec::new();
        for what in &matched.found {
            let report = self.erase(what).map_err(|error| {
                let (count, all) = (done.len(), matched.found.len());
                let done = format!(
                    "{count} of {all} were erased, whose receipts the store keeps; call it again for the rest"
                );
                error.context(&done)
            })?;
            done.push(report);
        }
        Ok((matched, done))
    }

    /// The receipts that the store keeps of what was erased from it, the oldest first: what each says, with its file or row. One that is
    /// damaged is among them, with what is wrong with it, and one that was taken away is not.
    ///
    /// All of them are read, and in memory at once; one takes about as much as the texts that it is of. Nothing is written.
    ///
    /// # Errors
    ///
    /// `Unsupported` where nothing can be erased; those of reading what they are in.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::{Erasure, MessageStore};
    /// let store = MessageStore::open(dir.path())?;
    /// store.add_message("c1", "nobody is to read this any more")?;
    /// let done = store.erase(&Erasure::conversation("c1"))?;
    /// let kept = store.receipts()?;
    /// assert_eq!((kept.len(), &kept[0].damage, &kept[0].receipt), (1, &None, &done.receipt));
    /// assert_eq!((kept[0].messages, &kept[0].events), (1, &done.events));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn receipts(&self) -> Result<Vec<KeptReceipt>> {
        self.backend().erasing()?.receipts()
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
