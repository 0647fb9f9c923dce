//! A connector that fails where it is told to.

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::connection::{
    Connection, Connector, Dialect, Each, EachOf, Purpose, Relied, Statement, Unfinished, Value,
};
use crate::error::{Error, ErrorKind, Result};

/// What happens to a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Commit {
    /// The connection dies before the database hears of it.
    Lost,
    /// The same, and before it is looked up another writer takes its place.
    Overtaken,
    /// The database carries it out, and the connection dies before the answer.
    Unanswered,
    /// The connection dies, and what was sent at once comes to the database much later: see [`Faults::late`].
    Adrift,
    /// The connection dies, and a while after that the database carries it out.
    Late,
}

/// What is done in the middle of something else.
type Meanwhile = Box<dyn FnOnce() + Send>;

/// The statements of those who change tables, and at which of them something happens.
#[derive(Default)]
pub(super) struct Statements {
    counted: AtomicU64,
    fails_at: Option<u64>,
    /// The process ends there, as by `kill -9`.
    kills_at: Option<u64>,
}

impl Statements {
    pub(super) fn fail_at(at: u64) -> Self {
        Self { fails_at: Some(at), ..Self::default() }
    }

    pub(super) fn kill_at(at: u64) -> Self {
        Self { kills_at: Some(at), ..Self::default() }
    }

    pub(super) fn count(&self) -> u64 {
        self.counted.load(Ordering::SeqCst)
    }

    /// Counts one, and lets happen what is to.
    fn next(&self) -> Result<()> {
        let at = Some(self.counted.fetch_add(1, Ordering::SeqCst));
        if at == self.kills_at {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        }
        if at == self.fails_at {
            return Err(Error::new(ErrorKind::NoSpace, "refused by the test"));
        }
        Ok(())
    }
}

/// What is to fail, and what happened.
#[derive(Default)]
pub(super) struct Faults {
    /// What happens to the next commit of a writer.
    pub(super) next_commit: Mutex<Option<Commit>>,
    /// How many connections for reading break next, each as it is to read.
    pub(super) broken_reads: AtomicU64,
    /// Whether the database is away: nobody can connect.
    pub(super) is_away: AtomicBool,
    /// What another writer does when a commit is overtaken.
    pub(super) meanwhile: Mutex<Option<Meanwhile>>,
    /// How many transactions that wrote were committed.
    pub(super) commits: AtomicU64,
    /// A statement that fails if this is in it or in its values.
    pub(super) refused: Mutex<Option<String>>,
    /// Whether the database says that it is at the other end of a network.
    pub(super) is_far: AtomicBool,
    /// Whether the database has no mark of what others write.
    pub(super) has_no_mark: AtomicBool,
    /// How many transactions relied on what was seen before, rightly and in vain.
    pub(super) relied: [AtomicU64; 2],
    /// The statements of a transaction that has not come to the database yet.
    pub(super) late: Mutex<Vec<Statement<'static>>>,
    pub(super) statements: Statements,
    /// The same of everybody who writes.
    pub(super) writes: Statements,
    /// How many questions were asked, one at a time or together.
    pub(super) questions: AtomicU64,
    /// How many calls would each go over a network once.
    pub(super) trips: AtomicU64,
    /// How often those who listen were told that something was written, besides by a commit. It fails each time.
    pub(super) rings: AtomicU64,
    /// How many migrations changed something.
    pub(super) migrations: AtomicU64,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(super) struct Faulty {
    pub(super) inner: Arc<dyn Connector>,
    pub(super) faults: Arc<Faults>,
}

struct Line {
    inner: Box<dyn Connection>,
    connector: Arc<dyn Connector>,
    faults: Arc<Faults>,
    writes: bool,
    migrates: bool,
    is_dead: bool,
}

fn owned(statement: &Statement<'_>) -> Statement<'static> {
    let values: Vec<_> = statement.values.iter().cloned().map(Value::into_owned).collect();
    Statement::new(statement.sql.clone(), values)
}

fn dead() -> Error {
    Error::new(ErrorKind::Io, "the connection is dead")
}

/// Lets the database carry a commit out when nobody waits for it any more.
#[expect(clippy::disallowed_methods, reason = "whoever looks it up is given time to look too early")]
fn commit_late(commit: impl FnOnce() + Send + 'static) {
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        commit();
    });
}

impl Connector for Faulty {
    fn files(&self) -> Vec<PathBuf> {
        self.inner.files()
    }

    fn dialect(&self) -> Dialect {
        self.inner.dialect()
    }

    fn place(&self) -> &Path {
        self.inner.place()
    }

    fn connect(&self, purpose: Purpose) -> Result<Box<dyn Connection>> {
        if self.faults.is_away.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Io, "the database is away"));
        }
        let (inner, faults) = (self.inner.connect(purpose)?, Arc::clone(&self.faults));
        let (writes, migrates) = (purpose != Purpose::Read, purpose == Purpose::Migrate);
        let connector = Arc::clone(&self.inner);
        Ok(Box::new(Line { inner, connector, faults, writes, migrates, is_dead: false }))
    }
}

impl Connection for Line {
    fn begin_write(&mut self) -> Result<()> {
        if self.is_dead { Err(dead()) } else { self.inner.begin_write() }
    }

