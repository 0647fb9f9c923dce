//! What is to be kept, and what goes.
//!
//! Owns the words of a policy and the report of what it named. Knows no store.

use super::{Seq, Text, Timestamp};

/// Which conversations a policy means, and how much of them it leaves.
///
/// [`older_than`](Self::older_than) chooses the conversations, [`keep_last`](Self::keep_last) says how many messages stay
/// in each of those; at least one of the two has to be given. Without the first, every conversation is meant; without the
/// second, nothing stays, and the conversations are removed.
///
/// ```
/// use aral_store::{MessageStore, Messages, NewMessage, Retention};
/// let store = MessageStore::in_memory();
/// store.add_message("old", NewMessage::new("long ago").created_at("2020-01-01T00:00:00Z".parse()?))?;
/// store.add_message("new", "today")?;
/// let policy = Retention::new().older_than("2024-01-01T00:00:00Z".parse()?);
/// assert_eq!(store.prunable(&policy)?[0].conversation_id, "old");
/// assert_eq!(store.prune(&policy)?.pruned.len(), 1);
/// let gone = store.messages("old", Messages::all()).unwrap_err();
/// assert!(gone.message().contains("older than what is kept"));
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Retention {
    /// Only conversations that were last active before this time.
    pub older_than: Option<Timestamp>,
    /// How many messages stay in each of them; they are removed as a whole if absent.
    pub keep_last: Option<usize>,
    /// The only conversations that are looked at; all of them if there are none here.
    pub conversations: Vec<String>,
}

impl Retention {
    /// A policy that says nothing yet, and is refused as it is.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Means only conversations that were last active before this time: the time of the message or action that was added last.
    /// One whose time has no offset is meant only if it is older wherever it was written.
    #[must_use]
    pub fn older_than(mut self, time: Timestamp) -> Self {
        self.older_than = Some(time);
        self
    }

    /// Leaves the newest messages, at least so many: where a turn would be cut through, the whole turn stays, so that no
    /// result of a tool loses its call. Actions stay, and so do title and metadata.
    #[must_use]
    pub fn keep_last(mut self, messages: usize) -> Self {
        self.keep_last = Some(messages);
        self
    }

    /// Looks at these conversations alone.
    #[must_use]
    pub fn only(mut self, conversations: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.conversations = conversations.into_iter().map(Into::into).collect();
        self
    }
}

/// What goes, or went, of one conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Pruned {
    /// Which conversation.
    pub conversation_id: String,
    /// Whether it is removed, with all that is in it.
    pub is_whole: bool,
    /// How many messages go.
    pub messages: u64,
    /// How many actions go; none unless all of it does.
    pub actions: u64,
    /// The first and the last of the messages that go, where others stay.
    pub range: Option<(Text, Text)>,
    /// The time by which it is old.
    pub last_activity: Timestamp,
    /// The first and the last of the events by which it went; absent where nothing has been done yet.
    pub events: Option<(Seq, Seq)>,
}

/// What a policy took away.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct PruneReport {
    /// What went, conversation by conversation.
    pub pruned: Vec<Pruned>,
    /// Conversations that somebody changed meanwhile, so that nothing of them was taken.
    pub changed: Vec<String>,
}
