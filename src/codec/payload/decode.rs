//! From a payload's bytes to what is in it.
//!
//! Owns the choice between the quick way and the general one, and what a payload as a whole must be. Does not
//! know what becomes of the events.

use super::{BadPayload, CONFIG, EventView, IdView, MessageView, fast_path};

/// Takes one event off the front of bytes and says how many it took.
#[inline]
pub(crate) fn decode_event(bytes: &[u8]) -> Result<(EventView<'_>, usize), BadPayload> {
    if let Some(taken) = fast_path::decode(bytes) {
        return Ok(taken);
    }
    general(bytes)
}

/// The same, whatever the event.
pub(super) fn general(bytes: &[u8]) -> Result<(EventView<'_>, usize), BadPayload> {
    bincode::borrow_decode_from_slice(bytes, CONFIG).map_err(|error| BadPayload(error.to_string()))
}

/// The message in the event at the front of bytes, which adds it or puts it in another's place.
#[expect(
    clippy::inline_always,
    reason = "what it returns is taken apart at once, and never put together then"
)]
#[inline(always)]
pub(crate) fn decode_message(bytes: &[u8]) -> Result<MessageView<'_>, BadPayload> {
    match fast_path::message(bytes) {
        Some(message) => Ok(message),
        None => message_in_any(bytes),
    }
}

#[cold]
fn message_in_any(bytes: &[u8]) -> Result<MessageView<'_>, BadPayload> {
    let (view, _) = decode_event(bytes)?;
    let message = view.change.message().copied();
    message.ok_or_else(|| BadPayload("the record holds no message".to_owned()))
}

/// The conversations that a damaged payload names, each once, as far as its events can still be told apart. Nothing
/// proves them: the damage may be in a name.
pub(crate) fn named_in(payload: &[u8]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut rest = payload;
    while !rest.is_empty() {
        let event = decode_event(rest).ok();
        // An event begins with its conversation, so that this much is often left of one that cannot be read.
        let id = match &event {
            Some((view, _)) => Some(view.conversation),
            None => bincode::borrow_decode_from_slice(rest, CONFIG).ok().map(|(id, _): (IdView<'_>, _)| id),
        };
        let name = id.and_then(|id| id.to_id().ok()).filter(|name| !name.is_empty());
        names.extend(name.filter(|name| !names.contains(name)));
        let Some((_, length)) = event else { break };
        rest = rest.get(length..).unwrap_or_default();
    }
    names
}

/// The bytes that every event of a conversation begins with, and no other one's.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) fn beginning(conversation_id: &str) -> Vec<u8> {
    let id = IdView::of(conversation_id.as_bytes());
    // An id is short, so that this cannot fail; a beginning that nothing has would find nothing.
    bincode::encode_to_vec(id, CONFIG).unwrap_or_default()
}

/// The most events of one payload. A caller's batch has far fewer; a conversation that is put in another one's place
/// has as many as it has items, and must be there as a whole or not at all.
pub(crate) const MAX_FRAME_EVENTS: u32 = 1 << 24;

/// Goes over the events of a payload, each with its place in it, and insists that they fill it exactly.
pub(crate) fn for_each_event<'a, E: From<BadPayload>>(
    payload: &'a [u8],
    count: u32,
    mut visit: impl FnMut(&EventView<'a>, std::ops::Range<usize>) -> Result<(), E>,
) -> Result<(), E> {
    if count == 0 || count > MAX_FRAME_EVENTS {
        return Err(BadPayload(format!("{count} events in one batch")).into());
    }
    let mut at = 0;
    for _ in 0..count {
        let rest = payload.get(at..).unwrap_or_default();
        let (event, length) = match fast_path::decode(rest) {
            Some(taken) => taken,
            None => general(rest)?,
        };
        visit(&event, at..at + length)?;
        at += length;
    }
    if at == payload.len() {
        Ok(())
    } else {
        Err(BadPayload("bytes follow the last event".to_owned()).into())
    }
}
