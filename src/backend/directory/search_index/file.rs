//! The file of the index: an SQLite database, `log/SEARCH`.
//!
//! Owns its tables and their statements. It has the words of messages, with their places and times, and no text; what a word is, is decided in
//! `search/`.

use std::collections::HashMap;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params, params_from_iter};

use super::standing::Standing;
use crate::backend::directory::reads::ReadState;
use crate::backend::sqlite::{document, error_of, query};
use crate::codec::segment::StoreId;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{DAY_MICROS, Seq};
use crate::search::{Matcher, terms, tokenizer};
use crate::snapshot::layout::{self, Layout};
use crate::vfs::{FileKind, OpenMode, Vfs};

/// The version of the tables.
const FORMAT: i64 = 2;

/// How long a search waits for whoever writes the index; then it reads everything.
const READER_WAITS: Duration = Duration::from_millis(100);
/// How long whoever writes it waits for searches.
const WRITER_WAITS: Duration = Duration::from_secs(10);

const TABLES: &str = "
    CREATE TABLE about (one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL, tokenizer INTEGER NOT NULL,
        store BLOB NOT NULL, indexed_seq INTEGER NOT NULL, reached_seq INTEGER NOT NULL, is_whole INTEGER NOT NULL,
        turn INTEGER NOT NULL);
    CREATE TABLE conversation (number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, last_seq INTEGER NOT NULL,
        messages INTEGER NOT NULL, fold INTEGER NOT NULL);
    CREATE TABLE message (number INTEGER PRIMARY KEY, conversation INTEGER NOT NULL, place INTEGER NOT NULL,
        micros INTEGER NOT NULL);
    CREATE INDEX message_of ON message (conversation);
    CREATE VIRTUAL TABLE words USING
        fts5(terms, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii');";

/// While an index is made, each transaction writes one piece, and nothing is merged before the end.
const ALL_AT_ONCE: &str = "
    INSERT INTO words (words, rank) VALUES ('hashsize', 33554432);
    INSERT INTO words (words, rank) VALUES ('automerge', 0);";

/// What FTS5 has where nothing is said.
const AS_USUAL: &str = "
    INSERT INTO words (words, rank) VALUES ('hashsize', 1048576);
    INSERT INTO words (words, rank) VALUES ('automerge', 4);";

/// What the index says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct About {
    store: StoreId,
    /// Every conversation is in it as it was after this event, but for those that have changed since.
    pub(super) indexed_seq: Seq,
    /// The event that whoever wrote it last was about to come to.
    pub(super) reached_seq: Seq,
    /// Whether it has come to an end once.
    pub(super) is_whole: bool,
    /// How often it was written to.
    turn: i64,
}

impl About {
    pub(super) fn new(store: StoreId) -> Self {
        Self { store, indexed_seq: 0, reached_seq: 0, is_whole: false, turn: 0 }
    }

    /// Whether both are of one store.
    pub(super) fn is_same_store(&self, other: &Self) -> bool {
        self.store == other.store
    }

    /// Whether it can be asked about a store that stands like this. One that shows an older state has messages that are not in it any more.
    pub(super) fn is_of(&self, standing: &Standing) -> bool {
        self.is_whole && self.store == standing.store_id && standing.last_seq >= self.reached_seq
    }
}

/// What the index has of a conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Known {
    pub(super) number: i64,
    /// The conversation's newest event when it was taken in.
    pub(super) last_seq: Seq,
    /// How many messages it had then.
    pub(super) messages: u64,
    /// What those are told by; see [`fold`](ReadState::fold).
    pub(super) fold: u64,
}

