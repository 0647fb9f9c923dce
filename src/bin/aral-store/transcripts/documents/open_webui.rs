//! An export of Open `WebUI`'s chats, as it is publicly described; not verified against real files.
//!
//! Owns what the messages of a chat become. They are a tree by `parent_id`; `current_id` is the one that was shown last.

use super::{Talk, Talks, conversations, listed, other, values};
use crate::chat::json::{Members, time};
use crate::transcripts::entry::{About, Entry, Line, inner, object, raw, text};

pub(super) fn read(document: &str) -> Talks<'_> {
    let talks = conversations(document, |whole| {
        let chat = inner(whole, "chat");
        let history = inner(&chat, "history");
        let mut about =
            About { title: text(whole, "title").filter(|title| !title.is_empty()), ..About::default() };
        about.created = whole.get("created_at").and_then(time);
        about.learn("current_id", history.get("currentId"));
        let nodes = values(history.get("messages"));
        let parts = if nodes.is_empty() { listed(chat.get("messages")) } else { nodes };
        Talk { name: text(whole, "id"), about, parts }
    });
    Ok((talks?, message))
}

fn message(message: &Members<'_>, about: &mut About) -> Line {
    let role = text(message, "role").unwrap_or_else(|| "user".to_owned());
    let said = raw(message, "content").filter(|content| content.starts_with('"'));
    let usage = inner(message, "usage");
    let mut entries =
        said.map_or_else(|| other(Some("\"message\"")), |said| vec![Entry::message(&role, said.to_owned())]);
    if let Some(said) = said.filter(|_| role == "user") {
        about.prompt(said);
    }
    for entry in &mut entries {
        entry.fields.extend(raw(message, "model").map(|model| ("model", model.to_owned())));
        entry.fields.extend(raw(message, "parentId").map(|parent| ("parent_id", parent.to_owned())));
        if raw(&usage, "prompt_tokens").is_some() {
            let usage = object(&[
                ("input_tokens", raw(&usage, "prompt_tokens")),
                ("output_tokens", raw(&usage, "completion_tokens")),
            ]);
            entry.fields.push(("usage", usage));
        }
    }
    Line { id: text(message, "id"), time: message.get("timestamp").and_then(time), entries }
}
