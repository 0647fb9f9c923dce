//! Messages of Vercel's AI SDK for a user interface (`UIMessage`), as versions up to 7.0.173 make them.
//!
//! Owns what each part becomes. A call and its result are one part. A message has no time, and the steps of it, which are replies of the
//! model each, are told apart by `reply_id`.

use super::{Talk, Talks, elements, other};
use crate::chat::json::Members;
use crate::transcripts::entry::{About, Entry, Line, inner, object, objects, quoted, raw, text};

pub(super) fn read(document: &str) -> Talks<'_> {
    Ok((vec![Talk { parts: elements(document)?, ..Talk::default() }], message))
}

fn message(message: &Members<'_>, about: &mut About) -> Line {
    let role = text(message, "role").unwrap_or_else(|| "user".to_owned());
    let id = text(message, "id");
    let (mut entries, mut step) = (Vec::new(), 0);
    for part in objects(message.get("parts")) {
        let kind = text(&part, "type").unwrap_or_default();
        step += u64::from(kind == "step-start");
        let before = entries.len();
        match kind.as_str() {
            "text" => {
                let said = raw(&part, "text").unwrap_or("\"\"");
                if role == "user" {
                    about.prompt(said);
                }
                entries.push(Entry::message(&role, said.to_owned()));
            }
            "reasoning" => entries.push(Entry::action("thinking", &[("text", raw(&part, "text"))])),
            "step-start" => {}
            _ if kind.starts_with("tool-") || kind == "dynamic-tool" => entries.extend(tool(&part, &kind)),
            _ => entries.extend(other(raw(&part, "type"))),
        }
        let reply = id.as_ref().filter(|_| step > 0).map(|id| quoted(&format!("{id}/{step}")));
        for entry in entries.iter_mut().skip(before) {
            entry.fields.extend(reply.clone().map(|reply| ("reply_id", reply)));
        }
    }
    if entries.is_empty() {
        entries = other(Some("\"message\""));
    }
    let metadata = inner(message, "metadata");
    let model = raw(&metadata, "model").or_else(|| raw(&metadata, "modelId")).map(str::to_owned);
    let mut usage = usage(&metadata);
    for entry in &mut entries {
        entry.fields.extend(model.clone().map(|model| ("model", model)));
        entry.fields.extend(usage.take().map(|usage| ("usage", usage)));
    }
    Line { id, time: None, entries }
}

fn tool(part: &Members<'_>, kind: &str) -> Vec<Entry> {
    let named = kind.strip_prefix("tool-").map(quoted);
    let name = named.as_deref().or_else(|| raw(part, "toolName"));
    let id = raw(part, "toolCallId");
    let input = raw(part, "input").or_else(|| raw(part, "rawInput"));
    let mut entries = vec![Entry::action("tool_call", &[("call_id", id), ("name", name), ("input", input)])];
    match text(part, "state").as_deref() {
        Some("output-available") => {
            entries.push(Entry::action("tool_result", &[("call_id", id), ("output", raw(part, "output"))]));
        }
        Some("output-error") => {
            let failed = [("call_id", id), ("output", raw(part, "errorText")), ("is_error", Some("true"))];
            entries.push(Entry::action("tool_result", &failed));
        }
        _ => {}
    }
    entries
}

fn usage(metadata: &Members<'_>) -> Option<String> {
    raw(metadata, "usage")?;
    let usage = inner(metadata, "usage");
    let details = inner(&usage, "inputTokenDetails");
    Some(object(&[
        ("input_tokens", raw(&usage, "inputTokens")),
        ("output_tokens", raw(&usage, "outputTokens")),
        ("cache_read_tokens", raw(&details, "cacheReadTokens").or_else(|| raw(&usage, "cachedInputTokens"))),
        ("cache_write_tokens", raw(&details, "cacheWriteTokens")),
    ]))
}
