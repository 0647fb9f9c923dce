//! The database of opencode, as versions up to 1.18.33 write it.
//!
//! Owns what its rows become: of a session the session itself, its messages and their parts. Its log of all versions of those is kept
//! among the other rows.

use super::{Rest, record};
use crate::chat::json::Members;
use crate::exit::Failure;
use crate::transcripts::database::{Database, Row};
use crate::transcripts::entry::{Entry, Line, inner, object, quoted, raw, text};
use crate::transcripts::record::{Known, Sink};

pub(super) fn is_one(database: &Database) -> bool {
    database.has("session", &["id", "directory", "title", "time_created"])
        && database.has("message", &["id", "session_id", "data"])
        && database.has("part", &["id", "message_id", "data"])
}

pub(super) fn rest(table: &str) -> Rest {
    match table {
        "session" => Rest::Nothing,
        "message" => Rest::Where("t.session_id NOT IN (SELECT id FROM session)"),
        "part" => Rest::Where(
            "NOT EXISTS (SELECT 1 FROM message AS m JOIN session AS s ON s.id = m.session_id WHERE m.id = t.message_id)",
        ),
        "account" | "account_state" | "control_account" | "credential" | "session_share" => Rest::Secret,
        _ => Rest::All,
    }
}

pub(super) fn take(database: &Database, sink: &mut dyn Sink) -> Result<(), Failure> {
    for session in database.rows("session", "ORDER BY t.time_created, t.id", &[])? {
        let Some(id) = session.text("id").map(str::to_owned) else {
            sink.unread("not imported", "a row of table \"session\" has no id");
            continue;
        };
        sink.begin(Known { session: id.clone(), path: format!("{id}.jsonl"), part: 0 })?;
        let about = sink.about();
        about.title = session.text("title").map(str::to_owned);
        about.parent = session.text("parent_id").map(str::to_owned);
        about.created = session.time("time_created");
        about.learn_json("cwd", session.json("directory"));
        about.learn_json("version", session.json("version"));
        sink.put(session.record(id.clone(), record("session", &session)))?;
        for message in database.rows("message", "WHERE t.session_id = ?1 ORDER BY t.id", &[&id])? {
            take_message(database, &message, sink)?;
        }
        sink.end()?;
    }
    Ok(())
}

fn take_message(database: &Database, message: &Row, sink: &mut dyn Sink) -> Result<(), Failure> {
    let id = message.text("id").unwrap_or_default().to_owned();
    let data = message.text("data").unwrap_or_default();
    let data = Members::read(data).unwrap_or_default();
    let role = text(&data, "role").unwrap_or_else(|| "user".to_owned());
    let model = raw(&data, "modelID").map(str::to_owned);
    let mut line = record("message", message);
    let parent = raw(&data, "parentID").map(str::to_owned);
    line.entries = vec![
        Entry::action("record", &[("type", Some("\"message\"")), ("role", Some(&quoted(&role)))])
            .with("model", model.clone())
            .with("usage", usage(&data))
            .with("parent_id", parent),
    ];
    sink.put(message.record(id.clone(), line))?;
    let (id, is_reply) = (quoted(&id), role == "assistant");
    database.each(
        "part",
        "WHERE t.message_id = ?1 ORDER BY t.id",
        &[message.text("id").unwrap_or_default()],
        &mut |row| {
            let row = match row {
                Ok(row) => row,
                Err(reason) => {
                    sink.unread("not imported", &reason);
                    return Ok(());
                }
            };
            let mut entries = part(&row, &role, sink);
            for entry in &mut entries {
                entry.fields.push(("reply_id", id.clone()));
                entry.fields.extend(model.clone().filter(|_| is_reply).map(|model| ("model", model)));
            }
            let line = Line { id: None, time: row.time("time_created"), entries };
            sink.put(row.record(row.text("id").unwrap_or_default().to_owned(), line))
        },
    )
}

fn part(row: &Row, role: &str, sink: &mut dyn Sink) -> Vec<Entry> {
    let data = row.text("data").unwrap_or_default();
    let data = Members::read(data).unwrap_or_default();
    let kind = text(&data, "type").unwrap_or_default();
    match (kind.as_str(), raw(&data, "text")) {
        ("text", Some(said)) if said.starts_with('"') => {
            let is_prompt = role == "user" && raw(&data, "synthetic") != Some("true");
            if is_prompt {
                sink.about().prompt(said);
            }
            let is_harness = role == "user" && !is_prompt;
            vec![Entry::message(role, said.to_owned()).with("is_prompt", is_harness.then_some("false"))]
        }
        ("reasoning", Some(said)) => vec![Entry::action("thinking", &[("text", Some(said))])],
        ("tool", _) => tool(&data),
        _ => vec![Entry::action("record", &[("type", raw(&data, "type"))])],
    }
}

/// A call, and what came of it once that is there.
fn tool(data: &Members<'_>) -> Vec<Entry> {
    let state = inner(data, "state");
    let id = raw(data, "callID");
    let call = [("call_id", id), ("name", raw(data, "tool")), ("input", raw(&state, "input"))];
    let mut entries = vec![Entry::action("tool_call", &call)];
    let status = text(&state, "status").unwrap_or_default();
    let output = match status.as_str() {
        "completed" => raw(&state, "output"),
        "error" => raw(&state, "error"),
        _ => return entries,
    };
    let is_error = (status == "error").then_some("true");
    entries
        .push(Entry::action("tool_result", &[("call_id", id), ("output", output), ("is_error", is_error)]));
    entries
}

/// What a reply took. The part that ends its step says the same once more.
fn usage(data: &Members<'_>) -> Option<String> {
    raw(data, "tokens")?;
    let tokens = inner(data, "tokens");
    let cache = inner(&tokens, "cache");
    Some(object(&[
        ("input_tokens", raw(&tokens, "input")),
        ("output_tokens", raw(&tokens, "output")),
        ("cache_read_tokens", raw(&cache, "read")),
        ("cache_write_tokens", raw(&cache, "write")),
    ]))
}
