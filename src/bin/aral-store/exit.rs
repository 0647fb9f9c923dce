//! How the program ends.
//!
//! Owns the exit codes, and which error leads to which.

use std::io;
use std::path::Path;

use aral_store::{Error, ErrorKind};

/// What the program ends with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// Everything was done.
    Done,
    /// Something was not done, for a reason without a code of its own.
    Error,
    /// The arguments ask for something impossible.
    Usage,
    /// There is no such store, conversation, message, action or file.
    NotFound,
    /// The conversation is not in the state that the command expects.
    Conflict,
    /// Bytes on disk are not what was written.
    Corrupt,
    /// Another process holds the store for writing.
    Locked,
    /// The disk or the quota is full.
    NoSpace,
    /// There is no memory for what was asked for.
    NoMemory,
    /// The change was carried out, and what it gave could not be printed.
    Unprinted,
    /// A signal of this number asked for an orderly end.
    Signal(u8),
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Conflict => 4,
            Self::Corrupt => 5,
            Self::Locked => 6,
            Self::NoSpace => 7,
            Self::NoMemory => 8,
            Self::Unprinted => 9,
            // What a shell makes of a process that the signal ended.
            Self::Signal(number) => 128_u8.saturating_add(number),
        }
    }

    /// The graver of what two things that cannot be read come to.
    pub(crate) fn graver(self, other: Self) -> Self {
        if self == Self::Done || other == Self::Corrupt { other } else { self }
    }

    /// What an error of the store ends the program with.
    pub(crate) fn of(kind: ErrorKind) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the library's kinds are open-ended")]
        match kind {
            ErrorKind::InvalidInput => Self::Usage,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Conflict | ErrorKind::AlreadyExists => Self::Conflict,
            ErrorKind::Corrupt => Self::Corrupt,
            ErrorKind::Locked => Self::Locked,
            ErrorKind::NoSpace => Self::NoSpace,
            ErrorKind::OutOfMemory => Self::NoMemory,
            _ => Self::Error,
        }
    }
}

/// Why a command ended before it was done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The store, or a file beside it, refused.
    Store(Error),
    /// A line of the input is not what it should be; no fault of the arguments.
    Input(Error),
    /// The arguments ask for something impossible.
    Usage(String),
    /// What was done, in words, and is durable, although it could not be printed for this reason.
    Unprinted { done: String, cause: Error },
    /// Nobody reads the output any more.
    Unread,
    /// A signal of this number asked for an end.
    Stopped(u8),
}

impl Failure {
    /// What the operating system said about a file outside of the store.
    pub(crate) fn file(action: &str, path: &Path, source: io::Error) -> Self {
        Self::Store(Error::io(action, path, source))
    }

    /// The same of a print that came after a change: whoever is told only that nothing could be printed
    /// makes the change a second time.
    pub(crate) fn after(self, done: impl FnOnce() -> String) -> Self {
        match self {
            Self::Store(cause) => Self::Unprinted { done: done(), cause },
            other @ (Self::Input(_)
            | Self::Usage(_)
            | Self::Unprinted { .. }
            | Self::Unread
            | Self::Stopped(_)) => other,
        }
    }
}

impl From<Error> for Failure {
    /// Sound here, unlike in the library: the store's own errors carry their place already.
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}
