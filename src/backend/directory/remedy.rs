//! What can be done about damage.

use crate::error::{Error, ErrorKind};
use crate::snapshot::layout::Layout;

/// What can be done about a damaged log.
const OF_A_DAMAGED_LOG: &str =
    "`aral-store repair` saves what proves itself, and a salvage (`--salvage`, `Options::salvage`) shows it";

/// An error about a store's log, with what can be done about it. Other damage is one conversation's.
pub(super) fn of_the_log(layout: &Layout, error: Error) -> Error {
    let is_of_the_log = error.place().is_some_and(|place| place.path.starts_with(layout.log()));
    if error.kind() == ErrorKind::Corrupt && is_of_the_log {
        return error.with_remedy(OF_A_DAMAGED_LOG);
    }
    error
}
