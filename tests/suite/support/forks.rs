//! What a fork ought to come to, in the plainest way.
//!
//! Owns its own reading of what is taken over, and of where an action stands among the messages: it calls no rule of the product.

use aral_store::{
    Action, Conversation, ErrorKind, Fork, ForkPoint, JsonObject, Mutation, NewAction, NewConversation,
    NewMessage, Text, Timestamp,
};

use super::oracle::{Expected, Oracle};
use super::sources::made_id;

/// The fork as it is asked for.
pub(crate) fn asked(to: Option<&str>, point: &ForkPoint) -> Fork {
    let mut fork = Fork::new();
    (fork.point, fork.id) = (point.clone(), to.map(str::to_owned));
    fork
}

/// What the one receipt of a fork says, of those that its changes would have by themselves.
pub(crate) fn told(expected: Vec<Expected>) -> Vec<Expected> {
    let one = |last: Expected| Expected { id: Text::from(&last.conversation_id), ..last };
    expected.into_iter().next_back().map(one).into_iter().collect()
}

/// Before which message each action stands; behind all of them by their number.
fn places(conversation: &Conversation) -> Vec<usize> {
    let micros = |time: Timestamp| time.approximate_unix_micros();
    let (messages, mut place) = (&conversation.messages, 0);
    let mut place_of = |action: &Action| {
        let is_later = |at: &usize| micros(messages[*at].created_at) > micros(action.created_at);
        place = (place..messages.len()).find(is_later).unwrap_or(messages.len());
        place
    };
    conversation.actions.iter().map(&mut place_of).collect()
}

/// A text as JSON, half characters as escapes.
fn quoted(text: &Text) -> String {
    let unit = |point| match char::from_u32(point) {
        Some(one) => serde_json::to_string(&one).unwrap().trim_matches('"').to_owned(),
        None => format!("\\u{point:04x}"),
    };
    match text.as_str() {
        Some(text) => serde_json::to_string(text).unwrap(),
        None => format!("\"{}\"", text.code_points().map(unit).collect::<String>()),
    }
}

/// Metadata with the parent and the point behind everything else.
fn noted(conversation: &Conversation, last: Option<&Text>) -> JsonObject {
    let text = conversation.metadata.as_json();
    // What an earlier fork has noted stands last.
    let open = match text.split_once(r#""forked_from":"#) {
        Some((others, _)) => others.trim_end_matches(','),
        None => text.strip_suffix('}').unwrap(),
    };
    let comma = if open == "{" { "" } else { "," };
    let (id, version) = (quoted(&Text::from(&conversation.id)), conversation.version);
    let message = last.map_or_else(|| "null".to_owned(), quoted);
    let from = format!(r#"{{"conversation_id":{id},"version":{version},"message_id":{message}}}"#);
    JsonObject::parse(&format!(r#"{open}{comma}"forked_from":{from}}}"#)).unwrap()
}

impl Oracle {
    /// The batch that a fork ought to be, as the operation of this number.
    pub(crate) fn forked(
        &self,
        operation: u64,
        from: &str,
        to: Option<&str>,
        point: &ForkPoint,
    ) -> Result<Vec<Mutation>, ErrorKind> {
        if to == Some("") {
            return Err(ErrorKind::InvalidInput);
        }
        let known = &self.find(from).ok_or(ErrorKind::NotFound)?.conversation;
        let place = |id: &Text| {
            let place = known.messages.iter().rposition(|message| message.id == *id);
            place.ok_or(ErrorKind::NotFound)
        };
        let places = places(known);
        let before = |message: usize| places.iter().filter(|place| **place <= message).count();
        let (messages, actions) = match point {
            ForkPoint::Through(id) => (place(id)? + 1, before(place(id)?)),
            ForkPoint::Before(id) => (place(id)?, before(place(id)?)),
            ForkPoint::Now => (known.messages.len(), known.actions.len()),
            ForkPoint::At(_) | _ => return Err(ErrorKind::Unsupported),
        };
        let id = to.map_or_else(|| made_id(operation, 0), str::to_owned);
        let default = format!("Conversation {}", from.chars().take(8).collect::<String>());
        let last = known.messages[..messages].last().map(|message| &message.id);
        let mut new = NewConversation::new().metadata(noted(known, last));
        new.title = Some(known.title.clone()).filter(|title| *title != default.as_str());
        new.extra = known.extra.clone();
        let mut batch = vec![Mutation::create_conversation(&id, new)];
        let mut due = known.actions[..actions].iter().zip(&places).peekable();
        for at in 0..=messages {
            while let Some((action, _)) = due.next_if(|(_, place)| **place <= at || at == messages) {
                let mut new =
                    NewAction::new(action.action_type.clone(), action.data.clone()).id(action.id.clone());
                (new.created_at, new.metadata) = (Some(action.created_at), action.metadata.clone());
                new.extra = action.extra.clone();
                batch.push(Mutation::add_action(&id, new));
            }
            if let Some(message) = known.messages[..messages].get(at) {
                let mut new = NewMessage::new(message.content.clone()).role(message.role.clone());
                (new.id, new.created_at) = (Some(message.id.clone()), Some(message.created_at));
                (new.metadata, new.extra) = (message.metadata.clone(), message.extra.clone());
                batch.push(Mutation::add_message(&id, new));
            }
        }
        Ok(batch)
    }
}
