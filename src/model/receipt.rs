//! What a caller gets for an accepted mutation.

use super::{Seq, Text, Version};

/// Proof that a mutation was accepted, and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "a receipt says whether the mutation is durable and which id it got"]
#[non_exhaustive]
pub struct Receipt {
    /// The event's place in the store's whole order.
    pub seq: Seq,
    /// The conversation that it changed.
    pub conversation_id: String,
    /// The id of the message or action that it is about, or the conversation's own id.
    pub id: Text,
    /// The conversation's version after it.
    pub version: Version,
    /// Whether it survives a power cut.
    pub durability: Durability,
}

/// How much an accepted mutation survives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Durability {
    /// It lives in this process and dies with it: the in-memory store.
    Process,
    /// The operating system has it: it survives the process, not a power cut.
    Written,
    /// The device has it: it survives a power cut.
    Durable,
}

impl Receipt {
    /// Whether the mutation survives a power cut.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.durability == Durability::Durable
    }
}
