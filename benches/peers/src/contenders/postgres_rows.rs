//! The limits of this store in PostgreSQL: programs that write the same rows into the same tables, and do nothing else.
//!
//! Owns those rows, and two ways for them: one prepared statement for all of the tables, and `COPY` for those that grow. The
//! store makes the tables. Nothing is looked for, judged or encoded, and nobody listens.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use postgres::binary_copy::BinaryCopyInWriter;
use postgres::types::Type;
use postgres::{Client, NoTls, Statement, Transaction};

use super::aral::Aral;
use super::sqlite_rows::{TIME, payload};
use crate::Outcome;
use crate::peer::Peer;
use crate::server;
use crate::workload::{Digest, Row};

const CONVERSATION: &str = "INSERT INTO aral_conversation_rows (number, id_key, id, title, created_at, last_activity, metadata, \
    messages, actions, version, last_seq) VALUES ($1, $2, $3, 'Conversation', $4, $4, '{}', 0, 0, 0, $1)";

const COUNT: &str = "UPDATE aral_conversation_rows SET messages = q, version = q, last_seq = s, last_activity = $4 \
    FROM unnest($1::int8[], $2::int8[], $3::int8[]) AS v(n, q, s) WHERE number = n";

/// All that an append writes, as one statement.
const ALL: &str = "WITH e AS (INSERT INTO aral_events (seq, first_seq, last_seq, event_schema, crc, group_id, payload) \
        SELECT s, s, s, 1, 2882400018, NULL, p FROM unnest($3::int8[], $5::bytea[]) AS v(s, p)), \
    m AS (INSERT INTO aral_message_rows (id, role, created_at, content, metadata, created_micros, seq, conversation, place) \
        SELECT i, 'user', $4, t, '{}', 1767225600000000, s, n, q - 1 \
        FROM unnest($6::text[], $7::text[], $3::int8[], $1::int8[], $2::int8[]) AS v(i, t, s, n, q)), \
    c AS (UPDATE aral_conversation_rows SET messages = q, version = q, last_seq = s, last_activity = $4 \
        FROM unnest($1::int8[], $2::int8[], $3::int8[]) AS v(n, q, s) WHERE number = n) \
    UPDATE aral_meta SET next_seq = $8";

const EVENTS: (&str, &[Type]) = (
    "COPY aral_events (seq, first_seq, last_seq, event_schema, crc, group_id, payload) FROM STDIN BINARY",
    &[Type::INT8, Type::INT8, Type::INT8, Type::INT8, Type::INT8, Type::BYTEA, Type::BYTEA],
);

const MESSAGES: (&str, &[Type]) = (
    "COPY aral_message_rows (id, role, created_at, content, metadata, created_micros, seq, conversation, place) FROM STDIN BINARY",
    &[
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::INT8,
        Type::INT8,
        Type::INT8,
        Type::INT8,
    ],
);

/// How a session plans, as those of this store do.
const PLANS: &str = "SET jit = off; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
    SET enable_hashjoin = off; SET enable_mergejoin = off";

/// How far the numbers of two connections are apart.
const APART: i64 = 1 << 40;

/// How the rows go over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// As one statement.
    Statement,
    /// By `COPY`, on so many connections, each with numbers of its own, so that none waits for another one.
    Copy { connections: u16 },
}

/// A connection and what it has written.
struct Line {
    client: Client,
    all: Statement,
    count: Statement,
    next_seq: i64,
    counts: HashMap<u32, i64>,
}

pub(crate) struct PostgresRows {
    way: Way,
    /// Each has conversations of its own.
    lines: Vec<Mutex<Line>>,
    port: u16,
}

/// What the rows of a group have, column by column.
#[derive(Default)]
struct Columns<'r> {
    numbers: Vec<i64>,
    counts: Vec<i64>,
    seqs: Vec<i64>,
    payloads: Vec<Vec<u8>>,
    ids: Vec<&'r str>,
    texts: Vec<&'r str>,
}

