//! An export of `ChatGPT` (`conversations.json`), as it is publicly described; not verified against real files.
//!
//! Owns what the nodes of a conversation become. They are a tree by `parent_id`; `current_id` is the one that was shown last.

use super::{Talk, Talks, conversations, other, values};
use crate::chat::json::{Members, time};
use crate::transcripts::entry::{About, Entry, Line, inner, joined, objects, raw, text};

pub(super) fn read(document: &str) -> Talks<'_> {
    let talks = conversations(document, |whole| {
        let mut about =
            About { title: text(whole, "title").filter(|title| !title.is_empty()), ..About::default() };
        about.created = whole.get("create_time").and_then(time);
        about.learn("current_id", whole.get("current_node"));
        let name = text(whole, "conversation_id").or_else(|| text(whole, "id"));
        Talk { name, about, parts: values(whole.get("mapping")) }
    });
    Ok((talks?, node))
}

fn node(node: &Members<'_>, about: &mut About) -> Line {
    let message = inner(node, "message");
    let author = inner(&message, "author");
    let role = text(&author, "role").unwrap_or_else(|| "user".to_owned());
    let content = inner(&message, "content");
    let pieces = super::listed(content.get("parts"));
    let texts: Vec<&str> = pieces
        .iter()
        .map(|piece| piece.get())
        .filter(|piece| piece.starts_with('"'))
        .chain(raw(&content, "text"))
        .filter(|text| *text != "\"\"")
        .collect();
    let kind = text(&content, "content_type").unwrap_or_default();
    let mut entries = Vec::new();
    if kind == "thoughts" {
        for thought in objects(content.get("thoughts")) {
            let members = [("subject", raw(&thought, "summary")), ("text", raw(&thought, "content"))];
            entries.push(Entry::action("thinking", &members));
        }
    } else if !texts.is_empty() {
        let said = joined(&texts);
        let is_hidden =
            raw(&inner(&message, "metadata"), "is_visually_hidden_from_conversation") == Some("true");
        if role == "user" && !is_hidden {
            about.prompt(&said);
        }
        entries.push(
            Entry::message(&role, said).with("is_prompt", (is_hidden || role == "system").then_some("false")),
        );
    }
    for piece in pieces.iter().filter(|piece| piece.get().starts_with('{')) {
        let piece = Members::read(piece.get()).unwrap_or_default();
        entries.extend(other(raw(&piece, "content_type")));
    }
    if entries.is_empty() {
        entries = other(raw(&content, "content_type"));
    }
    let model =
        raw(&inner(&message, "metadata"), "model_slug").filter(|_| role == "assistant").map(str::to_owned);
    for entry in &mut entries {
        entry.fields.extend(raw(node, "parent").map(|parent| ("parent_id", parent.to_owned())));
        entry.fields.extend(model.clone().map(|model| ("model", model)));
    }
    let id = text(node, "id").or_else(|| text(&message, "id"));
    Line { id, time: message.get("create_time").and_then(time), entries }
}
