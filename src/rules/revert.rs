//! What makes of a conversation what it was.
//!
//! Owns the choice of mutations: as few as the two states differ by, or the whole conversation anew where that is less.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::model::{
    Action, ActionEdit, Conversation, Edit, MAX_BATCH_EVENTS, Message, Mutation, NewAction, NewConversation,
    NewMessage, Operation, Text,
};

/// What makes a conversation into what another value of it holds, to be carried out as one batch; nothing if it is that.
/// The first of them expects the version that `now` has.
///
/// # Errors
///
/// `InvalidInput` for more than one batch holds, and for an empty title, which only a file can bring about.
pub(crate) fn revert(now: Option<&Conversation>, then: &Conversation) -> Result<Vec<Mutation>> {
    let anew = || {
        let new = NewConversation {
            title: Some(then.title.clone()),
            created_at: Some(then.created_at),
            metadata: then.metadata.clone(),
            extra: then.extra.clone(),
        };
        let begun = match now {
            Some(_) => Operation::ResetConversation(new),
            None => Operation::CreateConversation(new),
        };
        let messages = then.messages.iter().cloned().map(add_message);
        [begun].into_iter().chain(messages).chain(then.actions.iter().cloned().map(add_action))
    };
    let all = || 1 + then.messages.len() + then.actions.len();
    let operations: Vec<_> = match now.and_then(|now| changes(now, then)) {
        Some(changes) if changes.len() <= all() => changes,
        Some(_) | None => anew().collect(),
    };
    if operations.len() > MAX_BATCH_EVENTS {
        let reason = format!(
            "it takes {} changes to make conversation {:?} what it was, and {MAX_BATCH_EVENTS} can be carried out as one",
            operations.len(),
            then.id
        );
        return Err(Error::invalid(reason));
    }
    let names_title = |operation: &Operation| {
        matches!(
            operation,
            Operation::SetTitle(_) | Operation::ResetConversation(_) | Operation::CreateConversation(_)
        )
    };
    if then.title.is_empty() && operations.iter().any(names_title) {
        let reason =
            format!("conversation {:?} had an empty title, which no change can bring about", then.id);
        return Err(Error::invalid(reason));
    }
    let mut mutations: Vec<_> =
        operations.into_iter().map(|operation| Mutation::new(then.id.as_str(), operation)).collect();
    if let Some(first) = mutations.first_mut() {
        first.expect = Some(now.map_or(0, |now| now.version));
    }
    Ok(mutations)
}

/// The changes one by one; `None` where an id does not tell which item is meant.
fn changes(now: &Conversation, then: &Conversation) -> Option<Vec<Operation>> {
    let mut changes = Vec::new();
    if now.title != then.title {
        changes.push(Operation::SetTitle(then.title.clone()));
    }
    if now.metadata != then.metadata {
        changes.push(Operation::SetMetadata(then.metadata.clone()));
    }
    if now.created_at != then.created_at {
        changes.push(Operation::SetCreatedAt(then.created_at));
    }
    if now.extra != then.extra {
        changes.push(Operation::SetExtra(then.extra.clone()));
    }
    let messages = Kind {
        id: |message: &Message| &message.id,
        remove: Operation::RemoveMessage,
        edit: edit_message,
        add: |message: &Message| add_message(message.clone()),
    };
    messages.changes(&now.messages, &then.messages, &mut changes)?;
    let actions = Kind {
        id: |action: &Action| &action.id,
        remove: Operation::RemoveAction,
        edit: edit_action,
        add: |action: &Action| add_action(action.clone()),
    };
    actions.changes(&now.actions, &then.actions, &mut changes)?;
    Some(changes)
}

/// What is done with messages, or with actions.
struct Kind<T> {
    id: fn(&T) -> &Text,
    remove: fn(Text) -> Operation,
    edit: fn(&T, &T) -> Operation,
    add: fn(&T) -> Operation,
}

impl<T: PartialEq> Kind<T> {
    /// Edits what both lists begin with, and replaces what is behind it in one of them.
    fn changes(&self, now: &[T], then: &[T], changes: &mut Vec<Operation>) -> Option<()> {
        let both = || now.iter().zip(then);
        let same = both().take_while(|(now, then)| (self.id)(now) == (self.id)(then)).count();
        // Order: the last one first. An id means the last item that has it.
        changes.extend(now.iter().skip(same).rev().map(|item| (self.remove)((self.id)(item).clone())));
        let mut seen = HashSet::new();
        let is_meant: Vec<bool> =
            now.iter().take(same).rev().map(|item| seen.insert((self.id)(item))).collect();
        for ((now, then), is_meant) in both().take(same).zip(is_meant.into_iter().rev()) {
            if now != then {
                changes.push(is_meant.then(|| (self.edit)(now, then))?);
            }
        }
        changes.extend(then.iter().skip(same).map(|item| (self.add)(item)));
        Some(())
    }
}

