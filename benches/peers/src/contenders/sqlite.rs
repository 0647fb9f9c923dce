//! SQLite, in a WAL, with prepared statements and the schema that an agent's history wants.
//!
//! Owns the schema: an integer key, the message's UUID unique, the conversation's `updated_at` kept and indexed. One connection
//! behind a lock for writing (a connection for each thread is slower: their busy handlers sleep) and one for reading, since
//! in a WAL readers do not wait for writers.

use std::path::Path;
use std::sync::Mutex;

use rusqlite::{Connection, Row as Found, params};

use crate::Outcome;
use crate::peer::{Answer, Listed, Peer, held};
use crate::wire::{METADATA, Owned};
use crate::workload::{Digest, Row, Talk};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS conversations (
        id INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, title TEXT NOT NULL, messages INTEGER NOT NULL,
        updated_at INTEGER NOT NULL);
    CREATE INDEX IF NOT EXISTS by_activity ON conversations (updated_at);
    CREATE TABLE IF NOT EXISTS messages (
        id INTEGER PRIMARY KEY, conversation INTEGER NOT NULL REFERENCES conversations (id), uuid TEXT NOT NULL UNIQUE,
        role TEXT NOT NULL, content TEXT NOT NULL, created_at INTEGER NOT NULL, metadata TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS by_conversation ON messages (conversation, id);";

const TOUCH: &str = "
    INSERT INTO conversations (id, uuid, title, messages, updated_at) VALUES (?1, ?2, ?3, 1, ?4)
    ON CONFLICT (id) DO UPDATE SET messages = messages + 1, updated_at = excluded.updated_at";

const ADD: &str = "
    INSERT INTO messages (conversation, uuid, role, content, created_at, metadata) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// When a commit is synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Synchronous {
    Full,
    Normal,
}

#[derive(Debug)]
pub(crate) struct Sqlite {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
}

impl Sqlite {
    pub(crate) fn open(dir: &Path, synchronous: Synchronous) -> Outcome<Self> {
        let path = dir.join("sqlite.db");
        let connect = || -> Outcome<Connection> {
            let connection = Connection::open(&path)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            let level = match synchronous {
                Synchronous::Full => "FULL",
                Synchronous::Normal => "NORMAL",
            };
            connection.pragma_update(None, "synchronous", level)?;
            connection.pragma_update(None, "cache_size", -64 * 1024)?;
            connection.pragma_update(None, "mmap_size", 2_i64 << 30)?;
            connection.pragma_update(None, "foreign_keys", "ON")?;
            Ok(connection)
        };
        let writer = connect()?;
        writer.execute_batch(SCHEMA)?;
        Ok(Self { writer: Mutex::new(writer), reader: Mutex::new(connect()?) })
    }

    fn messages(&self, query: &str, parameters: impl rusqlite::Params) -> Outcome<Vec<Owned>> {
        let reader = self.reader.lock().map_err(|_| "poisoned")?;
        let mut statement = reader.prepare_cached(query)?;
        let rows = statement.query_map(parameters, owned)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn owned(found: &Found<'_>) -> rusqlite::Result<Owned> {
    Ok(Owned {
        id: found.get(0)?,
        role: found.get(1)?,
        content: found.get(2)?,
        created_at: found.get(3)?,
        metadata: found.get(4)?,
    })
}

fn add(connection: &Connection, row: &Row) -> Outcome<()> {
    let number = row.talk.number;
    let mut touch = connection.prepare_cached(TOUCH)?;
    touch.execute(params![number, row.talk.id, "Conversation", row.created_at])?;
    let mut add = connection.prepare_cached(ADD)?;
    add.execute(params![number, row.id, row.role, row.content, row.created_at, METADATA])?;
    Ok(())
}

impl Peer for Sqlite {
    fn append(&self, row: &Row) -> Outcome<()> {
        self.append_batch(std::slice::from_ref(row))
    }

    fn append_batch(&self, rows: &[Row]) -> Outcome<()> {
        let writer = self.writer.lock().map_err(|_| "poisoned")?;
        writer.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for row in rows {
            add(&writer, row)?;
        }
        writer.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn digest(&self) -> Outcome<Digest> {
        let reader = self.reader.lock().map_err(|_| "poisoned")?;
        let mut statement = reader.prepare("SELECT uuid, content FROM messages")?;
        let mut rows = statement.query([])?;
        let mut digest = Digest::default();
        while let Some(row) = rows.next()? {
            digest.add(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
        }
        Ok(digest)
    }

    fn conversation(&self, talk: &Talk) -> Answer {
        let query = "SELECT uuid, role, content, created_at, metadata FROM messages WHERE conversation = ? ORDER BY id";
        held(self.messages(query, [talk.number])?)
    }

    fn last(&self, talk: &Talk, count: usize) -> Answer {
        let query = "SELECT uuid, role, content, created_at, metadata FROM messages WHERE conversation = ?
            ORDER BY id DESC LIMIT ?";
        let mut messages = self.messages(query, (talk.number, i64::try_from(count)?))?;
        messages.reverse();
        held(messages)
    }

    fn by_id(&self, _: &Talk, id: &str) -> Answer {
        let query = "SELECT uuid, role, content, created_at, metadata FROM messages WHERE uuid = ?";
        held(self.messages(query, [id])?)
    }

    fn recent(&self, count: usize) -> Answer {
        let reader = self.reader.lock().map_err(|_| "poisoned")?;
        let mut statement = reader.prepare_cached(
            "SELECT uuid, title, messages, updated_at FROM conversations ORDER BY updated_at DESC LIMIT ?",
        )?;
        let rows = statement.query_map([i64::try_from(count)?], |found| {
            Ok(Listed {
                id: found.get(0)?,
                title: found.get(1)?,
                messages: found.get(2)?,
                updated_at: found.get(3)?,
            })
        })?;
        held(rows.collect::<Result<Vec<_>, _>>()?)
    }

    fn scan(&self, each: &mut dyn FnMut(&str)) -> Outcome<Option<u64>> {
        let reader = self.reader.lock().map_err(|_| "poisoned")?;
        let mut statement =
            reader.prepare_cached("SELECT uuid, role, content, created_at, metadata FROM messages")?;
        let mut rows = statement.query([])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            each(&std::hint::black_box(owned(row)?).content);
            count += 1;
        }
        Ok(Some(count))
    }
}
