//! Looking back.
//!
//! Owns the words on it, and the choice between what is there now and what has to be put together from events.

use std::collections::HashSet;

use super::handle::MessageStore;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Action, At, Conversation, History, Keep, KeptHistory, Message, Messages, Order, Summary, activity_key,
};

/// A store as it was at a point in its past, for reading; see [`MessageStore::at`].
#[derive(Clone, Debug)]
pub struct StoreAt {
    store: MessageStore,
    at: At,
}

impl MessageStore {
    /// This store as it was at a point in its past, as far as that is kept: a database of SQL keeps every event, everything else those
    /// since the newest compaction, and beside what it was told to [keep](Self::keep_history). Nothing is read yet.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::{At, Edit, MessageStore, Messages, NewMessage};
    /// let store = MessageStore::open(dir.path())?;
    /// let first = store.add_message("c1", NewMessage::new("Helo!").id("m1"))?;
    /// store.edit_message("c1", "m1", Edit::content("Hello!"))?;
    /// assert_eq!(store.at(first.seq).messages("c1", Messages::all())?[0].content, "Helo!");
    /// assert_eq!(store.at(At::Version(2)).messages("c1", Messages::all())?[0].content, "Hello!");
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    #[must_use]
    pub fn at(&self, at: impl Into<At>) -> StoreAt {
        StoreAt { store: self.clone(), at: at.into() }
    }

    /// How much of its past the store keeps, and from which event on it has all of it.
    ///
    /// # Errors
    ///
    /// `Unsupported` where events are not kept; `Corrupt` if nobody can read how much it is.
    pub fn kept_history(&self) -> Result<KeptHistory> {
        self.backend().kept_history()
    }

    /// Chooses how much of its past the store keeps from now on: of the events that compactions cover. The
    /// choice is the store's and stays with it. What is not to be kept is dropped at once, and then with each compaction.
    ///
    /// Without a choice it is [`Keep::DEFAULT`]. When this returns, the choice is durable. A compaction writes, besides what it writes anyway, what the conversations
    /// that have changed were before, and their events: opening, reading and appending cost what they cost without it.
    ///
    /// # Errors
    ///
    /// `Unsupported` where there is no choice: a database of SQL keeps every event, memory none; `ReadOnly`; `NoSpace`; `Io`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::{Keep, MessageStore};
    /// let store = MessageStore::open(dir.path())?;
    /// store.keep_history(Keep::Everything)?;
    /// store.add_message("c1", "one")?;
    /// store.compact()?;
    /// store.add_message("c1", "two")?;
    /// store.compact()?;
    /// assert_eq!(store.at(1).conversation("c1")?.map(|was| was.messages.len()), Some(1));
    /// assert_eq!(store.kept_history()?.from, 1);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn keep_history(&self, keep: Keep) -> Result<KeptHistory> {
        self.backend().keep_history(keep)
    }

    /// What is kept of a conversation's past: what it was before the oldest event that is kept of it, and its events
    /// since, up to the newest. Of a conversation that was removed too, and of one that never was nothing.
    ///
    /// # Errors
    ///
    /// `Unsupported` where events are not kept: in memory, and of a damaged store; `Corrupt`; `Io`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::{Keep, MessageStore};
    /// let store = MessageStore::options().keep(Keep::Nothing).open(dir.path())?;
    /// store.add_message("c1", "one")?;
    /// store.compact()?;
    /// store.add_message("c1", "two")?;
    /// let history = store.history("c1")?;
    /// assert_eq!((history.whole_from, history.events[0].seq), (1, 2));
    /// assert_eq!(history.base.map(|base| base.conversation.messages.len()), Some(1));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn history(&self, conversation_id: &str) -> Result<History> {
        self.backend().history(conversation_id)
    }
}

impl StoreAt {
    fn summary_then(&self, id: &str) -> Result<Option<Summary>> {
        self.store.history(id)?.summary_at(self.at)
    }

    /// Whether a conversation is still as it was then, as its newest event says.
    fn is_as_now(&self, summary: &Summary) -> bool {
        matches!(self.at, At::Seq(seq) if summary.last_seq <= seq)
    }

