//! Conversations as lists of chat messages, an object a line: `{"id":…,"messages":[{"role":…,"content":…}]}`.
//!
//! Owns what of a conversation goes in: its messages, as they came if they came from chat programs, and what is said of all
//! that this form has no place for. Actions have none, because a tool call in it names the message that made it, which an
//! action does not.

use std::io::{self, Write};

use aral_store::Conversation;
use serde_json::Value;

use super::Shape;
use super::interchange::Strictness;
use super::timeline::Item;
use crate::chat::put_together;
use crate::output::{self, count, to_u64};

pub(super) struct Chats {
    strictness: Strictness,
    /// What stands before the next message.
    comma: &'static str,
    left_out: LeftOut,
}

/// How much there was that has no place.
#[derive(Default)]
struct LeftOut {
    heads: u64,
    actions: u64,
    titles: u64,
    conversations: u64,
    messages: u64,
}

impl Chats {
    pub(super) fn new(strictness: Strictness) -> Self {
        Self { strictness, comma: "", left_out: LeftOut::default() }
    }
}

impl Shape for Chats {
    fn head(&mut self, conversation: &Conversation, _messages: u64, out: &mut dyn Write) -> io::Result<()> {
        self.comma = "";
        write!(out, r#"{{"id":{},"messages":["#, Value::from(conversation.id.as_str()))
    }

    fn item(&mut self, conversation: &Conversation, item: Item<'_>, out: &mut dyn Write) -> io::Result<()> {
        let Item::Message(message) = item else { return Ok(()) };
        let together = put_together(message);
        self.left_out.messages += u64::from(together.lacks_metadata);
        self.left_out.heads += u64::from(together.lacks_head);
        let id = &conversation.id;
        let whose = || format!("conversation {id:?}, message {:?}", message.id.to_string_lossy());
        let comma = std::mem::replace(&mut self.comma, ",");
        write!(out, "{comma}{}", self.strictness.applied(together.json, whose))
    }

    fn foot(&mut self, conversation: &Conversation, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "]}}")?;
        let id = &conversation.id;
        let default = format!("Conversation {}", id.chars().take(8).collect::<String>());
        self.left_out.titles += u64::from(conversation.title.as_str() != Some(&default));
        self.left_out.conversations +=
            u64::from(!conversation.metadata.is_empty() || !conversation.extra.is_empty());
        self.left_out.actions = self.left_out.actions.saturating_add(to_u64(conversation.actions.len()));
        Ok(())
    }

    fn end(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        if let Some(words) = self.left_out.in_words() {
            output::note(&format!("left out, for chat messages have no place for them: {words}"));
        }
        Ok(())
    }
}

impl LeftOut {
    /// All of it; nothing if there is none.
    fn in_words(&self) -> Option<String> {
        let said = [
            (self.actions, count(self.actions, "action")),
            (self.titles, count(self.titles, "title")),
            (self.conversations, format!("the metadata of {}", count(self.conversations, "conversation"))),
            (self.messages, format!("metadata of {}", count(self.messages, "message"))),
            (self.heads, format!("ids and times of {}", count(self.heads, "message"))),
        ];
        let said: Vec<String> =
            said.into_iter().filter(|(number, _)| *number > 0).map(|(_, words)| words).collect();
        (!said.is_empty()).then(|| said.join(", "))
    }
}
