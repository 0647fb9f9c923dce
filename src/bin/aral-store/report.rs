//! What is said of a failure.
//!
//! Owns the one line in which an error is told, with what to do next.

use std::io;

use aral_store::{Error, ErrorKind};

use crate::exit::{Exit, Failure};
use crate::output;

impl Failure {
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

/// What to do next, where the error's own words cannot know it.
fn advice(error: &Error) -> &'static str {
    use std::error::Error as _;
    let cause = error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind);
    #[expect(clippy::wildcard_enum_match_arm, reason = "most kinds need no more words")]
    match error.kind() {
        ErrorKind::Corrupt => "; `aral-store verify` lists all that is damaged",
        // Nobody waits for a consumer's turn.
        ErrorKind::Locked if error.message().starts_with("consumer ") => {
            "; end that process, or read under another name"
        }
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
