//! Reading: conversations, lists, and what is remembered of those that were removed.
//!
//! Owns the questions, each asked of one state of the database.

use super::columns::{
    ACTION, MESSAGE, SUMMARY, action_at, corrupt, head_at, id_at, message_at, number_at, summary_at, time_at,
};
use super::connection::{Connection, Dialect, Row, Statement, Value, all, first};
use super::consumers;
use crate::backend::erasing::UNFINISHED;
use crate::backend::no_conversation;
use crate::backend::no_place;
use crate::codec::payload::{BadPayload, ChangeView, FIFTH_SCHEMA, decode_event, reason_of};
use crate::error::Result;
use crate::model::{
    Action, Conversation, Conversations, ListCursor, Message, Order, RemovalReason, Seq, Stats, Summary,
    Tombstone,
};
use crate::rules::KEPT_TOMBSTONES;

fn key(id: &str) -> Value<'_> {
    Value::bytes(id.as_bytes())
}

/// Where a conversation's rows are found, and how many messages it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) number: Seq,
    pub(super) messages: u64,
}

/// Where a conversation's rows are found; `None` if there is none.
pub(super) fn place_of(connection: &mut dyn Connection, id: &str) -> Result<Option<Place>> {
    let sql = "SELECT number, messages FROM aral_conversation_rows WHERE id_key = ?1";
    first(connection, sql, &[key(id)], |row| {
        Ok(Place { number: number_at(row, 0)?, messages: number_at(row, 1)? })
    })
}

/// Whether the messages of a conversation are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wanted {
    All,
    ButMessages,
}

/// A conversation with everything in it that is wanted.
pub(super) fn conversation(
    connection: &mut dyn Connection,
    id: &str,
    wanted: Wanted,
) -> Result<Option<Conversation>> {
    let sql =
        format!("SELECT {SUMMARY}, metadata, extra, number FROM aral_conversation_rows WHERE id_key = ?1");
    let found = first(connection, &sql, &[key(id)], |row| {
        Ok((summary_at(row, 0)?, head_at(row, 9)?, number_at(row, 11)?))
    })?;
    let Some((summary, (metadata, extra), number)) = found else { return Ok(None) };
    let mut conversation = Conversation::new(&summary.id, summary.created_at);
    conversation.title = summary.title;
    conversation.version = summary.version;
    conversation.metadata = metadata;
    conversation.extra = extra;
    conversation.actions = actions_of(connection, number)?;
    if wanted == Wanted::All {
        conversation.messages = messages_of(connection, number)?;
    }
    Ok(Some(conversation))
}

fn messages_of(connection: &mut dyn Connection, number: Seq) -> Result<Vec<Message>> {
    let sql = format!("SELECT {MESSAGE} FROM aral_message_rows m WHERE m.conversation = ?1 ORDER BY m.place");
    all(connection, &sql, &[Value::number(number)], |row| message_at(row, 0))
}

fn actions_of(connection: &mut dyn Connection, number: Seq) -> Result<Vec<Action>> {
    let sql = format!("SELECT {ACTION} FROM aral_action_rows a WHERE a.conversation = ?1 ORDER BY a.place");
    all(connection, &sql, &[Value::number(number)], |row| action_at(row, 0))
}

/// A conversation's actions.
pub(super) fn actions(connection: &mut dyn Connection, id: &str) -> Result<Vec<Action>> {
    let place = place_of(connection, id)?.ok_or_else(|| no_conversation(id))?;
    actions_of(connection, place.number)
}

/// What a list shows of a conversation.
pub(super) fn summary(connection: &mut dyn Connection, id: &str) -> Result<Option<Summary>> {
    let sql = format!("SELECT {SUMMARY} FROM aral_conversation_rows WHERE id_key = ?1");
    first(connection, &sql, &[key(id)], |row| summary_at(row, 0))
}

/// The part of a list that a selection means.
pub(super) fn list(connection: &mut dyn Connection, selection: &Conversations) -> Result<Vec<Summary>> {
    let limit =
        Value::number(selection.limit.map_or(u64::MAX, |limit| u64::try_from(limit).unwrap_or(u64::MAX)));
    let behind = match &selection.after {
        Some(after) => Some(behind(connection, selection.order, after)?),
        None => None,
    };
    let order = match selection.order {
        Order::Created => ("number > ?2", "number"),
        Order::Activity => ("last_seq < ?2", "last_seq DESC"),
    };
    let condition = if behind.is_some() { order.0 } else { "1 = 1" };
    let sql = format!(
        "SELECT {SUMMARY} FROM aral_conversation_rows WHERE {condition} ORDER BY {} LIMIT ?1",
        order.1
    );
    let mut values = vec![limit];
    values.extend(behind.map(Value::number));
    all(connection, &sql, &values, |row| summary_at(row, 0))
}

