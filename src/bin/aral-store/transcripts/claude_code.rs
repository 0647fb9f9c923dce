//! The lines of Claude Code, as versions up to 2.1.332 write them.
//!
//! Owns what each of its types of lines becomes. A line that has a `uuid` is a part of the talk; its blocks of text are
//! messages, what was called and came of it are actions, and all else is a record.

use std::collections::HashSet;

use crate::chat::json::{Members, time};

use super::entry::{About, Entry, Line, Reader, inner, is, joined, object, objects, raw, text};

/// With what a text begins that the program wrote in the user's name.
const NOT_PROMPTS: [&str; 3] = ["\"<command-name>", "\"<local-command-stdout>", "\"<local-command-caveat>"];

/// A session, as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct Session {
    about: About,
    /// The replies whose usage was counted: each line of one has it.
    counted: HashSet<String>,
    has_reply: bool,
}

impl Reader for Session {
    fn read(&mut self, line: &Members<'_>) -> Line {
        self.learn(line);
        let entries = if is(line, "type", "user") {
            self.user(line)
        } else if is(line, "type", "assistant") {
            self.has_reply = true;
            self.reply(line)
        } else {
            Vec::new()
        };
        let entries = if entries.is_empty() {
            vec![Entry::action("record", &[("type", raw(line, "type")), ("subtype", raw(line, "subtype"))])]
        } else {
            entries
        };
        let parent = raw(line, "parentUuid");
        let side = raw(line, "isSidechain").filter(|is_side| *is_side == "true");
        let entries = entries
            .into_iter()
            .map(|entry| entry.with("parent_id", parent).with("is_sidechain", side))
            .collect();
        Line { id: text(line, "uuid"), time: line.get("timestamp").and_then(time), entries }
    }

    fn about(&self) -> &About {
        &self.about
    }

    /// A fork shows in the first reply that it has from the session that it was forked from.
    fn is_known(&self) -> bool {
        self.about.title.is_some() && self.has_reply
    }
}

impl Session {
    fn learn(&mut self, line: &Members<'_>) {
        for (name, member) in [("cwd", "cwd"), ("git_branch", "gitBranch"), ("version", "version")] {
            self.about.learn(name, line.get(member));
        }
        // A reply that was copied from the session that this one was forked from names it.
        let other = text(line, "requestSessionId").filter(|other| !is(line, "sessionId", other));
        self.about.parent = self.about.parent.take().or(other);
        if self.about.session.is_none() {
            self.about.session = text(line, "sessionId");
        }
    }

    fn user(&mut self, line: &Members<'_>) -> Vec<Entry> {
        let content = inner(line, "message").get("content");
        let says = |flag: &str| raw(line, flag) == Some("true");
        let is_harness = says("isMeta") || says("isCompactSummary");
        let mut entries = Vec::new();
        if let Some(content) = content.filter(|content| content.get().starts_with('"')) {
            self.prompt(content.get().to_owned(), is_harness, &mut entries);
            return entries;
        }
        let blocks = objects(content);
        let texts: Vec<&str> = blocks.iter().filter_map(|block| raw(block, "text")).collect();
        for block in &blocks {
            if is(block, "type", "tool_result") {
                let members = [("call_id", "tool_use_id"), ("output", "content"), ("is_error", "is_error")]
                    .map(|(name, member)| (name, raw(block, member)));
                entries.push(Entry::action("tool_result", &members));
            }
        }
        if !texts.is_empty() {
            self.prompt(joined(&texts), is_harness, &mut entries);
        }
        entries
    }

    fn prompt(&mut self, content: String, is_harness: bool, entries: &mut Vec<Entry>) {
        let is_prompt = !is_harness && !NOT_PROMPTS.iter().any(|begin| content.starts_with(begin));
        if is_prompt {
            self.about.prompt(&content);
        }
        let entry = Entry::message("user", content);
        entries.push(entry.with("is_prompt", (!is_prompt).then_some("false")));
    }

    fn reply(&mut self, line: &Members<'_>) -> Vec<Entry> {
        let message = inner(line, "message");
        let content = message.get("content");
        let mut entries = Vec::new();
        if let Some(content) = content.filter(|content| content.get().starts_with('"')) {
            entries.push(Entry::message("assistant", content.get().to_owned()));
        }
        for block in &objects(content) {
            let kind = text(block, "type").unwrap_or_default();
            let of = |name: &'static str| (name, raw(block, name));
            entries.push(match (kind.as_str(), raw(block, "text")) {
                ("text", Some(text)) => Entry::message("assistant", text.to_owned()),
                ("thinking", _) => Entry::action("thinking", &[("text", raw(block, "thinking"))]),
                ("tool_use" | "server_tool_use", _) => {
                    let call = [("call_id", raw(block, "id")), of("name"), of("input")];
                    Entry::action("tool_call", &call)
                }
                _ => Entry::action("record", &[of("type")]),
            });
        }
        let model = raw(&message, "model").filter(|model| *model != "\"<synthetic>\"");
        let reply = raw(&message, "id");
        let usage = self.usage(&message);
        for (at, entry) in entries.iter_mut().enumerate() {
            let usage = usage.clone().filter(|_| at == 0);
            entry.fields.extend(
                [
                    ("model", model.map(str::to_owned)),
                    ("reply_id", reply.map(str::to_owned)),
                    ("usage", usage),
                ]
                .into_iter()
                .filter_map(|(name, value)| value.map(|value| (name, value))),
            );
        }
        entries
    }

    /// What a reply took, with its first line alone.
    fn usage(&mut self, message: &Members<'_>) -> Option<String> {
        let id = text(message, "id")?;
        message.get("usage")?;
        let usage = inner(message, "usage");
        if !self.counted.insert(id) {
            return None;
        }
        let names = [
            ("input_tokens", "input_tokens"),
            ("output_tokens", "output_tokens"),
            ("cache_read_tokens", "cache_read_input_tokens"),
            ("cache_write_tokens", "cache_creation_input_tokens"),
        ];
        Some(object(&names.map(|(name, member)| (name, raw(&usage, member)))))
    }
}
