//! Reading events: from a number on, and as they come.
//!
//! Owns the proof of each event by its checksum, and the putting together of batches.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::columns::{Numbers, corrupt, number_at};
use super::connection::{Connection, Row, Value, first};
use super::pool::Pool;
use crate::codec::bytes::to_u64;
use crate::codec::payload::{EventView, decode_event, too_new};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Event, Logged, Seq};

/// The columns of an event, in the order in which they are read.
pub(super) const EVENT: &str = "seq, first_seq, last_seq, event_schema, crc, payload";

/// How many rows are asked for at once. What a server has begun to send it sends to its end, whether it is wanted or not.
pub(super) const ROWS: u64 = 1000;

/// How many events are asked for by their numbers at once.
const LISTED: usize = 256;

/// How many bytes of events are read at once.
const AT_ONCE: usize = 4 << 20;

/// A batch of events, with the number of the first.
pub(super) type Batch = (Seq, Vec<Event>);

/// Calls with the event of a row, if it proves itself.
pub(super) fn with_event<T>(
    row: &dyn Row,
    take: impl FnOnce(Numbers, &EventView<'_>) -> Result<T>,
) -> Result<T> {
    let seq = number_at(row, 0)?;
    let schema = u16::try_from(row.int(3)?).unwrap_or(u16::MAX);
    let numbers = Numbers { seq, first_seq: number_at(row, 1)?, last_seq: number_at(row, 2)?, schema };
    let payload = row.bytes(5)?;
    if i64::from(numbers.crc(payload)) != row.int(4)? {
        return Err(corrupt(format!("event {seq} does not have its checksum")));
    }
    if let Some(reason) = too_new(schema) {
        return Err(Error::new(ErrorKind::UnsupportedFormat, reason));
    }
    let bad = |reason: String| corrupt(format!("event {seq}: {reason}"));
    let (view, length) = decode_event(payload).map_err(|damage| bad(damage.0))?;
    if length != payload.len() {
        return Err(bad("bytes follow it".to_owned()));
    }
    take(numbers, &view)
}

/// Calls with each event from a number on, as long as it says so.
pub(super) fn each_from(
    connection: &mut dyn Connection,
    from: Seq,
    take: &mut dyn FnMut(&dyn Row) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let sql = format!("SELECT {EVENT} FROM aral_events WHERE seq >= ?1 ORDER BY seq LIMIT ?2");
    let (mut next, mut is_over) = (from, false);
    while !is_over {
        let mut rows = 0;
        connection.query(&sql, &[Value::number(next), Value::number(ROWS)], &mut |row| {
            rows += 1;
            next = number_at(row, 0)? + 1;
            let flow = take(row)?;
            is_over = flow.is_break();
            Ok(flow)
        })?;
        is_over |= rows < ROWS;
    }
    Ok(())
}

/// Calls with the events of these numbers, which rise. One that is not there is passed over.
pub(super) fn each_of(
    connection: &mut dyn Connection,
    seqs: &[Seq],
    take: &mut dyn FnMut(&dyn Row) -> Result<()>,
) -> Result<()> {
    let between = format!("SELECT {EVENT} FROM aral_events WHERE seq >= ?1 AND seq <= ?2 ORDER BY seq");
    let list = (1..=LISTED).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ");
    let listed = format!("SELECT {EVENT} FROM aral_events WHERE seq IN ({list}) ORDER BY seq");
    for part in seqs.chunks(LISTED) {
        let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
        let mut each = |row: &dyn Row| take(row).map(ControlFlow::Continue);
        if last - first < to_u64(part.len()) {
            connection.query(&between, &[Value::number(*first), Value::number(*last)], &mut each)?;
        } else {
            // The rest of the list repeats the last number.
            let values = part.iter().chain(std::iter::repeat(last)).take(LISTED);
            let values: Vec<_> = values.map(|seq| Value::number(*seq)).collect();
            connection.query(&listed, &values, &mut each)?;
        }
    }
    Ok(())
}

/// Whole batches from a number on, at least one if there is one, and about so many bytes.
fn batches(connection: &mut dyn Connection, from: Seq, bytes: usize) -> Result<Vec<Batch>> {
    let sql = "SELECT first_seq FROM aral_events WHERE seq = ?1";
    let start = first(connection, sql, &[Value::number(from)], |row| number_at(row, 0))?.unwrap_or(from);
    let (mut found, mut batch, mut read) = (Vec::new(), Vec::new(), 0_usize);
    let mut next = start;
    each_from(connection, start, &mut |row| {
        read = read.saturating_add(row.bytes(5)?.len());
        let numbers = with_event(row, |numbers, view| {
            batch.push(view.to_event().map_err(|bad| corrupt(format!("event {}: {}", numbers.seq, bad.0)))?);
            Ok(numbers)
        })?;
        if numbers.seq != next {
            return Err(corrupt(format!("event {next} is missing")));
        }
        next += 1;
        if numbers.seq < numbers.last_seq {
            return Ok(ControlFlow::Continue(()));
        }
        found.push((numbers.first_seq, std::mem::take(&mut batch)));
        Ok(if read < bytes { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    if batch.is_empty() { Ok(found) } else { Err(corrupt(format!("event {next} is missing"))) }
}

/// Every batch from a number on.
pub(super) fn all(connection: &mut dyn Connection, from: Seq) -> Result<Vec<Batch>> {
    batches(connection, from.max(1), usize::MAX)
}

/// What a follower pulls on.
pub(super) fn source(pool: Arc<Pool>, from: Seq) -> impl FnMut() -> Result<Option<Logged>> + Send + 'static {
    let (mut next, mut waiting) = (from.max(1), VecDeque::new());
    move || {
        if waiting.is_empty() {
            waiting.extend(pool.read(|connection| batches(connection, next, AT_ONCE))?);
        }
        let Some((seq, events)) = waiting.pop_front() else { return Ok(None) };
        next = seq + to_u64(events.len());
        Ok(Some(Logged::Batch { seq, events }))
    }
}
