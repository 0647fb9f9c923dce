//! Waiting for requests from threads that wait.
//!
//! Owns the runtime that the client needs, which has no thread of its own: it works while somebody waits, and several may wait at once.
//! Owns the pauses between tries as well, and how long there are any.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::backend::deadline::Stopwatch;
use crate::error::{Error, ErrorKind, Result};

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

/// Carries futures out.
pub(crate) struct Calls {
    /// Always there until this is dropped.
    runtime: Option<Runtime>,
}

impl Calls {
    pub(crate) fn new() -> Result<Self> {
        let made = Builder::new_current_thread().enable_io().enable_time().build();
        let failed = |error| Error::new(ErrorKind::Io, format!("cannot prepare connections: {error}"));
        Ok(Self { runtime: Some(made.map_err(failed)?) })
    }

    /// Waits for a future; `None` if there is nothing any more that could carry it out.
    pub(crate) fn wait<T: Send>(&self, future: impl Future<Output = T> + Send) -> Option<T> {
        let runtime = self.runtime.as_ref()?;
        if Handle::try_current().is_err() {
            return Some(runtime.block_on(future));
        }
        // A thread that works for a runtime must not wait for another one, so one of its own does.
        std::thread::scope(|scope| scope.spawn(|| runtime.block_on(future)).join().ok())
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
}

impl Drop for Calls {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Unlike the drop of a runtime, this may be done anywhere.
            runtime.shutdown_background();
        }
    }
}
