//! The form that `import` takes: a line for each conversation, message and action.

use std::io::{self, Write};

use aral_store::Conversation;

use super::Shape;
use super::interchange::Strictness;

pub(super) struct Lines {
    strictness: Strictness,
}

impl Lines {
    pub(super) fn new(strictness: Strictness) -> Self {
        Self { strictness }
    }
}

impl Shape for Lines {
    fn conversation(&mut self, conversation: &Conversation, out: &mut dyn Write) -> io::Result<()> {
        let id = &conversation.id;
        let mut line = |json: String, whose: &dyn Fn() -> String| {
            writeln!(out, "{}", self.strictness.applied(json, || format!("conversation {id:?}{}", whose())))
        };
        line(conversation.to_header_line(), &String::new)?;
        for message in &conversation.messages {
            let whose = || format!(", message {:?}", message.id.to_string_lossy());
            line(message.to_json_line(Some(id)), &whose)?;
        }
        for action in &conversation.actions {
            let whose = || format!(", action {:?}", action.id.to_string_lossy());
            line(action.to_json_line(Some(id)), &whose)?;
        }
        Ok(())
    }
}
