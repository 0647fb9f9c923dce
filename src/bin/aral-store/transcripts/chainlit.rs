//! The steps of Chainlit, as versions up to 2.12.0 keep them, in a database or in the JSON of a thread.
//!
//! Owns what each type of step becomes. A tool is one step, with what it was called with and what came of it. An empty input or output is
//! one that may have been lost, and says nothing.

use super::entry::{About, Entry, quoted};

/// What a step becomes; `column` gives the JSON of one of its columns.
pub(super) fn entries(column: &dyn Fn(&str) -> Option<String>, about: &mut About) -> Vec<Entry> {
    let said = |name: &str| column(name).filter(|value| !["null", "\"\""].contains(&value.as_str()));
    let kind = column("type").and_then(|kind| serde_json::from_str::<String>(&kind).ok()).unwrap_or_default();
    let (id, parent) = (column("id"), said("parentId"));
    let role = match kind.as_str() {
        "user_message" => "user",
        "assistant_message" => "assistant",
        "system_message" => "system",
        _ => "",
    };
    let mut entries = Vec::new();
    match (kind.as_str(), said("output")) {
        (_, Some(output)) if !role.is_empty() => {
            if role == "user" {
                about.prompt(&output);
            }
            entries.push(Entry::message(role, output));
        }
        ("tool", output) => {
            let input = said("input").map(inside);
            let call = [
                ("call_id", id.as_deref()),
                ("name", Some(&*column("name").unwrap_or_default())),
                ("input", input.as_deref()),
            ];
            entries.push(Entry::action(
                "tool_call",
                &call.map(|(name, value)| (name, value.filter(|value| !value.is_empty()))),
            ));
            if let Some(output) = output.map(inside) {
                let failed = column("isError").filter(|failed| ["1", "true"].contains(&failed.as_str()));
                let failed = failed.map(|_| "true");
                let result = [("call_id", id.as_deref()), ("output", Some(&*output)), ("is_error", failed)];
                entries.push(Entry::action("tool_result", &result));
            }
        }
        _ => entries.push(Entry::action("record", &[("type", Some(&quoted(&kind)))])),
    }
    entries.into_iter().map(|entry| entry.with("parent_id", parent.clone())).collect()
}

/// The JSON that a text is, or the text.
fn inside(json: String) -> String {
    let text = serde_json::from_str::<String>(&json).ok();
    let inside = text.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    inside.map_or(json, |value| value.to_string())
}
