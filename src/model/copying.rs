//! What a copy of a store into another one comes to.
//!
//! Owns the report, the word on how far a copy has come, and what a store remembers of being a copy.

use super::Seq;

/// What a store holds after another one has been copied into it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct CopyReport {
    /// The newest event of the source that is in the copy: the copy is of the state that this event left.
    pub seq: Seq,
    /// How many conversations there are.
    pub conversations: u64,
    /// How many messages they have.
    pub messages: u64,
    /// How many actions they have.
    pub actions: u64,
    /// How many conversations are remembered as removed.
    pub removed: u64,
    /// How many events were written to the copy now; 0 if there was nothing new.
    pub events: u64,
}

/// How far a copy has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct CopyProgress {
    /// What is being done.
    pub stage: CopyStage,
    /// How much of it is done.
    pub done: u64,
    /// How much there is to do.
    pub total: u64,
}

/// What a copy is at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CopyStage {
    /// Events are carried over, one by one.
    Events,
    /// Conversations are carried over, as they are by now.
    Conversations,
    /// What was carried over is compared, conversation by conversation.
    Comparing,
}

impl CopyProgress {
    /// A word on how far it has come.
    #[must_use]
    pub fn new(stage: CopyStage, done: u64, total: u64) -> Self {
        Self { stage, done, total }
    }
}

/// What a store remembers of being the copy of another one.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct CopyMark {
    /// The identity of the store that it is a copy of; empty if that one had none.
    pub from: String,
    /// The newest event of that store which is in the copy.
    pub from_seq: Seq,
    /// The newest event of the copy itself then. What has a later one was changed since.
    pub to_seq: Seq,
}

impl CopyMark {
    /// The mark of a copy.
    #[must_use]
    pub fn new(from: impl Into<String>, from_seq: Seq, to_seq: Seq) -> Self {
        Self { from: from.into(), from_seq, to_seq }
    }
}
