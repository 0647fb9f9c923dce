//! Which messages a reader wants, and in which order conversations are listed.
//!
//! Owns the selection as a value; applying it is the index's.

use super::{Seq, Text};

/// A selection of a conversation's messages, always returned oldest first.
///
/// ```
/// use aral_store::Messages;
/// let newest_ten = Messages::last(10);
/// let page_before_those = Messages::last(10).before("m17");
/// let what_the_user_said = Messages::all().role("user");
/// let third_page_of_fifty = Messages::first(50).from_place(100);
/// # let _ = (newest_ten, page_before_those, what_the_user_said, third_page_of_fifty);
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Messages {
    /// Where the page lies; everywhere if absent.
    pub cursor: Option<Cursor>,
    /// The most messages to return; all if absent.
    pub limit: Option<usize>,
    /// Only messages of this role.
    pub role: Option<Text>,
    /// Whether a limit keeps the first or the last of what is left.
    pub(crate) from_end: bool,
}

/// A place between messages: beside the last message that has an id, or counted from the beginning.
///
/// Ids may be used twice, and then a page that ends at the first of two messages cannot be named by its id. A
/// place names every page, as long as nothing before it is removed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Cursor {
    /// What was said before that message.
    Before(Text),
    /// What was said after it.
    After(Text),
    /// What stands before this place, counted from 0; everything if there are no more.
    BeforePlace(u64),
    /// What stands at this place, counted from 0, and after it; nothing if there are no more.
    FromPlace(u64),
}

/// In which order conversations are listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Order {
    /// As they were created, oldest first: the original's order.
    #[default]
    Created,
    /// By their newest event, newest first. Conversations without an event since their files were taken
    /// over come after the others, by their time.
    Activity,
}

impl Messages {
    /// Every message.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// The newest `count` messages.
    #[must_use]
    pub fn last(count: usize) -> Self {
        Self { limit: Some(count), from_end: true, ..Self::default() }
    }

    /// The oldest `count` messages.
    #[must_use]
    pub fn first(count: usize) -> Self {
        Self { limit: Some(count), ..Self::default() }
    }

    /// Only what stands before the message with this id.
    #[must_use]
    pub fn before(mut self, message_id: impl Into<Text>) -> Self {
        self.cursor = Some(Cursor::Before(message_id.into()));
        self
    }

    /// Only what stands after the message with this id.
    #[must_use]
    pub fn after(mut self, message_id: impl Into<Text>) -> Self {
        self.cursor = Some(Cursor::After(message_id.into()));
        self
    }

    /// Only what stands before this place, counted from 0.
    #[must_use]
    pub fn before_place(mut self, place: u64) -> Self {
        self.cursor = Some(Cursor::BeforePlace(place));
        self
    }

    /// Only what stands at this place, counted from 0, and after it.
    #[must_use]
    pub fn from_place(mut self, place: u64) -> Self {
        self.cursor = Some(Cursor::FromPlace(place));
        self
    }

    /// Only messages of this role.
    #[must_use]
    pub fn role(mut self, role: impl Into<Text>) -> Self {
        self.role = Some(role.into());
        self
    }

    /// Whether a limit keeps the last messages of the selection rather than its first.
    #[must_use]
    pub fn takes_last(&self) -> bool {
        self.from_end
    }
}

/// The key by which [`Order::Activity`] sorts, greatest first.
pub(crate) fn activity_key(summary: &super::Summary) -> (Seq, i64) {
    (summary.last_seq, summary.last_activity.approximate_unix_micros())
}
