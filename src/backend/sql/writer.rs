//! Writing: batches of several callers in one transaction.
//!
//! Owns the order: lock, take the next number, read what the batches are judged on, judge, write, commit. Over a network, what is known from
//! the transaction before takes the place of what is read, and the lock comes last, if the database says in the same transaction that it is still
//! so (docs/decisions/0040). A batch that is refused leaves nothing behind, so the others do not notice. Nobody hears anything before the commit: what was
//! judged on events that then failed would be wrong. When a commit fails, it is looked up.

use std::sync::Arc;
use std::time::Duration;

use super::connection::{Connection, Connector, Purpose, Relied, Statement, Unfinished, Value, first};
use super::judge::{Group, Judged, Outcome, judge};
use super::known::Known;
use super::load::{self, Loaded};
use super::meta::Meta;
use crate::backend::closed;
use crate::backend::deadline::Deadline;
use crate::clock::random_id;
use crate::error::{Error, ErrorKind, Result};
use crate::rules::Request;

/// How many batches are judged on what is read at once.
const ROUND: usize = 64;

/// The one of a process that writes.
pub(super) struct Writer {
    connector: Arc<dyn Connector>,
    connection: Option<Box<dyn Connection>>,
    /// What the last transaction left. It belongs to the connection: another one may lead to another database, such as a replica that
    /// has taken the place of a server and lags behind.
    known: Known,
    patience: Duration,
    /// Until when those wait whose batches are being carried out.
    deadline: Deadline,
    has_ended: bool,
}

impl Writer {
    pub(super) fn new(connector: Arc<dyn Connector>, patience: Duration) -> Self {
        let deadline = Deadline::after(patience);
        Self { connector, connection: None, known: Known::default(), patience, deadline, has_ended: false }
    }

