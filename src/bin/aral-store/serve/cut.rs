//! What of a message or an action a page shows.
//!
//! Owns how much that is at most. What is cut off is said, with a link to all of it, so that nothing is hidden and no page can be
//! too much for a browser.

use aral_store::{Action, JsonObject, Message, MessageRef, Text, TextRef, Timestamp};

use crate::export::html::escape;
use crate::output::{count, to_u64};

/// The most of a text, or of one object, that stands in a page.
pub(super) const MOST_TEXT: usize = 64 << 10;

/// The most of a role or a type.
const MOST_NAME: usize = 200;

/// The most of a title.
pub(super) const MOST_TITLE: usize = 1000;

/// A message as far as a page shows it.
pub(super) struct Cut {
    pub(super) message: Message,
    /// What was cut off, in words, as HTML.
    pub(super) notes: Vec<String>,
    /// About how much it takes in a page.
    pub(super) bytes: usize,
}

impl Cut {
    pub(super) fn of(message: &MessageRef<'_>) -> Self {
        let fields = [message.metadata, message.extra];
        Self::made(&message.id, message.content, message.role, message.created_at, fields)
    }

    pub(super) fn of_owned(message: &Message) -> Self {
        let fields = [message.metadata.as_json(), message.extra.as_json()];
        let (content, role) = (TextRef::from(&message.content), TextRef::from(&message.role));
        Self::made(&TextRef::from(&message.id), content, role, message.created_at, fields)
    }

    fn made(
        id: &TextRef<'_>,
        content: TextRef<'_>,
        role: TextRef<'_>,
        created_at: Timestamp,
        fields: [&str; 2],
    ) -> Self {
        let mut notes = Vec::new();
        let text = beginning(content.as_wtf8(), MOST_TEXT);
        if text.len() < content.len() {
            let of = count(to_u64(content.len()), "byte");
            notes.push(format!("the first {} of {of} are shown", text.len()));
        }
        let text = Text::from_wtf8(text.to_vec()).unwrap_or_default();
        let mut message = Message::new(id.to_text(), text, name(&role.to_text()), created_at);
        message.metadata = whole(fields[0], "metadata", &mut notes);
        message.extra = whole(fields[1], "other fields", &mut notes);
        let bytes = message.content.len() + message.metadata.as_json().len() + message.extra.as_json().len();
        Self { message, notes, bytes }
    }
}

/// An action as far as a page shows it, what was cut off, and about how much it takes.
pub(super) fn action(action: &Action) -> (Action, Vec<String>, usize) {
    let mut notes = Vec::new();
    let data = whole(action.data.as_json(), "data", &mut notes);
    let mut cut = Action::new(&action.id, name(&action.action_type), data, action.created_at);
    cut.metadata = whole(action.metadata.as_json(), "metadata", &mut notes);
    cut.extra = whole(action.extra.as_json(), "other fields", &mut notes);
    let bytes = [&cut.data, &cut.metadata, &cut.extra].map(|object| object.as_json().len()).iter().sum();
    (cut, notes, bytes)
}

/// An object that is short enough; of a longer one its length, and its beginning as text.
fn whole(json: &str, what: &str, notes: &mut Vec<String>) -> JsonObject {
    if json.len() > MOST_TEXT {
        let shown: String = json.chars().take(MOST_NAME).collect();
        let of = count(to_u64(json.len()), "byte");
        notes.push(format!("{what} of {of}: <code>{}…</code>", escape::text(&shown)));
        return JsonObject::EMPTY;
    }
    JsonObject::parse(json).unwrap_or(JsonObject::EMPTY)
}

/// A role or a type, shortened.
fn name(name: &Text) -> Text {
    shortened(&name.to_string_lossy(), MOST_NAME).into()
}

/// A text of at most so many characters, with dots where there is more of it.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// At most so many bytes, ending with a character.
fn beginning(bytes: &[u8], most: usize) -> &[u8] {
    let mut end = most;
    while bytes.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    bytes.get(..end).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_ends_with_a_character_and_is_told() {
        let long = "é".repeat(MOST_TEXT);
        let message = Message::new("m", long, "r".repeat(1000), Timestamp::EPOCH);
        let cut = Cut::of_owned(&message);
        assert_eq!(cut.message.content.len(), MOST_TEXT);
        assert_eq!(cut.notes, ["the first 65536 of 131072 bytes are shown"]);
        assert_eq!(cut.message.role.to_string_lossy().chars().count(), 201);
        assert_eq!(beginning("aé".as_bytes(), 2), b"a");
        assert_eq!(beginning(b"ab", 2), b"ab");
    }
}
