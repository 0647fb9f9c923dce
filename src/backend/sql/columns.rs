//! Values as columns, and back.
//!
//! Owns what a text column holds of a text that the database cannot hold, and how the exact text is kept beside it.

use std::borrow::Cow;

use super::connection::{Row, Value};
use crate::codec::ids::IdView;
use crate::codec::payload::{EventView, decode_event, encode_event};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Action, Change, Event, JsonObject, Message, Seq, Summary, Text, Timestamp};

/// The columns of a message, in the order in which they are read.
pub(super) const MESSAGE: &str = "m.id, m.role, m.created_at, m.content, m.metadata, m.extra, m.exact";

/// The columns of an action, in the order in which they are read.
pub(super) const ACTION: &str = "a.id, a.action_type, a.created_at, a.data, a.metadata, a.extra, a.exact";

/// The columns of a summary, in the order in which they are read.
pub(super) const SUMMARY: &str =
    "id_key, title, title_exact, created_at, messages, actions, version, last_activity, last_seq";

/// What stands in a text column for a NUL, which not every database can hold there.
const FOR_NUL: &str = "\u{1a}";

/// A text as a text column holds it; borrowed if that is exactly the text.
pub(super) fn shown(text: &Text) -> Cow<'_, str> {
    match text.to_string_lossy() {
        Cow::Borrowed(text) => shown_str(text),
        Cow::Owned(text) if text.contains('\0') => Cow::Owned(text.replace('\0', FOR_NUL)),
        Cow::Owned(text) => Cow::Owned(text),
    }
}

/// The same of a text without lone surrogates.
pub(super) fn shown_str(text: &str) -> Cow<'_, str> {
    if memchr::memchr(0, text.as_bytes()).is_some() {
        Cow::Owned(text.replace('\0', FOR_NUL))
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether another text could look like this one in a text column.
pub(super) fn is_ambiguous(text: &Text) -> bool {
    text.as_str().is_none_or(|text| text.contains(['\0', '\u{1a}', '\u{fffd}']))
}

fn is_exact(text: &Text) -> bool {
    matches!(shown(text), Cow::Borrowed(_))
}

/// The column for a title's bytes.
pub(super) fn title_exact(title: &Text) -> Value<'_> {
    if is_exact(title) { Value::Null } else { Value::bytes(title.as_wtf8()) }
}

/// The column for fields without a name.
pub(super) fn extra(extra: &JsonObject) -> Value<'_> {
    if extra.is_empty() { Value::Null } else { Value::text(extra.as_json()) }
}

pub(super) fn time(time: Timestamp) -> Value<'static> {
    Value::text(time.to_string())
}

/// An event that adds an item whose texts the columns do not hold as they are.
fn exactly(change: Change) -> Value<'static> {
    let event = Event::new(String::new(), change);
    let mut bytes = Vec::new();
    // Memory does not fail to take it.
    let _ = encode_event(&EventView::of(&event, 0), &mut bytes);
    Value::bytes(bytes)
}

/// The columns of a message, in the order of [`MESSAGE`], and its instant.
pub(super) fn of_message(message: &Message) -> [Value<'_>; 8] {
    let is_exact = [&message.id, &message.role, &message.content].into_iter().all(is_exact);
    [
        Value::Text(shown(&message.id)),
        Value::Text(shown(&message.role)),
        time(message.created_at),
        Value::Text(shown(&message.content)),
        Value::text(message.metadata.as_json()),
        extra(&message.extra),
        if is_exact { Value::Null } else { exactly(Change::AddMessage(message.clone())) },
        Value::Int(message.created_at.approximate_unix_micros()),
    ]
}

/// The columns of an action, in the order of [`ACTION`], and its instant.
pub(super) fn of_action(action: &Action) -> [Value<'_>; 8] {
    let is_exact = is_exact(&action.id) && is_exact(&action.action_type);
    [
        Value::Text(shown(&action.id)),
        Value::Text(shown(&action.action_type)),
        time(action.created_at),
        Value::text(action.data.as_json()),
        Value::text(action.metadata.as_json()),
        extra(&action.extra),
        if is_exact { Value::Null } else { exactly(Change::AddAction(action.clone())) },
        Value::Int(action.created_at.approximate_unix_micros()),
    ]
}

/// What is not as the store wrote it.
pub(super) fn corrupt(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, reason)
}

fn text_at(row: &dyn Row, at: usize) -> Result<Text> {
    row.text(at).map(Text::from)
}

