//! Looking at a directory that somebody else may be writing to.
//!
//! Owns the retries: what was so only for a moment is no damage.

use crate::error::{ErrorKind, Result};
use crate::model::VerifyReport;

/// How often a look is taken again before an error is believed.
const ATTEMPTS: usize = 10;

/// Looks until two looks agree: a writer beside us removes segments after a compaction and writes the tail
/// while we read it, and what was so only for a moment is no damage.
pub(super) fn steady<T>(look: impl Fn() -> Result<T>) -> Result<T> {
    let mut last: Option<String> = None;
    let mut result = look();
    for _ in 0..ATTEMPTS {
        let Err(error) = &result else { break };
        if !matches!(
            error.kind(),
            ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Io | ErrorKind::Conflict
        ) {
            break;
        }
        let text = error.to_string();
        // A conflict with a compaction says that another look is needed, however often.
        if last.as_ref() == Some(&text) && error.kind() != ErrorKind::Conflict {
            break;
        }
        last = Some(text);
        result = look();
    }
    result
}

/// Verifies until two verdicts agree, for the same reason.
pub(super) fn steady_report(look: impl Fn() -> Result<VerifyReport>) -> Result<VerifyReport> {
    let mut report = steady(&look)?;
    for _ in 0..ATTEMPTS {
        if report.is_sound() {
            break;
        }
        let again = steady(&look)?;
        let is_confirmed = again.damaged == report.damaged;
        report = again;
        if is_confirmed {
            break;
        }
    }
    Ok(report)
}
