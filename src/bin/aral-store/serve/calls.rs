//! Calls of tools that messages hold, as a page folds them.
//!
//! Owns the places in the metadata where providers' formats keep them. What is not understood is shown with the metadata all the same.

use aral_store::Message;
use serde_json::Value;

use crate::export::html::escape;
use crate::export::html::items::preview;

/// The calls in a message, as HTML.
pub(super) fn folded(message: &Message) -> String {
    if message.metadata.is_empty() {
        return String::new();
    }
    let Ok(metadata) = serde_json::from_str::<Value>(message.metadata.as_json()) else {
        return String::new();
    };
    let list =
        |name: &str| metadata.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let parts = list("content").iter().filter(|part| part.get("type").is_some_and(|kind| kind == "tool_use"));
    list("tool_calls").iter().chain(parts).filter_map(call).collect()
}

/// One call: its name, and what it was given.
fn call(call: &Value) -> Option<String> {
    let call = call.get("function").filter(|function| function.is_object()).unwrap_or(call);
    let name = call.get("name")?.as_str()?;
    let given = ["arguments", "args", "input"].iter().find_map(|member| call.get(*member));
    let given = match given {
        None => String::new(),
        // Written as text, it is JSON mostly.
        Some(Value::String(text)) => match serde_json::from_str::<Value>(text) {
            Ok(value) => format!("{value:#}"),
            Err(_) => text.clone(),
        },
        Some(value) => format!("{value:#}"),
    };
    let flat: Vec<&str> = given.split_whitespace().collect();
    Some(format!(
        "<details class=\"action call\"><summary><b><bdi>{}</bdi></b> <code>{}</code></summary>\
         <pre><code>{}</code></pre></details>\n",
        escape::text(&super::cut::shortened(name, 200)),
        escape::text(&preview(&flat.join(" "))),
        escape::text(&given)
    ))
}

/// The words that a tool's result is folded behind, as HTML; nothing for a message that is none.
pub(super) fn fold(message: &Message) -> Option<String> {
    let role = message.role.to_string_lossy();
    let is_result = matches!(role.as_ref(), "tool" | "function" | "tool_result")
        || message.metadata.as_json().contains("\"tool_call_id\"");
    if !is_result || message.content.is_empty() {
        return None;
    }
    let content = message.content.to_string_lossy();
    let flat: Vec<&str> = content.split_whitespace().take(30).collect();
    Some(format!("<b>result</b> <code>{}</code>", escape::text(&preview(&flat.join(" ")))))
}

#[cfg(test)]
mod tests {
    use aral_store::{JsonObject, Timestamp};

    use super::*;

    fn with(metadata: &str) -> Message {
        let mut message = Message::new("m", "4", "assistant", Timestamp::EPOCH);
        message.metadata = JsonObject::parse(metadata).unwrap();
        message
    }

    #[test]
    fn calls_of_the_usual_formats_are_found_and_anything_else_is_left() {
        for (metadata, name) in [
            (r#"{"tool_calls":[{"id":"1","function":{"name":"add","arguments":"{\"a\":1}"}}]}"#, "add"),
            (r#"{"tool_calls":[{"name":"<b>","args":{"a":1}}]}"#, "&lt;b&gt;"),
            (r#"{"content":[{"type":"text"},{"type":"tool_use","name":"ls","input":{}}]}"#, "ls"),
        ] {
            let html = folded(&with(metadata));
            assert!(html.contains(&format!("<bdi>{name}</bdi>")), "{html}");
        }
        for metadata in ["{}", r#"{"tool_calls":{}}"#, r#"{"tool_calls":[7,{"name":7}]}"#, r#"{"a":NaN}"#] {
            assert_eq!(folded(&with(metadata)), "", "{metadata}");
        }
    }

    #[test]
    fn results_are_folded_and_nothing_else_is() {
        assert!(fold(&with("{}")).is_none());
        assert!(fold(&with(r#"{"tool_call_id":"call_1"}"#)).unwrap().contains("<code>4</code>"));
        assert!(fold(&Message::new("m", "4", "tool", Timestamp::EPOCH)).is_some());
    }
}
