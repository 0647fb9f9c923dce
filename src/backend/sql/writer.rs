//! Writing: batches of several callers in one transaction.
//!
//! Owns the order: lock, take the next number, read what the batches are judged on, judge, write, commit. A batch that is
//! refused leaves nothing behind, so the others do not notice. Nobody hears anything before the commit: what was
//! judged on events that then failed would be wrong. When a commit fails, it is looked up.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::columns::{Numbers, id_view};
use super::connection::{Connection, Connector, Purpose, Statement, Unfinished, Value, first};
use super::deadline::Deadline;
use super::load::{self, Loaded};
use super::plan::{Plan, Ready};
use crate::backend::closed;
use crate::clock::random_id;
use crate::codec::bytes::to_u64;
use crate::codec::frame::MAX_PAYLOAD;
use crate::codec::payload::{KeyView, encode_parts};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Seq, Version};
use crate::rules::{KeyRecord, Pending, Refusal, Request, Resolved, Validation};

/// What came of a batch.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// It was carried out before.
    Before(Vec<KeyRecord>),
    /// It was carried out now; each of its events left its conversation with a version.
    Now { first_seq: Seq, versions: SmallVec<[Version; 1]> },
}

/// How many batches are judged on what was read at once.
const ROUND: usize = 64;

/// The one of a process that writes.
pub(super) struct Writer {
    connector: Arc<dyn Connector>,
    connection: Option<Box<dyn Connection>>,
    patience: Duration,
    has_ended: bool,
}

/// What a transaction comes to.
struct Attempt {
    outcomes: Vec<Result<Outcome>>,
    /// How many events it writes.
    events: u64,
    /// What is left to be written.
    statements: Vec<Statement<'static>>,
}

/// The mark of a transaction that was to write an event of this number first.
#[derive(Clone, Copy, Debug)]
struct Group {
    first_seq: Seq,
    id: [u8; 16],
}

impl Writer {
    pub(super) fn new(connector: Arc<dyn Connector>, patience: Duration) -> Self {
        Self { connector, connection: None, patience, has_ended: false }
    }

    /// Carries batches out, each by itself, in one transaction if that is possible.
    pub(super) fn carry_out(&mut self, batches: &[&[Request]]) -> Vec<Result<Outcome>> {
        if self.has_ended {
            return batches.iter().map(|_| Err(closed())).collect();
        }
        match self.attempt(batches) {
            Ok(outcomes) => outcomes,
            // Whose fault it was shows when each has a transaction to itself. If it was the connection's, nothing happened.
            Err(failure) if failure.tries_alone && (batches.len() > 1 || failure.was_lost) => {
                batches.iter().map(|batch| self.alone(batch)).collect()
            }
            Err(failure) => batches.iter().map(|_| Err(failure.error.clone())).collect(),
        }
    }

    /// Takes a connection for writing that is there already.
    pub(super) fn begin_with(&mut self, connection: Box<dyn Connection>) {
        self.connection = Some(connection);
    }

    #[cfg(test)]
    #[cfg(feature = "sqlite")]
    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Lets go of the connection for good.
    pub(super) fn end(&mut self) {
        self.connection = None;
        self.has_ended = true;
    }

    fn alone(&mut self, batch: &[Request]) -> Result<Outcome> {
        let outcomes = self.attempt(&[batch]).map_err(|failure| failure.error)?;
        let none = || Error::new(ErrorKind::Failed, "a batch was carried out without an outcome");
        outcomes.into_iter().next().ok_or_else(none)?
    }

    fn attempt(&mut self, batches: &[&[Request]]) -> Result<Vec<Result<Outcome>>, Failure> {
        let (first_seq, loaded) = self.begin(first_round(batches))?;
        let group = Group { first_seq, id: random_id() };
        let connection = self.connection()?;
        let attempt = match judge(connection, batches, loaded, group) {
            Ok(attempt) => attempt,
            Err(error) => return Err(self.undone(error)),
        };
        if attempt.events == 0 {
            connection.rollback();
            return Ok(attempt.outcomes);
        }
        let error = match connection.commit_with(&attempt.statements) {
            Ok(()) => return Ok(attempt.outcomes),
            Err(Unfinished::Refused(error)) => return Err(self.undone(error)),
            Err(Unfinished::Open(error)) => error,
        };
        self.give_up();
        self.connection = None;
        match self.look_up(group) {
            Ok(true) => Ok(attempt.outcomes),
            Ok(false) => Err(Failure::decided(error)),
            Err(unreachable) => Err(Failure::undecided(open(&error, &unreachable))),
        }
    }

