//! A connector that fails where it is told to.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::super::connection::{Connection, Connector, Dialect, Each, Purpose, Value};
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
}

/// What is done in the middle of something else.
type Meanwhile = Box<dyn FnOnce() + Send>;

/// What is to fail, and what happened.
#[derive(Default)]
pub(super) struct Faults {
    /// What happens to the next commit of a writer.
    pub(super) next_commit: Mutex<Option<Commit>>,
    /// Whether the database is away: nobody can connect.
    pub(super) is_away: AtomicBool,
    /// What another writer does when a commit is overtaken.
    pub(super) meanwhile: Mutex<Option<Meanwhile>>,
    /// How many transactions that wrote were committed.
    pub(super) commits: AtomicU64,
    /// A statement that fails if this is in it or in its values.
    pub(super) refused: Mutex<Option<String>>,
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
    faults: Arc<Faults>,
    writes: bool,
    is_dead: bool,
}

fn dead() -> Error {
    Error::new(ErrorKind::Io, "the connection is dead")
}

impl Connector for Faulty {
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
        Ok(Box::new(Line { inner, faults, writes: purpose != Purpose::Read, is_dead: false }))
    }
}

impl Connection for Line {
    fn begin_write(&mut self) -> Result<()> {
        if self.is_dead { Err(dead()) } else { self.inner.begin_write() }
    }

    fn begin_read(&mut self) -> Result<()> {
        if self.is_dead { Err(dead()) } else { self.inner.begin_read() }
    }

    fn commit(&mut self) -> Result<()> {
        let fault = if self.writes { self.faults.next_commit.lock().unwrap().take() } else { None };
        match fault {
            None => {
                self.inner.commit()?;
                self.faults.commits.fetch_add(self.writes.into(), Ordering::SeqCst);
                return Ok(());
            }
            Some(Commit::Lost) => self.inner.rollback(),
            Some(Commit::Unanswered) => self.inner.commit()?,
            Some(Commit::Overtaken) => {
                self.inner.rollback();
                self.faults.meanwhile.lock().unwrap().take().into_iter().for_each(|act| act());
            }
        }
        self.is_dead = true;
        Err(dead())
    }

    fn rollback(&mut self) {
        self.inner.rollback();
    }

    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64> {
        let refused = self.faults.refused.lock().unwrap().clone();
        if refused.is_some_and(|part| format!("{sql} {values:?}").contains(&part)) {
            return Err(Error::new(ErrorKind::NoSpace, "refused by the test"));
        }
        self.inner.execute(sql, values)
    }

    fn query(&mut self, sql: &str, values: &[Value<'_>], each: &mut Each<'_>) -> Result<()> {
        if self.is_dead { Err(dead()) } else { self.inner.query(sql, values, each) }
    }

    fn is_usable(&self) -> bool {
        !self.is_dead && self.inner.is_usable()
    }

    fn check_integrity(&mut self) -> Result<Vec<String>> {
        self.inner.check_integrity()
    }

    fn size(&mut self) -> Result<u64> {
        self.inner.size()
    }
}
