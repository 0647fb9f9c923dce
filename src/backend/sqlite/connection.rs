//! One connection to an SQLite file.
//!
//! Owns the turn of those who write. SQLite lets whoever tries at the right moment go first, so that of two processes
//! one may wait for very long. Here, who wants to write takes a turnstile first, a lock on a file beside the database: the one that
//! has it is the next to write, and one that has just written stands behind it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::{Null, ToSqlOutput, ValueRef};

use super::errors;
use super::still::Still;
use crate::backend::deadline::Deadline;
use crate::backend::sql::connection::{Connection, Each, Row, Statement, Value, first};
use crate::error::{Error, ErrorKind, Result};
use crate::vfs::{Lock, Vfs};

/// What the turnstile's name has behind the database's, as SQLite's own files beside it have `-wal` and `-shm`.
const TURN: &str = "-turn";

/// After how many turns the turnstile's file is opened anew: its name may be another file's by now.
const OPENED_AGAIN: u32 = 64;

/// A connection to an SQLite file.
pub(super) struct SqliteConnection {
    inner: rusqlite::Connection,
    path: PathBuf,
    turn: PathBuf,
    /// The turnstile, between two turns: to open its file for each took a tenth of an append.
    turnstile: Option<Box<dyn Lock>>,
    turns: u32,
    /// The file as it was, if it was opened as one that nobody writes; and whether somebody has begun to.
    still: Option<Still>,
    is_disturbed: bool,
    vfs: Arc<dyn Vfs>,
    patience: Duration,
}

impl SqliteConnection {
    pub(super) fn new(
        inner: rusqlite::Connection,
        path: &Path,
        (vfs, still): (Arc<dyn Vfs>, Option<Still>),
        patience: Duration,
    ) -> Self {
        let mut turn = path.as_os_str().to_owned();
        turn.push(TURN);
        Self {
            inner,
            path: path.to_owned(),
            turn: turn.into(),
            turnstile: None,
            turns: 0,
            still,
            is_disturbed: false,
            vfs,
            patience,
        }
    }

    fn error(&self, action: &str) -> impl Fn(rusqlite::Error) -> Error {
        move |error| errors::of(action, &self.path, &error)
    }

    fn run(&self, action: &str, sql: &str) -> Result<()> {
        let mut statement = self.inner.prepare_cached(sql).map_err(self.error(action))?;
        statement.raw_execute().map(drop).map_err(self.error(action))
    }

