//! Reading damaged stores as far as they prove themselves.
//!
//! Owns whether that was asked for, the telling of what could not be shown, and the exit code of a run that showed
//! a damaged store.

use std::sync::atomic::{AtomicBool, Ordering};

use aral_store::{Options, RecoveryReport};

use crate::exit::Exit;
use crate::loss::loss_in_words;
use crate::output::{error, note};

static IS_WANTED: AtomicBool = AtomicBool::new(false);
static IS_DAMAGED: AtomicBool = AtomicBool::new(false);

/// Takes note of what was asked for.
pub(crate) fn choose(is_wanted: bool) {
    IS_WANTED.store(is_wanted, Ordering::Relaxed);
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
