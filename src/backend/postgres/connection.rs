//! One connection to a PostgreSQL server.
//!
//! Owns the transactions: who writes locks the one row of `aral_meta`, or, before there is one, takes the lock that creation takes.
//! A connection that did not answer in time is of no further use: what it does then is unknown.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use futures_util::future::OptionFuture;
use futures_util::{StreamExt, TryStreamExt};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, RowStream, Statement as Prepared};

use super::calls::{Calls, at_once, followed_by, together};
use super::errors::{self, Stopped};
use super::rows::Count;
use super::trip::{Answer, Sent, simply, writes};
use super::values::{Parameter, PostgresRow, of, of_one};
use super::{listener, rows};
use crate::backend::sql::connection::{Connection, Each, EachOf, Relied, Statement, Unfinished, Value};
use crate::error::{Error, ErrorKind, Result};

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
    pub(super) client: Client,
    pub(super) prepared: HashMap<String, Prepared>,
    state: State,
    place: PathBuf,
    schema: String,
    rings: String,
    /// What asks whether somebody listens.
    pub(super) is_heard: String,
    /// Whether somebody listened to the last transaction that asked.
    was_heard: bool,
    /// The code of the last refusal.
    refusal: Option<SqlState>,
    /// How long an answer is waited for.
    pub(super) limit: Duration,
    /// Last, so that it is dropped last.
    pub(super) calls: Calls,
}

/// Begins the transaction of one who writes.
const LOCK: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT 1 FROM aral_meta WHERE one = 1 FOR UPDATE";

impl PostgresConnection {
    pub(super) fn new(client: Client, calls: Calls, (place, schema): (&Path, &str), limit: Duration) -> Self {
        let (place, schema) = (place.to_owned(), schema.to_owned());
        Self {
            client,
            prepared: HashMap::new(),
            state: State::Idle,
            place,
            rings: listener::rings(&schema),
            is_heard: listener::is_heard(&schema),
            was_heard: false,
            schema,
            refusal: None,
            limit,
            calls,
        }
    }

    /// What an answer comes to, whose absence breaks the connection.
    pub(super) fn settle<T>(&mut self, action: &str, answer: Option<Answer<T>>) -> Result<T> {
        match answer {
            Some(answer) => answer.map_err(|error| self.failed(action, &error)),
            None => Err(self.unanswered(action)),
        }
    }

    /// The error that stands for one of a statement's.
    fn failed(&mut self, action: &str, error: &tokio_postgres::Error) -> Error {
        if self.state == State::InTransaction {
            self.state = State::Failed;
        }
        self.refusal = error.code().cloned();
        errors::of(action, &self.place, error)
    }

    fn unanswered(&mut self, action: &str) -> Error {
        self.state = State::Broken;
        let reason = format!(
            "cannot {action}: the server did not answer within {} seconds; see whether it is there, and try again",
            self.limit.as_secs()
        );
        Error::new(ErrorKind::Io, reason).at(&self.place, None)
    }

    /// Carries statements without values out, in one round trip.
    fn run(&mut self, action: &str, sql: &str) -> Result<()> {
        let answer = self.calls.wait(self.limit, self.client.batch_execute(sql));
        self.settle(action, answer)
    }

    /// Begins a transaction with these statements.
    fn begin(&mut self, action: &str, sql: &str) -> Result<()> {
        self.rollback();
        self.must_answer()?;
        self.state = State::InTransaction;
        self.refusal = None;
        self.run(action, sql)
    }

    fn must_answer(&self) -> Result<()> {
        if self.state != State::Broken {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Io, "the connection did not answer before").at(&self.place, None))
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

    /// Why a statement failed that was a transaction by itself.
    fn stopped(&mut self, error: &tokio_postgres::Error) -> Unfinished {
        let failed = self.failed("write", error);
        if errors::is_certain(error) { Unfinished::Refused(failed) } else { Unfinished::Open(failed) }
    }

    /// Takes in whether somebody listens. Whoever has begun to since the last transaction is told of this one now.
    fn hear(&mut self, said: &tokio_postgres::Row) {
        let is_heard = said.try_get(0).unwrap_or(true);
        if is_heard && !self.was_heard {
            // Whether it can be told changes nothing about what took place.
            self.ring().ok();
        }
        self.was_heard = is_heard;
    }

    /// Asks questions in one round trip, behind the beginning of a transaction if there is one.
    fn ask_all(
        &mut self,
        begin: Option<&'static str>,
        questions: &[Statement<'_>],
        each: &mut EachOf<'_>,
    ) -> Result<()> {
        let prepared = self.prepare_all("read", questions)?;
        let client = &self.client;
        let mut sent: Vec<Sent<'_, Vec<tokio_postgres::Row>>> = Vec::with_capacity(questions.len() + 1);
        sent.extend(begin.map(|sql| -> Sent<'_, _> {
            Box::pin(async move { client.batch_execute(sql).await.map(|()| Vec::new()) })
        }));
        for (prepared, question) in prepared.iter().zip(questions) {
            let values = question.values.iter().map(Parameter);
            sent.push(Box::pin(async move { client.query_raw(prepared, values).await?.try_collect().await }));
        }
        let answers = self.calls.wait(self.limit, together(sent));
        let answers = answers.map(|answers| answers.into_iter().collect::<Answer<Vec<_>>>());
        let action = if begin.is_some() { "begin to write" } else { "read" };
        let answers = self.settle(action, answers)?;
        let rows = answers.iter().skip(usize::from(begin.is_some())).enumerate();
        rows.flat_map(|(at, rows)| rows.iter().map(move |row| (at, row)))
            .try_for_each(|(at, row)| each(at, &PostgresRow(row)))
    }

