//! The rows that an erasure changes and leaves.
//!
//! Owns the statements: the intent, what stands in the place of events, what goes beside them, and the receipts.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::columns::{Numbers, corrupt, id_at, number_at};
use super::connection::{Connection, Dialect, Value, all, first};
use super::events::{EVENT, with_event};
use crate::codec::erasure::{Intent, Record};
use crate::codec::payload::{EventView, beginning, encode_event, schema_of};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Change, Event, KeptReceipt, Seq, Text};
use crate::snapshot::rewrite::{Erased, emptied_event, nothing};

const INTENT: &str =
    "CREATE TABLE IF NOT EXISTS aral_erasing (one {key} CHECK (one = 1), intent TEXT NOT NULL)";

const RECEIPTS: &str = "CREATE TABLE IF NOT EXISTS aral_erasures (number {key}, receipt TEXT NOT NULL)";

/// Whether there is a table of this name.
pub(super) fn has_table(connection: &mut dyn Connection, dialect: Dialect, name: &str) -> Result<bool> {
    let count = first(connection, dialect.count_tables, &[Value::text(name)], |row| row.int(0))?;
    Ok(count.unwrap_or(0) > 0)
}

/// What an erasure that is not finished has written down.
///
/// # Errors
///
/// `Corrupt` if it cannot be read.
pub(super) fn intent(connection: &mut dyn Connection, dialect: Dialect) -> Result<Option<Intent>> {
    if !has_table(connection, dialect, "aral_erasing")? {
        return Ok(None);
    }
    let text = first(connection, "SELECT intent FROM aral_erasing", &[], |row| Ok(row.text(0)?.to_owned()))?;
    let reason = "an erasure was begun and not finished, and what says of what cannot be read; delete the row of aral_erasing, and erase \
                  again what was to be erased";
    text.map(|text| Intent::decode(text.as_bytes()).ok_or_else(|| corrupt(reason))).transpose()
}

/// Writes an intent down in the place of one that there is.
pub(super) fn intend(connection: &mut dyn Connection, dialect: Dialect, intent: &Intent) -> Result<()> {
    connection.execute(&INTENT.replace("{key}", dialect.key), &[])?;
    connection.execute("DELETE FROM aral_erasing", &[])?;
    let insert = "INSERT INTO aral_erasing (one, intent) VALUES (1, ?1)";
    connection.execute(insert, &[Value::text(intent.encode())]).map(drop)
}

/// Ends an erasure, with a receipt if it was carried out.
pub(super) fn end(connection: &mut dyn Connection, dialect: Dialect, record: Option<&Record>) -> Result<()> {
    if let Some(record) = record {
        connection.execute(&RECEIPTS.replace("{key}", dialect.key), &[])?;
        let last = "SELECT COALESCE(MAX(number), 0) FROM aral_erasures";
        let number = first(connection, last, &[], |row| row.int(0))?.unwrap_or_default() + 1;
        let insert = "INSERT INTO aral_erasures (number, receipt) VALUES (?1, ?2)";
        connection.execute(insert, &[Value::Int(number), Value::text(record.encode())])?;
    }
    connection.execute("DELETE FROM aral_erasing", &[]).map(drop)
}

/// What the receipts say that are kept, the oldest first.
pub(super) fn receipts(
    connection: &mut dyn Connection,
    dialect: Dialect,
    place: &Path,
) -> Result<Vec<KeptReceipt>> {
    if !has_table(connection, dialect, "aral_erasures")? {
        return Ok(Vec::new());
    }
    let sql = "SELECT number, receipt FROM aral_erasures ORDER BY number";
    all(connection, sql, &[], |row| {
        let path = format!("{}, aral_erasures, row {}", place.display(), row.int(0)?);
        // What is no text is damaged, and keeps nobody from the others.
        Ok(Record::kept(PathBuf::from(path), row.text(1).map(str::to_owned)))
    })
}

/// Whether anything stands in the place of an event.
pub(super) fn is_any(connection: &mut dyn Connection) -> Result<bool> {
    let beginning = beginning("");
    let sql =
        format!("SELECT seq FROM aral_events WHERE substr(payload, 1, {}) = ?1 LIMIT 1", beginning.len());
    Ok(first(connection, &sql, &[Value::bytes(&beginning)], |row| number_at(row, 0))?.is_some())
}

/// An event of a conversation, where it stands, and the place of what it changes.
struct Standing {
    numbers: Numbers,
    event: Event,
    at: u64,
}

fn events_of(connection: &mut dyn Connection, id: &str) -> Result<Vec<Standing>> {
    let beginning = beginning(id);
    let sql = format!(
        "SELECT {EVENT} FROM aral_events WHERE seq >= 1 AND substr(payload, 1, {}) = ?1 ORDER BY seq",
        beginning.len()
    );
    all(connection, &sql, &[Value::bytes(&beginning)], |row| {
        with_event(row, |numbers, view| {
            let event =
                view.to_event().map_err(|bad| corrupt(format!("event {}: {}", numbers.seq, bad.0)))?;
            Ok(Standing { numbers, event, at: view.change.place() })
        })
    })
}

