//! The commonest event without the detours of a general encoder.
//!
//! Owns a second way to write and to read one kind of event: a message that is added without an idempotency
//! key. The bytes are those of the general encoder, which remains what defines them; whatever is not plainly
//! of this kind is left to it, damaged bytes included, and the tests hold the two against each other.

use super::{ChangeView, EventView, MessageView, RoleView, TimeView};
use crate::codec::bytes::{Fields, to_u64, to_usize};
use crate::codec::ids::{IdView, UuidBytes};

/// The variants' numbers, in the order of their declarations.
const UUID: u8 = 0;
const TEXT: u8 = 1;
const ADD_MESSAGE: u8 = 3;
const NONE: u8 = 0;
const SOME: u8 = 1;
/// From this byte on the first byte of a number is not the number itself.
const TWO_BYTES: u8 = 251;
const FOUR_BYTES: u8 = 252;
const EIGHT_BYTES: u8 = 253;

/// Puts the bytes of an event that adds this message to this conversation at the end of a payload.
#[inline]
pub(super) fn encode(conversation: IdView<'_>, message: &MessageView<'_>, payload: &mut Vec<u8>) {
    // The numbers between the texts never need more.
    let texts = [message.content.len(), message.metadata.len(), message.extra.len()];
    payload.reserve(texts.into_iter().fold(256, usize::saturating_add));
    put_id(conversation, payload);
    payload.extend_from_slice(&[NONE, ADD_MESSAGE]);
    put_id(message.id, payload);
    match message.role {
        RoleView::User => payload.push(0),
        RoleView::Assistant => payload.push(1),
        RoleView::System => payload.push(2),
        RoleView::Tool => payload.push(3),
        RoleView::Other(role) => {
            payload.push(4);
            put_bytes(role, payload);
        }
    }
    put_wall(message.created_at.wall, payload);
    if let Some(offset) = message.created_at.offset {
        payload.push(SOME);
        put_number(folded(offset), payload);
    } else {
        payload.push(NONE);
    }
    put_bytes(message.content, payload);
    put_bytes(message.metadata.as_bytes(), payload);
    put_bytes(message.extra.as_bytes(), payload);
}

#[inline]
fn put_id(id: IdView<'_>, payload: &mut Vec<u8>) {
    match id {
        IdView::Uuid(bytes) => {
            payload.push(UUID);
            payload.extend_from_slice(&bytes.bytes());
        }
        IdView::Text(text) => {
            payload.push(TEXT);
            put_bytes(text, payload);
        }
    }
}

#[inline]
fn put_bytes(bytes: &[u8], payload: &mut Vec<u8>) {
    match u8::try_from(bytes.len()) {
        Ok(length) if length < TWO_BYTES => payload.push(length),
        _ => put_number(to_u64(bytes.len()), payload),
    }
    payload.extend_from_slice(bytes);
}

/// A time, by the way that is short for one of eight bytes: every time of this century is one.
#[inline]
fn put_wall(wall: i64, payload: &mut Vec<u8>) {
    let number = folded(wall);
    if number > u64::from(u32::MAX) {
        payload.push(EIGHT_BYTES);
        payload.extend_from_slice(&number.to_le_bytes());
    } else {
        put_number(number, payload);
    }
}

/// The sign goes to the lowest bit, so that small numbers of either sign are short.
#[inline]
fn folded(number: i64) -> u64 {
    (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned()
}

#[inline(never)]
fn put_number(number: u64, payload: &mut Vec<u8>) {
    if let Some(number) = u8::try_from(number).ok().filter(|number| *number < TWO_BYTES) {
        payload.push(number);
    } else if let Ok(number) = u16::try_from(number) {
        payload.push(TWO_BYTES);
        payload.extend_from_slice(&number.to_le_bytes());
    } else if let Ok(number) = u32::try_from(number) {
        payload.push(FOUR_BYTES);
        payload.extend_from_slice(&number.to_le_bytes());
    } else {
        payload.push(EIGHT_BYTES);
        payload.extend_from_slice(&number.to_le_bytes());
    }
}

/// Takes an event off the front of bytes, if it is of the kind, and says how many it took.
#[expect(
    clippy::inline_always,
    reason = "what it returns is taken apart at once, and never put together then"
)]
#[inline(always)]
pub(super) fn decode(bytes: &[u8]) -> Option<(EventView<'_>, usize)> {
    let mut fields = Fields(bytes);
    let conversation = take_id(&mut fields)?;
    let message = take_message(&mut fields)?;
    let view = EventView { conversation, key: None, change: ChangeView::AddMessage(message) };
    Some((view, bytes.len() - fields.0.len()))
}

