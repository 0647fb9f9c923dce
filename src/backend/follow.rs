//! Reading the log as it grows.
//!
//! Owns the handle that callers pull on; where the events come from is the backend's.

use std::fmt;
use std::time::Duration;

use crate::error::Result;
use crate::model::Logged;

/// Reads a store's events in order, also those that are appended later.
///
/// Comes from [`MessageStore::follow`](crate::MessageStore::follow). It takes no lock and stands in no
/// writer's way. A follower of a store that was open for writing and has been closed sees nothing more.
pub struct Follower {
    source: Box<dyn FnMut() -> Result<Option<Logged>> + Send>,
    wait: Box<dyn FnMut(Duration) -> bool + Send>,
}

/// How long to wait between two looks where nothing tells that there is more.
const POLL: Duration = Duration::from_millis(200);

impl Follower {
    /// A follower of whatever gives the next thing in the log, or `None` while there is nothing more.
    #[must_use]
    pub fn new(source: impl FnMut() -> Result<Option<Logged>> + Send + 'static) -> Self {
        Self { source: Box::new(source), wait: Box::new(poll) }
    }

    /// The same with another way to wait.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn waiting_by(self, wait: impl FnMut(Duration) -> bool + Send + 'static) -> Self {
        Self { wait: Box::new(wait), ..self }
    }

    /// What comes next; `None` if there is nothing more for now. Does not wait: whoever wants to see what is
    /// appended later asks again later.
    ///
    /// # Errors
    ///
    /// `Corrupt` where durable bytes of the log are damaged or missing; `Conflict` if events that this
    /// follower gave were never durable and the log has gone on without them; `Io`. The place in
    /// the log is kept, so that asking again looks again.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::{Logged, MessageStore};
    /// let store = MessageStore::open(dir.path())?;
    /// let mut follower = store.follow(1)?;
    /// assert_eq!(follower.next_logged()?, None);
    /// store.add_message("c1", "Hi!")?;
    /// assert!(matches!(follower.next_logged()?, Some(Logged::Batch { seq: 1, .. })));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn next_logged(&mut self) -> Result<Option<Logged>> {
        (self.source)()
    }

    /// Waits until there may be more, for at most so long, and says whether there may be: whoever hears so asks again.
    ///
    /// A PostgreSQL server tells what other processes append at once. Elsewhere, and while the server is away, this returns after a
    /// fifth of a second, and says that it is time to look.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::MessageStore;
    /// use std::time::Duration;
    /// let store = MessageStore::open(dir.path())?;
    /// let mut follower = store.follow(1)?;
    /// store.add_message("c1", "Hi!")?;
    /// let logged = loop {
    ///     if let Some(logged) = follower.next_logged()? {
    ///         break logged;
    ///     }
    ///     follower.wait(Duration::from_secs(60));
    /// };
    /// # let _ = logged;
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn wait(&mut self, limit: Duration) -> bool {
        (self.wait)(limit)
    }
}

/// Waits for a moment, after which there may be more.
#[expect(clippy::disallowed_methods, reason = "whoever polls waits for time to pass")]
fn poll(limit: Duration) -> bool {
    std::thread::sleep(limit.min(POLL));
    true
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").finish_non_exhaustive()
    }
}
