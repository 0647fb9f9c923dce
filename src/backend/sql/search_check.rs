//! Whether the index for searching has what the messages say.
//!
//! Owns the comparison: one pass over the messages, one over the index, and a sum for each message meanwhile.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use super::columns::{MESSAGE, message_at, number_at};
use super::connection::{Connection, Dialect, Value, all};
use super::search_index::watermark;
use crate::error::{ErrorKind, Result};
use crate::model::Seq;
use crate::search::terms;

/// How many messages are read at once.
const ROWS: u64 = 1000;

/// Of each message, the sum of its terms' checksums, in whatever order they come, less that of the terms that the index has of it.
type Sums = BTreeMap<Seq, u64>;

/// A term in a sum. One alone does not count as none.
fn checksum(term: &str) -> u64 {
    u64::from(crc32fast::hash(term.as_bytes())) + (1 << 32)
}

/// What is wrong with the index, if anything is.
pub(super) fn check(connection: &mut dyn Connection, dialect: Dialect) -> Result<Option<String>> {
    let looked = match watermark(connection, dialect)? {
        Some(watermark) if watermark.is_usable() => difference(connection, dialect, watermark.indexed_seq),
        // It is not used, and made anew when it is wanted.
        Some(_) | None => return Ok(None),
    };
    let reason = match looked {
        Ok(None) => return Ok(None),
        Ok(Some(seq)) => format!("it does not have what message {seq} says"),
        Err(error) if error.kind() == ErrorKind::Corrupt => error.message().to_owned(),
        Err(error) => return Err(error),
    };
    Ok(Some(format!(
        "the index for searching is damaged: {reason}; `DELETE FROM aral_search` has it made anew"
    )))
}

/// The first message of which the index has something else than its terms.
fn difference(connection: &mut dyn Connection, dialect: Dialect, indexed_seq: Seq) -> Result<Option<Seq>> {
    let stale = all(connection, "SELECT seq FROM aral_search_stale", &[], |row| number_at(row, 0))?;
    let stale: HashSet<Seq> = stale.into_iter().collect();
    let sql = format!(
        "SELECT m.seq, {MESSAGE} FROM aral_message_rows m WHERE m.seq > ?1 AND m.seq <= ?2 ORDER BY m.seq LIMIT ?3"
    );
    let mut sums = Sums::new();
    let (mut from, mut rows) = (0, ROWS);
    while rows == ROWS {
        rows = 0;
        connection.query(&sql, &[from, indexed_seq, ROWS].map(Value::number), &mut |row| {
            rows += 1;
            from = number_at(row, 0)?;
            let message = message_at(row, 1)?;
            for term in terms(&message.content.to_string_lossy()) {
                let sum = sums.entry(from).or_default();
                *sum = sum.wrapping_add(checksum(&term));
            }
            Ok(ControlFlow::Continue(()))
        })?;
    }
    connection.query(dialect.search.all, &[], &mut |row| {
        let sum = sums.entry(number_at(row, 0)?).or_default();
        *sum = sum.wrapping_sub(checksum(row.text(1)?));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(sums.into_iter().find(|(seq, left)| *left != 0 && !stale.contains(seq)).map(|(seq, _)| seq))
}
