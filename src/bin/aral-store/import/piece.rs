//! A part of a conversation on its way into the store.
//!
//! Owns the comparison of what comes in with what is there, which makes an import that is run again harmless:
//! it needs no keys, works however long ago the first run was, and sees what has changed since.

use aral_store::{
    Action, Conversation, JsonObject, Message, Mutation, NewAction, NewConversation, NewMessage, Operation,
    Text, Timestamp, Version,
};

use crate::export::timeline::{Item, items};
use crate::output::to_u64;
use crate::transcripts::source::Source;

/// How a conversation begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) title: Text,
    pub(super) created_at: Timestamp,
    pub(super) metadata: JsonObject,
    pub(super) extra: JsonObject,
}

/// Some of a conversation's messages and actions, in order, with where they stand among all of its.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub(super) id: String,
    /// Absent for a part that is not the first.
    pub(super) head: Option<Head>,
    pub(super) first_message: usize,
    pub(super) messages: Vec<Message>,
    pub(super) first_action: usize,
    pub(super) actions: Vec<Action>,
    /// For each of these actions how many of these messages come before it; messages come first where nothing is said.
    pub(super) places: Vec<usize>,
    /// The version that the conversation had with all of this in it; absent if nobody says, or if more of it may come.
    pub(super) version: Option<Version>,
    /// The time that stands where the input has none.
    pub(super) undated: Option<Timestamp>,
    /// How many of its messages and actions come before all times: what comes later may give them another one than they have.
    pub(super) leading: (usize, usize),
    /// Whether it is of a tool's transcript, which is known by its source whatever became of its title.
    pub(super) is_transcript: bool,
}

impl Piece {
    /// A part that begins where nothing was before, and is empty yet.
    pub(super) fn new(id: String, head: Option<Head>) -> Self {
        let (messages, actions, places) = (Vec::new(), Vec::new(), Vec::new());
        let (first_message, first_action) = (0, 0);
        let (version, undated, leading, is_transcript) = (None, None, (0, 0), false);
        Self {
            id,
            head,
            first_message,
            messages,
            first_action,
            actions,
            places,
            version,
            undated,
            leading,
            is_transcript,
        }
    }

    pub(super) fn message(&mut self, message: Message) {
        self.messages.push(message);
    }

    pub(super) fn action(&mut self, action: Action) {
        self.places.push(self.messages.len());
        self.actions.push(action);
    }

    pub(super) fn of_conversation(conversation: Conversation) -> Self {
        let mut places = Vec::new();
        let mut before = 0;
        for item in items(&conversation) {
            match item {
                Item::Message(_) => before += 1,
                Item::Action(_) => places.push(before),
            }
        }
        let version = Some(conversation.version).filter(|version| *version > 0);
        let Conversation { id, title, created_at, metadata, messages, actions, extra, .. } = conversation;
        let head = Head { title, created_at, metadata, extra };
        Self { messages, actions, places, version, ..Self::new(id, Some(head)) }
    }

    /// The piece with the times of what is there wherever it has none of its own: what was added without a time
    /// got that of its import.
    pub(super) fn dated_like(mut self, there: &Conversation) -> Self {
        let Some(undated) = self.undated else { return self };
        if let Some(head) = self.head.as_mut().filter(|head| head.created_at == undated) {
            head.created_at = there.created_at;
        }
        let messages = self.messages.iter_mut().zip(there.messages.iter().skip(self.first_message));
        for (at, (message, known)) in messages.enumerate() {
            if at < self.leading.0 || message.created_at == undated {
                message.created_at = known.created_at;
            }
        }
        let actions = self.actions.iter_mut().zip(there.actions.iter().skip(self.first_action));
        for (at, (action, known)) in actions.enumerate() {
            if at < self.leading.1 || action.created_at == undated {
                action.created_at = known.created_at;
            }
        }
        self
    }