impl Known {
    /// Takes it from a row whose columns from this one on are the conversation's.
    fn of(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Self> {
        let fold: i64 = row.get(at + 3)?;
        Ok(Self {
            number: row.get(at)?,
            last_seq: number(row.get(at + 1)?),
            messages: number(row.get(at + 2)?),
            fold: u64::from_le_bytes(fold.to_le_bytes()),
        })
    }

    /// Whether the conversation still begins with what is in the index, and at most more has been added.
    pub(super) fn begins(&self, reads: &ReadState, id: &str) -> bool {
        matches!(reads.fold(id, self.messages), Ok(Some(fold)) if fold == self.fold)
    }
}

/// What the index is asked for.
pub(super) struct Asked {
    sql: String,
    values: Vec<Value>,
}

/// A message that may be found.
pub(super) struct Proposed<'p> {
    pub(super) micros: i64,
    pub(super) place: u64,
    pub(super) id: &'p str,
}

impl Asked {
    pub(super) fn of(matcher: &Matcher<'_>) -> Self {
        let mut sql =
            "SELECT m.micros, m.place, c.id FROM message m JOIN conversation c ON c.number = m.conversation \
             WHERE m.number IN (SELECT rowid FROM words WHERE words MATCH ?)"
                .to_owned();
        let mut values = vec![Value::Text(query(&matcher.query.proposals()))];
        let mut and = |condition: &str, value: Value| {
            sql += condition;
            values.push(value);
        };
        let search = matcher.search;
        if let Some(id) = &search.conversation {
            and(" AND c.id = ?", Value::Blob(id.as_bytes().to_vec()));
        }
        // A time without an offset may be meant up to a day beside.
        if let Some(since) = search.since {
            let micros = since.approximate_unix_micros().saturating_sub(DAY_MICROS);
            and(" AND m.micros >= ?", Value::Integer(micros));
        }
        if let Some(until) = search.until {
            let micros = until.approximate_unix_micros().saturating_add(DAY_MICROS);
            and(" AND m.micros < ?", Value::Integer(micros));
        }
        sql += " ORDER BY m.micros DESC";
        Self { sql, values }
    }
}

/// The index, open.
#[derive(Debug)]
pub(super) struct SearchFile {
    connection: Connection,
    path: PathBuf,
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(int: i64) -> u64 {
    u64::try_from(int).unwrap_or_default()
}

impl SearchFile {
    /// Opens it for reading; `None` if there is none, or none that can be opened.
    pub(super) fn open_to_read(vfs: &dyn Vfs, layout: &Layout) -> Option<Self> {
        let path = layout.search_index();
        let is_there = layout::probe(vfs, &path).ok()?.is_some_and(|found| found.kind == FileKind::File);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = is_there.then(|| Connection::open_with_flags(&path, flags).ok())??;
        opened.busy_timeout(READER_WAITS).ok()?;
        Some(Self { connection: opened, path })
    }

