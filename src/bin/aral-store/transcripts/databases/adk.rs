//! The databases of Google's Agent Development Kit, as versions up to 2.13.0 write them: `SqliteSessionService` and
//! `DatabaseSessionService`.
//!
//! Owns what their rows become. Events are in the order of their times.

use super::{Rest, mark, record};
use crate::chat::json::Members;
use crate::exit::Failure;
use crate::transcripts::database::{Database, Row};
use crate::transcripts::entry::{About, Entry, Line, inner, joined, object, objects, quoted, raw, text};
use crate::transcripts::record::{Known, Sink};

pub(super) fn is_one(database: &Database) -> bool {
    database.has("sessions", &["app_name", "user_id", "id", "create_time"])
        && database.has("events", &["id", "app_name", "user_id", "session_id", "timestamp", "event_data"])
}

pub(super) fn rest(table: &str) -> Rest {
    match table {
        "sessions" => Rest::Nothing,
        "events" => Rest::Where(
            "NOT EXISTS (SELECT 1 FROM sessions AS s WHERE s.app_name = t.app_name AND s.user_id = t.user_id AND s.id = t.session_id)",
        ),
        _ => Rest::All,
    }
}

pub(super) fn take(database: &Database, sink: &mut dyn Sink) -> Result<(), Failure> {
    for session in database.rows("sessions", "ORDER BY t.create_time, t.app_name, t.user_id, t.id", &[])? {
        let [app, user, id] =
            ["app_name", "user_id", "id"].map(|name| session.text(name).unwrap_or_default());
        // Programs name their users and sessions, and others have others of the same name.
        let name = format!("{app}/{user}/{id}-{}", mark(&session.json("create_time").unwrap_or_default()));
        sink.begin(Known { path: format!("{name}.jsonl"), session: name, part: 0 })?;
        sink.about().created = session.time("create_time");
        sink.about().learn_json("app", Some(quoted(app)));
        sink.about().learn_json("user", Some(quoted(user)));
        sink.put(session.record(session.name(), record("session", &session)))?;
        let query =
            "WHERE t.app_name = ?1 AND t.user_id = ?2 AND t.session_id = ?3 ORDER BY t.timestamp, t.rowid";
        database.each("events", query, &[app, user, id], &mut |row| {
            let row = match row {
                Ok(row) => row,
                Err(reason) => {
                    sink.unread("not imported", &reason);
                    return Ok(());
                }
            };
            let entries = event(&row, sink);
            let line = Line { id: None, time: row.time("timestamp"), entries };
            sink.put(row.record(row.text("id").unwrap_or_default().to_owned(), line))
        })?;
        sink.end()?;
    }
    Ok(())
}

fn event(row: &Row, sink: &mut dyn Sink) -> Vec<Entry> {
    let data = row.text("event_data").unwrap_or_default();
    let event = match Members::read(data) {
        Ok(event) => event,
        Err(error) => {
            sink.unread(&row.name(), &format!("its data is no JSON, and kept as it is: {error}"));
            return Vec::new();
        }
    };
    let mut entries = contents(&inner(&event, "content"), sink.about());
    if entries.is_empty() {
        entries.push(Entry::action("record", &[("type", Some("\"event\""))]));
    }
    let model = raw(&event, "model_version");
    let turn = raw(&event, "invocation_id");
    let mut usage = usage(&event);
    for entry in &mut entries {
        let known = [
            ("model", model.map(str::to_owned)),
            ("turn_id", turn.map(str::to_owned)),
            ("usage", usage.take()),
        ];
        entry.fields.extend(known.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))));
    }
    entries
}

/// What the parts of a content become: texts that stand together are one message.
fn contents(content: &Members<'_>, about: &mut About) -> Vec<Entry> {
    let role = text(content, "role").filter(|role| role != "model").unwrap_or_else(|| "assistant".to_owned());
    let parts = objects(content.get("parts"));
    let (mut entries, mut said) = (Vec::new(), Vec::new());
    for part in &parts {
        let (call, response) = (inner(part, "function_call"), inner(part, "function_response"));
        if let Some(text) = raw(part, "text") {
            if raw(part, "thought") == Some("true") {
                entries.push(Entry::action("thinking", &[("text", Some(text))]));
            } else {
                said.push(text);
            }
        } else if raw(part, "function_call").is_some() {
            let call =
                [("call_id", raw(&call, "id")), ("name", raw(&call, "name")), ("input", raw(&call, "args"))];
            entries.push(Entry::action("tool_call", &call));
        } else if raw(part, "function_response").is_some() {
            let result = [("call_id", raw(&response, "id")), ("output", raw(&response, "response"))];
            entries.push(Entry::action("tool_result", &result));
        } else {
            entries.push(Entry::action("record", &[("type", Some("\"part\""))]));
        }
    }
    if !said.is_empty() {
        let content = joined(&said);
        if role == "user" {
            about.prompt(&content);
        }
        let at = entries.iter().take_while(|entry| entry.is_thinking()).count();
        entries.insert(at, Entry::message(&role, content));
    }
    entries
}

fn usage(event: &Members<'_>) -> Option<String> {
    raw(event, "usage_metadata")?;
    let usage = inner(event, "usage_metadata");
    Some(object(&[
        ("input_tokens", raw(&usage, "prompt_token_count")),
        ("output_tokens", raw(&usage, "candidates_token_count")),
        ("cache_read_tokens", raw(&usage, "cached_content_token_count")),
    ]))
}