fn unless_same<T: Clone + PartialEq>(now: &T, then: &T) -> Option<T> {
    (now != then).then(|| then.clone())
}

fn edit_message(now: &Message, then: &Message) -> Operation {
    let edit = Edit {
        content: unless_same(&now.content, &then.content),
        role: unless_same(&now.role, &then.role),
        created_at: unless_same(&now.created_at, &then.created_at),
        metadata: unless_same(&now.metadata, &then.metadata),
        extra: unless_same(&now.extra, &then.extra),
    };
    Operation::EditMessage { message_id: then.id.clone(), edit }
}

fn edit_action(now: &Action, then: &Action) -> Operation {
    let edit = ActionEdit {
        action_type: unless_same(&now.action_type, &then.action_type),
        data: unless_same(&now.data, &then.data),
        created_at: unless_same(&now.created_at, &then.created_at),
        metadata: unless_same(&now.metadata, &then.metadata),
        extra: unless_same(&now.extra, &then.extra),
    };
    Operation::EditAction { action_id: then.id.clone(), edit }
}

/// Adds a message as it is.
pub(super) fn add_message(message: Message) -> Operation {
    let Message { id, content, role, created_at, metadata, extra } = message;
    let (id, created_at) = (Some(id), Some(created_at));
    Operation::AddMessage(NewMessage { content, role, id, created_at, metadata, extra })
}

/// Adds an action as it is.
pub(super) fn add_action(action: Action) -> Operation {
    let Action { id, action_type, data, created_at, metadata, extra } = action;
    let (id, created_at) = (Some(id), Some(created_at));
    Operation::AddAction(NewAction { action_type, data, id, created_at, metadata, extra })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn conversation(messages: &[(&str, &str)]) -> Conversation {
        let mut made = Conversation::new("c", Timestamp::EPOCH);
        let message = |(id, text): &(&str, &str)| Message::new(*id, *text, "user", Timestamp::EPOCH);
        made.messages = messages.iter().map(message).collect();
        made.version = 9;
        made
    }

    fn words(now: &[(&str, &str)], then: &[(&str, &str)]) -> String {
        let found = revert(Some(&conversation(now)), &conversation(then)).unwrap();
        assert!(found.iter().skip(1).all(|mutation| mutation.expect.is_none()));
        assert!(found.first().is_none_or(|first| first.expect == Some(9)));
        #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is made of messages")]
        let word = |mutation: &Mutation| match &mutation.operation {
            Operation::RemoveMessage(id) => format!("-{}", id.to_string_lossy()),
            Operation::EditMessage { message_id, .. } => format!("~{}", message_id.to_string_lossy()),
            Operation::AddMessage(message) => format!("+{}", message.content.to_string_lossy()),
            Operation::ResetConversation(_) => "reset".to_owned(),
            other => panic!("{other:?}"),
        };
        found.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_differs_is_changed_and_what_is_the_same_is_left_alone() {
        let three = [("a", "1"), ("b", "2"), ("c", "3")];
        assert_eq!(words(&three, &three), "");
        assert_eq!(words(&three, &[("a", "1"), ("b", "4"), ("c", "3")]), "~b");
        assert_eq!(words(&three, &three[..1]), "-c -b");
        assert_eq!(words(&three[..2], &three), "+3");
        assert_eq!(words(&three, &[("a", "1"), ("c", "3")]), "-c -b +3");
    }

    #[test]
    fn all_is_put_back_anew_where_that_is_less_or_an_id_does_not_tell_what_is_meant() {
        let (now, then) = ([("a", "1"), ("b", "2"), ("c", "3")], [("d", "4")]);
        assert_eq!(words(&now, &then), "reset +4");
        let (now, then) = ([("a", "1"), ("a", "2")], [("a", "0"), ("a", "2")]);
        assert_eq!(words(&now, &then), "reset +0 +2");
        assert_eq!(words(&now, &[("a", "1"), ("a", "0")]), "~a");
    }
}
