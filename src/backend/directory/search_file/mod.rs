//! The file of the index: an SQLite database, `log/SEARCH`.
//!
//! Owns its tables and their statements. It has the words of messages, with their places and times, and no text; what a word is, is decided in
//! `search/`, and how a store stands to it in `search_index/`.

mod asked;

mod blocks;

mod kept;

mod writing;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

pub(super) use self::asked::{Asked, quoted};
pub(super) use self::blocks::Blocks;
pub(super) use self::kept::SearchFiles;
pub(super) use self::writing::Gathered;
use crate::backend::sqlite::error_of;
use crate::codec::segment::StoreId;
use crate::error::{Error, Result};
use crate::model::Seq;
use crate::search::tokenizer;
use crate::snapshot::layout::{self, Layout};
use crate::vfs::{FileKind, Vfs};

/// The version of the tables.
const FORMAT: i64 = 4;

/// How many numbers of messages a block has: few enough that a search which stops in one has looked at little, and many enough that the list of
/// all is short.
const BLOCK: i64 = 1024;

/// How long a search waits for whoever writes the index; then it reads everything.
const READER_WAITS: Duration = Duration::from_millis(100);
/// How many KiB of it a search keeps for the next ones.
const READER_KEEPS: i64 = 16_384;
/// What the index says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct About {
    pub(super) store: StoreId,
    /// Every conversation is in it as it was after this event, but for those that have changed since.
    pub(super) indexed_seq: Seq,
    /// The event that whoever wrote it last was about to come to.
    pub(super) reached_seq: Seq,
    /// Whether it has come to an end once.
    pub(super) is_whole: bool,
    /// How often it was written to.
    turn: i64,
    /// How many numbers of messages a block has.
    block: i64,
}

impl About {
    pub(super) fn new(store: StoreId) -> Self {
        Self { store, indexed_seq: 0, reached_seq: 0, is_whole: false, turn: 0, block: BLOCK }
    }

    /// Whether both are of one store.
    pub(super) fn is_same_store(&self, other: &Self) -> bool {
        self.store == other.store
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
}

/// The index, open.
#[derive(Debug)]
pub(super) struct SearchFile {
    connection: Connection,
    path: PathBuf,
    /// The blocks, as they were read last.
    blocks: RefCell<Option<(i64, Arc<Blocks>)>>,
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
        // Of a file that is no database it says so; whoever reads is told the same.
        opened.pragma_update(None, "cache_size", -READER_KEEPS).ok();
        Some(Self { connection: opened, path, blocks: RefCell::default() })
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

    /// Ends that. Whoever writes the file, or removes it, waits for nobody then.
    pub(super) fn end_reading(&self) -> Result<()> {
        self.run("COMMIT")
    }

    /// What it says of itself, or else whether newer software has made it.
    pub(super) fn about(&self) -> Result<std::result::Result<About, bool>> {
        let tables = "SELECT COUNT(*) FROM sqlite_master WHERE name = 'about'";
        if self.first(tables, |row| row.get::<_, i64>(0))?.unwrap_or_default() == 0 {
            return Ok(Err(false));
        }
        // Order: the versions first. What else there is in another one is not known.
        let version = self.first("SELECT format, tokenizer FROM about", |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })?;
        let Some(version) = version else { return Ok(Err(false)) };
        if version != (FORMAT, tokenizer()) {
            return Ok(Err(version.0 > FORMAT || version.1 > tokenizer()));
        }
        let sql = "SELECT store, indexed_seq, reached_seq, is_whole, turn, block FROM about";
        let about = self.first(sql, |row| {
            Ok(About {
                store: row.get(0)?,
                indexed_seq: number(row.get(1)?),
                reached_seq: number(row.get(2)?),
                is_whole: row.get(3)?,
                turn: row.get(4)?,
                block: row.get(5)?,
            })
        })?;
        Ok(about.filter(|about| about.block > 0).ok_or(false))
    }

    /// The first row of an answer.
    fn first<T>(
        &self,
        sql: &str,
        take: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let asked =
            self.connection.prepare_cached(sql).and_then(|mut asked| asked.query_row((), take).optional());
        self.done(asked)
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
    pub(super) fn check(&self, about: Option<&About>) -> Result<()> {
        let said = self.connection.query_row("PRAGMA integrity_check(1)", (), |row| row.get::<_, String>(0));
        let said = self.done(said)?;
        if said != "ok" {
            return Err(Error::corrupt(&self.path, 0, said));
        }
        about.map_or(Ok(()), |about| self.check_blocks(about))
    }
}
