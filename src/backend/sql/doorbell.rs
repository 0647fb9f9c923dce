//! Waiting for what others write.
//!
//! Owns the one line on which a database says that something was written, shared by all followers of an engine: whoever waits while nobody
//! does listens for the others. Where a database says nothing, or the line is lost, polling stands in.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::connection::{Connector, Wake};
use super::waiting::rest;
use crate::backend::deadline::Deadline;
use crate::backend::locked::locked;

/// How long to wait between two looks where nothing tells that there is more.
const POLL: Duration = Duration::from_millis(200);

/// How long to wait before another line is asked for, where one was refused.
const REFUSED: Duration = Duration::from_secs(5);

/// Tells the followers of an engine when to look.
pub(super) struct Doorbell {
    connector: Arc<dyn Connector>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    rings: u64,
    is_listened_to: bool,
    line: Line,
}

/// The line to the database.
#[derive(Default)]
enum Line {
    #[default]
    None,
    Open(Box<dyn Wake>),
    /// Not to be asked for before that.
    Refused(Deadline),
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorbell").finish_non_exhaustive()
    }
}

impl Doorbell {
    pub(super) fn new(connector: Arc<dyn Connector>) -> Self {
        Self { connector, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits until there may be more than when it rang so many times, for at most so long, and says whether there may be.
    pub(super) fn wait(&self, seen: &mut u64, limit: Duration) -> bool {
        let deadline = Deadline::after(limit);
        let mut state = locked(&self.state);
        loop {
            if state.rings != *seen {
                *seen = state.rings;
                return true;
            }
            let left = deadline.left();
            if left.is_zero() {
                return false;
            }
            if state.is_listened_to {
                let waited = self.changed.wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            state.is_listened_to = true;
            let line = std::mem::take(&mut state.line);
            drop(state);
            let (line, rings) = self.listen(line, left);
            state = locked(&self.state);
            state.is_listened_to = false;
            state.line = line;
            state.rings += u64::from(rings);
            // Order: also if it did not ring. Whoever waits longer than this one listens next.
            self.changed.notify_all();
        }
    }

    /// Listens for a while, and says whether somebody should look.
    fn listen(&self, line: Line, limit: Duration) -> (Line, bool) {
        match line {
            Line::Open(mut wake) => match wake.wait(limit) {
                Ok(rings) => (Line::Open(wake), rings),
                // What was said while nobody listened is unknown.
                Err(_) => (Line::None, true),
            },
            Line::Refused(until) if !until.left().is_zero() => {
                rest(limit.min(POLL));
                (Line::Refused(until), true)
            }
            Line::None | Line::Refused(_) => match self.connector.listen() {
                // What was written before the line was open rings on none.
                Ok(Some(wake)) => (Line::Open(wake), true),
                Ok(None) | Err(_) => {
                    rest(limit.min(POLL));
                    (Line::Refused(Deadline::after(REFUSED)), true)
                }
            },
        }
    }

    /// Hangs up.
    pub(super) fn end(&self) {
        locked(&self.state).line = Line::None;
    }
}