    /// Carries batches out, each by itself, in one transaction if that is possible.
    pub(super) fn carry_out(&mut self, batches: &[&[Request]]) -> Vec<Result<Outcome>> {
        if self.has_ended {
            return batches.iter().map(|_| Err(closed())).collect();
        }
        self.deadline = Deadline::after(self.patience);
        match self.attempt(batches) {
            Ok(outcomes) => outcomes,
            // Whose fault it was shows when each has a transaction to itself. If it was the connection's, nothing happened.
            Err(failure) if failure.tries_alone && (batches.len() > 1 || failure.was_lost) => {
                batches.iter().map(|batch| self.alone(batch, &failure.error)).collect()
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

    /// The same for one batch of a transaction that failed for this reason.
    fn alone(&mut self, batch: &[Request], failed: &Error) -> Result<Outcome> {
        // Each could wait in vain for as long as the first one did.
        if self.deadline.left().is_zero() {
            return Err(failed.clone());
        }
        let outcomes = self.attempt(&[batch]).map_err(|failure| failure.error)?;
        let none = || Error::new(ErrorKind::Failed, "a batch was carried out without an outcome");
        outcomes.into_iter().next().ok_or_else(none)?
    }

    fn attempt(&mut self, batches: &[&[Request]]) -> Result<Vec<Result<Outcome>>, Failure> {
        if let Some(outcomes) = self.attempt_on_known(batches)? {
            return Ok(outcomes);
        }
        let (meta, loaded) = self.begin(first_round(batches))?;
        if self.connection()?.is_far() {
            self.known.see(&meta);
        }
        let group = Group { first_seq: meta.next_seq, id: random_id() };
        let connection = self.connection()?;
        let attempt = match carry_out(connection, batches, loaded, group) {
            Ok(attempt) => attempt,
            Err(error) => return Err(self.undone(error)),
        };
        if attempt.next_seq == group.first_seq {
            connection.rollback();
            return Ok(attempt.outcomes);
        }
        let error = match connection.commit_with(&attempt.statements) {
            Ok(()) => {
                self.known.keep(meta.taken(attempt.next_seq), attempt.states);
                return Ok(attempt.outcomes);
            }
            Err(Unfinished::Refused(error)) => return Err(self.undone(error)),
            Err(Unfinished::Open(error)) => error,
        };
        if self.took_place(group, &error)? { Ok(attempt.outcomes) } else { Err(Failure::decided(error)) }
    }

    /// Judges batches on what is known and writes what they come to, all in one round trip. The transaction itself makes sure that nobody else
    /// has written meanwhile. `None` if that cannot be done, or was in vain: nothing has happened then.
    fn attempt_on_known(&mut self, batches: &[&[Request]]) -> Result<Option<Vec<Result<Outcome>>>, Failure> {
        let Some(connection) = self.connection.as_mut().filter(|connection| connection.is_far()) else {
            return Ok(None);
        };
        let Some((meta, loaded)) = self.known.of(batches) else { return Ok(None) };
        let group = Group { first_seq: meta.next_seq, id: random_id() };
        let judged = judge(batches, &loaded, group, meta.next_seq);
        // Where nothing is written, nothing shows that what the refusals were judged on is still so. What is not rows alone, such as a
        // conversation that is removed, has an order, which one statement has not.
        let is_fit = judged.outcomes.len() == batches.len() && judged.statements.iter().all(|s| s.is_row);
        if judged.next_seq == meta.next_seq || !is_fit {
            return Ok(None);
        }
        match connection.transact(&meta.take(judged.next_seq), &judged.statements) {
            Ok(Relied::Rightly) => {
                self.known.keep(meta.taken(judged.next_seq), judged.states);
                Ok(Some(judged.outcomes))
            }
            Ok(Relied::InVain) => {
                self.known.forget();
                Ok(None)
            }
            Err(Unfinished::Refused(error)) => Err(self.undone(error)),
            // A connection that broke while nobody used it shows it here, so what did not take place is begun anew.
            Err(Unfinished::Open(error)) => Ok(self.took_place(group, &error)?.then_some(judged.outcomes)),
        }
    }

    /// Looks up whether a transaction took place whose commit failed with this error.
    fn took_place(&mut self, group: Group, error: &Error) -> Result<bool, Failure> {
        self.give_up();
        self.connection = None;
        self.known.forget();
        self.look_up(group).map_err(|unreachable| Failure::undecided(open(error, &unreachable)))
    }

    /// Nothing happened, for this reason.
    fn undone(&mut self, error: Error) -> Failure {
        self.give_up();
        Failure { was_lost: self.connection.is_none(), ..Failure::decided(error) }
    }

    /// Ends the transaction without an effect, and lets go of a connection that is of no further use.
    fn give_up(&mut self) {
        self.known.forget();
        if let Some(connection) = &mut self.connection {
            connection.rollback();
            if !connection.is_usable() {
                self.connection = None;
            }
        }
    }

    /// Begins a transaction, and reads what its first batches are judged on. A connection that broke since it was used
    /// last is replaced.
    fn begin(&mut self, batches: &[&[Request]]) -> Result<(Meta, Loaded), Failure> {
        if let Some(connection) = &mut self.connection {
            match begin(&mut **connection, &mut self.known, batches) {
                Ok(begun) => return Ok(begun),
                // A damaged row is the matter of the batches that name it.
                Err(error) if error.kind() == ErrorKind::Corrupt => return Err(self.undone(error)),
                Err(error) => {
                    self.give_up();
                    // Who has waited for as long as a call waits does not begin anew.
                    if self.connection.is_some() || self.deadline.left().is_zero() {
                        return Err(Failure::undecided(error));
                    }
                }
            }
        }
        self.known.forget();
        let mut connection = self.connector.connect(Purpose::Write).map_err(Failure::undecided)?;
        let begun = begin(&mut *connection, &mut self.known, batches);
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
    /// It is asked under the writers' lock: before that, the database may still be about to carry it out. What did not take place by then
    /// will not, either.
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
        let is_there = found.inspect_err(|_| connection.rollback())?.unwrap_or(false);
        if is_there {
            connection.rollback();
            // Those who listen were told of it behind the commit, if at all. Whether they can be changes nothing about what took place.
            connection.ring().ok();
        } else {
            // What was sent all at once may still be on its way. It is refused from now on, because the row is another one.
            connection.execute("UPDATE aral_meta SET syncs = syncs + 1", &[])?;
            connection.commit()?;
        }
        self.connection = Some(connection).filter(|connection| connection.is_usable());
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

/// Begins a transaction, and has what these batches are judged on: as the last transaction left it, if the database says that nobody else has
/// written since, or else as it is read.
fn begin(
    connection: &mut dyn Connection,
    known: &mut Known,
    batches: &[&[Request]],
) -> Result<(Meta, Loaded)> {
    if connection.is_far() {
        return load::begin(connection, batches);
    }
    connection.begin_write()?;
    known.see_others(connection.others_mark()?);
    known.since_mark(batches).map_or_else(|| load::load(connection, batches), Ok)
}

/// Carries batches out in the transaction that has begun, but for the statements that are to go out with the commit.
fn carry_out(
    connection: &mut dyn Connection,
    batches: &[&[Request]],
    mut loaded: Loaded,
    group: Group,
) -> Result<Judged> {
    let mut all = Judged { next_seq: group.first_seq, ..Judged::default() };
    loop {
        let rest = batches.get(all.outcomes.len()..).unwrap_or_default();
        let judged = judge(first_round(rest), &loaded, group, all.next_seq);
        if judged.outcomes.is_empty() && !rest.is_empty() {
            return Err(Error::new(ErrorKind::Conflict, "the conversation changed meanwhile"));
        }
        all.outcomes.extend(judged.outcomes);
        all.next_seq = judged.next_seq;
        all.statements = judged.statements;
        all.states.extend(judged.states);
        let rest = batches.get(all.outcomes.len()..).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        connection.execute_all(&all.statements)?;
        loaded = load::load(connection, first_round(rest))?.1;
    }
    if all.next_seq > group.first_seq {
        let update = "UPDATE aral_meta SET next_seq = ?1";
        all.statements.push(Statement::new(update, [Value::number(all.next_seq)]));
    }
    Ok(all)
}