    fn begin_read(&mut self) -> Result<()> {
        let breaks = |left: u64| left.checked_sub(1);
        self.is_dead |=
            self.faults.broken_reads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, breaks).is_ok();
        if self.is_dead { Err(dead()) } else { self.inner.begin_read() }
    }

    fn commit(&mut self) -> Result<()> {
        if self.writes {
            self.faults.writes.next()?;
        }
        if self.migrates {
            self.faults.statements.next()?;
        }
        let fault = if self.writes { self.faults.next_commit.lock().unwrap().take() } else { None };
        match fault {
            None => {
                self.inner.commit()?;
                self.faults.commits.fetch_add(self.writes.into(), Ordering::SeqCst);
                return Ok(());
            }
            Some(Commit::Lost | Commit::Adrift) => self.inner.rollback(),
            Some(Commit::Unanswered) => self.inner.commit()?,
            Some(Commit::Late) => {
                let another = self.connector.connect(Purpose::Read)?;
                let mut line = std::mem::replace(&mut self.inner, another);
                commit_late(move || line.commit().unwrap());
            }
            Some(Commit::Overtaken) => {
                self.inner.rollback();
                self.faults.meanwhile.lock().unwrap().take().into_iter().for_each(|act| act());
            }
        }
        self.is_dead = true;
        Err(dead())
    }

    fn begin_write_and_ask(&mut self, questions: &[Statement<'_>], each: &mut EachOf<'_>) -> Result<()> {
        self.begin_write()?;
        self.query_all(questions, each)
    }

    fn query_all(&mut self, questions: &[Statement<'_>], each: &mut EachOf<'_>) -> Result<()> {
        self.faults.trips.fetch_add(1, Ordering::SeqCst);
        questions.iter().enumerate().try_for_each(|(at, question)| {
            self.query(&question.sql, &question.values, &mut |row| each(at, row).map(ControlFlow::Continue))
        })
    }

    fn execute_all(&mut self, statements: &[Statement<'_>]) -> Result<()> {
        self.faults.trips.fetch_add(1, Ordering::SeqCst);
        statements.iter().try_for_each(|statement| self.execute(&statement.sql, &statement.values).map(drop))
    }

    /// Statements and the commit behind them go over together.
    fn commit_with(&mut self, statements: &[Statement<'_>]) -> Result<(), Unfinished> {
        self.execute_all(statements).map_err(Unfinished::Refused)?;
        self.commit().map_err(Unfinished::Open)
    }

    fn ring(&mut self) -> Result<()> {
        self.faults.rings.fetch_add(1, Ordering::SeqCst);
        Err(dead())
    }

    fn transact(&mut self, take: &Statement<'_>, then: &[Statement<'_>]) -> Result<Relied, Unfinished> {
        if self.is_dead {
            return Err(Unfinished::Open(dead()));
        }
        if self.faults.next_commit.lock().unwrap().take_if(|fault| *fault == Commit::Adrift).is_some() {
            let all = std::iter::once(take).chain(then);
            *self.faults.late.lock().unwrap() = all.map(owned).collect();
            self.is_dead = true;
            return Err(Unfinished::Open(dead()));
        }
        self.begin_write().map_err(Unfinished::Refused)?;
        if self.execute(&take.sql, &take.values).is_err() {
            self.rollback();
            self.faults.relied[1].fetch_add(1, Ordering::SeqCst);
            return Ok(Relied::InVain);
        }
        self.commit_with(then)?;
        self.faults.relied[0].fetch_add(1, Ordering::SeqCst);
        Ok(Relied::Rightly)
    }

    fn others_mark(&mut self) -> Result<Option<i64>> {
        if self.faults.has_no_mark.load(Ordering::SeqCst) { Ok(None) } else { self.inner.others_mark() }
    }

    fn is_far(&self) -> bool {
        self.faults.is_far.load(Ordering::SeqCst)
    }

    fn rollback(&mut self) {
        self.inner.rollback();
    }

    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64> {
        let refused = self.faults.refused.lock().unwrap().clone();
        if refused.is_some_and(|part| format!("{sql} {values:?}").contains(&part)) {
            return Err(Error::new(ErrorKind::NoSpace, "refused by the test"));
        }
        if self.writes {
            self.faults.writes.next()?;
        }
        if self.migrates {
            self.faults.statements.next()?;
            let is_last = sql.starts_with("UPDATE aral_meta SET schema_version");
            self.faults.migrations.fetch_add(is_last.into(), Ordering::SeqCst);
        }
        self.inner.execute(sql, values)
    }

    fn query(&mut self, sql: &str, values: &[Value<'_>], each: &mut Each<'_>) -> Result<()> {
        self.faults.questions.fetch_add(1, Ordering::SeqCst);
        if self.is_dead { Err(dead()) } else { self.inner.query(sql, values, each) }
    }

    fn is_usable(&self) -> bool {
        !self.is_dead && self.inner.is_usable()
    }

    fn has_view(&mut self, name: &str, statement: &str) -> Result<Option<bool>> {
        self.inner.has_view(name, statement)
    }

    fn rebuild_indexes(&mut self) -> Result<()> {
        self.inner.rebuild_indexes()
    }

    fn rewrite_files(&mut self) -> Result<()> {
        self.faults.writes.next()?;
        self.inner.rewrite_files()
    }

    fn check_integrity(&mut self) -> Result<Vec<String>> {
        self.inner.check_integrity()
    }

    fn size(&mut self) -> Result<u64> {
        self.inner.size()
    }
}
