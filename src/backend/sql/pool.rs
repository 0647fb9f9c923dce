//! Connections for reading.
//!
//! Owns those that wait for the next reader. Readers do not wait for one another: who finds none makes one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::connection::{Connection, Connector, Purpose, placed};
use crate::backend::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};

/// How many connections are kept while nobody reads.
const KEPT: usize = 16;

/// How often a reading is begun again whose connection broke.
const TRIES: u32 = 3;

/// For how long. One that fails later has waited for an answer, and is not begun again.
const BEGUN_AGAIN: Duration = Duration::from_secs(10);

/// Connections for reading.
pub(super) struct Pool {
    connector: Arc<dyn Connector>,
    idle: Mutex<Vec<Box<dyn Connection>>>,
}

impl Pool {
    pub(super) fn new(connector: Arc<dyn Connector>) -> Self {
        Self { connector, idle: Mutex::default() }
    }

    /// Asks one question. A reading is begun again with a new connection if the one that it had has broken, as when a server is
    /// started anew, so `read` must bear being called again.
    pub(super) fn ask<T>(&self, mut read: impl FnMut(&mut dyn Connection) -> Result<T>) -> Result<T> {
        let deadline = Deadline::after(BEGUN_AGAIN);
        let mut choice = Choice::Kept;
        for _ in 0..TRIES {
            match self.with(&mut read, choice) {
                // One that was kept may have been broken for long; a new one that breaks has taken its time to.
                Err((_, IsBroken::Yes)) if choice == Choice::Kept || !deadline.left().is_zero() => {
                    choice = Choice::New;
                }
                done => return done.map_err(|(error, _)| error),
            }
        }
        self.with(&mut read, choice).map_err(|(error, _)| error)
    }

    /// Asks several questions of one state of the database.
    pub(super) fn read<T>(&self, mut read: impl FnMut(&mut dyn Connection) -> Result<T>) -> Result<T> {
        self.ask(|connection| in_one_state(connection, &mut read))
    }

    /// The same for what can be called once only.
    pub(super) fn lend(&self, read: impl FnOnce(&mut dyn Connection) -> Result<()>) -> Result<()> {
        let mut read = Some(read);
        let mut once = |connection: &mut dyn Connection| match read.take() {
            Some(read) => in_one_state(connection, read),
            None => Err(Error::new(ErrorKind::Failed, "a reading began twice")),
        };
        self.with(&mut once, Choice::Kept).map_err(|(error, _)| error)
    }

    fn with<T>(
        &self,
        read: &mut dyn FnMut(&mut dyn Connection) -> Result<T>,
        choice: Choice,
    ) -> Result<T, (Error, IsBroken)> {
        let kept = if choice == Choice::Kept { self.idle().pop() } else { None };
        let mut connection = match kept {
            Some(kept) => kept,
            None => self.connector.connect(Purpose::Read).map_err(|error| (error, IsBroken::No))?,
        };
        let done = read(&mut *connection);
        if done.is_err() {
            connection.rollback();
        }
        let broken = if connection.is_usable() { IsBroken::No } else { IsBroken::Yes };
        self.keep(connection);
        done.map_err(|error| (placed(error, self.connector.place()), broken))
    }

    /// Keeps a connection for the next reader, if it can be used.
    pub(super) fn keep(&self, connection: Box<dyn Connection>) {
        let mut idle = self.idle();
        if connection.is_usable() && idle.len() < KEPT {
            idle.push(connection);
        }
    }

    /// Lets go of the connections that nobody uses.
    pub(super) fn empty(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Box<dyn Connection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a reading failed with its connection.
enum IsBroken {
    Yes,
    No,
}

/// Which connection is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// One that was used before, if there is one.
    Kept,
    New,
}

/// Reads in a transaction. It needs no commit, which a server refuses if it has refused a statement before: what was read is so all the same, as
/// when somebody asks what cannot be read.
fn in_one_state<T>(
    connection: &mut dyn Connection,
    read: impl FnOnce(&mut dyn Connection) -> Result<T>,
) -> Result<T> {
    connection.begin_read()?;
    let value = read(connection);
    connection.rollback();
    value
}
