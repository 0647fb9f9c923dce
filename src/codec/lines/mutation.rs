//! Reading mutations from lines.
//!
//! Owns which fields each type of mutation takes. Nothing that is not understood is passed over.

use super::line::room_for;
use super::misnamed::{first_misnamed, unknown_type};
use crate::codec::document::{ACTION_FIELDS, CONVERSATION_FIELDS, MESSAGE_FIELDS, check_extra};
use crate::codec::fields::Fields;
use crate::codec::json::{JsonError, Reader};
use crate::error::{Error, Result};
use crate::model::{
    ActionEdit, Edit, JsonObject, MAX_BATCH_EVENTS, Mutation, NewAction, NewConversation, NewMessage,
    Operation, RemovalReason, Text,
};

/// The fields whose values are objects and may nest to the limit.
const OBJECT_FIELDS: [&str; 3] = ["metadata", "data", "extra"];

impl Mutation {
    /// Reads one line: a mutation as a JSON object, or an array of them that are to happen all or not at all.
    ///
    /// | `type` | fields besides `conversation_id` |
    /// |---|---|
    /// | `create_conversation`, `reset_conversation` | `title`, `metadata`, `created_at`, `extra` |
    /// | `add_message` | **`content`**, `role`, `id`, `created_at`, `metadata`, `extra` |
    /// | `add_action` | **`action_type`**, `data`, `id`, `created_at`, `metadata`, `extra` |
    /// | `set_title` | **`title`** |
    /// | `set_metadata` | **`metadata`** |
    /// | `set_created_at` | **`created_at`** |
    /// | `set_extra` | **`extra`** |
    /// | `edit_message` | **`message_id`**, `content`, `role`, `created_at`, `metadata`, `extra` |
    /// | `edit_action` | **`action_id`**, `action_type`, `data`, `created_at`, `metadata`, `extra` |
    /// | `append_text` | **`message_id`**, **`text`**, `offset` |
    /// | `finish_message` | **`message_id`**, `length`, `metadata` |
    /// | `remove_message` | **`message_id`** |
    /// | `remove_action` | **`action_id`** |
    /// | `set_version` | **`version`** |
    /// | `remove_conversation` | `removed_at`, `reason`: `retention` or `erasure` |
    /// | `clear` | |
    ///
    /// Fields in bold must be there, and `conversation_id` unless a conversation is to be created, which
    /// then gets a new UUID. Each type takes `key` and `expect` too, and `seq`, which is ignored so that
    /// what [`Event::to_json_line`](crate::Event::to_json_line) prints can be read again.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), naming the field and the byte, if the line is not
    /// JSON, misses a field, has one that its type does not take, or has one of the wrong type; if a
    /// `conversation_id` or `key` holds a lone surrogate; if an `extra` names a field of the original's
    /// model; or if an array is empty or longer than [`MAX_BATCH_EVENTS`](crate::MAX_BATCH_EVENTS).
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory) if there is no memory for what a long line holds.
    ///
    /// ```
    /// use aral_store::Mutation;
    /// let line = br#"{"type":"add_message","conversation_id":"c1","content":"hi","key":"k1"}"#;
    /// let mutations = Mutation::from_json_line(line)?;
    /// assert_eq!(mutations, [Mutation::add_message("c1", "hi").key("k1")]);
    ///
    /// let error = Mutation::from_json_line(br#"{"type":"clear","conversation_id":"c1","titel":""}"#);
    /// assert!(error.unwrap_err().message().contains("titel"));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn from_json_line(line: &[u8]) -> Result<Vec<Self>> {
        room_for(line)?;
        let read = || {
            let mut reader = Reader::new(line)?.strict();
            let mut mutations = Vec::new();
            if reader.peek() == Some(b'[') {
                reader.elements(|reader| {
                    if mutations.len() >= MAX_BATCH_EVENTS {
                        return Err(reader.fail(format!("a batch of more than {MAX_BATCH_EVENTS} mutations")));
                    }
                    mutations.push(mutation(reader)?);
                    Ok(())
                })?;
            } else {
                mutations.push(mutation(&mut reader)?);
            }
            reader.end()?;
            Ok(mutations)
        };
        let mutations = read().map_err(JsonError::into_invalid)?;
        if mutations.is_empty() {
            return Err(Error::invalid("a batch without mutations"));
        }
        Ok(mutations)
    }
}

