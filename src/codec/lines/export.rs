//! Printing conversations, messages and actions as lines, and reading an export.
//!
//! Owns the form of an export: a line for each conversation, message and action.

use super::line::{Line, room_for};
use crate::codec::document::{ACTION_FIELDS, CONVERSATION_FIELDS, MESSAGE_FIELDS, check_extra};
use crate::codec::fields::Fields;
use crate::codec::json::{JsonError, Members, Reader};
use crate::error::Result;
use crate::model::{Action, Conversation, JsonObject, Message, Text, Timestamp, Version};

/// One line of an export.
///
/// ```
/// use aral_store::{ExportLine, Message};
/// let message = Message::new("m1", "hi", "user", "2025-03-13T15:11:33".parse()?);
/// let line = message.to_json_line(Some("c1"));
/// let read = ExportLine::from_json_line(line.as_bytes())?;
/// assert_eq!(read, ExportLine::Message { conversation_id: "c1".to_owned(), message });
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ExportLine {
    /// A conversation begins; its messages and actions have lines of their own.
    Conversation {
        /// Its id.
        id: String,
        /// Its title, the default one if the line has none.
        title: Text,
        /// When it was created.
        created_at: Timestamp,
        /// Its metadata.
        metadata: JsonObject,
        /// Fields without a name in the original's model.
        extra: JsonObject,
        /// Its version; absent in exports of earlier versions.
        version: Option<Version>,
    },
    /// A message.
    Message {
        /// The conversation that it belongs to.
        conversation_id: String,
        /// The message itself.
        message: Message,
    },
    /// An action.
    Action {
        /// The conversation that it belongs to.
        conversation_id: String,
        /// The action itself.
        action: Action,
    },
    /// The export ends, and was whole up to here.
    End(ExportEnd),
}

/// What the last line of an export says of all lines before it.
///
/// ```
/// use aral_store::{ExportEnd, ExportLine};
/// let mut end = ExportEnd::default();
/// end.conversations = 1;
/// assert_eq!(end.to_json_line(), r#"{"type":"end","conversations":1,"messages":0,"actions":0,"crc32":0}"#);
/// assert_eq!(ExportLine::from_json_line(end.to_json_line().as_bytes())?, ExportLine::End(end));
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ExportEnd {
    /// How many conversations there were.
    pub conversations: u64,
    /// How many messages.
    pub messages: u64,
    /// How many actions.
    pub actions: u64,
    /// The CRC-32 of the lines, each with a line feed.
    pub crc32: u32,
}

impl ExportEnd {
    /// Prints the line. No line break.
    #[must_use]
    pub fn to_json_line(&self) -> String {
        Line::of_type("end")
            .number("conversations", self.conversations)
            .number("messages", self.messages)
            .number("actions", self.actions)
            .number("crc32", self.crc32.into())
            .finish()
    }
}

impl ExportLine {
    /// Reads one line of an export, by its `type`: `conversation`, `message`, `action` or `end`.
    ///
    /// Absent `metadata` is empty, an absent `role` is `user`; every other field of the original's model
    /// must be there. Fields that it has no name for become `extra`, after those of the line's own `extra`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), naming the field and the byte, if the line is not
    /// JSON, has no known type, or misses a field or has one of the wrong type.
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory) if there is no memory for what a long line holds.
    pub fn from_json_line(line: &[u8]) -> Result<Self> {
        room_for(line)?;
        let read = || {
            let mut reader = Reader::new(line)?.strict();
            let export = export_line(&mut reader)?;
            reader.end()?;
            Ok(export)
        };
        read().map_err(JsonError::into_invalid)
    }
}

fn export_line(reader: &mut Reader<'_>) -> std::result::Result<ExportLine, JsonError> {
    reader.peek();
    let start = reader.offset();
    let mut fields = Fields::read(reader, &["metadata", "data", "extra"])?;
    let kind = fields.unicode("type")?.ok_or_else(|| fields.missing("type"))?;
    match kind.as_str() {
        "conversation" => conversation(fields),
        "message" => message(fields),
        "action" => action(fields),
        "end" => end(fields),
        _ => Err(JsonError::new(start, format!("\"type\": {kind:.60?} is not a known one"))),
    }
}

fn conversation(mut fields: Fields) -> std::result::Result<ExportLine, JsonError> {
    let id = fields.unicode("id")?.ok_or_else(|| fields.missing("id"))?;
    let title = fields.truthy_text("title")?.unwrap_or_else(|| Conversation::default_title(&id));
    let created_at = time(&mut fields)?;
    let metadata = fields.object("metadata")?.unwrap_or_default();
    let version = fields.unsigned("version")?.filter(|version| *version > 0);
    let extra = merged_extra(fields, &CONVERSATION_FIELDS)?;
    Ok(ExportLine::Conversation { id, title, created_at, metadata, extra, version })
}

/// What a later version may add to the line is no reason to take the export for cut.
fn end(mut fields: Fields) -> std::result::Result<ExportLine, JsonError> {
    let mut number = |key: &str| fields.unsigned(key)?.ok_or_else(|| fields.missing(key));
    let (conversations, messages, actions) =
        (number("conversations")?, number("messages")?, number("actions")?);
    let (crc32, offset) = (number("crc32")?, fields.offset("crc32"));
    let crc32 = u32::try_from(crc32)
        .map_err(|_| JsonError::new(offset, "\"crc32\" is over the limit of 2^32 - 1".to_owned()))?;
    Ok(ExportLine::End(ExportEnd { conversations, messages, actions, crc32 }))
}

