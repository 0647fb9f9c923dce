//! What the index is asked for.
//!
//! Owns the statements that propose messages.

use std::ops::ControlFlow;

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::{SearchFile, number};
use crate::backend::sqlite::query;
use crate::error::Result;
use crate::model::DAY_MICROS;
use crate::search::Matcher;

/// What the index is asked for.
pub(in crate::backend::directory) struct Asked {
    sql: String,
    values: Vec<Value>,
}

/// A message that may be found.
pub(in crate::backend::directory) struct Proposed<'p> {
    pub(in crate::backend::directory) micros: i64,
    pub(in crate::backend::directory) place: u64,
    pub(in crate::backend::directory) id: &'p str,
}

impl Asked {
    pub(in crate::backend::directory) fn of(matcher: &Matcher<'_>) -> Self {
        let mut sql =
            "SELECT m.micros, m.place, c.id FROM message m JOIN conversation c ON c.number = m.conversation \
             WHERE m.number IN (SELECT rowid FROM words WHERE words MATCH ?)"
                .to_owned();
        let mut values = vec![Value::Text(query(&matcher.query.proposals()))];
        let mut and = |condition: &str, value: Value| {
            sql += condition;
            values.push(value);
        };
        let search = matcher.search;
        if let Some(id) = &search.conversation {
            and(" AND c.id = ?", Value::Blob(id.as_bytes().to_vec()));
        }
        // A time without an offset may be meant up to a day beside.
        if let Some(since) = search.since {
            let micros = since.approximate_unix_micros().saturating_sub(DAY_MICROS);
            and(" AND m.micros >= ?", Value::Integer(micros));
        }
        if let Some(until) = search.until {
            let micros = until.approximate_unix_micros().saturating_add(DAY_MICROS);
            and(" AND m.micros < ?", Value::Integer(micros));
        }
        sql += " ORDER BY m.micros DESC";
        Self { sql, values }
    }
}

impl SearchFile {
    /// What is to be looked at, from the newest to older ones.
    pub(in crate::backend::directory) fn propose(
        &self,
        asked: &Asked,
        each: &mut dyn FnMut(Proposed<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let mut statement = self.done(self.connection.prepare(&asked.sql))?;
        let mut rows = self.done(statement.query(params_from_iter(&asked.values)))?;
        while let Some(row) = self.done(rows.next())? {
            let id: Vec<u8> = self.done(row.get(2))?;
            let (micros, place) = (self.done(row.get(0))?, number(self.done(row.get(1))?));
            let id = String::from_utf8_lossy(&id);
            if each(Proposed { micros, place, id: &id })?.is_break() {
                break;
            }
        }
        Ok(())
    }
}
