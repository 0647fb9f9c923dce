//! Reading the file of a single conversation, as the layout has it.
//!
//! Owns how such a file is told from an object with chat messages, and how it is taken apart. Every value keeps the text
//! that it has in the file: the parts are put together as lines of an export and read by what reads those.

use aral_store::{Conversation, ExportLine};

use super::piece::Piece;
use crate::chat::json::{Members, Raw, list};

/// Which fields each part has; all others are unknown ones, and kept as such.
const HEAD: [&str; 4] = ["id", "title", "created_at", "metadata"];
const MESSAGE: [&str; 5] = ["id", "content", "role", "created_at", "metadata"];
const ACTION: [&str; 5] = ["id", "action_type", "data", "created_at", "metadata"];

/// Whether an object with messages is a conversation of the layout.
pub(super) fn is_one(members: &Members<'_>) -> bool {
    ["id", "title", "created_at", "actions"].iter().all(|name| members.get(name).is_some())
}

/// What is said of an object that cannot be read: the layout has numbers that are no JSON.
pub(super) fn unread(bytes: &[u8], error: &serde_json::Error) -> String {
    let has = |word: &[u8]| bytes.windows(word.len()).any(|found| found == word);
    let is_of_python = (has(b"NaN") || has(b"Infinity")) && has(b"\"actions\"");
    let hint = "; NaN and Infinity are read from a directory that has the file in its conversations/";
    format!("{error}{}", if is_of_python { hint } else { "" })
}

/// Takes one apart; an error says which part of it cannot be read.
pub(super) fn piece(mut members: Members<'_>) -> Result<Piece, String> {
    let created_at = members.get("created_at").map_or("null", Raw::get);
    let [messages, actions] = ["messages", "actions"].map(|name| members.take(name).map_or("[]", Raw::get));
    let id = members.get("id").map_or("null", Raw::get);
    let ExportLine::Conversation { id: name, title, created_at: began, metadata, extra, .. } =
        read("conversation", "", members.clone(), &HEAD)?
    else {
        return Err("it was read as something else".to_owned());
    };
    let mut conversation = Conversation::new(&name, began);
    (conversation.title, conversation.metadata, conversation.extra) = (title, metadata, extra);
    let of = format!(r#""conversation_id":{id},"#);
    for (kind, fields, part) in [("message", &MESSAGE, messages), ("action", &ACTION, actions)] {
        let (items, broken) = list(part.as_bytes());
        if let Some(reason) = broken {
            return Err(format!("\"{kind}s\": {reason}"));
        }
        for (number, (_, raw)) in (1_u64..).zip(&items) {
            let told = |reason: String| format!("{kind} {number}: {reason}");
            let item = Members::read(raw.get()).map_err(|error| told(error.to_string()))?;
            // What has no time of its own has its conversation's, as in a store.
            let time = if item.get("created_at").is_none() {
                format!(r#""created_at":{created_at},"#)
            } else {
                String::new()
            };
            match read(kind, &(of.clone() + &time), item, fields).map_err(told)? {
                ExportLine::Message { message, .. } => conversation.messages.push(message),
                ExportLine::Action { action, .. } => conversation.actions.push(action),
                ExportLine::Conversation { .. } | ExportLine::End(_) | _ => {}
            }
        }
    }
    Ok(Piece::of_conversation(conversation))
}

/// Reads a part as the line of an export, with the fields that it does not have named apart.
fn read(kind: &str, before: &str, members: Members<'_>, named: &[&str]) -> Result<ExportLine, String> {
    let (own, other): (Vec<_>, Vec<_>) =
        members.into_list().into_iter().partition(|(name, _)| named.contains(&name.as_str()));
    let joined = |members: Vec<(String, Raw<'_>)>| {
        let member =
            |(name, raw): (String, Raw<'_>)| format!("{}:{}", serde_json::Value::from(name), raw.get());
        members.into_iter().map(member).collect::<Vec<_>>().join(",")
    };
    let extra = joined(other);
    let line = format!(r#"{{"type":"{kind}",{before}"extra":{{{extra}}},{}}}"#, joined(own));
    ExportLine::from_json_line(line.as_bytes()).map_err(|error| error.message().to_owned())
}
