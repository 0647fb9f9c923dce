//! What is to be kept, and what goes.
//!
//! Owns the words of a policy and the report of what it named. Knows no store.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::keep::{Keep, whole_seconds};
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

/// A policy as a store keeps it: how old what goes is, counted back from when it is gone by, and how many messages stay.
///
/// It means what a [`Retention`] means. One that says neither keeps everything, whatever the policy of the store says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct RetentionPolicy {
    /// Only where the last activity is longer ago than this; in whole seconds.
    pub older_than: Option<Duration>,
    /// How many messages stay; the conversation is removed as a whole if absent.
    pub keep_last: Option<usize>,
}

impl RetentionPolicy {
    /// The member of a conversation's metadata that has its policy.
    pub const METADATA_KEY: &str = "aral_store_retention";
    /// The conversation whose metadata have the policy of the store.
    pub const STORE_CONVERSATION: &str = "aral-store-retention";

    /// A policy that keeps everything, until it is told otherwise.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A policy that keeps everything.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// Means only what was last active longer ago than this. It is kept in whole seconds, a part of one counts as one.
    #[must_use]
    pub fn older_than(mut self, span: Duration) -> Self {
        self.older_than = Some(Duration::from_secs(whole_seconds(span)));
        self
    }

    /// Leaves the newest messages, at least so many, and whole turns.
    #[must_use]
    pub fn keep_last(mut self, messages: usize) -> Self {
        self.keep_last = Some(messages);
        self
    }

    /// Whether it takes nothing away.
    #[must_use]
    pub fn keeps_everything(&self) -> bool {
        self.older_than.is_none() && self.keep_last.is_none()
    }
}

impl fmt::Display for RetentionPolicy {
    /// Writes it as the options of the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.older_than, self.keep_last) {
            (None, None) => f.write_str("--keep-everything"),
            (Some(span), None) => write!(f, "--older-than {}", Keep::For(span)),
            (None, Some(count)) => write!(f, "--keep-last {count}"),
            (Some(span), Some(count)) => write!(f, "--older-than {} --keep-last {count}", Keep::For(span)),
        }
    }
}

/// The policies that a store keeps.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct StoredRetention {
    /// That of all conversations that have none of their own; nothing of those goes if absent.
    pub store: Option<RetentionPolicy>,
    /// Those of conversations.
    pub conversations: BTreeMap<String, RetentionPolicy>,
    /// Conversations whose policy cannot be read or understood, and why. Nothing of them goes.
    pub unread: BTreeMap<String, String>,
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
    /// Conversations whose [stored policy](RetentionPolicy) cannot be read or understood, and why, so that nothing of them was taken.
    pub unread: BTreeMap<String, String>,
}
