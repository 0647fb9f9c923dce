//! Seeing what was appended before a call began.
//!
//! Owns the sharing of one look at the bucket between those who come at the same time: everybody needs one that begins after
//! the own call, and nobody more than that.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::backend::locked::locked;
use crate::error::Result;

#[derive(Debug, Default)]
struct Rounds {
    begun: u64,
    ended: u64,
    is_running: bool,
}

/// Looks at the bucket, one after the other.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    rounds: Mutex<Rounds>,
    changed: Condvar,
}

impl Freshness {
    /// Returns once a look has ended that began after this call; `look` is called by one of those who wait for it.
    pub(super) fn await_with(&self, look: impl Fn() -> Result<()>) -> Result<()> {
        let mut rounds = locked(&self.rounds);
        let wanted = rounds.begun + 1;
        loop {
            if rounds.ended >= wanted {
                return Ok(());
            }
            if rounds.is_running {
                rounds = self.changed.wait(rounds).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            rounds.begun += 1;
            rounds.is_running = true;
            let own = rounds.begun;
            drop(rounds);
            let ending = Ending(self);
            let looked = look();
            drop(ending);
            rounds = locked(&self.rounds);
            match looked {
                Ok(()) => rounds.ended = rounds.ended.max(own),
                // Those who wait look for themselves: theirs may succeed.
                Err(error) => return Err(error),
            }
            self.changed.notify_all();
        }
    }
}

/// Lets the next look begin, whatever became of this one.
struct Ending<'f>(&'f Freshness);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        locked(&self.0.rounds).is_running = false;
        self.0.changed.notify_all();
    }
}
