//! Waiting for a client's futures from threads that wait.
//!
//! Owns the runtime that such a client needs, which has no thread of its own: it works while somebody waits, and several may wait at once.

use std::future::Future;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Error, ErrorKind, Result};

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

    /// Lets a future be worked on whenever somebody waits.
    #[cfg(feature = "postgres")]
    pub(crate) fn keep(&self, future: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            drop(runtime.spawn(future));
        }
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
}

impl Drop for Calls {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Unlike the drop of a runtime, this may be done anywhere.
            runtime.shutdown_background();
        }
    }
}
