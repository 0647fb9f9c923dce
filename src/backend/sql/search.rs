//! Searching: the index proposes messages, their texts decide.
//!
//! Owns the question, which goes from the newest message to older ones, some at a time, or over all that are proposed, where the best are wanted. What
//! is not in the index yet is proposed unseen, so that nothing is hidden, however far the index has come.

use std::ops::ControlFlow;

use super::columns::{MESSAGE, id_at, message_at, number_at, shown};
use super::connection::{Connection, Dialect, Value};
use super::reads::place_of;
use super::search_index::Standing;
use crate::backend::no_conversation;
use crate::error::Result;
use crate::model::{DAY_MICROS, Found, MessageRef, Search, SearchOrder, Seq, Timestamp};
use crate::search::{Answer, Matcher, Top};

/// How many messages are proposed at first. Mostly each of them is a hit. Each part after it is several times as large as the one before: what the
/// index proposes is found and sorted anew for each of them, so that there must be few, however much is proposed.
const PROPOSED: u64 = 64;

/// How many messages may be missing from the index for it to be asked. Each of them is proposed, and sorted, for each part of an answer:
/// with very many of them, to go over all messages once is faster.
const MOST_MISSING: u64 = 100_000;

/// How many messages are read at once where all are looked at, and at first of those that an index proposes.
const ROWS: u64 = 1000;

/// What is asked of messages besides what a statement says itself, and the values for it.
struct Condition {
    sql: String,
    values: Vec<Value<'static>>,
    /// How many values the statement has before these.
    before: usize,
}

/// What a search finds, in its order, where the index stands like this; it is left out if that is not said.
pub(super) fn find(
    connection: &mut dyn Connection,
    dialect: Dialect,
    matcher: &Matcher<'_>,
    standing: Option<Standing>,
) -> Result<Vec<Found>> {
    let index = standing.and_then(indexed).map(|indexed| (dialect, indexed));
    match matcher.search.order {
        SearchOrder::Newest if index.is_some() || matcher.search.conversation.is_some() => {
            by_time(connection, matcher, index)
        }
        SearchOrder::Newest | SearchOrder::Best => all(connection, matcher, index),
    }
}

/// Up to which event the index can be asked, if it is worth it.
fn indexed(standing: Standing) -> Option<Seq> {
    let usable = standing.watermark.filter(|watermark| watermark.is_usable());
    let indexed = usable.map(|watermark| watermark.indexed_seq);
    indexed.filter(|indexed| standing.last_seq.saturating_sub(*indexed) <= MOST_MISSING)
}

