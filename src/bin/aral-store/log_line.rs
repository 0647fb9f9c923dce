//! An event in a line, as a person reads it.
//!
//! Owns its parts: the word for what it does, the id of what it is about, and what it says.

use aral_store::{Change, Seq};

use crate::exit::Failure;
use crate::output::one_line;
use crate::style::{self, painted};
use crate::whole::room_to_print;

/// How many characters of a text a terminal gets.
const SHOWN_CHARS: usize = 60;

/// Makes sure that there is memory to print an event.
pub(crate) fn room_for(seq: Seq, change: &Change) -> Result<(), Failure> {
    Ok(room_to_print(length(change), || format!("event {seq}"))?)
}

/// The word for a change, the id of what it is about, and what it says.
pub(crate) fn parts(change: &Change) -> [String; 3] {
    let subject = change.subject().map(|id| one_line(&id.to_string_lossy())).unwrap_or_default();
    [change.type_name().to_owned(), subject, detail(change)]
}

/// The same for a terminal.
pub(crate) fn shown(change: &Change) -> String {
    let [word, subject, detail] = parts(change);
    let parts = [subject, shortened(&detail)];
    let rest: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    let word = painted(style::WHO, &word);
    if rest.is_empty() { word } else { format!("{word}  {}", rest.join("  ").trim_end()) }
}

/// About how many bytes of a change may be many.
fn length(change: &Change) -> usize {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others hold nothing that is long")]
    match change {
        Change::SetMetadata(metadata) => metadata.as_json().len(),
        Change::AppendText { text, .. } => text.len(),
        Change::AddMessage(message) | Change::EditMessage(message) => {
            message.content.len().saturating_add(message.metadata.as_json().len())
        }
        Change::AddAction(action) | Change::EditAction(action) => {
            action.data.as_json().len().saturating_add(action.metadata.as_json().len())
        }
        _ => 0,
    }
}

/// What the change holds, in a line.
fn detail(change: &Change) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others hold no more than their word and subject")]
    let text = match change {
        Change::Create { title, .. } | Change::Reset { title, .. } | Change::SetTitle(title) => {
            title.to_string_lossy().into_owned()
        }
        Change::SetMetadata(metadata) => metadata.as_json().to_owned(),
        Change::AppendText { text, .. } => text.to_string_lossy().into_owned(),
        Change::AddMessage(message) => {
            format!("{}: {}", message.role.to_string_lossy(), message.content.to_string_lossy())
        }
        Change::EditMessage(message) => message.content.to_string_lossy().into_owned(),
        Change::SetCreatedAt(time) => time.to_string(),
        Change::SetExtra(extra) => extra.as_json().to_owned(),
        Change::AddAction(action) | Change::EditAction(action) => {
            format!("{}: {}", action.action_type.to_string_lossy(), action.data.as_json())
        }
        _ => String::new(),
    };
    one_line(&text)
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or(text)),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_a_character_and_marked() {
        assert_eq!(shortened(&"é".repeat(60)), "é".repeat(60));
        assert_eq!(shortened(&"é".repeat(61)), "é".repeat(60) + "…");
    }
}
