//! The payload of a record: events in bincode.
//!
//! Owns the only use of bincode in the crate, always with a limit. The bytes are specified in
//! docs/format.md, section "Events", and held by golden files, so that another encoder could take its place
//! without a change of format. Views borrow from the bytes, so neither writing nor replaying copies texts.
//! A JSON object travels as its canonical text, an id in the usual form of a UUID as its 16 bytes.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{BorrowDecode, Encode};

use super::frame::MAX_PAYLOAD;
pub(crate) use super::ids::BadPayload;
use super::ids::IdView;
use crate::model::{
    Action, Change, Event, JsonObject, Message, RemovalReason, Text, TextRef, Timestamp, Zone,
};

mod decode;

mod borrowed;

mod fast_path;

mod schema;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use decode::beginning;
pub(crate) use decode::{MAX_FRAME_EVENTS, decode_event, decode_message, for_each_event, named_in};

#[cfg(any(test, feature = "sqlite", feature = "postgres"))]
pub(crate) use schema::FIFTH_SCHEMA;
#[cfg(test)]
pub(crate) use schema::THIRD_SCHEMA;
pub(crate) use schema::{FIRST_SCHEMA, FOURTH_SCHEMA, SECOND_SCHEMA, SIXTH_SCHEMA, schema_of, too_new};

const CONFIG: Configuration<LittleEndian, Varint, Limit<MAX_PAYLOAD>> =
    bincode::config::standard().with_limit::<MAX_PAYLOAD>();

/// One event as it stands in a payload.
#[derive(Clone, Copy, Debug, Encode, BorrowDecode)]
pub(crate) struct EventView<'a> {
    pub(crate) conversation: IdView<'a>,
    pub(crate) key: Option<KeyView<'a>>,
    pub(crate) change: ChangeView<'a>,
}

/// An idempotency key and what it was used for.
#[derive(Clone, Copy, Debug, Encode, BorrowDecode, PartialEq, Eq)]
pub(crate) struct KeyView<'a> {
    pub(crate) text: &'a str,
    /// CRC-32 of what the caller asked for, so that another use of the same key is noticed.
    pub(crate) fingerprint: u32,
}

/// A text of which most are one of a few words.
#[derive(Clone, Copy, Debug, Encode, BorrowDecode, PartialEq, Eq)]
pub(crate) enum RoleView<'a> {
    User,
    Assistant,
    System,
    Tool,
    Other(&'a [u8]),
}

/// A time: the wall clock's microseconds and the offset's, if it has one.
#[derive(Clone, Copy, Debug, Encode, BorrowDecode, PartialEq, Eq)]
pub(crate) struct TimeView {
    wall: i64,
    offset: Option<i64>,
}

