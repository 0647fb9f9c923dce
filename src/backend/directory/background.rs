//! What runs beside the callers: the sync of the interval policy, and compaction.
//!
//! Owns the threads that live as long as a store. Each holds the store weakly and ends when it goes.

use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::backend::locked::locked;
use crate::backend::settings::{Settings, SyncPolicy};

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

    pub(super) fn ask_for_compaction(&self) {
        let mut orders = locked(&self.orders);
        if !orders.compacts {
            orders.compacts = true;
            self.has_orders.notify_all();
        }
    }
}

/// What is done in the background for a store.
pub(super) trait Tended: Send + Sync + 'static {
    /// Syncs what the interval policy has left unsynced; `false` if there will be nothing more to sync.
    fn sync_now(&self) -> bool;

    /// Compacts, if the log has outgrown the files.
    fn compact_if_due(&self);
}

/// Starts the threads that these settings call for.
#[expect(clippy::disallowed_methods, reason = "this module is where threads begin")]
pub(super) fn start(store: &Arc<impl Tended>, background: &Arc<Background>, settings: &Settings) {
    if let SyncPolicy::Interval(interval) = settings.sync {
        let (store, orders) = (Arc::downgrade(store), Arc::clone(background));
        std::thread::spawn(move || {
            sync_at_intervals(&store, &orders, interval.max(Duration::from_millis(1)));
        });
    }
    if settings.compact_above.is_some() {
        let (store, orders) = (Arc::downgrade(store), Arc::clone(background));
        std::thread::spawn(move || compact_when_asked(&store, &orders));
    }
}

/// Waits on the orders, and not on the store: a thread that held the store while it waits would keep it open
/// after its last handle is gone.
fn sync_at_intervals(store: &Weak<impl Tended>, background: &Background, interval: Duration) {
    loop {
        let orders = locked(&background.orders);
        if orders.stops {
            return;
        }
        let waited = background.has_orders.wait_timeout(orders, interval);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        let Some(store) = store.upgrade() else { return };
        if !store.sync_now() {
            return;
        }
    }
}

fn compact_when_asked(store: &Weak<impl Tended>, background: &Background) {
    loop {
        let mut orders = locked(&background.orders);
        while !orders.compacts && !orders.stops {
            orders = background.has_orders.wait(orders).unwrap_or_else(PoisonError::into_inner);
        }
        if orders.stops {
            return;
        }
        drop(orders);
        let Some(store) = store.upgrade() else { return };
        store.compact_if_due();
        locked(&background.orders).compacts = false;
    }
}
