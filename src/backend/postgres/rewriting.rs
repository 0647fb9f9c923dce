//! Which tables a server is to write anew, and whether it will.
//!
//! Owns the two questions for that.

use crate::backend::sql::connection::{Connection, all, first};
use crate::error::{Error, ErrorKind, Result};

/// The store's tables.
pub(super) fn tables(connection: &mut dyn Connection) -> Result<Vec<String>> {
    let sql = "SELECT CAST(c.relname AS TEXT) FROM pg_class c WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) \
               AND c.relkind = 'r' AND c.relname LIKE 'aral\\_%' ORDER BY 1";
    all(connection, sql, &[], |row| Ok(row.text(0)?.to_owned()))
}

/// Holds that all of them are this user's: the server passes over others with a mere warning.
///
/// # Errors
///
/// `ReadOnly` if they are not.
pub(super) fn must_own_all(connection: &mut dyn Connection) -> Result<()> {
    let sql = "SELECT COUNT(*) FROM pg_class c WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) \
               AND c.relkind = 'r' AND c.relname LIKE 'aral\\_%' AND NOT pg_has_role(c.relowner, 'USAGE')";
    if first(connection, sql, &[], |row| row.int(0))? == Some(0) {
        return Ok(());
    }
    let reason =
        "the server writes tables anew for their owner alone; erase as the user that the tables belong to";
    Err(Error::new(ErrorKind::ReadOnly, reason))
}
