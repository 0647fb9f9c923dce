//! What is remembered of a conversation that was removed.
//!
//! Owns no content of it: its id, when it ended, and why.

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
    /// Why it was removed.
    pub reason: RemovalReason,
}

/// Why a conversation was removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum RemovalReason {
    /// Somebody asked for it.
    #[default]
    Asked,
    /// It was older than what was to be kept: see [`MessageStore::prune`](crate::MessageStore::prune).
    Retention,
    /// Nothing of it was to stay: see [`MessageStore::erase`](crate::MessageStore::erase).
    Erasure,
}

impl RemovalReason {
    /// The word for it in JSON lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Retention => "retention",
            Self::Erasure => "erasure",
        }
    }

    /// The number that stands for it in events and checkpoints.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Asked => 0,
            Self::Retention => 1,
            Self::Erasure => 2,
        }
    }

    /// What a number stands for.
    pub(crate) fn of_number(number: u8) -> Option<Self> {
        [Self::Asked, Self::Retention, Self::Erasure].into_iter().find(|reason| reason.number() == number)
    }
}

impl Tombstone {
    /// What happened, in words for an error: it was removed, or pruned, when, and by which event.
    pub(crate) fn in_words(&self) -> String {
        let when = self.removed_at.map(|time| format!(" at {time}")).unwrap_or_default();
        match self.reason {
            RemovalReason::Asked => format!("it was removed{when}, by event {}", self.seq),
            RemovalReason::Erasure => format!("it was erased{when}, by event {}", self.seq),
            RemovalReason::Retention => {
                format!("it was older than what is kept, and was pruned{when}, by event {}", self.seq)
            }
        }
    }
}