fn message(mut fields: Fields) -> std::result::Result<ExportLine, JsonError> {
    let conversation_id = conversation_id(&mut fields)?;
    let message = Message {
        id: required(&mut fields, "id")?,
        content: required(&mut fields, "content")?,
        role: fields.text("role")?.unwrap_or_else(|| Text::from("user")),
        created_at: time(&mut fields)?,
        metadata: fields.object("metadata")?.unwrap_or_default(),
        extra: merged_extra(fields, &MESSAGE_FIELDS)?,
    };
    Ok(ExportLine::Message { conversation_id, message })
}

fn action(mut fields: Fields) -> std::result::Result<ExportLine, JsonError> {
    let conversation_id = conversation_id(&mut fields)?;
    let data = fields.object("data")?;
    let action = Action {
        id: required(&mut fields, "id")?,
        action_type: required(&mut fields, "action_type")?,
        data: data.ok_or_else(|| fields.missing("data"))?,
        created_at: time(&mut fields)?,
        metadata: fields.object("metadata")?.unwrap_or_default(),
        extra: merged_extra(fields, &ACTION_FIELDS)?,
    };
    Ok(ExportLine::Action { conversation_id, action })
}

fn required(fields: &mut Fields, key: &str) -> std::result::Result<Text, JsonError> {
    fields.text(key)?.ok_or_else(|| fields.missing(key))
}

fn time(fields: &mut Fields) -> std::result::Result<Timestamp, JsonError> {
    fields.time("created_at")?.ok_or_else(|| fields.missing("created_at"))
}

fn conversation_id(fields: &mut Fields) -> std::result::Result<String, JsonError> {
    fields.unicode("conversation_id")?.ok_or_else(|| fields.missing("conversation_id"))
}

/// The line's `extra` and after it every field that was not taken.
fn merged_extra(mut fields: Fields, named: &[&str]) -> std::result::Result<JsonObject, JsonError> {
    let offset = fields.offset("extra");
    let mut members = Members::new();
    let extra = fields.object("extra")?.unwrap_or_default();
    let left = fields.into_extra()?;
    for (key, value) in extra.members().into_iter().chain(left.members()) {
        members.insert(key, value);
    }
    let extra = JsonObject::from_members(&members.into_list());
    check_extra(&extra, named).map_err(|reason| JsonError::new(offset, reason))?;
    Ok(extra)
}

impl Message {
    /// Prints the message as a line: of an export if a conversation is given, else in the fields and order
    /// of the original's layout. No line break.
    #[must_use]
    pub fn to_json_line(&self, conversation_id: Option<&str>) -> String {
        let fields = |line: Line| {
            line.text("id", &self.id)
                .text("content", &self.content)
                .text("role", &self.role)
                .time("created_at", self.created_at)
                .object("metadata", &self.metadata)
        };
        match conversation_id {
            Some(id) => {
                fields(Line::of_type("message").string("conversation_id", id)).extra(&self.extra).finish()
            }
            None => fields(Line::new()).members(&self.extra).finish(),
        }
    }
}

impl Action {
    /// Prints the action as a line: of an export if a conversation is given, else in the fields and order
    /// of the original's layout. No line break.
    #[must_use]
    pub fn to_json_line(&self, conversation_id: Option<&str>) -> String {
        let fields = |line: Line| {
            line.text("id", &self.id)
                .text("action_type", &self.action_type)
                .object("data", &self.data)
                .time("created_at", self.created_at)
                .object("metadata", &self.metadata)
        };
        match conversation_id {
            Some(id) => {
                fields(Line::of_type("action").string("conversation_id", id)).extra(&self.extra).finish()
            }
            None => fields(Line::new()).members(&self.extra).finish(),
        }
    }
}

impl Conversation {
    /// Prints the whole conversation as one line, in the fields and order of the original's layout. No line
    /// break.
    ///
    /// ```
    /// use aral_store::Conversation;
    /// let line = Conversation::new("c1", "2025-03-13T15:11:33".parse()?).to_json_line();
    /// assert!(line.starts_with(r#"{"id":"c1","title":"Conversation c1","created_at":"2025-03-13T15:11:33""#));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    #[must_use]
    pub fn to_json_line(&self) -> String {
        self.head(Line::new())
            .array("messages", self.messages.iter().map(|message| message.to_json_line(None)))
            .array("actions", self.actions.iter().map(|action| action.to_json_line(None)))
            .members(&self.extra)
            .finish()
    }

    /// Prints the conversation without its messages and actions, as a line of an export. A version of 0, which no
    /// conversation in a store has, is left out. No line break.
    #[must_use]
    pub fn to_header_line(&self) -> String {
        let line = self.head(Line::of_type("conversation")).extra(&self.extra);
        if self.version > 0 { line.number("version", self.version) } else { line }.finish()
    }

    fn head(&self, line: Line) -> Line {
        line.string("id", &self.id)
            .text("title", &self.title)
            .time("created_at", self.created_at)
            .object("metadata", &self.metadata)
    }
}

#[cfg(test)]
mod tests;
