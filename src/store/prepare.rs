//! Getting a mutation ready for judgement.
//!
//! Owns the limits on what a caller may hand in, the filling in of ids, times and titles, and the
//! fingerprint of what an idempotency key was used for. Looks at no state, so it runs outside of every lock.

use super::clock::{Clock, IdSource};
use crate::codec::document::{ACTION_FIELDS, CONVERSATION_FIELDS, MESSAGE_FIELDS, check_extra};
use crate::error::{Error, Result};
use crate::index::{Prepared, Step};
use crate::model::{
    Action, Change, Conversation, JsonObject, MAX_ID_BYTES, MAX_JSON_BYTES, MAX_KEY_BYTES, MAX_TEXT_BYTES,
    Message, Mutation, NewAction, NewConversation, NewMessage, Operation, Text, Timestamp,
};

/// Fills in what a mutation leaves open and holds it to the limits.
pub(crate) fn prepare(mutation: Mutation, clock: &dyn Clock, ids: &dyn IdSource) -> Result<Prepared> {
    let fingerprint = fingerprint(&mutation);
    let Mutation { mut conversation_id, operation, key, expect } = mutation;
    if conversation_id.is_empty() && matches!(operation, Operation::CreateConversation(_)) {
        conversation_id = ids.new_id();
    }
    limit("a conversation id", conversation_id.len(), 1, MAX_ID_BYTES)?;
    if let Some(key) = &key {
        limit("an idempotency key", key.len(), 1, MAX_KEY_BYTES)?;
    }
    let filler = Filler { clock, ids };
    let step = match operation {
        Operation::CreateConversation(new) => Step::Ready(filler.create(&conversation_id, new)?),
        Operation::SetTitle(title) => Step::Ready(Change::SetTitle(text("a title", title)?)),
        Operation::SetMetadata(metadata) => Step::Ready(Change::SetMetadata(object("metadata", metadata)?)),
        Operation::AddMessage(new) => Step::Ready(Change::AddMessage(filler.message(new)?)),
        Operation::EditMessage { message_id, edit } => {
            if let Some(content) = &edit.content {
                limit("a message's content", content.len(), 0, MAX_TEXT_BYTES)?;
            }
            if let Some(metadata) = edit.metadata.clone() {
                object("metadata", metadata)?;
            }
            Step::EditMessage(message_id, edit)
        }
        Operation::RemoveMessage(id) => Step::RemoveMessage(id),
        Operation::AddAction(new) => Step::Ready(Change::AddAction(filler.action(new)?)),
        Operation::RemoveAction(id) => Step::RemoveAction(id),
        Operation::Clear => Step::Ready(Change::Clear),
        Operation::RemoveConversation => Step::Ready(Change::Remove),
    };
    Ok(Prepared { conversation_id, step, key, fingerprint, expect })
}

struct Filler<'f> {
    clock: &'f dyn Clock,
    ids: &'f dyn IdSource,
}

impl Filler<'_> {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.clock.now_micros()).unwrap_or(Timestamp::EPOCH)
    }

    fn id(&self, given: Option<Text>) -> Result<Text> {
        let Some(id) = given else { return Ok(Text::from(self.ids.new_id())) };
        limit("an id", id.len(), 1, MAX_ID_BYTES)?;
        Ok(id)
    }

    fn create(&self, conversation_id: &str, new: NewConversation) -> Result<Change> {
        check_extra(&new.extra, &CONVERSATION_FIELDS).map_err(Error::invalid)?;
        let title = new.title.filter(|title| !title.is_empty());
        Ok(Change::Create {
            title: text("a title", title.unwrap_or_else(|| Conversation::default_title(conversation_id)))?,
            created_at: new.created_at.unwrap_or_else(|| self.now()),
            metadata: object("metadata", new.metadata)?,
            extra: object("extra fields", new.extra)?,
        })
    }

    fn message(&self, new: NewMessage) -> Result<Message> {
        check_extra(&new.extra, &MESSAGE_FIELDS).map_err(Error::invalid)?;
        let created_at = new.created_at.unwrap_or_else(|| self.now());
        let content = text("a message's content", new.content)?;
        let mut message = Message::new(self.id(new.id)?, content, text("a role", new.role)?, created_at);
        message.metadata = object("metadata", new.metadata)?;
        message.extra = object("extra fields", new.extra)?;
        Ok(message)
    }

    fn action(&self, new: NewAction) -> Result<Action> {
        check_extra(&new.extra, &ACTION_FIELDS).map_err(Error::invalid)?;
        let created_at = new.created_at.unwrap_or_else(|| self.now());
        let action_type = text("an action's type", new.action_type)?;
        let mut action = Action::new(self.id(new.id)?, action_type, object("data", new.data)?, created_at);
        action.metadata = object("metadata", new.metadata)?;
        action.extra = object("extra fields", new.extra)?;
        Ok(action)
    }
}

fn limit(what: &str, length: usize, least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&length) {
        return Ok(());
    }
    Err(Error::invalid(if length < least {
        format!("{what} must not be empty")
    } else {
        format!("{what} has {length} bytes, over the limit of {most}")
    }))
}

fn text(what: &str, text: Text) -> Result<Text> {
    limit(what, text.len(), 0, MAX_TEXT_BYTES)?;
    Ok(text)
}

fn object(what: &str, object: JsonObject) -> Result<JsonObject> {
    limit(what, object.as_json().len(), 0, MAX_JSON_BYTES)?;
    Ok(object)
}

/// CRC-32 of what a caller asked for, without ids and times, which a retry may make anew.
fn fingerprint(mutation: &Mutation) -> u32 {
    let Some(_) = &mutation.key else { return 0 };
    let mut hasher = crc32fast::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&crate::codec::bytes::to_u64(bytes.len()).to_le_bytes());
        hasher.update(bytes);
    };
    part(mutation.conversation_id.as_bytes());
    match &mutation.operation {
        Operation::CreateConversation(new) => {
            part(b"create");
            part(new.title.as_ref().map(Text::as_wtf8).unwrap_or_default());
            part(new.metadata.as_json().as_bytes());
        }
        Operation::SetTitle(title) => {
            part(b"title");
            part(title.as_wtf8());
        }
        Operation::SetMetadata(metadata) => {
            part(b"metadata");
            part(metadata.as_json().as_bytes());
        }
        Operation::AddMessage(new) => {
            part(b"message");
            part(new.content.as_wtf8());
            part(new.role.as_wtf8());
            part(new.metadata.as_json().as_bytes());
        }
        Operation::EditMessage { message_id, edit } => {
            part(b"edit");
            part(message_id.as_wtf8());
            part(edit.content.as_ref().map_or(b"\xff", Text::as_wtf8));
            part(edit.metadata.as_ref().map_or(b"\xff", |m| m.as_json().as_bytes()));
        }
        Operation::RemoveMessage(id) => {
            part(b"remove message");
            part(id.as_wtf8());
        }
        Operation::AddAction(new) => {
            part(b"action");
            part(new.action_type.as_wtf8());
            part(new.data.as_json().as_bytes());
            part(new.metadata.as_json().as_bytes());
        }
        Operation::RemoveAction(id) => {
            part(b"remove action");
            part(id.as_wtf8());
        }
        Operation::Clear => part(b"clear"),
        Operation::RemoveConversation => part(b"remove"),
    }
    hasher.finalize()
}
