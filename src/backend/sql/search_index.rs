//! The index for searching: how far it has come, and how it catches up.
//!
//! Owns `aral_search` and what is written to the index. Appends write nothing to it: who searches catches up first, if it is worth it, in
//! transactions that each take little. The index is derived: what it lacks is read from the messages themselves.

use std::ops::ControlFlow;

use super::columns::{MESSAGE, corrupt, message_at, number_at};
use super::connection::{Connection, Connector, Dialect, Purpose, Statement, Value, first};
use super::schema::check_version;
use crate::error::Result;
use crate::model::Seq;
use crate::search::{terms, tokenizer};

/// How many events are too many for searches to read themselves: the index catches up then. To catch up takes a commit.
const READ_FIRST: u64 = 100;

/// How many messages one transaction takes into the index at most, and about how many bytes of them.
const MESSAGES: u64 = 500;
const BYTES: usize = 4 << 20;

/// How far the index has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Watermark {
    tokenizer: i64,
    /// Every message whose event is up to this one is in the index, unless it is stale.
    pub(super) indexed_seq: Seq,
}

impl Watermark {
    /// Whether the words in the index are those that a query is made of here.
    pub(super) fn is_usable(self) -> bool {
        self.tokenizer == tokenizer()
    }
}

/// How far the index has come; `None` if there is none.
pub(super) fn watermark(connection: &mut dyn Connection, dialect: Dialect) -> Result<Option<Watermark>> {
    // A reader may read a database of a version that has no such table.
    let tables = first(connection, dialect.count_tables, &[Value::text("aral_search")], |row| row.int(0))?;
    if tables.unwrap_or_default() == 0 {
        return Ok(None);
    }
    stand(connection)
}

fn stand(connection: &mut dyn Connection) -> Result<Option<Watermark>> {
    let sql = "SELECT tokenizer, indexed_seq FROM aral_search WHERE one = 1";
    first(connection, sql, &[], |row| {
        Ok(Watermark { tokenizer: row.int(0)?, indexed_seq: number_at(row, 1)? })
    })
}

/// How far the events and the index have come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Standing {
    pub(super) last_seq: Seq,
    pub(super) watermark: Option<Watermark>,
}

impl Standing {
    pub(super) fn of(connection: &mut dyn Connection, dialect: Dialect) -> Result<Self> {
        let last_seq = super::reads::last_seq(connection)?;
        Ok(Self { last_seq, watermark: watermark(connection, dialect)? })
    }

    /// Whether so much is not in the index that it is worth a transaction.
    pub(super) fn is_far_behind(self, connection: &mut dyn Connection) -> Result<bool> {
        let Some(watermark) = self.watermark else { return Ok(self.last_seq >= READ_FIRST) };
        if !watermark.is_usable() {
            return Ok(watermark.tokenizer < tokenizer());
        }
        let sql = "SELECT COUNT(*) FROM (SELECT seq FROM aral_search_stale LIMIT ?1) stale";
        let stale = first(connection, sql, &[Value::number(READ_FIRST)], |row| number_at(row, 0))?;
        let behind = self.last_seq.saturating_sub(watermark.indexed_seq);
        Ok(behind.saturating_add(stale.unwrap_or_default()) >= READ_FIRST)
    }
}

/// Takes into the index what is not in it, up to the event that is the last now.
pub(super) fn catch_up(connector: &dyn Connector) -> Result<()> {
    let mut connection = connector.connect(Purpose::Write)?;
    let mut goal = None;
    loop {
        connection.begin_write()?;
        let stepped = step(&mut *connection, connector.dialect());
        let Ok(step) = stepped else {
            connection.rollback();
            return stepped.map(drop);
        };
        connection.commit()?;
        if step.has_ended || step.indexed_seq >= *goal.get_or_insert(step.last_seq) && !step.has_stale {
            return Ok(());
        }
    }
}

/// What one transaction has come to.
struct Step {
    last_seq: Seq,
    indexed_seq: Seq,
    has_stale: bool,
    /// Whether there is no more for this software to do.
    has_ended: bool,
}