/// Leaves nothing of it in any row. Under the writers' lock.
pub(super) fn strip(
    connection: &mut dyn Connection,
    dialect: Dialect,
    (erased, record): (&Erased, &Record),
) -> Result<()> {
    for Standing { numbers, event, at } in events_of(connection, &erased.conversation)? {
        let seq = numbers.seq;
        if !erased.is_of(seq, &event.conversation_id, &event.change) || erased.is_told_by(seq, &event.change)
        {
            continue;
        }
        let left = if erased.message.is_none() { nothing() } else { emptied_event(&event) };
        let at = if matches!(left.change, Change::Clear) { 0 } else { at };
        let mut payload = Vec::new();
        if encode_event(&EventView::of(&left, at), &mut payload).is_none() {
            return Err(Error::new(ErrorKind::OutOfMemory, "there is no memory to write an event anew"));
        }
        let numbers = Numbers { schema: schema_of(&left.change), ..numbers };
        let update = "UPDATE aral_events SET event_schema = ?2, crc = ?3, payload = ?4 WHERE seq = ?1";
        let values = [
            Value::number(seq),
            Value::Int(numbers.schema.into()),
            Value::Int(numbers.crc(&payload).into()),
            Value::bytes(&payload),
        ];
        connection.execute(update, &values)?;
        if let Some(key) = &event.key {
            connection.execute("DELETE FROM aral_keys WHERE name = ?1", &[Value::bytes(key.as_bytes())])?;
        }
    }
    // Words of it are in there, and only all of them can be taken out for sure.
    connection.execute(dialect.search.clear, &[])?;
    connection.execute("DELETE FROM aral_search", &[])?;
    if has_table(connection, dialect, "aral_consumers")? {
        for (first, last) in &record.events {
            let sql = "UPDATE aral_consumers SET event_schema = NULL, event_crc = NULL WHERE acknowledged >= ?1 AND acknowledged <= ?2";
            connection.execute(sql, &[Value::number(*first), Value::number(*last)])?;
        }
    }
    drop_set_aside(connection, dialect, (erased, record))?;
    // Whoever remembers what the tables held sees by it that they have changed.
    connection.execute("UPDATE aral_meta SET syncs = syncs + 1", &[]).map(drop)
}

/// Drops the rows that a repair has put aside and that are of it.
fn drop_set_aside(
    connection: &mut dyn Connection,
    dialect: Dialect,
    (erased, record): (&Erased, &Record),
) -> Result<()> {
    if !has_table(connection, dialect, "aral_quarantine")? {
        return Ok(());
    }
    let sql = "SELECT number, row_json FROM aral_quarantine ORDER BY number";
    let kept = all(connection, sql, &[], |row| Ok((number_at(row, 0)?, row.text(1)?.to_owned())))?;
    for (number, text) in kept {
        if is_of(&text, erased, record) {
            connection.execute("DELETE FROM aral_quarantine WHERE number = ?1", &[Value::number(number)])?;
        }
    }
    Ok(())
}

/// Whether a row that was put aside is of what is erased, or may be.
fn is_of(text: &str, erased: &Erased, record: &Record) -> bool {
    let Ok(Json::Object(row)) = serde_json::from_str::<Json>(text) else { return true };
    let is_number_of = |value: &Json| {
        let number = value.as_u64();
        number.is_some_and(|seq| record.events.iter().any(|(first, last)| (*first..=*last).contains(&seq)))
    };
    let is_text_of = |text: &str| {
        let bytes = unhex(text).unwrap_or_default();
        let is_id = [text.as_bytes(), &bytes].contains(&erased.conversation.as_bytes());
        let finds = |bytes: &[u8]| record.traces.find(&record.salt, bytes).is_some();
        is_id && erased.message.is_none() || finds(text.as_bytes()) || finds(&bytes)
    };
    let is_message = |text: &str| erased.message.as_ref().is_some_and(|id| *id == *text);
    row.iter().any(|(name, value)| match (name.as_str(), value) {
        ("seq" | "conversation" | "number", number) if erased.message.is_none() => is_number_of(number),
        ("id", Json::String(text)) => is_message(text) || is_text_of(text),
        (_, Json::String(text)) => is_text_of(text),
        (_, Json::Object(inner)) => inner.values().filter_map(Json::as_str).any(is_text_of),
        _ => false,
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || text.len() % 2 == 1 || !text.is_ascii() {
        return None;
    }
    let digits = (0..text.len()).step_by(2);
    digits.map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// The conversations that say that they are forks, each with the one that it is a fork of.
pub(super) fn ids(connection: &mut dyn Connection) -> Result<Vec<String>> {
    let sql = "SELECT id_key FROM aral_conversation_rows ORDER BY number";
    all(connection, sql, &[], |row| id_at(row, 0))
}

/// The newest removal of a message since an event, or nothing.
pub(super) fn removed_since(
    connection: &mut dyn Connection,
    conversation: &str,
    message: &Text,
    after: Seq,
) -> Result<Option<Seq>> {
    let events = events_of(connection, conversation)?.into_iter();
    let is_it = |standing: &Standing| {
        standing.numbers.seq > after
            && matches!(&standing.event.change, Change::RemoveMessage(id) if id == message)
    };
    Ok(events.filter(is_it).map(|standing| standing.numbers.seq).last())
}
