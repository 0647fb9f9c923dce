//! What a query says of a message besides its words: whose it is, and which tool it is about.
//!
//! Owns the two filters of the query language, and the places in a message where the name of a tool stands: where chat completions, items of
//! responses and parts of messages have it, in the metadata itself or one object deeper, as adapters keep them.

use crate::codec::json::Value;
use crate::model::{JsonObject, MessageRef, Text};

/// The filters of a query. Of several of one kind, one has to hold.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Filters {
    pub(super) roles: Vec<String>,
    pub(super) tools: Vec<String>,
}

/// The kinds of parts that call a tool.
const CALLS: [&str; 4] = ["tool_use", "server_tool_use", "mcp_tool_use", "mcp_approval_request"];

impl Filters {
    /// Whether a message is meant.
    pub(super) fn hold(&self, message: &MessageRef<'_>) -> bool {
        (self.roles.is_empty() || self.roles.iter().any(|role| message.role == role.as_str()))
            && (self.tools.is_empty() || self.is_of_tool(message))
    }

    /// Whether a message calls one of the tools, or has the result of a call.
    fn is_of_tool(&self, message: &MessageRef<'_>) -> bool {
        let is_result = message.role == "tool" || message.role == "function";
        [message.metadata, message.extra].into_iter().filter(|object| object.contains("name")).any(|object| {
            let members = JsonObject::from_canonical(object).members();
            let deeper = |(_, kept): &(Text, Value)| {
                let Value::Object(kept) = kept else { return false };
                let data = object_in(kept, "data");
                self.are_in(kept, is_result) || data.is_some_and(|data| self.are_in(data, is_result))
            };
            self.are_in(&members, is_result) || members.iter().any(deeper)
        })
    }

    /// Whether an object or one of its parts names one of the tools.
    fn are_in(&self, object: &[(Text, Value)], is_result: bool) -> bool {
        let parts = objects_in(object, "content");
        self.is_named(object, is_result) || parts.into_iter().any(|part| self.is_named(part, is_result))
    }

    fn is_named(&self, object: &[(Text, Value)], is_result: bool) -> bool {
        let is_one = |call: &[(Text, Value)]| {
            let names = ["name", "tool_name"].into_iter().filter_map(|member| text_in(call, member));
            names.into_iter().any(|name| self.tools.iter().any(|tool| name == tool.as_str()))
        };
        let is_called = |call: &[(Text, Value)]| is_one(object_in(call, "function").unwrap_or(call));
        let kind = text_in(object, "type").and_then(Text::as_str).unwrap_or_default();
        let is_call_or_result = is_result
            || CALLS.contains(&kind)
            || kind.ends_with("_call")
            || ["tool_call_id", "tool_use_id", "call_id"]
                .iter()
                .any(|member| text_in(object, member).is_some());
        let lists = ["tool_calls", "invalid_tool_calls"];
        is_call_or_result && is_one(object)
            || lists.iter().any(|list| objects_in(object, list).into_iter().any(is_called))
    }
}

fn member<'o>(object: &'o [(Text, Value)], name: &str) -> Option<&'o Value> {
    object.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn text_in<'o>(object: &'o [(Text, Value)], name: &str) -> Option<&'o Text> {
    if let Some(Value::Str(text)) = member(object, name) { Some(text) } else { None }
}

fn object_in<'o>(object: &'o [(Text, Value)], name: &str) -> Option<&'o [(Text, Value)]> {
    if let Some(Value::Object(inner)) = member(object, name) { Some(inner) } else { None }
}

/// The objects in a list.
fn objects_in<'o>(object: &'o [(Text, Value)], name: &str) -> Vec<&'o [(Text, Value)]> {
    let Some(Value::Array(list)) = member(object, name) else { return Vec::new() };
    let objects =
        list.iter().filter_map(|one| if let Value::Object(one) = one { Some(&**one) } else { None });
    objects.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Message, Timestamp};

    fn is_about(tool: &str, role: &str, metadata: &str) -> bool {
        let mut message = Message::new("m", "", role, Timestamp::EPOCH);
        message.metadata = JsonObject::parse(metadata).unwrap();
        Filters { tools: vec![tool.to_owned()], ..Filters::default() }.hold(&MessageRef::from(&message))
    }

    #[test]
    fn a_tool_is_named_where_the_usual_formats_name_it() {
        for (role, metadata) in [
            (
                "assistant",
                r#"{"tool_calls":[{"id":"1"},{"id":"2","function":{"name":"grep","arguments":"{}"}}]}"#,
            ),
            ("assistant", r#"{"tool_calls":[{"id":"1","name":"grep","args":{}}]}"#),
            ("assistant", r#"{"content":[{"type":"text"},{"type":"tool_use","id":"1","name":"grep"}]}"#),
            ("assistant", r#"{"item":{"type":"function_call","call_id":"1","name":"grep"}}"#),
            (
                "assistant",
                r#"{"langchain_message":{"type":"ai","data":{"tool_calls":[{"id":"a","name":"grep"}]}}}"#,
            ),
            ("tool", r#"{"tool_call_id":"1","name":"grep"}"#),
            ("tool", r#"{"name":"grep"}"#),
            ("user", r#"{"parts":{"tool_call_id":"1","tool_name":"grep"}}"#),
        ] {
            assert!(is_about("grep", role, metadata), "{metadata}");
            assert!(!is_about("gre", role, metadata) && !is_about("Grep", role, metadata), "{metadata}");
        }
        for (role, metadata) in [
            ("user", r#"{"name":"grep"}"#),
            ("assistant", r#"{"tool_calls":"grep","note":{"name":"grep"}}"#),
            ("tool", r#"{"names":["grep"]}"#),
            ("tool", "{}"),
        ] {
            assert!(!is_about("grep", role, metadata), "{metadata}");
        }
    }
}
