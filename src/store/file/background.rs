//! What runs beside the callers: the sync of the interval policy, and compaction.
//!
//! Owns the threads that live as long as a store. Each holds the store weakly and ends when it goes.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::engine::{Engine, locked};
use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::Entry;
use crate::store::options::SyncPolicy;

/// How many small segments a closing leaves at most. Each is a file that an opening opens, in some twenty
/// microseconds; a compaction takes some milliseconds, for which one opening in so many pays.
const SMALL_SEGMENTS: usize = 64;

/// How the threads are told what to do.
#[derive(Debug, Default)]
pub(crate) struct Background {
    orders: Mutex<Orders>,
    has_orders: Condvar,
}

#[derive(Debug, Default)]
struct Orders {
    stops: bool,
    compacts: bool,
}

impl Background {
    /// Tells the threads to end. They may take a moment; they do nothing more to a closed store.
    pub(super) fn stop(&self) {
        locked(&self.orders).stops = true;
        self.has_orders.notify_all();
    }

    fn ask_for_compaction(&self) {
        let mut orders = locked(&self.orders);
        if !orders.compacts {
            orders.compacts = true;
            self.has_orders.notify_all();
        }
    }
}

/// Starts the threads that the options call for.
#[expect(clippy::disallowed_methods, reason = "this module is where threads begin")]
pub(super) fn start(engine: &Arc<Engine>) {
    if let SyncPolicy::Interval(interval) = engine.options.sync {
        let (engine, orders) = (Arc::downgrade(engine), Arc::clone(&engine.background));
        std::thread::spawn(move || {
            sync_at_intervals(&engine, &orders, interval.max(Duration::from_millis(1)));
        });
    }
    if engine.options.compact_above.is_some() {
        let (engine, orders) = (Arc::downgrade(engine), Arc::clone(&engine.background));
        std::thread::spawn(move || compact_when_asked(&engine, &orders));
    }
}

/// Waits on the orders, and not on the store: a thread that held the store while it waits would keep it open
/// after its last handle is gone.
fn sync_at_intervals(engine: &Weak<Engine>, background: &Background, interval: Duration) {
    loop {
        let orders = locked(&background.orders);
        if orders.stops {
            return;
        }
        let waited = background.has_orders.wait_timeout(orders, interval);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        let Some(engine) = engine.upgrade() else { return };
        // A failed sync ends the log, and every caller hears of it. Any other failure is that of the group
        // which was under way, and its members hear of it; the next interval comes all the same.
        engine.log.flush().ok();
        if engine.is_closed() || engine.log.has_ended() {
            return;
        }
    }
}

fn compact_when_asked(engine: &Weak<Engine>, background: &Background) {
    loop {
        let mut orders = locked(&background.orders);
        while !orders.compacts && !orders.stops {
            orders = background.has_orders.wait(orders).unwrap_or_else(PoisonError::into_inner);
        }
        if orders.stops {
            return;
        }
        drop(orders);
        let Some(engine) = engine.upgrade() else { return };
        let shown = engine.log.client();
        let grown = shown.log_bytes.load(Ordering::Relaxed);
        if !engine.is_closed() {
            // The error is kept for `stats`, and the log that could not be compacted is kept too. What keeps
            // it from being compacted seldom passes by itself, so the next try waits until it has doubled.
            let next = match engine.log_outgrows_snapshot() {
                Some(floor) => floor,
                None if engine.run_compaction().is_err() => grown.saturating_mul(2),
                None => 0,
            };
            shown.compaction_floor.store(next, Ordering::Relaxed);
        }
        locked(&background.orders).compacts = false;
    }
}

impl Engine {
    /// Asks for a compaction if the log has grown enough.
    pub(super) fn wake_compaction(&self) {
        let grown = self.log.client().log_bytes.load(Ordering::Relaxed);
        let floor = self.log.client().compaction_floor.load(Ordering::Relaxed);
        if self.options.compact_above.is_some_and(|above| grown > above.max(floor)) {
            self.background.ask_for_compaction();
        }
    }

    /// Whether short openings have left so many segments that the next ones would take long for it.
    pub(super) fn has_many_small_segments(&self) -> bool {
        if self.options.compact_above.is_none() || self.log.has_ended() {
            return false;
        }
        let first = self.library().index().checkpoint().head().first_segment;
        let own = self.library().segments().iter().filter(|s| s.header.number >= first).count();
        let bytes = self.log.client().log_bytes.load(Ordering::Relaxed);
        own > SMALL_SEGMENTS && bytes / to_u64(own) < self.options.first_segment_bytes
    }

    /// How long the log may grow before it is longer than the snapshot; `None` if it is by now.
    fn log_outgrows_snapshot(&self) -> Option<u64> {
        let log = self.log.client().log_bytes.load(Ordering::Relaxed);
        let checkpoint = self.library().index().checkpoint().clone();
        let snapshot: u64 = checkpoint.entries().map(|entry: Entry<'_>| entry.file.len).sum();
        let limit = snapshot.max(self.options.compact_above.unwrap_or(u64::MAX));
        (log <= limit).then_some(limit)
    }
}
