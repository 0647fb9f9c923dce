//! From a mutation as a caller hands it in to a request with nothing left open.
//!
//! Owns the limits on what a caller may hand in, the filling in of ids, times and titles, and the
//! fingerprint of what an idempotency key was used for. Looks at no state, so it runs outside of every lock.

use super::request::{Expected, Finish, Request, Step};
use crate::clock::{Clock, IdSource};
use crate::codec::document::{ACTION_FIELDS, CONVERSATION_FIELDS, MESSAGE_FIELDS, check_extra};
use crate::error::{Error, Result};
use crate::model::{
    Action, ActionEdit, Change, Conversation, Edit, JsonObject, MAX_ID_BYTES, MAX_JSON_BYTES, MAX_KEY_BYTES,
    MAX_TEXT_BYTES, Message, Mutation, NewAction, NewConversation, NewMessage, Operation, RemovalReason,
    Text, Timestamp, UniqueIds,
};

const _: () = assert!(
    size_of::<Request>() <= size_of::<Mutation>(),
    "a batch is got ready in the memory that its mutations lie in"
);

/// Fills in what a mutation leaves open and holds it to the limits.
#[inline]
pub(crate) fn normalize(mutation: Mutation, clock: &dyn Clock, ids: &dyn IdSource) -> Result<Request> {
    let fingerprint = fingerprint(&mutation);
    let Mutation { mut conversation_id, operation, key, expect, unique_ids } = mutation;
    if conversation_id.is_empty() && matches!(operation, Operation::CreateConversation(_)) {
        conversation_id = ids.new_id();
    }
    limit("a conversation id", conversation_id.len(), 1, MAX_ID_BYTES)?;
    if let Some(key) = &key {
        limit("an idempotency key", key.len(), 1, MAX_KEY_BYTES)?;
    }
    // An id that the store makes up is unique anyway.
    let is_given = matches!(
        &operation,
        Operation::AddMessage(NewMessage { id: Some(_), .. })
            | Operation::AddAction(NewAction { id: Some(_), .. })
    );
    let unique_ids = if is_given { unique_ids } else { UniqueIds::Off };
    let filler = Filler { clock, ids };
    if let Operation::AddMessage(new) = &operation {
        check_message(new)?;
    }
    let step = match operation {
        Operation::CreateConversation(new) => {
            let Head { title, created_at, metadata, extra } = filler.head(&conversation_id, new)?;
            Step::Ready(Change::Create { title, created_at, metadata, extra })
        }
        Operation::ResetConversation(new) => {
            let Head { title, created_at, metadata, extra } = filler.head(&conversation_id, new)?;
            Step::Ready(Change::Reset { title, created_at, metadata, extra })
        }
        Operation::SetCreatedAt(time) => Step::Ready(Change::SetCreatedAt(time)),
        Operation::SetExtra(fields) => Step::Ready(Change::SetExtra(extra(fields, &CONVERSATION_FIELDS)?)),
        Operation::SetTitle(title) => Step::Ready(Change::SetTitle(text("a title", title)?)),
        Operation::SetMetadata(metadata) => Step::Ready(Change::SetMetadata(object("metadata", metadata)?)),
        // Part by part, and held to the limits before: as a whole it would be moved about several times.
        Operation::AddMessage(NewMessage { content, role, id, created_at, metadata, extra }) => {
            let (id, created_at) = (filler.id(id), filler.time(created_at));
            Step::Ready(Change::AddMessage(Message { id, content, role, created_at, metadata, extra }))
        }
        Operation::EditMessage { message_id, edit } => {
            check_edit(&edit)?;
            Step::EditMessage(message_id, Box::new(edit))
        }
        Operation::EditAction { action_id, edit } => {
            check_action_edit(&edit)?;
            Step::EditAction(action_id, Box::new(edit))
        }
        Operation::RemoveMessage(id) => Step::RemoveMessage(id),
        Operation::AppendText { message_id, offset, text } => {
            check_piece(&text)?;
            Step::AppendText { message_id, offset, text }
        }
        Operation::FinishMessage { message_id, length, metadata } => {
            let metadata = object("metadata", metadata)?;
            Step::FinishMessage(message_id, Box::new(Finish { length, metadata }))
        }
        Operation::AddAction(new) => Step::Ready(Change::AddAction(filler.action(new)?)),
        Operation::RemoveAction(id) => Step::RemoveAction(id),
        Operation::Clear => Step::Ready(Change::Clear),
        Operation::RemoveConversation => filler.removal(None, RemovalReason::Asked),
        Operation::RemoveConversationAt(time) => filler.removal(Some(time), RemovalReason::Asked),
        Operation::PruneConversation(time) => filler.removal(time, RemovalReason::Retention),
        Operation::SetVersion(version) => Step::Ready(Change::SetVersion(version)),
    };
    Ok(Request { conversation_id, step, key, fingerprint, expect: expect.map(Expected::Version), unique_ids })
}

