//! What accepted batches write.
//!
//! Owns the statements that an event comes to. Pure: it asks nobody, and nothing is carried out here.

use std::collections::HashMap;

use super::columns::{self, Numbers};
use super::connection::{Statement, Value};
use super::load::{Kept, Loaded};
use crate::model::{Action, Change, Conversation, JsonObject, Message, Seq, Text, Timestamp, Version};
use crate::rules::{ConversationState, Request};

const INSERT_EVENT: &str = "INSERT INTO aral_events (seq, first_seq, last_seq, event_schema, crc, group_id, payload) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const INSERT_KEY: &str = "INSERT INTO aral_keys (name, fingerprint, conversation_id, id, seq, version) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const INSERT_CONVERSATION: &str = "INSERT INTO aral_conversation_rows \
     (number, id_key, id, title, title_exact, created_at, last_activity, metadata, extra, messages, actions, version, \
     last_seq) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, 0, 0, 0, ?1)";
const RESET_CONVERSATION: &str = "UPDATE aral_conversation_rows \
     SET title = ?2, title_exact = ?3, created_at = ?4, metadata = ?5, extra = ?6 WHERE number = ?1";
const COUNT: &str = "UPDATE aral_conversation_rows SET messages = ?2, actions = ?3, version = ?4, last_seq = ?5, \
     last_activity = COALESCE(?6, last_activity) WHERE number = ?1";
const INSERT_MESSAGE: &str = "INSERT INTO aral_message_rows \
     (id, role, created_at, content, metadata, extra, exact, created_micros, seq, conversation, place) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
const UPDATE_MESSAGE: &str = "UPDATE aral_message_rows SET id = ?1, role = ?2, created_at = ?3, content = ?4, \
     metadata = ?5, extra = ?6, exact = ?7, created_micros = ?8 WHERE conversation = ?9 AND place = ?10";
const INSERT_ACTION: &str = "INSERT INTO aral_action_rows \
     (id, action_type, created_at, data, metadata, extra, exact, created_micros, seq, conversation, place) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
const UPDATE_ACTION: &str = "UPDATE aral_action_rows SET id = ?1, action_type = ?2, created_at = ?3, data = ?4, \
     metadata = ?5, extra = ?6, exact = ?7, created_micros = ?8 WHERE conversation = ?9 AND place = ?10";
const INSERT_TOMBSTONE: &str =
    "INSERT INTO aral_tombstones (seq, id_key, id, removed_at) VALUES (?1, ?2, ?3, ?4)";

/// Notes that what the index for searching has of a message is no longer so, if it has it.
const STALE: &str = "INSERT INTO aral_search_stale (seq) SELECT m.seq FROM aral_message_rows m, aral_search s \
     WHERE m.conversation = ?1 AND m.place = ?2 AND m.seq <= s.indexed_seq ON CONFLICT DO NOTHING";
const ALL_STALE: &str = "INSERT INTO aral_search_stale (seq) SELECT m.seq FROM aral_message_rows m, aral_search s \
     WHERE m.conversation = ?1 AND m.seq <= s.indexed_seq ON CONFLICT DO NOTHING";

/// A table of what conversations hold, with the statements that take one out.
struct Table {
    clear: &'static str,
    remove: &'static str,
    /// Lets those behind it move up.
    close: &'static str,
}

const MESSAGES: Table = Table {
    clear: "DELETE FROM aral_message_rows WHERE conversation = ?1",
    remove: "DELETE FROM aral_message_rows WHERE conversation = ?1 AND place = ?2",
    close: "UPDATE aral_message_rows SET place = place - 1 WHERE conversation = ?1 AND place > ?2",
};
const ACTIONS: Table = Table {
    clear: "DELETE FROM aral_action_rows WHERE conversation = ?1",
    remove: "DELETE FROM aral_action_rows WHERE conversation = ?1 AND place = ?2",
    close: "UPDATE aral_action_rows SET place = place - 1 WHERE conversation = ?1 AND place > ?2",
};

