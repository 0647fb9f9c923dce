//! What an index keeps of a message or action.

use crate::model::{Text, Timestamp};

/// What an index wants of a message or action.
pub(super) struct ItemHead {
    pub(super) id: Option<Text>,
    pub(super) created_at: Option<Timestamp>,
    /// A message's role; nothing for an action.
    pub(super) role: Option<Text>,
}
