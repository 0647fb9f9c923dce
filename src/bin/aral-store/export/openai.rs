//! Conversations as lists of chat messages, an object a line: `{"id":…,"messages":[{"role":…,"content":…}]}`.
//!
//! Owns what of a conversation goes in: the roles and texts of its messages, as they are. Actions have no place
//! in this form, because a tool call in it names the message that made it, which an action does not; they
//! are counted, and standard error is told.

use std::io::{self, Write};

use aral_store::{Conversation, Text};
use serde_json::Value;

use super::Shape;
use super::interchange::Strictness;
use crate::output::{self, count, to_u64};

pub(super) struct Chats {
    strictness: Strictness,
    actions: u64,
}

impl Chats {
    pub(super) fn new(strictness: Strictness) -> Self {
        Self { strictness, actions: 0 }
    }
}

impl Shape for Chats {
    fn conversation(&mut self, conversation: &Conversation, out: &mut dyn Write) -> io::Result<()> {
        let id = &conversation.id;
        write!(out, r#"{{"id":{},"messages":["#, Value::from(id.as_str()))?;
        for (place, message) in conversation.messages.iter().enumerate() {
            let json =
                format!(r#"{{"role":{},"content":{}}}"#, string(&message.role), string(&message.content));
            let whose = || format!("conversation {id:?}, message {:?}", message.id.to_string_lossy());
            let comma = if place == 0 { "" } else { "," };
            write!(out, "{comma}{}", self.strictness.applied(json, whose))?;
        }
        writeln!(out, "]}}")?;
        self.actions = self.actions.saturating_add(to_u64(conversation.actions.len()));
        Ok(())
    }

    fn end(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        if self.actions > 0 {
            let left_out = count(self.actions, "action");
            output::note(&format!("left out, for chat messages have no place for them: {left_out}"));
        }
        Ok(())
    }
}

/// A JSON string; a lone surrogate in it is escaped, as Python does it.
fn string(text: &Text) -> String {
    if let Some(text) = text.as_str() {
        return Value::from(text).to_string();
    }
    let mut out = String::from("\"");
    for point in text.code_points() {
        match char::from_u32(point) {
            Some(c) => {
                let quoted = Value::from(c.to_string()).to_string();
                out.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
            }
            None => out.extend([format!("\\u{point:04x}")]),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_with_a_lone_surrogate_keeps_everything() {
        let text = Text::from_wtf8(b"a\"\n\xed\xa0\x80\xc3\xa9".to_vec()).unwrap();
        assert_eq!(string(&text), r#""a\"\n\ud800é""#);
        assert_eq!(string(&Text::from("a\"\n")), r#""a\"\n""#);
    }
}
