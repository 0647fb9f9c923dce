//! Why a batch becomes no events.

use super::key_table::KeyRecord;
use crate::error::{Error, ErrorKind};

/// Why there is no event.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// What was seen is no longer so: look again.
    Stale,
    /// It was carried out before, as keys or what is there tell: these are the receipts.
    Known(Vec<KeyRecord>),
    Impossible(Error),
}

pub(super) fn impossible(kind: ErrorKind, reason: impl Into<String>) -> Refusal {
    Refusal::Impossible(Error::new(kind, reason))
}
