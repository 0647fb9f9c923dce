//! Conversations, and what they hold.
//!
//! Owns the shapes that callers get. The field order is that of the original's files.

use super::{JsonObject, Seq, Text, Timestamp, Version};

/// What was said: one message of a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Message {
    /// The message's id; a UUID unless the caller chose one. The original allows two messages of a
    /// conversation to share an id; edits and removals then mean the last of them.
    pub id: Text,
    /// The text, possibly empty.
    pub content: Text,
    /// Who said it: any text; the original's words are `user`, `assistant` and `system`.
    pub role: Text,
    /// When, by the clock of whoever added it. Order never depends on it.
    pub created_at: Timestamp,
    /// Whatever else the caller keeps with it.
    pub metadata: JsonObject,
    /// Fields found in a file that the original's model has no name for; kept, and written back last.
    pub extra: JsonObject,
}

/// What was done: one action of a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Action {
    /// The action's id; a UUID unless the caller chose one.
    pub id: Text,
    /// What kind of action: any text, such as `tool_call`.
    pub action_type: Text,
    /// The action's own data.
    pub data: JsonObject,
    /// When, by the clock of whoever added it. Order never depends on it.
    pub created_at: Timestamp,
    /// Whatever else the caller keeps with it.
    pub metadata: JsonObject,
    /// Fields found in a file that the original's model has no name for; kept, and written back last.
    pub extra: JsonObject,
}

/// A conversation with all that it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Conversation {
    /// The conversation's id: its name to callers, never used raw as a file's name.
    pub id: String,
    /// The title; `Conversation ` and the id's first eight characters unless one was given.
    pub title: Text,
    /// When it was created.
    pub created_at: Timestamp,
    /// Whatever else the caller keeps with it.
    pub metadata: JsonObject,
    /// The messages in the order in which they were added.
    pub messages: Vec<Message>,
    /// The actions in the order in which they were added.
    pub actions: Vec<Action>,
    /// How many events made it what it is; see [`Version`].
    pub version: Version,
    /// Fields found in its file that the original's model has no name for; kept, and written back last.
    pub extra: JsonObject,
}

/// A conversation without its messages and actions: what a list shows.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Summary {
    /// The conversation's id.
    pub id: String,
    /// Its title.
    pub title: Text,
    /// When it was created.
    pub created_at: Timestamp,
    /// How many messages it holds.
    pub messages: u64,
    /// How many actions it holds.
    pub actions: u64,
    /// How many events made it what it is.
    pub version: Version,
    /// The time of the message or action that was added last, or the time at which it began, or began anew, if
    /// none was added since. A change of what is there does not move it.
    pub last_activity: Timestamp,
    /// The sequence number of its newest event; 0 if it has had none since its files were taken over.
    pub last_seq: Seq,
}

impl Message {
    /// A message of these parts, without metadata.
    #[must_use]
    pub fn new(
        id: impl Into<Text>,
        content: impl Into<Text>,
        role: impl Into<Text>,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id: id.into(),
            content: content.into(),
            role: role.into(),
            created_at,
            metadata: JsonObject::EMPTY,
            extra: JsonObject::EMPTY,
        }
    }
}

impl Action {
    /// An action of these parts, without metadata.
    #[must_use]
    pub fn new(
        id: impl Into<Text>,
        action_type: impl Into<Text>,
        data: JsonObject,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id: id.into(),
            action_type: action_type.into(),
            data,
            created_at,
            metadata: JsonObject::EMPTY,
            extra: JsonObject::EMPTY,
        }
    }
}

impl Conversation {
    /// The title of a conversation that was given none: `Conversation ` and the first eight code points of
    /// its id, as the original has it.
    #[must_use]
    pub fn default_title(id: &str) -> Text {
        let start: String = id.chars().take(8).collect();
        Text::from(format!("Conversation {start}"))
    }

    /// A conversation of this id without content, made at this time.
    #[must_use]
    pub fn new(id: &str, created_at: Timestamp) -> Self {
        Self {
            id: id.to_owned(),
            title: Self::default_title(id),
            created_at,
            metadata: JsonObject::EMPTY,
            messages: Vec::new(),
            actions: Vec::new(),
            version: 0,
            extra: JsonObject::EMPTY,
        }
    }
}
