//! The cursors of consumers, as rows of a table.
//!
//! Owns the table `aral_consumers`, which only a consumer makes, and the lease by which one process at a time has a row: until a
//! time, which it moves on as long as it lives. A clock that is wrong makes two have it, and then only the newer one moves it on.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::columns::number_at;
use super::connection::{Connection, Connector, Dialect, Purpose, Row, Statement, Value, all, first, placed};
use super::pool::Pool;
use crate::backend::cursors::{Cursors, HeldCursor, KeptConsumer, status};
use crate::backend::follow::Follower;
use crate::clock::{Clock, random_id};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ConsumerCursor, ConsumerStatus, Seq};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS aral_consumers (
    name TEXT NOT NULL PRIMARY KEY,
    acknowledged BIGINT NOT NULL,
    event_schema BIGINT,
    event_crc BIGINT,
    token {blob} NOT NULL,
    holder TEXT NOT NULL,
    held_until BIGINT NOT NULL
)";

const LOOK: &str =
    "SELECT name, acknowledged, event_schema, event_crc, token, holder, held_until FROM aral_consumers";

/// For how long one that was killed counts as reading.
const LEASE: Duration = Duration::from_secs(30);

/// How often one that lives says so.
const RENEWED: Duration = Duration::from_secs(10);

/// A row of the table.
struct Kept {
    name: String,
    cursor: ConsumerCursor,
    token: Vec<u8>,
    holder: String,
    held_until: i64,
}

fn kept(row: &dyn Row) -> Result<Kept> {
    let event = if row.is_null(2)? || row.is_null(3)? {
        None
    } else {
        u16::try_from(row.int(2)?).ok().zip(u32::try_from(row.int(3)?).ok())
    };
    Ok(Kept {
        name: row.text(0)?.to_owned(),
        cursor: ConsumerCursor::new(number_at(row, 1)?, event),
        token: row.bytes(4)?.to_owned(),
        holder: row.text(5)?.to_owned(),
        held_until: row.int(6)?,
    })
}

fn is_there(connection: &mut dyn Connection, dialect: Dialect) -> Result<bool> {
    let named = [Value::text("aral_consumers")];
    Ok(first(connection, dialect.count_tables, &named, |row| row.int(0))?.unwrap_or(0) > 0)
}

/// The row of a consumer, in a table that is made if there is none.
fn look(connection: &mut dyn Connection, dialect: Dialect, name: &str) -> Result<Option<Kept>> {
    if !is_there(connection, dialect)? {
        connection.execute(&CREATE.replace("{blob}", dialect.blob), &[])?;
        return Ok(None);
    }
    first(connection, &format!("{LOOK} WHERE name = ?1"), &[Value::text(name)], kept)
}

/// How many tables of consumers there are, of which there is one or none.
pub(super) fn count(dialect: Dialect) -> Statement<'static> {
    Statement::new(dialect.count_tables, [Value::text("aral_consumers")])
}

/// Every row of the table.
fn rows(connection: &mut dyn Connection, now_micros: i64) -> Result<Vec<KeptConsumer>> {
    all(connection, &format!("{LOOK} ORDER BY name"), &[], |row| {
        let Kept { name, cursor, holder, held_until, .. } = kept(row)?;
        Ok(KeptConsumer { name, cursor: Ok(cursor), holder: (held_until > now_micros).then_some(holder) })
    })
}

/// How far the consumers have come, where there is a table of them.
pub(super) fn statuses(
    connection: &mut dyn Connection,
    now_micros: i64,
    last: Seq,
) -> Result<Vec<ConsumerStatus>> {
    Ok(rows(connection, now_micros)?.into_iter().map(|kept| status(kept, 1, last)).collect())
}

/// The cursors of a database.
pub(super) struct SqlCursors<'e> {
    pub(super) connector: Arc<dyn Connector>,
    pub(super) pool: Arc<Pool>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) is_read_only: bool,
    pub(super) follow: Box<dyn Fn(Seq) -> Result<Follower> + Send + Sync + 'e>,
}

impl fmt::Debug for SqlCursors<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlCursors").field("connector", &self.connector).finish_non_exhaustive()
    }
}

