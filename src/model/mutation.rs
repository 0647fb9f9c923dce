//! Mutations: what a caller asks for.
//!
//! Owns the request side of the alphabet, with what a caller may leave open (ids, times, the role) and the
//! two conditions it may add: the version it expects and an idempotency key.

use super::edit::{ActionEdit, Edit};
use super::{JsonObject, Text, Timestamp, Version};

/// A request to change one conversation.
///
/// Built from an [`Operation`] or by the constructors below, and given to `append` or, with others, to `batch`.
///
/// ```
/// use aral_store::{MessageStore, Mutation, NewMessage};
/// let store = MessageStore::in_memory();
/// let receipt = store.append(Mutation::add_message("c1", NewMessage::new("hi")).key("k1").expect(0))?;
/// assert_eq!(receipt.version, 1);
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Mutation {
    /// The conversation to change. For `CreateConversation` an empty id asks for a new one.
    pub conversation_id: String,
    /// What to do to it.
    pub operation: Operation,
    /// Idempotency key: a second mutation with it changes nothing and gets the first one's receipt.
    pub key: Option<String>,
    /// The version that the conversation must have, 0 meaning that it must not exist.
    pub expect: Option<Version>,
    /// What becomes of an addition whose id is in the conversation already.
    pub unique_ids: UniqueIds,
}

/// What becomes of a message or an action that comes with an id which another one of its conversation has already.
///
/// ```
/// use aral_store::{ErrorKind, Messages, MessageStore, NewMessage, UniqueIds};
/// let store = MessageStore::options().unique_ids(UniqueIds::Refuse).in_memory();
/// store.add_message("c1", NewMessage::new("once").id("m1"))?;
/// let twice = store.add_message("c1", NewMessage::new("twice").id("m1"));
/// assert_eq!(twice.unwrap_err().kind(), ErrorKind::AlreadyExists);
/// assert_eq!(store.messages("c1", Messages::all())?.len(), 1);
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum UniqueIds {
    /// It is added, as the original does it: both are kept, and edits and removals mean the later one.
    #[default]
    Off,
    /// It is refused with `AlreadyExists`.
    Refuse,
    /// If it is the same, what is there counts as its outcome: nothing is added, and the receipt names what is there. If it is
    /// not the same (its text or type, role, data, metadata or fields without a name), it is refused with `AlreadyExists`.
    ///
    /// A batch is carried out before if all of it was, and only if there is nothing but such additions in it; a part of it
    /// makes it `AlreadyExists`. The receipt has the conversation's version and newest event by now, because those of the
    /// first addition may be compacted away; a [key](Mutation::key) keeps them.
    Existing,
}

