//! The short way through a message that stands in a file exactly as the writer lays it out.
//!
//! Owns the fixed text between the values. Whatever differs from it in a single byte is left to the way that
//! reads any layout, from the beginning; where both ways lead somewhere, they lead to the same.

use super::item_head::ItemHead;
use crate::codec::datetime::{read_as_printed, read_longest};
use crate::codec::json::{Reader, ascii_run, object_from, short_ascii_run};
use crate::model::{JsonObject, MAX_JSON_DEPTH, Message, MessageRef, Text, TextRef, Timestamp};

const BEFORE_ID: &[u8; 15] = b"{\n      \"id\": \"";
const BEFORE_CONTENT: &[u8; 21] = b"\",\n      \"content\": \"";
const BEFORE_ROLE: &[u8; 18] = b"\",\n      \"role\": \"";
const BEFORE_TIME: &[u8; 24] = b"\",\n      \"created_at\": \"";
const BEFORE_METADATA: &[u8; 21] = b"\",\n      \"metadata\": ";
const END: &[u8; 6] = b"\n    }";
/// The end of a message without metadata, which most are.
const EMPTY_END: &[u8; 8] = b"{}\n    }";

/// A message with an id and a time, in the writer's order and without unknown fields.
pub(super) struct LaidOut<'a> {
    /// From the id to the role.
    strings: &'a [u8],
    id: &'a [u8],
    content: &'a [u8],
    /// What the escapes in the content stand for, if there are any.
    unescaped: Option<Text>,
    role: &'a [u8],
    created_at: Timestamp,
    metadata: JsonObject,
}

impl<'a> LaidOut<'a> {
    /// Reads one, if these bytes are one and nothing else. Its strings are ASCII, as the writer makes them; an id or a
    /// role with escapes is left to the other way.
    #[inline]
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let from_id = bytes.strip_prefix(BEFORE_ID)?;
        let (id, rest) = from_id.split_at_checked(short_ascii_run(from_id))?;
        let (content, unescaped, rest) = content(rest)?;
        let from_role = rest.strip_prefix(BEFORE_ROLE)?;
        let (role, rest) = from_role.split_at_checked(short_ascii_run(from_role))?;
        let strings = from_id.get(..from_id.len() - rest.len())?;
        let (created_at, rest) = time(rest.strip_prefix(BEFORE_TIME)?)?;
        let metadata = metadata(rest.strip_prefix(BEFORE_METADATA)?)?;
        Some(Self { strings, id, content, unescaped, role, created_at, metadata })
    }

    /// The message, borrowed.
    #[inline]
    pub(super) fn lend(&self) -> Option<MessageRef<'_>> {
        let strings = std::str::from_utf8(self.strings).ok()?;
        let (id, rest) = strings.split_at_checked(self.id.len())?;
        let content = rest.get(BEFORE_CONTENT.len()..)?.get(..self.content.len())?;
        Some(MessageRef {
            id: TextRef::from(id),
            content: self.unescaped.as_ref().map_or_else(|| TextRef::from(content), TextRef::from),
            role: TextRef::from(strings.get(strings.len() - self.role.len()..)?),
            created_at: self.created_at,
            metadata: self.metadata.as_json(),
            extra: "{}",
        })
    }

    /// The message, owned.
    #[inline]
    pub(super) fn into_message(self) -> Message {
        Message {
            id: Text::copied_from_ascii(self.id),
            content: self.unescaped.unwrap_or_else(|| Text::copied_from_ascii(self.content)),
            role: Text::copied_from_ascii(self.role),
            created_at: self.created_at,
            metadata: self.metadata,
            extra: JsonObject::EMPTY,
        }
    }
}

/// Reads the content, whose fixed text comes next: as it stands there, what its escapes stand for, and what follows.
#[inline]
fn content(text: &[u8]) -> Option<(&[u8], Option<Text>, &[u8])> {
    let inside = text.strip_prefix(BEFORE_CONTENT)?;
    let (content, rest) = inside.split_at_checked(ascii_run(inside))?;
    if rest.first() == Some(&b'"') { Some((content, None, rest)) } else { escaped(text) }
}

/// The same of one that has escapes.
#[cold]
fn escaped(text: &[u8]) -> Option<(&[u8], Option<Text>, &[u8])> {
    let quoted = text.get(BEFORE_CONTENT.len() - 1..)?;
    let mut reader = Reader::new(quoted).ok()?;
    let unescaped = reader.text()?;
    let (content, rest) = quoted.get(1..)?.split_at_checked(reader.offset() - 2)?;
    Some((content, Some(unescaped), rest))
}

/// Reads a time.
#[inline]
fn time(text: &[u8]) -> Option<(Timestamp, &[u8])> {
    let longest = text.split_first_chunk().and_then(|(time, rest)| Some((read_longest(time)?, rest)));
    longest.or_else(|| time_of_any_form(text))
}

#[cold]
fn time_of_any_form(text: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (time, rest) = text.split_at_checked(short_ascii_run(text))?;
    Some((std::str::from_utf8(time).ok()?.parse().ok()?, rest))
}

/// Reads an object, and the end of the message behind it.
#[inline]
fn metadata(text: &[u8]) -> Option<JsonObject> {
    if text == EMPTY_END { Some(JsonObject::EMPTY) } else { members(text) }
}

#[cold]
fn members(text: &[u8]) -> Option<JsonObject> {
    let mut reader = Reader::new(text).ok()?;
    let object = object_from(reader.value(MAX_JSON_DEPTH).ok()?).ok()?;
    (text.get(reader.offset()..)? == END).then_some(object)
}

/// Passes over a message of which it is plain, without writing it anew, that this would give the same bytes:
/// its strings are printable ASCII without escapes, and it has no metadata.
pub(super) fn canonical_message(reader: &mut Reader<'_>) -> Option<ItemHead> {
    tried(reader, |reader| {
        let id = after(reader, BEFORE_ID)?;
        after(reader, BEFORE_CONTENT)?;
        let role = after(reader, BEFORE_ROLE)?;
        let time = after(reader, BEFORE_TIME)?;
        let created_at = read_as_printed(time).or_else(|| {
            let of_any_form: Timestamp = time.parse().ok()?;
            (of_any_form.to_string() == time).then_some(of_any_form)
        })?;
        let head =
            ItemHead { id: Some(Text::from(id)), created_at: Some(created_at), role: Some(Text::from(role)) };
        (reader.literal(BEFORE_METADATA) && reader.literal(EMPTY_END)).then_some(head)
    })
}

/// Takes the inside of the string that follows a fixed text.
fn after<'a>(reader: &mut Reader<'a>, fixed: &[u8]) -> Option<&'a str> {
    if reader.literal(fixed) { Some(reader.ascii()) } else { None }
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
