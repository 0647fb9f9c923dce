//! Writing: batches of several callers in one transaction.
//!
//! Owns the order: lock, take the next number, read what the batches are judged on, judge, write, commit. A batch that is
//! refused leaves nothing behind, so the others do not notice. Nobody hears anything before the commit: what was
//! judged on events that then failed would be wrong. When a commit fails, it is looked up.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::columns::{Numbers, corrupt, id_view, number_at};
use super::connection::{Connection, Connector, Purpose, Value, first};
use super::deadline::Deadline;
use super::load::{Loaded, load};
use super::plan::{Plan, Ready};
use super::schema::check_version;
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

/// What came of a transaction.
struct Attempt {
    outcomes: Vec<Result<Outcome>>,
    /// How many events it wrote.
    events: u64,
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
        let connection = self.locked()?;
        let group_id = random_id();
        let (group, attempt) = match write(connection, batches, group_id) {
            Ok(written) => written,
            Err(error) => {
                self.give_up();
                return Err(Failure { was_lost: self.connection.is_none(), ..Failure::decided(error) });
            }
        };
        if attempt.events == 0 {
            connection.rollback();
            return Ok(attempt.outcomes);
        }
        let Err(error) = connection.commit() else { return Ok(attempt.outcomes) };
        self.give_up();
        self.connection = None;
        match self.look_up(group) {
            Ok(true) => Ok(attempt.outcomes),
            Ok(false) => Err(Failure::decided(error)),
            Err(unreachable) => Err(Failure::undecided(open(&error, &unreachable))),
        }
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

    /// The connection, in a transaction of its own. One that broke since it was used last is replaced.
    fn locked(&mut self) -> Result<&mut dyn Connection, Failure> {
        let began = match &mut self.connection {
            Some(connection) => connection.begin_write(),
            None => Ok(()),
        };
        if let Err(error) = began {
            self.give_up();
            if self.connection.is_some() {
                return Err(Failure::undecided(error));
            }
        }
        if self.connection.is_none() {
            let mut connection = self.connector.connect(Purpose::Write).map_err(Failure::undecided)?;
            connection.begin_write().map_err(Failure::undecided)?;
            self.connection = Some(connection);
        }
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

/// Carries batches out in the transaction that has begun, but for its commit.
fn write(
    connection: &mut dyn Connection,
    batches: &[&[Request]],
    group_id: [u8; 16],
) -> Result<(Group, Attempt)> {
    let sql = "SELECT schema_version, next_seq FROM aral_meta";
    let meta = first(connection, sql, &[], |row| Ok((row.int(0)?, number_at(row, 1)?)))?;
    let (version, first_seq) = meta.ok_or_else(|| corrupt("the table aral_meta has no row"))?;
    // Somebody may have brought newer software while this one ran.
    check_version(version)?;
    let group = Group { first_seq, id: group_id };
    let (mut outcomes, mut next_seq) = (Vec::with_capacity(batches.len()), first_seq);
    while let Some(rest) = batches.get(outcomes.len()..).filter(|rest| !rest.is_empty()) {
        let part = rest.get(..ROUND).unwrap_or(rest);
        let loaded = load(connection, part)?;
        let mut round =
            Round { loaded: &loaded, pending: Pending::default(), plan: Plan::default(), group, next_seq };
        let before = outcomes.len();
        for batch in part {
            match round.judge(batch) {
                Judged::Decided(outcome) => outcomes.push(outcome),
                Judged::Later => break,
            }
        }
        if outcomes.len() == before {
            return Err(Error::new(ErrorKind::Conflict, "the conversation changed meanwhile"));
        }
        next_seq = round.next_seq;
        connection.execute_all(&round.plan.into_statements())?;
    }
    let events = next_seq - first_seq;
    if events > 0 {
        connection.execute("UPDATE aral_meta SET next_seq = ?1", &[Value::number(next_seq)])?;
    }
    Ok((group, Attempt { outcomes, events }))
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
