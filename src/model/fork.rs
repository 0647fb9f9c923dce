//! Branching off: what a new conversation takes over of another one.
//!
//! Owns the request, and what a fork remembers of where it comes from.

use super::{At, Text, Version};

/// A fork of a conversation: up to which point, and what the new one is called.
///
/// ```
/// use aral_store::{Fork, MessageStore, Messages, NewMessage};
/// let store = MessageStore::in_memory();
/// store.add_message("c1", NewMessage::new("What shall we build?").id("m1"))?;
/// store.add_message("c1", NewMessage::new("A bridge.").role("assistant").id("m2"))?;
/// // Another answer to the same question.
/// let fork = store.fork("c1", Fork::through("m1").id("c2"))?;
/// store.add_message(&fork.conversation_id, NewMessage::new("A store.").role("assistant"))?;
/// assert_eq!(store.messages("c2", Messages::all())?[1].content, "A store.");
/// assert_eq!(store.messages("c1", Messages::all())?[1].content, "A bridge.");
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Fork {
    /// Up to where the past is shared.
    pub point: ForkPoint,
    /// The new conversation's id; a new UUID if absent.
    pub id: Option<String>,
    /// Its title; that of the other one if absent, and its own default one where that has its default one.
    pub title: Option<Text>,
}

/// A point at which one conversation branches off another.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum ForkPoint {
    /// All that it is now.
    #[default]
    Now,
    /// All that it was at a point in its past, as far as that is kept.
    At(At),
    /// What it is now, up to the last message with this id and with it. Of the actions those are taken over that stand before this
    /// message as an export puts them: each before the first message that is later than it, and in their order.
    Through(Text),
    /// The same, without this message.
    Before(Text),
}

/// Where a fork comes from: what its metadata say under `forked_from`.
///
/// The other conversation may have gone on since, may be another one by now, or gone; the fork is whole without it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ForkedFrom {
    /// The conversation that it was forked from.
    pub conversation_id: String,
    /// The version that this one had at the point, or when it was cut at a message.
    pub version: Version,
    /// The last message that was taken over; absent if none was.
    pub message_id: Option<Text>,
}

impl Fork {
    /// A fork of all that the conversation is now.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A fork at a point in its past.
    #[must_use]
    pub fn at(at: impl Into<At>) -> Self {
        Self::of(ForkPoint::At(at.into()))
    }

    /// A fork up to a message and with it.
    #[must_use]
    pub fn through(message_id: impl Into<Text>) -> Self {
        Self::of(ForkPoint::Through(message_id.into()))
    }

    /// A fork up to a message and without it.
    #[must_use]
    pub fn before(message_id: impl Into<Text>) -> Self {
        Self::of(ForkPoint::Before(message_id.into()))
    }

    fn of(point: ForkPoint) -> Self {
        Self { point, ..Self::default() }
    }

    /// Names the new conversation.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Gives it a title.
    #[must_use]
    pub fn title(mut self, title: impl Into<Text>) -> Self {
        self.title = Some(title.into());
        self
    }
}