    /// Opens it for writing, making an empty file if there is none: SQLite would make one that others may read.
    pub(super) fn open_to_write(vfs: &dyn Vfs, layout: &Layout) -> Result<Self> {
        let path = layout.search_index();
        match vfs.open(&path, OpenMode::CreateNew) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::io("make the index", &path, error));
            }
            Ok(_) | Err(_) => {}
        }
        if layout::probe(vfs, &path)?.is_some_and(|found| found.kind != FileKind::File) {
            return Err(Error::invalid("not a file of its own").at(&path, None));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(&path, flags);
        let failed = |error: &rusqlite::Error| error_of("open the index", &path, error);
        let connection = opened.map_err(|error| failed(&error))?;
        let set_up = connection
            .busy_timeout(WRITER_WAITS)
            .and_then(|()| connection.pragma_update(None, "cache_size", -65_536))
            // Holds for a file in which there is nothing yet: pages that a merge has emptied are given back.
            .and_then(|()| connection.pragma_update(None, "auto_vacuum", "INCREMENTAL"));
        set_up.map_err(|error| failed(&error))?;
        Ok(Self { connection, path })
    }

    fn done<T>(&self, result: rusqlite::Result<T>) -> Result<T> {
        result.map_err(|error| error_of("use the index", &self.path, &error))
    }

    fn run(&self, sql: &str) -> Result<()> {
        self.done(self.connection.execute_batch(sql))
    }

    /// Begins to read one state of it; `None` if it is not of this version.
    pub(super) fn begin_reading(&self) -> Result<Option<About>> {
        self.run("BEGIN")?;
        Ok(self.about()?.ok())
    }

    /// What it says of itself, or else whether newer software has made it.
    pub(super) fn about(&self) -> Result<std::result::Result<About, bool>> {
        let tables = "SELECT COUNT(*) FROM sqlite_master WHERE name = 'about'";
        let tables: i64 = self.done(self.connection.query_row(tables, (), |row| row.get(0)))?;
        if tables == 0 {
            return Ok(Err(false));
        }
        let sql = "SELECT format, tokenizer, store, indexed_seq, reached_seq, is_whole, turn FROM about";
        let read = self.connection.query_row(sql, (), |row| {
            let version = (row.get::<_, i64>(0)?, row.get::<_, i64>(1)?);
            let about = About {
                store: row.get(2)?,
                indexed_seq: number(row.get(3)?),
                reached_seq: number(row.get(4)?),
                is_whole: row.get(5)?,
                turn: row.get(6)?,
            };
            let is_newer = version.0 > FORMAT || version.1 > tokenizer();
            Ok(if version == (FORMAT, tokenizer()) { Ok(about) } else { Err(is_newer) })
        });
        Ok(self.done(read.optional())?.unwrap_or(Err(false)))
    }

    /// What is to be looked at, from the newest to older ones.
    pub(super) fn propose(
        &self,
        asked: &Asked,
        each: &mut dyn FnMut(Proposed<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let mut statement = self.done(self.connection.prepare(&asked.sql))?;
        let mut rows = self.done(statement.query(params_from_iter(&asked.values)))?;
        while let Some(row) = self.done(rows.next())? {
            let id: Vec<u8> = self.done(row.get(2))?;
            let (micros, place) = (self.done(row.get(0))?, number(self.done(row.get(1))?));
            let id = String::from_utf8_lossy(&id);
            if each(Proposed { micros, place, id: &id })?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The conversations in it.
    pub(super) fn known(&self) -> Result<HashMap<String, Known>> {
        let sql = "SELECT id, number, last_seq, messages, fold FROM conversation";
        let mut statement = self.done(self.connection.prepare(sql))?;
        let rows = statement.query_map((), |row| {
            let id = String::from_utf8_lossy(&row.get::<_, Vec<u8>>(0)?).into_owned();
            Ok((id, Known::of(row, 1)?))
        });
        self.done(rows.and_then(Iterator::collect))
    }

    /// What it has of a conversation.
    pub(super) fn known_of(&self, id: &str) -> Result<Option<Known>> {
        let sql = "SELECT number, last_seq, messages, fold FROM conversation WHERE id = ?1";
        let mut statement = self.done(self.connection.prepare_cached(sql))?;
        self.done(statement.query_row([id.as_bytes()], |row| Known::of(row, 0)).optional())
    }

    /// Reads through the file; the first thing that is wrong with how it is made.
    pub(super) fn check(&self) -> Result<()> {
        let said = self.connection.query_row("PRAGMA integrity_check(1)", (), |row| row.get::<_, String>(0));
        match self.done(said)? {
            said if said == "ok" => Ok(()),
            said => Err(Error::corrupt(&self.path, 0, said)),
        }
    }

    /// Makes the tables anew.
    pub(super) fn begin_anew(&self, about: &About) -> Result<()> {
        self.run("BEGIN IMMEDIATE")?;
        self.run(
            "DROP TABLE IF EXISTS words; DROP TABLE IF EXISTS message; DROP TABLE IF EXISTS conversation; \
             DROP TABLE IF EXISTS about;",
        )?;
        self.run(TABLES)?;
        self.run(ALL_AT_ONCE)?;
        let sql = "INSERT INTO about VALUES (1, ?1, ?2, ?3, 0, 0, FALSE, 0)";
        self.done(self.connection.execute(sql, params![FORMAT, tokenizer(), about.store.as_slice()]))?;
        self.run("COMMIT")
    }

    /// Begins to write, unless somebody else has written since; for whoever else does from now on, this one has.
    pub(super) fn begin_writing(&self, about: &mut About) -> Result<()> {
        self.run("BEGIN IMMEDIATE")?;
        let sql = "UPDATE about SET turn = turn + 1, reached_seq = ?2 WHERE turn = ?1";
        let updated = self.done(self.connection.execute(sql, params![about.turn, int(about.reached_seq)]))?;
        if updated != 1 {
            self.run("ROLLBACK")?;
            let reason = "another process is writing the index for searching";
            return Err(Error::new(ErrorKind::Conflict, reason).at(&self.path, None));
        }
        about.turn += 1;
        Ok(())
    }

    /// What was written is there, all at once.
    pub(super) fn commit(&self) -> Result<()> {
        self.run("COMMIT")
    }

    /// It is whole, up to the event that it was to come to.
    pub(super) fn finish(&self, about: &mut About) -> Result<()> {
        if !about.is_whole {
            // What many transactions have written becomes one piece, in which a word is found at once.
            self.run("INSERT INTO words (words) VALUES ('optimize')")?;
            self.run(AS_USUAL)?;
        }
        self.run("UPDATE about SET indexed_seq = reached_seq, is_whole = TRUE")?;
        (about.indexed_seq, about.is_whole) = (about.reached_seq, true);
        self.commit()?;
        // It is complete, whether its file becomes smaller or not: whoever is reading it may be in the way.
        self.shorten().ok();
        Ok(())
    }

    /// Gives back the pages in which there is nothing any more.
    fn shorten(&self) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare("PRAGMA incremental_vacuum")?;
        let mut rows = statement.query(())?;
        // Each step gives back one.
        while rows.next()?.is_some() {}
        Ok(())
    }

    /// Takes a conversation out.
    pub(super) fn remove(&self, conversation: i64) -> Result<()> {
        for sql in [
            "DELETE FROM words WHERE rowid IN (SELECT number FROM message WHERE conversation = ?1)",
            "DELETE FROM message WHERE conversation = ?1",
            "DELETE FROM conversation WHERE number = ?1",
        ] {
            self.done(self.connection.prepare_cached(sql).and_then(|mut of| of.execute([conversation])))?;
        }
        Ok(())
    }

    /// Takes a conversation in, of which there are no messages yet, and gives it a number.
    pub(super) fn add(&self, id: &str) -> Result<i64> {
        let sql = "INSERT INTO conversation (id, last_seq, messages, fold) VALUES (?1, 0, 0, 0)";
        self.done(self.connection.prepare_cached(sql).and_then(|mut of| of.insert([id.as_bytes()])))
    }

    /// Says how a conversation was when the last of its messages was taken in.
    pub(super) fn complete(&self, known: &Known) -> Result<()> {
        let sql = "UPDATE conversation SET last_seq = ?2, messages = ?3, fold = ?4 WHERE number = ?1";
        let fold = i64::from_le_bytes(known.fold.to_le_bytes());
        let values = params![known.number, int(known.last_seq), int(known.messages), fold];
        self.done(self.connection.prepare_cached(sql).and_then(|mut of| of.execute(values))).map(drop)
    }

    /// Takes a message in.
    pub(super) fn add_message(
        &self,
        (conversation, place): (i64, u64),
        micros: i64,
        text: &str,
    ) -> Result<()> {
        let terms = terms(text);
        if terms.is_empty() {
            return Ok(());
        }
        let sql = "INSERT INTO message (conversation, place, micros) VALUES (?1, ?2, ?3)";
        let values = params![conversation, int(place), micros];
        let number = self.done(self.connection.prepare_cached(sql).and_then(|mut of| of.insert(values)))?;
        let sql = "INSERT INTO words (rowid, terms) VALUES (?1, ?2)";
        let values = params![number, document(&terms)];
        self.done(self.connection.prepare_cached(sql).and_then(|mut of| of.execute(values)))?;
        Ok(())
    }
}
