//! Where the members of a group wait for its outcome.
//!
//! Owns the waiting of those who do not lead. Does not know what a group is.

use std::sync::PoisonError;

use super::sync::{Condvar, Mutex, MutexGuard};
use crate::error::Result;

/// A group's outcome: whether it is durable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub(super) is_durable: bool,
}

/// Where the members of a group wait.
#[derive(Debug, Default)]
pub(super) struct Waiter {
    wait: Mutex<Wait>,
    is_done: Condvar,
}

#[derive(Debug, Default)]
struct Wait {
    outcome: Option<Result<Done>>,
    members: usize,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while the lock was held has ended the log already, through the leader's guard; what the lock
    // protects is read by nobody who would act on it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waiter {
    pub(super) fn finish(&self, outcome: Result<Done>) {
        let mut wait = locked(&self.wait);
        wait.outcome = Some(outcome);
        let is_awaited = wait.members > 0;
        drop(wait);
        if is_awaited {
            self.is_done.notify_all();
        }
    }

    pub(super) fn wait(&self) -> Result<Done> {
        let mut wait = locked(&self.wait);
        loop {
            if let Some(outcome) = &wait.outcome {
                return outcome.clone();
            }
            wait.members += 1;
            wait = self.is_done.wait(wait).unwrap_or_else(PoisonError::into_inner);
            wait.members -= 1;
        }
    }
}