    /// Nothing happened, for this reason.
    fn undone(&mut self, error: Error) -> Failure {
        self.give_up();
        Failure { was_lost: self.connection.is_none(), ..Failure::decided(error) }
    }

    /// Ends the transaction without an effect, and lets go of a connection that is of no further use.
    fn give_up(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.rollback();
            if !connection.is_usable() {
                self.connection = None;
            }
        }
    }

    /// Begins a transaction, and reads what its first batches are judged on. A connection that broke since it was used
    /// last is replaced.
    fn begin(&mut self, batches: &[&[Request]]) -> Result<(Seq, Loaded), Failure> {
        if let Some(connection) = &mut self.connection {
            match load::begin(&mut **connection, batches) {
                Ok(begun) => return Ok(begun),
                // A damaged row is the matter of the batches that name it.
                Err(error) if error.kind() == ErrorKind::Corrupt => return Err(self.undone(error)),
                Err(error) => {
                    self.give_up();
                    if self.connection.is_some() {
                        return Err(Failure::undecided(error));
                    }
                }
            }
        }
        let mut connection = self.connector.connect(Purpose::Write).map_err(Failure::undecided)?;
        let begun = load::begin(&mut *connection, batches);
        self.connection = Some(connection);
        begun.map_err(|error| {
            self.give_up();
            if error.kind() == ErrorKind::Corrupt {
                Failure::decided(error)
            } else {
                Failure::undecided(error)
            }
        })
    }

    fn connection(&mut self) -> Result<&mut dyn Connection, Failure> {
        match &mut self.connection {
            Some(connection) => Ok(&mut **connection),
            None => Err(Failure::decided(Error::new(ErrorKind::Failed, "there is no connection"))),
        }
    }

    /// Whether a transaction took place whose commit failed.
    ///
    /// It is asked under the writers' lock: before that, the database may still be about to carry it out.
    fn look_up(&mut self, group: Group) -> Result<bool> {
        let deadline = Deadline::after(self.patience);
        let mut last = None;
        let found = deadline.wait(|| match self.ask(group) {
            Ok(is_there) => Ok(Some(is_there)),
            Err(error) => {
                last = Some(error);
                Ok(None)
            }
        })?;
        found.ok_or_else(|| last.unwrap_or_else(|| Error::new(ErrorKind::Io, "nobody answered in time")))
    }

    fn ask(&mut self, group: Group) -> Result<bool> {
        let mut connection = self.connector.connect(Purpose::Write)?;
        connection.begin_write()?;
        let sql = "SELECT group_id FROM aral_events WHERE seq = ?1 AND group_id IS NOT NULL";
        let asked = [Value::number(group.first_seq)];
        let found = first(&mut *connection, sql, &asked, |row| Ok(row.bytes(0)? == group.id));
        connection.rollback();
        let is_there = found?.unwrap_or(false);
        self.connection = Some(connection);
        Ok(is_there)
    }
}

/// Why a transaction did not take place, or may not have.
struct Failure {
    error: Error,
    /// Whether nothing happened, and trying each batch alone may be of use.
    tries_alone: bool,
    /// Whether the connection broke before the commit.
    was_lost: bool,
}

impl Failure {
    fn decided(error: Error) -> Self {
        Self { error, tries_alone: true, was_lost: false }
    }

    fn undecided(error: Error) -> Self {
        Self { error, tries_alone: false, was_lost: false }
    }
}

/// Nobody knows whether it took place.
fn open(error: &Error, unreachable: &Error) -> Error {
    let reason = format!(
        "the commit failed ({error}), and whether it took place could not be found out ({unreachable}); try again \
         with the same key, which makes it happen once"
    );
    Error::new(ErrorKind::Io, reason)
}

/// The batches that are judged on what is read first.
fn first_round<'b, 'r>(batches: &'b [&'r [Request]]) -> &'b [&'r [Request]] {
    batches.get(..ROUND).unwrap_or(batches)
}