/// What to do to a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Operation {
    /// Begin it; refused with `AlreadyExists` if it exists.
    CreateConversation(NewConversation),
    /// Begin it anew, in place: without messages and actions, and with these fields instead of those it had.
    /// With additions behind it in one batch it replaces a whole conversation. One that does not exist begins.
    ResetConversation(NewConversation),
    /// Replace its title; `""` brings the default one back.
    SetTitle(Text),
    /// Replace its metadata.
    SetMetadata(JsonObject),
    /// Replace its time of creation. When it was last active does not change.
    SetCreatedAt(Timestamp),
    /// Replace its fields without a name in the original's model.
    SetExtra(JsonObject),
    /// Add a message at the end, beginning the conversation if there is none.
    AddMessage(NewMessage),
    /// Change some fields of the last message with this id; it stays where it is.
    EditMessage {
        /// Which message.
        message_id: Text,
        /// What to change of it.
        edit: Edit,
    },
    /// Take the last message with this id away.
    RemoveMessage(Text),
    /// Add an action at the end, beginning the conversation if there is none.
    AddAction(NewAction),
    /// Change some fields of the last action with this id; it stays where it is.
    EditAction {
        /// Which action.
        action_id: Text,
        /// What to change of it.
        edit: ActionEdit,
    },
    /// Take the last action with this id away.
    RemoveAction(Text),
    /// Take all messages and actions away.
    Clear,
    /// End the conversation.
    RemoveConversation,
    /// The same, with the time at which it was removed; for copies of another store's events.
    RemoveConversationAt(Timestamp),
    /// The same for the reason that it is older than what is to be kept, at this time or now. What is remembered of it
    /// says so; see [`MessageStore::prune`](crate::MessageStore::prune).
    PruneConversation(Option<Timestamp>),
    /// Raise its version to this one; refused with a conflict if it has reached it already. For imports, after which
    /// the versions that somebody may expect are those of the source.
    SetVersion(Version),
    /// Put a text behind that of the last message with this id, which must be [partial](crate::Message::is_partial);
    /// see [`MessageStore::begin_message`](crate::MessageStore::begin_message).
    AppendText {
        /// Which message.
        message_id: Text,
        /// How many bytes of text it must have, in WTF-8; refused with a conflict if it has not. However many if absent.
        offset: Option<u64>,
        /// What to put behind them. It must not begin with a lone low surrogate, the second half of a character.
        text: Text,
    },
    /// Take the mark of a partial message off the last one with this id. It is an edit, and the event is one.
    FinishMessage {
        /// Which message.
        message_id: Text,
        /// How many bytes of text it must have, in WTF-8; refused with a conflict if it has not. However many if absent.
        length: Option<u64>,
        /// What to put into its metadata besides, each member in the place of one with its name.
        metadata: JsonObject,
    },
}

/// A conversation to begin.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct NewConversation {
    /// Its title; the default one if absent or empty.
    pub title: Option<Text>,
    /// Its metadata.
    pub metadata: JsonObject,
    /// Its time; now if absent.
    pub created_at: Option<Timestamp>,
    /// Fields without a name in the original's model; for imports.
    pub extra: JsonObject,
}

/// A message to add.
///
/// ```
/// use aral_store::{JsonObject, NewMessage};
/// let message = NewMessage::new("42").role("assistant").metadata(JsonObject::parse(r#"{"tokens":1}"#)?);
/// assert_eq!(message.role, "assistant");
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct NewMessage {
    /// The text, at most [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES) long.
    pub content: Text,
    /// Who says it; `user` unless said otherwise.
    pub role: Text,
    /// Its id; a new UUID if absent. An id that is in use already is refused only if
    /// [asked so](UniqueIds): the original keeps both, and edits and removals mean the later one.
    pub id: Option<Text>,
    /// Its time; now if absent.
    pub created_at: Option<Timestamp>,
    /// Whatever else to keep with it.
    pub metadata: JsonObject,
    /// Fields without a name in the original's model; for imports.
    pub extra: JsonObject,
}

/// An action to add.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct NewAction {
    /// What kind of action.
    pub action_type: Text,
    /// Its data.
    pub data: JsonObject,
    /// Its id; a new UUID if absent. With an id that is in use already it is as with a message's.
    pub id: Option<Text>,
    /// Its time; now if absent.
    pub created_at: Option<Timestamp>,
    /// Whatever else to keep with it.
    pub metadata: JsonObject,
    /// Fields without a name in the original's model; for imports.
    pub extra: JsonObject,
}

impl Mutation {
    /// A mutation without conditions.
    #[must_use]
    pub fn new(conversation_id: impl Into<String>, operation: Operation) -> Self {
        Self {
            conversation_id: conversation_id.into(),
            operation,
            key: None,
            expect: None,
            unique_ids: UniqueIds::Off,
        }
    }

    /// Begin a conversation; an empty id asks for a new UUID.
    #[must_use]
    pub fn create_conversation(id: impl Into<String>, conversation: NewConversation) -> Self {
        Self::new(id, Operation::CreateConversation(conversation))
    }

    /// Begin a conversation anew, in place; what is to be in it comes behind, in the same batch.
    #[must_use]
    pub fn reset_conversation(id: impl Into<String>, conversation: NewConversation) -> Self {
        Self::new(id, Operation::ResetConversation(conversation))
    }

