//! How far something that takes long has come, for a person at a terminal.
//!
//! Owns the one bar there is. It is drawn on standard error, if that is a terminal, and only once half a second
//! has gone by; it is taken away before anything else is said. What moves it on is the work itself: nothing
//! here waits or asks.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long something may take without being watched.
const PATIENCE: Duration = Duration::from_millis(500);

static BAR: Mutex<Option<(ProgressBar, Unit)>> = Mutex::new(None);

fn bar() -> MutexGuard<'static, Option<(ProgressBar, Unit)>> {
    BAR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether anybody would see a bar.
pub(crate) fn is_seen() -> bool {
    io::stderr().is_terminal()
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    /// Bytes of the store's own files.
    StoreBytes,
    /// Bytes of what comes in.
    InputBytes,
    Conversations,
    Events,
    /// Files of the store that have become durable.
    Files,
}

/// Something under way; its bar goes with it.
#[must_use]
pub(crate) struct Work(());

impl Work {
    /// Begins something of this size, if that is known. There is one at a time: a second one takes the first
    /// one's place.
    pub(crate) fn begin(what: &'static str, total: Option<u64>, unit: Unit) -> Self {
        if is_seen() {
            let fresh =
                ProgressBar::with_draw_target(total.filter(|total| *total > 0), ProgressDrawTarget::hidden());
            *bar() = Some((fresh.with_style(style(total, unit)).with_prefix(what), unit));
        }
        Self(())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some((bar, _)) = bar().take() {
            bar.finish_and_clear();
        }
    }
}

/// Moves the bar on, if there is one that counts this.
pub(crate) fn advance(unit: Unit, by: u64) {
    let guard = bar();
    let Some((bar, _)) = guard.as_ref().filter(|(_, counted)| *counted == unit) else { return };
    bar.inc(by);
    if bar.is_hidden() && bar.elapsed() >= PATIENCE {
        bar.set_draw_target(ProgressDrawTarget::stderr());
    }
}

/// Says something while no bar is in the way.
pub(crate) fn aside(say: impl FnOnce()) {
    match &*bar() {
        Some((bar, _)) => bar.suspend(say),
        None => say(),
    }
}

fn style(total: Option<u64>, unit: Unit) -> ProgressStyle {
    let template = match (unit, total.filter(|total| *total > 0)) {
        (Unit::StoreBytes | Unit::InputBytes, Some(_)) => {
            "{prefix} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left"
        }
        (Unit::StoreBytes | Unit::InputBytes, None) => "{prefix} {spinner} {bytes} {bytes_per_sec}",
        (Unit::Conversations | Unit::Events | Unit::Files, Some(_)) => {
            "{prefix} {wide_bar} {pos}/{len} {per_sec}, {eta} left"
        }
        (Unit::Conversations | Unit::Events | Unit::Files, None) => "{prefix} {spinner} {pos} {per_sec}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_one() {
        for unit in [Unit::InputBytes, Unit::Conversations] {
            for total in [None, Some(0), Some(7)] {
                let bar = ProgressBar::hidden().with_style(style(total, unit));
                bar.inc(1);
            }
        }
        for template in
            ["{prefix} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left", "{spinner} {per_sec}"]
        {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
