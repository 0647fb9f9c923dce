//! Going back to what was: by new events, so that the past stays what it is.
//!
//! Owns what undo, revert and bringing back mean. Each is carried out as one batch, and only if nobody changes the
//! conversation between the look at its past and that.

use super::handle::MessageStore;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{At, Conversation, History, Receipt, Text};

impl MessageStore {
    /// Makes a conversation what it was at a point in its past, with as few changes as that takes. Of a conversation that
    /// is not there any more a new one begins. Nothing is given, and nothing done, if it is that already.
    ///
    /// # Errors
    ///
    /// `NotFound` for what is no longer kept, and where there was no conversation then; `Conflict` if the conversation is changed
    /// meanwhile: nothing of what others did is undone unseen; those of [`history`](Self::history) and of
    /// [`batch`](Self::batch).
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::{MessageStore, Messages, Operation, Mutation};
    /// let store = MessageStore::open(dir.path())?;
    /// let before = store.add_message("c1", "one")?.seq;
    /// store.add_message("c1", "two")?;
    /// store.append(Mutation::new("c1", Operation::Clear))?;
    /// store.revert("c1", before)?;
    /// assert_eq!(store.messages("c1", Messages::all())?[0].content, "one");
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn revert(&self, conversation_id: &str, at: impl Into<At>) -> Result<Vec<Receipt>> {
        let history = self.history(conversation_id)?;
        let then = history.at(at)?.ok_or_else(|| not_there(conversation_id))?;
        self.make(&history, &then)
    }

    /// Takes the newest changes of a conversation back, so many as are asked for. What was carried out as one batch is one
    /// change, another undo too: undone once more, all is as it was before.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if that would end the conversation, which is what removing it is for; `NotFound` if it has had fewer
    /// changes, or fewer are kept; those of [`revert`](Self::revert).
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::{MessageStore, Operation, Mutation};
    /// let store = MessageStore::open(dir.path())?;
    /// store.add_message("c1", "one")?;
    /// store.append(Mutation::new("c1", Operation::RemoveConversation))?;
    /// store.undo("c1", 1)?;
    /// assert_eq!(store.summary("c1")?.map(|summary| summary.messages), Some(1));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn undo(&self, conversation_id: &str, changes: usize) -> Result<Vec<Receipt>> {
        let history = self.history(conversation_id)?;
        let then = history.before_changes(changes)?;
        self.make(&history, &then)
    }

    /// Begins a conversation that was removed anew, with what it held then.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if it is there; `NotFound` if it never was, or if what it held is no longer kept; those of
    /// [`revert`](Self::revert).
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::{Batch, MessageStore};
    /// let store = MessageStore::open(dir.path())?;
    /// store.add_message("c1", "one")?;
    /// store.batch(Batch::new().remove_conversation("c1"))?;
    /// store.unremove("c1")?;
    /// assert_eq!(store.summary("c1")?.map(|summary| summary.messages), Some(1));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn unremove(&self, conversation_id: &str) -> Result<Vec<Receipt>> {
        let history = self.history(conversation_id)?;
        let then = history.before_removal()?;
        self.make(&history, &then)
    }

    /// Puts a message or an action back that was removed, alone or with all others: where it stood, behind what it stood behind.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if one with this id is there; `NotFound` if none was removed as far as that is kept; those of
    /// [`revert`](Self::revert).
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::{Batch, MessageStore, Messages, NewMessage};
    /// let store = MessageStore::open(dir.path())?;
    /// for id in ["m1", "m2", "m3"] {
    ///     store.add_message("c1", NewMessage::new(id).id(id))?;
    /// }
    /// store.batch(Batch::new().remove_message("c1", "m2"))?;
    /// store.unremove_item("c1", "m2")?;
    /// assert_eq!(store.messages("c1", Messages::all())?[1].id, "m2");
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn unremove_item(&self, conversation_id: &str, item: impl Into<Text>) -> Result<Vec<Receipt>> {
        let history = self.history(conversation_id)?;
        let then = history.with_item(&item.into())?;
        self.make(&history, &then)
    }

    fn make(&self, history: &History, then: &Conversation) -> Result<Vec<Receipt>> {
        let mutations = history.steps_to(then)?;
        if mutations.is_empty() { Ok(Vec::new()) } else { self.batch(mutations) }
    }
}

fn not_there(id: &str) -> Error {
    let reason = format!("there was no conversation {id:?} then; to end it, remove it");
    Error::new(ErrorKind::NotFound, reason)
}