    /// What became of a transaction whose last statements were sent together with its commit.
    fn ended(&mut self, answers: Option<Vec<Answer<u64>>>) -> Result<(), Stopped> {
        let Some(mut answers) = answers else { return Err(Stopped::by_itself(self.unanswered("commit"))) };
        let commit = answers.pop().unwrap_or(Ok(0));
        if let Some(error) = answers.into_iter().find_map(Result::err) {
            let stopped = Stopped::by(self.failed("write", &error), &error);
            // The commit behind it was carried out as the rollback that it could only be.
            if stopped.is_certain() && commit.is_ok() {
                self.state = State::Idle;
            }
            return Err(stopped);
        }
        commit.map_err(|error| Stopped::by_itself(self.failed("commit", &error)))?;
        self.state = State::Idle;
        Ok(())
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
        match self.begin("begin to write", LOCK) {
            Err(_) if self.refusal == Some(SqlState::UNDEFINED_TABLE) => self.begin_to_create(),
            begun => begun,
        }
    }

    fn begin_write_and_ask(&mut self, questions: &[Statement<'_>], each: &mut EachOf<'_>) -> Result<()> {
        self.rollback();
        self.must_answer()?;
        // Order: before the transaction, which would fail with a statement that does not fit the tables.
        if self.prepare_all("read", questions).is_ok() {
            self.state = State::InTransaction;
            return self.ask_all(Some(LOCK), questions, each);
        }
        // The tables are not there, or others than this software knows: the first question tells which.
        self.begin_write()?;
        questions.iter().enumerate().try_for_each(|(at, question)| {
            self.query(&question.sql, &question.values, &mut |row| each(at, row).map(ControlFlow::Continue))
        })
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
            let runs = self.prepare_runs(part)?;
            let answers = self.calls.wait(self.limit, together(writes(&self.client, &runs).collect()));
            // The first that failed says why; those behind it only that one before them did.
            let answer = answers.map(|answers| answers.into_iter().collect::<Answer<Vec<_>>>());
            self.settle("write", answer)?;
        }
        Ok(())
    }

    fn commit_with(&mut self, statements: &[Statement<'_>]) -> Result<(), Unfinished> {
        if self.state != State::InTransaction {
            return self.commit().map_err(Unfinished::Refused);
        }
        let (before, last) = statements.split_at(statements.len().saturating_sub(SENT_AT_ONCE));
        self.execute_all(before).map_err(Unfinished::Refused)?;
        let runs = self.prepare_runs(last).map_err(Unfinished::Refused)?;
        let mut sent: Vec<_> = writes(&self.client, &runs).collect();
        sent.push(simply(&self.client, "COMMIT"));
        let rings = self.client.batch_execute(&self.rings);
        let answers = self.calls.wait(self.limit, followed_by(together(sent), rings));
        self.ended(answers).map_err(Into::into)
    }

    fn transact(&mut self, take: &Statement<'_>, then: &[Statement<'_>]) -> Result<Relied, Unfinished> {
        self.rollback();
        self.must_answer().map_err(Unfinished::Refused)?;
        let runs: Vec<_> = rows::runs(then).collect();
        let count = if runs.iter().all(|rows| rows.len() == 1) { Count::One } else { Count::Several };
        let prepared = self.prepare_as_one(take, &runs, count).map_err(Unfinished::Refused)?;
        let arguments: Vec<_> = of_one(take).chain(runs.iter().flat_map(|rows| of(rows, count))).collect();
        let taken =
            async { self.client.query_raw(&prepared, arguments).await?.try_collect::<Vec<_>>().await };
        // Where nobody listened, nobody is told before somebody does.
        let rings = self.was_heard.then(|| self.client.batch_execute(&self.rings));
        match self.calls.wait(self.limit, followed_by(taken, OptionFuture::from(rings))) {
            None => Err(Unfinished::Open(self.unanswered("commit"))),
            Some(Ok(said)) => match said.first() {
                Some(said) => {
                    self.hear(said);
                    Ok(Relied::Rightly)
                }
                None => Ok(Relied::InVain),
            },
            Some(Err(error)) if errors::is_null_in(&error, "next_seq") => Ok(Relied::InVain),
            Some(Err(error)) => Err(self.stopped(&error)),
        }
    }

    fn ring(&mut self) -> Result<()> {
        let told = self.calls.wait(self.limit, self.client.batch_execute(&self.rings));
        self.settle("tell those who listen", told)
    }

    fn is_far(&self) -> bool {
        true
    }

    fn query_all(&mut self, questions: &[Statement<'_>], each: &mut EachOf<'_>) -> Result<()> {
        self.ask_all(None, questions, each)
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

    fn has_view(&mut self, name: &str, statement: &str) -> Result<Option<bool>> {
        super::views::is_made_by(self, name, statement)
    }

    fn must_rewrite_files(&mut self) -> Result<()> {
        super::rewriting::must_own_all(self)
    }

    fn rewrite_files(&mut self) -> Result<()> {
        self.rollback();
        self.must_answer()?;
        super::rewriting::wait_for_older_snapshots(self)?;
        for table in super::rewriting::tables(self)? {
            // The planner's statistics have samples of what columns hold, and are made anew with it.
            self.run("write the tables anew", &format!("VACUUM (FULL, ANALYZE) {table}"))?;
        }
        // Of those that there were. Whoever may not, or finds them in use, leaves them; they are named as out of reach in any case.
        super::rewriting::wait_for_older_snapshots(self).ok();
        self.run("write the statistics anew", "VACUUM (FULL) pg_catalog.pg_statistic").ok();
        Ok(())
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
