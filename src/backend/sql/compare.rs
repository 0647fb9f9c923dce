//! Do the tables say what the events led to?
//!
//! Owns the going over all conversations, a few at a time, and over the rows that no event explains. What is done about a
//! difference is for the caller to say.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::columns::number_at;
use super::connection::{Connection, Value, all, first};
use super::events::{each_of, with_event};
use super::fold::Fold;
use super::outline::Outline;
use super::tables::{
    self, ACTIONS, CONVERSATIONS, Difference, KEYS, MESSAGES, Ought, TOMBSTONES, Table, Values, Wrong,
};
use crate::codec::bytes::to_u64;
use crate::error::Result;
use crate::model::Seq;

/// How many rows that may be wrong are looked at at once.
const AT_ONCE: usize = 1000;

/// What is done about what is found.
pub(super) trait Sink {
    /// Rows of a table are not what the events led to.
    fn differs(
        &mut self,
        connection: &mut dyn Connection,
        table: &Table,
        difference: &Difference<'_>,
    ) -> Result<()>;

    /// The events of a conversation do not fit one another, so that nobody can say what they led to.
    fn is_broken(&mut self, id: &str, reason: &str) -> Result<()>;

    /// Some conversations were gone over, with so many messages and actions.
    fn saw(&mut self, conversations: u64, messages: u64, actions: u64);
}

/// Compares every row of the tables with what the events led to.
pub(super) fn compare(connection: &mut dyn Connection, outline: &Outline, sink: &mut dyn Sink) -> Result<()> {
    let mut keys = 0;
    for seqs in outline.parts() {
        let fold = Fold::of(connection, &seqs)?;
        keys += part(connection, &fold, sink)?;
    }
    let live = outline.live();
    let is_live =
        |value: &Value<'_>| is_number(value).is_some_and(|number| live.binary_search(&number).is_ok());
    for (table, sql) in [
        (&CONVERSATIONS, "SELECT number FROM aral_conversation_rows"),
        (&MESSAGES, "SELECT DISTINCT conversation FROM aral_message_rows"),
        (&ACTIONS, "SELECT DISTINCT conversation FROM aral_action_rows"),
    ] {
        let mut strange = Vec::new();
        connection.query(sql, &[], &mut |row| {
            let number = row.any(0)?;
            if !is_live(&number) {
                strange.push(number);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        extra(connection, table, &strange, sink)?;
    }
    let mut strange = Vec::new();
    connection.query("SELECT id_key FROM aral_tombstones", &[], &mut |row| {
        let id = row.any(0)?;
        if !matches!(&id, Value::Bytes(id) if outline.is_removed(id)) {
            strange.push(id);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    extra(connection, &TOMBSTONES, &strange, sink)?;
    let is = first(connection, "SELECT COUNT(*) FROM aral_keys", &[], |row| number_at(row, 0))?;
    if is.unwrap_or_default() == keys { Ok(()) } else { extra_keys(connection, sink) }
}

fn is_number(value: &Value<'_>) -> Option<Seq> {
    if let Value::Int(number) = value { Seq::try_from(*number).ok() } else { None }
}

/// Compares the rows of some conversations, and says how many keys they have in the table.
fn part(connection: &mut dyn Connection, fold: &Fold, sink: &mut dyn Sink) -> Result<u64> {
    for (id, reason) in &fold.broken {
        sink.is_broken(id, reason)?;
    }
    let rows = || fold.conversations.values();
    let numbers: Vec<Value<'_>> = rows().map(|rows| Value::number(rows.number)).collect();
    let counts = rows().fold((0, 0), |(messages, actions), rows| {
        (messages + to_u64(rows.messages.len()), actions + to_u64(rows.actions.len()))
    });
    sink.saw(to_u64(numbers.len()), counts.0, counts.1);
    let mut told =
        |connection: &mut dyn Connection, table: &Table, found_by: &[Value<'_>], ought| -> Result<u64> {
            let difference = table.compare(connection, found_by, ought)?;
            if !difference.is_none() {
                sink.differs(connection, table, &difference)?;
            }
            Ok(difference.found)
        };
    told(
        connection,
        &CONVERSATIONS,
        &numbers,
        by_key(&CONVERSATIONS, rows().map(tables::Rows::conversation)),
    )?;
    told(connection, &MESSAGES, &numbers, by_key(&MESSAGES, rows().flat_map(tables::Rows::messages)))?;
    told(connection, &ACTIONS, &numbers, by_key(&ACTIONS, rows().flat_map(tables::Rows::actions)))?;
    let names: Vec<Value<'_>> = fold.keys.iter().map(|(name, _)| Value::bytes(name.as_bytes())).collect();
    let keys = fold.keys.iter().map(|(name, record)| tables::key_row(name, record));
    let found = told(connection, &KEYS, &names, by_key(&KEYS, keys))?;
    let ids: Vec<Value<'_>> = fold.removed.keys().map(|id| Value::bytes(id.as_bytes())).collect();
    let tombstones = fold.removed.values().map(tables::tombstone_row);
    told(connection, &TOMBSTONES, &ids, by_key(&TOMBSTONES, tombstones))?;
    Ok(found)
}

fn by_key<'v>(table: &Table, rows: impl Iterator<Item = Values<'v>>) -> Ought<'v> {
    rows.map(|row| (table.key_of(&row), row)).collect()
}

/// Tells rows that are found by these values, and that no event explains.
fn extra(
    connection: &mut dyn Connection,
    table: &Table,
    found_by: &[Value<'_>],
    sink: &mut dyn Sink,
) -> Result<()> {
    for part in found_by.chunks(AT_ONCE) {
        let difference = table.compare(connection, part, HashMap::new())?;
        if !difference.is_none() {
            sink.differs(connection, table, &difference)?;
        }
    }
    Ok(())
}

/// Tells keys that the event of their number does not have.
fn extra_keys(connection: &mut dyn Connection, sink: &mut dyn Sink) -> Result<()> {
    let mut last: Option<Value<'static>> = None;
    loop {
        let behind = if last.is_some() { "WHERE name > ?1" } else { "" };
        let sql = format!("SELECT {} FROM aral_keys {behind} ORDER BY name LIMIT {AT_ONCE}", KEYS.list());
        let asked: Vec<Value<'_>> = last.iter().cloned().collect();
        let rows = all(connection, &sql, &asked, |row| KEYS.values_at(row))?;
        let Some(end) = rows.last() else { return Ok(()) };
        last = Some(KEYS.key_of(end));
        let mut seqs: Vec<Seq> = rows.iter().filter_map(|row| row.get(4).and_then(is_number)).collect();
        seqs.sort_unstable();
        let mut used: HashMap<Seq, String> = HashMap::new();
        each_of(connection, &seqs, &mut |row| {
            with_event(row, |numbers, view| {
                used.extend(view.key.map(|key| (numbers.seq, key.text.to_owned())));
                Ok(())
            })
        })?;
        let is_used = |row: &Values<'_>| {
            let name = row.get(4).and_then(is_number).and_then(|seq| used.get(&seq));
            name.is_some_and(|name| KEYS.key_of(row) == Value::bytes(name.as_bytes()))
        };
        let strange = rows.into_iter().filter(|row| !is_used(row));
        let wrong: Vec<_> = strange.map(|row| Wrong { row, columns: Vec::new() }).collect();
        if !wrong.is_empty() {
            sink.differs(connection, &KEYS, &Difference { wrong, ..Difference::default() })?;
        }
    }
}
