//! A chat store of `LlamaIndex`, or a buffer of its memory, as version 0.14.25 writes them.
//!
//! Owns what the blocks of a message become. A call may lie there twice, as a block and among what was given beside it: then the block
//! counts.

use super::{Talk, Talks, listed, object, other};
use crate::chat::json::Members;
use crate::transcripts::entry::{About, Entry, Line, inner, joined, objects, raw, text};
use crate::transcripts::responses::arguments;

pub(super) fn read(document: &str) -> Talks<'_> {
    let whole = object(document)?;
    let store = if whole.get("store").is_some() { whole } else { inner(&whole, "chat_store") };
    let keys = inner(&store, "store");
    let talks = keys.into_list().into_iter().map(|(key, raw)| {
        let mut about = About::default();
        about.learn_json("key", Some(crate::transcripts::entry::quoted(&key)));
        Talk { name: None, about, parts: listed(Some(raw)) }
    });
    Ok((talks.collect(), message))
}

fn message(message: &Members<'_>, about: &mut About) -> Line {
    let role = text(message, "role").unwrap_or_else(|| "user".to_owned());
    let beside = inner(message, "additional_kwargs");
    let blocks = objects(message.get("blocks"));
    let mut texts: Vec<&str> = blocks
        .iter()
        .filter(|block| text(block, "block_type").as_deref() == Some("text"))
        .filter_map(|block| raw(block, "text"))
        .collect();
    texts.extend(raw(message, "content").filter(|content| content.starts_with('"')));
    let said = joined(&texts);
    let mut entries = Vec::new();
    if role == "tool" {
        entries.push(Entry::action(
            "tool_result",
            &[("call_id", raw(&beside, "tool_call_id")), ("output", Some(&said))],
        ));
    } else if !texts.is_empty() {
        if role == "user" {
            about.prompt(&said);
        }
        entries.push(Entry::message(&role, said));
    }
    let mut has_calls = false;
    for block in &blocks {
        match text(block, "block_type").as_deref() {
            Some("text") => {}
            Some("thinking") => entries.push(Entry::action("thinking", &[("text", raw(block, "content"))])),
            Some("tool_call") => {
                has_calls = true;
                let input = arguments(block, "tool_kwargs");
                let call = [
                    ("call_id", raw(block, "tool_call_id")),
                    ("name", raw(block, "tool_name")),
                    ("input", input.as_deref()),
                ];
                entries.push(Entry::action("tool_call", &call));
            }
            _ => entries.extend(other(raw(block, "block_type"))),
        }
    }
    for call in objects(beside.get("tool_calls")).iter().filter(|_| !has_calls) {
        let function = inner(call, "function");
        let input = arguments(&function, "arguments");
        let call =
            [("call_id", raw(call, "id")), ("name", raw(&function, "name")), ("input", input.as_deref())];
        entries.push(Entry::action("tool_call", &call));
    }
    if entries.is_empty() {
        entries = other(Some("\"message\""));
    }
    Line { id: None, time: None, entries }
}
