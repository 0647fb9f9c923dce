//! Messages and actions in one line of time, as a person reads them.
//!
//! Owns where an action stands among the messages, and how a time is shown. Messages keep their order and
//! actions keep theirs, whatever their clocks said; a clock decides only between a message and an action.

use std::iter::Peekable;
use std::slice;

use aral_store::{Action, Conversation, Message, Timestamp, Zone};

use crate::output::count;

/// What was said or done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Item<'c> {
    Message(&'c Message),
    Action(&'c Action),
}

/// Everything in a conversation: an action stands before the first message that is later than it, so behind those of
/// its own time. The layout does not keep which of the two came first; among themselves both keep the order of their
/// events, so that the same conversation is always exported in the same order, from the log as from its file.
pub(crate) fn items(conversation: &Conversation) -> impl Iterator<Item = Item<'_>> {
    let mut messages = conversation.messages.iter().peekable();
    let mut actions = conversation.actions.iter().peekable();
    std::iter::from_fn(move || {
        let is_due = |action: &&Action| messages.peek().is_none_or(|message| is_before(action, message));
        if let Some(action) = actions.next_if(is_due) {
            return Some(Item::Action(action));
        }
        messages.next().map(Item::Message)
    })
}

/// The actions of a conversation whose messages come one after the other.
pub(crate) struct Due<'c>(Peekable<slice::Iter<'c, Action>>);

impl<'c> Due<'c> {
    pub(crate) fn of(conversation: &'c Conversation) -> Self {
        Self(conversation.actions.iter().peekable())
    }

    /// The next action, if it stands before this message, or if no message comes any more.
    pub(crate) fn before(&mut self, message: Option<&Message>) -> Option<&'c Action> {
        self.0.next_if(|action| message.is_none_or(|message| is_before(action, message)))
    }
}

pub(crate) fn is_before(action: &Action, message: &Message) -> bool {
    instant(action.created_at) < instant(message.created_at)
}

fn instant(time: Timestamp) -> i64 {
    time.approximate_unix_micros()
}

/// How much a conversation holds, in words.
pub(crate) fn extent(messages: u64, actions: u64) -> String {
    let messages = count(messages, "message");
    if actions == 0 { messages } else { format!("{messages} · {}", count(actions, "action")) }
}

/// A time for a person: in UTC, or as it was written where it does not say how it relates to that.
pub(crate) struct Shown {
    /// The date and the time to the second, and in which zone.
    pub(crate) to_second: String,
    /// The date and the time to the minute, and the zone if it is not UTC.
    pub(crate) to_minute: String,
    /// The date.
    pub(crate) date: String,
    /// As the standard of the web has it, to the millisecond.
    pub(crate) machine: String,
    /// All of it, as it was written.
    pub(crate) exact: String,
}

impl Shown {
    pub(crate) fn of(time: Timestamp) -> Self {
        let exact = time.to_string();
        let (time, second_zone, minute_zone, machine_zone) = match time.zone() {
            Zone::Naive => (time, " local", " local", ""),
            Zone::Offset(_) => {
                // What lies in another year than the calendar has stays on the clock of its writer.
                match Timestamp::from_unix_micros(time.approximate_unix_micros()) {
                    Some(utc) => (utc, " UTC", "", "Z"),
                    None => (time, " local", " local", ""),
                }
            }
        };
        let text = time.to_string();
        let part = |to: usize| text.get(..to).unwrap_or(&text).replace('T', " ");
        let fraction = text.get(19..23).filter(|fraction| fraction.starts_with('.')).unwrap_or_default();
        Self {
            to_second: part(19) + second_zone,
            to_minute: part(16) + minute_zone,
            date: part(10),
            machine: format!("{}{fraction}{machine_zone}", text.get(..19).unwrap_or(&text)),
            exact,
        }
    }
}

#[cfg(test)]
mod tests {
    use aral_store::JsonObject;

    use super::*;

    #[test]
    fn an_action_stands_where_its_time_puts_it_and_no_order_changes() {
        let at = |minute: i64| Timestamp::from_unix_micros(minute * 60_000_000).unwrap();
        let mut conversation = Conversation::new("c", at(0));
        // The clock of the messages goes back once.
        conversation.messages =
            [10, 20, 5, 30].iter().map(|m| Message::new(m.to_string(), "", "user", at(*m))).collect();
        conversation.actions = [20, 7, 40]
            .iter()
            .map(|m| Action::new(format!("a{m}"), "t", JsonObject::EMPTY, at(*m)))
            .collect();
        assert_eq!(ids(&conversation), ["10", "20", "5", "a20", "a7", "30", "a40"]);
    }

    fn ids(conversation: &Conversation) -> Vec<String> {
        let id = |item| match item {
            Item::Message(Message { id, .. }) | Item::Action(Action { id, .. }) => id.to_string(),
        };
        items(conversation).map(id).collect()
    }

    #[test]
    fn what_shares_a_time_stands_in_the_order_in_which_it_came_messages_first() {
        let at = Timestamp::from_unix_micros(0).unwrap();
        let mut conversation = Conversation::new("c", at);
        conversation.messages = ["m2", "m1", "m3"].map(|id| Message::new(id, "", "user", at)).into();
        conversation.actions =
            ["a9", "a1", "a5"].map(|id| Action::new(id, "t", JsonObject::EMPTY, at)).into();
        assert_eq!(ids(&conversation), ["m2", "m1", "m3", "a9", "a1", "a5"]);
    }

    #[test]
    fn a_time_is_shown_in_utc_unless_it_does_not_say() {
        for (written, minute, machine) in [
            ("2025-03-13T15:11:33.123456+02:00", "2025-03-13 13:11", "2025-03-13T13:11:33.123Z"),
            ("2025-03-13T15:11:33", "2025-03-13 15:11 local", "2025-03-13T15:11:33"),
            ("0001-01-01T00:00:00+01:00", "0001-01-01 00:00 local", "0001-01-01T00:00:00"),
        ] {
            let shown = Shown::of(written.parse().unwrap());
            assert_eq!((shown.to_minute.as_str(), shown.machine.as_str()), (minute, machine));
            assert_eq!(shown.exact, written);
        }
    }
}
