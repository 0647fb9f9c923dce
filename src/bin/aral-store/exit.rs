//! How the program ends.
//!
//! Owns the exit codes, which error leads to which, and the one line in which an error is told.

use std::io;
use std::path::Path;

use aral_store::{Error, ErrorKind};

use crate::output;

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

    /// Says on standard error what went wrong, and gives what to end with.
    pub(crate) fn report(self) -> Exit {
        match self {
            Self::Store(error) => {
                output::error(&format!("{error}{}", advice(&error)));
                Exit::of(error.kind())
            }
            Self::Input(error) => {
                output::error(&format!("{error}{}", advice(&error)));
                let exit = Exit::of(error.kind());
                if exit == Exit::Usage { Exit::Error } else { exit }
            }
            Self::Usage(text) => {
                output::error(&text);
                Exit::Usage
            }
            Self::Unprinted { done, cause } => {
                output::error(&format!("{done}; it is durable, and only could not be printed: {cause}"));
                Exit::Unprinted
            }
            Self::Unread => Exit::Done,
            Self::Stopped(signal) => Exit::Signal(signal),
        }
    }
}

impl From<Error> for Failure {
    /// Sound here, unlike in the library: the store's own errors carry their place already.
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// What to do next, where the error's own words cannot know it.
fn advice(error: &Error) -> &'static str {
    use std::error::Error as _;
    let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind);
    #[expect(clippy::wildcard_enum_match_arm, reason = "most kinds need no more words")]
    match error.kind() {
        ErrorKind::Corrupt => "; `aral-store verify` lists all that is damaged",
        ErrorKind::Locked => {
            "; end that process, give --wait more time, or only read: show, ls, log, export, stats, verify"
        }
        ErrorKind::NoSpace => "; make room and try again",
        ErrorKind::OutOfMemory => "; ask for less, as show -n does, or give the program more",
        ErrorKind::UnsupportedFormat => "; use a newer aral-store",
        _ => match cause {
            Some(io::ErrorKind::PermissionDenied) => "; ls -ld shows who may read and write there",
            Some(io::ErrorKind::NotFound) => "; check the name",
            Some(io::ErrorKind::IsADirectory) => "; name a file",
            _ => "",
        },
    }
}