/// The number behind which a list goes on. Every conversation has a newest event of its own, so that those numbers
/// alone decide the order of activity.
fn behind(connection: &mut dyn Connection, order: Order, after: &ListCursor) -> Result<Seq> {
    if let (Order::Activity, Some((last_seq, _))) = (order, after.seen) {
        return Ok(last_seq);
    }
    let sql = "SELECT number, last_seq FROM aral_conversation_rows WHERE id_key = ?1";
    let at = match order {
        Order::Created => 0,
        Order::Activity => 1,
    };
    let found = first(connection, sql, &[key(&after.id)], |row| number_at(row, at))?;
    found.ok_or_else(|| no_place(&after.id))
}

/// The tombstones, each with the event that it is of: why it happened is said there alone.
const TOMBSTONE: &str = "SELECT t.id_key, t.seq, t.removed_at, e.event_schema, e.payload \
     FROM aral_tombstones t LEFT JOIN aral_events e ON e.seq = t.seq";

fn tombstone_at(row: &dyn Row) -> Result<Tombstone> {
    let removed_at = if row.is_null(2)? { None } else { Some(time_at(row, 2)?) };
    let seq = number_at(row, 1)?;
    let mut reason = RemovalReason::Asked;
    if !row.is_null(3)? && row.int(3)? >= i64::from(FIFTH_SCHEMA) {
        let bad = |damage: BadPayload| corrupt(format!("event {seq}: {}", damage.0));
        let (view, _) = decode_event(row.bytes(4)?).map_err(bad)?;
        if let ChangeView::RemoveFor { reason: number, .. } = view.change {
            reason = reason_of(number).map_err(bad)?;
        }
    }
    Ok(Tombstone { id: id_at(row, 0)?, seq, removed_at, reason })
}

/// What is remembered of a conversation that was removed.
pub(super) fn removed(connection: &mut dyn Connection, id: &str) -> Result<Option<Tombstone>> {
    first(connection, &format!("{TOMBSTONE} WHERE t.id_key = ?1"), &[key(id)], tombstone_at)
}

/// What is remembered of all of them, newest first.
pub(super) fn tombstones(connection: &mut dyn Connection) -> Result<Vec<Tombstone>> {
    let sql = format!("{TOMBSTONE} ORDER BY t.seq DESC LIMIT ?1");
    let limit = Value::number(u64::try_from(KEPT_TOMBSTONES).unwrap_or(u64::MAX));
    all(connection, &sql, &[limit], tombstone_at)
}

/// The number of the newest event.
pub(super) fn last_seq(connection: &mut dyn Connection) -> Result<Seq> {
    let found = first(connection, "SELECT next_seq FROM aral_meta", &[], |row| number_at(row, 0))?;
    Ok(found.unwrap_or(1).saturating_sub(1))
}

/// How many tables there are that say what is being erased, of which there is one or none.
fn erasing(dialect: Dialect) -> Statement<'static> {
    Statement::new(dialect.count_tables, [Value::text("aral_erasing")])
}

/// The number of the newest event, and whether anything was ever erased.
pub(super) fn last_seq_and_erasing(connection: &mut dyn Connection, dialect: Dialect) -> Result<(Seq, bool)> {
    let questions = [Statement::new("SELECT next_seq FROM aral_meta", []), erasing(dialect)];
    let (mut next_seq, mut tables) = (1, 0);
    connection.query_all(&questions, &mut |question, row| {
        if question == 0 {
            next_seq = number_at(row, 0)?;
        } else {
            tables = row.int(0)?;
        }
        Ok(())
    })?;
    Ok((next_seq.saturating_sub(1), tables > 0))
}

/// How large the store is.
pub(super) fn stats(connection: &mut dyn Connection, dialect: Dialect, now_micros: i64) -> Result<Stats> {
    let sql = "SELECT COUNT(*), CAST(COALESCE(SUM(messages), 0) AS BIGINT), \
               CAST(COALESCE(SUM(actions), 0) AS BIGINT) FROM aral_conversation_rows";
    let counts =
        first(connection, sql, &[], |row| Ok((number_at(row, 0)?, number_at(row, 1)?, number_at(row, 2)?)))?;
    let (conversations, messages, actions) = counts.unwrap_or_default();
    let (mut next_seq, mut tables, mut has_erased) = (1, 0, 0);
    let meta = Statement::new("SELECT next_seq FROM aral_meta", []);
    connection.query_all(&[meta, consumers::count(dialect), erasing(dialect)], &mut |question, row| {
        match question {
            0 => next_seq = number_at(row, 0)?,
            1 => tables = row.int(0)?,
            _ => has_erased = row.int(0)?,
        }
        Ok(())
    })?;
    let last_seq = next_seq.saturating_sub(1);
    let log_bytes = connection.size()?;
    let mut stats = Stats { conversations, messages, actions, last_seq, log_bytes, ..Stats::default() };
    if has_erased > 0
        && first(connection, "SELECT COUNT(*) FROM aral_erasing", &[], |row| row.int(0))? != Some(0)
    {
        stats.compaction_error = Some(UNFINISHED.to_owned());
    }
    if tables > 0 {
        stats.consumers = consumers::statuses(connection, now_micros, last_seq)?;
    }
    Ok(stats)
}