    /// Add a message.
    #[must_use]
    pub fn add_message(conversation_id: impl Into<String>, message: impl Into<NewMessage>) -> Self {
        Self::new(conversation_id, Operation::AddMessage(message.into()))
    }

    /// Add an action.
    #[must_use]
    pub fn add_action(conversation_id: impl Into<String>, action: NewAction) -> Self {
        Self::new(conversation_id, Operation::AddAction(action))
    }

    /// Makes a retry harmless: the first mutation with this key is carried out, each later one returns the
    /// first one's receipt. The newest 100,000 keys at least are remembered, across restart and compaction.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Refuses the mutation with a conflict unless the conversation has this version; 0 means that it must
    /// not exist.
    #[must_use]
    pub fn expect(mut self, version: Version) -> Self {
        self.expect = Some(version);
        self
    }

    /// Holds an addition to an id of its own, if it comes with one: see [`UniqueIds`].
    ///
    /// ```
    /// use aral_store::{MessageStore, Mutation, NewMessage, UniqueIds};
    /// let store = MessageStore::in_memory();
    /// let add = || Mutation::add_message("c1", NewMessage::new("hi").id("m1")).unique_ids(UniqueIds::Existing);
    /// assert_eq!(store.append(add())?.id, store.append(add())?.id);
    /// assert_eq!(store.summary("c1")?.map(|summary| summary.messages), Some(1));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    #[must_use]
    pub fn unique_ids(mut self, unique_ids: UniqueIds) -> Self {
        self.unique_ids = unique_ids;
        self
    }
}

impl NewConversation {
    /// A conversation with the default title.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the title.
    #[must_use]
    pub fn title(mut self, title: impl Into<Text>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Sets the metadata.
    #[must_use]
    pub fn metadata(mut self, metadata: JsonObject) -> Self {
        self.metadata = metadata;
        self
    }

    /// Sets the time.
    #[must_use]
    pub fn created_at(mut self, time: Timestamp) -> Self {
        self.created_at = Some(time);
        self
    }
}

impl NewMessage {
    /// A message of the role `user`.
    #[must_use]
    pub fn new(content: impl Into<Text>) -> Self {
        Self {
            content: content.into(),
            role: Text::from("user"),
            id: None,
            created_at: None,
            metadata: JsonObject::EMPTY,
            extra: JsonObject::EMPTY,
        }
    }

    /// Sets the role.
    #[must_use]
    pub fn role(mut self, role: impl Into<Text>) -> Self {
        self.role = role.into();
        self
    }

    /// Sets the id.
    #[must_use]
    pub fn id(mut self, id: impl Into<Text>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the time.
    #[must_use]
    pub fn created_at(mut self, time: Timestamp) -> Self {
        self.created_at = Some(time);
        self
    }

    /// Sets the metadata.
    #[must_use]
    pub fn metadata(mut self, metadata: JsonObject) -> Self {
        self.metadata = metadata;
        self
    }
}

impl<T: Into<Text>> From<T> for NewMessage {
    fn from(content: T) -> Self {
        Self::new(content)
    }
}

impl NewAction {
    /// An action of this type with this data.
    #[must_use]
    pub fn new(action_type: impl Into<Text>, data: JsonObject) -> Self {
        Self {
            action_type: action_type.into(),
            data,
            id: None,
            created_at: None,
            metadata: JsonObject::EMPTY,
            extra: JsonObject::EMPTY,
        }
    }

    /// Sets the id.
    #[must_use]
    pub fn id(mut self, id: impl Into<Text>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the time.
    #[must_use]
    pub fn created_at(mut self, time: Timestamp) -> Self {
        self.created_at = Some(time);
        self
    }

    /// Sets the metadata.
    #[must_use]
    pub fn metadata(mut self, metadata: JsonObject) -> Self {
        self.metadata = metadata;
        self
    }
}
