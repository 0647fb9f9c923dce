//! The short way through a message that stands in a file exactly as the writer lays it out.
//!
//! Owns the fixed text between the values. Whatever differs from it in a single byte is left to the way that
//! reads any layout, with the reader where it was; where both ways lead somewhere, they lead to the same.

use super::item::Glance;
use crate::codec::datetime::{read_as_printed, timestamp_from_text};
use crate::codec::json::{Reader, object_from};
use crate::model::{JsonObject, MAX_JSON_DEPTH, Message, MessageRef, Text, TextRef, Timestamp};

const BEFORE_ID: &str = "{\n      \"id\": ";
const BEFORE_CONTENT: &str = ",\n      \"content\": ";
const BEFORE_ROLE: &str = ",\n      \"role\": ";
const BEFORE_TIME: &str = ",\n      \"created_at\": ";
const BEFORE_METADATA: &str = ",\n      \"metadata\": ";
const END: &str = "\n    }";

/// A message with an id and a time, in the writer's order and without unknown fields.
pub(super) struct Plain<'a> {
    id: Piece<'a>,
    content: Piece<'a>,
    role: Piece<'a>,
    created_at: Timestamp,
    metadata: JsonObject,
}

/// A string: as it stands in the file, or brought together from escapes.
enum Piece<'a> {
    Standing(&'a str),
    Made(Text),
}

impl<'a> Piece<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        reader.unescaped().map(Self::Standing).or_else(|| reader.text().map(Self::Made))
    }

    fn lend(&self) -> TextRef<'_> {
        match self {
            Self::Standing(text) => TextRef::from(*text),
            Self::Made(text) => TextRef::from(text),
        }
    }

    fn into_text(self) -> Text {
        match self {
            Self::Standing(text) => Text::from(text),
            Self::Made(text) => text,
        }
    }
}

impl<'a> Plain<'a> {
    /// Reads one, if it is one.
    pub(super) fn read(reader: &mut Reader<'a>) -> Option<Self> {
        tried(reader, |reader| {
            let id = after(reader, BEFORE_ID, Piece::read)?;
            let content = after(reader, BEFORE_CONTENT, Piece::read)?;
            let role = after(reader, BEFORE_ROLE, Piece::read)?;
            let created_at = match after(reader, BEFORE_TIME, Piece::read)? {
                Piece::Standing(time) => time.parse().ok()?,
                Piece::Made(time) => timestamp_from_text(&time)?,
            };
            let metadata = after(reader, BEFORE_METADATA, |reader| {
                if reader.literal("{}") {
                    return Some(JsonObject::EMPTY);
                }
                object_from(reader.value(MAX_JSON_DEPTH).ok()?).ok()
            })?;
            let message = Self { id, content, role, created_at, metadata };
            reader.literal(END).then_some(message)
        })
    }

    /// The message, borrowed.
    pub(super) fn lend(&self) -> MessageRef<'_> {
        MessageRef {
            id: self.id.lend(),
            content: self.content.lend(),
            role: self.role.lend(),
            created_at: self.created_at,
            metadata: self.metadata.as_json(),
            extra: "{}",
        }
    }

    /// The message, owned.
    pub(super) fn into_message(self) -> Message {
        Message {
            id: self.id.into_text(),
            content: self.content.into_text(),
            role: self.role.into_text(),
            created_at: self.created_at,
            metadata: self.metadata,
            extra: JsonObject::EMPTY,
        }
    }
}

/// Passes over a message of which it is plain, without writing it anew, that this would give the same bytes:
/// its strings are printable ASCII without escapes, and it has no metadata.
pub(super) fn canonical_message(reader: &mut Reader<'_>) -> Option<Glance> {
    tried(reader, |reader| {
        let id = after(reader, BEFORE_ID, Reader::ascii)?;
        after(reader, BEFORE_CONTENT, Reader::ascii)?;
        let role = after(reader, BEFORE_ROLE, Reader::ascii)?;
        let time = after(reader, BEFORE_TIME, Reader::ascii)?;
        let created_at = read_as_printed(time).or_else(|| {
            let time_of_any_form: Timestamp = time.parse().ok()?;
            (time_of_any_form.to_string() == time).then_some(time_of_any_form)
        })?;
        after(reader, BEFORE_METADATA, |reader| reader.literal("{}").then_some(()))?;
        let glance =
            Glance { id: Some(Text::from(id)), created_at: Some(created_at), role: Some(Text::from(role)) };
        reader.literal(END).then_some(glance)
    })
}

/// Takes what follows a fixed text.
fn after<'a, T>(
    reader: &mut Reader<'a>,
    fixed: &str,
    take: impl FnOnce(&mut Reader<'a>) -> Option<T>,
) -> Option<T> {
    if reader.literal(fixed) { take(reader) } else { None }
}

/// Leaves the reader where it was if nothing came of it.
fn tried<'a, T>(reader: &mut Reader<'a>, read: impl FnOnce(&mut Reader<'a>) -> Option<T>) -> Option<T> {
    let start = reader.offset();
    let read = read(reader);
    if read.is_none() {
        reader.go_back(start);
    }
    read
}
