//! What the index is asked for.
//!
//! Owns the statements that propose messages.

use std::ops::ControlFlow;

use rusqlite::OptionalExtension;

use super::{SearchFile, number};
use crate::backend::sqlite::query;
use crate::error::Result;
use crate::model::DAY_MICROS;
use crate::search::Matcher;

/// What a search asks for.
#[derive(Debug)]
pub(in crate::backend::directory) struct Asked {
    /// In the language of FTS5.
    pub(in crate::backend::directory) query: String,
    /// The conversation that messages are to be of.
    conversation: Option<i64>,
    /// Between which numbers they are.
    pub(in crate::backend::directory) numbers: (i64, i64),
    /// From which time on they may be meant, and before which.
    since: i64,
    until: i64,
}

/// A message in the index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::backend::directory) struct Row {
    pub(in crate::backend::directory) conversation: i64,
    pub(in crate::backend::directory) place: u64,
    pub(in crate::backend::directory) micros: i64,
}

impl Asked {
    /// Whether times from the one to the other may be meant.
    pub(in crate::backend::directory) fn is_of_time(&self, oldest: i64, newest: i64) -> bool {
        newest >= self.since && oldest < self.until
    }

    /// Whether a message may be meant, as far as the index can say.
    pub(in crate::backend::directory) fn is_meant(&self, row: &Row) -> bool {
        self.conversation.is_none_or(|conversation| conversation == row.conversation)
            && self.is_of_time(row.micros, row.micros)
    }
}

/// A word of a query in the language of FTS5.
pub(in crate::backend::directory) fn quoted(term: &str) -> String {
    format!("\"{}\"", term.replace('"', "\"\""))
}

impl SearchFile {
    /// What it is to be asked for; `None` if nothing in it can be meant.
    pub(in crate::backend::directory) fn asked(&self, matcher: &Matcher<'_>) -> Result<Option<Asked>> {
        let search = matcher.search;
        // A time without an offset may be meant up to a day beside.
        let since =
            search.since.map_or(i64::MIN, |time| time.approximate_unix_micros().saturating_sub(DAY_MICROS));
        let until =
            search.until.map_or(i64::MAX, |time| time.approximate_unix_micros().saturating_add(DAY_MICROS));
        let query = query(&matcher.query.proposals());
        let mut asked = Asked { query, conversation: None, numbers: (0, i64::MAX), since, until };
        if let Some(id) = &search.conversation {
            // Those of one conversation mostly follow each other.
            let sql = "SELECT c.number, (SELECT number FROM message WHERE conversation = c.number ORDER BY number LIMIT 1), \
                       (SELECT number FROM message WHERE conversation = c.number ORDER BY number DESC LIMIT 1) \
                       FROM conversation c WHERE c.id = ?1";
            let found = self.connection.prepare_cached(sql).and_then(|mut found| {
                let take = |row: &rusqlite::Row<'_>| {
                    Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, Option<i64>>(2)?))
                };
                found.query_row([id.as_bytes()], take).optional()
            });
            let Some((conversation, Some(first), Some(last))) = self.done(found)? else { return Ok(None) };
            (asked.conversation, asked.numbers) = (Some(conversation), (first, last));
        }
        Ok(Some(asked))
    }

    /// The numbers of the messages that have what a query of FTS5 says, from the highest on.
    pub(in crate::backend::directory) fn numbers(
        &self,
        query: &str,
        (first, last): (i64, i64),
        each: &mut dyn FnMut(i64) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let sql =
            "SELECT rowid FROM words WHERE words MATCH ?1 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid DESC";
        let mut statement = self.done(self.connection.prepare_cached(sql))?;
        let mut rows = self.done(statement.query((query, first, last)))?;
        while let Some(row) = self.done(rows.next())? {
            if each(self.done(row.get(0))?)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The terms with a beginning, each with the numbers of the messages that have it. Some of these may have been taken out.
    pub(in crate::backend::directory) fn beginnings(
        &self,
        beginning: &str,
        each: &mut dyn FnMut(&str, i64),
    ) -> Result<()> {
        let sql = "SELECT term, doc FROM vocabulary WHERE term >= ?1 AND term <= ?2";
        let mut statement = self.done(self.connection.prepare_cached(sql))?;
        let mut rows = self.done(statement.query((beginning, format!("{beginning}{}", char::MAX))))?;
        while let Some(row) = self.done(rows.next())? {
            let term = self.done(row.get_ref(0))?.as_str().unwrap_or_default();
            each(term, self.done(row.get(1))?);
        }
        Ok(())
    }

    /// A message.
    pub(in crate::backend::directory) fn row(&self, message: i64) -> Result<Option<Row>> {
        let sql = "SELECT conversation, place, micros FROM message WHERE number = ?1";
        let row = self.connection.prepare_cached(sql).and_then(|mut asked| {
            let take = |row: &rusqlite::Row<'_>| {
                Ok(Row { conversation: row.get(0)?, place: number(row.get(1)?), micros: row.get(2)? })
            };
            asked.query_row([message], take).optional()
        });
        self.done(row)
    }

    /// A conversation's id.
    pub(in crate::backend::directory) fn id_of(&self, conversation: i64) -> Result<Option<String>> {
        let sql = "SELECT id FROM conversation WHERE number = ?1";
        let id = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut asked| asked.query_row([conversation], |row| row.get::<_, Vec<u8>>(0)).optional());
        Ok(self.done(id)?.map(|id| String::from_utf8_lossy(&id).into_owned()))
    }
}