fn mutation(reader: &mut Reader<'_>) -> std::result::Result<Mutation, JsonError> {
    reader.peek();
    let start = reader.offset();
    let mut fields = Fields::read(reader, &OBJECT_FIELDS)?;
    let kind = fields.unicode("type")?.ok_or_else(|| fields.missing("type"))?;
    let conversation_id = fields.unicode("conversation_id")?;
    let key = fields.unicode("key")?;
    let expect = fields.unsigned("expect")?;
    fields.unsigned("seq")?;
    let operation = match operation(&kind, &mut fields) {
        Ok(Some(operation)) => operation,
        Ok(None) => return Err(unknown_type(&kind, start)),
        Err(error) => return Err(first_misnamed(&fields, &kind, error)),
    };
    fields.none_left().map_err(|error| first_misnamed(&fields, &kind, error))?;
    let creates = matches!(operation, Operation::CreateConversation(_));
    let conversation_id = match conversation_id {
        Some(id) => id,
        None if creates => String::new(),
        None => return Err(fields.missing("conversation_id")),
    };
    Ok(Mutation { key, expect, ..Mutation::new(conversation_id, operation) })
}

/// The operation of this type; `None` if there is no such type.
fn operation(kind: &str, fields: &mut Fields) -> std::result::Result<Option<Operation>, JsonError> {
    Ok(Some(match kind {
        "create_conversation" => Operation::CreateConversation(new_conversation(fields)?),
        "reset_conversation" => Operation::ResetConversation(new_conversation(fields)?),
        "add_message" => Operation::AddMessage(NewMessage {
            content: required(fields, "content")?,
            role: fields.text("role")?.unwrap_or_else(|| Text::from("user")),
            id: fields.text("id")?,
            created_at: fields.time("created_at")?,
            metadata: fields.object("metadata")?.unwrap_or_default(),
            extra: extra(fields, &MESSAGE_FIELDS)?,
        }),
        "add_action" => Operation::AddAction(NewAction {
            action_type: required(fields, "action_type")?,
            data: fields.object("data")?.unwrap_or_default(),
            id: fields.text("id")?,
            created_at: fields.time("created_at")?,
            metadata: fields.object("metadata")?.unwrap_or_default(),
            extra: extra(fields, &ACTION_FIELDS)?,
        }),
        "set_title" => Operation::SetTitle(required(fields, "title")?),
        "set_metadata" => {
            let metadata = fields.object("metadata")?;
            Operation::SetMetadata(metadata.ok_or_else(|| fields.missing("metadata"))?)
        }
        "edit_message" => Operation::EditMessage {
            message_id: required(fields, "message_id")?,
            edit: Edit {
                content: fields.text("content")?,
                metadata: fields.object("metadata")?,
                role: fields.text("role")?,
                created_at: fields.time("created_at")?,
                extra: given_extra(fields, &MESSAGE_FIELDS)?,
            },
        },
        "edit_action" => Operation::EditAction {
            action_id: required(fields, "action_id")?,
            edit: ActionEdit {
                action_type: fields.text("action_type")?,
                data: fields.object("data")?,
                metadata: fields.object("metadata")?,
                created_at: fields.time("created_at")?,
                extra: given_extra(fields, &ACTION_FIELDS)?,
            },
        },
        "set_created_at" => {
            let time = fields.time("created_at")?;
            Operation::SetCreatedAt(time.ok_or_else(|| fields.missing("created_at"))?)
        }
        "set_extra" => {
            let extra = given_extra(fields, &CONVERSATION_FIELDS)?;
            Operation::SetExtra(extra.ok_or_else(|| fields.missing("extra"))?)
        }
        "remove_message" => Operation::RemoveMessage(required(fields, "message_id")?),
        "remove_action" => Operation::RemoveAction(required(fields, "action_id")?),
        "clear" => Operation::Clear,
        "remove_conversation" => removal(fields)?,
        "set_version" => {
            let version = fields.unsigned("version")?;
            Operation::SetVersion(version.ok_or_else(|| fields.missing("version"))?)
        }
        _ => return of_a_reply(kind, fields),
    }))
}

fn required(fields: &mut Fields, key: &'static str) -> std::result::Result<Text, JsonError> {
    fields.text(key)?.ok_or_else(|| fields.missing(key))
}

/// What is done to a reply that is written piece by piece; `None` if there is no such type.
fn of_a_reply(kind: &str, fields: &mut Fields) -> std::result::Result<Option<Operation>, JsonError> {
    Ok(Some(match kind {
        "append_text" => Operation::AppendText {
            message_id: required(fields, "message_id")?,
            offset: fields.unsigned("offset")?,
            text: required(fields, "text")?,
        },
        "finish_message" => Operation::FinishMessage {
            message_id: required(fields, "message_id")?,
            length: fields.unsigned("length")?,
            metadata: fields.object("metadata")?.unwrap_or_default(),
        },
        _ => return Ok(None),
    }))
}

