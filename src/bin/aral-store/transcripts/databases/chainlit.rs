//! The database of Chainlit's layer for `SQLAlchemy` in SQLite, as versions up to 2.12.0 write it.
//!
//! Owns which rows are a thread's.

use super::{Rest, record};
use crate::exit::Failure;
use crate::transcripts::chainlit;
use crate::transcripts::database::Database;
use crate::transcripts::entry::Line;
use crate::transcripts::record::{Known, Sink};

pub(super) fn is_one(database: &Database) -> bool {
    database.has("threads", &["id", "createdAt", "name"])
        && database.has("steps", &["id", "threadId", "parentId", "type", "input", "output", "createdAt"])
}

pub(super) fn rest(table: &str) -> Rest {
    match table {
        "threads" => Rest::Nothing,
        "steps" | "elements" => {
            Rest::Where("t.\"threadId\" IS NULL OR t.\"threadId\" NOT IN (SELECT id FROM threads)")
        }
        _ => Rest::All,
    }
}

pub(super) fn take(database: &Database, sink: &mut dyn Sink) -> Result<(), Failure> {
    for thread in database.rows("threads", "ORDER BY t.\"createdAt\", t.id", &[])? {
        let Some(id) = thread.text("id") else {
            sink.unread("not imported", "a row of table \"threads\" has no id");
            continue;
        };
        sink.begin(Known { session: id.to_owned(), path: format!("{id}.jsonl"), part: 0 })?;
        sink.about().title = thread.text("name").map(str::to_owned);
        sink.about().created = thread.time("createdAt");
        sink.about().learn_json("user", thread.json("userIdentifier"));
        sink.put(thread.record(format!("thread-{id}"), record("thread", &thread)))?;
        let of_thread = "WHERE t.\"threadId\" = ?1 ORDER BY t.\"createdAt\", t.rowid";
        database.each("steps", of_thread, &[id], &mut |row| {
            let row = match row {
                Ok(row) => row,
                Err(reason) => {
                    sink.unread("not imported", &reason);
                    return Ok(());
                }
            };
            let entries = chainlit::entries(&|column| row.json(column), sink.about());
            let line = Line { id: None, time: row.time("createdAt"), entries };
            sink.put(row.record(row.text("id").unwrap_or_default().to_owned(), line))
        })?;
        for row in database.rows("elements", "WHERE t.\"threadId\" = ?1 ORDER BY t.rowid", &[id])? {
            sink.put(row.record(row.name(), record("element", &row)))?;
        }
        sink.end()?;
    }
    Ok(())
}
