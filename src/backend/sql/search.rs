//! Searching: the index proposes messages, their texts decide.
//!
//! Owns the question, which goes from the newest message to older ones, some at a time. What is not in the index yet is proposed
//! unseen, so that nothing is hidden, however far the index has come.

use std::ops::ControlFlow;

use super::columns::{MESSAGE, id_at, message_at, number_at, shown};
use super::connection::{Connection, Dialect, Value};
use super::reads::place_of;
use super::search_index::watermark;
use crate::backend::no_conversation;
use crate::error::Result;
use crate::model::{DAY_MICROS, Found, MessageRef, Search, Timestamp};
use crate::search::Matcher;

/// How many messages are proposed at first, and at most, at once. Mostly each of them is a hit.
const PROPOSED: (u64, u64) = (64, 4096);

/// Whether the index is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Index {
    Asked,
    LeftOut,
}

/// A question for messages, newest first, and its values.
struct Question {
    sql: String,
    values: Vec<Value<'static>>,
}

/// What a search finds.
pub(super) fn find(
    connection: &mut dyn Connection,
    dialect: Dialect,
    matcher: &Matcher<'_>,
    index: Index,
) -> Result<Vec<Found>> {
    let search = matcher.search;
    let mut question = question(connection, search)?;
    if index == Index::Asked {
        propose(connection, dialect, matcher, &mut question)?;
    }
    let sql = format!(
        "SELECT p.created_micros, p.conversation, p.place, c.id_key, {MESSAGE} \
         FROM (SELECT m.seq, m.created_micros, m.conversation, m.place FROM aral_message_rows m \
               WHERE (m.created_micros, m.conversation, m.place) < (?1, ?2, ?3){} \
               ORDER BY m.created_micros DESC, m.conversation DESC, m.place DESC LIMIT ?4) p \
         JOIN aral_message_rows m ON m.seq = p.seq JOIN aral_conversation_rows c ON c.number = p.conversation \
         ORDER BY p.created_micros DESC, p.conversation DESC, p.place DESC",
        question.sql
    );
    let (mut found, mut left) = (Vec::new(), search.limit.unwrap_or(usize::MAX));
    let (mut behind, mut proposed, mut is_over) = ([i64::MAX; 3], PROPOSED.0, left == 0);
    while !is_over {
        let mut values: Vec<Value<'_>> = behind.map(Value::Int).into();
        values.push(Value::number(proposed));
        values.extend(question.values.iter().cloned());
        let mut rows = 0;
        connection.query(&sql, &values, &mut |row| {
            rows += 1;
            behind = [row.int(0)?, row.int(1)?, row.int(2)?];
            let message = message_at(row, 4)?;
            let message = MessageRef::from(&message);
            let Some((snippet, is_sure)) = matcher.find(&message) else {
                return Ok(ControlFlow::Continue(()));
            };
            found.push(Found::new(&id_at(row, 3)?, number_at(row, 2)?, &message, snippet));
            left -= usize::from(is_sure);
            Ok(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        is_over = left == 0 || rows < proposed;
        proposed = (proposed * 4).min(PROPOSED.1);
    }
    Ok(found)
}

/// Begins a question with what columns tell of the messages that are meant; the rest is decided on them.
fn question(connection: &mut dyn Connection, search: &Search) -> Result<Question> {
    let mut question = Question { sql: String::new(), values: Vec::new() };
    if let Some(id) = &search.conversation {
        let place = place_of(connection, id)?.ok_or_else(|| no_conversation(id))?;
        question.and("m.conversation =", Value::number(place.number));
    }
    if let Some(role) = &search.role {
        question.and("m.role =", Value::Text(shown(role)).into_owned());
    }
    // A time without an offset may be meant up to a day beside.
    let micros = |time: Timestamp| time.approximate_unix_micros();
    if let Some(since) = search.since {
        question.and("m.created_micros >=", Value::Int(micros(since).saturating_sub(DAY_MICROS)));
    }
    if let Some(until) = search.until {
        question.and("m.created_micros <", Value::Int(micros(until).saturating_add(DAY_MICROS)));
    }
    Ok(question)
}

/// Leaves only what the index proposes, and what it does not know.
fn propose(
    connection: &mut dyn Connection,
    dialect: Dialect,
    matcher: &Matcher<'_>,
    question: &mut Question,
) -> Result<()> {
    let Some(watermark) = watermark(connection, dialect)?.filter(|watermark| watermark.is_usable()) else {
        return Ok(());
    };
    let asked = (dialect.search.query)(&matcher.query.proposals());
    let (asked, indexed) =
        (question.value(Value::text(asked)), question.value(Value::number(watermark.indexed_seq)));
    let proposed = dialect.search.proposed.replace("{asked}", &asked);
    question.sql = format!(
        "{} AND m.seq IN ({proposed} UNION ALL SELECT n.seq FROM aral_message_rows n WHERE n.seq > {indexed} \
         UNION ALL SELECT s.seq FROM aral_search_stale s)",
        question.sql
    );
    Ok(())
}

impl Question {
    /// Adds a value and gives its name. Four come before those that are added here.
    fn value(&mut self, value: Value<'static>) -> String {
        self.values.push(value);
        format!("?{}", self.values.len() + 4)
    }

    fn and(&mut self, compares: &str, value: Value<'static>) {
        let name = self.value(value);
        self.sql = format!("{} AND {compares} {name}", self.sql);
    }
}
