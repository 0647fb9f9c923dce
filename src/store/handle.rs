//! The public handle.
//!
//! Owns the methods that callers use; each puts a mutation together or passes a question on.

use std::path::Path;
use std::sync::Arc;

use super::batch::Batch;
use super::location::check_directory;
use crate::backend::Backend;
use crate::backend::follow::Follower;
use crate::clock::{IdSource, IdVersion, enter_process};
use crate::error::{Error, Result};
use crate::model::{
    Action, ActionEdit, CompactionReport, Conversation, Conversations, Edit, Event, ExportReport, Found,
    JsonObject, MAX_BATCH_EVENTS, Message, MessageRef, Messages, Mutation, NewAction, NewConversation,
    NewMessage, Operation, Order, Receipt, RecoveryReport, Search, Seq, Stats, Summary, Text, TextRef,
    Timestamp, Tombstone, UniqueIds, VerifyReport,
};

/// A store of conversations.
///
/// Cloning gives another handle to the same store; all of it works through `&self` and from any thread.
/// When the last handle goes, the store is closed as [`close`](Self::close) does, with nobody to hear of a
/// failure.
///
/// ```
/// use aral_store::{MessageStore, Messages};
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("data");
/// let store = MessageStore::open(&path)?;
/// let receipt = store.add_message("c1", "Hello, world!")?;
/// assert!(receipt.is_durable());
/// assert_eq!(store.messages("c1", Messages::last(1))?[0].content, "Hello, world!");
/// store.close()?;
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MessageStore {
    held: Arc<Held>,
}

/// What the handles of one opening do by themselves, whatever the backend.
#[derive(Debug)]
pub(super) struct Own {
    /// What a mutation is held to that says nothing of its own.
    pub(super) unique_ids: UniqueIds,
    /// Where the ids of forks come from.
    pub(super) ids: Arc<dyn IdSource>,
}

/// One opening, which the handles that were cloned from the first one share.
#[derive(Debug)]
struct Held {
    backend: Arc<dyn Backend>,
    own: Own,
    is_given_up: bool,
}

impl Held {
    fn give_up(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.is_given_up, true) { Ok(()) } else { self.backend.leave() }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure; what was acknowledged as durable is so already.
        self.give_up().ok();
    }
}

impl MessageStore {
    /// A handle to any backend.
    #[must_use]
    pub fn of_backend(backend: Arc<dyn Backend>) -> Self {
        Self::opened(backend, Own { unique_ids: UniqueIds::Off, ids: Arc::new(IdVersion::V4) })
    }

    /// What keeps the store.
    pub(super) fn backend(&self) -> &dyn Backend {
        &*self.held.backend
    }

    /// A handle to a backend that was opened with options.
    pub(super) fn opened(backend: Arc<dyn Backend>, own: Own) -> Self {
        Self { held: Arc::new(Held { backend, own, is_given_up: false }) }
    }

    /// An id for a conversation that is to begin.
    pub(super) fn new_id(&self) -> String {
        enter_process();
        self.held.own.ids.new_id()
    }

    /// Holds a mutation that says nothing of its own to what holds for this handle.
    fn under_rule(&self, mutation: &mut Mutation) {
        if mutation.unique_ids == UniqueIds::Off {
            mutation.unique_ids = self.held.own.unique_ids;
        }
    }

