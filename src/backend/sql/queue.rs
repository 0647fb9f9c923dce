//! The group commit: callers that come at the same time share a transaction.
//!
//! Owns who waits, and who carries out what has gathered. Whoever finds nobody at work becomes the leader, takes all that
//! wait, in the order in which they came, and hands on to the first of those who came meanwhile. So no caller works
//! for others for longer than one transaction, and one whose batch nobody has begun goes when it has waited long enough.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::yield_now;
use std::time::Duration;

use super::deadline::{Deadline, Stopwatch};
use super::judge::Outcome;
use super::writer::Writer;
use crate::backend::locked::locked;
use crate::error::{Error, ErrorKind, Result};
use crate::rules::Request;

/// How many batches one transaction takes at most.
const MOST: usize = 512;

/// How many mutations one transaction takes at most, if they are of more than one batch.
const MOST_REQUESTS: usize = 20_000;

/// How often in a row a leader lets others run in vain before it goes without those who were there before.
const PATIENCE: usize = 4;

/// Which part of the time that the last transaction took it lets others run for at most. Where the processors have much else to do, that is
/// over at once.
const PART: u32 = 4;

/// What a caller gets back: its batch, and what came of it.
type Answer = (Vec<Request>, Result<Outcome>);

/// What a waiting caller hears.
#[derive(Debug)]
enum State {
    Waiting,
    /// It is the leader now.
    Leads,
    Answered(Answer),
}

/// What a caller heard, or that it heard nothing in time.
enum Heard {
    Answer(Answer),
    /// It is the leader now.
    Lead,
    Nothing,
}

/// A caller that waits.
#[derive(Debug)]
struct Waiter {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<(Vec<Request>, Arc<Waiter>)>,
    has_leader: bool,
    /// How many callers there were lately: those of the last transaction, and those who had come before it ended.
    crowd: usize,
    /// How long the last transaction took.
    last_took: Duration,
}

/// The callers of one process, and the one that writes.
pub(super) struct Queue {
    /// How long a caller waits for those before it.
    patience: Duration,
    line: Mutex<Line>,
    writer: Mutex<Writer>,
}

impl Waiter {
    fn tell(&self, state: State) {
        *locked(&self.state) = state;
        self.changed.notify_one();
    }

