//! The database of `llm`, as versions up to 0.36 write it (`logs.db`).
//!
//! Owns what its rows become. Messages are a chain of hashes, which threads share: each thread has the messages that its turns lead
//! to, and `parent_id` says which follows which. What versions without threads wrote is read as their documentation says.

use std::collections::HashSet;

use super::{Rest, record};
use crate::chat::json::Members;
use crate::exit::Failure;
use crate::transcripts::database::{Database, Row};
use crate::transcripts::entry::{Entry, Form, Line, inner, joined, object, objects, quoted, raw, text};
use crate::transcripts::record::{Known, Sink};

pub(super) fn is_one(database: &Database) -> bool {
    has_threads(database) || has_responses(database)
}

fn has_threads(database: &Database) -> bool {
    database.has("threads", &["id", "tip_message_hash"])
        && database.has("turns", &["id", "thread_id", "tip_message_hash"])
        && database.has("messages", &["hash", "parent_hash", "role"])
        && database.has("parts", &["message_hash", "position", "type", "text"])
}

fn has_responses(database: &Database) -> bool {
    database.has("conversations", &["id", "name"])
        && database.has("responses", &["id", "prompt", "response", "conversation_id", "datetime_utc"])
}

/// Messages that no thread leads to are few; they are gone through once more with the others.
pub(super) fn rest(table: &str) -> Rest {
    match table {
        "threads" => Rest::Nothing,
        "turns" => Rest::Where("t.thread_id IS NULL OR t.thread_id NOT IN (SELECT id FROM threads)"),
        "messages" => Rest::Where(
            "t.hash NOT IN (WITH RECURSIVE c(hash) AS (SELECT tip_message_hash FROM turns WHERE thread_id IN (SELECT id FROM threads) \
             UNION SELECT tip_message_hash FROM threads UNION SELECT m.parent_hash FROM messages AS m JOIN c ON m.hash = c.hash) \
             SELECT hash FROM c WHERE hash IS NOT NULL)",
        ),
        "parts" => Rest::Where(
            "t.message_hash IS NULL OR t.message_hash NOT IN (WITH RECURSIVE c(hash) AS (SELECT tip_message_hash FROM turns WHERE \
             thread_id IN (SELECT id FROM threads) UNION SELECT tip_message_hash FROM threads UNION SELECT m.parent_hash FROM messages \
             AS m JOIN c ON m.hash = c.hash) SELECT hash FROM c WHERE hash IN (SELECT hash FROM messages))",
        ),
        _ => Rest::All,
    }
}

pub(super) fn take(database: &Database, sink: &mut dyn Sink) -> Result<(), Failure> {
    if has_threads(database) {
        for thread in database.rows("threads", "ORDER BY t.id", &[])? {
            take_thread(database, &thread, sink)?;
        }
    }
    if has_responses(database) {
        for conversation in database.rows("conversations", "ORDER BY t.id", &[])? {
            take_conversation(database, &conversation, sink)?;
        }
    }
    Ok(())
}

fn take_thread(database: &Database, thread: &Row, sink: &mut dyn Sink) -> Result<(), Failure> {
    let Some(id) = thread.text("id") else {
        sink.unread("not imported", "a row of table \"threads\" has no id");
        return Ok(());
    };
    sink.begin(Known { session: id.to_owned(), path: format!("{id}.jsonl"), part: 0 })?;
    sink.about().title = thread.text("name").map(str::to_owned);
    sink.about().parent = thread.text("forked_from").map(str::to_owned);
    sink.about().created = thread.time("datetime_utc");
    sink.put(thread.record(format!("thread-{id}"), record("thread", thread)))?;
    let mut seen = HashSet::new();
    let turns = database.rows("turns", "WHERE t.thread_id = ?1 ORDER BY t.id", &[id])?;
    for turn in &turns {
        let Some(tip) = turn.text("tip_message_hash") else { continue };
        chain(database, tip, Some(turn), &mut seen, sink)?;
        let mut line = record("turn", turn);
        line.entries = line.entries.into_iter().map(|entry| entry.with("usage", Some(usage(turn)))).collect();
        sink.put(turn.record(format!("turn-{}", turn.text("id").unwrap_or_default()), line))?;
    }
    // A fork may not have a turn of its own yet.
    if let Some(tip) = thread.text("tip_message_hash") {
        chain(database, tip, None, &mut seen, sink)?;
    }
    sink.end()
}