    /// Carries one mutation out.
    ///
    /// When this returns, the mutation is as durable as the receipt says: on the device under
    /// [`SyncPolicy::Always`](crate::SyncPolicy::Always). A mutation with a key that was used before changes nothing and returns the first
    /// receipt, whatever version it expects.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an empty or overlong id, text, object or key; `AlreadyExists` if a conversation is to
    /// begin that there is, or if an id is taken and [unique ids](UniqueIds) are asked for; `Conflict` if the conversation has another version than expected, or the key was
    /// used for something else; `NotFound` if
    /// there is no such conversation, message or action; `Corrupt` if the conversation's file cannot be
    /// read; `ReadOnly`; `NoSpace`, after which the store goes on once there is room; `Failed` once a sync
    /// has failed; `Closed`. After `NoSpace` and `Io` the text says whether the mutation may show up at the
    /// next opening.
    ///
    /// ```
    /// use aral_store::{ErrorKind, MessageStore, Mutation};
    /// let store = MessageStore::in_memory();
    /// let first = store.append(Mutation::add_message("c1", "once").key("request-7"))?;
    /// let retry = store.append(Mutation::add_message("c1", "once").key("request-7"))?;
    /// assert_eq!(first.seq, retry.seq);
    /// let stale = store.append(Mutation::add_message("c1", "late").expect(0)).unwrap_err();
    /// assert_eq!(stale.kind(), ErrorKind::Conflict);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn append(&self, mut mutation: Mutation) -> Result<Receipt> {
        self.under_rule(&mut mutation);
        self.held.backend.append_one(mutation)
    }

    /// Carries several mutations out as one: all of them happen or none, no reader sees a part of them, and
    /// they survive a crash together or not at all. Returns a receipt for each.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append), for the first mutation that is not possible; `InvalidInput` for a
    /// batch that is empty or has more than [`MAX_BATCH_EVENTS`] mutations or 256 MiB; `Conflict` if some
    /// but not all of its mutations were carried out before, by their keys.
    ///
    /// ```
    /// use aral_store::{Batch, MessageStore};
    /// let store = MessageStore::in_memory();
    /// let refused = store.batch(Batch::new().add_message("c1", "kept?").remove_message("c1", "nobody"));
    /// assert!(refused.is_err() && store.conversation("c1")?.is_none());
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn batch(&self, batch: impl Into<Batch>) -> Result<Vec<Receipt>> {
        let mut mutations = batch.into().into_mutations();
        if mutations.is_empty() || mutations.len() > MAX_BATCH_EVENTS {
            let reason =
                format!("a batch of {} mutations; it takes 1 to {MAX_BATCH_EVENTS}", mutations.len());
            return Err(Error::invalid(reason));
        }
        if self.held.own.unique_ids != UniqueIds::Off {
            for mutation in &mut mutations {
                self.under_rule(mutation);
            }
        }
        self.held.backend.append(mutations)
    }

    /// Begins a conversation and returns its receipt, whose `id` is the conversation's: a new UUID.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append).
    ///
    /// ```
    /// use aral_store::{MessageStore, NewConversation};
    /// let store = MessageStore::in_memory();
    /// let id = store.create_conversation(NewConversation::new().title("Plans"))?.conversation_id;
    /// assert_eq!(store.summary(&id)?.map(|summary| summary.title), Some("Plans".into()));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn create_conversation(&self, conversation: NewConversation) -> Result<Receipt> {
        self.append(Mutation::create_conversation("", conversation))
    }

    /// Begins a conversation with this id.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append); `AlreadyExists` if there is one with this id.
    ///
    /// ```
    /// use aral_store::{ErrorKind, MessageStore, NewConversation};
    /// let store = MessageStore::in_memory();
    /// store.create_conversation_with_id("c1", NewConversation::new())?;
    /// let again = store.create_conversation_with_id("c1", NewConversation::new());
    /// assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyExists);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn create_conversation_with_id(&self, id: &str, conversation: NewConversation) -> Result<Receipt> {
        if id.is_empty() {
            return Err(Error::invalid("a conversation id must not be empty"));
        }
        self.append(Mutation::create_conversation(id, conversation))
    }

    /// Begins a conversation anew, in place: its messages and actions go, its title, time, metadata and fields
    /// without a name become these, and it keeps its id, its place among the others, and counts its versions
    /// on. One that does not exist begins.
    ///
    /// With additions behind it in one batch it replaces a whole conversation, or changes what no other
    /// mutation changes, such as the order: a crash leaves the old one or the new one.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append). A damaged conversation is `Corrupt`: remove it first, which keeps its
    /// file.
    ///
    /// ```
    /// use aral_store::{Batch, MessageStore, Messages, NewConversation};
    /// let store = MessageStore::in_memory();
    /// store.add_message("c1", "a first try")?;
    /// let anew = Batch::new()
    ///     .reset_conversation("c1", NewConversation::new().title("Plans"))
    ///     .add_message("c1", "a better one");
    /// assert_eq!(store.batch(anew)?[1].version, 3);
    /// assert_eq!(store.messages("c1", Messages::all())?[0].content, "a better one");
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn reset_conversation(&self, id: &str, conversation: NewConversation) -> Result<Receipt> {
        self.append(Mutation::reset_conversation(id, conversation))
    }

    /// Adds a message at the end of a conversation, which begins with it if there is none.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append).
    ///
    /// ```
    /// use aral_store::{MessageStore, NewMessage};
    /// let store = MessageStore::in_memory();
    /// let first = store.add_message("c1", "Hi!")?;
    /// let second = store.add_message("c1", NewMessage::new("Hello.").role("assistant"))?;
    /// assert_eq!((first.version, second.version), (1, 2));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn add_message(&self, conversation_id: &str, message: impl Into<NewMessage>) -> Result<Receipt> {
        self.append(Mutation::add_message(conversation_id, message))
    }

    /// Adds an action at the end of a conversation, which begins with it if there is none.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append).
    ///
    /// ```
    /// use aral_store::{JsonObject, MessageStore, NewAction};
    /// let store = MessageStore::in_memory();
    /// let data = JsonObject::parse(r#"{"button_id":"submit"}"#)?;
    /// let receipt = store.add_action("c1", NewAction::new("button_click", data))?;
    /// assert_eq!(store.actions("c1")?[0].id, receipt.id);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn add_action(&self, conversation_id: &str, action: NewAction) -> Result<Receipt> {
        self.append(Mutation::add_action(conversation_id, action))
    }

    /// Replaces a conversation's title; `""` brings the default one back.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append).
    ///
    /// ```
    /// # let store = aral_store::MessageStore::in_memory();
    /// store.add_message("c1", "Hi!")?;
    /// store.set_title("c1", "Greetings")?;
    /// assert_eq!(store.summary("c1")?.map(|summary| summary.title), Some("Greetings".into()));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn set_title(&self, conversation_id: &str, title: impl Into<Text>) -> Result<Receipt> {
        self.append(Mutation::new(conversation_id, Operation::SetTitle(title.into())))
    }

    /// Replaces a conversation's metadata.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append).
    ///
    /// ```
    /// use aral_store::JsonObject;
    /// # let store = aral_store::MessageStore::in_memory();
    /// store.add_message("c1", "Hi!")?;
    /// store.set_metadata("c1", JsonObject::parse(r#"{"pinned": true}"#)?)?;
    /// let conversation = store.conversation("c1")?.expect("it has just been made");
    /// assert_eq!(conversation.metadata.as_json(), r#"{"pinned":true}"#);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn set_metadata(&self, conversation_id: &str, metadata: JsonObject) -> Result<Receipt> {
        self.append(Mutation::new(conversation_id, Operation::SetMetadata(metadata)))
    }

    /// Replaces a conversation's time of creation.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append).
    ///
    /// ```
    /// # let store = aral_store::MessageStore::in_memory();
    /// store.add_message("c1", "Hi!")?;
    /// store.set_created_at("c1", "2025-03-13T15:11:33Z".parse()?)?;
    /// let summary = store.summary("c1")?.expect("it has just been made");
    /// assert_eq!(summary.created_at.to_string(), "2025-03-13T15:11:33+00:00");
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn set_created_at(&self, conversation_id: &str, time: Timestamp) -> Result<Receipt> {
        self.append(Mutation::new(conversation_id, Operation::SetCreatedAt(time)))
    }

    /// Replaces a conversation's fields that the original's model has no name for.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append); `InvalidInput` if one of them has a name in that model.
    ///
    /// ```
    /// use aral_store::JsonObject;
    /// # let store = aral_store::MessageStore::in_memory();
    /// store.add_message("c1", "Hi!")?;
    /// store.set_extra("c1", JsonObject::parse(r#"{"starred": true}"#)?)?;
    /// let conversation = store.conversation("c1")?.expect("it has just been made");
    /// assert_eq!(conversation.extra.as_json(), r#"{"starred":true}"#);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn set_extra(&self, conversation_id: &str, extra: JsonObject) -> Result<Receipt> {
        self.append(Mutation::new(conversation_id, Operation::SetExtra(extra)))
    }

    /// Changes some fields of the last message that has this id. It keeps its id and its place.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append).
    ///
    /// ```
    /// use aral_store::{Edit, MessageStore, Messages};
    /// let store = MessageStore::in_memory();
    /// let message = store.add_message("c1", "Helo")?;
    /// store.edit_message("c1", message.id, Edit::content("Hello"))?;
    /// assert_eq!(store.messages("c1", Messages::all())?[0].content, "Hello");
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn edit_message(
        &self,
        conversation_id: &str,
        message_id: impl Into<Text>,
        edit: Edit,
    ) -> Result<Receipt> {
        let message_id = message_id.into();
        self.append(Mutation::new(conversation_id, Operation::EditMessage { message_id, edit }))
    }

    /// Changes some fields of the last action that has this id. It keeps its id and its place.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append).
    ///
    /// ```
    /// use aral_store::{ActionEdit, JsonObject, MessageStore, NewAction};
    /// let store = MessageStore::in_memory();
    /// let action = store.add_action("c1", NewAction::new("tool_call", JsonObject::EMPTY))?;
    /// let done = JsonObject::parse(r#"{"result":"ok"}"#)?;
    /// store.edit_action("c1", action.id, ActionEdit::data(done.clone()))?;
    /// assert_eq!(store.actions("c1")?[0].data, done);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn edit_action(
        &self,
        conversation_id: &str,
        action_id: impl Into<Text>,
        edit: ActionEdit,
    ) -> Result<Receipt> {
        let action_id = action_id.into();
        self.append(Mutation::new(conversation_id, Operation::EditAction { action_id, edit }))
    }

    /// Takes the last message that has this id away.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append).
    ///
    /// ```
    /// # let store = aral_store::MessageStore::in_memory();
    /// let receipt = store.add_message("c1", "never mind")?;
    /// store.remove_message("c1", receipt.id)?;
    /// assert!(store.messages("c1", aral_store::Messages::all())?.is_empty());
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn remove_message(&self, conversation_id: &str, message_id: impl Into<Text>) -> Result<Receipt> {
        self.append(Mutation::new(conversation_id, Operation::RemoveMessage(message_id.into())))
    }

    /// Takes the last action that has this id away.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append).
    ///
    /// ```
    /// use aral_store::{JsonObject, NewAction};
    /// # let store = aral_store::MessageStore::in_memory();
    /// let receipt = store.add_action("c1", NewAction::new("tool_call", JsonObject::EMPTY))?;
    /// store.remove_action("c1", receipt.id)?;
    /// assert!(store.actions("c1")?.is_empty());
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn remove_action(&self, conversation_id: &str, action_id: impl Into<Text>) -> Result<Receipt> {
        self.append(Mutation::new(conversation_id, Operation::RemoveAction(action_id.into())))
    }

    /// Takes all messages and actions of a conversation away; its title and metadata stay.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append).
    ///
    /// ```
    /// # let store = aral_store::MessageStore::in_memory();
    /// store.add_message("c1", "Hi!")?;
    /// store.clear("c1")?;
    /// assert_eq!(store.summary("c1")?.map(|summary| summary.messages), Some(0));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn clear(&self, conversation_id: &str) -> Result<Receipt> {
        self.append(Mutation::new(conversation_id, Operation::Clear))
    }

    /// Ends a conversation. Its file goes at the next compaction; a damaged file is set aside, not deleted.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Self::append).
    ///
    /// ```
    /// # let store = aral_store::MessageStore::in_memory();
    /// store.add_message("c1", "Hi!")?;
    /// store.remove_conversation("c1")?;
    /// assert!(store.conversation("c1")?.is_none());
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn remove_conversation(&self, conversation_id: &str) -> Result<Receipt> {
        self.append(Mutation::new(conversation_id, Operation::RemoveConversation))
    }

    /// A conversation with everything in it; `None` if there is none.
    ///
    /// # Errors
    ///
    /// `Corrupt`, with file and offset, if what is kept of it is not what was written; `Io`.
    ///
    /// ```
    /// use aral_store::MessageStore;
    /// let store = MessageStore::in_memory();
    /// store.add_message("c1", "Hi!")?;
    /// let conversation = store.conversation("c1")?.expect("it has just been made");
    /// assert_eq!(conversation.title, "Conversation c1");
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn conversation(&self, id: &str) -> Result<Option<Conversation>> {
        self.held.backend.conversation(id)
    }

    /// A conversation with everything in it but its messages, none of which is read; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Those of [`conversation`](Self::conversation).
    ///
    /// ```
    /// use aral_store::{MessageStore, Messages};
    /// let store = MessageStore::in_memory();
    /// store.add_message("c1", "Hi!")?;
    /// let mut conversation = store.conversation_without_messages("c1")?.expect("it has just been made");
    /// assert!(conversation.messages.is_empty());
    /// conversation.messages = store.messages("c1", Messages::last(1))?;
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn conversation_without_messages(&self, id: &str) -> Result<Option<Conversation>> {
        self.held.backend.conversation_without_messages(id)
    }

    /// What a list shows of a conversation, without reading its messages; `None` if there is none.
    ///
    /// # Errors
    ///
    /// `Corrupt` if its file is known to be damaged.
    ///
    /// ```
    /// # let store = aral_store::MessageStore::in_memory();
    /// store.add_message("c1", "Hi!")?;
    /// let summary = store.summary("c1")?.expect("it has just been made");
    /// assert_eq!((summary.messages, summary.version), (1, 1));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn summary(&self, id: &str) -> Result<Option<Summary>> {
        self.held.backend.summary(id)
    }

    /// What is remembered of a conversation that was removed: which event did it, and when; `None` if there was none
    /// of this id, or if it has begun again. The newest 100,000 removals at least are remembered, across restart and
    /// compaction, so that an import does not bring back what somebody removed.
    ///
    /// # Errors
    ///
    /// `Closed`.
    ///
    /// ```
    /// # let store = aral_store::MessageStore::in_memory();
    /// drop(store.add_message("c1", "Hi!")?);
    /// let receipt = store.remove_conversation("c1")?;
    /// assert_eq!(store.removed("c1")?.map(|tombstone| tombstone.seq), Some(receipt.seq));
    /// drop(store.add_message("c1", "Hi again!")?);
    /// assert_eq!(store.removed("c1")?, None);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn removed(&self, id: &str) -> Result<Option<Tombstone>> {
        self.held.backend.removed(id)
    }

    /// What is remembered of the conversations that were removed, of the newest 100,000 at most, newest first.
    ///
    /// # Errors
    ///
    /// `Closed`.
    ///
    /// ```
    /// # let store = aral_store::MessageStore::in_memory();
    /// drop(store.add_message("c1", "Hi!")?);
    /// drop(store.remove_conversation("c1")?);
    /// assert_eq!(store.tombstones()?.len(), 1);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn tombstones(&self) -> Result<Vec<Tombstone>> {
        self.held.backend.tombstones()
    }

    /// The conversations as a list shows them: all of them in an [`Order`], or a [page](Conversations) of that. Those whose files are damaged are not among them but in
    /// [`recovery`](Self::recovery).
    ///
    /// # Errors
    ///
    /// `Closed`; `NotFound` if the conversation is gone behind which a page was to begin.
    ///
    /// ```
    /// use aral_store::Order;
    /// # let store = aral_store::MessageStore::in_memory();
    /// store.add_message("first", "1")?;
    /// store.add_message("second", "2")?;
    /// let ids: Vec<_> = store.conversations(Order::Created)?.into_iter().map(|summary| summary.id).collect();
    /// assert_eq!(ids, ["first", "second"]);
    /// let page = store.conversations(aral_store::Conversations::by(Order::Created).after("first").first(10))?;
    /// assert_eq!(page[0].id, "second");
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn conversations(&self, selection: impl Into<Conversations>) -> Result<Vec<Summary>> {
        self.held.backend.list(&selection.into())
    }

    /// The first `count` conversations in an order.
    ///
    /// # Errors
    ///
    /// `Closed`.
    ///
    /// ```
    /// use aral_store::{MessageStore, Order};
    /// let store = MessageStore::in_memory();
    /// store.add_message("a", "1")?;
    /// store.add_message("b", "2")?;
    /// assert_eq!(store.first_conversations(Order::Activity, 1)?[0].id, "b");
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn first_conversations(&self, order: Order, count: usize) -> Result<Vec<Summary>> {
        self.held.backend.conversations(order, Some(count))
    }

    /// A selection of a conversation's messages, oldest first.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such conversation, or no message that the selection's cursor names;
    /// `Corrupt`, with file and offset; `Io`.
    ///
    /// ```
    /// use aral_store::{MessageStore, Messages};
    /// let store = MessageStore::in_memory();
    /// for text in ["one", "two", "three"] {
    ///     store.add_message("c1", text)?;
    /// }
    /// let newest = store.messages("c1", Messages::last(2))?;
    /// let older = store.messages("c1", Messages::last(2).before(&newest[0].id))?;
    /// assert_eq!((newest[1].content.as_str(), older[0].content.as_str()), (Some("three"), Some("one")));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn messages(&self, conversation_id: &str, selection: Messages) -> Result<Vec<Message>> {
        let read = self.held.backend.messages(conversation_id, &selection);
        read.map_err(|error| self.explained(conversation_id, error))
    }

    /// The messages in which every word of a query occurs, newest first: by their times, and of one time those of the
    /// conversation that began last, and of one conversation the last. See [`Search`] for what a query says, and for the best first.
    ///
    /// ```
    /// # let store = aral_store::MessageStore::in_memory();
    /// use aral_store::Search;
    /// store.add_message("c1", "Will it rain tomorrow?")?;
    /// store.add_message("c1", "Take an umbrella: Rain from ten on.")?;
    /// let found = store.search("rain")?;
    /// assert_eq!((found.len(), found[0].place), (2, 1));
    /// let snippet = &found[0].snippet;
    /// assert_eq!(&snippet.text[snippet.hits[0].clone()], "Rain");
    /// let found = store.search(Search::new("\"will it\" tomorr*").role("user").limit(10))?;
    /// assert_eq!(found[0].conversation_id, "c1");
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    ///
    /// In memory, and in a directory without an index, every message is looked at; see `Options::index_search`. A database proposes messages by its own full-text
    /// index, which is brought up to date by searches; see docs/sql.md. The answers are the same everywhere.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a query that is empty or malformed; `NotFound` for a conversation that is not there; `Corrupt` if one cannot
    /// be read, since what it says is unknown: the others can be searched one by one; `Io`.
    pub fn search(&self, search: impl Into<Search>) -> Result<Vec<Found>> {
        self.held.backend.search(&search.into())
    }

    /// The last message of a conversation that has this id, which is the one that edits and removals mean; `None` if
    /// the conversation or the message is not there.
    ///
    /// Only this message is read. It is found by going over four bytes of each message of the conversation in
    /// memory: about a nanosecond for each.
    ///
    /// # Errors
    ///
    /// `Corrupt`, with file and offset; `Io`.
    ///
    /// ```
    /// # let store = aral_store::MessageStore::in_memory();
    /// let receipt = store.add_message("c1", "Hi!")?;
    /// let message = store.message("c1", &receipt.id)?.expect("it has just been added");
    /// assert_eq!(message.content, "Hi!");
    /// assert!(store.message("c1", "another id")?.is_none());
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn message<'t>(
        &self,
        conversation_id: &str,
        message_id: impl Into<TextRef<'t>>,
    ) -> Result<Option<Message>> {
        self.held.backend.message(conversation_id, message_id.into())
    }

    /// Lends a selection of a conversation's messages to a function, oldest first: what
    /// [`messages`](Self::messages) returns, without memory of its own for each of them.
    ///
    /// The messages are those of one moment. No lock is held while the function runs, so it may take its time, and may
    /// call this store: what it appends is not among what it is lent.
    ///
    /// # Errors
    ///
    /// Those of [`messages`](Self::messages). What goes wrong at a message goes wrong after those before it were
    /// lent. `Conflict` if in the meantime a compaction has replaced the file from which the rest was to be read,
    /// and a change of the conversation before it makes it uncertain which messages those are: begin again.
    ///
    /// ```
    /// use aral_store::{MessageStore, Messages};
    /// let store = MessageStore::in_memory();
    /// store.add_message("c1", "one")?;
    /// store.add_message("c1", "two")?;
    /// let mut bytes = 0;
    /// store.for_each_message("c1", Messages::all(), |message| bytes += message.content.len())?;
    /// assert_eq!(bytes, 6);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn for_each_message(
        &self,
        conversation_id: &str,
        selection: Messages,
        mut each: impl FnMut(MessageRef<'_>),
    ) -> Result<()> {
        let lent = self.held.backend.for_each_message(conversation_id, &selection, &mut each);
        lent.map_err(|error| self.explained(conversation_id, error))
    }

    /// A conversation's actions, oldest first.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such conversation; `Corrupt`, with file and offset; `Io`.
    ///
    /// ```
    /// use aral_store::{JsonObject, NewAction};
    /// # let store = aral_store::MessageStore::in_memory();
    /// store.add_action("c1", NewAction::new("button_click", JsonObject::EMPTY))?;
    /// assert_eq!(store.actions("c1")?[0].action_type, "button_click");
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn actions(&self, conversation_id: &str) -> Result<Vec<Action>> {
        let read = self.held.backend.actions(conversation_id);
        read.map_err(|error| self.explained(conversation_id, error))
    }

    /// The events from a sequence number on that the log still holds, each batch whole with the sequence
    /// number of its first event. What a compaction covered is in the JSON files and no longer here.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`; `Unsupported` where events are not kept.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let store = aral_store::MessageStore::open(dir.path())?;
    /// store.add_message("c1", "Hi!")?;
    /// let (seq, batch) = &store.events(1)?[0];
    /// assert_eq!((*seq, batch[0].conversation_id.as_str()), (1, "c1"));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn events(&self, from: Seq) -> Result<Vec<(Seq, Vec<Event>)>> {
        self.held.backend.events(from)
    }

    /// Reads the events from a sequence number on, batch by batch, and goes on with what is appended later, by
    /// this process or another one. The first batch is the one that holds `from`, whole.
    ///
    /// A store that is open for reading sees here what a writer in another process has written, not only what was there at
    /// the opening; an event may show a moment before it is durable. What compactions have dropped is said, as
    /// [`Logged::Compacted`](crate::Logged::Compacted).
    ///
    /// # Errors
    ///
    /// `Unsupported` where events are not kept; `Closed`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::{Logged, MessageStore};
    /// let store = MessageStore::open(dir.path())?;
    /// store.add_message("c1", "Hi!")?;
    /// store.compact()?;
    /// store.add_message("c1", "Still there?")?;
    /// let mut follower = store.follow(1)?;
    /// assert_eq!(follower.next_logged()?, Some(Logged::Compacted { first: 1, last: 1 }));
    /// assert!(matches!(follower.next_logged()?, Some(Logged::Batch { seq: 2, .. })));
    /// assert_eq!(follower.next_logged()?, None);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn follow(&self, from: Seq) -> Result<Follower> {
        self.held.backend.follow(from)
    }

    /// Writes conversations in the original's layout into a directory that is new or empty: all of them in
    /// their order, or those with these ids in the order given. Byte for byte what a compaction writes.
    ///
    /// When this returns, the export is durable. What cannot be read is in the report and not in the export.
    ///
    /// An export of a directory is of one state, whatever is appended or refreshed meanwhile. If a compaction replaces files that it
    /// has yet to read, it begins again with the state after that; what was removed until then is left out.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the directory holds anything, or lies in this store or among the files of another one; `NotFound` for an id that is not there, before
    /// anything is written; `Conflict` if one compaction after the other has replaced what was to be read; `NoSpace`; `Io`.
    ///
    /// ```
    /// # let home = tempfile::tempdir().unwrap();
    /// # let store = aral_store::MessageStore::in_memory();
    /// store.add_message("c1", "Hi!")?;
    /// let report = store.export_aral(home.path().join("export"), None)?;
    /// assert_eq!((report.conversations, report.damaged.len()), (1, 0));
    /// assert!(home.path().join("export/conversations/c1.json").exists());
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn export_aral(&self, to: impl AsRef<Path>, ids: Option<&[String]>) -> Result<ExportReport> {
        check_directory(to.as_ref())?;
        self.held.backend.export_aral(to.as_ref(), ids)
    }

    /// Has a handle that was opened [for reading](crate::Options::read_only) show what has been appended since, by other
    /// processes too, and gives the newest event that it shows.
    ///
    /// If nothing has come, that is a look at the names in the log's directory and at the bytes behind the last frame.
    /// Of what was appended to the same segment of the log, that alone is read. A new segment (each opening for writing begins one, and
    /// a long one each 16 MiB) or a compaction lets all that the newest compaction does not cover be read anew; so does what has come to a store in which something is damaged. Reads that are under way
    /// keep what they began with. An event is shown once it has reached the operating system, so that a power cut may take it back. A handle that writes
    /// sees everything anyway, and one that was opened to [salvage](crate::Options::salvage) stays what it is.
    /// [`recovery`](Self::recovery) is then what this look has found.
    ///
    /// # Errors
    ///
    /// Those of []; what was shown before is shown on then, and with it what stands before the damage.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::MessageStore;
    /// let writer = MessageStore::open(dir.path())?;
    /// let reader = MessageStore::options().read_only().open(dir.path())?;
    /// writer.add_message("c1", "Hi!")?;
    /// assert!(reader.summary("c1")?.is_none());
    /// assert_eq!(reader.refresh()?, 1);
    /// assert_eq!(reader.summary("c1")?.map(|summary| summary.messages), Some(1));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn refresh(&self) -> Result<Seq> {
        self.held.backend.refresh()
    }

    /// Makes everything accepted so far durable, whatever the sync policy.
    ///
    /// When this returns, everything that was accepted before the call survives a power cut.
    ///
    /// # Errors
    ///
    /// `Failed` from then on, if the device refused.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::{MessageStore, SyncPolicy};
    /// let store = MessageStore::options().sync(SyncPolicy::Os).open(dir.path())?;
    /// store.add_message("c1", "fast, and durable a moment later")?;
    /// store.sync()?;
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn sync(&self) -> Result<()> {
        self.held.backend.sync()
    }

    /// Writes every conversation that has changed to its JSON file, in the original's layout, and drops the
    /// log that is covered by them. Reads and appends go on meanwhile.
    ///
    /// When this returns, the JSON files hold everything that was accepted before the call, durably. A crash
    /// at any moment leaves either the old files with the log or the new ones.
    ///
    /// A changed conversation whose old file cannot be read is not written: it is in [`held`](CompactionReport::held),
    /// its file stays as it is, and its events stay in the log. All others are written.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the log is damaged; `NoSpace`; `Io`. The log is kept then.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let store = aral_store::MessageStore::open(dir.path())?;
    /// store.add_message("c1", "Hi!")?;
    /// let report = store.compact()?;
    /// assert_eq!((report.covered_seq, report.written), (1, 1));
    /// assert!(dir.path().join("conversations/c1.json").exists());
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn compact(&self) -> Result<CompactionReport> {
        self.held.backend.compact()
    }

    /// Takes a conversation's file as it is now, although it is not the one that the store wrote or read last:
    /// somebody has edited it, or put another one in its place, which may hold less. Until then the conversation
    /// answers with `Corrupt`, and the file is named in [`recovery`](Self::recovery).
    ///
    /// The conversation begins anew, with what the file holds and what the log adds to it, in one batch, whose
    /// last receipt is returned. What the log has under an id that the file has for something else, be it an addition
    /// or an edit, is kept as lines in `log/quarantine/`, which [`recovery`](Self::recovery) names. When this returns,
    /// it is as durable as any other mutation. `None` if the file is as recorded.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such conversation or no file; `Corrupt` if the file cannot be read;
    /// `InvalidInput` if it holds more than one record can, 16,777,215 items or 256 MiB; `Conflict` if others changed
    /// the conversation meanwhile, again and again: nothing that they were acknowledged for is undone.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::{ErrorKind, MessageStore, Messages};
    /// let store = MessageStore::open(dir.path())?;
    /// drop(store.add_message("c1", "Helo!")?);
    /// drop(store.compact()?);
    /// store.close()?;
    /// let file = dir.path().join("conversations/c1.json");
    /// let text = std::fs::read_to_string(&file).unwrap();
    /// std::fs::write(&file, text.replace("Helo!", "Hello!")).unwrap();
    ///
    /// let store = MessageStore::open(dir.path())?;
    /// assert_eq!(store.messages("c1", Messages::all()).unwrap_err().kind(), ErrorKind::Corrupt);
    /// assert_eq!(store.accept("c1")?.unwrap().version, 3);
    /// assert_eq!(store.messages("c1", Messages::all())?[0].content, "Hello!");
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn accept(&self, conversation_id: &str) -> Result<Option<Receipt>> {
        self.held.backend.accept(conversation_id)
    }

    /// Reads every byte of every file, checks every checksum, and says what is wrong where.
    ///
    /// # Errors
    ///
    /// I/O errors on directories; damage is in the report.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let store = aral_store::MessageStore::open(dir.path())?;
    /// store.add_message("c1", "Hi!")?;
    /// assert!(store.verify()?.is_sound());
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn verify(&self) -> Result<VerifyReport> {
        self.held.backend.verify()
    }

    /// How large the store is.
    ///
    /// # Errors
    ///
    /// `Closed`.
    ///
    /// ```
    /// # let store = aral_store::MessageStore::in_memory();
    /// store.add_message("c1", "Hi!")?;
    /// assert_eq!((store.stats()?.messages, store.stats()?.last_seq), (1, 1));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn stats(&self) -> Result<Stats> {
        let mut stats = self.held.backend.stats()?;
        match self.own_retention() {
            Ok(policy) => stats.retention = policy,
            Err(error) => stats.retention_error = Some(error.to_string()),
        }
        Ok(stats)
    }

    /// What opening the store found: what was replayed, what was cut, what cannot be read.
    ///
    /// The first call looks at every conversation's file, unless that has been done. If it cannot, that is in
    /// `damaged` too.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// let store = aral_store::MessageStore::open(dir.path())?;
    /// let report = store.recovery();
    /// assert!(report.torn.is_none() && report.damaged.is_empty());
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    #[must_use]
    pub fn recovery(&self) -> RecoveryReport {
        self.held.backend.recovery()
    }

    /// Gives this handle up. With the last one that the process has on the directory the store ends, and this says
    /// how that went, as [`close`](Self::close) does; until then the others go on, and nothing is written.
    ///
    /// # Errors
    ///
    /// What went wrong at the end of the store. The handle is gone all the same, and what had been acknowledged
    /// as durable stays so.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::MessageStore;
    /// let (one, other) = (MessageStore::open(dir.path())?, MessageStore::open(dir.path())?);
    /// one.release()?;
    /// other.add_message("c1", "still open")?;
    /// other.release()?;
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn release(self) -> Result<()> {
        // Of several that are given up at once exactly one is the last.
        Arc::into_inner(self.held).map_or(Ok(()), |mut held| held.give_up())
    }

    /// Ends the store for all its handles: makes everything durable, seals the log, lets go of the lock.
    /// Compacts first if the options say so.
    ///
    /// When this returns, another process can open the store for writing.
    ///
    /// # Errors
    ///
    /// What went wrong. The store is closed all the same, and what had been acknowledged as durable stays so.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::{ErrorKind, MessageStore};
    /// let store = MessageStore::open(dir.path())?;
    /// let other = store.clone();
    /// store.close()?;
    /// assert_eq!(other.add_message("c1", "too late").unwrap_err().kind(), ErrorKind::Closed);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn close(self) -> Result<()> {
        self.held.backend.close()
    }
}
