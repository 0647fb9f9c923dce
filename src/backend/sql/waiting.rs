//! Waiting for a database, and for others who use it.
//!
//! Owns how long one waits at least, and the pauses between two tries.

use std::time::Duration;

use crate::backend::deadline::Deadline;
use crate::error::Result;

/// How long a caller waits for others at least: who shares a database with many must not fail because one is slow.
const LEAST: Duration = Duration::from_secs(30);

/// How long to wait before the second try, and at most between two.
const PAUSES: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(5));

/// How long others are waited for, if the settings say so much.
pub(crate) fn patience(wait: Duration) -> Duration {
    wait.max(LEAST)
}

/// Waits for time to pass.
#[expect(clippy::disallowed_methods, reason = "this module is where a caller waits for time to pass")]
pub(crate) fn rest(limit: Duration) {
    std::thread::sleep(limit);
}

impl Deadline {
    /// Makes a pause before the next try, after so many; false if it is too late for one.
    pub(crate) fn pause(&self, tries: u32) -> bool {
        let left = self.left();
        if left.is_zero() {
            return false;
        }
        let pause = PAUSES.0.saturating_mul(1 << tries.min(10)).min(PAUSES.1);
        rest(pause.min(left));
        true
    }

    /// Tries until there is something, or until it is too late.
    pub(crate) fn wait<T>(&self, mut attempt: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
        for tries in 0.. {
            let found = attempt()?;
            if found.is_some() || !self.pause(tries) {
                return Ok(found);
            }
        }
        Ok(None)
    }
}
