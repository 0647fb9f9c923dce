//! Messages of `LangChain` that the Python package keeps here: the calls of tools in them, as chat messages have them.
//!
//! Owns nothing but that. What else such a message is, only `LangChain` reads, and stays in the metadata.

use serde_json::Value;

use super::json::{Members, Raw, list};

/// Where the metadata keep the message.
const KEY: &str = "langchain";

/// The calls in a message, and the call that it answers, as members of a chat message.
pub(super) fn calls(members: &Members<'_>) -> Vec<(String, String)> {
    found(members).unwrap_or_default()
}

fn found(members: &Members<'_>) -> Option<Vec<(String, String)>> {
    let kept = Members::read(members.get(KEY)?.get()).ok()?;
    let data = Members::read(kept.get("data")?.get()).ok()?;
    let of = |name: &str| data.get(name).map(|raw| list(raw.get().as_bytes()).0).unwrap_or_default();
    let made: Vec<String> = ["tool_calls", "invalid_tool_calls"]
        .into_iter()
        .flat_map(of)
        .filter_map(|(_, call)| as_call(call))
        .collect();
    let mut out = Vec::new();
    if !made.is_empty() {
        out.push(("tool_calls".to_owned(), format!("[{}]", made.join(","))));
    }
    if let Some(answered) = data.get("tool_call_id").map(Raw::get).filter(|id| id.starts_with('"')) {
        out.push(("tool_call_id".to_owned(), answered.to_owned()));
    }
    Some(out)
}

/// A call with its arguments as JSON text. Those that a model wrote wrong are text already.
fn as_call(call: Raw<'_>) -> Option<String> {
    let call = Members::read(call.get()).ok()?;
    let (id, name) = (call.get("id")?.get(), call.get("name")?.get());
    let arguments = call.get("args").map_or("{}", Raw::get);
    let arguments =
        if arguments.starts_with('"') { arguments.to_owned() } else { Value::from(arguments).to_string() };
    Some(format!(r#"{{"id":{id},"type":"function","function":{{"name":{name},"arguments":{arguments}}}}}"#))
}