    /// A conversation as it was; `None` if it was not there.
    ///
    /// What this costs grows with the conversation and with what has happened to it, and in a directory with the log behind the newest
    /// compaction; one that has not changed since is read as it is.
    ///
    /// # Errors
    ///
    /// `NotFound` for what is no longer kept, naming from where on it is, and for a version that the conversation never had;
    /// `Unsupported` where events are not kept; `Corrupt`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::{ErrorKind, Keep, MessageStore};
    /// let store = MessageStore::options().keep(Keep::Nothing).open(dir.path())?;
    /// store.add_message("c1", "one")?;
    /// store.add_message("c1", "two")?;
    /// store.compact()?;
    /// let error = store.at(1).conversation("c1").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// assert!(error.to_string().contains("whole from event 2 on"), "{error}");
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn conversation(&self, id: &str) -> Result<Option<Conversation>> {
        if let Some(summary) = self.store.summary(id)?.filter(|summary| self.is_as_now(summary)) {
            let found = self.store.conversation(id)?;
            // One that has changed between the two looks is put together all the same.
            if found.as_ref().is_some_and(|found| found.version == summary.version) {
                return Ok(found);
            }
        }
        self.store.history(id)?.at(self.at)
    }

    /// What a list showed of a conversation; `None` if it was not there.
    ///
    /// # Errors
    ///
    /// Those of [`conversation`](Self::conversation).
    pub fn summary(&self, id: &str) -> Result<Option<Summary>> {
        match self.store.summary(id)?.filter(|summary| self.is_as_now(summary)) {
            Some(summary) => Ok(Some(summary)),
            None => self.summary_then(id),
        }
    }

    /// The conversations that there were, those that had changed last first.
    ///
    /// Only those are put together that have changed since. Each of them costs as much as
    /// [`conversation`](Self::conversation) does.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a version, which is one conversation's alone; those of [`conversation`](Self::conversation), for
    /// the first one of which that is no longer kept.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::{Batch, MessageStore};
    /// let store = MessageStore::open(dir.path())?;
    /// store.add_message("c1", "one")?;
    /// let then = store.add_message("c2", "two")?.seq;
    /// store.add_message("c3", "three")?;
    /// store.batch(Batch::new().remove_conversation("c1"))?;
    /// let ids: Vec<String> = store.at(then).conversations()?.into_iter().map(|summary| summary.id).collect();
    /// assert_eq!(ids, ["c2", "c1"]);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn conversations(&self) -> Result<Vec<Summary>> {
        if let At::Version(_) = self.at {
            return Err(Error::invalid(
                "a version is one conversation's; a store is asked for by an event or a time",
            ));
        }
        let mut found = Vec::new();
        // Order: what was removed before what is there. Reversed, one that is brought back in between would be in neither; so it is in both.
        let removed = self.store.tombstones()?;
        for summary in self.store.conversations(Order::Created)? {
            if self.is_as_now(&summary) {
                found.push(summary);
            } else {
                found.extend(self.summary_then(&summary.id)?);
            }
        }
        let there: HashSet<String> = found.iter().map(|summary| summary.id.clone()).collect();
        for tombstone in removed {
            let is_gone_by_then = matches!(self.at, At::Seq(seq) if tombstone.seq <= seq);
            if is_gone_by_then || there.contains(&tombstone.id) {
                continue;
            }
            found.extend(self.summary_then(&tombstone.id)?);
        }
        found.sort_by_key(|summary| std::cmp::Reverse(activity_key(summary)));
        Ok(found)
    }

    /// A selection of the messages that a conversation had, oldest first.
    ///
    /// # Errors
    ///
    /// Those of [`conversation`](Self::conversation); `NotFound` for a conversation or a cursor that was not there.
    pub fn messages(&self, id: &str, selection: Messages) -> Result<Vec<Message>> {
        selection.among(&self.there(id)?.messages)
    }

    /// The actions that a conversation had, oldest first.
    ///
    /// # Errors
    ///
    /// Those of [`conversation`](Self::conversation); `NotFound` for a conversation that was not there.
    pub fn actions(&self, id: &str) -> Result<Vec<Action>> {
        Ok(self.there(id)?.actions)
    }

    fn there(&self, id: &str) -> Result<Conversation> {
        let reason = || Error::new(ErrorKind::NotFound, format!("there was no conversation {id:?} then"));
        self.conversation(id)?.ok_or_else(reason)
    }
}