/// Judges batches in the transaction that has begun, and writes what they come to, but for the statements that are to go out with
/// the commit.
fn judge(
    connection: &mut dyn Connection,
    batches: &[&[Request]],
    mut loaded: Loaded,
    group: Group,
) -> Result<Attempt> {
    let (mut outcomes, mut next_seq) = (Vec::with_capacity(batches.len()), group.first_seq);
    let mut statements = Vec::new();
    loop {
        let part = first_round(batches.get(outcomes.len()..).unwrap_or_default());
        let mut round =
            Round { loaded: &loaded, pending: Pending::default(), plan: Plan::default(), group, next_seq };
        let before = outcomes.len();
        for batch in part {
            match round.judge(batch) {
                Judged::Decided(outcome) => outcomes.push(outcome),
                Judged::Later => break,
            }
        }
        next_seq = round.next_seq;
        statements.extend(round.plan.into_statements());
        if outcomes.len() == batches.len() {
            break;
        }
        if outcomes.len() == before {
            return Err(Error::new(ErrorKind::Conflict, "the conversation changed meanwhile"));
        }
        connection.execute_all(&statements)?;
        statements.clear();
        loaded = load::load(connection, first_round(batches.get(outcomes.len()..).unwrap_or_default()))?.1;
    }
    let events = next_seq - group.first_seq;
    if events > 0 {
        let update = "UPDATE aral_meta SET next_seq = ?1";
        statements.push(Statement::new(update, [Value::number(next_seq)]));
    }
    Ok(Attempt { outcomes, events, statements })
}

/// Batches that are judged on what was read at once, each on what those before it left pending.
struct Round<'r> {
    loaded: &'r Loaded,
    pending: Pending,
    plan: Plan,
    group: Group,
    next_seq: Seq,
}

enum Judged {
    Decided(Result<Outcome>),
    /// It looks for what an earlier one of the round has changed: what that one wrote has to be read first.
    Later,
}

impl Round<'_> {
    fn judge(&mut self, batch: &[Request]) -> Judged {
        let mut validation = Validation::new(self.loaded, &self.pending, &self.loaded.lookups, self.next_seq);
        let resolved = match validation.resolve(batch) {
            Ok(resolved) => resolved,
            Err(Refusal::Known(known)) => return Judged::Decided(Ok(Outcome::Before(known))),
            Err(Refusal::Impossible(error)) => return Judged::Decided(Err(error)),
            Err(Refusal::Stale) => return Judged::Later,
        };
        let payloads = match encode(batch, &resolved) {
            Ok(payloads) => payloads,
            Err(error) => return Judged::Decided(Err(error)),
        };
        let accepted = validation.into_accepted();
        self.pending.add(accepted);
        let (first_seq, last_seq) = (self.next_seq, self.next_seq + to_u64(batch.len()) - 1);
        for ((request, resolved), (seq, payload)) in
            batch.iter().zip(&resolved).zip((first_seq..).zip(payloads))
        {
            let numbers = Numbers { seq, first_seq, last_seq, schema: resolved.schema };
            let (change, at, version) = (&*resolved.change, resolved.at, resolved.version);
            let group = (seq == self.group.first_seq).then_some(&self.group.id);
            self.plan.add(self.loaded, Ready { request, change, at, version, numbers, payload }, group);
        }
        self.next_seq = last_seq + 1;
        let versions = resolved.iter().map(|resolved| resolved.version).collect();
        Judged::Decided(Ok(Outcome::Now { first_seq, versions }))
    }
}

/// The events of a batch in the log's encoding.
fn encode(batch: &[Request], resolved: &[Resolved<'_>]) -> Result<Vec<Vec<u8>>> {
    let mut left = MAX_PAYLOAD;
    let mut payloads = Vec::with_capacity(batch.len());
    let over = || Error::invalid(format!("the batch is over the limit of {MAX_PAYLOAD} bytes"));
    for (request, resolved) in batch.iter().zip(resolved) {
        let key = request.key.as_deref().map(|text| KeyView { text, fingerprint: request.fingerprint });
        let mut payload = Vec::new();
        encode_parts(id_view(&request.conversation_id), &resolved.change, resolved.at, key, &mut payload)
            .ok_or_else(over)?;
        left = left.checked_sub(payload.len()).ok_or_else(over)?;
        payloads.push(payload);
    }
    Ok(payloads)
}
