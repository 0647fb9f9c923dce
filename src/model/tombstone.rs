//! What is remembered of a conversation that was removed.
//!
//! Owns no content of it: its id, and when it ended.

use super::{Seq, Timestamp};

/// What is remembered of a conversation that was removed, so that nothing brings it back unasked.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Tombstone {
    /// The conversation's id.
    pub id: String,
    /// The event that removed it.
    pub seq: Seq,
    /// When it was removed; absent if the event does not say, as those of earlier versions do not.
    pub removed_at: Option<Timestamp>,
}