impl Cursors for SqlCursors<'_> {
    fn list(&self) -> Result<Vec<KeptConsumer>> {
        let (dialect, now) = (self.connector.dialect(), self.clock.now_micros());
        self.pool.read(|connection| {
            if !is_there(connection, dialect)? {
                return Ok(Vec::new());
            }
            rows(connection, now)
        })
    }

    fn follow(&self, from: Seq) -> Result<Follower> {
        (self.follow)(from)
    }

    fn first_kept(&self) -> Result<Seq> {
        Ok(1)
    }

    fn hold(&self, name: &str) -> Result<Box<dyn HeldCursor>> {
        if self.is_read_only {
            let reason = "a consumer's cursor is kept in the database, which was opened for reading; open it for writing";
            return Err(Error::new(ErrorKind::ReadOnly, reason).at(self.connector.place(), None));
        }
        let row = HeldRow {
            connector: Arc::clone(&self.connector),
            clock: Arc::clone(&self.clock),
            name: name.to_owned(),
            token: random_id(),
        };
        let mut connection = None;
        row.in_transaction(&mut connection, |row, connection| {
            row.must_be_free(connection)?;
            let sql = "UPDATE aral_consumers SET token = ?1, holder = ?2, held_until = ?3 WHERE name = ?4";
            connection.execute(sql, &[row.token(), row.holder(), row.until(), Value::text(&*row.name)])
        })?;
        let renewal = row.clone().renewed_by_a_thread(self.connector.place())?;
        Ok(Box::new(Held { row, connection, _renewal: renewal }))
    }
}

/// The row that somebody has.
#[derive(Clone)]
struct HeldRow {
    connector: Arc<dyn Connector>,
    clock: Arc<dyn Clock>,
    name: String,
    /// What this holder is known by.
    token: [u8; 16],
}

impl HeldRow {
    fn token(&self) -> Value<'_> {
        Value::bytes(&self.token[..])
    }

    #[expect(clippy::unused_self, reason = "it is this process whoever asks")]
    fn holder(&self) -> Value<'static> {
        Value::text(format!("process {}", std::process::id()))
    }

    fn until(&self) -> Value<'static> {
        let lease = i64::try_from(LEASE.as_micros()).unwrap_or(i64::MAX);
        Value::Int(self.clock.now_micros().saturating_add(lease))
    }

    /// Does something in a transaction that is durable when it returns, with a connection that is kept.
    fn in_transaction<T>(
        &self,
        kept: &mut Option<Box<dyn Connection>>,
        mut act: impl FnMut(&Self, &mut dyn Connection) -> Result<T>,
    ) -> Result<T> {
        let at = |error| placed(error, self.connector.place());
        let (mut connection, was_kept) = match kept.take() {
            Some(connection) => (connection, true),
            None => (self.connector.connect(Purpose::WriteDurably).map_err(at)?, false),
        };
        if let Err(error) = connection.begin_write() {
            connection.rollback();
            // One that broke while nobody used it shows it here.
            if !was_kept || connection.is_usable() {
                return Err(at(error));
            }
            connection = self.connector.connect(Purpose::WriteDurably).map_err(at)?;
            connection.begin_write().map_err(at)?;
        }
        let done = act(self, &mut *connection).and_then(|value| connection.commit().map(|()| value));
        if done.is_err() {
            connection.rollback();
        }
        if connection.is_usable() {
            *kept = Some(connection);
        }
        done.map_err(at)
    }

    /// Refuses what somebody else has by now, and gives the row if there is one.
    fn must_be_free(&self, connection: &mut dyn Connection) -> Result<Option<Kept>> {
        let row = look(connection, self.connector.dialect(), &self.name)?;
        let now = self.clock.now_micros();
        match row {
            Some(Kept { token, holder, held_until, .. }) if token != self.token && held_until > now => {
                let left =
                    Duration::from_micros(u64::try_from(held_until - now).unwrap_or_default()).as_secs() + 1;
                let reason = format!(
                    "consumer {:?} is read by {holder}, and by one at a time; one that was killed counts as reading for {left} s more",
                    self.name
                );
                Err(Error::new(ErrorKind::Locked, reason))
            }
            row => Ok(row),
        }
    }

    /// Moves the lease on as long as what is returned lives.
    fn renewed_by_a_thread(self, place: &std::path::Path) -> Result<Sender<()>> {
        let (renewal, ended) = channel();
        let renew = move || {
            let mut connection = None;
            while ended.recv_timeout(RENEWED) == Err(RecvTimeoutError::Timeout) {
                // Who cannot renew it may lose it, which shows when the cursor is moved.
                let renewed = self.in_transaction(&mut connection, |row, connection| {
                    let sql = "UPDATE aral_consumers SET held_until = ?1 WHERE name = ?2 AND token = ?3";
                    connection.execute(sql, &[row.until(), Value::text(&*row.name), row.token()])
                });
                drop(renewed);
            }
        };
        let started = std::thread::Builder::new().name("aral-store consumer".to_owned()).spawn(renew);
        started.map(|_| renewal).map_err(|error| Error::io("start a thread for", place, error))
    }
}