/// Takes some of what is not in the index into it, under the writers' lock.
fn step(connection: &mut dyn Connection, dialect: Dialect) -> Result<Step> {
    let sql = "SELECT schema_version, next_seq FROM aral_meta";
    let meta = first(connection, sql, &[], |row| Ok((row.int(0)?, number_at(row, 1)?)))?;
    let (version, next_seq) = meta.ok_or_else(|| corrupt("the table aral_meta has no row"))?;
    check_version(version)?;
    let last_seq = next_seq.saturating_sub(1);
    let from = match stand(connection)? {
        Some(stand) if stand.is_usable() && stand.indexed_seq > 0 => stand.indexed_seq,
        // Newer software has made it, and would make it anew after this one had.
        Some(newer) if newer.tokenizer > tokenizer() => {
            return Ok(Step { last_seq, indexed_seq: newer.indexed_seq, has_stale: false, has_ended: true });
        }
        Some(_) | None => {
            begin(connection, dialect)?;
            0
        }
    };
    let mut batch = Batch { dialect, statements: Vec::new(), bytes: 0, messages: 0 };
    let has_stale = take_stale(connection, &mut batch)?;
    let indexed_seq = if has_stale { from } else { take_new(connection, from, last_seq, &mut batch)? };
    batch.add("UPDATE aral_search SET indexed_seq = ?1", vec![Value::number(indexed_seq)]);
    connection.execute_all(&batch.statements)?;
    let has_ended = last_seq == 0;
    Ok(Step { last_seq, indexed_seq, has_stale, has_ended })
}

/// Begins an index anew.
fn begin(connection: &mut dyn Connection, dialect: Dialect) -> Result<()> {
    connection.execute(dialect.search.clear, &[])?;
    connection.execute("DELETE FROM aral_search_stale", &[])?;
    connection.execute("DELETE FROM aral_search", &[])?;
    let sql = "INSERT INTO aral_search (one, tokenizer, indexed_seq) VALUES (1, ?1, 0)";
    connection.execute(sql, &[Value::Int(tokenizer())]).map(drop)
}

/// What one transaction writes.
struct Batch {
    dialect: Dialect,
    statements: Vec<Statement<'static>>,
    bytes: usize,
    messages: u64,
}

impl Batch {
    fn add(&mut self, sql: &'static str, values: Vec<Value<'static>>) {
        self.statements.push(Statement::new(sql, values));
    }

    /// Takes a message in. Whether there is room for another one.
    fn index(&mut self, seq: Seq, content: &str) -> ControlFlow<()> {
        let terms = terms(content);
        if !terms.is_empty() {
            let document = (self.dialect.search.document)(&terms);
            self.add(self.dialect.search.index, vec![Value::number(seq), Value::text(document)]);
        }
        self.messages += 1;
        self.bytes = self.bytes.saturating_add(content.len());
        if self.bytes < BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// Takes in what was edited or removed since it was. Whether there is more of it.
fn take_stale(connection: &mut dyn Connection, batch: &mut Batch) -> Result<bool> {
    let sql = format!(
        "SELECT s.seq, {MESSAGE} FROM aral_search_stale s LEFT JOIN aral_message_rows m ON m.seq = s.seq \
         ORDER BY s.seq LIMIT ?1"
    );
    let mut has_more = false;
    connection.query(&sql, &[Value::number(MESSAGES)], &mut |row| {
        let seq = number_at(row, 0)?;
        batch.add(batch.dialect.search.remove, vec![Value::number(seq)]);
        let mut flow = ControlFlow::Continue(());
        if row.is_null(1)? {
            batch.messages += 1;
        } else {
            flow = batch.index(seq, &message_at(row, 1)?.content.to_string_lossy());
        }
        batch.add("DELETE FROM aral_search_stale WHERE seq = ?1", vec![Value::number(seq)]);
        has_more = flow.is_break() || batch.messages >= MESSAGES;
        Ok(flow)
    })?;
    Ok(has_more)
}

/// Takes in what was added. Up to which event everything is in.
fn take_new(connection: &mut dyn Connection, from: Seq, last_seq: Seq, batch: &mut Batch) -> Result<Seq> {
    let sql =
        format!("SELECT m.seq, {MESSAGE} FROM aral_message_rows m WHERE m.seq > ?1 ORDER BY m.seq LIMIT ?2");
    let (mut rows, mut indexed, mut is_full) = (0, from, false);
    connection.query(&sql, &[Value::number(from), Value::number(MESSAGES)], &mut |row| {
        rows += 1;
        indexed = number_at(row, 0)?;
        let flow = batch.index(indexed, &message_at(row, 1)?.content.to_string_lossy());
        is_full = flow.is_break();
        Ok(flow)
    })?;
    Ok(if is_full || rows == MESSAGES { indexed } else { last_seq })
}
