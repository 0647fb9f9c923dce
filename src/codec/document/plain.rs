//! The short way through a message that stands in a file exactly as the writer lays it out.
//!
//! Owns the fixed text between the values. Whatever differs from it in a single byte is left to the way that
//! reads any layout, with the reader where it was; where both ways lead somewhere, they lead to the same.

use super::item::Glance;
use crate::codec::datetime::timestamp_from_text;
use crate::codec::json::{Reader, object_from};
use crate::model::{JsonObject, MAX_JSON_DEPTH, Message, Text, Timestamp};

const BEFORE_ID: &str = "{\n      \"id\": ";
const BEFORE_CONTENT: &str = ",\n      \"content\": ";
const BEFORE_ROLE: &str = ",\n      \"role\": ";
const BEFORE_TIME: &str = ",\n      \"created_at\": ";
const BEFORE_METADATA: &str = ",\n      \"metadata\": ";
const END: &str = "\n    }";

/// Reads a message with an id and a time, in the writer's order and without unknown fields.
pub(super) fn message(reader: &mut Reader<'_>) -> Option<Message> {
    tried(reader, |reader| {
        let id = after(reader, BEFORE_ID, Reader::text)?;
        let content = after(reader, BEFORE_CONTENT, Reader::text)?;
        let role = after(reader, BEFORE_ROLE, Reader::text)?;
        let created_at = timestamp_from_text(&after(reader, BEFORE_TIME, Reader::text)?)?;
        let metadata = after(reader, BEFORE_METADATA, |reader| {
            if reader.literal("{}") {
                return Some(JsonObject::EMPTY);
            }
            object_from(reader.value(MAX_JSON_DEPTH).ok()?).ok()
        })?;
        let message = Message { id, content, role, created_at, metadata, extra: JsonObject::EMPTY };
        reader.literal(END).then_some(message)
    })
}

/// Passes over a message of which it is plain, without writing it anew, that this would give the same bytes:
/// its strings are printable ASCII without escapes, and it has no metadata.
pub(super) fn canonical_message(reader: &mut Reader<'_>) -> Option<Glance> {
    tried(reader, |reader| {
        let id = after(reader, BEFORE_ID, Reader::ascii)?;
        after(reader, BEFORE_CONTENT, Reader::ascii)?;
        let role = after(reader, BEFORE_ROLE, Reader::ascii)?;
        let time = after(reader, BEFORE_TIME, Reader::ascii)?;
        let created_at: Timestamp = timestamp_from_text(&Text::from(time))?;
        let is_canonical = created_at.to_string() == time
            && after(reader, BEFORE_METADATA, |reader| reader.literal("{}").then_some(())).is_some();
        let glance =
            Glance { id: Some(Text::from(id)), created_at: Some(created_at), role: Some(Text::from(role)) };
        (is_canonical && reader.literal(END)).then_some(glance)
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
