//! Pauses between two tries of a request.
//!
//! Owns how long they are, and how long there are any.

use std::cell::Cell;
use std::time::Duration;

use crate::backend::deadline::Stopwatch;

/// How long the first pause is, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(3));

/// How often a request is sent again: for half a minute where each try fails at once.
const TRIES: u32 = 14;

/// How long after the first failure a request is sent again, however long each takes to fail.
const PATIENCE: Duration = Duration::from_secs(30);

thread_local! {
    /// When the request that this thread tries failed for the first time.
    static FAILED: Cell<Option<Stopwatch>> = const { Cell::new(None) };
}

/// Makes a pause before the next try, after so many; false if there have been enough.
#[expect(clippy::disallowed_methods, reason = "this module is where a caller waits for time to pass")]
pub(crate) fn pause(tries: u32) -> bool {
    if tries == 0 {
        FAILED.set(Some(Stopwatch::start()));
    }
    if tries >= TRIES || FAILED.get().is_some_and(|failed| failed.elapsed() >= PATIENCE) {
        return false;
    }
    let longest = PAUSES.0.saturating_mul(1 << tries.min(10)).min(PAUSES.1);
    // Those who were refused together do not come back together.
    let [share, ..] = crate::clock::random_id();
    std::thread::sleep(longest.mul_f64(0.5 + f64::from(share) / 512.0));
    true
}
