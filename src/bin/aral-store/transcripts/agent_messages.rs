//! The messages of Microsoft's Agent Framework, as version 1.23.0 writes them, one a line or in the document of a session.
//!
//! Owns what each of their contents becomes. A result has its text twice, and the arguments of a call are a text or an object.

use super::entry::{About, Entry, Line, Reader, objects, raw, text};
use super::responses::arguments;
use crate::chat::json::Members;

/// A history in a file of its own, as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct History {
    about: About,
}

impl Reader for History {
    fn read(&mut self, message: &Members<'_>) -> Line {
        line(message, &mut self.about)
    }

    fn about(&self) -> &About {
        &self.about
    }
}

pub(super) fn line(message: &Members<'_>, about: &mut About) -> Line {
    let role = text(message, "role").unwrap_or_else(|| "user".to_owned());
    let mut entries = Vec::new();
    for content in objects(message.get("contents")) {
        let of = |name: &'static str| (name, raw(&content, name));
        let kind = text(&content, "type").unwrap_or_default();
        entries.push(match (kind.as_str(), raw(&content, "text")) {
            ("text", Some(said)) => {
                if role == "user" {
                    about.prompt(said);
                }
                Entry::message(&role, said.to_owned())
            }
            ("text_reasoning", said) => Entry::action("thinking", &[("text", said)]),
            ("function_call", _) => {
                let input = arguments(&content, "arguments");
                Entry::action("tool_call", &[of("call_id"), of("name"), ("input", input.as_deref())])
            }
            ("function_result", _) => {
                let failed = raw(&content, "exception").map(|_| "true");
                Entry::action(
                    "tool_result",
                    &[of("call_id"), ("output", raw(&content, "result")), ("is_error", failed)],
                )
            }
            _ => Entry::action("record", &[of("type")]),
        });
    }
    if entries.is_empty() {
        entries.push(Entry::action("record", &[("type", Some("\"message\""))]));
    }
    Line { id: None, time: None, entries }
}
