//! Copying one store into another, as callers have it.
//!
//! Owns the words on it; how it is done is the backends' own.

use super::handle::MessageStore;
use crate::backend::copy;
use crate::error::Result;
use crate::model::{CopyProgress, CopyReport};

impl MessageStore {
    /// Copies everything into another store, which is empty or an earlier copy of this one: ids, times, versions, both
    /// orders, fields without a name, what is remembered of removals, and idempotency keys as far as this store still has
    /// the events that used them. When this returns, the copy is durable and has been compared.
    ///
    /// A copy that was cut off goes on where it was when it is begun again, and one that was finished takes over what has
    /// been added, changed and removed since. This store may be written meanwhile; the copy is of one state of it, which the
    /// report names. A directory should be open [for reading](crate::Options::read_only) for that. Nobody else may write to the other store
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// `Conflict` if the other store holds what is not of this one, or was changed since the copy: nothing is written
    /// then. `InvalidInput` if both are one store. `Corrupt` if a part of this one cannot be read, or if the copy turns out to
    /// differ. Those of reading and of appending.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::MessageStore;
    /// let (old, new) = (MessageStore::in_memory(), MessageStore::open(dir.path())?);
    /// old.add_message("c1", "Hello!")?;
    /// assert_eq!(old.copy_to(&new, |_| {})?.messages, 1);
    /// assert_eq!(new.conversation("c1")?, old.conversation("c1")?);
    /// assert_eq!(old.copy_to(&new, |_| {})?.events, 0);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn copy_to(&self, to: &Self, mut progress: impl FnMut(CopyProgress)) -> Result<CopyReport> {
        copy::copy(self.backend(), to.backend(), &mut progress)
    }
}
