//! What a batch has to be judged on, read before.
//!
//! Owns the questions that are asked for it: few, whatever the number of batches, since each may cross a network.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use super::columns::{ACTION, MESSAGE, action_at, id_at, message_at, number_at, shown};
use super::connection::{Connection, Row, Value};
use crate::error::Result;
use crate::model::{Action, Change, Message, Seq, Text};
use crate::rules::{ConversationState, KeyRecord, Lookups, Request, StateView, Step};

/// How a conversation stands, and its row.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) number: Seq,
    pub(super) state: ConversationState,
}

/// How the conversations and keys stand that some batches name.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) conversations: HashMap<String, Kept>,
    keys: HashMap<String, KeyRecord>,
    pub(super) lookups: Lookups,
}

impl StateView for Loaded {
    fn state(&self, id: &str) -> ConversationState {
        self.conversations.get(id).map(|kept| kept.state.clone()).unwrap_or_default()
    }

    fn find_key(&self, key: &str) -> Option<KeyRecord> {
        self.keys.get(key).cloned()
    }
}

/// How many values a question asks for at most.
const MOST: usize = 256;

/// Asks for rows by many values, some at a time. The lists have few lengths, so that few statements are prepared.
fn by_many(
    connection: &mut dyn Connection,
    sql: &str,
    values: &[&str],
    each: &mut dyn FnMut(&dyn Row) -> Result<()>,
) -> Result<()> {
    for part in values.chunks(MOST) {
        let length = [1, 4, 16, 64].into_iter().find(|length| *length >= part.len()).unwrap_or(MOST);
        let last = part.last().copied().unwrap_or_default();
        let padded = part.iter().copied().chain(std::iter::repeat(last)).take(length);
        let values: Vec<_> = padded.map(|value| Value::bytes(value.as_bytes())).collect();
        let places: Vec<_> = (1..=length).map(|n| format!("?{n}")).collect();
        connection.query(&sql.replace("{values}", &places.join(", ")), &values, &mut |row| {
            each(row)?;
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(())
}

/// Reads what these batches have to be judged on.
pub(super) fn load(connection: &mut dyn Connection, batches: &[&[Request]]) -> Result<Loaded> {
    let mut loaded = Loaded::default();
    let requests = || batches.iter().copied().flatten();
    let ids: BTreeSet<&str> = requests().map(|request| request.conversation_id.as_str()).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let sql = "SELECT id_key, number, version, last_seq, messages, actions FROM aral_conversation_rows \
               WHERE id_key IN ({values})";
    by_many(connection, sql, &ids, &mut |row| {
        let state = ConversationState {
            exists: true,
            version: number_at(row, 2)?,
            last_seq: number_at(row, 3)?,
            messages: number_at(row, 4)?,
            actions: number_at(row, 5)?,
            damage: None,
        };
        let kept = Kept { number: number_at(row, 1)?, state };
        loaded.conversations.insert(id_at(row, 0)?, kept);
        Ok(())
    })?;
    let keys: BTreeSet<&str> = requests().filter_map(|request| request.key.as_deref()).collect();
    let keys: Vec<&str> = keys.into_iter().collect();
    let sql =
        "SELECT name, fingerprint, conversation_id, id, seq, version FROM aral_keys WHERE name IN ({values})";
    by_many(connection, sql, &keys, &mut |row| {
        let record = KeyRecord {
            fingerprint: u32::try_from(number_at(row, 1)?).unwrap_or_default(),
            conversation_id: id_at(row, 2)?.into(),
            id: row.bytes(3)?.into(),
            seq: number_at(row, 4)?,
            version: number_at(row, 5)?,
        };
        loaded.keys.insert(id_at(row, 0)?, record);
        Ok(())
    })?;
    for request in requests().filter(|request| request.looks()) {
        look_up(connection, &mut loaded, request)?;
    }
    Ok(loaded)
}

/// Reads what a request looks for by its id.
fn look_up(connection: &mut dyn Connection, loaded: &mut Loaded, request: &Request) -> Result<()> {
    let lookup = loaded.lookups.entry(request.conversation_id.clone()).or_default();
    let Some(kept) = loaded.conversations.get(&request.conversation_id) else { return Ok(()) };
    lookup.last_seq = kept.state.last_seq;
    match &request.step {
        Step::EditMessage(id, _)
        | Step::RemoveMessage(id)
        | Step::Ready(Change::AddMessage(Message { id, .. })) => {
            if !lookup.messages.contains_key(id) {
                let found = messages(connection, kept.number, id)?;
                lookup.messages.insert(id.clone(), found);
            }
        }
        Step::EditAction(id, _)
        | Step::RemoveAction(id)
        | Step::Ready(Change::AddAction(Action { id, .. })) => {
            if !lookup.actions.contains_key(id) {
                let found = actions(connection, kept.number, id)?;
                lookup.actions.insert(id.clone(), found);
            }
        }
        Step::Ready(_) => {}
    }
    Ok(())
}

/// The messages of a conversation with this id, with their places, in order.
fn messages(connection: &mut dyn Connection, number: Seq, id: &Text) -> Result<Vec<(u64, Message)>> {
    let sql = format!(
        "SELECT m.place, {MESSAGE} FROM aral_message_rows m WHERE m.conversation = ?1 AND m.id = ?2 ORDER BY m.seq"
    );
    let mut found = Vec::new();
    connection.query(&sql, &[Value::number(number), Value::Text(shown(id))], &mut |row| {
        let message = message_at(row, 1)?;
        if message.id == *id {
            found.push((number_at(row, 0)?, message));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// The same of actions.
fn actions(connection: &mut dyn Connection, number: Seq, id: &Text) -> Result<Vec<(u64, Action)>> {
    let sql = format!(
        "SELECT a.place, {ACTION} FROM aral_action_rows a WHERE a.conversation = ?1 AND a.id = ?2 ORDER BY a.seq"
    );
    let mut found = Vec::new();
    connection.query(&sql, &[Value::number(number), Value::Text(shown(id))], &mut |row| {
        let action = action_at(row, 1)?;
        if action.id == *id {
            found.push((number_at(row, 0)?, action));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}
