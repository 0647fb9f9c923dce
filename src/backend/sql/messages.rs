//! Reading messages: some of a conversation, and one by its id.
//!
//! Owns how a selection becomes a question. What cannot be asked in SQL, such as whole turns, is made out by the rules
//! that every backend shares, on messages that are read some at a time.

use std::cell::RefCell;
use std::ops::{ControlFlow, Range};
use std::sync::LazyLock;

use super::columns::{MESSAGE, id_at, is_ambiguous, message_at, number_at, shown};
use super::connection::{Connection, Value, all};
use super::reads::{Place, place_of};
use crate::backend::no_conversation;
use crate::codec::bytes::{to_u64, to_usize};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Cursor, DAY_MICROS, Message, MessageRef, Messages, OpenReply, Seq, Text, TextRef, TimeMatch,
};
use crate::rules::{Listed, select};

/// The number of the conversation whose id's bytes are the first value.
const NUMBER: &str = "(SELECT number FROM aral_conversation_rows WHERE id_key = ?1)";

/// The question for one message, written once: to write it anew took one part in twenty-five of a look-up in SQLite.
static ONE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT {MESSAGE} FROM aral_message_rows m WHERE m.conversation = {NUMBER} AND m.id = ?2 ORDER BY m.seq DESC"
    )
});

/// How many messages are asked for at once where not all of them may be meant.
const PAGE: u64 = 256;

/// What is done with each message that is read.
type Each<'e> = dyn FnMut(Message) -> Result<()> + 'e;

