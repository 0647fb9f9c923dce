//! What a fork is made of.
//!
//! Owns what is taken over of a conversation at a point, and the form in which a fork remembers where it comes from.

use super::revert::{add_action, add_message};
use crate::codec::json::Value;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Action, Conversation, Fork, ForkPoint, ForkedFrom, JsonObject, MAX_BATCH_EVENTS, Message, Mutation,
    NewConversation, Operation, Text, Timestamp,
};

/// The member of a fork's metadata that says where it comes from.
const FORKED_FROM: &str = "forked_from";

/// What a conversation holds.
enum Item {
    Message(Message),
    Action(Action),
}

impl Item {
    fn message_id(&self) -> Option<&Text> {
        if let Self::Message(message) = self { Some(&message.id) } else { None }
    }

    /// Adds it as it is.
    fn into_addition(self) -> Operation {
        match self {
            Self::Message(message) => add_message(message),
            Self::Action(action) => add_action(action),
        }
    }
}

/// Messages and actions in one line, as an export has them: an action stands before the first message that is later than it, and both keep
/// their order.
fn in_line(messages: Vec<Message>, actions: Vec<Action>) -> Vec<Item> {
    let instant = |time: Timestamp| time.approximate_unix_micros();
    let mut line = Vec::with_capacity(messages.len() + actions.len());
    let mut actions = actions.into_iter().peekable();
    for message in messages {
        let is_due = |action: &Action| instant(action.created_at) < instant(message.created_at);
        while let Some(action) = actions.next_if(is_due) {
            line.push(Item::Action(action));
        }
        line.push(Item::Message(message));
    }
    line.extend(actions.map(Item::Action));
    line
}

impl ForkedFrom {
    /// As a JSON object: the member `forked_from` of a fork's metadata.
    #[must_use]
    pub fn to_json(&self) -> JsonObject {
        JsonObject::from_members(&self.members())
    }

    fn members(&self) -> Vec<(Text, Value)> {
        let message = self.message_id.clone().map_or(Value::Null, Value::Str);
        vec![
            ("conversation_id".into(), Value::Str(self.conversation_id.as_str().into())),
            ("version".into(), Value::Int(self.version.to_string().into())),
            ("message_id".into(), message),
        ]
    }

    /// The metadata with this in them, in place of what an earlier fork has left.
    fn note_in(&self, metadata: &JsonObject) -> Result<JsonObject> {
        let mut members = metadata.members();
        if members.is_empty() && !metadata.is_empty() {
            let reason =
                format!("the metadata of conversation {:?} are no JSON object", self.conversation_id);
            return Err(Error::new(ErrorKind::Corrupt, reason));
        }
        members.retain(|(name, _)| name != FORKED_FROM);
        members.push((FORKED_FROM.into(), Value::Object(self.members())));
        Ok(JsonObject::from_members(&members))
    }
}

impl Conversation {
    /// What begins a new conversation of this id with what this one was at the fork's point, to be carried out as one batch.
    ///
    /// # Errors
    ///
    /// `NotFound` for a message that is not there; `InvalidInput` for more than one batch holds.
    pub(crate) fn forked(self, fork: Fork, id: &str) -> Result<Vec<Mutation>> {
        let mut items = in_line(self.messages, self.actions);
        if let ForkPoint::Through(message) | ForkPoint::Before(message) = &fork.point {
            let place = items.iter().rposition(|item| item.message_id() == Some(message));
            let at = place.ok_or_else(|| {
                let reason = format!(
                    "there is no message {:?} in conversation {:?}",
                    message.to_string_lossy(),
                    self.id
                );
                Error::new(ErrorKind::NotFound, reason)
            })?;
            items.truncate(at + usize::from(matches!(fork.point, ForkPoint::Through(_))));
        }
        let count = 1 + items.len();
        if count > MAX_BATCH_EVENTS {
            let reason = format!(
                "it takes {count} changes to fork conversation {:?} there, and {MAX_BATCH_EVENTS} can be carried out as one: fork it further back",
                self.id
            );
            return Err(Error::invalid(reason));
        }
        let message_id = items.iter().rev().find_map(Item::message_id).cloned();
        let own = Some(self.title).filter(|title| *title != Conversation::default_title(&self.id));
        let from = ForkedFrom { conversation_id: self.id, version: self.version, message_id };
        let new = NewConversation {
            title: fork.title.or(own),
            created_at: None,
            metadata: from.note_in(&self.metadata)?,
            extra: self.extra,
        };
        let begun = Operation::CreateConversation(new);
        let operations = [begun].into_iter().chain(items.into_iter().map(Item::into_addition));
        Ok(operations.map(|operation| Mutation::new(id, operation)).collect())
    }