/// One accepted event, ready to be written.
pub(super) struct Ready<'b> {
    pub(super) request: &'b Request,
    pub(super) change: &'b Change,
    /// The message that it puts text behind, with that.
    pub(super) whole: Option<&'b Message>,
    /// The place of what it edits or removes.
    pub(super) at: u64,
    pub(super) version: Version,
    pub(super) numbers: Numbers,
    pub(super) payload: Vec<u8>,
}

/// The statements of some batches, in order. Nothing else is done to the tables of events and keys, so that their rows may come first.
#[derive(Debug, Default)]
pub(super) struct Plan {
    events: Vec<Statement<'static>>,
    keys: Vec<Statement<'static>>,
    statements: Vec<Statement<'static>>,
    conversations: HashMap<String, Row>,
}

/// A conversation's row as the events leave it.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    /// None while there is no such conversation.
    number: Option<Seq>,
    messages: u64,
    actions: u64,
    version: Version,
    last_seq: Seq,
    /// Of what was added since the row was read.
    last_activity: Option<Timestamp>,
}

/// Puts statements at the end of a list.
struct Out<'o>(&'o mut Vec<Statement<'static>>);

impl Out<'_> {
    fn push<'v>(&mut self, sql: &'static str, values: impl IntoIterator<Item = Value<'v>>) {
        let values: Vec<_> = values.into_iter().map(Value::into_owned).collect();
        self.0.push(Statement::new(sql, values));
    }

    /// The same for one of many rows.
    fn row<'v>(&mut self, sql: &'static str, values: impl IntoIterator<Item = Value<'v>>) {
        let values: Vec<_> = values.into_iter().map(Value::into_owned).collect();
        self.0.push(Statement::row(sql, values));
    }
}

impl Plan {
    /// Adds an event. `group` is the mark of the transaction, if this is its first.
    pub(super) fn add(&mut self, loaded: &Loaded, ready: Ready<'_>, group: Option<&[u8; 16]>) {
        let Ready { request, change, whole, at, version, numbers, payload } = ready;
        let crc = numbers.crc(&payload);
        Out(&mut self.events).row(
            INSERT_EVENT,
            [
                Value::number(numbers.seq),
                Value::number(numbers.first_seq),
                Value::number(numbers.last_seq),
                Value::Int(numbers.schema.into()),
                Value::Int(crc.into()),
                group.map_or(Value::Null, |group| Value::bytes(&group[..])),
                Value::bytes(payload),
            ],
        );
        let id = request.conversation_id.as_str();
        if let Some(key) = &request.key {
            let subject = change.subject().map_or(id.as_bytes(), Text::as_wtf8);
            Out(&mut self.keys).row(
                INSERT_KEY,
                [
                    Value::bytes(key.as_bytes()),
                    Value::Int(request.fingerprint.into()),
                    Value::bytes(id.as_bytes()),
                    Value::bytes(subject),
                    Value::number(numbers.seq),
                    Value::number(version),
                ],
            );
        }
        let mut out = Out(&mut self.statements);
        let row = self.conversations.entry(id.to_owned()).or_insert_with(|| Row::of(loaded, id));
        row.carry(id, (change, whole), (at, numbers.seq), &mut out);
        row.version = version;
        row.last_seq = numbers.seq;
    }

    /// The statements, those that count what the events led to at their end.
    pub(super) fn into_statements(self) -> Vec<Statement<'static>> {
        let Self { events: mut all, keys, statements, conversations } = self;
        all.extend(keys);
        all.extend(statements);
        let mut out = Out(&mut all);
        for row in conversations.values() {
            let Some(number) = row.number else { continue };
            let counts = [row.messages, row.actions, row.version, row.last_seq].map(Value::number);
            let [messages, actions, version, last_seq] = counts;
            let active = row.last_activity.map_or(Value::Null, columns::time);
            out.row(COUNT, [Value::number(number), messages, actions, version, last_seq, active]);
        }
        all
    }

    /// How the conversations stand that were changed; `None` for one that is not there any more.
    pub(super) fn states(&self) -> impl Iterator<Item = (String, Option<Kept>)> {
        self.conversations.iter().map(|(id, row)| (id.clone(), row.kept()))
    }
}

