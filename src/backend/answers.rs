//! Errors that every engine answers with.
//!
//! Owns their words, so that they are the same everywhere.

use crate::error::{Error, ErrorKind};

/// What a conversation answers that is not there.
pub(crate) fn no_conversation(id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no conversation {id:?}"))
}

/// What a copy answers whose events have keys that were used already.
pub(crate) fn carried_out_before() -> Error {
    Error::new(ErrorKind::Conflict, "the keys of these events were used before")
}

/// What every call answers once a store has ended.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store was closed")
}

/// What an engine answers that keeps no cursors.
pub(crate) fn no_consumers() -> Error {
    let reason = "this backend keeps no consumers; `log --follow` from the number behind the last one read gives the same events, \
                  or copy the store into a directory, a database or a bucket";
    Error::new(ErrorKind::Unsupported, reason)
}