pub(super) fn time_at(row: &dyn Row, at: usize) -> Result<Timestamp> {
    let text = row.text(at)?;
    text.parse().map_err(|_| corrupt(format!("{text:.40?} is no time")))
}

fn object_at(row: &dyn Row, at: usize) -> Result<JsonObject> {
    if row.is_null(at)? {
        return Ok(JsonObject::EMPTY);
    }
    match row.text(at)? {
        text if text.starts_with('{') && text.ends_with('}') => Ok(JsonObject::from_canonical(text)),
        text => Err(corrupt(format!("{text:.40?} is no JSON object"))),
    }
}

/// A number of the store.
pub(super) fn number_at(row: &dyn Row, at: usize) -> Result<u64> {
    let number = row.int(at)?;
    u64::try_from(number).map_err(|_| corrupt(format!("{number} is less than 0")))
}

/// A conversation's id.
pub(super) fn id_at(row: &dyn Row, at: usize) -> Result<String> {
    String::from_utf8(row.bytes(at)?.to_vec())
        .map_err(|_| corrupt("a conversation's id is not valid Unicode"))
}

/// An exact event, if there is one.
fn exact_at(row: &dyn Row, at: usize) -> Result<Option<Change>> {
    if row.is_null(at)? {
        return Ok(None);
    }
    let (view, _) = decode_event(row.bytes(at)?).map_err(|bad| corrupt(bad.0))?;
    Ok(Some(view.to_event().map_err(|bad| corrupt(bad.0))?.change))
}

/// The message in the columns from this one on.
pub(super) fn message_at(row: &dyn Row, at: usize) -> Result<Message> {
    if let Some(change) = exact_at(row, at + 6)? {
        let Change::AddMessage(message) = change else {
            return Err(corrupt("an exact row holds no message"));
        };
        return Ok(message);
    }
    let (id, role) = (text_at(row, at)?, text_at(row, at + 1)?);
    let mut message = Message::new(id, text_at(row, at + 3)?, role, time_at(row, at + 2)?);
    message.metadata = object_at(row, at + 4)?;
    message.extra = object_at(row, at + 5)?;
    Ok(message)
}

/// The action in the columns from this one on.
pub(super) fn action_at(row: &dyn Row, at: usize) -> Result<Action> {
    if let Some(change) = exact_at(row, at + 6)? {
        let Change::AddAction(action) = change else { return Err(corrupt("an exact row holds no action")) };
        return Ok(action);
    }
    let (id, action_type) = (text_at(row, at)?, text_at(row, at + 1)?);
    let mut action = Action::new(id, action_type, object_at(row, at + 3)?, time_at(row, at + 2)?);
    action.metadata = object_at(row, at + 4)?;
    action.extra = object_at(row, at + 5)?;
    Ok(action)
}

/// The summary in the columns from this one on.
pub(super) fn summary_at(row: &dyn Row, at: usize) -> Result<Summary> {
    let title = if row.is_null(at + 2)? {
        text_at(row, at + 1)?
    } else {
        Text::copied_from_wtf8(row.bytes(at + 2)?).map_err(|_| corrupt("a title is not well-formed"))?
    };
    Ok(Summary {
        id: id_at(row, at)?,
        title,
        created_at: time_at(row, at + 3)?,
        messages: number_at(row, at + 4)?,
        actions: number_at(row, at + 5)?,
        version: number_at(row, at + 6)?,
        last_activity: time_at(row, at + 7)?,
        last_seq: number_at(row, at + 8)?,
    })
}

/// Metadata and fields without a name, in the columns from this one on.
pub(super) fn head_at(row: &dyn Row, at: usize) -> Result<(JsonObject, JsonObject)> {
    Ok((object_at(row, at)?, object_at(row, at + 1)?))
}

/// An event's place and encoding, as its checksum covers them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub(super) seq: Seq,
    pub(super) first_seq: Seq,
    pub(super) last_seq: Seq,
    pub(super) schema: u16,
}

impl Numbers {
    /// The checksum of an event.
    pub(super) fn crc(self, payload: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        for number in [self.seq, self.first_seq, self.last_seq] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.update(&self.schema.to_le_bytes());
        hasher.update(payload);
        hasher.finalize()
    }
}

/// A conversation's id in a payload.
pub(super) fn id_view(id: &str) -> IdView<'_> {
    IdView::of(id.as_bytes())
}
