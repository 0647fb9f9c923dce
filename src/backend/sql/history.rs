//! The past of one conversation.
//!
//! Owns the question for its events, of which a database keeps every one. They have no column to be found by: the
//! database looks through all of them for those that begin with the conversation's id, and gives these alone.

use std::ops::ControlFlow;

use super::columns::{corrupt, number_at};
use super::connection::{Connection, Value, first};
use super::events::{EVENT, ROWS, with_event};
use super::reads::last_seq;
use crate::codec::payload::beginning;
use crate::error::Result;
use crate::model::{History, PastEvent};

/// Everything that happened to a conversation.
///
/// # Errors
///
/// `Corrupt` also where an event of the store is missing: nobody knows whose it was, and what follows from the others alone
/// never was.
pub(super) fn history(connection: &mut dyn Connection, id: &str) -> Result<History> {
    let mut history = History::new(id, 0);
    history.events = events_of(connection, id)?;
    Ok(history.behind_an_erasure())
}

/// The events of a conversation.
///
/// # Errors
///
/// Those of [`history`].
pub(super) fn events_of(connection: &mut dyn Connection, id: &str) -> Result<Vec<PastEvent>> {
    check_whole(connection)?;
    let beginning = beginning(id);
    let sql = format!(
        "SELECT {EVENT} FROM aral_events WHERE seq >= ?1 AND substr(payload, 1, {}) = ?2 ORDER BY seq LIMIT ?3",
        beginning.len()
    );
    let mut events = Vec::new();
    let (mut next, mut is_over) = (1, false);
    while !is_over {
        let mut rows = 0;
        let values = [Value::number(next), Value::bytes(&beginning), Value::number(ROWS)];
        connection.query(&sql, &values, &mut |row| {
            rows += 1;
            next = number_at(row, 0)? + 1;
            let past = with_event(row, |numbers, view| {
                let bad = |reason: String| corrupt(format!("event {}: {reason}", numbers.seq));
                let event = view.to_event().map_err(|damage| bad(damage.0))?;
                Ok(PastEvent::new(numbers.seq, numbers.first_seq, event))
            })?;
            events.push(past);
            Ok(ControlFlow::Continue(()))
        })?;
        is_over = rows < ROWS;
    }
    Ok(events)
}

/// Refuses events of which some are missing.
fn check_whole(connection: &mut dyn Connection) -> Result<()> {
    let last = last_seq(connection)?;
    let sql = "SELECT COUNT(*), COALESCE(MAX(seq), 0) FROM aral_events WHERE seq >= 1";
    let found = first(connection, sql, &[], |row| Ok((number_at(row, 0)?, number_at(row, 1)?)))?;
    let (count, newest) = found.unwrap_or_default();
    if (count, newest) == (last, last) {
        return Ok(());
    }
    let reason = format!(
        "aral_events has {count} events up to {newest}, and the newest of the store is {last}: events are missing, and what a \
         conversation was cannot be told without them; `verify` names them"
    );
    Err(corrupt(reason))
}