/// A cursor whose lease is held.
struct Held {
    row: HeldRow,
    connection: Option<Box<dyn Connection>>,
    /// Ends the renewing of the lease when it goes.
    _renewal: Sender<()>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("name", &self.row.name).finish_non_exhaustive()
    }
}

/// The columns of a cursor.
fn columns(cursor: ConsumerCursor) -> [Value<'static>; 3] {
    let (schema, crc) = match cursor.event {
        Some((schema, crc)) => (Value::Int(schema.into()), Value::Int(crc.into())),
        None => (Value::Null, Value::Null),
    };
    [Value::number(cursor.acknowledged), schema, crc]
}

impl HeldCursor for Held {
    fn read(&mut self) -> Result<Option<ConsumerCursor>> {
        self.row.in_transaction(&mut self.connection, |row, connection| {
            Ok(look(connection, row.connector.dialect(), &row.name)?.map(|kept| kept.cursor))
        })
    }

    fn claim(&mut self, cursor: ConsumerCursor) -> Result<()> {
        self.row.in_transaction(&mut self.connection, |row, connection| {
            row.must_be_free(connection)?;
            connection.execute("DELETE FROM aral_consumers WHERE name = ?1", &[Value::text(&*row.name)])?;
            let sql = "INSERT INTO aral_consumers (name, acknowledged, event_schema, event_crc, token, holder, held_until) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let [acknowledged, schema, crc] = columns(cursor);
            let values =
                [Value::text(&*row.name), acknowledged, schema, crc, row.token(), row.holder(), row.until()];
            connection.execute(sql, &values).map(drop)
        })
    }

    fn advance(&mut self, cursor: ConsumerCursor) -> Result<()> {
        self.row.in_transaction(&mut self.connection, |row, connection| {
            let sql = "UPDATE aral_consumers SET acknowledged = ?1, event_schema = ?2, event_crc = ?3, held_until = ?4 \
                       WHERE name = ?5 AND token = ?6";
            let [acknowledged, schema, crc] = columns(cursor);
            let values = [acknowledged, schema, crc, row.until(), Value::text(&*row.name), row.token()];
            if connection.execute(sql, &values)? > 0 {
                return Ok(());
            }
            let Some(kept) = look(connection, row.connector.dialect(), &row.name)? else {
                return Err(Error::new(ErrorKind::NotFound, "this consumer was removed meanwhile"));
            };
            let by = if kept.holder.is_empty() { "another process" } else { kept.holder.as_str() };
            let reason = format!(
                "this consumer has been taken over by {by}, which is given again what was not acknowledged until then; nothing more \
                 can be acknowledged here"
            );
            Err(Error::new(ErrorKind::Locked, reason))
        })
    }

    fn remove(&mut self) -> Result<()> {
        self.row.in_transaction(&mut self.connection, |row, connection| {
            let sql = "DELETE FROM aral_consumers WHERE name = ?1 AND token = ?2";
            match connection.execute(sql, &[Value::text(&*row.name), row.token()])? {
                0 => Err(Error::new(ErrorKind::NotFound, "there is no such consumer")),
                _ => Ok(()),
            }
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The next one need not wait until the lease ends by itself.
        let released = self.row.in_transaction(&mut self.connection, |row, connection| {
            // Without the token: a renewal that waits behind this must not find it.
            let sql = "UPDATE aral_consumers SET holder = '', held_until = 0, token = ?3 WHERE name = ?1 AND token = ?2";
            connection.execute(sql, &[Value::text(&*row.name), row.token(), Value::bytes(&b""[..])])
        });
        drop(released);
    }
}