/// What a conversation begins with, or begins anew with.
struct Head<'h> {
    title: &'h Text,
    created_at: Timestamp,
    metadata: &'h JsonObject,
    extra: &'h JsonObject,
}

impl Row {
    fn of(loaded: &Loaded, id: &str) -> Self {
        let Some(kept) = loaded.conversations.get(id) else { return Self::default() };
        Self {
            number: Some(kept.number),
            messages: kept.state.messages,
            actions: kept.state.actions,
            ..Self::default()
        }
    }

    fn kept(&self) -> Option<Kept> {
        let state = ConversationState {
            exists: true,
            version: self.version,
            last_seq: self.last_seq,
            messages: self.messages,
            actions: self.actions,
            damage: None,
        };
        self.number.map(|number| Kept { number, state })
    }

    /// Carries a change out, at a place, as the event of this number.
    fn carry(
        &mut self,
        id: &str,
        (change, whole): (&Change, Option<&Message>),
        (at, seq): (u64, Seq),
        out: &mut Out<'_>,
    ) {
        let number = self.number.map_or(Value::Null, Value::number);
        match change {
            Change::Create { title, created_at, metadata, extra } => {
                self.begin(id, seq, &Head { title, created_at: *created_at, metadata, extra }, out);
            }
            Change::Reset { title, created_at, metadata, extra } => {
                let head = Head { title, created_at: *created_at, metadata, extra };
                self.reset(id, seq, &head, out);
            }
            Change::AddMessage(message) => self.add_message(id, message, seq, out),
            Change::AddAction(action) => self.add_action(id, action, seq, out),
            Change::EditMessage(message) => edit_message(message, number, at, out),
            Change::AppendText { .. } => {
                if let Some(message) = whole {
                    edit_message(message, number, at, out);
                }
            }
            Change::EditAction(action) => {
                let place = [number, Value::number(at)];
                out.push(UPDATE_ACTION, columns::of_action(action).into_iter().chain(place));
            }
            Change::RemoveMessage(_) => {
                self.messages = self.messages.saturating_sub(1);
                // Order: it is noted while it is still there.
                out.push(STALE, [number.clone(), Value::number(at)]);
                remove(&MESSAGES, number, at, self.messages, out);
            }
            Change::RemoveAction(_) => {
                self.actions = self.actions.saturating_sub(1);
                remove(&ACTIONS, number, at, self.actions, out);
            }
            Change::Clear => self.clear(out),
            Change::Remove { removed_at, .. } => {
                self.clear(out);
                out.push("DELETE FROM aral_conversation_rows WHERE number = ?1", [number]);
                let removed_at = removed_at.map_or(Value::Null, columns::time);
                let (key, shown) = (Value::bytes(id.as_bytes()), Value::Text(columns::shown_str(id)));
                out.push(INSERT_TOMBSTONE, [Value::number(seq), key, shown, removed_at]);
                *self = Self::default();
            }
            Change::SetTitle(title) => {
                let default = Conversation::default_title(id);
                let title = if title.is_empty() { &default } else { title };
                let sql = "UPDATE aral_conversation_rows SET title = ?2, title_exact = ?3 WHERE number = ?1";
                out.push(sql, [number, Value::Text(columns::shown(title)), columns::title_exact(title)]);
            }
            Change::SetMetadata(metadata) => {
                let sql = "UPDATE aral_conversation_rows SET metadata = ?2 WHERE number = ?1";
                out.push(sql, [number, Value::text(metadata.as_json())]);
            }
            Change::SetExtra(extra) => {
                let sql = "UPDATE aral_conversation_rows SET extra = ?2 WHERE number = ?1";
                out.push(sql, [number, columns::extra(extra)]);
            }
            Change::SetCreatedAt(time) => {
                let sql = "UPDATE aral_conversation_rows SET created_at = ?2 WHERE number = ?1";
                out.push(sql, [number, columns::time(*time)]);
            }
            Change::SetVersion(_) => {}
        }
    }

