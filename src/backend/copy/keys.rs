//! The idempotency keys of a store that is copied by its state.
//!
//! Owns which additions used which keys, as far as the source still has the events. A key that was used for anything else
//! belongs to an event that the copy does not have.

use std::collections::HashMap;

use crate::backend::Backend;
use crate::error::{ErrorKind, Result};
use crate::model::{Change, Event, Logged, Seq, Text};

/// Keys, each with what tells its use from others, by what was added with them.
#[derive(Default)]
pub(super) struct Keys {
    found: HashMap<Added, (String, u32)>,
}

/// What an event adds.
#[derive(PartialEq, Eq, Hash)]
struct Added {
    conversation_id: String,
    item: Item,
}

#[derive(PartialEq, Eq, Hash)]
enum Item {
    Conversation,
    Message(Text),
    Action(Text),
}

impl Keys {
    /// The keys of the events behind this one that are still there.
    pub(super) fn since(from: &dyn Backend, seq: Seq) -> Result<Self> {
        let mut keys = Self::default();
        let mut follower = match from.follow(seq + 1) {
            Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(keys),
            follower => follower?,
        };
        while let Some(logged) = follower.next_logged()? {
            let Logged::Batch { events, .. } = logged else { continue };
            for mut event in events {
                let Some(key) = event.key.take() else { continue };
                if let Some(added) = Added::by(&event) {
                    keys.found.insert(added, (key, event.fingerprint));
                }
            }
        }
        Ok(keys)
    }

    /// The event with the key that was used for it.
    pub(super) fn put(&mut self, event: Event) -> Event {
        if self.found.is_empty() {
            return event;
        }
        match Added::by(&event).and_then(|added| self.found.remove(&added)) {
            Some((key, fingerprint)) => Event { key: Some(key), fingerprint, ..event },
            None => event,
        }
    }
}

impl Added {
    fn by(event: &Event) -> Option<Self> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else adds anything")]
        let item = match &event.change {
            Change::Create { .. } => Item::Conversation,
            Change::AddMessage(message) => Item::Message(message.id.clone()),
            Change::AddAction(action) => Item::Action(action.id.clone()),
            _ => return None,
        };
        Some(Self { conversation_id: event.conversation_id.clone(), item })
    }
}