/// The last message of a conversation that has this id. One question.
pub(super) fn message(
    connection: &mut dyn Connection,
    id: &str,
    message_id: TextRef<'_>,
) -> Result<Option<Message>> {
    let message_id = message_id.to_text();
    let mut found = None;
    connection.query(&ONE, &[Value::bytes(id.as_bytes()), Value::Text(shown(&message_id))], &mut |row| {
        let message = message_at(row, 0)?;
        if message.id != message_id {
            return Ok(ControlFlow::Continue(()));
        }
        found = Some(message);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// The replies that are begun and not finished, of a conversation or of all of them. One question, which is about each message.
pub(super) fn open_replies(connection: &mut dyn Connection, id: Option<&str>) -> Result<Vec<OpenReply>> {
    let whose = if id.is_some() { "AND c.id_key = ?1" } else { "" };
    // Whatever looks like the mark; whether it is one is said by the rules of JSON.
    let sql = format!(
        "SELECT c.id_key, {MESSAGE} FROM aral_message_rows m JOIN aral_conversation_rows c ON c.number = m.conversation \
         WHERE m.metadata LIKE '%\"partial\":true%' {whose} ORDER BY c.number, m.place"
    );
    let asked: Vec<Value<'_>> = id.iter().map(|id| Value::bytes(id.as_bytes())).collect();
    let mut found = Vec::new();
    connection.query(&sql, &asked, &mut |row| {
        let (id, message) = (id_at(row, 0)?, message_at(row, 1)?);
        found.extend(message.is_partial().then(|| OpenReply::of(&id, MessageRef::from(&message))));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Whether a selection is the end or the beginning of a conversation, or all of it.
pub(super) fn is_plain(selection: &Messages) -> bool {
    selection.cursor.is_none() && selection.is_by_place()
}

/// The messages of a plain selection, oldest first. One question, to which nothing is the answer also where there is no
/// such conversation.
pub(super) fn plain(connection: &mut dyn Connection, id: &str, selection: &Messages) -> Result<Vec<Message>> {
    let order = if selection.takes_last() { " DESC" } else { "" };
    let sql = format!(
        "SELECT {MESSAGE} FROM aral_message_rows m WHERE m.conversation = {NUMBER} ORDER BY m.place{order} LIMIT ?2"
    );
    let limit = selection.limit.map_or(u64::MAX, to_u64);
    let values = [Value::bytes(id.as_bytes()), Value::number(limit)];
    let mut found = all(connection, &sql, &values, |row| message_at(row, 0))?;
    if selection.takes_last() {
        found.reverse();
    }
    Ok(found)
}

/// The last message with this id, and its place. In the order of the events that added them, which is that of their
/// places: asked for the order of places, a database may go over all of the conversation instead of those with the id.
fn last_with(connection: &mut dyn Connection, number: Seq, id: &Text) -> Result<Option<(u64, Message)>> {
    let sql = format!(
        "SELECT m.place, {MESSAGE} FROM aral_message_rows m \
         WHERE m.conversation = ?1 AND m.id = ?2 ORDER BY m.seq DESC"
    );
    let mut found = None;
    connection.query(&sql, &[Value::number(number), Value::Text(shown(id))], &mut |row| {
        let message = message_at(row, 1)?;
        if message.id != *id {
            return Ok(ControlFlow::Continue(()));
        }
        found = Some((number_at(row, 0)?, message));
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// Calls with each message of a selection, oldest first.
pub(super) fn each_selected(
    connection: &mut dyn Connection,
    id: &str,
    selection: &Messages,
    each: &mut Each<'_>,
) -> Result<()> {
    let place = place_of(connection, id)?.ok_or_else(|| no_conversation(id))?;
    let by_rules = selection.is_by_turns || selection.role.as_ref().is_some_and(is_ambiguous);
    if by_rules {
        let listing = Listing { connection: RefCell::new(connection), place, seen: RefCell::default() };
        let places = select(&listing, selection)?;
        return places.into_iter().try_for_each(|at| {
            let message = listing.message(at)?;
            message.map_or(Ok(()), &mut *each)
        });
    }
    let range = range_of(connection, place, selection)?;
    if selection.is_by_place() {
        let length = range.end.saturating_sub(range.start);
        let limit = selection.limit.map_or(length, |limit| length.min(to_u64(limit)));
        let kept = if selection.takes_last() {
            range.end - limit..range.end
        } else {
            range.start..range.start + limit
        };
        return each_in(connection, place.number, &kept, each);
    }
    each_wanted(connection, place.number, (range, selection), each)
}

/// The places among which a selection's cursor leaves the choice.
fn range_of(connection: &mut dyn Connection, place: Place, selection: &Messages) -> Result<Range<u64>> {
    let count = place.messages;
    let mut place_of = |id: &Text| {
        let missing = || format!("there is no message {:?} in the conversation", id.to_string_lossy());
        let found = last_with(connection, place.number, id)?;
        found.map(|(at, _)| at).ok_or_else(|| Error::new(ErrorKind::NotFound, missing()))
    };
    Ok(match &selection.cursor {
        None => 0..count,
        Some(Cursor::Before(id)) => 0..place_of(id)?,
        Some(Cursor::After(id)) => place_of(id)? + 1..count,
        Some(Cursor::BeforePlace(at)) => 0..count.min(*at),
        Some(Cursor::FromPlace(at)) => count.min(*at)..count,
    })
}

/// Calls with the messages at these places.
fn each_in(
    connection: &mut dyn Connection,
    number: Seq,
    range: &Range<u64>,
    each: &mut Each<'_>,
) -> Result<()> {
    if range.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT {MESSAGE} FROM aral_message_rows m \
         WHERE m.conversation = ?1 AND m.place >= ?2 AND m.place < ?3 ORDER BY m.place"
    );
    let values = [number, range.start, range.end].map(Value::number);
    connection.query(&sql, &values, &mut |row| {
        each(message_at(row, 0)?)?;
        Ok(ControlFlow::Continue(()))
    })
}

/// Calls with those of the messages in a range that are of the role and the time that a selection asks for.
///
/// A time without an offset may be meant up to a day beside what its column says, so the database leaves that much around
/// the bounds, and the rules decide.
fn each_wanted(
    connection: &mut dyn Connection,
    number: Seq,
    (mut range, selection): (Range<u64>, &Messages),
    each: &mut Each<'_>,
) -> Result<()> {
    let mut conditions = String::new();
    let mut fixed = Vec::new();
    if let Some(role) = &selection.role {
        fixed.push(Value::Text(shown(role)));
        conditions.push_str(" AND m.role = ?5");
    }
    let since = selection.since.map(|time| time.approximate_unix_micros().saturating_sub(DAY_MICROS));
    let until = selection.until.map(|time| time.approximate_unix_micros().saturating_add(DAY_MICROS));
    for (compares, micros) in [(">=", since), ("<", until)] {
        let Some(micros) = micros else { continue };
        fixed.push(Value::Int(micros));
        conditions = format!("{conditions} AND m.created_micros {compares} ?{}", fixed.len() + 4);
    }
    let order = if selection.takes_last() { " DESC" } else { "" };
    let sql = format!(
        "SELECT m.place, {MESSAGE} FROM aral_message_rows m \
         WHERE m.conversation = ?1 AND m.place >= ?2 AND m.place < ?3{conditions} ORDER BY m.place{order} LIMIT ?4"
    );
    let mut left = selection.limit.map_or(u64::MAX, to_u64);
    let mut found = Vec::new();
    while left > 0 && !range.is_empty() {
        let asked = left.min(PAGE);
        let mut values: Vec<_> = [number, range.start, range.end, asked].map(Value::number).into();
        values.extend(fixed.iter().cloned());
        let mut rows = 0;
        connection.query(&sql, &values, &mut |row| {
            rows += 1;
            let place = number_at(row, 0)?;
            range = if selection.takes_last() { range.start..place } else { place + 1..range.end };
            let message = message_at(row, 1)?;
            let matched = selection.time_match(message.created_at);
            left -= u64::from(matched == TimeMatch::In);
            match matched {
                TimeMatch::Out => {}
                TimeMatch::In | TimeMatch::InDoubt if selection.takes_last() => found.push(message),
                TimeMatch::In | TimeMatch::InDoubt => each(message)?,
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if rows < asked {
            break;
        }
    }
    found.into_iter().rev().try_for_each(each)
}

/// How many messages are read at once where they are looked at one by one.
const AT_ONCE: u64 = 64;

/// A conversation's messages, as the rules look at them.
struct Listing<'l> {
    connection: RefCell<&'l mut dyn Connection>,
    place: Place,
    /// Those that were read last, and the place of the first.
    seen: RefCell<(usize, Vec<Message>)>,
}

impl Listing<'_> {
    /// Reads the messages around a place, unless they were read last.
    fn read(&self, at: usize) -> Result<()> {
        let mut seen = self.seen.borrow_mut();
        if (seen.0..seen.0 + seen.1.len()).contains(&at) {
            return Ok(());
        }
        // Mostly the next one is looked at, or the one before.
        let start = to_u64(at) / AT_ONCE * AT_ONCE;
        let range = start..self.place.messages.min(start + AT_ONCE);
        let mut messages = Vec::new();
        let mut connection = self.connection.borrow_mut();
        each_in(&mut **connection, self.place.number, &range, &mut |message| {
            messages.push(message);
            Ok(())
        })?;
        *seen = (to_usize(start), messages);
        Ok(())
    }

    fn message(&self, at: usize) -> Result<Option<Message>> {
        self.read(at)?;
        let seen = self.seen.borrow();
        Ok(at.checked_sub(seen.0).and_then(|at| seen.1.get(at)).cloned())
    }
}

impl Listed for Listing<'_> {
    fn count(&self) -> usize {
        to_usize(self.place.messages)
    }

    fn find(&self, id: &Text) -> Result<Option<usize>> {
        let mut connection = self.connection.borrow_mut();
        let found = last_with(&mut **connection, self.place.number, id)?;
        Ok(found.map(|(at, _)| to_usize(at)))
    }

    fn look(&self, at: usize, look: &mut dyn FnMut(MessageRef<'_>)) -> Result<()> {
        self.read(at)?;
        let seen = self.seen.borrow();
        let message = at.checked_sub(seen.0).and_then(|at| seen.1.get(at));
        if let Some(message) = message {
            look(MessageRef::from(message));
        }
        Ok(())
    }
}
