//! The form that `import` takes: a line for each conversation, message and action, and one that says that it was all.
//!
//! Owns the order: an action stands among the messages where its time puts it, so that a file that was cut lacks what
//! came last, and nothing else. The last line counts what came before it, with a checksum.

use std::io::{self, Write};

use aral_store::{Conversation, ExportEnd};

use super::Shape;
use super::interchange::Strictness;
use super::timeline::Item;

pub(super) struct Lines {
    strictness: Strictness,
    end: ExportEnd,
    crc: crc32fast::Hasher,
}

impl Lines {
    pub(super) fn new(strictness: Strictness) -> Self {
        Self { strictness, end: ExportEnd::default(), crc: crc32fast::Hasher::new() }
    }

    fn line(&mut self, json: String, whose: impl FnOnce() -> String, out: &mut dyn Write) -> io::Result<()> {
        let line = self.strictness.applied(json, whose) + "\n";
        self.crc.update(line.as_bytes());
        out.write_all(line.as_bytes())
    }
}

impl Shape for Lines {
    fn head(&mut self, conversation: &Conversation, _messages: u64, out: &mut dyn Write) -> io::Result<()> {
        self.end.conversations += 1;
        self.line(conversation.to_header_line(), || format!("conversation {:?}", conversation.id), out)
    }

    fn item(&mut self, conversation: &Conversation, item: Item<'_>, out: &mut dyn Write) -> io::Result<()> {
        let id = &conversation.id;
        match item {
            Item::Message(message) => {
                self.end.messages += 1;
                let whose = || format!("conversation {id:?}, message {:?}", message.id.to_string_lossy());
                self.line(message.to_json_line(Some(id)), whose, out)
            }
            Item::Action(action) => {
                self.end.actions += 1;
                let whose = || format!("conversation {id:?}, action {:?}", action.id.to_string_lossy());
                self.line(action.to_json_line(Some(id)), whose, out)
            }
        }
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.end.crc32 = self.crc.clone().finalize();
        writeln!(out, "{}", self.end.to_json_line())
    }
}
