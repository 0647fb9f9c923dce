//! The lines of Codex, as versions up to 0.171.0 write them.
//!
//! Owns what each of its types of lines becomes. What the model was given and gave are the `response_item`s; what the
//! program showed says the same once more, and is kept as records.

use crate::chat::json::{Members, time};

use super::entry::{About, Entry, Line, Reader, inner, joined, object, objects, raw, text};

/// With what a text begins that the program wrote in the user's name, in versions that do not mark it.
const NOT_PROMPTS: [&str; 2] = ["\"<environment_context>", "\"<user_instructions>"];

/// A session, as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct Rollout {
    about: About,
    is_begun: bool,
    /// The model of the turn, as JSON.
    model: Option<String>,
    turn: Option<String>,
}

impl Reader for Rollout {
    fn read(&mut self, line: &Members<'_>) -> Line {
        let payload = inner(line, "payload");
        let kind = text(line, "type").unwrap_or_default();
        let entry = match kind.as_str() {
            // Whose file it is stands in its first line; a later one may be a copy out of the file that it was forked from.
            "session_meta" if !self.is_begun => {
                self.session(&payload);
                None
            }
            "turn_context" => {
                self.about.learn("cwd", payload.get("cwd"));
                self.model = raw(&payload, "model").map(str::to_owned);
                self.turn = raw(&payload, "turn_id").map(str::to_owned);
                None
            }
            "response_item" => self.item(&payload),
            "token_usage_record" => Some(self.record(line, &payload).with("usage", usage(&payload))),
            _ => None,
        };
        let entry = entry.unwrap_or_else(|| self.record(line, &payload));
        self.is_begun = true;
        let id = (kind == "response_item").then(|| text(&payload, "id")).flatten();
        Line { id, time: line.get("timestamp").and_then(time), entries: vec![entry] }
    }

    fn about(&self) -> &About {
        &self.about
    }
}

impl Rollout {
    fn session(&mut self, payload: &Members<'_>) {
        self.about.session = text(payload, "id").or_else(|| text(payload, "session_id"));
        for (name, member) in [("cwd", "cwd"), ("version", "cli_version")] {
            self.about.learn(name, payload.get(member));
        }
        self.about.learn("git_branch", inner(payload, "git").get("branch"));
        let base = inner(payload, "history_base");
        self.about.parent = text(&base, "thread_id").or_else(|| text(payload, "forked_from_id"));
        let lines =
            base.get("end_ordinal_exclusive").or_else(|| payload.get("forked_from_ordinal_exclusive"));
        self.about.parent_lines = lines.and_then(|lines| lines.get().parse().ok());
    }

    fn record(&self, line: &Members<'_>, payload: &Members<'_>) -> Entry {
        self.of_turn(Entry::action(
            "record",
            &[("type", raw(line, "type")), ("subtype", raw(payload, "type"))],
        ))
    }

    fn of_turn(&self, entry: Entry) -> Entry {
        entry.with("turn_id", self.turn.as_deref())
    }

    fn item(&mut self, payload: &Members<'_>) -> Option<Entry> {
        let of = |name: &'static str| (name, raw(payload, name));
        let kind = text(payload, "type").unwrap_or_default();
        let model = self.model.clone();
        let entry = match kind.as_str() {
            "message" => return self.message(payload),
            "reasoning" => {
                let summary = objects(payload.get("summary"));
                let texts: Vec<&str> = summary.iter().filter_map(|part| raw(part, "text")).collect();
                Entry::action("thinking", &[("text", Some(&joined(&texts)))]).with("model", model)
            }
            "function_call" | "custom_tool_call" | "local_shell_call" => {
                let input = input(payload);
                Entry::action("tool_call", &[of("call_id"), of("name"), ("input", input.as_deref())])
                    .with("model", model)
            }
            "function_call_output" | "custom_tool_call_output" => {
                Entry::action("tool_result", &[of("call_id"), of("output")])
            }
            _ => return None,
        };
        Some(self.of_turn(entry))
    }

    fn message(&mut self, payload: &Members<'_>) -> Option<Entry> {
        let role = text(payload, "role")?;
        let parts = objects(payload.get("content"));
        let texts: Vec<&str> = parts.iter().filter_map(|part| raw(part, "text")).collect();
        if texts.is_empty() {
            return None;
        }
        let content = joined(&texts);
        let is_reply = role == "assistant";
        let is_prompt = role == "user" && {
            let marks = inner(payload, "internal_chat_message_metadata_passthrough");
            match raw(&marks, "content_item_kinds") {
                Some(kinds) => kinds.contains("\"user.text\""),
                None => !NOT_PROMPTS.iter().any(|begin| content.starts_with(begin)),
            }
        };
        if is_prompt {
            self.about.prompt(&content);
        }
        let entry = Entry::message(&role, content)
            .with("model", self.model.clone().filter(|_| is_reply))
            .with("is_prompt", (!is_reply && !is_prompt).then_some("false"));
        Some(self.of_turn(entry))
    }
}

/// What a tool was called with. Arguments are JSON in a string.
fn input(payload: &Members<'_>) -> Option<String> {
    let Some(arguments) = text(payload, "arguments") else {
        return raw(payload, "input").or_else(|| raw(payload, "action")).map(str::to_owned);
    };
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&arguments).is_ok();
    if is_json { Some(arguments) } else { raw(payload, "arguments").map(str::to_owned) }
}

fn usage(payload: &Members<'_>) -> Option<String> {
    payload.get("usage")?;
    let usage = inner(payload, "usage");
    Some(object(&[
        ("input_tokens", raw(&usage, "input_tokens")),
        ("output_tokens", raw(&usage, "output_tokens")),
        ("cache_read_tokens", raw(&usage, "cached_input_tokens")),
        ("cache_write_tokens", raw(&usage, "cache_write_input_tokens")),
    ]))
}
