//! The past of a conversation, as far as it is kept.
//!
//! Owns the values that looking back begins with: a point in the past, and the events that lead to it and on from it.

use super::{Change, Conversation, Event, Seq, Timestamp, Tombstone, Version};

/// A point in the past of a conversation, or of a whole store.
///
/// ```
/// use aral_store::At;
/// assert_eq!(At::from(7), At::Seq(7));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum At {
    /// After the event with this number, and before the next one. Behind the newest event that is now.
    Seq(Seq),
    /// Before the first event that says a later time. What events say is the time of what they add, or at which they
    /// removed a conversation, by the clock of whoever did it; edits say none.
    Time(Timestamp),
    /// When the conversation had this version. One that was removed and begun again counts anew; what it had in more than one of
    /// its lives is refused, naming the events.
    Version(Version),
}

impl From<Seq> for At {
    fn from(seq: Seq) -> Self {
        Self::Seq(seq)
    }
}

impl From<Timestamp> for At {
    fn from(time: Timestamp) -> Self {
        Self::Time(time)
    }
}

/// What is kept of the past of one conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct History {
    /// The conversation's id.
    pub conversation_id: String,
    /// What it was before the first of these events; nothing if it was not there.
    pub base: Option<HistoryBase>,
    /// Every state from the one after this event on is known; 0 if everything is. What was before it is no longer kept, or damaged.
    pub whole_from: Seq,
    /// The removal behind which the history begins, if there is no base because it had been removed.
    pub removed: Option<Tombstone>,
    /// What happened to it since, oldest first.
    pub events: Vec<PastEvent>,
    /// Why it is whole from there on only, where that is damage; nothing where the rest is no longer kept.
    pub damage: Option<String>,
}

/// A conversation as it was before the oldest event that is kept of it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct HistoryBase {
    /// What it held.
    pub conversation: Conversation,
    /// The event that had made it so; 0 if it had had none since its files were taken over.
    pub last_seq: Seq,
    /// The time of what had been added last by then.
    pub last_activity: Timestamp,
}

/// An event of the past.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PastEvent {
    /// Its place in the whole store.
    pub seq: Seq,
    /// The number of the first event of its batch: what was carried out together has the same.
    pub batch: Seq,
    /// What happened.
    pub event: Event,
}

impl History {
    /// A history without anything in it that is whole from this event on.
    #[must_use]
    pub fn new(conversation_id: &str, whole_from: Seq) -> Self {
        let conversation_id = conversation_id.to_owned();
        Self { conversation_id, base: None, whole_from, removed: None, events: Vec::new(), damage: None }
    }

    /// Whether nothing is known of such a conversation.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.events.is_empty()
    }
}

impl HistoryBase {
    /// What a conversation was.
    #[must_use]
    pub fn new(conversation: Conversation, last_seq: Seq, last_activity: Timestamp) -> Self {
        Self { conversation, last_seq, last_activity }
    }
}

impl PastEvent {
    /// An event of a batch.
    #[must_use]
    pub fn new(seq: Seq, batch: Seq, event: Event) -> Self {
        Self { seq, batch, event }
    }

    /// The time that the event says, if it says when it happened.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        match &self.event.change {
            Change::Create { created_at, .. } => Some(*created_at),
            Change::AddMessage(message) => Some(message.created_at),
            Change::AddAction(action) => Some(action.created_at),
            Change::Remove { removed_at, .. } => *removed_at,
            // Those of these are of what is changed, or of what it is to have been.
            Change::Reset { .. }
            | Change::EditMessage(_)
            | Change::EditAction(_)
            | Change::SetCreatedAt(_)
            | Change::SetTitle(_)
            | Change::SetMetadata(_)
            | Change::SetExtra(_)
            | Change::RemoveMessage(_)
            | Change::RemoveAction(_)
            | Change::SetVersion(_)
            | Change::AppendText { .. }
            | Change::Clear => None,
        }
    }
}
