//! What a careful program does with PostgreSQL: a pool of connections, a prepared statement, one transaction for each message.
//!
//! Owns the table: a message's id is unique, and the messages of a conversation are found in their order. The conversation itself has
//! no row that is kept up to date.

use std::sync::{Condvar, Mutex};

use postgres::{Client, NoTls, Row as Found, Statement};

use crate::Outcome;
use crate::peer::{Answer, Peer, held};
use crate::server;
use crate::wire::{METADATA, Owned};
use crate::workload::{Digest, Row, Talk};

/// How many connections there are at most, as many pools have.
const POOL: usize = 16;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS messages (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, conversation BIGINT NOT NULL, uuid TEXT NOT NULL UNIQUE,
        role TEXT NOT NULL, content TEXT NOT NULL, created_at BIGINT NOT NULL, metadata TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS by_conversation ON messages (conversation, id);";

const ADD: &str = "INSERT INTO messages (conversation, uuid, role, content, created_at, metadata)
    VALUES ($1, $2, $3, $4, $5, $6)";

const LAST: &str = "SELECT uuid, role, content, created_at, metadata FROM messages WHERE conversation = $1
    ORDER BY id DESC LIMIT $2";

const BY_ID: &str = "SELECT uuid, role, content, created_at, metadata FROM messages WHERE uuid = $1";

/// A connection and its prepared statements.
struct Line {
    client: Client,
    add: Statement,
    last: Statement,
    by_id: Statement,
}

pub(crate) struct Inserts {
    idle: Mutex<Vec<Line>>,
    given_back: Condvar,
}

impl Inserts {
    pub(crate) fn open(port: u16) -> Outcome<Self> {
        Client::connect(&server::url(port), NoTls)?.batch_execute(SCHEMA)?;
        let connect = || -> Outcome<Line> {
            let mut client = Client::connect(&server::url(port), NoTls)?;
            let (add, last, by_id) = (client.prepare(ADD)?, client.prepare(LAST)?, client.prepare(BY_ID)?);
            Ok(Line { client, add, last, by_id })
        };
        let idle = (0..POOL).map(|_| connect()).collect::<Outcome<Vec<_>>>()?;
        Ok(Self { idle: Mutex::new(idle), given_back: Condvar::new() })
    }

    /// Uses a connection that nobody else uses.
    fn with<T>(&self, act: impl FnOnce(&mut Line) -> Outcome<T>) -> Outcome<T> {
        let mut idle = self.idle.lock().map_err(|_| "poisoned")?;
        let mut line = loop {
            if let Some(line) = idle.pop() {
                break line;
            }
            idle = self.given_back.wait(idle).map_err(|_| "poisoned")?;
        };
        drop(idle);
        let done = act(&mut line);
        self.idle.lock().map_err(|_| "poisoned")?.push(line);
        self.given_back.notify_one();
        done
    }
}

fn owned(found: &Found) -> Outcome<Owned> {
    Ok(Owned {
        id: found.try_get(0)?,
        role: found.try_get(1)?,
        content: found.try_get(2)?,
        created_at: found.try_get(3)?,
        metadata: found.try_get(4)?,
    })
}

fn number(talk: &Talk) -> i64 {
    i64::from(talk.number)
}

impl Peer for Inserts {
    fn append(&self, row: &Row) -> Outcome<()> {
        self.with(|line| {
            let number = number(&row.talk);
            line.client.execute(
                &line.add,
                &[&number, &row.id, &row.role, &row.content, &row.created_at, &METADATA],
            )?;
            Ok(())
        })
    }

    fn append_batch(&self, rows: &[Row]) -> Outcome<()> {
        self.with(|line| {
            let mut transaction = line.client.transaction()?;
            for row in rows {
                let number = number(&row.talk);
                transaction.execute(
                    &line.add,
                    &[&number, &row.id, &row.role, &row.content, &row.created_at, &METADATA],
                )?;
            }
            Ok(transaction.commit()?)
        })
    }

    fn digest(&self) -> Outcome<Digest> {
        self.with(|line| {
            let mut digest = Digest::default();
            for row in line.client.query("SELECT uuid, content FROM messages", &[])? {
                digest.add(row.try_get(0)?, row.try_get(1)?);
            }
            Ok(digest)
        })
    }

    fn last(&self, talk: &Talk, count: usize) -> Answer {
        let count = i64::try_from(count)?;
        let found = self.with(|line| Ok(line.client.query(&line.last, &[&number(talk), &count])?))?;
        held(found.iter().rev().map(owned).collect::<Outcome<Vec<_>>>()?)
    }

    fn by_id(&self, _: &Talk, id: &str) -> Answer {
        let found = self.with(|line| Ok(line.client.query(&line.by_id, &[&id])?))?;
        held(found.iter().map(owned).collect::<Outcome<Vec<_>>>()?)
    }
}