    /// Waits for an answer, or for the word that it leads, until a deadline if there is one.
    fn hear(&self, deadline: Option<Deadline>) -> Heard {
        let mut state = locked(&self.state);
        loop {
            match std::mem::replace(&mut *state, State::Waiting) {
                State::Leads => return Heard::Lead,
                State::Answered(answer) => return Heard::Answer(answer),
                State::Waiting => {}
            }
            state = match deadline.map(|deadline| deadline.left()) {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return Heard::Nothing,
                Some(left) => {
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Queue {
    pub(super) fn new(writer: Writer, patience: Duration) -> Self {
        Self { patience, line: Mutex::default(), writer: Mutex::new(writer) }
    }

    /// Carries a batch out, alone or with others.
    pub(super) fn carry_out(&self, batch: Vec<Request>) -> Answer {
        let waiter = Arc::new(Waiter { state: Mutex::new(State::Waiting), changed: Condvar::new() });
        let leads = {
            let mut line = locked(&self.line);
            line.waiting.push_back((batch, Arc::clone(&waiter)));
            !std::mem::replace(&mut line.has_leader, true)
        };
        if leads {
            self.lead();
        }
        let mut deadline = Some(Deadline::after(self.patience));
        loop {
            match waiter.hear(deadline) {
                Heard::Answer(answer) => return answer,
                Heard::Lead => self.lead(),
                Heard::Nothing => match self.leave(&waiter) {
                    Some(batch) => return (batch, Err(too_late())),
                    // Somebody has begun with it, and will say what came of it.
                    None => deadline = None,
                },
            }
        }
    }

    /// Takes a caller out of the line, unless somebody has begun with its batch or it has been told to lead.
    fn leave(&self, waiter: &Arc<Waiter>) -> Option<Vec<Request>> {
        let mut line = locked(&self.line);
        // Order: the line first. Whoever hands on holds it when he tells the first one to lead.
        if matches!(*locked(&waiter.state), State::Leads) {
            return None;
        }
        let at = line.waiting.iter().position(|(_, other)| Arc::ptr_eq(other, waiter))?;
        line.waiting.remove(at).map(|(batch, _)| batch)
    }

    /// Carries out what waits, and hands on.
    fn lead(&self) {
        let (batches, waiters) = self.take();
        let handing_on = HandingOn { queue: self, members: waiters.len(), waiters };
        let borrowed: Vec<&[Request]> = batches.iter().map(Vec::as_slice).collect();
        let since = Stopwatch::start();
        let outcomes = locked(&self.writer).carry_out(&borrowed);
        locked(&self.line).last_took = since.elapsed();
        handing_on.answer(batches, outcomes);
    }

    /// The line, once those of the transaction before are back in it, if they come at once: whoever misses a commit waits for two.
    fn gathered(&self) -> MutexGuard<'_, Line> {
        let mut line = locked(&self.line);
        let (mut fruitless, mut known) = (0, line.waiting.len());
        if known >= line.crowd {
            return line;
        }
        let (since, limit) = (Stopwatch::start(), line.last_took / PART);
        while line.waiting.len() < line.crowd.min(MOST) && fruitless < PATIENCE && since.elapsed() < limit {
            drop(line);
            yield_now();
            line = locked(&self.line);
            fruitless = if line.waiting.len() > known { 0 } else { fruitless + 1 };
            known = line.waiting.len();
        }
        line
    }

    /// Takes those who are next.
    fn take(&self) -> (Vec<Vec<Request>>, VecDeque<Arc<Waiter>>) {
        let mut line = self.gathered();
        let (mut batches, mut waiters, mut requests) = (Vec::new(), VecDeque::new(), 0_usize);
        while let Some((batch, _)) = line.waiting.front() {
            requests = requests.saturating_add(batch.len());
            if !batches.is_empty() && (requests > MOST_REQUESTS || batches.len() >= MOST) {
                break;
            }
            let Some((batch, waiter)) = line.waiting.pop_front() else { break };
            batches.push(batch);
            waiters.push_back(waiter);
        }
        (batches, waiters)
    }

    /// How many wait, besides those whose batches somebody carries out; `None` if nobody does.
    #[cfg(test)]
    #[cfg(feature = "sqlite")]
    pub(super) fn waiting(&self) -> Option<usize> {
        let line = locked(&self.line);
        line.has_leader.then(|| line.waiting.len())
    }

    /// Lets nobody else write meanwhile.
    pub(super) fn with_writer<T>(&self, act: impl FnOnce(&mut Writer) -> T) -> T {
        act(&mut locked(&self.writer))
    }
}

/// Nobody came to it.
fn too_late() -> Error {
    let reason = "those before it took for as long as this call waits, and nothing of it happened; try again";
    Error::new(ErrorKind::Locked, reason)
}

/// Sees to it that everybody hears something and somebody leads, even if the leader panics.
struct HandingOn<'q> {
    queue: &'q Queue,
    /// How many shared the transaction.
    members: usize,
    waiters: VecDeque<Arc<Waiter>>,
}

impl HandingOn<'_> {
    fn answer(mut self, batches: Vec<Vec<Request>>, outcomes: Vec<Result<Outcome>>) {
        for answer in batches.into_iter().zip(outcomes) {
            if let Some(waiter) = self.waiters.pop_front() {
                waiter.tell(State::Answered(answer));
            }
        }
    }
}

impl Drop for HandingOn<'_> {
    fn drop(&mut self) {
        for waiter in self.waiters.drain(..) {
            let failed =
                Error::new(ErrorKind::Failed, "whoever carried the batch out failed; its outcome is open");
            waiter.tell(State::Answered((Vec::new(), Err(failed))));
        }
        let mut line = locked(&self.queue.line);
        line.crowd = self.members + line.waiting.len();
        match line.waiting.front() {
            Some((_, next)) => next.tell(State::Leads),
            None => line.has_leader = false,
        }
    }
}
