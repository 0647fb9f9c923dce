//! How much memory it takes to change what is there.
//!
//! Owns the lengths of what may be long in it, by which memory is asked for before anything is noted of the change.

use crate::codec::bytes::has_room;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Action, Change, Message};

/// Holds that there is memory to judge a change of what is this long: what was seen, what becomes of it, and its record.
pub(super) fn room_to_judge(length: usize) -> Result<()> {
    if has_room(length.saturating_mul(3)) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::OutOfMemory,
        format!("there is no memory to change what is {length} bytes long"),
    ))
}

pub(super) fn message_length(message: &Message) -> usize {
    message.content.len() + message.metadata.as_json().len() + message.extra.as_json().len()
}

pub(super) fn action_length(action: &Action) -> usize {
    action.data.as_json().len() + action.metadata.as_json().len() + action.extra.as_json().len()
}

/// How long the part of an event is that may be long.
pub(super) fn long_part(change: &Change) -> usize {
    match change {
        Change::AddMessage(message) => message.content.len(),
        Change::AddAction(action) => action.data.as_json().len(),
        Change::Create { .. }
        | Change::Reset { .. }
        | Change::SetTitle(_)
        | Change::SetMetadata(_)
        | Change::SetCreatedAt(_)
        | Change::SetExtra(_)
        | Change::EditMessage(_)
        | Change::RemoveMessage(_)
        | Change::EditAction(_)
        | Change::RemoveAction(_)
        | Change::Clear
        | Change::SetVersion(_)
        | Change::AppendText { .. }
        | Change::Remove { .. } => 0,
    }
}
