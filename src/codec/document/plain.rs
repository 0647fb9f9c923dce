//! The short way through a message that stands in a file exactly as the writer lays it out.
//!
//! Owns the fixed text between the values. Whatever differs from it in a single byte is left to the way that
//! reads any layout, from the beginning; where both ways lead somewhere, they lead to the same.

use super::item::Glance;
use crate::codec::datetime::{read_as_printed, read_usual, timestamp_from_text};
use crate::codec::json::{Reader, object_from, short_run, string_run};
use crate::model::{JsonObject, MAX_JSON_DEPTH, Message, MessageRef, Text, TextRef, Timestamp};

const BEFORE_ID: &[u8; 14] = b"{\n      \"id\": ";
const BEFORE_CONTENT: &[u8; 19] = b",\n      \"content\": ";
const BEFORE_ROLE: &[u8; 16] = b",\n      \"role\": ";
const BEFORE_TIME: &[u8; 22] = b",\n      \"created_at\": ";
const BEFORE_METADATA: &[u8; 20] = b",\n      \"metadata\": ";
const END: &[u8; 6] = b"\n    }";

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

impl Piece<'_> {
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
    /// Reads one, if these bytes are one and nothing else.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = Rest { text: std::str::from_utf8(bytes).ok()?, at: 0 };
        rest.skip(BEFORE_ID)?;
        let id = rest.piece(short_run)?;
        rest.skip(BEFORE_CONTENT)?;
        let content = rest.piece(string_run)?;
        rest.skip(BEFORE_ROLE)?;
        let role = rest.piece(short_run)?;
        rest.skip(BEFORE_TIME)?;
        let created_at = rest.time()?;
        rest.skip(BEFORE_METADATA)?;
        let metadata = rest.object()?;
        rest.skip(END)?;
        rest.bytes().is_empty().then_some(Self { id, content, role, created_at, metadata })
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

/// A text, and up to where it has been read.
struct Rest<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Rest<'a> {
    #[inline]
    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Steps over exactly this text, which must come next.
    #[inline]
    fn skip<const N: usize>(&mut self, fixed: &[u8; N]) -> Option<()> {
        let next = self.bytes().first_chunk::<N>()?;
        self.at += N;
        (next == fixed).then_some(())
    }

    /// Reads a string, in which this finds the first byte that does not stand for itself.
    #[inline]
    fn piece(&mut self, run: impl FnOnce(&[u8]) -> usize) -> Option<Piece<'a>> {
        self.skip(b"\"")?;
        let start = self.at;
        let end = start + run(self.bytes());
        if self.text.as_bytes().get(end)? != &b'"' {
            return self.escaped();
        }
        self.at = end + 1;
        self.text.get(start..end).map(Piece::Standing)
    }

    /// Reads what is left of a string that has escapes.
    #[cold]
    fn escaped(&mut self) -> Option<Piece<'a>> {
        let mut reader = Reader::new(self.text.as_bytes().get(self.at - 1..)?).ok()?;
        let text = reader.text()?;
        self.at += reader.offset() - 1;
        Some(Piece::Made(text))
    }

    /// Reads a time.
    #[inline]
    fn time(&mut self) -> Option<Timestamp> {
        if let Some(time) = self.usual_time::<34>().or_else(|| self.usual_time::<28>()) {
            return Some(time);
        }
        match self.piece(short_run)? {
            Piece::Standing(time) => time.parse().ok(),
            Piece::Made(time) => timestamp_from_text(&time),
        }
    }

    /// Reads a time that takes so many bytes, quotes included: most have six digits of fraction.
    #[inline]
    fn usual_time<const N: usize>(&mut self) -> Option<Timestamp> {
        let [b'"', time @ .., b'"'] = self.bytes().first_chunk::<N>()?.as_slice() else { return None };
        let time = read_usual(time)?;
        self.at += N;
        Some(time)
    }

    /// Reads an object.
    #[inline]
    fn object(&mut self) -> Option<JsonObject> {
        if self.bytes().starts_with(b"{}") {
            self.at += 2;
            return Some(JsonObject::EMPTY);
        }
        let mut reader = Reader::new(self.bytes()).ok()?;
        let object = object_from(reader.value(MAX_JSON_DEPTH).ok()?).ok()?;
        self.at += reader.offset();
        Some(object)
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
        after(reader, BEFORE_METADATA, |reader| reader.literal(b"{}").then_some(()))?;
        let glance =
            Glance { id: Some(Text::from(id)), created_at: Some(created_at), role: Some(Text::from(role)) };
        reader.literal(END).then_some(glance)
    })
}

/// Takes what follows a fixed text.
fn after<'a, T>(
    reader: &mut Reader<'a>,
    fixed: &[u8],
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