fn removal(fields: &mut Fields) -> std::result::Result<Operation, JsonError> {
    let (offset, time) = (fields.offset("reason"), fields.time("removed_at")?);
    let asked = time.map_or(Operation::RemoveConversation, Operation::RemoveConversationAt);
    match fields.unicode("reason")?.as_deref() {
        None => Ok(asked),
        // What was erased elsewhere is removed here. To erase takes more than an event.
        Some(reason) if reason == RemovalReason::Erasure.as_str() => Ok(asked),
        Some(reason) if reason == RemovalReason::Retention.as_str() => Ok(Operation::PruneConversation(time)),
        Some(other) => {
            let reason = format!("{other:?} is no reason for a removal; \"retention\" and \"erasure\" are");
            Err(JsonError::new(offset, reason))
        }
    }
}

fn new_conversation(fields: &mut Fields) -> std::result::Result<NewConversation, JsonError> {
    Ok(NewConversation {
        title: fields.text("title")?,
        metadata: fields.object("metadata")?.unwrap_or_default(),
        created_at: fields.time("created_at")?,
        extra: extra(fields, &CONVERSATION_FIELDS)?,
    })
}

fn extra(fields: &mut Fields, named: &[&str]) -> std::result::Result<JsonObject, JsonError> {
    given_extra(fields, named).map(Option::unwrap_or_default)
}

