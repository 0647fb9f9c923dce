//! The databases of the agents kit of `OpenAI`, as versions up to 0.24.0 write them: `SQLiteSession`, `AdvancedSQLiteSession` and the
//! tables of `SQLAlchemySession`.
//!
//! Owns what their rows become. Each branch of an advanced session is a conversation of its own, which has the rows that it
//! shares; what an encrypted session wrote stays as it is.

use super::{Rest, mark, record};
use crate::chat::json::Members;
use crate::exit::Failure;
use crate::transcripts::database::{Database, Row};
use crate::transcripts::entry::{Entry, Line, object};
use crate::transcripts::record::{Known, Sink};
use crate::transcripts::responses;

/// The branch that a session begins with.
const MAIN: &str = "main";

pub(super) fn is_one(database: &Database) -> bool {
    database.has("agent_sessions", &["session_id", "created_at"])
        && database.has("agent_messages", &["id", "session_id", "message_data"])
}

pub(super) fn is_advanced(database: &Database) -> bool {
    database.has("message_structure", &["session_id", "message_id", "branch_id", "sequence_number"])
}

pub(super) fn rest(table: &str) -> Rest {
    match table {
        "agent_sessions" => Rest::Nothing,
        "agent_messages" => Rest::Where("t.session_id NOT IN (SELECT session_id FROM agent_sessions)"),
        _ => Rest::All,
    }
}

pub(super) fn rest_of_advanced(table: &str) -> Rest {
    match table {
        "agent_messages" => Rest::Where(
            "NOT EXISTS (SELECT 1 FROM message_structure AS m JOIN agent_sessions AS s ON s.session_id = m.session_id \
             WHERE m.message_id = t.id)",
        ),
        other => rest(other),
    }
}

pub(super) fn take(database: &Database, sink: &mut dyn Sink) -> Result<(), Failure> {
    for session in database.rows("agent_sessions", "ORDER BY t.created_at, t.session_id", &[])? {
        let Some(id) = session.text("session_id").map(str::to_owned) else {
            sink.unread("not imported", "a row of table \"agent_sessions\" has no id");
            continue;
        };
        // The program that uses the kit names its sessions, and other programs have others of the same name.
        let name = format!("{id}-{}", mark(session.text("created_at").unwrap_or_default()));
        let branches = branches(database, &id)?;
        if branches.is_empty() {
            let query = "WHERE t.session_id = ?1 ORDER BY t.id";
            begin(&session, &name, None, sink)?;
            items(database, query, &[&id], sink)?;
            sink.end()?;
        }
        for branch in branches {
            let query = "JOIN message_structure AS m ON m.message_id = t.id WHERE m.session_id = ?1 AND m.branch_id = ?2 \
                         ORDER BY m.sequence_number, m.id";
            let is_main = branch == MAIN;
            let own = if is_main { name.clone() } else { format!("{name}/{branch}") };
            begin(&session, &own, Some(&name).filter(|_| !is_main), sink)?;
            items(database, query, &[&id, &branch], sink)?;
            for usage in database.rows(
                "turn_usage",
                "WHERE t.session_id = ?1 AND t.branch_id = ?2 ORDER BY t.id",
                &[&id, &branch],
            )? {
                let mut line = record("turn_usage", &usage);
                line.entries = line
                    .entries
                    .into_iter()
                    .map(|entry| entry.with("usage", Some(of_turn(&usage))))
                    .collect();
                sink.put(usage.record(usage.name(), line))?;
            }
            sink.end()?;
        }
    }
    Ok(())
}

fn begin(session: &Row, name: &str, parent: Option<&String>, sink: &mut dyn Sink) -> Result<(), Failure> {
    sink.begin(Known { session: name.to_owned(), path: format!("{name}.jsonl"), part: 0 })?;
    sink.about().created = session.time("created_at");
    sink.about().parent = parent.cloned();
    sink.put(session.record(session.name(), record("agent_sessions", session)))
}

/// The branches of a session, in the order in which they began.
fn branches(database: &Database, id: &str) -> Result<Vec<String>, Failure> {
    let mut found: Vec<String> = Vec::new();
    if !is_advanced(database) {
        return Ok(found);
    }
    for row in database.rows("message_structure", "WHERE t.session_id = ?1 ORDER BY t.id", &[id])? {
        let branch = row.text("branch_id").unwrap_or(MAIN);
        if found.iter().all(|known| known != branch) {
            found.push(branch.to_owned());
        }
    }
    Ok(found)
}

fn items(database: &Database, query: &str, names: &[&str], sink: &mut dyn Sink) -> Result<(), Failure> {
    database.each("agent_messages", query, names, &mut |row| {
        let row = match row {
            Ok(row) => row,
            Err(reason) => {
                sink.unread("not imported", &reason);
                return Ok(());
            }
        };
        let data = row.text("message_data").unwrap_or_default();
        let entries = match Members::read(data) {
            Ok(item) if item.get("__enc__").is_some() => {
                vec![Entry::action("record", &[("type", Some("\"encrypted\""))])]
            }
            Ok(item) => responses::entries(&item, sink.about()),
            Err(error) => {
                sink.unread(&row.name(), &format!("its data is no JSON, and kept as it is: {error}"));
                Vec::new()
            }
        };
        sink.put(row.record(row.name(), Line { id: None, time: row.time("created_at"), entries }))
    })
}

fn of_turn(row: &Row) -> String {
    let details = row.text("input_tokens_details").unwrap_or_default();
    let details = Members::read(details).unwrap_or_default();
    let (input, output) = (row.json("input_tokens"), row.json("output_tokens"));
    object(&[
        ("input_tokens", input.as_deref()),
        ("output_tokens", output.as_deref()),
        ("cache_read_tokens", crate::transcripts::entry::raw(&details, "cached_tokens")),
        ("cache_write_tokens", crate::transcripts::entry::raw(&details, "cache_write_tokens")),
    ])
}
