//! Which messages a reader wants, and in which order conversations are listed.
//!
//! Owns the selection as a value; applying it is the index's.

use super::{Seq, Text, Timestamp};

/// A selection of a conversation's messages, always returned oldest first.
///
/// A cursor says where to look, a role and times say what counts there, and a limit keeps the first or the last of
/// what counts.
///
/// ```
/// use aral_store::Messages;
/// let newest_ten = Messages::last(10);
/// let page_before_those = Messages::last(10).before("m17");
/// let what_the_user_said = Messages::all().role("user");
/// let third_page_of_fifty = Messages::first(50).from_place(100);
/// let for_a_model = Messages::last(40).whole_turns();
/// let of_one_day = Messages::all().since("2025-03-13".parse()?).until("2025-03-14".parse()?);
/// # let _ = (newest_ten, page_before_those, what_the_user_said, third_page_of_fifty, for_a_model, of_one_day);
/// # Ok::<(), aral_store::Error>(())
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
    /// Only messages of this time or later.
    pub since: Option<Timestamp>,
    /// Only messages of an earlier time than this.
    pub until: Option<Timestamp>,
    /// Whether turns are taken whole or not at all.
    pub(crate) is_by_turns: bool,
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

    /// Only messages whose `created_at` is this time or later.
    ///
    /// Order stays that of the conversation, whatever the clocks said. A time without an offset that is given is in UTC. One
    /// that is stored may be of any time zone, and counts wherever it may be meant; see
    /// [`Timestamp::may_be_since`]. Messages have to be looked at for it: back to the limit, or all of them.
    ///
    /// ```
    /// use aral_store::{MessageStore, Messages, NewMessage};
    /// let store = MessageStore::in_memory();
    /// for (text, time) in [("early", "2025-03-12T23:59:59Z"), ("late", "2025-03-13T08:00:00Z")] {
    ///     let mut message = NewMessage::new(text);
    ///     message.created_at = Some(time.parse()?);
    ///     store.add_message("c1", message)?;
    /// }
    /// let found = store.messages("c1", Messages::all().since("2025-03-13".parse()?))?;
    /// assert_eq!(found[0].content, "late");
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    #[must_use]
    pub fn since(mut self, time: Timestamp) -> Self {
        self.since = Some(time);
        self
    }

    /// Only messages whose `created_at` is earlier than this time, so that with [`since`](Self::since) spans of time
    /// lie side by side.
    ///
    /// ```
    /// use aral_store::{MessageStore, Messages};
    /// let store = MessageStore::in_memory();
    /// store.add_message("c1", "now")?;
    /// assert!(store.messages("c1", Messages::all().until("2025-03-13".parse()?))?.is_empty());
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    #[must_use]
    pub fn until(mut self, time: Timestamp) -> Self {
        self.until = Some(time);
        self
    }

    /// Takes turns whole or not at all, so that a model's provider accepts the messages: they begin with a message of
    /// the user, no result of a tool comes without the call that it answers, and none is cut off from its call.
    ///
    /// A turn begins with a message of the role `user` or `human` that is no tool's result, and ends before the next;
    /// where a call is answered behind the next such message, both turns count as one. A limit then means at most so many
    /// messages, but one whole turn at least: the newest, or the first, comes even if it is longer
    /// than that. A limit of 0 gives nothing. A turn is of the time of the message that it begins with.
    ///
    /// What stands before the first message of the user, such as instructions to the model, is not among them. Where there is no message of
    /// the user, any message begins a turn that is no result. With [`before`](Self::before) the messages
    /// end ahead of a call whose results are cut off.
    ///
    /// Calls and results are known from the role `tool` or `function` and from the metadata, where imports and
    /// adapters keep them: `tool_calls` and `tool_call_id` as chat completions have them, items with a `call_id`, and parts of
    /// the types `tool_use` and `tool_result`.
    ///
    /// With [`last`](Self::last) messages are looked at from the end back to where the turns begin; a result whose call
    /// is nowhere, and [`first`](Self::first), take a look at the whole conversation. With [`role`](Self::role) it is
    /// refused with `InvalidInput`: a turn has messages of more than one role.
    ///
    /// ```
    /// use aral_store::{JsonObject, MessageStore, Messages, NewMessage};
    /// let store = MessageStore::in_memory();
    /// let call = JsonObject::parse(r#"{"tool_calls": [{"id": "call_1", "type": "function"}]}"#)?;
    /// let answer = JsonObject::parse(r#"{"tool_call_id": "call_1"}"#)?;
    /// store.add_message("c1", "Hello!")?;
    /// store.add_message("c1", "Will it rain?")?;
    /// store.add_message("c1", NewMessage::new("").role("assistant").metadata(call))?;
    /// store.add_message("c1", NewMessage::new("rain").role("tool").metadata(answer))?;
    /// assert_eq!(store.messages("c1", Messages::last(1))?[0].role, "tool");
    /// let turn = store.messages("c1", Messages::last(1).whole_turns())?;
    /// assert_eq!((turn.len(), turn[0].content.as_str()), (3, Some("Will it rain?")));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    #[must_use]
    pub fn whole_turns(mut self) -> Self {
        self.is_by_turns = true;
        self
    }

    /// Whether turns are taken whole or not at all.
    #[must_use]
    pub fn takes_whole_turns(&self) -> bool {
        self.is_by_turns
    }

    /// Whether a message of this time is meant.
    pub(crate) fn time_match(&self, time: Timestamp) -> TimeMatch {
        time.match_between(self.since, self.until)
    }

    /// Whether nothing but places decides which messages are meant.
    pub(crate) fn is_by_place(&self) -> bool {
        self.role.is_none() && self.since.is_none() && self.until.is_none() && !self.is_by_turns
    }

    /// Whether a limit keeps the last messages of the selection rather than its first.
    #[must_use]
    pub fn takes_last(&self) -> bool {
        self.from_end
    }
}

impl Timestamp {
    /// What bounds make of this time.
    pub(crate) fn match_between(self, since: Option<Timestamp>, until: Option<Timestamp>) -> TimeMatch {
        let may_be = since.is_none_or(|since| self.may_be_since(since))
            && until.is_none_or(|until| self.may_be_before(until));
        let in_doubt = |bound: Option<Timestamp>| bound.is_some_and(|bound| self.is_in_doubt(bound));
        match may_be {
            false => TimeMatch::Out,
            true if in_doubt(since) || in_doubt(until) => TimeMatch::InDoubt,
            true => TimeMatch::In,
        }
    }
}

/// What the times of a selection make of a message's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TimeMatch {
    Out,
    /// It has no offset, and may be meant. It is given, and counts for no limit: what is surely meant must not
    /// give way to it.
    InDoubt,
    In,
}

/// The key by which [`Order::Activity`] sorts, greatest first.
pub(crate) fn activity_key(summary: &super::Summary) -> (Seq, i64) {
    (summary.last_seq, summary.last_activity.approximate_unix_micros())
}