    /// Which conversation it was forked from; `None` if it is no fork, or its metadata do not say so any more.
    ///
    /// ```
    /// use aral_store::{Fork, MessageStore};
    /// let store = MessageStore::in_memory();
    /// store.add_message("c1", "What shall we build?")?;
    /// let fork = store.fork("c1", Fork::new())?.conversation_id;
    /// let found = store.conversation_without_messages(&fork)?.and_then(|fork| fork.forked_from());
    /// assert_eq!(found.map(|from| from.conversation_id), Some("c1".to_owned()));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    #[must_use]
    pub fn forked_from(&self) -> Option<ForkedFrom> {
        let take = |members: &mut Vec<(Text, Value)>, name: &str| {
            let at = members.iter().position(|(key, _)| key == name)?;
            Some(members.swap_remove(at).1)
        };
        let mut all = self.metadata.members();
        let Value::Object(mut members) = take(&mut all, FORKED_FROM)? else { return None };
        let Value::Str(id) = take(&mut members, "conversation_id")? else { return None };
        let Value::Int(version) = take(&mut members, "version")? else { return None };
        let message_id =
            if let Some(Value::Str(id)) = take(&mut members, "message_id") { Some(id) } else { None };
        Some(ForkedFrom {
            conversation_id: id.as_str()?.to_owned(),
            version: version.parse().ok()?,
            message_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_micros(second * 1_000_000).unwrap()
    }

    fn parent() -> Conversation {
        let mut made = Conversation::new("c", at(0));
        made.messages = [("m1", 10), ("m2", 20), ("m3", 30)]
            .map(|(id, second)| Message::new(id, "", "user", at(second)))
            .into();
        // The clock of the actions goes back once: what stands behind another one stays behind it.
        made.actions = [("a1", 5), ("a2", 20), ("a3", 15), ("a4", 40)]
            .map(|(id, second)| Action::new(id, "t", JsonObject::EMPTY, at(second)))
            .into();
        made.version = 7;
        made
    }

    fn held(fork: Fork) -> String {
        #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is added")]
        let id = |mutation: Mutation| match mutation.operation {
            Operation::AddMessage(new) => new.id.unwrap().to_string(),
            Operation::AddAction(new) => new.id.unwrap().to_string(),
            _ => String::new(),
        };
        let mutations = parent().forked(fork, "new").unwrap();
        assert!(mutations.iter().all(|mutation| mutation.conversation_id == "new"));
        mutations.into_iter().skip(1).map(id).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_stands_before_the_point_is_taken_over_and_nothing_else() {
        assert_eq!(held(Fork::new()), "a1 m1 m2 a2 a3 m3 a4");
        assert_eq!(held(Fork::through("m3")), "a1 m1 m2 a2 a3 m3");
        assert_eq!(held(Fork::before("m3")), "a1 m1 m2 a2 a3");
        assert_eq!(held(Fork::through("m2")), "a1 m1 m2");
        assert_eq!(held(Fork::before("m1")), "a1");
        assert_eq!(parent().forked(Fork::before("m9"), "new").unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_fork_remembers_where_it_comes_from_and_keeps_the_other_metadata() {
        let metadata = r#"{"a":NaN,"forked_from":{"conversation_id":"older"},"b":"\ud83d"}"#;
        let mut made = parent();
        made.metadata = JsonObject::parse(metadata).unwrap();
        assert_eq!(made.forked_from(), None, "what does not say a version is nobody's");
        let mutations = made.forked(Fork::through("m2"), "new").unwrap();
        let Some(Operation::CreateConversation(new)) = mutations.into_iter().next().map(|one| one.operation)
        else {
            panic!("a fork begins a conversation");
        };
        let from = r#""forked_from":{"conversation_id":"c","version":7,"message_id":"m2"}"#;
        assert_eq!(new.metadata.as_json(), format!(r#"{{"a":NaN,"b":"\ud83d",{from}}}"#));
        let mut fork = Conversation::new("new", at(0));
        fork.metadata = new.metadata;
        let found = fork.forked_from().unwrap();
        assert_eq!((found.conversation_id.as_str(), found.version), ("c", 7));
        assert_eq!(found.message_id, Some("m2".into()));
        assert_eq!(new.title, None, "the default title is of the id");
    }
}
