//! Waiting for a server from a thread that waits.
//!
//! Owns the deadline of each wait: no answer is waited for without one.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use crate::backend::runtime;
use crate::error::Result;

/// Carries futures out, one wait after the other, none of them without an end.
pub(super) struct Calls(runtime::Calls);

impl Calls {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(runtime::Calls::new()?))
    }

    /// Lets a future be worked on whenever somebody waits.
    pub(super) fn keep(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.0.keep(future);
    }

    /// Waits for a future for at most so long; `None` if that was not long enough.
    pub(super) fn wait<T: Send>(&self, limit: Duration, future: impl Future<Output = T> + Send) -> Option<T> {
        self.0.wait(async { tokio::time::timeout(limit, future).await.ok() }).flatten()
    }
}

/// Carries futures out together. Each is begun before the next one, so that they send in their order.
pub(super) async fn together<T, F: Future<Output = T>>(futures: Vec<F>) -> Vec<T> {
    let mut running: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<T>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut is_pending = false;
        for (future, slot) in running.iter_mut().zip(&mut done) {
            if slot.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(value) => *slot = Some(value),
                    Poll::Pending => is_pending = true,
                }
            }
        }
        if is_pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// Waits for a future, behind which another one is begun that nobody waits for.
pub(super) async fn followed_by<T>(first: impl Future<Output = T>, second: impl Future) -> T {
    let (mut first, mut second, mut is_begun) = (pin!(first), pin!(second), false);
    std::future::poll_fn(|context| {
        // Order: the first is sent before the second.
        let done = first.as_mut().poll(context);
        if !std::mem::replace(&mut is_begun, true) {
            drop(second.as_mut().poll(context));
        }
        done
    })
    .await
}

/// What a future says at once; `None` if it has to be waited for.
pub(super) async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_has_an_end_also_within_another_runtime() {
        let calls = Calls::new().unwrap();
        let never = || std::future::pending::<()>();
        assert_eq!(calls.wait(Duration::from_millis(1), never()), None);
        assert_eq!(calls.wait(Duration::from_secs(60), async { 7 }), Some(7));
        let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let within = other.block_on(async {
            let calls = Calls::new().unwrap();
            (calls.wait(Duration::from_millis(1), never()), calls.wait(Duration::from_secs(60), async { 7 }))
        });
        assert_eq!(within, (None, Some(7)));
    }
}
