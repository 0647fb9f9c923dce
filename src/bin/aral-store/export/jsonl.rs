//! The form that `import` takes: a line for each conversation, message and action, and one that says that it was all.
//!
//! Owns the order: an action stands among the messages where its time puts it, so that a file that was cut lacks what
//! came last, and nothing else. The last line counts what came before it, with a checksum.

use std::io::{self, Write};

use aral_store::{Conversation, ExportEnd};

use super::Shape;
use super::interchange::Strictness;
use super::timeline::{Item, items};

pub(super) struct Lines {
    strictness: Strictness,
    end: ExportEnd,
    crc: crc32fast::Hasher,
}

impl Lines {
    pub(super) fn new(strictness: Strictness) -> Self {
        Self { strictness, end: ExportEnd::default(), crc: crc32fast::Hasher::new() }
    }
}

impl Shape for Lines {
    fn conversation(&mut self, conversation: &Conversation, out: &mut dyn Write) -> io::Result<()> {
        let Self { strictness, end, crc } = self;
        let id = &conversation.id;
        let mut line = |json: String, whose: &dyn Fn() -> String| {
            let line = strictness.applied(json, || format!("conversation {id:?}{}", whose())) + "\n";
            crc.update(line.as_bytes());
            out.write_all(line.as_bytes())
        };
        line(conversation.to_header_line(), &String::new)?;
        end.conversations += 1;
        for item in items(conversation) {
            match item {
                Item::Message(message) => {
                    let whose = || format!(", message {:?}", message.id.to_string_lossy());
                    line(message.to_json_line(Some(id)), &whose)?;
                    end.messages += 1;
                }
                Item::Action(action) => {
                    let whose = || format!(", action {:?}", action.id.to_string_lossy());
                    line(action.to_json_line(Some(id)), &whose)?;
                    end.actions += 1;
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.end.crc32 = self.crc.clone().finalize();
        writeln!(out, "{}", self.end.to_json_line())
    }
}
