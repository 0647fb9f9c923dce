//! Ids and times that a test knows beforehand.
//!
//! Owns the clock and the source of ids that are put into a store under test. Both are functions of the
//! number of the operation, so that an oracle can say what the store will make up, whatever happened before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aral_store::{Clock, IdSource, Timestamp};

/// 2026-01-01T00:00:00Z, so that made-up times look like times.
const START_MICROS: i64 = 1_767_225_600_000_000;

/// A clock and a source of ids; clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    operation: Arc<AtomicU64>,
    made: Arc<AtomicU64>,
}

impl Sources {
    /// Everything that is made up from now on is made up for this operation.
    pub(crate) fn begin(&self, operation: u64) {
        self.operation.store(operation, Ordering::SeqCst);
        self.made.store(0, Ordering::SeqCst);
    }
}

/// The `n`-th id that is made up for an operation, counted from 0.
pub(crate) fn made_id(operation: u64, n: u64) -> String {
    format!("id-{operation}-{n}")
}

fn micros(operation: u64) -> i64 {
    START_MICROS + i64::try_from(operation).unwrap_or(0) * 1_000_001
}

/// The time at which an operation takes place.
pub(crate) fn time(operation: u64) -> Timestamp {
    Timestamp::from_unix_micros(micros(operation)).unwrap_or(Timestamp::EPOCH)
}

impl Clock for Sources {
    fn now_micros(&self) -> i64 {
        micros(self.operation.load(Ordering::SeqCst))
    }
}

impl IdSource for Sources {
    fn new_id(&self) -> String {
        made_id(self.operation.load(Ordering::SeqCst), self.made.fetch_add(1, Ordering::SeqCst))
    }
}
