//! How long a command waits for another writer.
//!
//! Owns the reading of `--wait` and `--no-wait`, and what is waited for without them.

use std::sync::OnceLock;
use std::time::Duration;

use aral_store::Options;
use clap::Args;

/// What every command takes that may have to wait.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Patience {
    #[arg(long, global = true, value_name = "TIME", default_value = "30s", value_parser = duration)]
    #[arg(help = "How long a command that writes waits for another writer to end: 500ms, 30s, 2m")]
    wait: Duration,
    /// Do not wait for another writer: end with 6 at once
    #[arg(long, global = true, conflicts_with = "wait")]
    no_wait: bool,
}

static CHOSEN: OnceLock<Duration> = OnceLock::new();

/// Takes note of what was asked for.
pub(crate) fn choose(patience: Patience) {
    CHOSEN.get_or_init(|| if patience.no_wait { Duration::ZERO } else { patience.wait });
}

/// The options of a store that is opened for writing.
pub(crate) fn for_writing(options: Options) -> Options {
    options.wait(CHOSEN.get().copied().unwrap_or_default())
}

/// Reads a duration such as 500ms, 30s, 2m or 1h.
fn duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    in_units(text, &units).ok_or_else(|| "give a time such as 500ms, 30s, 2m or 1h".to_owned())
}

/// Reads a number with one of these units behind it, each with its milliseconds.
pub(crate) fn in_units(text: &str, units: &[(&str, u64)]) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, millis) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*millis).map(Duration::from_millis)
}
