//! What a policy takes from a conversation.
//!
//! Owns where the messages that stay begin, and which changes take away those before it.

use std::collections::HashSet;
use std::time::Duration;

use super::revert::revert;
use super::selection::select;
use crate::codec::bytes::to_u64;
use crate::codec::json::Value;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Conversation, JsonObject, Keep, MAX_BATCH_EVENTS, Message, Messages, Mutation, Operation, Retention,
    RetentionPolicy, Summary, Text,
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

/// The members of a policy, and the word of one that keeps everything.
const OLDER_THAN: &str = "older_than";
const KEEP_LAST: &str = "keep_last";
const KEEP: &str = "keep";
const EVERYTHING: &str = "everything";

impl RetentionPolicy {
    /// Refuses one that would leave nothing.
    pub(crate) fn check(&self) -> Result<()> {
        let reason = match (self.older_than, self.keep_last) {
            (_, Some(0)) => {
                "at least one message has to stay; say how old what goes is, and not how many messages stay"
            }
            (Some(Duration::ZERO), None) => "a policy by which everything is old would leave nothing",
            _ => return Ok(()),
        };
        Err(Error::invalid(reason))
    }

    /// As a JSON object: the member [`METADATA_KEY`](Self::METADATA_KEY) of metadata.
    ///
    /// ```
    /// use aral_store::RetentionPolicy;
    /// use std::time::Duration;
    /// let policy = RetentionPolicy::new().older_than(Duration::from_secs(90 * 86_400)).keep_last(100);
    /// assert_eq!(policy.to_json().as_json(), r#"{"older_than":"90d","keep_last":100}"#);
    /// assert_eq!(RetentionPolicy::everything().to_json().as_json(), r#"{"keep":"everything"}"#);
    /// ```
    #[must_use]
    pub fn to_json(&self) -> JsonObject {
        JsonObject::from_members(&self.members())
    }

    fn members(&self) -> Vec<(Text, Value)> {
        if self.keeps_everything() {
            return vec![(KEEP.into(), Value::Str(EVERYTHING.into()))];
        }
        let span = self.older_than.map(|span| Value::Str(Keep::For(span).to_string().into()));
        let count = self.keep_last.map(|count| Value::Int(count.to_string().into()));
        let span = span.map(|span| (OLDER_THAN.into(), span));
        span.into_iter().chain(count.map(|count| (KEEP_LAST.into(), count))).collect()
    }

    /// Metadata with this in them, in place of what was there.
    pub(crate) fn note_in(&self, metadata: &JsonObject) -> Result<JsonObject> {
        let mut members = metadata.members();
        if members.is_empty() && !metadata.is_empty() {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "the metadata of the conversation are no JSON object",
            ));
        }
        let value = Value::Object(self.members());
        match members.iter_mut().find(|(name, _)| name == Self::METADATA_KEY) {
            Some((_, before)) => *before = value,
            None => members.push((Self::METADATA_KEY.into(), value)),
        }
        Ok(JsonObject::from_members(&members))
    }

    /// Metadata without a policy; `None` if there is none in them.
    pub(crate) fn without(metadata: &JsonObject) -> Option<JsonObject> {
        let mut members = metadata.members();
        let before = members.len();
        members.retain(|(name, _)| name != Self::METADATA_KEY);
        (members.len() < before).then(|| JsonObject::from_members(&members))
    }

    /// The policy that metadata have, if they have one.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for anything that is not written as this software writes it: what it does not understand may keep more.
    pub(crate) fn noted_in(metadata: &JsonObject) -> Result<Option<Self>> {
        let all = metadata.members();
        let Some((_, value)) = all.into_iter().find(|(name, _)| name == Self::METADATA_KEY) else {
            return Ok(None);
        };
        let wrong = || {
            let key = Self::METADATA_KEY;
            Error::invalid(format!(
                "what the metadata have under {key:?} is no policy that can be gone by: it is as in \
                 {{\"older_than\": \"90d\", \"keep_last\": 100}}, or {{\"keep\": \"everything\"}}"
            ))
        };
        let Value::Object(members) = value else { return Err(wrong()) };
        let mut policy = Self::new();
        for (name, value) in &members {
            match (name.as_str(), value) {
                (Some(OLDER_THAN), Value::Str(text)) => match text.as_str().and_then(Keep::parse) {
                    Some(Keep::For(span)) => policy.older_than = Some(span),
                    _ => return Err(wrong()),
                },
                (Some(KEEP_LAST), Value::Int(count)) => {
                    policy.keep_last = Some(count.parse().map_err(|_| wrong())?);
                }
                (Some(KEEP), Value::Str(what)) if members.len() == 1 && *what == *EVERYTHING => {
                    return Ok(Some(policy));
                }
                _ => return Err(wrong()),
            }
        }
        let is_one = !policy.keeps_everything() && policy.check().is_ok();
        if is_one { Ok(Some(policy)) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn a_policy_is_read_back_from_metadata_and_nothing_else_is_taken_for_one() {
        let span = Duration::from_secs(90 * 86_400);
        let (new, all) = (RetentionPolicy::new, RetentionPolicy::everything());
        let metadata = JsonObject::parse(r#"{"a":NaN,"aral_store_retention":7,"b":"\ud83d"}"#).unwrap();
        for policy in [new().older_than(span), new().keep_last(9), new().older_than(span).keep_last(1), all] {
            policy.check().unwrap();
            let noted = policy.note_in(&metadata).unwrap();
            assert_eq!(RetentionPolicy::noted_in(&noted).unwrap(), Some(policy), "{policy}");
            let left = RetentionPolicy::without(&noted).unwrap();
            assert_eq!(left.as_json(), r#"{"a":NaN,"b":"\ud83d"}"#);
            assert_eq!(RetentionPolicy::noted_in(&left).unwrap(), None);
            assert_eq!(RetentionPolicy::without(&left), None);
        }
        for wrong in [
            "7",
            "{}",
            "null",
            r#"{"keep":"some"}"#,
            r#"{"keep":"everything","keep_last":3}"#,
            r#"{"older_than":"90"}"#,
            r#"{"older_than":"90d,1MiB"}"#,
            r#"{"older_than":"1MiB"}"#,
            r#"{"older_than":90}"#,
            r#"{"older_than":"0s"}"#,
            r#"{"keep_last":0}"#,
            r#"{"keep_last":-1}"#,
            r#"{"keep_last":1.5}"#,
            r#"{"keep_last":3,"unless":"pinned"}"#,
        ] {
            let metadata = JsonObject::parse(&format!(r#"{{"aral_store_retention":{wrong}}}"#)).unwrap();
            let refused = RetentionPolicy::noted_in(&metadata).unwrap_err();
            assert!(refused.kind() == ErrorKind::InvalidInput, "{wrong}: {refused}");
        }
    }

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
