//! What a backend found under the ids that a batch names.
//!
//! Owns the values alone; each backend looks them up in its own way.

use std::collections::HashMap;

use super::hashing::FastHash;
use crate::model::{Action, Message, Seq, Text};

/// For each id that is looked for, what was seen of those who bear it, with their places, in order.
pub(super) type Seen<T> = HashMap<Text, Vec<(u64, T)>>;

/// What was seen of a conversation in which messages or actions are looked for by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lookup {
    pub(crate) last_seq: Seq,
    pub(crate) messages: Seen<Message>,
    pub(crate) actions: Seen<Action>,
}

/// Lookups by the conversations' ids.
pub(crate) type Lookups = HashMap<String, Lookup, FastHash>;
