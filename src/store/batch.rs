//! Several mutations that happen together.
//!
//! Owns the collecting; carrying it out is the backend's.

use crate::model::{Mutation, NewAction, NewConversation, NewMessage, Operation, Text};

/// Mutations that all happen or none, in this order, the later ones seeing the earlier.
///
/// ```
/// use aral_store::{Batch, MessageStore, NewConversation, NewMessage};
/// let store = MessageStore::in_memory();
/// let receipts = store.batch(
///     Batch::new()
///         .create_conversation("c1", NewConversation::new().title("Plans"))
///         .add_message("c1", "What shall we do?")
///         .add_message("c1", NewMessage::new("Build a store.").role("assistant")),
/// )?;
/// assert_eq!(receipts.len(), 3);
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    mutations: Vec<Mutation>,
}

impl Batch {
    /// No mutations yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds any mutation.
    #[must_use]
    pub fn push(mut self, mutation: Mutation) -> Self {
        self.mutations.push(mutation);
        self
    }

    /// Begins a conversation; an empty id asks for a new UUID.
    #[must_use]
    pub fn create_conversation(self, id: impl Into<String>, conversation: NewConversation) -> Self {
        self.push(Mutation::create_conversation(id, conversation))
    }

    /// Begins a conversation anew, in place; what is added behind it is what the conversation then holds.
    #[must_use]
    pub fn reset_conversation(self, id: impl Into<String>, conversation: NewConversation) -> Self {
        self.push(Mutation::reset_conversation(id, conversation))
    }

    /// Adds a message.
    #[must_use]
    pub fn add_message(self, conversation_id: impl Into<String>, message: impl Into<NewMessage>) -> Self {
        self.push(Mutation::add_message(conversation_id, message))
    }

    /// Adds an action.
    #[must_use]
    pub fn add_action(self, conversation_id: impl Into<String>, action: NewAction) -> Self {
        self.push(Mutation::add_action(conversation_id, action))
    }

    /// Takes a message away.
    #[must_use]
    pub fn remove_message(self, conversation_id: impl Into<String>, message_id: impl Into<Text>) -> Self {
        self.push(Mutation::new(conversation_id, Operation::RemoveMessage(message_id.into())))
    }

    /// Ends a conversation.
    #[must_use]
    pub fn remove_conversation(self, conversation_id: impl Into<String>) -> Self {
        self.push(Mutation::new(conversation_id, Operation::RemoveConversation))
    }

    /// How many mutations there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.mutations.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mutations.is_empty()
    }

    /// The mutations in order.
    #[must_use]
    pub fn into_mutations(self) -> Vec<Mutation> {
        self.mutations
    }
}

impl From<Vec<Mutation>> for Batch {
    fn from(mutations: Vec<Mutation>) -> Self {
        Self { mutations }
    }
}

impl FromIterator<Mutation> for Batch {
    fn from_iter<I: IntoIterator<Item = Mutation>>(mutations: I) -> Self {
        Self { mutations: mutations.into_iter().collect() }
    }
}
