//! An item of the Responses API, as programs that use it keep them.
//!
//! Owns what each type of item becomes.

use super::entry::{About, Entry, joined, objects, raw, text};
use crate::chat::json::Members;

/// What an item becomes; a prompt gives the conversation its title.
pub(super) fn entries(item: &Members<'_>, about: &mut About) -> Vec<Entry> {
    let of = |name: &'static str| (name, raw(item, name));
    let kind = text(item, "type").unwrap_or_default();
    match kind.as_str() {
        "" | "message" => {
            let Some(role) = text(item, "role") else { return Vec::new() };
            let content = match raw(item, "content") {
                Some(content) if content.starts_with('"') => content.to_owned(),
                _ => {
                    let parts = objects(item.get("content"));
                    let texts: Vec<&str> = parts.iter().filter_map(|part| raw(part, "text")).collect();
                    if texts.is_empty() {
                        return vec![Entry::action("record", &[("type", Some("\"message\"")), of("role")])];
                    }
                    joined(&texts)
                }
            };
            if role == "user" {
                about.prompt(&content);
            }
            vec![Entry::message(&role, content)]
        }
        "reasoning" => {
            let parts = objects(item.get("summary"));
            let texts: Vec<&str> = parts.iter().filter_map(|part| raw(part, "text")).collect();
            vec![Entry::action("thinking", &[("text", Some(&joined(&texts)))])]
        }
        "function_call" | "custom_tool_call" => {
            let input = arguments(item, "arguments").or_else(|| raw(item, "input").map(str::to_owned));
            vec![Entry::action("tool_call", &[of("call_id"), of("name"), ("input", input.as_deref())])]
        }
        "function_call_output" | "custom_tool_call_output" => {
            vec![Entry::action("tool_result", &[of("call_id"), of("output")])]
        }
        _ => vec![Entry::action("record", &[of("type")])],
    }
}

/// What a tool was called with: an object, or the JSON of one in a string, as that object.
pub(super) fn arguments(item: &Members<'_>, name: &str) -> Option<String> {
    let given = raw(item, name)?;
    let inside =
        text(item, name).filter(|inside| serde_json::from_str::<serde::de::IgnoredAny>(inside).is_ok());
    Some(inside.unwrap_or_else(|| given.to_owned()))
}
