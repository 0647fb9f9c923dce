//! What stands between the store and the server.
//!
//! Owns how a session comes to its settings, and the telling of a proxy that hands each transaction another session. Such a
//! proxy would show the settings of one program to another, and would have a store's transactions done in somebody else's schema. So
//! the schema is asked for together with the connection, which servers do and such proxies refuse or leave undone, and nothing else is
//! set unless it was done.

use std::time::Duration;

use tokio_postgres::{Client, SimpleQueryMessage};

use super::calls::Calls;
use crate::error::{Error, ErrorKind};

/// How often it is tried to see two sessions where there should be one: others who use the same proxy may come between.
const ROUNDS: u32 = 5;

/// What a connection is asked for to begin with.
pub(super) fn options(schema: &str) -> String {
    format!("-c search_path=\"{schema}\"")
}

/// Whether a session has the schema that was asked for.
pub(super) fn has_schema(path: Option<&str>, schema: &str) -> bool {
    path == Some(format!("\"{schema}\"").as_str())
}

/// A setting, its value, and when it is to be made.
pub(super) type Setting = (&'static str, String, &'static str);

/// The statements that make the settings of a session that has the schema; `sets_schema` if it is to have it by them.
pub(super) fn set_up(schema: &str, sets_schema: bool, settings: &[Setting]) -> String {
    let quoted = format!("'\"{schema}\"'");
    let first = sets_schema.then(|| format!("SELECT set_config('search_path', {quoted}, false); "));
    let one = |(name, value, when): &Setting| {
        format!(
            "SELECT set_config('{name}', '{value}', false) \
             WHERE current_setting('search_path') = {quoted} AND {when}; "
        )
    };
    let all: String = first.into_iter().chain(settings.iter().map(one)).collect();
    all + "SELECT current_setting('server_version_num') AS version, current_setting('server_encoding') AS encoding, \
           current_setting('search_path') AS path"
}

/// A column of the last row that has it.
pub(super) fn value<'m>(messages: &'m [SimpleQueryMessage], name: &str) -> Option<&'m str> {
    messages.iter().rev().find_map(|message| {
        let SimpleQueryMessage::Row(row) = message else { return None };
        if row.columns().iter().any(|column| column.name() == name) { row.get(name) } else { None }
    })
}

/// Whether two connections have not each a session to itself; `None` if nobody answers.
pub(super) fn shares_sessions(
    (one, other): (&(Client, Calls), &(Client, Calls)),
    limit: Duration,
) -> Option<bool> {
    let ask = |(client, calls): &(Client, Calls), sql: &str| calls.wait(limit, client.simple_query(sql));
    let session = |connection, sql: &str| match ask(connection, sql)? {
        Ok(messages) => Some(value(&messages, "pid").map(str::to_owned)),
        // It is there and does not let a transaction begin, as one that pools by statement.
        Err(error) => error.as_db_error().map(|_| None),
    };
    let pid = "SELECT pg_backend_pid() AS pid";
    for _ in 0..ROUNDS {
        let before = session(one, pid)?;
        let held = session(other, &format!("BEGIN; {pid}"))?;
        // Order: before the next question, which would wait for that session if it is the only one.
        if held.is_none() || before == held || before != session(one, pid)? {
            return Some(true);
        }
        session(other, "ROLLBACK")?;
    }
    Some(false)
}

/// What is said of such a proxy.
pub(super) fn refused() -> Error {
    let reason = "a proxy stands before the server that pools by transaction or by statement, and a store needs sessions \
                  of its own; connect to the server itself, or have the proxy pool by session (PgBouncer: pool_mode = session)";
    Error::new(ErrorKind::Unsupported, reason)
}
