//! The state of an agent of `AutoGen`, and the messages of its runs, as version 0.7.5 writes them.
//!
//! Owns what each type of message becomes.

use super::{Talk, Talks, elements, listed, object, other};
use crate::chat::json::{Members, time};
use crate::transcripts::entry::{self, About, Entry, Line, inner, objects, raw, text};
use crate::transcripts::responses::arguments;

pub(super) fn read(document: &str) -> Talks<'_> {
    let parts = if document.trim_start().starts_with('[') {
        elements(document)?
    } else {
        let context = inner(&object(document)?, "llm_context");
        listed(context.get("messages"))
    };
    Ok((vec![Talk { parts, ..Talk::default() }], message))
}

fn message(message: &Members<'_>, about: &mut About) -> Line {
    let kind = text(message, "type").unwrap_or_default();
    let said = raw(message, "content").filter(|content| content.starts_with('"'));
    let role = match (kind.as_str(), text(message, "source").as_deref()) {
        ("SystemMessage", _) => "system",
        ("UserMessage", _) | (_, Some("user")) => "user",
        _ => "assistant",
    };
    let mut entries = Vec::new();
    let thought = raw(message, "thought");
    entries.extend(thought.map(|_| Entry::action("thinking", &[("text", thought)])));
    match said {
        Some(_) if kind == "ThoughtEvent" => entries.push(Entry::action("thinking", &[("text", said)])),
        Some(said) => {
            if role == "user" {
                about.prompt(said);
            }
            entries.push(Entry::message(role, said.to_owned()));
        }
        None => {
            for item in objects(message.get("content")) {
                let of = |name: &'static str, member: &str| (name, raw(&item, member));
                let failed = raw(&item, "is_error").filter(|failed| *failed == "true");
                if raw(&item, "call_id").is_some() {
                    let result = [of("call_id", "call_id"), of("output", "content"), ("is_error", failed)];
                    entries.push(Entry::action("tool_result", &result));
                } else if raw(&item, "arguments").is_some() {
                    let input = arguments(&item, "arguments");
                    entries.push(Entry::action(
                        "tool_call",
                        &[of("call_id", "id"), of("name", "name"), ("input", input.as_deref())],
                    ));
                } else {
                    entries.extend(other(raw(message, "type")));
                }
            }
        }
    }
    if entries.is_empty() {
        entries = other(raw(message, "type"));
    }
    let usage = inner(message, "models_usage");
    if let (Some(first), Some(_)) = (entries.first_mut(), raw(message, "models_usage")) {
        let usage = entry::object(&[
            ("input_tokens", raw(&usage, "prompt_tokens")),
            ("output_tokens", raw(&usage, "completion_tokens")),
        ]);
        first.fields.push(("usage", usage));
    }
    Line { id: text(message, "id"), time: message.get("created_at").and_then(time), entries }
}
