//! Where the members of a group wait for its outcome.
//!
//! Owns the waiting of those who do not lead. Does not know what a group is.

use std::sync::PoisonError;

use super::commit::{Done, locked};
use super::sync::{Condvar, Mutex};
use crate::error::Result;

/// Where the members of a group wait.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    wait: Mutex<Wait>,
    is_done: Condvar,
}

#[derive(Debug, Default)]
struct Wait {
    outcome: Option<Result<Done>>,
    members: usize,
}

impl Ticket {
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