    /// What of the piece is still missing in a conversation that is there, or why it cannot be the same
    /// conversation.
    pub(super) fn missing_in(mut self, there: &Conversation) -> Result<Self, &'static str> {
        if let Some(head) = self.head.take() {
            let is_same_source = || {
                let there = Source::of(&there.metadata);
                there.is_some_and(|there| {
                    Source::of(&head.metadata).is_some_and(|own| own.is_same_session(&there))
                })
            };
            let same = head.title == there.title
                && head.created_at == there.created_at
                && head.metadata == there.metadata
                && head.extra == there.extra;
            let is_known = same || self.is_transcript && is_same_source();
            if !is_known {
                return Err("it exists with another title, time or metadata");
            }
        }
        let messages = present(&self.messages, &there.messages, self.first_message)
            .ok_or("it exists with other messages")?;
        let actions = present(&self.actions, &there.actions, self.first_action)
            .ok_or("it exists with other actions")?;
        self.messages.drain(..messages);
        self.actions.drain(..actions);
        self.places.drain(..actions.min(self.places.len()));
        self.places.iter_mut().for_each(|place| *place = place.saturating_sub(messages));
        self.first_message += messages;
        self.first_action += actions;
        Ok(self)
    }

    /// Whether a conversation that has all of it, and this version, has nothing more to get.
    pub(super) fn is_nothing_after(&self, version: Version) -> bool {
        let is_raised = self.version.is_none_or(|wanted| wanted <= version);
        self.messages.is_empty() && self.actions.is_empty() && is_raised
    }

    /// The mutations that add the piece, in order, to a conversation that has this version; 0 if there is none.
    pub(super) fn into_mutations(self, version: Version) -> impl Iterator<Item = Mutation> {
        let comes_to = to_u64(self.messages.len()).saturating_add(to_u64(self.actions.len()));
        // What began with its first message or action was not created apart from that, and has one event less.
        let begins_with_first = version == 0 && self.version == Some(comes_to) && self.is_as_begun_by_first();
        let Self { id, head, messages, actions, mut places, version: wanted, .. } = self;
        let head = head.filter(|_| !begins_with_first);
        let comes_to = version + comes_to + u64::from(head.is_some());
        let raise = wanted.filter(|wanted| *wanted > comes_to);
        let raise = raise.map(|wanted| Mutation::new(id.clone(), Operation::SetVersion(wanted)));
        let (for_messages, for_actions) = (id.clone(), id.clone());
        let create = head.map(|head| Mutation::create_conversation(id, new_conversation(head)));
        places.resize(actions.len(), messages.len());
        let (mut messages, mut actions) = (messages.into_iter().enumerate().peekable(), actions.into_iter());
        let mut places = places.into_iter().peekable();
        let items = std::iter::from_fn(move || {
            let next = messages.peek().map_or(usize::MAX, |(at, _)| *at);
            if places.next_if(|place| *place <= next).is_some() {
                return Some(Mutation::add_action(for_actions.clone(), new_action(actions.next()?)));
            }
            messages
                .next()
                .map(|(_, message)| Mutation::add_message(for_messages.clone(), new_message(message)))
        });
        create.into_iter().chain(items).chain(raise)
    }

    /// Whether its head is what a conversation has that begins with its first message or action.
    fn is_as_begun_by_first(&self) -> bool {
        let is_action_first = self.messages.is_empty() || self.places.first() == Some(&0);
        let first = if is_action_first {
            self.actions.first().map(|action| action.created_at)
        } else {
            self.messages.first().map(|message| message.created_at)
        };
        first.zip(self.head.as_ref()).is_some_and(|(time, head)| {
            let begun = Conversation::new(&self.id, time);
            *head
                == Head { title: begun.title, created_at: time, metadata: begun.metadata, extra: begun.extra }
        })
    }
}

/// How many of `coming` are among `there` already, which has the first of them at `first`; `None` if the
/// two do not agree as far as both go.
fn present<T: PartialEq>(coming: &[T], there: &[T], first: usize) -> Option<usize> {
    let there = there.get(first..)?;
    let both = there.len().min(coming.len());
    (there.get(..both) == coming.get(..both)).then_some(both)
}

fn new_conversation(head: Head) -> NewConversation {
    let mut new =
        NewConversation::new().title(head.title).created_at(head.created_at).metadata(head.metadata);
    new.extra = head.extra;
    new
}

pub(super) fn new_message(message: Message) -> NewMessage {
    let mut new = NewMessage::new(message.content)
        .role(message.role)
        .id(message.id)
        .created_at(message.created_at)
        .metadata(message.metadata);
    new.extra = message.extra;
    new
}

pub(super) fn new_action(action: Action) -> NewAction {
    let mut new = NewAction::new(action.action_type, action.data)
        .id(action.id)
        .created_at(action.created_at)
        .metadata(action.metadata);
    new.extra = action.extra;
    new
}

/// About how many bytes a mutation takes in the log; on the high side, so that a batch stays in its limit.
pub(super) fn weight(mutation: &Mutation) -> usize {
    const FIXED: usize = 256;
    let object = |object: &JsonObject| object.as_json().len();
    #[expect(clippy::wildcard_enum_match_arm, reason = "an import makes no others")]
    let own = match &mutation.operation {
        Operation::CreateConversation(new) => {
            new.title.as_ref().map_or(0, Text::len) + object(&new.metadata) + object(&new.extra)
        }
        Operation::AddMessage(new) => {
            new.content.len() + new.role.len() + object(&new.metadata) + object(&new.extra)
        }
        Operation::AddAction(new) => {
            new.action_type.len() + object(&new.data) + object(&new.metadata) + object(&new.extra)
        }
        _ => 0,
    };
    own + mutation.conversation_id.len() + FIXED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(messages: &[&str]) -> Conversation {
        let time = Timestamp::EPOCH;
        let mut conversation = Conversation::new("c", time);
        conversation.messages =
            messages.iter().map(|text| Message::new(*text, *text, "user", time)).collect();
        conversation
    }

    fn missing(coming: &[&str], there: &[&str]) -> Result<Vec<String>, &'static str> {
        let piece = Piece::of_conversation(conversation(coming)).missing_in(&conversation(there))?;
        Ok(piece.messages.iter().map(|message| message.id.to_string()).collect())
    }

    #[test]
    fn only_what_is_missing_at_the_end_is_added() {
        assert_eq!(missing(&["a", "b"], &[]).unwrap(), ["a", "b"]);
        assert_eq!(missing(&["a", "b"], &["a"]).unwrap(), ["b"]);
        assert!(missing(&["a", "b"], &["a", "b", "c"]).unwrap().is_empty());
        assert!(missing(&["a", "b"], &["b"]).is_err());
    }

    #[test]
    fn a_later_part_is_held_against_where_it_stands() {
        let mut piece = Piece { first_message: 1, ..Piece::of_conversation(conversation(&["b", "c"])) };
        piece.head = None;
        let rest = piece.clone().missing_in(&conversation(&["a", "b"])).unwrap();
        assert_eq!((rest.first_message, rest.messages.len()), (2, 1));
        assert!(piece.clone().missing_in(&conversation(&["a", "x"])).is_err());
        assert!(piece.missing_in(&conversation(&[])).is_err(), "what comes before it is not there");
    }

    #[test]
    fn another_head_is_another_conversation() {
        let piece = Piece::of_conversation(conversation(&["a"]));
        let mut there = conversation(&["a"]);
        there.title = "other".into();
        assert!(piece.missing_in(&there).is_err());
    }
}
