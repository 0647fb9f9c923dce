//! A lock on a file.
//!
//! Owns what can be done with one that is held.

use std::{fmt, io};

/// A held lock; dropping it lets go.
pub trait Lock: Send + Sync + fmt::Debug {
    /// When the file that was locked was last changed, in nanoseconds by the file system's clock; `None` if the path
    /// that was locked does not name it any more. Then somebody has removed or replaced the file, or a directory
    /// above it, and the next one to lock the path locks another file.
    ///
    /// A change moves this on, unless the one before it was less than the file system's resolution ago, which is up
    /// to two seconds.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn changed_nanos(&self) -> io::Result<Option<i128>>;

    /// Lets go of it, and keeps what it takes to [take it again](Self::retake). False where there is no such thing; then it is held until it is
    /// dropped.
    fn release(&self) -> bool {
        false
    }

    /// Takes it again after a release, if nobody else holds it by now. It is a lock of the same file, whatever its path names meanwhile.
    ///
    /// # Errors
    ///
    /// Those of the system; `Unsupported` where it can be taken once only.
    fn retake(&self) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
