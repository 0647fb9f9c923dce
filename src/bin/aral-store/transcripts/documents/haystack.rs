//! A list of Haystack's chat messages, as version 3.4.1 writes them.
//!
//! Owns what the parts of a message become. A result repeats its call, whose id it has there.

use super::{Talk, Talks, elements, other};
use crate::chat::json::Members;
use crate::transcripts::entry::{About, Entry, Line, inner, object, objects, raw, text};

pub(super) fn read(document: &str) -> Talks<'_> {
    Ok((vec![Talk { parts: elements(document)?, ..Talk::default() }], message))
}

fn message(message: &Members<'_>, about: &mut About) -> Line {
    let role = text(message, "role").unwrap_or_else(|| "user".to_owned());
    let mut entries = Vec::new();
    for part in objects(message.get("content")) {
        let (call, result) = (inner(&part, "tool_call"), inner(&part, "tool_call_result"));
        if let Some(said) = raw(&part, "text") {
            if role == "user" {
                about.prompt(said);
            }
            entries.push(Entry::message(&role, said.to_owned()));
        } else if raw(&part, "tool_call").is_some() {
            let members = [
                ("call_id", raw(&call, "id")),
                ("name", raw(&call, "tool_name")),
                ("input", raw(&call, "arguments")),
            ];
            entries.push(Entry::action("tool_call", &members));
        } else if raw(&part, "tool_call_result").is_some() {
            let origin = inner(&result, "origin");
            let failed = raw(&result, "error").filter(|failed| *failed == "true");
            let members =
                [("call_id", raw(&origin, "id")), ("output", raw(&result, "result")), ("is_error", failed)];
            entries.push(Entry::action("tool_result", &members));
        } else if raw(&part, "reasoning").is_some() {
            let thought = inner(&part, "reasoning");
            entries.push(Entry::action("thinking", &[("text", raw(&thought, "reasoning_text"))]));
        } else {
            entries.extend(other(None));
        }
    }
    if entries.is_empty() {
        entries = other(Some("\"message\""));
    }
    let meta = inner(message, "meta");
    let usage = inner(&meta, "usage");
    let mut usage = raw(&meta, "usage").map(|_| {
        object(&[
            ("input_tokens", raw(&usage, "prompt_tokens")),
            ("output_tokens", raw(&usage, "completion_tokens")),
        ])
    });
    for entry in &mut entries {
        entry.fields.extend(raw(&meta, "model").map(|model| ("model", model.to_owned())));
        entry.fields.extend(usage.take().map(|usage| ("usage", usage)));
    }
    Line { id: None, time: None, entries }
}
