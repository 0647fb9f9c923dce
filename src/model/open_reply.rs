//! A reply that nobody has finished.

use super::{MessageRef, Text, Timestamp};

/// A message that was begun as a reply which comes piece by piece, and was neither finished nor abandoned: it is still being written, or
/// whoever wrote it was cut off.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct OpenReply {
    /// The conversation that it is in.
    pub conversation_id: String,
    /// The message's id, by which [`resume_message`](crate::MessageStore::resume_message) goes on with it.
    pub message_id: Text,
    /// When it was begun: the message's time.
    pub begun_at: Timestamp,
    /// How many bytes of text have come, in WTF-8.
    pub bytes: u64,
}

impl OpenReply {
    /// What is told of a message.
    pub(crate) fn of(conversation_id: &str, message: MessageRef<'_>) -> Self {
        Self {
            conversation_id: conversation_id.to_owned(),
            message_id: message.id.to_text(),
            begun_at: message.created_at,
            bytes: u64::try_from(message.content.len()).unwrap_or(u64::MAX),
        }
    }
}
