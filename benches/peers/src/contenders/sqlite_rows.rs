//! The limit of this store in SQLite: a program that writes the same rows into the same tables, and does nothing else.
//!
//! Owns those rows. The store makes the tables. Nothing is looked for, judged or encoded, nobody waits for anybody, and
//! several messages share a transaction if they are handed over together.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;

use rusqlite::{Connection, params};

use super::aral::Aral;
use crate::Outcome;
use crate::peer::Peer;
use crate::workload::{Digest, Row};

const CONVERSATION: &str = "INSERT INTO aral_conversation_rows (number, id_key, id, title, created_at, last_activity, metadata, \
    messages, actions, version, last_seq) VALUES (?1, CAST(?2 AS BLOB), ?2, 'Conversation', ?3, ?3, '{}', 0, 0, 0, ?1)";

const EVENT: &str = "INSERT INTO aral_events (seq, first_seq, last_seq, event_schema, crc, group_id, payload) \
    VALUES (?1, ?1, ?1, 1, 2882400018, ?2, ?3)";

const MESSAGE: &str = "INSERT INTO aral_message_rows (id, role, created_at, content, metadata, extra, exact, created_micros, seq, \
    conversation, place) VALUES (?1, ?2, ?3, ?4, '{}', NULL, NULL, ?5, ?6, ?7, ?8)";

const COUNT: &str = "UPDATE aral_conversation_rows SET messages = ?2, version = ?2, last_seq = ?3, last_activity = ?4 WHERE number = ?1";

/// A time as the tables have it.
pub(super) const TIME: &str = "2026-01-01T00:00:00.123456+00:00";

/// What an event has besides its texts, in bytes.
const HEAD: usize = 60;

/// As many bytes as this store's event of a row has.
pub(super) fn payload(row: &Row) -> Vec<u8> {
    [row.content.as_bytes(), row.id.as_bytes(), row.talk.id.as_bytes(), &[0; HEAD - 36]].concat()
}

#[derive(Debug)]
pub(crate) struct SqliteRows {
    writer: Mutex<Writer>,
}

#[derive(Debug)]
struct Writer {
    connection: Connection,
    next_seq: i64,
    /// The number of messages of each conversation, which has its own number as that of its row, and one more.
    counts: HashMap<u32, i64>,
}

impl SqliteRows {
    pub(crate) fn open(dir: &Path) -> Outcome<Self> {
        let path = dir.join("aral.db");
        Aral::connect(&format!("sqlite:{}", path.display()))?.store.close()?;
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
        let next_seq = connection.query_row("SELECT next_seq FROM aral_meta", [], |row| row.get(0))?;
        Ok(Self { writer: Mutex::new(Writer { connection, next_seq, counts: HashMap::new() }) })
    }
}

impl Writer {
    fn add(&mut self, row: &Row, is_first: bool) -> Outcome<()> {
        let (number, seq) = (i64::from(row.talk.number) + 1, self.next_seq);
        let place = self.counts.get(&row.talk.number).copied();
        let place = if let Some(place) = place {
            place
        } else {
            self.connection.prepare_cached(CONVERSATION)?.execute(params![number, row.talk.id, TIME])?;
            0
        };
        let group = is_first.then_some([1_u8; 16]);
        self.connection.prepare_cached(EVENT)?.execute(params![seq, group, payload(row)])?;
        let mut message = self.connection.prepare_cached(MESSAGE)?;
        message.execute(params![row.id, row.role, TIME, row.content, row.created_at, seq, number, place])?;
        self.connection.prepare_cached(COUNT)?.execute(params![number, place + 1, seq, TIME])?;
        self.counts.insert(row.talk.number, place + 1);
        self.next_seq += 1;
        Ok(())
    }
}

impl Peer for SqliteRows {
    fn append(&self, row: &Row) -> Outcome<()> {
        self.append_batch(std::slice::from_ref(row))
    }

    fn append_batch(&self, rows: &[Row]) -> Outcome<()> {
        let mut writer = self.writer.lock().map_err(|_| "poisoned")?;
        writer.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for (at, row) in rows.iter().enumerate() {
            writer.add(row, at == 0)?;
        }
        writer.connection.prepare_cached("UPDATE aral_meta SET next_seq = ?1")?.execute([writer.next_seq])?;
        writer.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn digest(&self) -> Outcome<Digest> {
        let writer = self.writer.lock().map_err(|_| "poisoned")?;
        let mut statement = writer.connection.prepare("SELECT id, content FROM aral_message_rows")?;
        let mut rows = statement.query([])?;
        let mut digest = Digest::default();
        while let Some(row) = rows.next()? {
            digest.add(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
        }
        Ok(digest)
    }
}
