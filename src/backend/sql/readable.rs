//! Reading a table as far as it can be read.
//!
//! Owns the way round what the database cannot read: the numbers behind it are tried by halves, so that a page that is damaged costs what
//! was in it and no other row.

use std::ops::{ControlFlow, RangeInclusive};

use super::columns::number_at;
use super::connection::{Connection, Row, Value, all, first};
use super::events::ROWS;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Seq;

/// Rows that the database cannot read: those that there were with numbers from the first to the last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Gap {
    pub(super) first: Seq,
    pub(super) last: Seq,
    pub(super) reason: String,
}

/// A table whose rows have numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbered<'n> {
    pub(super) table: &'n str,
    /// What is read of it, the number first.
    pub(super) columns: &'n str,
    pub(super) number: &'n str,
}

/// Whether an error says that something is damaged. What cannot be read because a disk or a server does not answer may be as sound as anything.
fn is_damage(error: &Error) -> bool {
    error.kind() == ErrorKind::Corrupt
}

/// Begins another look at the database: on a server, one that failed ends its transaction.
fn look_again(connection: &mut dyn Connection) -> Result<()> {
    connection.rollback();
    connection.begin_read()
}

/// What was read, or why it cannot be.
fn unless_damaged<T>(connection: &mut dyn Connection, read: Result<T>) -> Result<Result<T>> {
    match read {
        Err(error) if is_damage(&error) => {
            look_again(connection)?;
            Ok(Err(error))
        }
        read => read.map(Ok),
    }
}

/// Asks for one value, if that can be read.
pub(super) fn readable<T>(
    connection: &mut dyn Connection,
    sql: &str,
    values: &[Value<'_>],
    make: impl FnMut(&dyn Row) -> Result<T>,
) -> Result<Result<Option<T>>> {
    let read = first(connection, sql, values, make);
    unless_damaged(connection, read)
}

/// Asks for all of some values, if they can be read.
pub(super) fn all_readable<T>(
    connection: &mut dyn Connection,
    sql: &str,
    make: impl FnMut(&dyn Row) -> Result<T>,
) -> Result<Result<Vec<T>>> {
    let read = all(connection, sql, &[], make);
    unless_damaged(connection, read)
}

/// Calls with each row whose number lies between two, rising, and says which cannot be read.
pub(super) fn each_readable(
    connection: &mut dyn Connection,
    table: Numbered<'_>,
    bounds: RangeInclusive<Seq>,
    take: &mut dyn FnMut(&dyn Row) -> Result<()>,
) -> Result<Vec<Gap>> {
    let Numbered { table, columns, number } = table;
    let sql = format!(
        "SELECT {columns} FROM {table} WHERE {number} >= ?1 AND {number} <= ?2 ORDER BY {number} LIMIT ?3"
    );
    let mut gaps: Vec<Gap> = Vec::new();
    // What is still to be read, the lowest numbers last.
    let mut waiting = vec![bounds];
    while let Some(bounds) = waiting.pop() {
        let (mut next, last) = bounds.into_inner();
        let failed = loop {
            if next > last {
                break None;
            }
            let (mut rows, mut refused) = (0, None);
            let asked = [Value::number(next), Value::number(last), Value::number(ROWS)];
            let done = connection.query(&sql, &asked, &mut |row| {
                rows += 1;
                next = number_at(row, 0)? + 1;
                refused = take(row).err();
                Ok(if refused.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            });
            if let Some(error) = refused {
                return Err(error);
            }
            match done {
                Err(error) if is_damage(&error) => break Some(error),
                done => done?,
            }
            if rows < ROWS {
                break None;
            }
        };
        let Some(error) = failed else { continue };
        look_again(connection)?;
        if next >= last {
            gap(&mut gaps, last, &error);
            continue;
        }
        let middle = next + (last - next) / 2;
        waiting.extend([middle + 1..=last, next..=middle]);
    }
    Ok(gaps)
}

/// Adds a number that cannot be read to those before it.
fn gap(gaps: &mut Vec<Gap>, number: Seq, error: &Error) {
    match gaps.last_mut() {
        Some(gap) if gap.last + 1 == number && gap.reason == error.message() => gap.last = number,
        Some(_) | None => gaps.push(Gap { first: number, last: number, reason: error.message().to_owned() }),
    }
}
