//! How long something takes, and until when somebody waits.
//!
//! Owns the looking at the clock for that.

use std::time::{Duration, Instant};

/// How long something takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

#[expect(clippy::disallowed_methods, reason = "this module is where a caller waits for time to pass")]
impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Until when somebody waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    since: Stopwatch,
    patience: Duration,
}

impl Deadline {
    pub(crate) fn after(patience: Duration) -> Self {
        Self { since: Stopwatch::start(), patience }
    }

    /// How long is left.
    pub(crate) fn left(&self) -> Duration {
        self.patience.saturating_sub(self.since.elapsed())
    }
}