/// The message in an event that is at the front of bytes, if it is of the kind. Who reads knows the conversation
/// and wants nothing else of the event.
#[expect(
    clippy::inline_always,
    reason = "what it returns is taken apart at once, and never put together then"
)]
#[inline(always)]
pub(super) fn message(bytes: &[u8]) -> Option<MessageView<'_>> {
    let mut fields = Fields(bytes);
    take_id(&mut fields)?;
    take_message(&mut fields)
}

/// What comes behind the conversation's id.
#[expect(
    clippy::inline_always,
    reason = "what it returns is taken apart at once, and never put together then"
)]
#[inline(always)]
fn take_message<'a>(fields: &mut Fields<'a>) -> Option<MessageView<'a>> {
    if fields.u16()? != u16::from_le_bytes([NONE, ADD_MESSAGE]) {
        return None;
    }
    Some(MessageView {
        id: take_id(fields)?,
        role: match fields.u8()? {
            0 => RoleView::User,
            1 => RoleView::Assistant,
            2 => RoleView::System,
            3 => RoleView::Tool,
            4 => RoleView::Other(take_bytes(fields)?),
            _ => return None,
        },
        created_at: TimeView {
            wall: signed(take_wall(fields)?),
            offset: match fields.u8()? {
                NONE => None,
                SOME => Some(signed(take_number(fields)?)),
                _ => return None,
            },
        },
        content: take_bytes(fields)?,
        metadata: take_object(fields)?,
        extra: take_object(fields)?,
    })
}

#[expect(
    clippy::inline_always,
    reason = "what it returns is taken apart at once, and never put together then"
)]
#[inline(always)]
fn take_id<'a>(fields: &mut Fields<'a>) -> Option<IdView<'a>> {
    match fields.u8()? {
        UUID => fields.id().map(|bytes| IdView::Uuid(UuidBytes::of(bytes))),
        TEXT => take_bytes(fields).map(IdView::Text),
        _ => None,
    }
}

#[expect(
    clippy::inline_always,
    reason = "what it returns is taken apart at once, and never put together then"
)]
#[inline(always)]
fn take_bytes<'a>(fields: &mut Fields<'a>) -> Option<&'a [u8]> {
    let length = take_number(fields)?;
    fields.take(to_usize(length))
}

/// The text of an object, which mostly is none.
#[expect(
    clippy::inline_always,
    reason = "what it returns is taken apart at once, and never put together then"
)]
#[inline(always)]
fn take_object<'a>(fields: &mut Fields<'a>) -> Option<&'a str> {
    match take_bytes(fields)? {
        [] => Some(""),
        bytes => std::str::from_utf8(bytes).ok(),
    }
}

#[inline]
fn signed(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ (number & 1).cast_signed().wrapping_neg()
}

/// A number, by the way that is short for one of eight bytes: every time of this century is one.
#[inline]
fn take_wall(fields: &mut Fields<'_>) -> Option<u64> {
    match fields.u8()? {
        EIGHT_BYTES => fields.u64(),
        number if number < TWO_BYTES => Some(u64::from(number)),
        first => take_long_number(first, fields),
    }
}

#[expect(
    clippy::inline_always,
    reason = "what it returns is taken apart at once, and never put together then"
)]
#[inline(always)]
fn take_number(fields: &mut Fields<'_>) -> Option<u64> {
    match fields.u8()? {
        number if number < TWO_BYTES => Some(u64::from(number)),
        TWO_BYTES => fields.u16().map(u64::from),
        first => take_long_number(first, fields),
    }
}

/// What follows a first byte that is not the number itself.
#[cold]
#[inline(never)]
fn take_long_number(first: u8, fields: &mut Fields<'_>) -> Option<u64> {
    match first {
        TWO_BYTES => fields.u16().map(u64::from),
        FOUR_BYTES => fields.u32().map(u64::from),
        EIGHT_BYTES => fields.u64(),
        _ => None,
    }
}
