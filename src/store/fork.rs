//! Branching off.
//!
//! Owns the carrying out of a fork: one look at what is to be shared, and one batch.

use super::handle::MessageStore;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Fork, ForkPoint, Receipt, Text};

impl MessageStore {
    /// Begins a conversation with the past of another one up to a point: its messages and actions with their ids and times, its
    /// metadata, and its fields without a name. From there on each goes its own way: what becomes of one is not seen in the other, and the fork is whole when the
    /// other one is removed, or compacted, or its history dropped. Under `forked_from` its metadata say where it comes from; see
    /// [`Conversation::forked_from`](crate::Conversation::forked_from).
    ///
    /// It happens as a whole or not at all. The receipt is of the new conversation, its id, and the last event that made it. What
    /// this costs grows with what is shared.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such conversation, or was none then, for a message that is not there, and for what is no longer
    /// kept; `AlreadyExists` if there is a conversation with the new id: that is what a retry hears; `InvalidInput` for more messages and actions
    /// than one batch takes, see [`batch`](Self::batch); `Unsupported` for a point in the past of a store in memory; those of [`append`](Self::append).
    ///
    /// ```
    /// use aral_store::{ErrorKind, Fork, MessageStore, Messages, NewMessage};
    /// let store = MessageStore::in_memory();
    /// for id in ["m1", "m2", "m3"] {
    ///     store.add_message("c1", NewMessage::new(id).id(id))?;
    /// }
    /// let fork = store.fork("c1", Fork::before("m3").id("c2").title("Another try"))?;
    /// store.remove_conversation("c1")?;
    /// assert_eq!((fork.conversation_id.as_str(), store.messages("c2", Messages::all())?.len()), ("c2", 2));
    /// assert_eq!(store.fork("c2", Fork::through("m3")).unwrap_err().kind(), ErrorKind::NotFound);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn fork(&self, conversation_id: &str, fork: Fork) -> Result<Receipt> {
        let id = match &fork.id {
            Some(id) if id.is_empty() => return Err(Error::invalid("a conversation id must not be empty")),
            Some(id) => id.clone(),
            None => self.new_id(),
        };
        let parent = match fork.point {
            ForkPoint::At(at) => self.at(at).conversation(conversation_id)?,
            ForkPoint::Now | ForkPoint::Through(_) | ForkPoint::Before(_) => {
                self.conversation(conversation_id)?
            }
        };
        let Some(parent) = parent else { return Err(self.nothing_there(conversation_id, &fork.point)?) };
        // What is there was accepted once, whatever ids it has: this handle's rule for new ones does not ask.
        let receipts = self.backend().append(parent.forked(fork, &id)?)?;
        let last = receipts.into_iter().next_back();
        let last = last.ok_or_else(|| Error::new(ErrorKind::Failed, "the backend returned no receipt"))?;
        Ok(Receipt { id: Text::from(id), ..last })
    }

    /// The error for a conversation that is not there to be forked.
    fn nothing_there(&self, id: &str, point: &ForkPoint) -> Result<Error> {
        let removed = self.removed(id)?.filter(|_| !matches!(point, ForkPoint::At(_)));
        let reason = match (removed, point) {
            (Some(removed), _) => format!(
                "there is no conversation {id:?}: {}; fork what it was then, at event {}",
                removed.in_words(),
                removed.seq.saturating_sub(1)
            ),
            (None, ForkPoint::At(_)) => format!("there was no conversation {id:?} then"),
            (None, _) => format!("there is no conversation {id:?}"),
        };
        Ok(Error::new(ErrorKind::NotFound, reason))
    }
}
