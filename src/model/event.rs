//! Events: mutations that have happened, complete with ids and times.
//!
//! Owns the alphabet of the log. A mutation may leave an id or a time open; an event leaves nothing open,
//! so that replaying it gives the same state every time.

use super::{JsonObject, Message, RemovalReason, Text, Timestamp, conversation::Action};

/// The place of an event in the whole store: 1, 2, 3 …, without gaps.
pub type Seq = u64;

/// How many events made a conversation what it is: 1 after it was created, one more with each event.
///
/// A conversation that was taken over from files starts at 1 plus its messages and actions, as if each had
/// been added. A conversation that does not exist has version 0.
pub type Version = u64;

/// One change to one conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Event {
    /// The conversation that it changes.
    pub conversation_id: String,
    /// What happens to it.
    pub change: Change,
    /// The idempotency key that the caller gave it.
    pub key: Option<String>,
    /// A checksum of what the key was used for, by which another use of it is told; 0 without a key.
    pub fingerprint: u32,
}

/// What an event does to its conversation.
///
/// `AddMessage` and `AddAction` create a conversation that does not exist, with the default title, no
/// metadata, and the time of what is added; they are one event all the same.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Change {
    /// The conversation begins.
    Create {
        /// Its title, the default one if none was given.
        title: Text,
        /// When.
        created_at: Timestamp,
        /// Its metadata.
        metadata: JsonObject,
        /// Fields without a name in the original's model.
        extra: JsonObject,
    },
    /// Its title is replaced.
    SetTitle(Text),
    /// Its metadata is replaced.
    SetMetadata(JsonObject),
    /// A message is added at the end.
    AddMessage(Message),
    /// The last message with this one's id is replaced by it, in place.
    EditMessage(Message),
    /// The last message with this id is taken away.
    RemoveMessage(Text),
    /// An action is added at the end.
    AddAction(Action),
    /// The last action with this id is taken away.
    RemoveAction(Text),
    /// All messages and actions are taken away.
    Clear,
    /// The conversation ends; its id may be used again.
    Remove {
        /// When it was removed; absent in events of earlier versions, which do not say.
        removed_at: Option<Timestamp>,
        /// Why.
        reason: RemovalReason,
    },
    /// The conversation begins anew, under its id and in its place: without messages and actions, and with
    /// these fields instead of those it had. One that does not exist begins.
    Reset {
        /// Its title, the default one if none was given.
        title: Text,
        /// The time it is to have been created.
        created_at: Timestamp,
        /// Its metadata.
        metadata: JsonObject,
        /// Fields without a name in the original's model.
        extra: JsonObject,
    },
    /// The last action with this one's id is replaced by it, in place.
    EditAction(Action),
    /// Its time of creation is replaced.
    SetCreatedAt(Timestamp),
    /// Its fields without a name in the original's model are replaced.
    SetExtra(JsonObject),
    /// It has this version from now on, which is higher than it was.
    SetVersion(Version),
    /// The last message with this id, a reply that is still being written, goes on with a text.
    AppendText {
        /// Which message.
        message_id: Text,
        /// How many bytes its text had before, in WTF-8.
        offset: u64,
        /// What comes behind them.
        text: Text,
    },
}

impl Event {
    /// An event without an idempotency key.
    #[must_use]
    pub fn new(conversation_id: impl Into<String>, change: Change) -> Self {
        Self { conversation_id: conversation_id.into(), change, key: None, fingerprint: 0 }
    }
}

impl Change {
    /// The id of the message or action that the change is about, if it is about one.
    #[must_use]
    pub fn subject(&self) -> Option<&Text> {
        match self {
            Self::AddMessage(message) | Self::EditMessage(message) => Some(&message.id),
            Self::AddAction(action) | Self::EditAction(action) => Some(&action.id),
            Self::RemoveMessage(id) | Self::RemoveAction(id) | Self::AppendText { message_id: id, .. } => {
                Some(id)
            }
            Self::Create { .. }
            | Self::SetTitle(_)
            | Self::SetMetadata(_)
            | Self::Clear
            | Self::Remove { .. }
            | Self::SetVersion(_)
            | Self::Reset { .. }
            | Self::SetCreatedAt(_)
            | Self::SetExtra(_) => None,
        }
    }
}