/// What an event does; the order of the variants is the format.
///
/// What is edited or removed is named twice: by its place `at` in the conversation, counted from 0, which
/// makes replay exact where an id is used twice, and by its id, which makes a wrong place show.
#[derive(Clone, Copy, Debug, Encode, BorrowDecode)]
pub(crate) enum ChangeView<'a> {
    Create { title: &'a [u8], created_at: TimeView, metadata: &'a str, extra: &'a str },
    SetTitle(&'a [u8]),
    SetMetadata(&'a str),
    AddMessage(MessageView<'a>),
    EditMessage { at: u64, message: MessageView<'a> },
    RemoveMessage { at: u64, id: IdView<'a> },
    AddAction(ActionView<'a>),
    RemoveAction { at: u64, id: IdView<'a> },
    Clear,
    Remove,
    Reset { title: &'a [u8], created_at: TimeView, metadata: &'a str, extra: &'a str },
    EditAction { at: u64, action: ActionView<'a> },
    SetCreatedAt(TimeView),
    SetExtra(&'a str),
    RemoveAt(TimeView),
    SetVersion(u64),
    RemoveFor { removed_at: Option<TimeView>, reason: u8 },
    AppendText { at: u64, id: IdView<'a>, offset: u64, text: &'a [u8] },
}

/// A message as it stands in a payload.
#[derive(Clone, Copy, Debug, Encode, BorrowDecode)]
pub(crate) struct MessageView<'a> {
    pub(crate) id: IdView<'a>,
    pub(crate) role: RoleView<'a>,
    pub(crate) created_at: TimeView,
    content: &'a [u8],
    metadata: &'a str,
    extra: &'a str,
}

/// An action as it stands in a payload.
#[derive(Clone, Copy, Debug, Encode, BorrowDecode)]
pub(crate) struct ActionView<'a> {
    pub(crate) id: IdView<'a>,
    action_type: &'a [u8],
    pub(crate) created_at: TimeView,
    data: &'a str,
    metadata: &'a str,
    extra: &'a str,
}

/// `{}` needs no byte but its length's.
fn brief(object: &JsonObject) -> &str {
    if object.is_empty() { "" } else { object.as_json() }
}

/// The object that a text is. Its writer brought it into the canonical form, so only its brackets are looked at.
fn object(text: &str) -> Result<JsonObject, BadPayload> {
    Ok(if text.is_empty() { JsonObject::EMPTY } else { JsonObject::from_canonical(object_text(text)?) })
}

/// The text of an object, of which only the brackets are looked at.
fn object_text(text: &str) -> Result<&str, BadPayload> {
    match text {
        "" => Ok("{}"),
        _ if text.starts_with('{') && text.ends_with('}') => Ok(text),
        _ => Err(BadPayload("metadata or data is no object".to_owned())),
    }
}

/// The reason that a number in an event stands for. One that somebody merely asked for has another form.
pub(crate) fn reason_of(number: u8) -> Result<RemovalReason, BadPayload> {
    RemovalReason::of_number(number)
        .filter(|reason| *reason != RemovalReason::Asked)
        .ok_or_else(|| BadPayload(format!("a removal has no reason {number}")))
}

fn text(bytes: &[u8]) -> Result<Text, BadPayload> {
    Text::copied_from_wtf8(bytes).map_err(|_| BadPayload("a text is not well-formed".to_owned()))
}

impl<'a> RoleView<'a> {
    /// The role, borrowed.
    fn lend(self) -> Result<TextRef<'a>, BadPayload> {
        match self {
            Self::User => Ok(TextRef::from("user")),
            Self::Assistant => Ok(TextRef::from("assistant")),
            Self::System => Ok(TextRef::from("system")),
            Self::Tool => Ok(TextRef::from("tool")),
            Self::Other(other) => borrowed::text(other),
        }
    }

    fn to_text(self) -> Result<Text, BadPayload> {
        match self {
            Self::User => Ok(Text::of_short_ascii(*b"user")),
            Self::Assistant => Ok(Text::of_short_ascii(*b"assistant")),
            Self::System => Ok(Text::of_short_ascii(*b"system")),
            Self::Tool => Ok(Text::of_short_ascii(*b"tool")),
            Self::Other(other) => text(other),
        }
    }

    fn of(role: &'a Text) -> Self {
        match role.as_wtf8() {
            b"user" => Self::User,
            b"assistant" => Self::Assistant,
            b"system" => Self::System,
            b"tool" => Self::Tool,
            other => Self::Other(other),
        }
    }
}

impl TimeView {
    pub(crate) fn of(time: &Timestamp) -> Self {
        let offset = match time.zone() {
            Zone::Naive => None,
            Zone::Offset(micros) => Some(micros),
        };
        Self { wall: time.wall_micros(), offset }
    }

    pub(crate) fn to_timestamp(self) -> Result<Timestamp, BadPayload> {
        let zone = self.offset.map_or(Zone::Naive, Zone::Offset);
        Timestamp::from_wall_micros(self.wall, zone)
            .ok_or_else(|| BadPayload("a time is outside the years 1 to 9999".to_owned()))
    }
}

impl<'a> MessageView<'a> {
    #[inline]
    fn of(message: &'a Message) -> Self {
        Self {
            id: IdView::of(message.id.as_wtf8()),
            role: RoleView::of(&message.role),
            created_at: TimeView::of(&message.created_at),
            content: message.content.as_wtf8(),
            metadata: brief(&message.metadata),
            extra: brief(&message.extra),
        }
    }

    #[inline]
    pub(crate) fn to_message(self) -> Result<Message, BadPayload> {
        Ok(Message {
            id: self.id.to_text()?,
            content: text(self.content)?,
            role: self.role.to_text()?,
            created_at: self.created_at.to_timestamp()?,
            metadata: object(self.metadata)?,
            extra: object(self.extra)?,
        })
    }
}

impl<'a> ActionView<'a> {
    fn of(action: &'a Action) -> Self {
        Self {
            id: IdView::of(action.id.as_wtf8()),
            action_type: action.action_type.as_wtf8(),
            created_at: TimeView::of(&action.created_at),
            data: brief(&action.data),
            metadata: brief(&action.metadata),
            extra: brief(&action.extra),
        }
    }

    pub(crate) fn to_action(self) -> Result<Action, BadPayload> {
        let created_at = self.created_at.to_timestamp()?;
        let mut action =
            Action::new(self.id.to_text()?, text(self.action_type)?, object(self.data)?, created_at);
        action.metadata = object(self.metadata)?;
        action.extra = object(self.extra)?;
        Ok(action)
    }
}

impl<'a> ChangeView<'a> {
    /// The message that the change adds, or puts in another's place.
    pub(crate) fn message(&self) -> Option<&MessageView<'a>> {
        if let Self::AddMessage(message) | Self::EditMessage { message, .. } = self {
            Some(message)
        } else {
            None
        }
    }

    /// The action that the change adds, or puts in another's place.
    pub(crate) fn action(&self) -> Option<&ActionView<'a>> {
        if let Self::AddAction(action) | Self::EditAction { action, .. } = self { Some(action) } else { None }
    }

    /// The metadata and the unknown fields that the change gives its conversation.
    pub(crate) fn head(&self) -> Result<(JsonObject, JsonObject), BadPayload> {
        if let Self::Create { metadata, extra, .. } | Self::Reset { metadata, extra, .. } = self {
            Ok((object(metadata)?, object(extra)?))
        } else if let Self::SetMetadata(metadata) = self {
            Ok((object(metadata)?, JsonObject::EMPTY))
        } else if let Self::SetExtra(extra) = self {
            Ok((JsonObject::EMPTY, object(extra)?))
        } else {
            Err(BadPayload("the record holds nothing of a conversation's head".to_owned()))
        }
    }
}

impl<'a> EventView<'a> {
    /// The view of an event whose target stands at this place.
    pub(crate) fn of(event: &'a Event, at: u64) -> Self {
        let key = event.key.as_deref().map(|text| KeyView { text, fingerprint: event.fingerprint });
        Self::of_parts(IdView::of(event.conversation_id.as_bytes()), &event.change, at, key)
    }

    /// The view of an event that consists of these.
    fn of_parts(conversation: IdView<'a>, change: &'a Change, at: u64, key: Option<KeyView<'a>>) -> Self {
        let change = match change {
            Change::Create { title, created_at, metadata, extra } => ChangeView::Create {
                title: title.as_wtf8(),
                created_at: TimeView::of(created_at),
                metadata: brief(metadata),
                extra: brief(extra),
            },
            Change::SetTitle(title) => ChangeView::SetTitle(title.as_wtf8()),
            Change::SetMetadata(metadata) => ChangeView::SetMetadata(brief(metadata)),
            Change::AddMessage(message) => ChangeView::AddMessage(MessageView::of(message)),
            Change::EditMessage(message) => ChangeView::EditMessage { at, message: MessageView::of(message) },
            Change::RemoveMessage(id) => ChangeView::RemoveMessage { at, id: IdView::of(id.as_wtf8()) },
            Change::AddAction(action) => ChangeView::AddAction(ActionView::of(action)),
            Change::RemoveAction(id) => ChangeView::RemoveAction { at, id: IdView::of(id.as_wtf8()) },
            Change::Clear => ChangeView::Clear,
            Change::Remove { removed_at, reason: RemovalReason::Asked } => removed_at
                .as_ref()
                .map_or(ChangeView::Remove, |time| ChangeView::RemoveAt(TimeView::of(time))),
            Change::Remove { removed_at, reason } => ChangeView::RemoveFor {
                removed_at: removed_at.as_ref().map(TimeView::of),
                reason: reason.number(),
            },
            Change::SetVersion(version) => ChangeView::SetVersion(*version),
            Change::Reset { title, created_at, metadata, extra } => ChangeView::Reset {
                title: title.as_wtf8(),
                created_at: TimeView::of(created_at),
                metadata: brief(metadata),
                extra: brief(extra),
            },
            Change::EditAction(action) => ChangeView::EditAction { at, action: ActionView::of(action) },
            Change::SetCreatedAt(time) => ChangeView::SetCreatedAt(TimeView::of(time)),
            Change::SetExtra(extra) => ChangeView::SetExtra(brief(extra)),
            Change::AppendText { message_id, offset, text } => ChangeView::AppendText {
                at,
                id: IdView::of(message_id.as_wtf8()),
                offset: *offset,
                text: text.as_wtf8(),
            },
        };
        Self { conversation, key, change }
    }

    /// The event itself.
    pub(crate) fn to_event(self) -> Result<Event, BadPayload> {
        let change = match self.change {
            ChangeView::Create { title, created_at, metadata, extra } => Change::Create {
                title: text(title)?,
                created_at: created_at.to_timestamp()?,
                metadata: object(metadata)?,
                extra: object(extra)?,
            },
            ChangeView::SetTitle(title) => Change::SetTitle(text(title)?),
            ChangeView::SetMetadata(metadata) => Change::SetMetadata(object(metadata)?),
            ChangeView::AddMessage(message) => Change::AddMessage(message.to_message()?),
            ChangeView::EditMessage { message, .. } => Change::EditMessage(message.to_message()?),
            ChangeView::RemoveMessage { id, .. } => Change::RemoveMessage(id.to_text()?),
            ChangeView::AddAction(action) => Change::AddAction(action.to_action()?),
            ChangeView::RemoveAction { id, .. } => Change::RemoveAction(id.to_text()?),
            ChangeView::Clear => Change::Clear,
            ChangeView::Remove => Change::Remove { removed_at: None, reason: RemovalReason::Asked },
            ChangeView::RemoveAt(time) => {
                Change::Remove { removed_at: Some(time.to_timestamp()?), reason: RemovalReason::Asked }
            }
            ChangeView::RemoveFor { removed_at, reason } => Change::Remove {
                removed_at: removed_at.map(TimeView::to_timestamp).transpose()?,
                reason: reason_of(reason)?,
            },
            ChangeView::SetVersion(version) => Change::SetVersion(version),
            ChangeView::Reset { title, created_at, metadata, extra } => Change::Reset {
                title: text(title)?,
                created_at: created_at.to_timestamp()?,
                metadata: object(metadata)?,
                extra: object(extra)?,
            },
            ChangeView::EditAction { action, .. } => Change::EditAction(action.to_action()?),
            ChangeView::SetCreatedAt(time) => Change::SetCreatedAt(time.to_timestamp()?),
            ChangeView::SetExtra(extra) => Change::SetExtra(object(extra)?),
            ChangeView::AppendText { id, offset, text: more, .. } => {
                Change::AppendText { message_id: id.to_text()?, offset, text: text(more)? }
            }
        };
        let fingerprint = self.key.map_or(0, |key| key.fingerprint);
        let key = self.key.map(|key| key.text.to_owned());
        Ok(Event { conversation_id: self.conversation.to_id()?, change, key, fingerprint })
    }
}

/// Puts an event's bytes at the end of a payload and says how many they are. How long all of it may be is for the
/// caller to see to; `None` is a failure of the encoder, which memory does not give it.
pub(crate) fn encode_event(event: &EventView<'_>, payload: &mut Vec<u8>) -> Option<usize> {
    let before = payload.len();
    if let (ChangeView::AddMessage(message), None) = (&event.change, event.key) {
        fast_path::encode(event.conversation, message, payload);
        return Some(payload.len() - before);
    }
    bincode::encode_into_std_write(event, payload, CONFIG).ok()
}

/// The same of an event that consists of these; a message that is added is written without a view of all of it.
pub(crate) fn encode_parts(
    conversation: IdView<'_>,
    change: &Change,
    at: u64,
    key: Option<KeyView<'_>>,
    payload: &mut Vec<u8>,
) -> Option<usize> {
    let Some(Change::AddMessage(message)) = key.is_none().then_some(change) else {
        return encode_event(&EventView::of_parts(conversation, change, at, key), payload);
    };
    let before = payload.len();
    fast_path::encode(conversation, &MessageView::of(message), payload);
    Some(payload.len() - before)
}

#[cfg(test)]
mod tests;
