//! What PostgreSQL says, as the crate's own error.
//!
//! Owns which of its codes means what for the caller, and which of them mean that it may work a little later.

use std::error::Error as StdError;
use std::path::Path;

use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::backend::sql::connection::Unfinished;
use crate::error::{Error, ErrorKind};

/// Whether the server is starting, stopping, full of connections or not there: who waits may find it later.
pub(super) fn is_away(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(code) => {
            matches!(code.code(), "57P01" | "57P02" | "57P03" | "53300") || code.code().starts_with("08")
        }
        None => of_the_settings(error).is_none() && is_of_the_network(error),
    }
}

/// Whether the server is there, and lets nobody in for now.
pub(super) fn is_there(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| matches!(code.code(), "57P03" | "53300"))
}

/// What is wrong with the settings, and what to do about it, if that is what an error is about.
fn of_the_settings(error: &tokio_postgres::Error) -> Option<&'static str> {
    let cause = error.source()?;
    if cause.to_string().contains("password missing") {
        return Some("the server asks for a password; put it into the URL, or into PGPASSWORD");
    }
    if cause.to_string().contains("does not support TLS") {
        return Some("the server offers no TLS; turn it on there, or name another sslmode");
    }
    let said = cause.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref::<rustls::Error>()?;
    matches!(said, rustls::Error::InvalidCertificate(_)).then_some(
        "the server's certificate does not prove that it is the one that was named; name it as its certificate does, \
         or its authority with sslrootcert",
    )
}

/// Whether an error is of the connection rather than of what stands in the settings.
fn is_of_the_network(error: &tokio_postgres::Error) -> bool {
    error.is_closed() || error.source().is_some_and(<dyn StdError>::is::<std::io::Error>)
}

/// The error that stands for one of PostgreSQL's.
pub(super) fn of(action: &str, place: &Path, error: &tokio_postgres::Error) -> Error {
    let (kind, reason) = match (error.as_db_error(), of_the_settings(error)) {
        (Some(said), _) => (kind_of(said.code().code()), said_by_server(action, said)),
        (None, Some(remedy)) => {
            (ErrorKind::InvalidInput, format!("cannot {action}: {}: {remedy}", chain(error)))
        }
        (None, None) => (
            ErrorKind::Io,
            format!("cannot {action}: {}; see whether the server is there, and try again", chain(error)),
        ),
    };
    Error::new(kind, reason).at(place, None)
}

/// An error without a part that is of use to nobody, with its causes.
fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

fn said_by_server(action: &str, said: &DbError) -> String {
    let (code, message) = (said.code().code(), said.message());
    let remedy = match kind_of(code) {
        ErrorKind::Locked if code == "53300" => {
            "; raise max_connections, or the user's own limit, or let fewer programs connect, and try again"
        }
        ErrorKind::Locked if code == "57014" => {
            "; somebody cancelled it, or it took longer than this call waits; try again"
        }
        ErrorKind::Locked => "; others have been in the way for as long as this call waits; try again",
        ErrorKind::ReadOnly => "; name a user who may write, or open the store for reading",
        ErrorKind::NoSpace => "; make room on the server",
        ErrorKind::NotFound => "; make it with CREATE DATABASE, or name another one",
        ErrorKind::Unsupported if code != "0A000" => {
            "; a proxy in between hands the session to others; connect to the server itself"
        }
        ErrorKind::InvalidInput if code.starts_with("28") => {
            "; see the user and the password, and the server's pg_hba.conf"
        }
        ErrorKind::InvalidInput
        | ErrorKind::UnsupportedFormat
        | ErrorKind::Corrupt
        | ErrorKind::OutOfMemory
        | ErrorKind::Io
        | ErrorKind::Conflict
        | ErrorKind::AlreadyExists
        | ErrorKind::Failed
        | ErrorKind::Closed
        | ErrorKind::Key
        | ErrorKind::Missed
        | ErrorKind::Unsupported => "",
    };
    // What the server says of whom it does not let in names the user.
    let message = match code {
        "53300" => "the server has no connection left for this user",
        _ if code.starts_with("28") => "the server refuses the user or the password",
        _ => message,
    };
    format!("cannot {action}: {message} ({code}){remedy}")
}

/// The kind of a condition, by its code in the manual's appendix A.
pub(super) fn kind_of(code: &str) -> ErrorKind {
    match code {
        "55P03" | "57014" | "40P01" | "40001" | "25P03" | "25P04" | "53300" => ErrorKind::Locked,
        "25006" | "42501" => ErrorKind::ReadOnly,
        "53100" => ErrorKind::NoSpace,
        "53200" => ErrorKind::OutOfMemory,
        "3D000" => ErrorKind::NotFound,
        // A session that does not have the statements that were prepared on it, or has others.
        "0A000" | "26000" | "42P05" => ErrorKind::Unsupported,
        "XX001" | "XX002" => ErrorKind::Corrupt,
        _ if code.starts_with("28") || code.starts_with("54") || code.starts_with("22") => {
            ErrorKind::InvalidInput
        }
        // A statement of the store's that does not fit its tables: somebody changed them.
        _ if code.starts_with("23") || code.starts_with("42") => ErrorKind::Corrupt,
        _ => ErrorKind::Io,
    }
}

/// Whether a statement that was a transaction by itself is known to have had no effect. A session that is ended by somebody may have committed
/// just before, and so may one whose statement is cancelled.
pub(super) fn is_certain(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|said| {
        said.parsed_severity() == Some(Severity::Error) && *said.code() != SqlState::QUERY_CANCELED
    })
}

/// Whether a statement would have left this column of the row that writers lock empty.
pub(super) fn is_null_in(error: &tokio_postgres::Error, column: &str) -> bool {
    error.as_db_error().is_some_and(|said| {
        *said.code() == SqlState::NOT_NULL_VIOLATION
            && said.table() == Some("aral_meta")
            && said.column() == Some(column)
    })
}

/// Why a transaction stopped whose statements were sent together with its commit.
#[derive(Debug)]
pub(super) struct Stopped {
    error: Error,
    /// Whether the server refused a statement before it came to the commit.
    is_refused: bool,
}

impl Stopped {
    /// The commit failed, or nobody answered.
    pub(super) fn by_itself(error: Error) -> Self {
        Self { error, is_refused: false }
    }

    /// A statement before the commit failed.
    pub(super) fn by(error: Error, cause: &tokio_postgres::Error) -> Self {
        Self { error, is_refused: cause.as_db_error().is_some() }
    }

    /// Whether nothing happened. The server carries out in order what is sent in order: if it refused a statement, it had not come to
    /// the commit, which could only roll back then, whatever it answered.
    pub(super) fn is_certain(&self) -> bool {
        self.is_refused
    }
}

impl From<Stopped> for Unfinished {
    fn from(stopped: Stopped) -> Self {
        if stopped.is_certain() { Self::Refused(stopped.error) } else { Self::Open(stopped.error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_have_the_kinds_that_callers_act_on() {
        for (code, kind) in [
            ("55P03", ErrorKind::Locked),
            ("25006", ErrorKind::ReadOnly),
            ("42501", ErrorKind::ReadOnly),
            ("53100", ErrorKind::NoSpace),
            ("53200", ErrorKind::OutOfMemory),
            ("3D000", ErrorKind::NotFound),
            ("28P01", ErrorKind::InvalidInput),
            ("42P01", ErrorKind::Corrupt),
            ("42P05", ErrorKind::Unsupported),
            ("57P01", ErrorKind::Io),
        ] {
            assert_eq!(kind_of(code), kind, "{code}");
        }
    }
}
