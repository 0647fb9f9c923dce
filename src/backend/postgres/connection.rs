//! One connection to a PostgreSQL server.
//!
//! Owns the transactions: who writes locks the one row of `aral_meta`, or, before there is one, takes the lock that creation takes.
//! A connection that did not answer in time is of no further use: what it does then is unknown.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};
use tokio_postgres::{Client, RowStream, Statement as Prepared};

use super::calls::{Calls, at_once, together};
use super::errors;
use crate::backend::sql::connection::{Connection, Each, Row, Statement, Value};
use crate::error::{Error, ErrorKind, Result};

/// How many statements a connection keeps prepared.
const PREPARED: usize = 256;

/// How many statements are sent before an answer is waited for.
const SENT_AT_ONCE: usize = 512;

/// How many rows are taken at once, if they are there.
const ROWS_AT_ONCE: usize = 128;

/// Whether a connection is in a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    InTransaction,
    /// A statement of the transaction failed: the server would answer a commit of it as if it were one.
    Failed,
    /// It did not answer in time.
    Broken,
}

/// A connection to a PostgreSQL server.
pub(super) struct PostgresConnection {
    client: Client,
    prepared: HashMap<String, Prepared>,
    state: State,
    place: PathBuf,
    schema: String,
    /// The code of the last refusal.
    refusal: Option<SqlState>,
    /// How long an answer is waited for.
    limit: Duration,
    /// Last, so that it is dropped last.
    calls: Calls,
}

type Answer<T> = std::result::Result<T, tokio_postgres::Error>;

impl PostgresConnection {
    pub(super) fn new(client: Client, calls: Calls, (place, schema): (&Path, &str), limit: Duration) -> Self {
        let (place, schema) = (place.to_owned(), schema.to_owned());
        Self {
            client,
            prepared: HashMap::new(),
            state: State::Idle,
            place,
            schema,
            refusal: None,
            limit,
            calls,
        }
    }

    /// What an answer comes to, whose absence breaks the connection.
    fn settle<T>(&mut self, action: &str, answer: Option<Answer<T>>) -> Result<T> {
        match answer {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => {
                if self.state == State::InTransaction {
                    self.state = State::Failed;
                }
                self.refusal = error.code().cloned();
                Err(errors::of(action, &self.place, &error))
            }
            None => {
                self.state = State::Broken;
                let reason = format!(
                    "cannot {action}: the server did not answer within {} seconds; see whether it is there, and try again",
                    self.limit.as_secs()
                );
                Err(Error::new(ErrorKind::Io, reason).at(&self.place, None))
            }
        }
    }

    /// Carries statements without values out, in one round trip.
    fn run(&mut self, action: &str, sql: &str) -> Result<()> {
        let answer = self.calls.wait(self.limit, self.client.batch_execute(sql));
        self.settle(action, answer)
    }

    /// Begins a transaction with these statements.
    fn begin(&mut self, action: &str, sql: &str) -> Result<()> {
        self.rollback();
        if self.state == State::Broken {
            return Err(
                Error::new(ErrorKind::Io, "the connection did not answer before").at(&self.place, None)
            );
        }
        self.state = State::InTransaction;
        self.refusal = None;
        self.run(action, sql)
    }

    /// Begins a transaction of the one who may make the tables, or of the one who writes, if they are there by then.
    fn begin_to_create(&mut self) -> Result<()> {
        // Each schema has a lock of its own.
        let which = i32::from_be_bytes(crc32fast::hash(self.schema.as_bytes()).to_be_bytes());
        let locks = i32::from_be_bytes(*b"aral");
        let lock =
            format!("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({locks}, {which})");
        self.begin("begin to write", &lock)?;
        let made = format!(
            "DO $$ BEGIN \
               IF to_regclass('\"{0}\".aral_meta') IS NOT NULL THEN \
                 PERFORM 1 FROM aral_meta WHERE one = 1 FOR UPDATE; \
               ELSIF to_regnamespace('\"{0}\"') IS NULL THEN \
                 CREATE SCHEMA \"{0}\"; \
               END IF; \
             END $$",
            self.schema
        );
        self.run("begin to write", &made)
    }

    /// The prepared form of a statement.
    fn prepare(&mut self, action: &str, sql: &str) -> Result<Prepared> {
        if let Some(prepared) = self.prepared.get(sql) {
            return Ok(prepared.clone());
        }
        let written = sql.replace('?', "$");
        let answer = self.calls.wait(self.limit, self.client.prepare(&written));
        let prepared = self.settle(action, answer)?;
        if self.prepared.len() >= PREPARED {
            self.prepared.clear();
        }
        self.prepared.insert(sql.to_owned(), prepared.clone());
        Ok(prepared)
    }

    /// The next rows, and whether there may be more. A stream that has ended must not be asked again.
    fn rows(&mut self, stream: &mut Pin<Box<RowStream>>) -> Result<(Vec<tokio_postgres::Row>, bool)> {
        let taken = self.calls.wait(self.limit, async {
            let mut rows = Vec::new();
            let Some(row) = stream.next().await else { return Ok((rows, false)) };
            rows.push(row?);
            while rows.len() < ROWS_AT_ONCE {
                match at_once(stream.next()).await {
                    Some(Some(row)) => rows.push(row?),
                    Some(None) => return Ok((rows, false)),
                    None => break,
                }
            }
            Ok((rows, true))
        });
        self.settle("read", taken)
    }
}

