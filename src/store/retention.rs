//! What is to be kept, as a store remembers it, and the taking away of what is not.
//!
//! Owns where policies are kept: in the metadata of the conversations that they are of, and those of all others in the metadata of one
//! conversation that is there for it. So every engine keeps them as it keeps anything, with a past, in copies, backups and exports.

use std::collections::BTreeMap;

use super::handle::MessageStore;
use crate::backend::no_conversation;
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Conversation, JsonObject, Mutation, NewConversation, Operation, PruneReport, Receipt, RetentionPolicy,
    StoredRetention, Timestamp,
};

/// How often a policy is written again where somebody else has changed the conversation meanwhile.
const TRIES: usize = 100;

/// The title of the conversation that has the policy of the store.
const TITLE: &str = "What this store keeps";

impl MessageStore {
    /// Has a conversation, or all that have none of their own if none is named, kept as a policy says: from then on
    /// [`prune_as_stored`](Self::prune_as_stored) goes by it. Nothing is taken away by this, nor by anything but that call.
    ///
    /// A conversation's policy is a member of its metadata, [`RetentionPolicy::METADATA_KEY`], that of the store one of the
    /// metadata of the conversation [`RetentionPolicy::STORE_CONVERSATION`], which begins with it and is in lists like any other. It is as
    /// durable as any change, goes with forks, copies, backups and exports, and whoever replaces the metadata replaces it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a policy that leaves nothing; `NotFound` for a conversation that is not there; `Corrupt` for metadata that are
    /// no object; those of [`append`](Self::append).
    ///
    /// ```
    /// use aral_store::{MessageStore, NewMessage, RetentionPolicy};
    /// use std::time::Duration;
    /// let store = MessageStore::in_memory();
    /// for id in ["old", "held"] {
    ///     store.add_message(id, NewMessage::new("long ago").created_at("2020-01-01T00:00:00Z".parse()?))?;
    /// }
    /// store.set_retention(None, &RetentionPolicy::new().older_than(Duration::from_secs(90 * 86_400)))?;
    /// store.set_retention(Some("held"), &RetentionPolicy::everything())?;
    /// let gone = store.prune_as_stored(&[])?.pruned;
    /// assert_eq!((gone.len(), gone[0].conversation_id.as_str()), (1, "old"));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn set_retention(&self, conversation: Option<&str>, policy: &RetentionPolicy) -> Result<Receipt> {
        policy.check()?;
        let id = conversation.unwrap_or(RetentionPolicy::STORE_CONVERSATION);
        again_if_changed(|| {
            if let Some(now) = self.conversation_without_messages(id)? {
                let metadata = policy.note_in(&now.metadata)?;
                let step = Mutation::new(id, Operation::SetMetadata(metadata));
                return self.append(step.expect(now.version));
            }
            if conversation.is_some() {
                return Err(self.explained(id, no_conversation(id)));
            }
            let new = NewConversation::new().title(TITLE).metadata(policy.note_in(&JsonObject::EMPTY)?);
            self.create_conversation_with_id(id, new)
        })
    }

    /// Forgets the policy of a conversation, or that of the store if none is named; gives nothing if there was none.
    ///
    /// # Errors
    ///
    /// `NotFound` for a conversation that is named and not there; those of [`append`](Self::append).
    ///
    /// ```
    /// use aral_store::{MessageStore, RetentionPolicy};
    /// let store = MessageStore::in_memory();
    /// drop(store.set_retention(None, &RetentionPolicy::new().keep_last(100))?);
    /// assert!(store.clear_retention(None)?.is_some());
    /// assert_eq!((store.clear_retention(None)?, store.retention()?.store), (None, None));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn clear_retention(&self, conversation: Option<&str>) -> Result<Option<Receipt>> {
        let id = conversation.unwrap_or(RetentionPolicy::STORE_CONVERSATION);
        again_if_changed(|| {
            let Some(now) = self.conversation_without_messages(id)? else {
                return conversation.map_or(Ok(None), |id| Err(self.explained(id, no_conversation(id))));
            };
            let Some(metadata) = RetentionPolicy::without(&now.metadata) else { return Ok(None) };
            let is_there_for_it = conversation.is_none() && metadata.is_empty() && self.is_empty(&now)?;
            let step = if is_there_for_it {
                Operation::RemoveConversation
            } else {
                Operation::SetMetadata(metadata)
            };
            self.append(Mutation::new(id, step).expect(now.version)).map(Some)
        })
    }

    /// The policies that the store keeps: its own, and those of conversations, of which the head of each is read.
    ///
    /// # Errors
    ///
    /// Those of [`conversation`](Self::conversation), but for what is damaged or cannot be understood, which is in the answer.
    pub fn retention(&self) -> Result<StoredRetention> {
        let mut found = StoredRetention::default();
        match self.own_retention() {
            Ok(policy) => found.store = policy,
            Err(error) => {
                let id = RetentionPolicy::STORE_CONVERSATION.to_owned();
                drop(found.unread.insert(id, unless_read(error)?));
            }
        }
        for summary in self.all_conversations()? {
            if summary.id == RetentionPolicy::STORE_CONVERSATION {
                continue;
            }
            match self.retention_of(&summary.id) {
                Ok(Some(policy)) => drop(found.conversations.insert(summary.id, policy)),
                Ok(None) => {}
                Err(error) => drop(found.unread.insert(summary.id, unless_read(error)?)),
            }
        }
        Ok(found)
    }

    /// The policy of the store.
    pub(super) fn own_retention(&self) -> Result<Option<RetentionPolicy>> {
        // Mostly there is none, and that takes a server one question.
        match self.summary(RetentionPolicy::STORE_CONVERSATION)? {
            Some(summary) => self.retention_of(&summary.id),
            None => Ok(None),
        }
    }

    fn retention_of(&self, id: &str) -> Result<Option<RetentionPolicy>> {
        let head = self.conversation_without_messages(id)?;
        head.map_or(Ok(None), |head| RetentionPolicy::noted_in(&head.metadata))
    }

    /// What [`prune_as_stored`](Self::prune_as_stored) would take away by now; nothing is changed.
    ///
    /// # Errors
    ///
    /// Those of [`prunable`](Self::prunable); `InvalidInput` if no policy is kept that means any of them.
    pub fn prunable_as_stored(&self, conversations: &[String]) -> Result<PruneReport> {
        self.by_stored_policies(conversations, false)
    }

    /// Takes away what the policies that the store keeps do not keep, as [`prune`](Self::prune) does: of these conversations, or of all if
    /// none is named. A conversation's own policy holds for it in place of the store's. How old something is goes by the
    /// system's clock.
    ///
    /// The head of every conversation that may be meant is read for its policy. One whose policy cannot be read or understood is left as it is,
    /// and named; where that of the store cannot be, all are left that have none of their own.
    ///
    /// # Errors
    ///
    /// Those of [`prune`](Self::prune); `InvalidInput` if no policy is kept that means any of them.
    pub fn prune_as_stored(&self, conversations: &[String]) -> Result<PruneReport> {
        self.by_stored_policies(conversations, true)
    }

    fn by_stored_policies(&self, conversations: &[String], does_it: bool) -> Result<PruneReport> {
        let now = SystemClock.now_micros();
        let (mut report, mut unread, mut has_policy) = (PruneReport::default(), BTreeMap::new(), false);
        // That of the store, as long as it can be read: without it nothing is known of those that have none of their own.
        let of_all = match self.own_retention() {
            Ok(policy) => Some(policy),
            Err(error) => {
                let id = RetentionPolicy::STORE_CONVERSATION.to_owned();
                drop(unread.insert(id, unless_read(error)?));
                None
            }
        };
        for summary in self.listed_or_named(conversations)? {
            if summary.id == RetentionPolicy::STORE_CONVERSATION {
                continue;
            }
            // Order: the summary before the policy. Reversed, a policy that is changed in between would not be a change of the version.
            let own = match self.retention_of(&summary.id) {
                Ok(own) => own,
                Err(error) => {
                    drop(unread.insert(summary.id, unless_read(error)?));
                    continue;
                }
            };
            let Some(policy) = own.or(of_all.flatten()) else { continue };
            has_policy = true;
            let Some(policy) = policy.at(now) else { continue };
            if !policy.means(&summary) {
                continue;
            }
            let Some((pruned, steps)) = self.plan(&policy, &summary)? else { continue };
            if does_it {
                self.carry_out(pruned, steps, &mut report)?;
            } else {
                report.pruned.push(pruned);
            }
        }
        if !has_policy && unread.is_empty() && !matches!(of_all, Some(Some(_))) {
            return Err(Error::invalid("the store keeps no policy that says what goes"));
        }
        report.unread = unread;
        Ok(report)
    }

    fn is_empty(&self, conversation: &Conversation) -> Result<bool> {
        let summary = self.summary(&conversation.id)?;
        Ok(summary.is_some_and(|summary| (summary.messages, summary.actions) == (0, 0)))
    }
}

/// Does something again that expects a version, if somebody has changed the conversation meanwhile.
fn again_if_changed<T>(mut act: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..TRIES {
        match act() {
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::AlreadyExists) => {}
            done => return done,
        }
    }
    act()
}

/// Why a policy cannot be gone by, or the error where that is no matter of what is kept.
fn unless_read(error: Error) -> Result<String> {
    let is_told = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::InvalidInput);
    if is_told { Ok(error.to_string()) } else { Err(error) }
}

impl RetentionPolicy {
    /// What it comes to at a time; nothing where everything is kept, or where the time is before all that a clock shows.
    fn at(self, now_micros: i64) -> Option<crate::model::Retention> {
        let mut policy = crate::model::Retention::new();
        if let Some(span) = self.older_than {
            let then = now_micros.checked_sub(i64::try_from(span.as_micros()).ok()?)?;
            policy = policy.older_than(Timestamp::from_unix_micros(then)?);
        }
        policy.keep_last = self.keep_last;
        (!self.keeps_everything()).then_some(policy)
    }
}