    fn begin(&mut self, id: &str, seq: Seq, head: &Head<'_>, out: &mut Out<'_>) {
        *self = Self { number: Some(seq), ..Self::default() };
        out.push("DELETE FROM aral_tombstones WHERE id_key = ?1", [Value::bytes(id.as_bytes())]);
        out.push(
            INSERT_CONVERSATION,
            [
                Value::number(seq),
                Value::bytes(id.as_bytes()),
                Value::Text(columns::shown_str(id)),
                Value::Text(columns::shown(head.title)),
                columns::title_exact(head.title),
                columns::time(head.created_at),
                Value::text(head.metadata.as_json()),
                columns::extra(head.extra),
            ],
        );
    }

    /// Begins with the default title if there is no such conversation, and gives its number.
    fn begun(&mut self, id: &str, seq: Seq, created_at: Timestamp, out: &mut Out<'_>) -> Seq {
        if let Some(number) = self.number {
            return number;
        }
        let (title, nothing) = (Conversation::default_title(id), JsonObject::EMPTY);
        let head = Head { title: &title, created_at, metadata: &nothing, extra: &nothing };
        self.begin(id, seq, &head, out);
        seq
    }

    fn reset(&mut self, id: &str, seq: Seq, head: &Head<'_>, out: &mut Out<'_>) {
        let Some(number) = self.number else { return self.begin(id, seq, head, out) };
        self.clear(out);
        self.last_activity = Some(head.created_at);
        out.push(
            RESET_CONVERSATION,
            [
                Value::number(number),
                Value::Text(columns::shown(head.title)),
                columns::title_exact(head.title),
                columns::time(head.created_at),
                Value::text(head.metadata.as_json()),
                columns::extra(head.extra),
            ],
        );
    }

    fn add_message(&mut self, id: &str, message: &Message, seq: Seq, out: &mut Out<'_>) {
        let number = self.begun(id, seq, message.created_at, out);
        let numbers = [seq, number, self.messages].map(Value::number);
        out.row(INSERT_MESSAGE, columns::of_message(message).into_iter().chain(numbers));
        self.messages += 1;
        self.last_activity = Some(message.created_at);
    }

    fn add_action(&mut self, id: &str, action: &Action, seq: Seq, out: &mut Out<'_>) {
        let number = self.begun(id, seq, action.created_at, out);
        let numbers = [seq, number, self.actions].map(Value::number);
        out.row(INSERT_ACTION, columns::of_action(action).into_iter().chain(numbers));
        self.actions += 1;
        self.last_activity = Some(action.created_at);
    }

    fn clear(&mut self, out: &mut Out<'_>) {
        let number = || self.number.map_or(Value::Null, Value::number);
        if self.messages > 0 {
            out.push(ALL_STALE, [number()]);
            out.push(MESSAGES.clear, [number()]);
        }
        if self.actions > 0 {
            out.push(ACTIONS.clear, [number()]);
        }
        (self.messages, self.actions) = (0, 0);
    }
}

/// Writes a message anew at a place.
fn edit_message(message: &Message, number: Value<'_>, at: u64, out: &mut Out<'_>) {
    let place = [number, Value::number(at)];
    out.push(STALE, place.clone());
    out.push(UPDATE_MESSAGE, columns::of_message(message).into_iter().chain(place));
}

/// Takes out what stands at a place, so many being left.
fn remove(table: &Table, number: Value<'_>, at: u64, left: u64, out: &mut Out<'_>) {
    out.push(table.remove, [number.clone(), Value::number(at)]);
    if at < left {
        out.push(table.close, [number, Value::number(at)]);
    }
}
