//! A message as chat programs write it, and as this store keeps it.
//!
//! Owns what becomes of each member of such a message: role, text, id and time have fields of a message here, and whatever
//! else there is goes into the metadata under its own name. Taken apart and put together again it is the same JSON
//! value. A text is kept once, in the content, so that whoever edits that has edited the chat message.

mod skip;

pub(crate) mod json;

mod texts;

mod apart;

mod langchain;

mod session;

mod together;

#[cfg(test)]
mod tests;

pub(crate) use apart::{Apart, taken_apart};
pub(crate) use together::put_together;

/// What in the metadata says how a message is put together, where its members alone do not.
const MARK: &str = "chat_message";

/// What of a message's metadata belongs to a chat message that has no such mark: one that was added here, or imported
/// when there were none, or one that needs none.
const KNOWN: [&str; 8] = [
    "name",
    "refusal",
    "tool_calls",
    "tool_call_id",
    "function_call",
    "audio",
    "annotations",
    "reasoning_content",
];

/// Whether a value is what chat programs have under one of these names.
fn is_known(name: &str, raw: &str) -> bool {
    match name {
        "tool_calls" | "annotations" => raw.starts_with('['),
        "function_call" | "audio" => raw.starts_with('{') || raw == "null",
        "refusal" | "reasoning_content" => raw.starts_with('"') || raw == "null",
        "name" | "tool_call_id" => raw.starts_with('"'),
        _ => false,
    }
}

/// The members that a time has in chat programs, the likeliest first.
pub(crate) const TIMES: [&str; 4] = ["created_at", "timestamp", "create_time", "created"];

/// The name that the mark has among these: the longest that is the mark's, since one that is taken gets an underscore more.
fn mark_name<'n>(names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let is_mark =
        |name: &&str| name.strip_prefix(MARK).is_some_and(|rest| rest.bytes().all(|byte| byte == b'_'));
    names.filter(is_mark).max_by_key(|name| name.len())
}

/// The member that a person reads of an item of this type that has no role.
fn text_member(kind: &str) -> &'static str {
    match kind {
        "function_call" | "mcp_call" | "mcp_approval_request" => "arguments",
        "custom_tool_call" => "input",
        "reasoning" => "summary",
        _ if kind.ends_with("_output") => "output",
        _ => "content",
    }
}
