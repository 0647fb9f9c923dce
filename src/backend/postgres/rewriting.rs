//! Which tables a server is to write anew, whether it will, and when it can.
//!
//! Owns the questions for that, and the waiting: a server that writes a table anew takes along what was deleted for as long as somebody
//! may still see it.

use std::time::Duration;

use crate::backend::deadline::Deadline;
use crate::backend::sql::connection::{Connection, Value, all, first};
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

/// What keeps a server from leaving out what was deleted before this number of a transaction: a session of this database, or one that
/// stands for a standby, whose snapshot is older; a transaction anywhere, which the snapshots to come are as old as; a transaction that
/// is prepared; a slot for a standby. A vacuum that the server began by itself holds nothing back.
const OLDER: &str = "WITH now AS (SELECT txid_snapshot_xmax(txid_current_snapshot()) AS next) \
    SELECT CAST(who AS TEXT) FROM ( \
        SELECT 'the session with the process number ' || pid || COALESCE(' of ' || usename, '') AS who, \
            greatest(age(backend_xid), CASE WHEN datid IS NULL OR datname = current_database() THEN age(backend_xmin) END) AS age \
        FROM pg_stat_activity \
        WHERE pid <> pg_backend_pid() AND COALESCE(query, '') NOT LIKE 'autovacuum: VACUUM%' \
        UNION ALL SELECT 'the prepared transaction ' || gid, age(transaction) FROM pg_prepared_xacts \
        UNION ALL SELECT 'the replication slot ' || slot_name, age(xmin) FROM pg_replication_slots \
    ) AS holders, now WHERE next - age < ?1 ORDER BY age DESC LIMIT 1";

/// Waits until nobody sees any more what has been deleted by now, as long as this session waits for a lock.
///
/// # Errors
///
/// `Locked` if somebody sees it for longer.
pub(super) fn wait_for_older_snapshots(connection: &mut dyn Connection) -> Result<()> {
    let sql = "SELECT txid_snapshot_xmax(txid_current_snapshot())";
    let next = first(connection, sql, &[], |row| row.int(0))?.unwrap_or_default();
    let sql = "SELECT CAST(setting AS BIGINT) FROM pg_settings WHERE name = 'lock_timeout'";
    let patience = first(connection, sql, &[], |row| row.int(0))?.unwrap_or_default();
    let mut holder = String::new();
    let deadline = Deadline::after(Duration::from_millis(u64::try_from(patience).unwrap_or_default()));
    let done = deadline.wait(|| {
        let older = first(connection, OLDER, &[Value::Int(next)], |row| Ok(row.text(0)?.to_owned()))?;
        holder = older.unwrap_or_default();
        Ok(holder.is_empty().then_some(()))
    })?;
    done.ok_or_else(|| {
        let reason = format!(
            "{holder} has seen an older state of the database for as long as this call waits, which keeps what was erased in the server's \
             files; end it and erase again, or open the store for writing, which goes on with it"
        );
        Error::new(ErrorKind::Locked, reason)
    })
}