fn given_extra(fields: &mut Fields, named: &[&str]) -> std::result::Result<Option<JsonObject>, JsonError> {
    let offset = fields.offset("extra");
    let Some(extra) = fields.object("extra")? else { return Ok(None) };
    check_extra(&extra, named).map_err(|reason| JsonError::new(offset, reason))?;
    Ok(Some(extra))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn one(line: &str) -> Mutation {
        let [mutation] = Mutation::from_json_line(line.as_bytes()).unwrap().try_into().unwrap();
        mutation
    }

    #[test]
    fn every_type_is_read() {
        let object = |text| JsonObject::parse(text).unwrap();
        let time = "2025-03-13T15:11:33Z".parse().unwrap();
        let cases = [
            (r#""type":"create_conversation""#, Operation::CreateConversation(NewConversation::new())),
            (
                r#""type":"create_conversation","title":"T","metadata":{"a":1},"created_at":"2025-03-13T15:11:33Z","extra":{"x":1}"#,
                Operation::CreateConversation(NewConversation {
                    extra: object(r#"{"x":1}"#),
                    ..NewConversation::new().title("T").metadata(object(r#"{"a":1}"#)).created_at(time)
                }),
            ),
            (
                r#""type":"add_message","content":"hi","role":"r","id":"m","created_at":"2025-03-13T15:11:33Z","metadata":{"a":1}"#,
                Operation::AddMessage(
                    NewMessage::new("hi").role("r").id("m").created_at(time).metadata(object(r#"{"a":1}"#)),
                ),
            ),
            (
                r#""type":"add_action","action_type":"t","data":{"d":1},"id":"a""#,
                Operation::AddAction(NewAction::new("t", object(r#"{"d":1}"#)).id("a")),
            ),
            (r#""type":"set_title","title":"""#, Operation::SetTitle(Text::default())),
            (r#""type":"set_metadata","metadata":{}"#, Operation::SetMetadata(JsonObject::EMPTY)),
            (
                r#""type":"edit_message","message_id":"m","content":"new""#,
                Operation::EditMessage { message_id: Text::from("m"), edit: Edit::content("new") },
            ),
            (
                r#""type":"reset_conversation","title":"T","extra":{"x":1}"#,
                Operation::ResetConversation(NewConversation {
                    extra: object(r#"{"x":1}"#),
                    ..NewConversation::new().title("T")
                }),
            ),
            (
                r#""type":"edit_message","message_id":"m","role":"r","created_at":"2025-03-13T15:11:33Z","extra":{}"#,
                Operation::EditMessage {
                    message_id: Text::from("m"),
                    edit: Edit::default().role("r").created_at(time).extra(JsonObject::EMPTY),
                },
            ),
            (
                r#""type":"edit_action","action_id":"a","data":{"d":1},"action_type":"t""#,
                Operation::EditAction {
                    action_id: Text::from("a"),
                    edit: ActionEdit::data(object(r#"{"d":1}"#)).action_type("t"),
                },
            ),
            (r#""type":"set_created_at","created_at":"2025-03-13T15:11:33Z""#, Operation::SetCreatedAt(time)),
            (r#""type":"set_extra","extra":{"x":1}"#, Operation::SetExtra(object(r#"{"x":1}"#))),
            (r#""type":"remove_message","message_id":"m""#, Operation::RemoveMessage(Text::from("m"))),
            (r#""type":"remove_action","action_id":"a""#, Operation::RemoveAction(Text::from("a"))),
            (r#""type":"clear""#, Operation::Clear),
            (r#""type":"remove_conversation""#, Operation::RemoveConversation),
            (
                r#""type":"remove_conversation","removed_at":"2025-03-13T15:11:33Z""#,
                Operation::RemoveConversationAt(time),
            ),
            (r#""type":"remove_conversation","reason":"retention""#, Operation::PruneConversation(None)),
            (r#""type":"set_version","version":7"#, Operation::SetVersion(7)),
        ];
        for (fields, operation) in cases {
            let plain = Mutation::new("c", operation);
            assert_eq!(one(&format!("{{{fields},\"conversation_id\":\"c\"}}")), plain, "{fields}");
            let line = format!("{{\"seq\":9,\"conversation_id\":\"c\",\"key\":\"k\",\"expect\":3,{fields}}}");
            assert_eq!(one(&line), plain.key("k").expect(3), "{fields}");
        }
        assert_eq!(one(r#"{"type":"create_conversation"}"#).conversation_id, "");
    }

    #[test]
    fn an_array_is_a_batch_in_order() {
        let line = br#" [{"type":"clear","conversation_id":"a"}, {"type":"clear","conversation_id":"b"}] "#;
        let batch = Mutation::from_json_line(line).unwrap();
        assert_eq!(batch.iter().map(|m| m.conversation_id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_batch_of_too_many_is_refused_where_the_first_of_them_begins() {
        let of = |count: usize| {
            let one = r#"{"type":"clear","conversation_id":"a"}"#;
            (format!("[{}]", vec![one; count].join(",")), 1 + (one.len() + 1) * MAX_BATCH_EVENTS)
        };
        let (most, _) = of(MAX_BATCH_EVENTS);
        assert_eq!(Mutation::from_json_line(most.as_bytes()).unwrap().len(), MAX_BATCH_EVENTS);
        let (more, at) = of(MAX_BATCH_EVENTS + 1);
        let error = Mutation::from_json_line(more.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let said = format!("a batch of more than {MAX_BATCH_EVENTS} mutations at byte {at}");
        assert_eq!(error.message(), said);
    }

    #[test]
    fn nothing_is_passed_over() {
        for (line, word) in [
            ("", "'{'"),
            ("[]", "without"),
            ("[[]]", "'{'"),
            ("7", "'{'"),
            (r#"{"conversation_id":"c"}"#, "type"),
            (r#"{"type":1}"#, "type"),
            (r#"{"type":"shout","conversation_id":"c"}"#, "shout"),
            (r#"{"type":"clear"}"#, "conversation_id"),
            (r#"{"type":"clear","conversation_id":"\ud800"}"#, "surrogate"),
            (r#"{"type":"clear","conversation_id":null}"#, "conversation_id"),
            (r#"{"type":"clear","conversation_id":"c","content":"x"}"#, "content"),
            (r#"{"type":"clear","conversation_id":"c","expect":-1}"#, "expect"),
            (r#"{"type":"clear","conversation_id":"c","key":7}"#, "key"),
            (r#"{"type":"clear","conversation_id":"c"} x"#, "end"),
            (r#"{"type":"add_message","conversation_id":"c"}"#, "content"),
            (r#"{"type":"add_message","conversation_id":"c","content":{}}"#, "found an object"),
            (r#"{"type":"add_message","conversation_id":"c","content":"x","role":null}"#, "role"),
            (
                r#"{"type":"add_message","conversation_id":"c","content":"x","created_at":"now"}"#,
                "created_at",
            ),
            (r#"{"type":"add_message","conversation_id":"c","content":"x","created_at":1}"#, "created_at"),
            (r#"{"type":"add_message","conversation_id":"c","content":"x","metadata":[]}"#, "metadata"),
            (r#"{"type":"add_message","conversation_id":"c","content":"x","extra":{"role":1}}"#, "role"),
            (r#"{"type":"create_conversation","extra":{"messages":[]}}"#, "messages"),
            (r#"{"type":"add_action","conversation_id":"c"}"#, "action_type"),
            (r#"{"type":"set_metadata","conversation_id":"c"}"#, "metadata"),
            (r#"{"type":"remove_action","conversation_id":"c","message_id":"m"}"#, "action_id"),
            (r#"{"type":"reset_conversation"}"#, "conversation_id"),
            (r#"{"type":"set_created_at","conversation_id":"c"}"#, "created_at"),
            (r#"{"type":"set_extra","conversation_id":"c"}"#, "extra"),
            (r#"{"type":"set_extra","conversation_id":"c","extra":{"title":1}}"#, "title"),
            (r#"{"type":"edit_action","conversation_id":"c"}"#, "action_id"),
            (r#"{"type":"edit_action","conversation_id":"c","action_id":"a","role":"r"}"#, "role"),
        ] {
            let error = Mutation::from_json_line(line.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains(word), "{line}: {error}");
        }
        assert!(Mutation::from_json_line(b"\xff").is_err());
    }
}
