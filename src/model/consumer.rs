//! Consumers: readers of the log whose place in it is kept by name.

use super::Seq;

/// Where a consumer begins that is new, or that is put somewhere else.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Begin {
    /// With the oldest event that the log still has.
    #[default]
    Start,
    /// With what is appended from now on.
    Now,
    /// With the event that has this number.
    At(Seq),
}

/// How far a consumer has come.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ConsumerStatus {
    /// Its name.
    pub name: String,
    /// It has acknowledged every event up to this one.
    pub acknowledged: Seq,
    /// How many events of the store it has not acknowledged yet.
    pub lag: u64,
    /// Those of them that are gone: more was unread than is kept for consumers.
    pub missed: Option<(Seq, Seq)>,
    /// Who reads as this consumer at the moment, where that can be told.
    pub holder: Option<String>,
    /// Why nobody can say how far it has come, if that is so; the other fields say nothing then.
    pub error: Option<String>,
}

/// Up to where a consumer has acknowledged, as it is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ConsumerCursor {
    /// The newest event that is acknowledged; every one before it is, too.
    pub acknowledged: Seq,
    /// By what this event is known again: the version that its encoding came with, and its checksum. None if that was not known.
    pub event: Option<(u16, u32)>,
}

impl ConsumerCursor {
    /// A cursor.
    #[must_use]
    pub fn new(acknowledged: Seq, event: Option<(u16, u32)>) -> Self {
        Self { acknowledged, event }
    }
}

/// The longest name that a consumer may have, in bytes.
pub const MAX_CONSUMER_NAME: usize = 64;

/// Whether a consumer can have this name: small letters, digits, `_` and `-`, a letter or digit first.
pub(crate) fn is_consumer_name(name: &str) -> bool {
    let is_inner =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    begins && name.len() <= MAX_CONSUMER_NAME && name.bytes().all(is_inner)
}
