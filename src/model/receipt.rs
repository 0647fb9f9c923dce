//! What a caller gets for an accepted mutation.

use super::{Seq, Text, Version};

/// Proof that a mutation was accepted, and where it stands.
///
/// Whoever has no use for it lets it go: a mutation that did not happen is an error, which cannot be overlooked.
///
/// ```
/// let store = aral_store::MessageStore::in_memory();
/// store.add_message("c1", "What shall we build?")?;
/// let receipt = store.add_message("c1", "A store?")?;
/// assert_eq!((receipt.seq, receipt.version), (2, 2));
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
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
