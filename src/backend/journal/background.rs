//! What keeps documents beside the callers.
//!
//! Owns the thread, which lives as long as a store that is open for writing, and what became of its last attempt.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::projector::Projector;
use crate::backend::locked::locked;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Seq;

/// How long it waits before it tries again what has failed.
const AGAIN: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Orders {
    is_wanted: bool,
    has_ended: bool,
    /// Why the documents could not be kept, when that was tried last.
    trouble: Option<Error>,
}

#[derive(Debug)]
struct Shared {
    projector: Arc<Projector>,
    orders: Mutex<Orders>,
    changed: Condvar,
}

/// The thread. It ends with the store, or when this goes.
#[derive(Debug)]
pub(super) struct Background(Arc<Shared>);

impl Background {
    /// Begins, with what others may have left.
    pub(super) fn begin(projector: &Arc<Projector>) -> Self {
        let orders = Mutex::new(Orders { is_wanted: true, ..Orders::default() });
        let shared = Arc::new(Shared { projector: Arc::clone(projector), orders, changed: Condvar::new() });
        let own = Arc::clone(&shared);
        let begun = std::thread::Builder::new().name("aral-documents".to_owned()).spawn(move || own.run());
        if let Err(error) = begun {
            // Whoever syncs, compacts or closes keeps them all the same.
            let reason = format!("no thread can be had to keep the documents: {error}");
            locked(&shared.orders).trouble = Some(Error::new(ErrorKind::Io, reason));
        }
        Self(shared)
    }

    /// Something was appended.
    pub(super) fn tell(&self) {
        let mut orders = locked(&self.0.orders);
        if !orders.is_wanted {
            orders.is_wanted = true;
            self.0.changed.notify_all();
        }
    }

    /// Brings the documents up to date at once, in this thread.
    pub(super) fn catch_up(&self) -> Result<Seq> {
        self.0.attempt()
    }

    /// Ends the thread, once what it is at is done.
    pub(super) fn end(&self) {
        locked(&self.0.orders).has_ended = true;
        self.0.changed.notify_all();
    }

    /// Why the documents are not up to date, if they could not be brought there.
    pub(super) fn trouble(&self) -> Option<Error> {
        locked(&self.0.orders).trouble.clone()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn attempt(&self) -> Result<Seq> {
        let came = self.projector.catch_up();
        locked(&self.orders).trouble = came.as_ref().err().cloned();
        came
    }

    fn run(&self) {
        let mut orders = locked(&self.orders);
        while !orders.has_ended {
            if orders.is_wanted {
                orders.is_wanted = false;
                drop(orders);
                // What failed is kept for whoever asks, and tried again.
                self.attempt().ok();
                orders = locked(&self.orders);
            } else if orders.trouble.is_some() {
                let waited = self.changed.wait_timeout(orders, AGAIN);
                orders = waited.unwrap_or_else(PoisonError::into_inner).0;
                orders.is_wanted = true;
            } else {
                orders = self.changed.wait(orders).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}