/// The messages that lead to this one, as far as they have not been there.
fn chain(
    database: &Database,
    tip: &str,
    turn: Option<&Row>,
    seen: &mut HashSet<String>,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let (mut messages, mut next) = (Vec::new(), Some(tip.to_owned()));
    while let Some(hash) = next.take().filter(|hash| seen.insert(hash.clone())) {
        let found = database.rows("messages", "WHERE t.hash = ?1", &[&hash])?;
        let Some(message) = found.into_iter().next() else {
            sink.unread(&hash, "this message is named, and not in the database");
            break;
        };
        next = message.text("parent_hash").map(str::to_owned);
        messages.push(message);
    }
    for message in messages.iter().rev() {
        let hash = message.text("hash").unwrap_or_default();
        let role = message.text("role").unwrap_or("user").to_owned();
        let time = turn.and_then(|turn| turn.time("datetime_utc"));
        let model = turn.and_then(|turn| turn.json("resolved_model").or_else(|| turn.json("model")));
        let model = model.filter(|_| role == "assistant");
        let entry = Entry::action("record", &[("type", Some("\"message\"")), ("role", Some(&quoted(&role)))])
            .with("parent_id", message.json("parent_hash"))
            .with("model", model.clone());
        sink.put(message.record(hash.to_owned(), Line { id: None, time, entries: vec![entry] }))?;
        for part in database.rows("parts", "WHERE t.message_hash = ?1 ORDER BY t.position, t.id", &[hash])? {
            let entry = entry_of(database, &part, &role)?;
            if let (true, Form::Message { content, .. }) = (role == "user", &entry.form) {
                sink.about().prompt(content);
            }
            let entries = vec![entry.with("reply_id", Some(quoted(hash))).with("model", model.clone())];
            sink.put(part.record(format!("part-{}", part.name()), Line { id: None, time, entries }))?;
        }
    }
    Ok(())
}

fn entry_of(database: &Database, part: &Row, role: &str) -> Result<Entry, Failure> {
    let payload = part.text("payload").unwrap_or_default();
    let payload = Members::read(payload).unwrap_or_default();
    let kind = part.text("type").unwrap_or_default();
    Ok(match kind {
        "text" => match part.json("text") {
            Some(said) => Entry::message(role, said),
            None => Entry::message(role, put_together(database, &payload)?),
        },
        "reasoning" | "thinking" => Entry::action("thinking", &[("text", part.json("text").as_deref())]),
        "tool_call" => {
            let call = [
                ("call_id", raw(&payload, "tool_call_id")),
                ("name", raw(&payload, "name")),
                ("input", raw(&payload, "arguments")),
            ];
            Entry::action("tool_call", &call)
        }
        "tool_result" => {
            let failed = raw(&payload, "exception").is_some().then_some("true");
            let result = [
                ("call_id", raw(&payload, "tool_call_id")),
                ("output", raw(&payload, "output")),
                ("is_error", failed),
            ];
            Entry::action("tool_result", &result)
        }
        _ => Entry::action("record", &[("type", part.json("type").as_deref())]),
    })
}

/// A text that is made of fragments and of what stands between them.
fn put_together(database: &Database, payload: &Members<'_>) -> Result<String, Failure> {
    let mut whole = String::new();
    for piece in objects(payload.get("text_ref")) {
        if let Some(literal) = text(&piece, "literal") {
            whole.push_str(&literal);
        } else if let Some(id) = raw(&piece, "fragment") {
            let found = database.rows("fragments", "WHERE t.id = CAST(?1 AS INTEGER)", &[id])?;
            whole.push_str(found.first().and_then(|row| row.text("content")).unwrap_or_default());
        }
    }
    Ok(quoted(&whole))
}

fn usage(turn: &Row) -> String {
    let details = turn.text("token_details").unwrap_or_default();
    let details = Members::read(details).unwrap_or_default();
    let (input, output) = (turn.json("input_tokens"), turn.json("output_tokens"));
    let cached = raw(&details, "cached").map(str::to_owned);
    let cached =
        cached.or_else(|| raw(&inner(&details, "prompt_tokens_details"), "cached_tokens").map(str::to_owned));
    object(&[
        ("input_tokens", input.as_deref()),
        ("output_tokens", output.as_deref()),
        ("cache_read_tokens", cached.as_deref()),
    ])
}

/// What versions before threads wrote: a row for each prompt with its answer.
fn take_conversation(database: &Database, conversation: &Row, sink: &mut dyn Sink) -> Result<(), Failure> {
    let id = conversation.text("id").unwrap_or_default();
    let is_thread = !database.rows("threads", "WHERE t.id = ?1", &[id])?.is_empty();
    let name = if is_thread { format!("{id}/responses") } else { id.to_owned() };
    sink.begin(Known { path: format!("{name}.jsonl"), session: name, part: 0 })?;
    sink.about().title = conversation.text("name").map(str::to_owned);
    sink.about().parent = is_thread.then(|| id.to_owned());
    for response in
        database.rows("responses", "WHERE t.conversation_id = ?1 ORDER BY t.datetime_utc, t.id", &[id])?
    {
        let said = |column: &str| response.json(column).filter(|text| text != "\"\"");
        let mut entries = Vec::new();
        entries.extend(
            said("system").map(|text| Entry::message("system", text).with("is_prompt", Some("false"))),
        );
        if let Some(prompt) = said("prompt") {
            sink.about().prompt(&prompt);
            entries.push(Entry::message("user", prompt));
        }
        let answer = said("response").unwrap_or_else(|| joined(&[]));
        let usage = [
            ("input_tokens", response.json("input_tokens")),
            ("output_tokens", response.json("output_tokens")),
        ];
        let usage: Vec<(&str, Option<&str>)> =
            usage.iter().map(|(name, value)| (*name, value.as_deref())).collect();
        let answer = Entry::message("assistant", answer).with("model", response.json("model"));
        entries.push(answer.with("usage", Some(object(&usage))));
        let line = Line { id: None, time: response.time("datetime_utc"), entries };
        sink.put(response.record(response.text("id").unwrap_or_default().to_owned(), line))?;
    }
    sink.end()
}