impl Connection for PostgresConnection {
    fn begin_write(&mut self) -> Result<()> {
        let sql = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT 1 FROM aral_meta WHERE one = 1 FOR UPDATE";
        match self.begin("begin to write", sql) {
            Err(_) if self.refusal == Some(SqlState::UNDEFINED_TABLE) => self.begin_to_create(),
            begun => begun,
        }
    }

    fn begin_read(&mut self) -> Result<()> {
        self.begin("begin to read", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    }

    fn commit(&mut self) -> Result<()> {
        if self.state != State::InTransaction {
            self.rollback();
            return Err(Error::new(ErrorKind::Io, "there is no transaction to commit").at(&self.place, None));
        }
        self.run("commit", "COMMIT")?;
        self.state = State::Idle;
        Ok(())
    }

    fn rollback(&mut self) {
        if matches!(self.state, State::InTransaction | State::Failed) {
            self.state = if self.run("roll back", "ROLLBACK").is_ok() { State::Idle } else { State::Broken };
        }
    }

    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64> {
        let prepared = self.prepare("write", sql)?;
        let parameters = values.iter().map(Parameter);
        let answer = self.calls.wait(self.limit, self.client.execute_raw(&prepared, parameters));
        self.settle("write", answer)
    }

    fn execute_all(&mut self, statements: &[Statement<'_>]) -> Result<()> {
        for part in statements.chunks(SENT_AT_ONCE) {
            let mut futures = Vec::with_capacity(part.len());
            for statement in part {
                futures.push((self.prepare("write", statement.sql)?, statement.values.as_slice()));
            }
            let client = &self.client;
            let sent = futures
                .iter()
                .map(|(prepared, values)| client.execute_raw(prepared, values.iter().map(Parameter)));
            let answers = self.calls.wait(self.limit, together(sent.collect()));
            // The first that failed says why; those behind it only that one before them did.
            let answer = answers.map(|answers| answers.into_iter().collect::<Answer<Vec<_>>>());
            self.settle("write", answer)?;
        }
        Ok(())
    }

    fn query(&mut self, sql: &str, values: &[Value<'_>], each: &mut Each<'_>) -> Result<()> {
        let prepared = self.prepare("read", sql)?;
        let parameters = values.iter().map(Parameter);
        let asked = self.calls.wait(self.limit, self.client.query_raw(&prepared, parameters));
        let mut stream = Box::pin(self.settle("read", asked)?);
        loop {
            let (rows, is_open) = self.rows(&mut stream)?;
            for row in &rows {
                if each(&PostgresRow(row))?.is_break() {
                    return Ok(());
                }
            }
            if !is_open {
                return Ok(());
            }
        }
    }

    fn is_usable(&self) -> bool {
        self.state == State::Idle && !self.client.is_closed()
    }

    /// Nothing: a server that finds a damaged page says so when the page is read, and all of them are.
    fn check_integrity(&mut self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn size(&mut self) -> Result<u64> {
        let sql = "SELECT CAST(COALESCE(SUM(pg_total_relation_size(c.oid)), 0) AS BIGINT) FROM pg_class c \
                   WHERE c.relnamespace = to_regnamespace(quote_ident(current_schema())) AND c.relkind = 'r' \
                   AND c.relname LIKE 'aral\\_%'";
        let bytes = crate::backend::sql::connection::first(self, sql, &[], |row| row.int(0))?;
        Ok(bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default())
    }
}

/// A value on its way to the server, which has said the type.
#[derive(Debug)]
struct Parameter<'v>(&'v Value<'v>);

type Encoded = std::result::Result<IsNull, Box<dyn StdError + Sync + Send>>;

impl ToSql for Parameter<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Encoded {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(number) => number.to_sql_checked(kind, out),
            Value::Text(text) => text.as_ref().to_sql_checked(kind, out),
            Value::Bytes(bytes) => bytes.as_ref().to_sql_checked(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, kind: &Type, out: &mut BytesMut) -> Encoded {
        self.to_sql(kind, out)
    }
}

/// Whether a column is NULL, whatever its type.
struct IsPresent(bool);

impl FromSql<'_> for IsPresent {
    fn from_sql(_: &Type, _: &[u8]) -> std::result::Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(true))
    }

    fn from_sql_null(_: &Type) -> std::result::Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(false))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A row that has come.
struct PostgresRow<'r>(&'r tokio_postgres::Row);

impl PostgresRow<'_> {
    fn value<'r, T: FromSql<'r>>(&'r self, at: usize) -> Result<T> {
        self.0.try_get(at).map_err(|error| Error::new(ErrorKind::Corrupt, format!("column {at}: {error}")))
    }
}

impl Row for PostgresRow<'_> {
    fn is_null(&self, at: usize) -> Result<bool> {
        self.value::<IsPresent>(at).map(|present| !present.0)
    }

    fn int(&self, at: usize) -> Result<i64> {
        self.value(at)
    }

    fn text(&self, at: usize) -> Result<&str> {
        self.value(at)
    }

    fn bytes(&self, at: usize) -> Result<&[u8]> {
        self.value(at)
    }
}
