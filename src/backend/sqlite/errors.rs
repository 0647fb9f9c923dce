//! What SQLite says, as the crate's own error.
//!
//! Owns which of its codes means what for the caller.

use std::path::Path;

use rusqlite::{ErrorCode, ffi};

use crate::error::{Error, ErrorKind};

/// Whether others are in the way, so that it may work later.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    code == Some(ErrorCode::DatabaseBusy)
        || code == Some(ErrorCode::DatabaseLocked)
        || code == Some(ErrorCode::FileLockingProtocolFailed)
}

/// Whether files beside the database could not be made, or not be used, without which it cannot be read while others write.
pub(super) fn is_without_files(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    let directory =
        [ffi::SQLITE_READONLY_DIRECTORY, ffi::SQLITE_READONLY_CANTINIT, ffi::SQLITE_READONLY_RECOVERY];
    error.sqlite_error_code() == Some(ErrorCode::CannotOpen)
        || code.is_some_and(|code| directory.contains(&code))
}

/// The error that stands for one of SQLite's.
pub(in crate::backend) fn of(action: &str, path: &Path, error: &rusqlite::Error) -> Error {
    if is_busy(error) {
        let reason = "others have been using the database for as long as this call waits; try again";
        return Error::new(ErrorKind::Locked, reason).at(path, None);
    }
    if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
        let reason = "the file is not a database; name another one, for it is left as it is; if it was one, its beginning \
                      is damaged";
        return Error::new(ErrorKind::Corrupt, reason).at(path, None);
    }
    let kind = kind_of(error);
    // Memory and reading alone are said by their kinds; for the rest SQLite's own words are the best there are.
    Error::new(kind, format!("cannot {action}: {error}")).at(path, None)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "SQLite's codes are open-ended")]
fn kind_of(error: &rusqlite::Error) -> ErrorKind {
    let Some(code) = error.sqlite_error_code() else { return ErrorKind::Corrupt };
    match code {
        ErrorCode::DiskFull => ErrorKind::NoSpace,
        ErrorCode::ReadOnly => ErrorKind::ReadOnly,
        ErrorCode::OutOfMemory => ErrorKind::OutOfMemory,
        ErrorCode::TooBig => ErrorKind::InvalidInput,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation => {
            ErrorKind::Corrupt
        }
        // A statement of the store's that does not fit its tables: somebody changed them.
        ErrorCode::Unknown => ErrorKind::Corrupt,
        _ => ErrorKind::Io,
    }
}