fn check_edit(edit: &Edit) -> Result<()> {
    let texts = [("a message's content", &edit.content), ("a role", &edit.role)];
    check_parts(&texts, &[("metadata", &edit.metadata)], (&edit.extra, &MESSAGE_FIELDS))
}

fn check_action_edit(edit: &ActionEdit) -> Result<()> {
    let objects = [("data", &edit.data), ("metadata", &edit.metadata)];
    check_parts(&[("an action's type", &edit.action_type)], &objects, (&edit.extra, &ACTION_FIELDS))
}

/// Holds what an edit gives to the limits.
fn check_parts(
    texts: &[(&str, &Option<Text>)],
    objects: &[(&str, &Option<JsonObject>)],
    (fields, named): (&Option<JsonObject>, &[&str]),
) -> Result<()> {
    for (what, given) in texts {
        given.iter().try_for_each(|text| limit(what, text.len(), 0, MAX_TEXT_BYTES))?;
    }
    for (what, given) in objects {
        given.iter().try_for_each(|object| limit(what, object.as_json().len(), 0, MAX_JSON_BYTES))?;
    }
    fields.iter().try_for_each(|fields| check_fields(fields, named))
}

/// Holds a message to the limits where it lies: most of what is handed in is messages, and they are long.
#[inline]
fn check_message(new: &NewMessage) -> Result<()> {
    limit("a message's content", new.content.len(), 0, MAX_TEXT_BYTES)?;
    check_id(new.id.as_ref())?;
    limit("a role", new.role.len(), 0, MAX_TEXT_BYTES)?;
    limit("metadata", new.metadata.as_json().len(), 0, MAX_JSON_BYTES)?;
    check_fields(&new.extra, &MESSAGE_FIELDS)
}

/// A text that is put behind another, which must not make one character of two halves.
fn check_piece(text: &Text) -> Result<()> {
    limit("a piece of text", text.len(), 1, MAX_TEXT_BYTES)?;
    if text.begins_with_a_half() {
        return Err(Error::invalid(
            "a piece of text begins with the second half of a character; append both halves at once",
        ));
    }
    Ok(())
}

#[inline]
fn check_id(given: Option<&Text>) -> Result<()> {
    given.map_or(Ok(()), |id| limit("an id", id.len(), 1, MAX_ID_BYTES))
}

/// Fields without a name in the original's model, which must not hide those with one.
#[inline]
fn check_fields(fields: &JsonObject, named: &[&str]) -> Result<()> {
    if fields.is_empty() {
        return Ok(());
    }
    check_extra(fields, named).map_err(Error::invalid)?;
    limit("extra fields", fields.as_json().len(), 0, MAX_JSON_BYTES)
}

/// What a conversation begins with.
struct Head {
    title: Text,
    created_at: Timestamp,
    metadata: JsonObject,
    extra: JsonObject,
}

struct Filler<'f> {
    clock: &'f dyn Clock,
    ids: &'f dyn IdSource,
}

impl Filler<'_> {
    fn removal(&self, given: Option<Timestamp>, reason: RemovalReason) -> Step {
        Step::Ready(Change::Remove { removed_at: Some(self.time(given)), reason })
    }

    #[inline]
    fn time(&self, given: Option<Timestamp>) -> Timestamp {
        let now = || Timestamp::from_unix_micros(self.clock.now_micros()).unwrap_or(Timestamp::EPOCH);
        given.unwrap_or_else(now)
    }

    #[inline]
    fn id(&self, given: Option<Text>) -> Text {
        given.unwrap_or_else(|| Text::from(self.ids.new_id()))
    }

    fn head(&self, conversation_id: &str, new: NewConversation) -> Result<Head> {
        let title = new.title.filter(|title| !title.is_empty());
        Ok(Head {
            title: text("a title", title.unwrap_or_else(|| Conversation::default_title(conversation_id)))?,
            created_at: self.time(new.created_at),
            metadata: object("metadata", new.metadata)?,
            extra: extra(new.extra, &CONVERSATION_FIELDS)?,
        })
    }

    fn action(&self, new: NewAction) -> Result<Action> {
        let created_at = self.time(new.created_at);
        let action_type = text("an action's type", new.action_type)?;
        check_id(new.id.as_ref())?;
        let mut action = Action::new(self.id(new.id), action_type, object("data", new.data)?, created_at);
        action.metadata = object("metadata", new.metadata)?;
        action.extra = extra(new.extra, &ACTION_FIELDS)?;
        Ok(action)
    }
}

#[inline]
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

#[inline]
fn text(what: &str, text: Text) -> Result<Text> {
    limit(what, text.len(), 0, MAX_TEXT_BYTES)?;
    Ok(text)
}

#[inline]
fn object(what: &str, object: JsonObject) -> Result<JsonObject> {
    limit(what, object.as_json().len(), 0, MAX_JSON_BYTES)?;
    Ok(object)
}