/// Goes from the newest message to older ones until there are enough.
fn by_time(
    connection: &mut dyn Connection,
    matcher: &Matcher<'_>,
    index: Option<(Dialect, Seq)>,
) -> Result<Vec<Found>> {
    let mut condition = condition(connection, matcher.search, 4)?;
    if let Some((dialect, indexed)) = index {
        condition.propose(dialect, matcher, indexed);
    }
    let sql = format!(
        "SELECT p.created_micros, p.conversation, p.place, c.id_key, {MESSAGE} \
         FROM (SELECT m.seq, m.created_micros, m.conversation, m.place FROM aral_message_rows m \
               WHERE (m.created_micros, m.conversation, m.place) < (?1, ?2, ?3){} \
               ORDER BY m.created_micros DESC, m.conversation DESC, m.place DESC LIMIT ?4) p \
         JOIN aral_message_rows m ON m.seq = p.seq JOIN aral_conversation_rows c ON c.number = p.conversation \
         ORDER BY p.created_micros DESC, p.conversation DESC, p.place DESC",
        condition.sql
    );
    let (mut found, mut left) = (Vec::new(), matcher.search.limit.unwrap_or(usize::MAX));
    let (mut behind, mut proposed, mut is_over) = ([i64::MAX; 3], PROPOSED, left == 0);
    while !is_over {
        let values = condition.with(behind.map(Value::Int).into_iter().chain([Value::number(proposed)]));
        let mut rows = 0;
        connection.query(&sql, &values, &mut |row| {
            rows += 1;
            behind = [row.int(0)?, row.int(1)?, row.int(2)?];
            let message = message_at(row, 4)?;
            let message = MessageRef::from(&message);
            let Some(Answer { score, snippet, is_sure }) = matcher.find(&message) else {
                return Ok(ControlFlow::Continue(()));
            };
            found.push(Found::new(&id_at(row, 3)?, number_at(row, 2)?, &message, (score, snippet)));
            left -= usize::from(is_sure);
            Ok(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        is_over = left == 0 || rows < proposed;
        proposed = proposed.saturating_mul(4);
    }
    Ok(found)
}

/// Goes over all messages that may be meant once, in the order in which they lie.
fn all(
    connection: &mut dyn Connection,
    matcher: &Matcher<'_>,
    index: Option<(Dialect, Seq)>,
) -> Result<Vec<Found>> {
    let mut condition = condition(connection, matcher.search, 2)?;
    // What an index proposes is found anew for each part.
    let growth = if index.is_some() { 4 } else { 1 };
    if let Some((dialect, indexed)) = index {
        condition.propose(dialect, matcher, indexed);
    }
    let sql = format!(
        "SELECT m.seq, m.created_micros, m.conversation, m.place, c.id_key, {MESSAGE} \
         FROM aral_message_rows m JOIN aral_conversation_rows c ON c.number = m.conversation \
         WHERE m.seq > ?1{} ORDER BY m.seq LIMIT ?2",
        condition.sql
    );
    let mut top = Top::new(matcher.search.limit);
    let (mut from, mut part, mut is_over) = (0, ROWS, false);
    while !is_over {
        let mut rows = 0;
        connection.query(&sql, &condition.with([from, part].map(Value::number)), &mut |row| {
            rows += 1;
            from = number_at(row, 0)?;
            let message = message_at(row, 5)?;
            let message = MessageRef::from(&message);
            if let Some(Answer { score, snippet, is_sure }) = matcher.find(&message) {
                let (conversation, place) = (number_at(row, 2)?, number_at(row, 3)?);
                let key = matcher.key(score, (row.int(1)?, conversation, place));
                top.add(key, is_sure, Found::new(&id_at(row, 4)?, place, &message, (score, snippet)));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        is_over = rows < part;
        part = part.saturating_mul(growth);
    }
    Ok(top.into_found())
}

/// What columns tell of the messages that are meant; the rest is decided on them.
fn condition(connection: &mut dyn Connection, search: &Search, before: usize) -> Result<Condition> {
    let mut condition = Condition { sql: String::new(), values: Vec::new(), before };
    if let Some(id) = &search.conversation {
        let place = place_of(connection, id)?.ok_or_else(|| no_conversation(id))?;
        condition.and("m.conversation =", Value::number(place.number));
    }
    if let Some(role) = &search.role {
        condition.and("m.role =", Value::Text(shown(role)).into_owned());
    }
    // A time without an offset may be meant up to a day beside.
    let micros = |time: Timestamp| time.approximate_unix_micros();
    if let Some(since) = search.since {
        condition.and("m.created_micros >=", Value::Int(micros(since).saturating_sub(DAY_MICROS)));
    }
    if let Some(until) = search.until {
        condition.and("m.created_micros <", Value::Int(micros(until).saturating_add(DAY_MICROS)));
    }
    Ok(condition)
}

impl Condition {
    /// Leaves only what the index proposes, and what it does not know.
    fn propose(&mut self, dialect: Dialect, matcher: &Matcher<'_>, indexed: Seq) {
        let asked = (dialect.search.query)(&matcher.query.proposals());
        let (asked, indexed) = (self.value(Value::text(asked)), self.value(Value::number(indexed)));
        let proposed = dialect.search.proposed.replace("{asked}", &asked);
        self.sql = format!(
            "{} AND m.seq IN ({proposed} UNION ALL SELECT n.seq FROM aral_message_rows n WHERE n.seq > {indexed} \
             UNION ALL SELECT s.seq FROM aral_search_stale s)",
            self.sql
        );
    }

    /// Adds a value and gives its name.
    fn value(&mut self, value: Value<'static>) -> String {
        self.values.push(value);
        format!("?{}", self.values.len() + self.before)
    }

    fn and(&mut self, compares: &str, value: Value<'static>) {
        let name = self.value(value);
        self.sql = format!("{} AND {compares} {name}", self.sql);
    }

    /// The values of a statement, these behind its own.
    fn with<'v>(&self, own: impl IntoIterator<Item = Value<'v>>) -> Vec<Value<'v>> {
        own.into_iter().chain(self.values.iter().cloned()).collect()
    }
}
