//! What a database remembers of being a copy of another store.
//!
//! Owns the table `aral_copied_from`, which only a copy makes, and the reading of the store's identity.

use super::columns::corrupt;
use super::connection::{Connection, Dialect, Value, first};
use crate::codec::copy_mark::{decode_copy_mark, encode_copy_mark};
use crate::error::Result;
use crate::model::CopyMark;

/// The store's identity.
pub(super) fn identity(connection: &mut dyn Connection) -> Result<Option<String>> {
    first(connection, "SELECT store_id FROM aral_meta", &[], |row| Ok(row.text(0)?.to_owned()))
}

/// What is remembered.
pub(super) fn read(connection: &mut dyn Connection, dialect: Dialect) -> Result<Option<CopyMark>> {
    let named = [Value::text("aral_copied_from")];
    let count = first(connection, dialect.count_tables, &named, |row| row.int(0))?;
    if count.unwrap_or(0) == 0 {
        return Ok(None);
    }
    let sql = "SELECT mark FROM aral_copied_from";
    let Some(text) = first(connection, sql, &[], |row| Ok(row.text(0)?.to_owned()))? else { return Ok(None) };
    let damaged =
        || corrupt("the table aral_copied_from does not say which store this one is a copy of".to_owned());
    decode_copy_mark(text.as_bytes()).map(Some).ok_or_else(damaged)
}

/// Replaces it. When this returns, it is as durable as the connection's commits.
pub(super) fn write(connection: &mut dyn Connection, dialect: Dialect, mark: &CopyMark) -> Result<()> {
    connection.begin_write()?;
    match replace(connection, dialect, mark) {
        Ok(()) => connection.commit(),
        Err(error) => {
            connection.rollback();
            Err(error)
        }
    }
}

fn replace(connection: &mut dyn Connection, dialect: Dialect, mark: &CopyMark) -> Result<()> {
    let create =
        "CREATE TABLE IF NOT EXISTS aral_copied_from (one {key} CHECK (one = 1), mark TEXT NOT NULL)";
    connection.execute(&create.replace("{key}", dialect.key), &[])?;
    connection.execute("DELETE FROM aral_copied_from", &[])?;
    let insert = "INSERT INTO aral_copied_from (one, mark) VALUES (1, ?1)";
    connection.execute(insert, &[Value::text(encode_copy_mark(mark))])?;
    Ok(())
}
