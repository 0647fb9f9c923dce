//! Waiting for another writer to end.
//!
//! Owns the order in which those who wait get the store. Whoever is ready to wait goes through a turnstile first, a
//! lock of its own: the one that has it is the next to get the store, and one that comes later cannot overtake it,
//! however often the store becomes free for a moment. Files of locks are tried again and again, because that is all
//! that every file system offers; nothing is held meanwhile that anybody else in the process needs.

use std::time::{Duration, Instant};

use crate::clock::random_id;
use crate::error::{Error, ErrorKind, Result};
use crate::log::claim::{Claim, Now};
use crate::log::inventory::{LOCK, TURN};
use crate::snapshot::layout::Layout;
use crate::vfs::Vfs;

/// How long to wait before the second try, and at most between two.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(8));

/// Takes the lock, waiting for whoever has it as long as the patience lasts.
pub(super) fn claim(vfs: &dyn Vfs, layout: &Layout, patience: Duration, now: &Now) -> Result<Claim> {
    let log = layout.log();
    let take = || Claim::take(vfs, &log.join(LOCK), random_id(), now);
    let end = Deadline::after(patience);
    if patience.is_zero() {
        // Who does not wait has no place among those who do.
        return take()?.ok_or_else(|| held(layout, patience));
    }
    let path = log.join(TURN);
    let turn = end.wait(|| vfs.try_lock(&path).map_err(|e| Error::io("lock", &path, e)))?;
    let _turn = turn.ok_or_else(|| held(layout, patience))?;
    end.wait(take)?.ok_or_else(|| held(layout, patience))
}

fn held(layout: &Layout, patience: Duration) -> Error {
    let waited = if patience.is_zero() {
        "nobody waited for it to end".to_owned()
    } else {
        format!("it has not ended within {patience:?}")
    };
    let reason = format!(
        "another process has the store open for writing, and {waited}; wait longer, or open it for reading, \
         which is possible meanwhile"
    );
    Error::new(ErrorKind::Locked, reason).at(layout.root(), None)
}

/// Until when somebody waits.
struct Deadline {
    began: Instant,
    patience: Duration,
}

#[expect(clippy::disallowed_methods, reason = "this module is where a caller waits for time to pass")]
impl Deadline {
    fn after(patience: Duration) -> Self {
        Self { began: Instant::now(), patience }
    }

    /// Tries until there is something, or until it is too late.
    fn wait<T>(&self, mut attempt: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
        let mut pause = PAUSES.0;
        loop {
            let found = attempt()?;
            let left = self.patience.saturating_sub(self.began.elapsed());
            if found.is_some() || left.is_zero() {
                return Ok(found);
            }
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}
