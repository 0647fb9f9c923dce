//! What a backend found under the ids that a batch names.
//!
//! Owns the values alone; each backend looks them up in its own way.

use std::collections::HashMap;

use super::hashing::FastHash;
use crate::codec::bytes::to_u64;
use crate::model::{Action, Message, Seq, Text};

/// For each id that is looked for, what was seen of those who bear it, with their places, in order.
pub(super) type Seen<T> = HashMap<Text, Vec<(u64, T)>>;

/// What was seen of a conversation in which messages or actions are looked for by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lookup {
    pub(crate) last_seq: Seq,
    pub(crate) messages: Seen<Message>,
    pub(crate) actions: Seen<Action>,
    /// Messages that text is to be put behind, as far as that has to be known: where nothing else is done to their conversation.
    pub(crate) replies: HashMap<Text, SeenReply>,
}

/// What was seen of a message that text is to be put behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SeenReply {
    /// Its place.
    pub(crate) at: u64,
    /// How many bytes its text has.
    pub(crate) length: u64,
    pub(crate) is_partial: bool,
}

/// The last message with an id, and its place. Mostly it is one of the last of all.
pub(crate) fn last_with<'m>(messages: &'m [Message], id: &Text) -> Option<(u64, &'m Message)> {
    let at = messages.iter().rposition(|message| message.id == *id)?;
    Some((to_u64(at), messages.get(at)?))
}

impl SeenReply {
    /// A message at a place.
    pub(crate) fn of(at: u64, message: &Message) -> Self {
        Self { at, length: to_u64(message.content.len()), is_partial: message.is_partial() }
    }
}

/// Lookups by the conversations' ids.
pub(crate) type Lookups = HashMap<String, Lookup, FastHash>;
