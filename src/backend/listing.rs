//! A part of a list, for engines that have only all of it.
//!
//! Owns what stands behind a place in a list.

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Conversations, ListCursor, Order, Summary, activity_key};

/// What stands behind a place in a list of all conversations in its order.
pub(super) fn list_behind(
    mut all: Vec<Summary>,
    selection: &Conversations,
    after: &ListCursor,
) -> Result<Vec<Summary>> {
    let at = all.iter().position(|summary| summary.id == after.id);
    let begin = match (selection.order, after.seen) {
        (Order::Activity, Some(seen)) => {
            let is_behind = |(place, summary): &(usize, &Summary)| {
                let key = activity_key(summary);
                // Of those with one key the list's own order decides, as far as the one that was seen is still among them.
                key < seen || key == seen && at.is_none_or(|at| *place > at)
            };
            all.iter().enumerate().find(is_behind).map_or(all.len(), |(place, _)| place)
        }
        (Order::Created, _) | (Order::Activity, None) => at.ok_or_else(|| no_place(&after.id))? + 1,
    };
    all.drain(..begin);
    all.truncate(selection.limit.unwrap_or(usize::MAX));
    Ok(all)
}

/// There is nothing behind what is not there.
pub(crate) fn no_place(id: &str) -> Error {
    let reason = format!("there is no conversation {id:?} behind which a list could go on; begin it again");
    Error::new(ErrorKind::NotFound, reason)
}
