//! A message history of Pydantic AI, as versions up to 2.68.0 write it.
//!
//! Owns what the parts of requests and responses become. What asks the model to try again looks like a result: it is one that failed.

use super::{Talk, Talks, elements, other};
use crate::chat::json::{Members, time};
use crate::transcripts::entry::{About, Entry, Line, inner, joined, object, objects, raw, text};
use crate::transcripts::responses::arguments;

pub(super) fn read(document: &str) -> Talks<'_> {
    let parts = elements(document)?;
    let first = parts.first().and_then(|raw| Members::read(raw.get()).ok()).unwrap_or_default();
    let mut about = About::default();
    about.learn("session_id", first.get("conversation_id"));
    Ok((vec![Talk { about, parts, ..Talk::default() }], message))
}

fn message(message: &Members<'_>, about: &mut About) -> Line {
    let mut entries = Vec::new();
    for part in objects(message.get("parts")) {
        entries.extend(entry(&part, about));
    }
    if entries.is_empty() {
        entries = other(raw(message, "kind"));
    }
    let is_reply = text(message, "kind").as_deref() == Some("response");
    let model = raw(message, "model_name").filter(|_| is_reply);
    let turn = raw(message, "run_id");
    let mut usage = is_reply.then(|| usage(message)).flatten();
    for entry in &mut entries {
        let fields = [
            ("model", model.map(str::to_owned)),
            ("turn_id", turn.map(str::to_owned)),
            ("usage", usage.take()),
        ];
        entry.fields.extend(fields.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))));
    }
    Line { id: None, time: message.get("timestamp").and_then(time), entries }
}

fn entry(part: &Members<'_>, about: &mut About) -> Vec<Entry> {
    let of = |name: &'static str, member: &str| (name, raw(part, member));
    let kind = text(part, "part_kind").unwrap_or_default();
    let id = of("call_id", "tool_call_id");
    match kind.as_str() {
        "system-prompt" => vec![
            Entry::message("system", raw(part, "content").unwrap_or("\"\"").to_owned())
                .with("is_prompt", Some("false")),
        ],
        "user-prompt" => prompt(part, about),
        "text" => vec![Entry::message("assistant", raw(part, "content").unwrap_or("\"\"").to_owned())],
        "thinking" => vec![Entry::action("thinking", &[of("text", "content")])],
        "tool-call" | "builtin-tool-call" => {
            let input = arguments(part, "args");
            vec![Entry::action("tool_call", &[id, of("name", "tool_name"), ("input", input.as_deref())])]
        }
        "tool-return" | "builtin-tool-return" => {
            let outcome = text(part, "outcome");
            let failed = outcome.is_some_and(|outcome| outcome != "success").then_some("true");
            vec![Entry::action("tool_result", &[id, of("output", "content"), ("is_error", failed)])]
        }
        // As earlier versions ask again.
        "retry-prompt" if raw(part, "tool_name").is_some() => {
            vec![Entry::action("tool_result", &[id, of("output", "content"), ("is_error", Some("true"))])]
        }
        _ => other(raw(part, "part_kind")),
    }
}

fn prompt(part: &Members<'_>, about: &mut About) -> Vec<Entry> {
    let content = raw(part, "content").unwrap_or("\"\"");
    let pieces = super::listed(part.get("content"));
    let texts: Vec<&str> = if content.starts_with('"') {
        vec![content]
    } else {
        pieces.iter().map(|piece| piece.get()).filter(|piece| piece.starts_with('"')).collect()
    };
    let mut entries = Vec::new();
    if !texts.is_empty() {
        let said = joined(&texts);
        about.prompt(&said);
        entries.push(Entry::message("user", said));
    }
    for piece in pieces.iter().filter(|piece| piece.get().starts_with('{')) {
        let piece = Members::read(piece.get()).unwrap_or_default();
        entries.extend(other(raw(&piece, "kind")));
    }
    entries
}

fn usage(message: &Members<'_>) -> Option<String> {
    raw(message, "usage")?;
    let usage = inner(message, "usage");
    let of = |name: &'static str| (name, raw(&usage, name));
    Some(object(&[
        of("input_tokens"),
        of("output_tokens"),
        of("cache_read_tokens"),
        of("cache_write_tokens"),
    ]))
}
