//! An export of claude.ai (`conversations.json`), as it is publicly described; not verified against real files.
//!
//! Owns what the messages of a conversation become.

use super::{Talk, Talks, conversations, listed, other};
use crate::chat::json::{Members, time};
use crate::transcripts::entry::{About, Entry, Line, objects, raw, text};

pub(super) fn read(document: &str) -> Talks<'_> {
    let talks = conversations(document, |whole| {
        let mut about =
            About { title: text(whole, "name").filter(|title| !title.is_empty()), ..About::default() };
        about.created = whole.get("created_at").and_then(time);
        about.learn("model", whole.get("model"));
        Talk { name: text(whole, "uuid"), about, parts: listed(whole.get("chat_messages")) }
    });
    Ok((talks?, message))
}

fn message(message: &Members<'_>, about: &mut About) -> Line {
    let role = match text(message, "sender").as_deref() {
        Some("human") | None => "user".to_owned(),
        Some(other) => other.to_owned(),
    };
    let mut entries = Vec::new();
    for block in objects(message.get("content")) {
        let of = |name: &'static str, member: &str| (name, raw(&block, member));
        let kind = text(&block, "type").unwrap_or_default();
        match (kind.as_str(), raw(&block, "text")) {
            ("text", Some(said)) => entries.push(Entry::message(&role, said.to_owned())),
            ("thinking", _) => entries.push(Entry::action("thinking", &[of("text", "thinking")])),
            ("tool_use", _) => {
                entries.push(Entry::action(
                    "tool_call",
                    &[of("call_id", "id"), of("name", "name"), of("input", "input")],
                ));
            }
            ("tool_result", _) => {
                let failed = raw(&block, "is_error").filter(|failed| *failed == "true");
                let result = [of("call_id", "tool_use_id"), of("output", "content"), ("is_error", failed)];
                entries.push(Entry::action("tool_result", &result));
            }
            _ => entries.extend(other(raw(&block, "type"))),
        }
    }
    // As earlier exports have it; later ones say the same once more.
    let said = raw(message, "text").filter(|said| said.starts_with('"') && *said != "\"\"");
    if entries.is_empty() {
        entries = said
            .map_or_else(|| other(Some("\"message\"")), |said| vec![Entry::message(&role, said.to_owned())]);
    }
    for entry in &mut entries {
        if let (true, crate::transcripts::entry::Form::Message { content, .. }) =
            (role == "user", &entry.form)
        {
            about.prompt(content);
        }
        let parent = raw(message, "parent_message_uuid");
        entry.fields.extend(parent.map(|parent| ("parent_id", parent.to_owned())));
    }
    Line { id: text(message, "uuid"), time: message.get("created_at").and_then(time), entries }
}
