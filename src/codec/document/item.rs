//! One message or action of a file.
//!
//! Owns their fields and types. Knows no place in a file.

use super::fast_path::LaidOut;
use super::item_head::ItemHead;
use super::writer::{write_action, write_message};
use crate::codec::fields::Fields;
use crate::codec::json::{JsonError, Reader};
use crate::model::{Action, JsonObject, Message, MessageRef, Text, Timestamp};

/// The fields of a message, by their names.
pub(crate) const MESSAGE_FIELDS: [&str; 5] = ["id", "content", "role", "created_at", "metadata"];

/// The fields of an action, by their names.
pub(crate) const ACTION_FIELDS: [&str; 5] = ["id", "action_type", "data", "created_at", "metadata"];

/// What stands for an id or a time that a file leaves out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fallback<I> {
    /// Makes the id.
    pub(crate) id: I,
    /// The time.
    pub(crate) created_at: Timestamp,
}

/// Reads a message from its span of a file.
#[inline]
pub(crate) fn read_message(
    bytes: &[u8],
    fallback: &Fallback<impl Fn() -> Text>,
) -> Result<Message, JsonError> {
    match LaidOut::read(bytes) {
        Some(plain) => Ok(plain.into_message()),
        None => read_any_message(bytes, fallback),
    }
}

/// Calls with a message that is borrowed from its span of a file.
#[inline]
pub(crate) fn lend_message<T>(
    bytes: &[u8],
    fallback: &Fallback<impl Fn() -> Text>,
    take: impl FnOnce(MessageRef<'_>) -> T,
) -> Result<T, JsonError> {
    match LaidOut::read(bytes).as_ref().and_then(LaidOut::lend) {
        Some(message) => Ok(take(message)),
        None => read_any_message(bytes, fallback).map(|message| take(MessageRef::from(&message))),
    }
}

/// Reads a message of any layout.
#[cold]
pub(super) fn read_any_message(
    bytes: &[u8],
    fallback: &Fallback<impl Fn() -> Text>,
) -> Result<Message, JsonError> {
    let mut reader = Reader::new(bytes)?;
    let parts = MessageParts::read(&mut reader)?;
    reader.end()?;
    let id = parts.id.clone().unwrap_or_else(|| (fallback.id)());
    let created_at = parts.created_at.unwrap_or(fallback.created_at);
    Ok(parts.complete(id, created_at))
}

/// Reads an action from its span of a file.
pub(crate) fn read_action(bytes: &[u8], fallback: &Fallback<impl Fn() -> Text>) -> Result<Action, JsonError> {
    let mut reader = Reader::new(bytes)?;
    let parts = ActionParts::read(&mut reader)?;
    reader.end()?;
    let id = parts.id.clone().unwrap_or_else(|| (fallback.id)());
    let created_at = parts.created_at.unwrap_or(fallback.created_at);
    Ok(parts.complete(id, created_at))
}

/// Reads a message, and writes it anew unless it leaves out what writing it needs.
pub(super) fn rewrite_message(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<ItemHead, JsonError> {
    let parts = MessageParts::read(reader)?;
    let head =
        ItemHead { id: parts.id.clone(), created_at: parts.created_at, role: Some(parts.role.clone()) };
    if let (Some(id), Some(created_at)) = (&head.id, head.created_at) {
        write_message(&parts.complete(id.clone(), created_at), out);
    }
    Ok(head)
}

/// Reads an action, and writes it anew unless it leaves out what writing it needs.
pub(super) fn rewrite_action(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<ItemHead, JsonError> {
    let parts = ActionParts::read(reader)?;
    let head = ItemHead { id: parts.id.clone(), created_at: parts.created_at, role: None };
    if let (Some(id), Some(created_at)) = (&head.id, head.created_at) {
        write_action(&parts.complete(id.clone(), created_at), out);
    }
    Ok(head)
}

/// A message that may lack its id and its time.
struct MessageParts {
    id: Option<Text>,
    content: Text,
    role: Text,
    created_at: Option<Timestamp>,
    metadata: JsonObject,
    extra: JsonObject,
}

impl MessageParts {
    fn read(reader: &mut Reader<'_>) -> Result<Self, JsonError> {
        let mut fields = Fields::read(reader, &MESSAGE_FIELDS)?;
        Ok(Self {
            id: fields.text("id")?,
            content: fields.text("content")?.ok_or_else(|| fields.missing("content"))?,
            role: fields.text("role")?.unwrap_or_else(|| Text::from("user")),
            created_at: fields.time_or_epoch("created_at")?,
            metadata: fields.object("metadata")?.unwrap_or_default(),
            extra: fields.into_extra()?,
        })
    }

    fn complete(self, id: Text, created_at: Timestamp) -> Message {
        Message {
            id,
            content: self.content,
            role: self.role,
            created_at,
            metadata: self.metadata,
            extra: self.extra,
        }
    }
}

/// An action that may lack its id and its time.
struct ActionParts {
    id: Option<Text>,
    action_type: Text,
    data: JsonObject,
    created_at: Option<Timestamp>,
    metadata: JsonObject,
    extra: JsonObject,
}

impl ActionParts {
    fn read(reader: &mut Reader<'_>) -> Result<Self, JsonError> {
        let mut fields = Fields::read(reader, &ACTION_FIELDS)?;
        Ok(Self {
            id: fields.text("id")?,
            action_type: fields.text("action_type")?.ok_or_else(|| fields.missing("action_type"))?,
            data: fields.object("data")?.ok_or_else(|| fields.missing("data"))?,
            created_at: fields.time_or_epoch("created_at")?,
            metadata: fields.object("metadata")?.unwrap_or_default(),
            extra: fields.into_extra()?,
        })
    }

    fn complete(self, id: Text, created_at: Timestamp) -> Action {
        Action {
            id,
            action_type: self.action_type,
            data: self.data,
            created_at,
            metadata: self.metadata,
            extra: self.extra,
        }
    }
}
