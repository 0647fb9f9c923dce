//! Replies that are written piece by piece.
//!
//! Owns what may be put behind a message's text, and what finishing one makes of it. Whether a message is such a reply stands
//! in its metadata alone, so that whatever copies a message copies that too.

use super::lookup::SeenReply;
use super::refusal::{Refusal, impossible};
use super::request::Finish;
use crate::codec::bytes::to_u64;
use crate::error::ErrorKind;
use crate::model::{JsonObject, MAX_JSON_BYTES, MAX_TEXT_BYTES, Message, Text};

/// Where a text comes to stand behind that of a message.
pub(super) fn append(
    reply: &SeenReply,
    (id, offset, text): (&Text, Option<u64>, &Text),
) -> Result<u64, Refusal> {
    must_be_open(id, reply.is_partial)?;
    must_be_as_long(id, offset, reply.length)?;
    let length = reply.length.saturating_add(to_u64(text.len()));
    if length > to_u64(MAX_TEXT_BYTES) {
        let reason = format!(
            "with the piece, message {:?} would have {length} bytes of text, over the limit of {MAX_TEXT_BYTES}",
            id.to_string_lossy()
        );
        return Err(impossible(ErrorKind::InvalidInput, reason));
    }
    Ok(reply.length)
}

/// Finishes a reply.
pub(super) fn finish(message: &mut Message, finish: &Finish) -> Result<(), Refusal> {
    must_be_open(&message.id, message.is_partial())?;
    must_be_as_long(&message.id, finish.length, to_u64(message.content.len()))?;
    let metadata = message.metadata.without_mark(&finish.metadata).map_err(Refusal::Impossible)?;
    within_limit(&metadata)?;
    message.metadata = metadata;
    Ok(())
}

fn must_be_open(id: &Text, is_partial: bool) -> Result<(), Refusal> {
    if is_partial {
        return Ok(());
    }
    let reason = format!(
        "message {:?} is no reply that is being written: it is finished, or was not begun as one",
        id.to_string_lossy()
    );
    Err(impossible(ErrorKind::Conflict, reason))
}

fn must_be_as_long(id: &Text, expected: Option<u64>, length: u64) -> Result<(), Refusal> {
    match expected {
        Some(expected) if expected != length => {
            let reason = format!(
                "message {:?} has {length} bytes of text, not {expected}: somebody else has written to it",
                id.to_string_lossy()
            );
            Err(impossible(ErrorKind::Conflict, reason))
        }
        _ => Ok(()),
    }
}

fn within_limit(metadata: &JsonObject) -> Result<(), Refusal> {
    let length = metadata.as_json().len();
    if length <= MAX_JSON_BYTES {
        return Ok(());
    }
    let reason = format!("metadata has {length} bytes, over the limit of {MAX_JSON_BYTES}");
    Err(impossible(ErrorKind::InvalidInput, reason))
}
