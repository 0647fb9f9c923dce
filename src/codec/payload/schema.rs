//! The versions of the encoding of events.
//!
//! Owns which version each change came with.

use crate::model::{Change, RemovalReason};

/// The newest version of this encoding. Each frame's header has the oldest one that has all that is in it, so
/// that older software reads what it can, and refuses the rest instead of misreading it.
pub(crate) const SCHEMA: u16 = 6;

/// The version with which a text can be put behind another.
pub(crate) const SIXTH_SCHEMA: u16 = 6;

/// The version with which a removal has a reason.
pub(crate) const FIFTH_SCHEMA: u16 = 5;

/// The version with which a batch may hold more than a caller may hand in.
pub(crate) const FOURTH_SCHEMA: u16 = 4;

/// The version with which a removal has a time, and versions can be set.
pub(crate) const THIRD_SCHEMA: u16 = 3;

/// The version with which whatever can be changed at all came to be changed in place.
pub(crate) const SECOND_SCHEMA: u16 = 2;

/// The version that the encoding began with.
pub(crate) const FIRST_SCHEMA: u16 = 1;

/// The version of the encoding that a change came with.
pub(crate) fn schema_of(change: &Change) -> u16 {
    match change {
        Change::Create { .. }
        | Change::SetTitle(_)
        | Change::SetMetadata(_)
        | Change::AddMessage(_)
        | Change::EditMessage(_)
        | Change::RemoveMessage(_)
        | Change::AddAction(_)
        | Change::RemoveAction(_)
        | Change::Clear
        | Change::Remove { removed_at: None, reason: RemovalReason::Asked } => FIRST_SCHEMA,
        Change::Reset { .. } | Change::EditAction(_) | Change::SetCreatedAt(_) | Change::SetExtra(_) => {
            SECOND_SCHEMA
        }
        Change::Remove { removed_at: Some(_), reason: RemovalReason::Asked } | Change::SetVersion(_) => {
            THIRD_SCHEMA
        }
        Change::Remove { .. } => FIFTH_SCHEMA,
        Change::AppendText { .. } => SIXTH_SCHEMA,
    }
}

/// Why a payload of this version cannot be read, if it cannot.
pub(crate) fn too_new(schema: u16) -> Option<String> {
    (schema > SCHEMA)
        .then(|| format!("event schema {schema} is newer than this software, which reads up to {SCHEMA}"))
}
