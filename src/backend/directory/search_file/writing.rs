//! Writing the index.
//!
//! Owns its tables, and what a transaction does to them.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, params};

use super::blocks::{self, Additions};
use super::{About, FORMAT, Known, SearchFile, int};
use crate::backend::sqlite::error_of;
use crate::error::{Error, ErrorKind, Result};
use crate::search::{counted, length_of, marked, tokenizer};
use crate::snapshot::layout::{self, Layout};
use crate::vfs::{FileKind, OpenMode, Vfs};

/// How long whoever writes it waits for searches.
const WRITER_WAITS: Duration = Duration::from_secs(10);

const TABLES: &str = "
    CREATE TABLE about (one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL, tokenizer INTEGER NOT NULL,
        store BLOB NOT NULL, indexed_seq INTEGER NOT NULL, reached_seq INTEGER NOT NULL, is_whole INTEGER NOT NULL,
        turn INTEGER NOT NULL, block INTEGER NOT NULL);
    CREATE TABLE conversation (number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, last_seq INTEGER NOT NULL,
        messages INTEGER NOT NULL, fold INTEGER NOT NULL);
    CREATE TABLE message (number INTEGER PRIMARY KEY, conversation INTEGER NOT NULL, place INTEGER NOT NULL,
        micros INTEGER NOT NULL);
    CREATE INDEX message_of ON message (conversation);
    CREATE VIRTUAL TABLE words USING
        fts5(terms, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii');
    CREATE VIRTUAL TABLE vocabulary USING fts5vocab('words', 'instance');";

/// While an index is made, each transaction writes one piece, and nothing is merged before the end.
const ALL_AT_ONCE: &str = "
    INSERT INTO words (words, rank) VALUES ('hashsize', 33554432);
    INSERT INTO words (words, rank) VALUES ('automerge', 0);";

/// What FTS5 has where nothing is said.
const AS_USUAL: &str = "
    INSERT INTO words (words, rank) VALUES ('hashsize', 1048576);
    INSERT INTO words (words, rank) VALUES ('automerge', 4);";

impl SearchFile {
    /// Opens it for writing, making an empty file if there is none: SQLite would make one that others may read.
    pub(in crate::backend::directory) fn open_to_write(vfs: &dyn Vfs, layout: &Layout) -> Result<Self> {
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
        Ok(Self { connection, path, blocks: RefCell::default() })
    }

    /// Makes the tables anew.
    pub(in crate::backend::directory) fn begin_anew(&self, about: &About) -> Result<()> {
        self.run("BEGIN IMMEDIATE")?;
        self.run(
            "DROP TABLE IF EXISTS vocabulary; DROP TABLE IF EXISTS words; DROP TABLE IF EXISTS message; DROP TABLE IF EXISTS conversation; \
             DROP TABLE IF EXISTS block; DROP TABLE IF EXISTS about;",
        )?;
        self.run(TABLES)?;
        self.run(blocks::TABLE)?;
        self.run(ALL_AT_ONCE)?;
        let sql = "INSERT INTO about VALUES (1, ?1, ?2, ?3, 0, 0, FALSE, 0, ?4)";
        self.done(
            self.connection.execute(sql, params![FORMAT, tokenizer(), about.store.as_slice(), about.block]),
        )?;
        self.run("COMMIT")
    }

    /// Begins to write, unless somebody else has written since; for whoever else does from now on, this one has.
    pub(in crate::backend::directory) fn begin_writing(&self, about: &mut About) -> Result<()> {
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
    pub(in crate::backend::directory) fn commit(&self) -> Result<()> {
        self.run("COMMIT")
    }

    /// It is whole, up to the event that it was to come to.
    pub(in crate::backend::directory) fn finish(&self, about: &mut About) -> Result<()> {
        if !about.is_whole {
            // What many transactions have written becomes one piece, in which a word is found at once.
            self.run("INSERT INTO words (words) VALUES ('optimize')")?;
            self.run(AS_USUAL)?;
        }
        self.forget_empty(about)?;
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
    pub(in crate::backend::directory) fn remove(&self, conversation: i64) -> Result<()> {
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
    pub(in crate::backend::directory) fn add(&self, id: &str) -> Result<i64> {
        let sql = "INSERT INTO conversation (id, last_seq, messages, fold) VALUES (?1, 0, 0, 0)";
        self.done(self.connection.prepare_cached(sql).and_then(|mut of| of.insert([id.as_bytes()])))
    }

    /// Says how a conversation was when the last of its messages was taken in.
    pub(in crate::backend::directory) fn complete(&self, known: &Known) -> Result<()> {
        let sql = "UPDATE conversation SET last_seq = ?2, messages = ?3, fold = ?4 WHERE number = ?1";
        let fold = i64::from_le_bytes(known.fold.to_le_bytes());
        let values = params![known.number, int(known.last_seq), int(known.messages), fold];
        self.done(self.connection.prepare_cached(sql).and_then(|mut of| of.execute(values))).map(drop)
    }

    /// Takes messages in. Those of one call have their numbers in the order of their times.
    pub(in crate::backend::directory) fn add_messages(
        &self,
        about: &About,
        gathered: &mut Gathered,
    ) -> Result<()> {
        let mut messages = std::mem::take(gathered).messages;
        messages.sort_by_key(|message| (message.micros, message.conversation, message.place));
        let mut additions = Additions::default();
        for Gathering { conversation, place, micros, length, terms } in messages {
            let sql = "INSERT INTO message (conversation, place, micros) VALUES (?1, ?2, ?3)";
            let values = params![conversation, int(place), micros];
            let number =
                self.done(self.connection.prepare_cached(sql).and_then(|mut of| of.insert(values)))?;
            let sql = "INSERT INTO words (rowid, terms) VALUES (?1, ?2)";
            let values = params![number, terms];
            self.done(self.connection.prepare_cached(sql).and_then(|mut of| of.execute(values)))?;
            additions.add(about.block, (number, micros, length));
        }
        self.note(about.block, additions)
    }
}

/// Messages that are to be taken in.
#[derive(Debug, Default)]
pub(in crate::backend::directory) struct Gathered {
    messages: Vec<Gathering>,
    /// How long their texts are.
    pub(in crate::backend::directory) bytes: usize,
}

/// One of them.
#[derive(Debug)]
struct Gathering {
    conversation: i64,
    place: u64,
    micros: i64,
    length: u8,
    terms: String,
}

impl Gathered {
    /// Adds a message of a conversation. One without a word need not be known.
    pub(in crate::backend::directory) fn add(
        &mut self,
        (conversation, place): (i64, u64),
        micros: i64,
        text: &str,
    ) {
        self.bytes += text.len();
        let counted = counted(text);
        if !counted.terms.is_empty() {
            let (length, terms) = (length_of(counted.words), marked(&counted).join(" "));
            self.messages.push(Gathering { conversation, place, micros, length, terms });
        }
    }
}
