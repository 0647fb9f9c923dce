//! What a message is to the turn that it stands in: the user's, a call of tools, a tool's result.
//!
//! Owns the places in a message where calls and results are looked for: where chat completions, items of responses
//! and parts of messages have them, in the metadata itself or one object deeper, as adapters keep them. Knows no
//! other message.

use crate::codec::json::Value;
use crate::model::{JsonObject, MessageRef, Text};

/// What a message is to its turn.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// Whether the user says it.
    pub(super) is_user: bool,
    /// The calls that it makes.
    pub(super) calls: Vec<Text>,
    /// The calls of other messages that it answers.
    pub(super) answers: Vec<Text>,
    /// Whether it is a result and does not say of which call.
    pub(super) is_nameless_result: bool,
}

/// Words one of which is in every object that has a call or an answer in it.
const SIGNS: [&str; 3] = ["call", "tool_use", "approval_request"];

impl Part {
    pub(super) fn of(message: MessageRef<'_>) -> Self {
        let mut part = Self::default();
        let is_tool = message.role == "tool" || message.role == "function";
        for object in [message.metadata, message.extra] {
            if SIGNS.iter().any(|sign| object.contains(sign)) {
                let members = JsonObject::from_canonical(object).members();
                part.note(&members, is_tool);
                for (_, kept) in &members {
                    let Value::Object(kept) = kept else { continue };
                    part.note(kept, is_tool);
                    if let Some(Value::Object(data)) = member(kept, "data") {
                        part.note(data, is_tool);
                    }
                }
            }
        }
        let own = std::mem::take(&mut part.answers);
        part.answers = own.into_iter().filter(|id| !part.calls.contains(id)).collect();
        part.is_nameless_result = is_tool && part.answers.is_empty() && part.calls.is_empty();
        part.is_user = !part.is_result() && (message.role == "user" || message.role == "human");
        part
    }

    pub(super) fn is_result(&self) -> bool {
        self.is_nameless_result || !self.answers.is_empty()
    }

    /// Notes what an object says, and its parts if it has parts.
    fn note(&mut self, object: &[(Text, Value)], is_tool: bool) {
        self.note_one(object, is_tool);
        if let Some(Value::Array(parts)) = member(object, "content") {
            for part in parts {
                if let Value::Object(part) = part {
                    self.note_one(part, is_tool);
                }
            }
        }
    }

    fn note_one(&mut self, object: &[(Text, Value)], is_tool: bool) {
        for name in ["tool_calls", "invalid_tool_calls"] {
            let Some(Value::Array(calls)) = member(object, name) else { continue };
            let calls = calls
                .iter()
                .filter_map(|call| if let Value::Object(call) = call { Some(call) } else { None });
            self.calls.extend(calls.filter_map(|call| text(call, "id")).cloned());
        }
        for name in ["tool_call_id", "tool_use_id", "approval_request_id"] {
            self.answers.extend(text(object, name).cloned());
        }
        let kind = text(object, "type").and_then(Text::as_str).unwrap_or_default();
        if ["tool_use", "server_tool_use", "mcp_tool_use", "mcp_approval_request"].contains(&kind) {
            self.calls.extend(text(object, "id").cloned());
        }
        if let Some(id) = text(object, "call_id") {
            if kind.ends_with("_call") {
                self.calls.push(id.clone());
            } else if kind.ends_with("_output") || is_tool {
                self.answers.push(id.clone());
            }
        }
    }
}

fn member<'o>(object: &'o [(Text, Value)], name: &str) -> Option<&'o Value> {
    object.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn text<'o>(object: &'o [(Text, Value)], name: &str) -> Option<&'o Text> {
    if let Some(Value::Str(text)) = member(object, name) { Some(text) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Message, Timestamp};

    fn part(role: &str, metadata: &str) -> Part {
        let mut message = Message::new("m", "", role, Timestamp::EPOCH);
        message.metadata = JsonObject::parse(metadata).unwrap();
        Part::of(MessageRef::from(&message))
    }

    #[test]
    fn calls_and_results_are_found_where_programs_keep_them() {
        let ids = |ids: &[&str]| ids.iter().map(|id| Text::from(*id)).collect::<Vec<_>>();
        for (role, metadata, calls, answers) in [
            (
                "assistant",
                r#"{"tool_calls":[{"id":"a","type":"function"},{"id":"b"},{}]}"#,
                &["a", "b"][..],
                &[][..],
            ),
            ("tool", r#"{"tool_call_id":"a"}"#, &[], &["a"]),
            (
                "assistant",
                r#"{"langchain_message":{"type":"ai","data":{"tool_calls":[{"id":"a","args":{"tool_call_id":"x"}}]}}}"#,
                &["a"],
                &[],
            ),
            ("tool", r#"{"langchain_message":{"type":"tool","data":{"tool_call_id":"a"}}}"#, &[], &["a"]),
            ("assistant", r#"{"openai_agents_item":{"type":"function_call","call_id":"a"}}"#, &["a"], &[]),
            ("tool", r#"{"openai_agents_item":{"type":"function_call_output","call_id":"a"}}"#, &[], &["a"]),
            ("assistant", r#"{"type":"custom_tool_call","call_id":"a"}"#, &["a"], &[]),
            ("tool", r#"{"call_id":"a"}"#, &[], &["a"]),
            ("assistant", r#"{"content":[{"type":"text"},{"type":"tool_use","id":"a"}]}"#, &["a"], &[]),
            ("user", r#"{"content":[{"type":"tool_result","tool_use_id":"a"}]}"#, &[], &["a"]),
            (
                "assistant",
                r#"{"content":[{"type":"server_tool_use","id":"a"},{"type":"web_search_tool_result","tool_use_id":"a"}]}"#,
                &["a"],
                &[],
            ),
            ("assistant", r#"{"call_id":"a","caller":7}"#, &[], &[]),
            ("user", r#"{"note":"call me"}"#, &[], &[]),
        ] {
            let found = part(role, metadata);
            assert_eq!((found.calls, found.answers), (ids(calls), ids(answers)), "{metadata}");
        }
    }

    #[test]
    fn a_message_of_the_user_is_no_result() {
        assert!(part("user", "{}").is_user && part("human", "{}").is_user);
        assert!(!part("user", r#"{"content":[{"type":"tool_result","tool_use_id":"a"}]}"#).is_user);
        assert!(
            part("tool", "{}").is_nameless_result && part("function", r#"{"name":"f"}"#).is_nameless_result
        );
        assert!(!part("assistant", "{}").is_user && !part("system", "{}").is_result());
    }
}
