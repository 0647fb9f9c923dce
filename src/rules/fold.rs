//! What a conversation becomes, event by event.
//!
//! Owns the meaning of each change for a conversation that is held as a whole.

use crate::codec::bytes::to_u64;
use crate::model::{Change, Conversation, Seq, Summary, Text, Timestamp};

/// What an event edits or removes, by its id.
enum Target<'c> {
    Message(&'c Text),
    Action(&'c Text),
}

impl<'c> Target<'c> {
    fn of(change: &'c Change) -> Option<Self> {
        match change {
            Change::EditMessage(message) => Some(Self::Message(&message.id)),
            Change::RemoveMessage(id) | Change::AppendText { message_id: id, .. } => Some(Self::Message(id)),
            Change::EditAction(action) => Some(Self::Action(&action.id)),
            Change::RemoveAction(id) => Some(Self::Action(id)),
            Change::Create { .. }
            | Change::Reset { .. }
            | Change::AddMessage(_)
            | Change::AddAction(_)
            | Change::SetTitle(_)
            | Change::SetMetadata(_)
            | Change::SetCreatedAt(_)
            | Change::SetExtra(_)
            | Change::Clear
            | Change::SetVersion(_)
            | Change::Remove { .. } => None,
        }
    }
}

/// A conversation, and what a list shows of it beside.
#[derive(Clone, Debug)]
pub(crate) struct Folded {
    pub(crate) conversation: Conversation,
    pub(crate) last_seq: Seq,
    /// Of the newest message or action.
    pub(crate) last_activity: Timestamp,
}

impl Folded {
    /// The conversation that an event begins if there is none of this id; `None` for what begins none.
    pub(crate) fn begun_by(id: &str, change: &Change, seq: Seq) -> Option<Self> {
        let time = match change {
            Change::Create { created_at, .. } | Change::Reset { created_at, .. } => *created_at,
            Change::AddMessage(message) => message.created_at,
            Change::AddAction(action) => action.created_at,
            Change::SetTitle(_)
            | Change::SetMetadata(_)
            | Change::EditMessage(_)
            | Change::RemoveMessage(_)
            | Change::EditAction(_)
            | Change::RemoveAction(_)
            | Change::AppendText { .. }
            | Change::SetCreatedAt(_)
            | Change::SetExtra(_)
            | Change::Clear
            | Change::SetVersion(_)
            | Change::Remove { .. } => return None,
        };
        Some(Self { conversation: Conversation::new(id, time), last_seq: seq, last_activity: time })
    }

    /// Whether what an event edits or removes stands at its place, as it does unless something is damaged.
    #[cfg(any(test, feature = "sqlite", feature = "postgres", feature = "journal"))]
    pub(crate) fn holds(&self, change: &Change, at: usize) -> bool {
        let (messages, actions) = (&self.conversation.messages, &self.conversation.actions);
        match Target::of(change) {
            Some(Target::Message(id)) => messages.get(at).is_some_and(|message| message.id == *id),
            Some(Target::Action(id)) => actions.get(at).is_some_and(|action| action.id == *id),
            None => true,
        }
    }

    /// Where what an event edits or removes stands, the last with its id; `None` if nothing has it. Of an event that does neither, 0.
    pub(crate) fn place_of(&self, change: &Change) -> Option<usize> {
        let (messages, actions) = (&self.conversation.messages, &self.conversation.actions);
        match Target::of(change) {
            Some(Target::Message(id)) => messages.iter().rposition(|message| message.id == *id),
            Some(Target::Action(id)) => actions.iter().rposition(|action| action.id == *id),
            None => Some(0),
        }
    }

    /// Carries out what an event does to it; `at` is the place of what is edited or removed.
    pub(crate) fn apply(&mut self, change: &Change, at: usize) {
        let conversation = &mut self.conversation;
        match change {
            Change::Create { title, created_at, metadata, extra } => {
                conversation.title = title.clone();
                conversation.created_at = *created_at;
                conversation.metadata = metadata.clone();
                conversation.extra = extra.clone();
            }
            Change::Reset { title, created_at, metadata, extra } => {
                let fresh = Conversation::new(&conversation.id, *created_at);
                let (title, metadata, extra) = (title.clone(), metadata.clone(), extra.clone());
                *conversation = Conversation { title, metadata, extra, ..fresh };
                self.last_activity = *created_at;
            }
            Change::SetCreatedAt(time) => conversation.created_at = *time,
            Change::SetExtra(extra) => conversation.extra = extra.clone(),
            Change::SetTitle(title) => {
                let default = || Conversation::default_title(&conversation.id);
                conversation.title = if title.is_empty() { default() } else { title.clone() };
            }
            Change::SetMetadata(metadata) => conversation.metadata = metadata.clone(),
            Change::AddMessage(message) => {
                self.last_activity = message.created_at;
                conversation.messages.push(message.clone());
            }
            Change::EditMessage(message) => {
                if let Some(old) = conversation.messages.get_mut(at) {
                    *old = message.clone();
                }
            }
            Change::AppendText { text, .. } => {
                if let Some(message) = conversation.messages.get_mut(at) {
                    message.content.push(text);
                }
            }
            Change::RemoveMessage(_) => {
                conversation.messages.remove(at);
            }
            Change::AddAction(action) => {
                self.last_activity = action.created_at;
                conversation.actions.push(action.clone());
            }
            Change::EditAction(action) => {
                if let Some(old) = conversation.actions.get_mut(at) {
                    *old = action.clone();
                }
            }
            Change::RemoveAction(_) => {
                conversation.actions.remove(at);
            }
            Change::Clear => {
                conversation.messages.clear();
                conversation.actions.clear();
            }
            Change::Remove { .. } | Change::SetVersion(_) => {}
        }
    }

    /// What a list shows of it.
    pub(crate) fn summary(&self) -> Summary {
        let conversation = &self.conversation;
        Summary {
            id: conversation.id.clone(),
            title: conversation.title.clone(),
            created_at: conversation.created_at,
            messages: to_u64(conversation.messages.len()),
            actions: to_u64(conversation.actions.len()),
            version: conversation.version,
            last_activity: self.last_activity,
            last_seq: self.last_seq,
        }
    }
}
