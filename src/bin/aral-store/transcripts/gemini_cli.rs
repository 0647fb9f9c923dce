//! The lines of Gemini CLI, as versions up to 0.61.0 write them.
//!
//! Owns what each of its types of lines becomes. A message is written when it is there, and once more when its tools have answered;
//! a session that is resumed begins with a list of all messages, in another shape and at times without their usage.
//! So the first line of each message counts, and of later ones what is new in them.

use std::collections::HashSet;

use crate::chat::json::{Members, time};

use super::entry::{About, Entry, Line, Reader, inner, joined, object, objects, quoted, raw, text};

/// With what a text begins that the program wrote in the user's name.
const NOT_PROMPTS: [&str; 1] = ["\"<session_context>"];

/// A session, as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct Session {
    about: About,
    /// The messages that are known by their ids.
    messages: HashSet<String>,
    calls: HashSet<String>,
    results: HashSet<String>,
}

impl Reader for Session {
    fn read(&mut self, line: &Members<'_>) -> Line {
        self.about.learn("session_id", line.get("sessionId"));
        let set = inner(line, "$set");
        let (id, mut entries) = if line.get("$set").is_some() {
            // What a list has that no line had before is all that is left of it.
            (None, objects(set.get("messages")).iter().flat_map(|message| self.message(message)).collect())
        } else {
            let is_new = text(line, "id").is_some_and(|id| !self.messages.contains(&id));
            (text(line, "id").filter(|_| is_new), self.message(line))
        };
        if entries.is_empty() {
            let kind = raw(line, "type").map_or_else(|| quoted(kind_of(line)), str::to_owned);
            entries.push(Entry::action("record", &[("type", Some(&kind))]));
        }
        let of = |name| line.get(name).or_else(|| set.get(name)).and_then(time);
        Line { id, time: of("timestamp").or_else(|| of("startTime")).or_else(|| of("lastUpdated")), entries }
    }

    fn about(&self) -> &About {
        &self.about
    }
}

/// What a line without a type is.
fn kind_of(line: &Members<'_>) -> &'static str {
    if line.get("$set").is_some() {
        "$set"
    } else if line.get("$rewindTo").is_some() {
        "$rewindTo"
    } else {
        "session"
    }
}

impl Session {
    fn message(&mut self, message: &Members<'_>) -> Vec<Entry> {
        let Some(id) = text(message, "id") else { return Vec::new() };
        let kind = text(message, "type").unwrap_or_default();
        let is_reply = kind == "gemini";
        let parts = objects(message.get("content"));
        let mut entries = Vec::new();
        // The ids of answers that a resumed session makes up are there more than once.
        if !id.ends_with("_response") && self.messages.insert(id) {
            for thought in objects(message.get("thoughts")) {
                let members = [("subject", raw(&thought, "subject")), ("text", raw(&thought, "description"))];
                entries.push(Entry::action("thinking", &members));
            }
            entries.extend(self.said(message, &parts, is_reply));
            let usage = usage(message);
            if entries.is_empty() && usage.is_some() {
                entries.push(Entry::action("record", &[("type", raw(message, "type"))]));
            }
            for (at, entry) in entries.iter_mut().enumerate() {
                let usage = usage.as_deref().filter(|_| at == 0).map(str::to_owned);
                let model = raw(message, "model").map(str::to_owned);
                entry.fields.extend(model.map(|model| ("model", model)));
                entry.fields.extend(usage.map(|usage| ("usage", usage)));
            }
        }
        for call in objects(message.get("toolCalls")) {
            entries.extend(self.call(&call));
        }
        for part in &parts {
            if part.get("functionResponse").is_some() {
                entries.extend(self.response(&inner(part, "functionResponse"), None));
            }
        }
        entries
    }

    /// The text of a message, if it has one.
    fn said(&mut self, message: &Members<'_>, parts: &[Members<'_>], is_reply: bool) -> Option<Entry> {
        let plain = raw(message, "content").filter(|content| content.starts_with('"'));
        let texts: Vec<&str> = parts
            .iter()
            .filter(|part| raw(part, "thought") != Some("true"))
            .filter_map(|part| raw(part, "text"))
            .collect();
        let content = match plain {
            Some(content) => content.to_owned(),
            None if texts.is_empty() => return None,
            None => joined(&texts),
        };
        if content == "\"\"" {
            return None;
        }
        let role = if is_reply { "assistant".to_owned() } else { text(message, "type").unwrap_or_default() };
        let is_prompt = role == "user" && !NOT_PROMPTS.iter().any(|begin| content.starts_with(begin));
        if is_prompt {
            self.about.prompt(&content);
        }
        let mark = (!is_reply && !is_prompt).then_some("false");
        Some(Entry::message(&role, content).with("is_prompt", mark))
    }

    fn call(&mut self, call: &Members<'_>) -> Vec<Entry> {
        let Some(id) = text(call, "id") else { return Vec::new() };
        let mut entries = Vec::new();
        if self.calls.insert(id) {
            let members =
                [("call_id", raw(call, "id")), ("name", raw(call, "name")), ("input", raw(call, "args"))];
            entries.push(Entry::action("tool_call", &members));
        }
        let is_error = (text(call, "status").as_deref() == Some("error")).then_some("true");
        for part in objects(call.get("result")) {
            entries.extend(self.response(&inner(&part, "functionResponse"), is_error));
        }
        entries
    }

    fn response(&mut self, response: &Members<'_>, is_error: Option<&str>) -> Option<Entry> {
        let id = text(response, "id")?;
        let members =
            [("call_id", raw(response, "id")), ("output", raw(response, "response")), ("is_error", is_error)];
        self.results.insert(id).then(|| Entry::action("tool_result", &members))
    }
}

fn usage(message: &Members<'_>) -> Option<String> {
    raw(message, "tokens")?;
    let tokens = inner(message, "tokens");
    Some(object(&[
        ("input_tokens", raw(&tokens, "input")),
        ("output_tokens", raw(&tokens, "output")),
        ("cache_read_tokens", raw(&tokens, "cached")),
    ]))
}