impl PostgresRows {
    pub(crate) fn open(port: u16, way: Way) -> Outcome<Self> {
        Aral::connect(&server::url(port))?.store.close()?;
        let connections = if let Way::Copy { connections } = way { connections } else { 1 };
        let connect = |which: u16| -> Outcome<Mutex<Line>> {
            let mut client = Client::connect(&server::url(port), NoTls)?;
            client.batch_execute(PLANS)?;
            let (all, count) = (client.prepare(ALL)?, client.prepare(COUNT)?);
            let next_seq = i64::from(which) * APART + 1;
            Ok(Mutex::new(Line { client, all, count, next_seq, counts: HashMap::new() }))
        };
        let lines = (0..connections).map(connect).collect::<Outcome<Vec<_>>>()?;
        Ok(Self { way, lines, port })
    }
}

impl Line {
    /// Makes the conversations that are not there, and what the rows of the others are.
    fn columns<'r>(&mut self, rows: &'r [Row]) -> Outcome<Columns<'r>> {
        let mut columns = Columns::default();
        for row in rows {
            let number = i64::from(row.talk.number) + 1;
            let count = if let Some(count) = self.counts.get_mut(&row.talk.number) {
                *count += 1;
                *count
            } else {
                let id = row.talk.id.as_str();
                self.client.execute(CONVERSATION, &[&number, &id.as_bytes(), &id, &TIME])?;
                self.counts.insert(row.talk.number, 1);
                1
            };
            columns.numbers.push(number);
            columns.counts.push(count);
            columns.seqs.push(self.next_seq);
            columns.payloads.push(payload(row));
            columns.ids.push(&row.id);
            columns.texts.push(&row.content);
            self.next_seq += 1;
        }
        Ok(columns)
    }

    fn write(&mut self, rows: &[Row]) -> Outcome<()> {
        let Columns { numbers, counts, seqs, payloads, ids, texts } = self.columns(rows)?;
        self.client.execute(
            &self.all,
            &[&numbers, &counts, &seqs, &TIME, &payloads, &ids, &texts, &self.next_seq],
        )?;
        Ok(())
    }

    fn copy(&mut self, rows: &[Row]) -> Outcome<()> {
        let columns = self.columns(rows)?;
        let mut transaction = self.client.transaction()?;
        copy_rows(&mut transaction, rows, &columns)?;
        transaction.execute(&self.count, &[&columns.numbers, &columns.counts, &columns.seqs, &TIME])?;
        Ok(transaction.commit()?)
    }
}

fn copy_rows(transaction: &mut Transaction<'_>, rows: &[Row], columns: &Columns<'_>) -> Outcome<()> {
    let mut events = BinaryCopyInWriter::new(transaction.copy_in(EVENTS.0)?, EVENTS.1);
    for (seq, payload) in columns.seqs.iter().zip(&columns.payloads) {
        events.write(&[seq, seq, seq, &1_i64, &2_882_400_018_i64, &None::<&[u8]>, payload])?;
    }
    events.finish()?;
    let mut messages = BinaryCopyInWriter::new(transaction.copy_in(MESSAGES.0)?, MESSAGES.1);
    for (((row, seq), number), count) in
        rows.iter().zip(&columns.seqs).zip(&columns.numbers).zip(&columns.counts)
    {
        let (place, time) = (count - 1, row.created_at);
        messages.write(&[&row.id, &row.role, &TIME, &row.content, &"{}", &time, seq, number, &place])?;
    }
    messages.finish()?;
    Ok(())
}

impl Peer for PostgresRows {
    fn append(&self, row: &Row) -> Outcome<()> {
        self.append_batch(std::slice::from_ref(row))
    }

    fn append_batch(&self, rows: &[Row]) -> Outcome<()> {
        // The conversations of a group follow one another, and no group shares one with another connection's.
        let group = rows.first().map_or(0, |row| row.talk.number as usize) / rows.len().max(1);
        let line = self.lines.get(group % self.lines.len().max(1)).ok_or("there is no connection")?;
        let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
        if self.way == Way::Statement { line.write(rows) } else { line.copy(rows) }
    }

    fn digest(&self) -> Outcome<Digest> {
        let mut digest = Digest::default();
        let mut client = Client::connect(&server::url(self.port), NoTls)?;
        for row in client.query("SELECT id, content FROM aral_message_rows", &[])? {
            digest.add(row.try_get(0)?, row.try_get(1)?);
        }
        Ok(digest)
    }
}
