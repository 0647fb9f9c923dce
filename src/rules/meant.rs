//! What in a store meets conditions, whether it is there now or only kept of what was.
//!
//! Owns which of the states that are known counts: the newest one. Is given all of them in order.

use std::collections::BTreeMap;

use super::conditions::Where;
use crate::model::{Change, Conversation, Erasure, Event, Matched, Text};

/// Whether something meets the conditions as it is known last, and whether it did before.
#[derive(Clone, Copy, Default, Debug)]
struct Says {
    now: bool,
    before: bool,
}

#[derive(Default, Debug)]
struct Known {
    whole: Says,
    messages: BTreeMap<Text, Says>,
}

/// What is known so far.
#[derive(Debug)]
pub(crate) struct Meant<'w> {
    conditions: &'w Where,
    of: BTreeMap<String, Known>,
}

impl Says {
    fn note(&mut self, is_met: bool) {
        self.before |= self.now;
        self.now = is_met;
    }
}

impl<'w> Meant<'w> {
    pub(crate) fn new(conditions: &'w Where) -> Self {
        Self { conditions, of: BTreeMap::new() }
    }

    /// Takes note of one that says whether it meets them. What never did is not remembered.
    fn note(&mut self, conversation: &str, message: Option<&Text>, is_met: bool) {
        let known = match self.of.get_mut(conversation) {
            Some(known) => known,
            None if is_met => self.of.entry(conversation.to_owned()).or_default(),
            None => return,
        };
        match message {
            None => known.whole.note(is_met),
            Some(id) => match known.messages.get_mut(id) {
                Some(says) => says.note(is_met),
                None if is_met => known.messages.entry(id.clone()).or_default().note(true),
                None => {}
            },
        }
    }

    /// Takes note of a conversation as it was, or is.
    pub(crate) fn state(&mut self, state: &Conversation) {
        self.note(&state.id, None, self.conditions.is_met_by(&state.metadata));
        for message in &state.messages {
            self.note(&state.id, Some(&message.id), self.conditions.is_met_by(&message.metadata));
        }
    }

    /// Takes note of an event.
    pub(crate) fn event(&mut self, event: &Event) {
        match &event.change {
            Change::Create { metadata, .. }
            | Change::Reset { metadata, .. }
            | Change::SetMetadata(metadata) => {
                self.note(&event.conversation_id, None, self.conditions.is_met_by(metadata));
            }
            Change::AddMessage(message) | Change::EditMessage(message) => {
                let is_met = self.conditions.is_met_by(&message.metadata);
                self.note(&event.conversation_id, Some(&message.id), is_met);
            }
            Change::SetTitle(_)
            | Change::AppendText { .. }
            | Change::RemoveMessage(_)
            | Change::AddAction(_)
            | Change::EditAction(_)
            | Change::RemoveAction(_)
            | Change::Clear
            | Change::Remove { .. }
            | Change::SetCreatedAt(_)
            | Change::SetExtra(_)
            | Change::SetVersion(_) => {}
        }
    }

    /// What meets them. A message of a conversation that does goes with that.
    pub(crate) fn matched(self) -> Matched {
        let mut matched = Matched::default();
        for (id, known) in self.of {
            if known.whole.now {
                matched.found.push(Erasure::conversation(id));
                continue;
            }
            if known.whole.before {
                matched.only_before.push(Erasure::conversation(id.clone()));
            }
            for (message, says) in known.messages {
                let what = Erasure::message(id.clone(), message);
                if says.now {
                    matched.found.push(what);
                } else if says.before {
                    matched.only_before.push(what);
                }
            }
        }
        matched
    }
}
