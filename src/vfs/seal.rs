//! What a file system in which a store is encrypted does for the log.
//!
//! Owns the trait by which events are sealed and opened. Knows neither keys nor ciphers.

use std::fmt;
use std::io;

/// What seals events, each for itself, and opens them again.
pub trait EventSeal: Send + Sync + fmt::Debug {
    /// Gets keys for these conversations, for all of them at once where one by one would take longer.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn prepare(&self, conversations: &mut dyn Iterator<Item = &str>) -> io::Result<()>;

    /// Seals what stands from `start` on, an event of this conversation, in its place.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn seal(&self, conversation: &str, bytes: &mut Vec<u8>, start: usize) -> io::Result<()>;

    /// How many bytes the sealed event takes that these bytes begin with; nothing if they begin with none.
    fn length(&self, sealed: &[u8]) -> Option<usize>;

    /// Opens the event that these bytes begin with, puts it at the end of `plain`, and says how many bytes it took.
    ///
    /// # Errors
    ///
    /// `InvalidData` if there is none that was sealed with a key of this store; those of the system.
    fn open(&self, sealed: &[u8], plain: &mut Vec<u8>) -> io::Result<usize>;

    /// From now on events of this conversation are sealed with another key than all those before.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn retire(&self, conversation: &str) -> io::Result<()>;

    /// Destroys the keys of this conversation that were retired: nothing opens any more what they sealed, wherever it
    /// lies. When this returns, that is durable.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn destroy_retired(&self, conversation: &str) -> io::Result<()>;

    /// The name of a file for a conversation, which nothing has yet and which tells nothing.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn new_name(&self) -> io::Result<String>;
}
