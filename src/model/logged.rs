//! What a look at the log gives.
//!
//! Owns the two things that can come next: a batch of events, or the word that some are no longer there.

use super::{Event, Seq};

/// What comes next in a store's log.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Logged {
    /// Events that happened together.
    Batch {
        /// The sequence number of the first; the others follow on.
        seq: Seq,
        /// The events, one at least.
        events: Vec<Event>,
    },
    /// Events that a compaction has dropped from the log. What they led to is in the conversations.
    Compacted {
        /// The first that is not there any more.
        first: Seq,
        /// The last one.
        last: Seq,
    },
}
