//! Reading damaged stores as far as they prove themselves.
//!
//! Owns whether that was asked for, the telling of what could not be shown, and the exit code of a run that showed
//! a damaged store.

use std::sync::atomic::{AtomicBool, Ordering};

use aral_store::{Options, RecoveryReport};

use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::output::{error, note};
use crate::repair::loss_in_words;

static IS_WANTED: AtomicBool = AtomicBool::new(false);
static IS_DAMAGED: AtomicBool = AtomicBool::new(false);

/// Takes note of what was asked for, and refuses it where it makes no sense.
pub(crate) fn choose(cli: &Cli) -> Result<(), Failure> {
    if !cli.salvage {
        return Ok(());
    }
    let refused = if let Command::Log(args) = &cli.command {
        args.follow.then_some("--salvage shows what there is, so that it cannot be followed")
    } else if matches!(cli.command, Command::Verify | Command::Repair(_)) {
        Some("verify and repair go on behind damage without --salvage")
    } else {
        let is_reading =
            matches!(cli.command, Command::Ls(_) | Command::Show(_) | Command::Export(_) | Command::Stats);
        (!is_reading)
            .then_some("--salvage is for the commands that only read: ls, show, log, export and stats")
    };
    IS_WANTED.store(true, Ordering::Relaxed);
    refused.map_or(Ok(()), |text| Err(Failure::Usage(text.to_owned())))
}

/// The options of a store that is opened for reading.
pub(crate) fn for_reading(options: Options) -> Options {
    if IS_WANTED.load(Ordering::Relaxed) { options.salvage() } else { options.read_only() }
}

/// Tells what is not shown of a damaged store, a line each.
pub(crate) fn tell(report: &RecoveryReport) {
    let Some(salvage) = &report.salvage else { return };
    IS_DAMAGED.store(true, Ordering::Relaxed);
    for loss in &salvage.lost {
        error(&loss_in_words(loss));
    }
    for text in &salvage.notes {
        note(text);
    }
    note("the store is damaged; this is what proves itself, and what `aral-store repair` would save");
}

/// What a run ends with: who reads a damaged store must not take it for a sound one.
pub(crate) fn exit(exit: Exit) -> Exit {
    if exit == Exit::Done && IS_DAMAGED.load(Ordering::Relaxed) { Exit::Corrupt } else { exit }
}
