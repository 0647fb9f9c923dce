//! Printing how two states of a conversation differ.

use super::line::Line;
use crate::model::{Action, Difference, ItemDifference, JsonObject, Message, Text, Timestamp};

impl Difference {
    /// Prints the difference: of `title`, `created_at`, `metadata` and `extra` what was `old` and is `new`, left out where they are
    /// the same; a list of `messages` and one of `actions`, each of them with a `change` (`removed`, `added` or `edited`) and
    /// what was `old` or is `new`; and whether they were `reordered`. No line break.
    #[must_use]
    pub fn to_json_line(&self) -> String {
        let mut line = Line::new();
        if let Some(pair) = &self.title {
            line = line.raw("title", &both(pair, |line, key, value: &Text| line.text(key, value)));
        }
        if let Some(pair) = &self.created_at {
            line = line.raw("created_at", &both(pair, |line, key, value: &Timestamp| line.time(key, *value)));
        }
        for (key, pair) in [("metadata", &self.metadata), ("extra", &self.extra)] {
            if let Some(pair) = pair {
                line = line.raw(key, &both(pair, |line, key, value: &JsonObject| line.object(key, value)));
            }
        }
        line.array("messages", self.messages.iter().map(|message| item(message, message_line)))
            .array("actions", self.actions.iter().map(|action| item(action, action_line)))
            .raw("reordered", if self.is_reordered { "true" } else { "false" })
            .finish()
    }
}

fn message_line(message: &Message) -> String {
    message.to_json_line(None)
}

fn action_line(action: &Action) -> String {
    action.to_json_line(None)
}

fn both<T>((old, new): &(T, T), add: impl Fn(Line, &str, &T) -> Line) -> String {
    add(add(Line::new(), "old", old), "new", new).finish()
}

fn item<T>(item: &ItemDifference<T>, print: impl Fn(&T) -> String) -> String {
    match item {
        ItemDifference::Removed(old) => Line::new().string("change", "removed").raw("old", &print(old)),
        ItemDifference::Added(new) => Line::new().string("change", "added").raw("new", &print(new)),
        ItemDifference::Edited { old, new } => {
            Line::new().string("change", "edited").raw("old", &print(old)).raw("new", &print(new))
        }
    }
    .finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Conversation;

    #[test]
    fn what_is_the_same_is_left_out_and_what_differs_is_there_as_it_was_and_as_it_is() {
        let mut old = Conversation::new("c", Timestamp::EPOCH);
        let nothing = r#"{"messages":[],"actions":[],"reordered":false}"#;
        assert_eq!(Difference::between(&old, &old).to_json_line(), nothing);
        old.messages.push(Message::new("m", "a", "user", Timestamp::EPOCH));
        let mut new = old.clone();
        (new.title, new.messages[0].content) = (Text::from("T\u{1}"), Text::from("b"));
        let line = Difference::between(&old, &new).to_json_line();
        assert!(
            line.starts_with(r#"{"title":{"old":"Conversation c","new":"T\u0001"},"messages":[{"#),
            "{line}"
        );
        let edited = r#"{"change":"edited","old":{"id":"m","content":"a","#;
        assert!(line.contains(edited) && line.ends_with(r#"],"actions":[],"reordered":false}"#), "{line}");
    }
}
