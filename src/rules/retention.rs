//! What a policy takes from a conversation.
//!
//! Owns where the messages that stay begin, and which changes take away those before it.

use std::collections::HashSet;

use super::revert::revert;
use super::selection::select;
use crate::codec::bytes::to_u64;
use crate::error::Result;
use crate::model::{
    Conversation, MAX_BATCH_EVENTS, Message, Messages, Mutation, Operation, Retention, Summary, Text,
};

impl Retention {
    /// Whether a conversation is old enough. A time that may be later is no reason to take anything away.
    pub(crate) fn means(&self, summary: &Summary) -> bool {
        self.older_than.is_none_or(|time| !summary.last_activity.may_be_since(time))
    }

    /// How many of a conversation's messages go, if at least so many of the newest are to stay.
    pub(crate) fn cut(messages: &Vec<Message>, keep: usize) -> Result<usize> {
        let mut begin = messages.len();
        while begin > 0 && messages.len() - begin < keep {
            let turn = select(messages, &Messages::last(1).whole_turns().before_place(to_u64(begin)))?;
            // What stands before the first turn is no part of any. Where all turns are too few, all of it stays.
            begin = turn.first().copied().unwrap_or_default();
        }
        Ok(begin)
    }

    /// The changes that take a conversation's first messages away, to be carried out as one batch, the first of which
    /// expects the version that was looked at.
    pub(crate) fn steps(now: &Conversation, gone: usize) -> Result<Vec<Mutation>> {
        let (first, rest) = now.messages.split_at_checked(gone).unwrap_or((&now.messages, &[]));
        let kept: HashSet<&Text> = rest.iter().map(|message| &message.id).collect();
        // An id means the last message that has it, which must not be one that stays.
        if gone > MAX_BATCH_EVENTS || first.iter().any(|message| kept.contains(&message.id)) {
            let then = Conversation { messages: rest.to_vec(), ..now.clone() };
            return revert(Some(now), &then);
        }
        // Order: the last one first, for the same reason.
        let ids = first.iter().rev().map(|message| message.id.clone());
        let mut steps: Vec<_> =
            ids.map(|id| Mutation::new(now.id.as_str(), Operation::RemoveMessage(id))).collect();
        if let Some(first) = steps.first_mut() {
            first.expect = Some(now.version);
        }
        Ok(steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{JsonObject, Timestamp};

    fn messages(lines: &[(&str, &str)]) -> Vec<Message> {
        let message = |(at, (role, metadata)): (usize, &(&str, &str))| Message {
            id: Text::from(at.to_string()),
            content: Text::from("x"),
            role: Text::from(*role),
            created_at: Timestamp::EPOCH,
            metadata: JsonObject::parse(metadata).unwrap(),
            extra: JsonObject::EMPTY,
        };
        lines.iter().enumerate().map(message).collect()
    }

    #[test]
    fn at_least_so_many_messages_stay_and_no_turn_is_cut_through() {
        let call = r#"{"tool_calls": [{"id": "call_1"}]}"#;
        let answer = r#"{"tool_call_id": "call_1"}"#;
        let lines = messages(&[
            ("system", "{}"),
            ("user", "{}"),
            ("assistant", "{}"),
            ("user", "{}"),
            ("assistant", call),
            ("tool", answer),
            ("assistant", "{}"),
        ]);
        let cuts: Vec<_> = (1..9).map(|keep| Retention::cut(&lines, keep).unwrap()).collect();
        assert_eq!(cuts, [3, 3, 3, 3, 1, 1, 0, 0]);
        assert_eq!(Retention::cut(&Vec::new(), 3).unwrap(), 0);
    }

    #[test]
    fn an_id_that_is_used_again_does_not_take_away_what_stays() {
        let mut now = Conversation::new("c", Timestamp::EPOCH);
        now.messages = messages(&[("user", "{}"), ("user", "{}"), ("user", "{}")]);
        now.version = 4;
        let steps = Retention::steps(&now, 2).unwrap();
        let named: Vec<_> = steps.iter().map(|step| step.operation.clone()).collect();
        assert_eq!(
            named,
            [Operation::RemoveMessage(Text::from("1")), Operation::RemoveMessage(Text::from("0"))]
        );
        assert_eq!((steps[0].expect, steps[1].expect), (Some(4), None));
        now.messages[0].id = Text::from("2");
        now.messages[2].content = Text::from("this one stays");
        let anew = Retention::steps(&now, 2).unwrap();
        assert!(matches!(anew[0].operation, Operation::ResetConversation(_)), "{anew:?}");
    }
}