/// The same, handed on.
fn extra(fields: JsonObject, named: &[&str]) -> Result<JsonObject> {
    check_fields(&fields, named)?;
    Ok(fields)
}

/// CRC-32 of what a caller asked for, without ids and times, which a retry may make anew.
fn fingerprint(mutation: &Mutation) -> u32 {
    let Some(_) = &mutation.key else { return 0 };
    let mut print = Print(crc32fast::Hasher::new());
    print.part(mutation.conversation_id.as_bytes());
    match &mutation.operation {
        Operation::CreateConversation(new) => print.head(b"create", new),
        Operation::ResetConversation(new) => print.head(b"reset", new),
        Operation::SetTitle(title) => print.parts([b"title", title.as_wtf8()]),
        Operation::SetMetadata(metadata) => print.parts([b"metadata", metadata.as_json().as_bytes()]),
        Operation::SetCreatedAt(time) => print.parts([b"created at", time.to_string().as_bytes()]),
        Operation::SetExtra(extra) => print.parts([b"extra", extra.as_json().as_bytes()]),
        Operation::AddMessage(new) => {
            print.parts([b"message", new.content.as_wtf8(), new.role.as_wtf8()]);
            print.part(new.metadata.as_json().as_bytes());
        }
        Operation::EditMessage { message_id, edit } => print.edit(message_id, edit),
        Operation::RemoveMessage(id) => print.parts([b"remove message", id.as_wtf8()]),
        Operation::AddAction(new) => {
            print.parts([b"action", new.action_type.as_wtf8()]);
            print.parts([new.data.as_json().as_bytes(), new.metadata.as_json().as_bytes()]);
        }
        Operation::EditAction { action_id, edit } => print.action_edit(action_id, edit),
        Operation::RemoveAction(id) => print.parts([b"remove action", id.as_wtf8()]),
        Operation::Clear => print.part(b"clear"),
        Operation::RemoveConversation | Operation::RemoveConversationAt(_) => print.part(b"remove"),
        Operation::PruneConversation(_) => print.part(b"prune"),
        Operation::SetVersion(version) => print.parts([b"version", &version.to_le_bytes()]),
        Operation::AppendText { message_id, offset, text } => {
            print.parts([b"append text", message_id.as_wtf8(), text.as_wtf8()]);
            print.number(b"offset", *offset);
        }
        Operation::FinishMessage { message_id, length, metadata } => {
            print.parts([b"finish message", message_id.as_wtf8(), metadata.as_json().as_bytes()]);
            print.number(b"length", *length);
        }
    }
    print.0.finalize()
}

/// A fingerprint that is being taken.
struct Print(crc32fast::Hasher);

impl Print {
    fn part(&mut self, bytes: &[u8]) {
        self.0.update(&crate::codec::bytes::to_u64(bytes.len()).to_le_bytes());
        self.0.update(bytes);
    }

    fn parts<const N: usize>(&mut self, parts: [&[u8]; N]) {
        for part in parts {
            self.part(part);
        }
    }

    /// A part that may be absent, under its name.
    fn named(&mut self, name: &[u8], value: Option<&[u8]>) {
        if let Some(value) = value {
            self.parts([name, value]);
        }
    }

    fn number(&mut self, name: &[u8], number: Option<u64>) {
        self.named(name, number.map(u64::to_le_bytes).as_ref().map(<[u8; 8]>::as_slice));
    }

    fn head(&mut self, word: &[u8], new: &NewConversation) {
        self.parts([word, new.title.as_ref().map(Text::as_wtf8).unwrap_or_default()]);
        self.part(new.metadata.as_json().as_bytes());
    }

    fn edit(&mut self, id: &Text, edit: &Edit) {
        self.parts([b"edit", id.as_wtf8()]);
        self.part(edit.content.as_ref().map_or(b"\xff", Text::as_wtf8));
        self.part(edit.metadata.as_ref().map_or(b"\xff", |metadata| metadata.as_json().as_bytes()));
        // What could not be edited at first has a part only if it is given: the fingerprints of before stay.
        self.named(b"role", edit.role.as_ref().map(Text::as_wtf8));
        self.named(b"time", edit.created_at.map(|time| time.to_string()).as_deref().map(str::as_bytes));
        self.named(b"extra", edit.extra.as_ref().map(|extra| extra.as_json().as_bytes()));
    }

    fn action_edit(&mut self, id: &Text, edit: &ActionEdit) {
        self.parts([b"edit action", id.as_wtf8()]);
        self.named(b"type", edit.action_type.as_ref().map(Text::as_wtf8));
        self.named(b"data", edit.data.as_ref().map(|data| data.as_json().as_bytes()));
        self.named(b"metadata", edit.metadata.as_ref().map(|metadata| metadata.as_json().as_bytes()));
        self.named(b"time", edit.created_at.map(|time| time.to_string()).as_deref().map(str::as_bytes));
        self.named(b"extra", edit.extra.as_ref().map(|extra| extra.as_json().as_bytes()));
    }
}
