//! The one error of the crate.
//!
//! Owns the kinds, sorted by what the caller should do about them, and the place an error points at. There
//! is no conversion from `io::Error`: a bare `?` would lose the path.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done, where, and through which cause.
///
/// Ask [`kind`](Error::kind) what to do about it and [`place`](Error::place) where it is.
///
/// ```
/// use aral_store::{ErrorKind, MessageStore};
/// let error = MessageStore::in_memory().set_title("nobody", "x").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    place: Option<Place>,
    /// What its reader can do, which is said behind the place.
    remedy: Option<&'static str>,
    // Shared, because one failed write is reported to every member of its group.
    source: Option<std::sync::Arc<io::Error>>,
}

/// What the caller can do about an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The call asks for something impossible: change the call.
    InvalidInput,
    /// The conversation is not in the state that the call expects: read again, decide again.
    Conflict,
    /// A conversation with this id exists: choose another id, or reset the one there is.
    AlreadyExists,
    /// There is no such conversation, message, action, file or store.
    NotFound,
    /// Another process holds the store for writing, or has come to hold it while it was open here: wait, or open it
    /// for reading.
    Locked,
    /// The store was opened for reading, or the file system is read-only.
    ReadOnly,
    /// Written by a newer version of this software: upgrade.
    UnsupportedFormat,
    /// Bytes on disk are not what was written: see the place, run `verify`, then `repair`.
    Corrupt,
    /// The disk or the quota is full: make room, then try again.
    NoSpace,
    /// The memory that it takes cannot be had: ask for less at once, or give the process more.
    OutOfMemory,
    /// The operating system refused or failed: see the cause.
    Io,
    /// A write or a sync failed before, so that nothing more is written: close the store and open it again.
    Failed,
    /// The store was closed.
    Closed,
    /// This backend does not do that.
    Unsupported,
    /// The store is encrypted, and no key was given, or another one than its own: give its key.
    Key,
    /// Events that a consumer has not read are gone: see which, make good for them, then put the consumer behind them.
    Missed,
}

/// A place in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Place {
    /// The file or directory.
    pub path: PathBuf,
    /// The byte in it, counted from 0, where it is known.
    pub offset: Option<u64>,
}

/// What is done to a file that is only read, as [`Error::io`] takes it.
const READING: [&str; 5] = ["open", "read", "map", "list", "look at"];

impl Error {
    /// An error without a place.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), place: None, remedy: None, source: None }))
    }

    /// What the operating system said when asked to `action` (such as "open") a file.
    #[must_use]
    pub fn io(action: &str, path: &Path, source: io::Error) -> Self {
        if let Some(overtaken) = source.get_ref().and_then(|cause| cause.downcast_ref::<Overtaken>()) {
            return overtaken.error();
        }
        // A file that is kept elsewhere fails with an error of its own.
        if let Some(own) = source.get_ref().and_then(|cause| cause.downcast_ref::<Self>()) {
            return own.clone().at(path, None);
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "the standard library's kinds are open-ended")]
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                ErrorKind::NoSpace
            }
            io::ErrorKind::ReadOnlyFilesystem => ErrorKind::ReadOnly,
            io::ErrorKind::OutOfMemory => ErrorKind::OutOfMemory,
            _ => ErrorKind::Io,
        };
        let is_refused = source.kind() == io::ErrorKind::PermissionDenied && READING.contains(&action);
        let message = if is_refused {
            format!("it cannot be read by this user (cannot {action}: {source})")
        } else {
            format!("cannot {action}: {source}")
        };
        let place = Some(Place { path: path.to_owned(), offset: None });
        Self(Box::new(Inner { kind, message, place, remedy: None, source: Some(source.into()) }))
    }

    /// Bytes that are not what was written.
    #[must_use]
    pub fn corrupt(path: &Path, offset: u64, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message).at(path, Some(offset))
    }

    /// A call that asks for something impossible.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// The same error with a place.
    #[must_use]
    pub fn at(mut self, path: &Path, offset: Option<u64>) -> Self {
        self.0.place = Some(Place { path: path.to_owned(), offset });
        self
    }

    /// The same error as another kind.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// The same error with words before its own that say what was being done.
    #[must_use]
    pub fn context(mut self, what: &str) -> Self {
        self.0.message = format!("{what}: {}", self.0.message);
        self
    }

    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where it happened, if it happened in a file.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }

    /// What went wrong, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

/// What a call of the file system ends with that was not made, because the store is another writer's by now.
#[derive(Clone, Debug)]
pub(crate) struct Overtaken {
    /// The file that the lock is on.
    pub(crate) lock: PathBuf,
}

impl Overtaken {
    fn error(&self) -> Error {
        Error::new(ErrorKind::Locked, self.to_string()).at(&self.lock, None)
    }
}

impl fmt::Display for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the lock was lost while the store was open: another writer has taken it, or its file was removed, \
             replaced or moved; nothing more is written here, so close the store and open it again",
        )
    }
}

impl std::error::Error for Overtaken {}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        match self.offset {
            Some(offset) => write!(f, " at byte {offset}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(place) = &self.0.place {
            write!(f, ", in {place}")?;
        }
        match self.0.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl Error {
    /// The same error with words behind its place that say what can be done.
    pub(crate) fn with_remedy(mut self, remedy: &'static str) -> Self {
        self.0.remedy = Some(remedy);
        self
    }

    /// What this user may not read.
    pub(crate) fn forbidden(message: String) -> Self {
        let mut error = Self::new(ErrorKind::Io, message);
        error.0.source = Some(io::Error::from(io::ErrorKind::PermissionDenied).into());
        error
    }

    /// Whether it is only that this user may not do that: what it is about may be as sound as anything.
    pub(crate) fn is_forbidden(&self) -> bool {
        self.io_source().is_some_and(|source| source.kind() == io::ErrorKind::PermissionDenied)
    }

    /// What the system said, if it was the system that failed.
    pub(crate) fn io_source(&self) -> Option<&io::Error> {
        self.0.source.as_deref()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|e| {
            let e: &(dyn std::error::Error + 'static) = e;
            e
        })
    }
}