    /// Asks, and lends each row of the answer.
    fn ask(&self, sql: &str, values: &[Value<'_>], each: &mut Each<'_>) -> Result<()> {
        let mut statement = self.inner.prepare_cached(sql).map_err(self.error("read"))?;
        bind(&mut statement, values).map_err(self.error("read"))?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(self.error("read"))? {
            if each(&SqliteRow(row))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Lets the next one have the turn.
    fn give_turn(&mut self, turn: Option<Box<dyn Lock>>) {
        self.turns = (self.turns + 1) % OPENED_AGAIN;
        self.turnstile = turn.filter(|turn| self.turns > 0 && turn.release());
    }

    /// Waits to be the next one who writes. Where no lock can be had, SQLite's own order has to do.
    fn take_turn(&mut self) -> Result<Option<Box<dyn Lock>>> {
        if let Some(turnstile) = self.turnstile.take() {
            if turnstile.retake().is_ok_and(|taken| taken) {
                return Ok(Some(turnstile));
            }
        }
        let mut can_lock = true;
        let turn = Deadline::after(self.patience).wait(|| match self.vfs.try_lock(&self.turn) {
            Ok(lock) => Ok(lock),
            Err(_) => {
                can_lock = false;
                // Ends the waiting.
                Err(Error::new(ErrorKind::Unsupported, "no locks"))
            }
        });
        match turn {
            Ok(Some(lock)) => Ok(Some(lock)),
            Err(_) if !can_lock => Ok(None),
            Ok(None) | Err(_) => {
                let reason = "others have been waiting to write for as long as this call waits; try again";
                Err(Error::new(ErrorKind::Locked, reason).at(&self.path, None))
            }
        }
    }
}

/// Gives a statement its values.
fn bind(statement: &mut rusqlite::Statement<'_>, values: &[Value<'_>]) -> rusqlite::Result<()> {
    for (at, value) in (1..).zip(values) {
        match value {
            Value::Null => statement.raw_bind_parameter(at, Null)?,
            Value::Int(number) => statement.raw_bind_parameter(at, number)?,
            Value::Text(text) => statement.raw_bind_parameter(at, &**text)?,
            Value::Bytes(bytes) => statement.raw_bind_parameter(at, &**bytes)?,
            Value::Real(bits) => statement.raw_bind_parameter(at, f64::from_bits(*bits))?,
            Value::Broken(bytes) => {
                statement.raw_bind_parameter(at, ToSqlOutput::Borrowed(ValueRef::Text(bytes)))?;
            }
        }
    }
    Ok(())
}

impl Connection for SqliteConnection {
    fn begin_write(&mut self) -> Result<()> {
        self.rollback();
        let turn = self.take_turn()?;
        let begun = self.run("begin to write", "BEGIN IMMEDIATE");
        // Order: the lock on the database is held before the turn is given away.
        self.give_turn(turn);
        begun
    }

    fn begin_read(&mut self) -> Result<()> {
        self.rollback();
        self.run("begin to read", "BEGIN")
    }

    fn commit(&mut self) -> Result<()> {
        self.run("commit", "COMMIT")
    }

    fn rollback(&mut self) {
        if !self.inner.is_autocommit() {
            // What cannot even be rolled back is rolled back when the connection is closed.
            self.run("roll back", "ROLLBACK").ok();
        }
    }

    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64> {
        let mut statement = self.inner.prepare_cached(sql).map_err(self.error("write"))?;
        bind(&mut statement, values).map_err(self.error("write"))?;
        let changed = statement.raw_execute().map_err(self.error("write"))?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    /// Statements that follow each other with the same text are looked for among those that are prepared once.
    fn execute_all(&mut self, statements: &[Statement<'_>]) -> Result<()> {
        for run in statements.chunk_by(|one, next| one.sql == next.sql) {
            let sql = run.first().map_or("", |first| &first.sql);
            let mut statement = self.inner.prepare_cached(sql).map_err(self.error("write"))?;
            for Statement { values, .. } in run {
                bind(&mut statement, values).map_err(self.error("write"))?;
                statement.raw_execute().map_err(self.error("write"))?;
            }
        }
        Ok(())
    }

    fn others_mark(&mut self) -> Result<Option<i64>> {
        first(self, "PRAGMA data_version", &[], |row| row.int(0))
    }

    fn query(&mut self, sql: &str, values: &[Value<'_>], each: &mut Each<'_>) -> Result<()> {
        let done = self.ask(sql, values, each);
        let Some(still) = &self.still else { return done };
        // Whatever was read, and whatever was wrong with it, does not count if somebody has written meanwhile.
        if let Err(error) = still.check() {
            self.is_disturbed = true;
            return Err(error);
        }
        done
    }

    fn is_usable(&self) -> bool {
        self.inner.is_autocommit() && !self.is_disturbed
    }

    fn has_view(&mut self, name: &str, statement: &str) -> Result<Option<bool>> {
        let sql = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'view' AND name = ?1 AND sql = ?2";
        let count = first(self, sql, &[Value::text(name), Value::text(statement)], |row| row.int(0))?;
        Ok(Some(count == Some(1)))
    }

    fn rebuild_indexes(&mut self) -> Result<()> {
        self.run("make the indexes anew", "REINDEX")
    }

    fn rewrite_files(&mut self) -> Result<()> {
        self.rollback();
        let action = "write the database anew";
        self.inner.pragma_update(None, "secure_delete", true).map_err(self.error(action))?;
        self.inner.flush_prepared_statement_cache();
        self.inner.execute_batch("VACUUM").map_err(self.error(action))?;
        // Until then the log that is written ahead has what there was, and the file too.
        let done = Deadline::after(self.patience).wait(|| {
            let busy =
                self.inner.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get::<_, i64>(0));
            Ok((busy.map_err(self.error(action))? == 0).then_some(()))
        })?;
        done.ok_or_else(|| {
            let reason = "others have been reading an older state of the database for as long as this call waits, which keeps what was \
                          erased in its files; end them and erase again, or open the store for writing, which goes on with it";
            Error::new(ErrorKind::Locked, reason).at(&self.path, None)
        })
    }

    fn check_integrity(&mut self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        self.query("PRAGMA integrity_check", &[], &mut |row| {
            found.push(row.text(0)?.to_owned());
            Ok(ControlFlow::Continue(()))
        })?;
        found.retain(|text| text != "ok");
        Ok(found)
    }

    fn size(&mut self) -> Result<u64> {
        let sql = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
        let bytes: i64 = self.inner.query_row(sql, (), |row| row.get(0)).map_err(self.error("read"))?;
        Ok(u64::try_from(bytes).unwrap_or_default())
    }
}

/// A row that SQLite stands at.
struct SqliteRow<'r>(&'r rusqlite::Row<'r>);

impl SqliteRow<'_> {
    fn value(&self, at: usize) -> Result<ValueRef<'_>> {
        self.0.get_ref(at).map_err(|error| Error::new(ErrorKind::Corrupt, format!("column {at}: {error}")))
    }

    fn wrong(at: usize, is: ValueRef<'_>, ought: &str) -> Error {
        Error::new(ErrorKind::Corrupt, format!("column {at} holds {}, not {ought}", is.data_type()))
    }
}

impl Row for SqliteRow<'_> {
    fn is_null(&self, at: usize) -> Result<bool> {
        Ok(self.value(at)? == ValueRef::Null)
    }

    fn int(&self, at: usize) -> Result<i64> {
        let value = self.value(at)?;
        value.as_i64().map_err(|_| Self::wrong(at, value, "a number"))
    }

    fn text(&self, at: usize) -> Result<&str> {
        let value = self.value(at)?;
        value.as_str().map_err(|_| Self::wrong(at, value, "a text"))
    }

    fn bytes(&self, at: usize) -> Result<&[u8]> {
        let value = self.value(at)?;
        value.as_blob().map_err(|_| Self::wrong(at, value, "bytes"))
    }

    fn any(&self, at: usize) -> Result<Value<'static>> {
        Ok(match self.value(at)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Int(number),
            ValueRef::Real(number) => Value::Real(number.to_bits()),
            ValueRef::Text(bytes) => match str::from_utf8(bytes) {
                Ok(text) => Value::text(text.to_owned()),
                Err(_) => Value::Broken(bytes.to_vec().into()),
            },
            ValueRef::Blob(bytes) => Value::bytes(bytes.to_vec()),
        })
    }
}
