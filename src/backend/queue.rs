//! The group commit: callers of one process that come at the same time share a transaction, or an object.
//!
//! Owns who waits, and who carries out what has gathered. Whoever finds nobody at work becomes the leader, takes all that
//! wait, in the order in which they came, and hands on to the first of those who came meanwhile. So no caller works
//! for others for longer than one group, and one whose batch nobody has begun goes when it has waited long enough.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::yield_now;
use std::time::Duration;

use super::deadline::{Deadline, Stopwatch};
use super::locked::locked;
use crate::error::{Error, ErrorKind, Result};
use crate::rules::Request;

/// How many mutations one group takes at most, if they are of more than one batch.
const MOST_REQUESTS: usize = 20_000;

/// Which part of the time that the last group took its leader lets others run for at most. Where the processors have much else to do, that is
/// over at once.
const PART: u32 = 4;

/// What a caller gets back: its batch, and what came of it.
pub(crate) type Answer<O> = (Vec<Request>, Result<O>);

/// What carries a group out: an outcome for each batch, in their order.
pub(crate) type CarryOut<'g, O> = &'g dyn Fn(&[&[Request]]) -> Vec<Result<O>>;

/// How a group comes together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gathering {
    /// How many batches one group takes at most.
    pub(crate) most: usize,
    /// How often in a row a leader lets others run in vain before it goes without those who were there before.
    pub(crate) fruitless: usize,
    /// How long a caller waits for those before it; for ever if there is none.
    pub(crate) patience: Option<Duration>,
}

/// What a waiting caller hears.
#[derive(Debug)]
enum State<O> {
    Waiting,
    /// It is the leader now.
    Leads,
    Answered(Answer<O>),
}

/// What a caller heard, or that it heard nothing in time.
enum Heard<O> {
    Answer(Answer<O>),
    /// It is the leader now.
    Lead,
    Nothing,
}

/// A caller that waits.
#[derive(Debug)]
struct Waiter<O> {
    /// What it hears, and whether it sleeps meanwhile: to wake one that is awake takes a call of the system, too.
    state: Mutex<(State<O>, bool)>,
    changed: Condvar,
}

#[derive(Debug)]
struct Line<O> {
    waiting: VecDeque<(Vec<Request>, Arc<Waiter<O>>)>,
    has_leader: bool,
    /// How many callers there were lately: those of the last group, and those who had come before it ended.
    crowd: usize,
    /// How long the last group took.
    last_took: Duration,
}

/// The callers of one process.
#[derive(Debug)]
pub(crate) struct Queue<O> {
    gathering: Gathering,
    line: Mutex<Line<O>>,
}

impl<O> Waiter<O> {
    fn tell(&self, state: State<O>) {
        let mut heard = locked(&self.state);
        heard.0 = state;
        let sleeps = heard.1;
        drop(heard);
        if sleeps {
            self.changed.notify_one();
        }
    }

    /// Waits for an answer, or for the word that it leads, until a deadline if there is one.
    fn hear(&self, deadline: Option<Deadline>) -> Heard<O> {
        let mut state = locked(&self.state);
        loop {
            match std::mem::replace(&mut state.0, State::Waiting) {
                State::Leads => return Heard::Lead,
                State::Answered(answer) => return Heard::Answer(answer),
                State::Waiting => {}
            }
            state.1 = true;
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

impl<O> Queue<O> {
    pub(crate) fn new(gathering: Gathering) -> Self {
        let line = Line { waiting: VecDeque::new(), has_leader: false, crowd: 0, last_took: Duration::ZERO };
        Self { gathering, line: Mutex::new(line) }
    }

    /// Carries a batch out, alone or with others, by what carries groups out.
    pub(crate) fn carry_out(&self, batch: Vec<Request>, group: CarryOut<'_, O>) -> Answer<O> {
        let waiter = Arc::new(Waiter { state: Mutex::new((State::Waiting, false)), changed: Condvar::new() });
        let leads = {
            let mut line = locked(&self.line);
            line.waiting.push_back((batch, Arc::clone(&waiter)));
            !std::mem::replace(&mut line.has_leader, true)
        };
        if leads {
            self.lead(group);
        }
        let mut deadline = self.gathering.patience.map(Deadline::after);
        loop {
            match waiter.hear(deadline) {
                Heard::Answer(answer) => return answer,
                Heard::Lead => self.lead(group),
                Heard::Nothing => match self.leave(&waiter) {
                    Some(batch) => return (batch, Err(too_late())),
                    // Somebody has begun with it, and will say what came of it.
                    None => deadline = None,
                },
            }
        }
    }

    /// Takes a caller out of the line, unless somebody has begun with its batch or it has been told to lead.
    fn leave(&self, waiter: &Arc<Waiter<O>>) -> Option<Vec<Request>> {
        let mut line = locked(&self.line);
        // Order: the line first. Whoever hands on holds it when he tells the first one to lead.
        if matches!(locked(&waiter.state).0, State::Leads) {
            return None;
        }
        let at = line.waiting.iter().position(|(_, other)| Arc::ptr_eq(other, waiter))?;
        line.waiting.remove(at).map(|(batch, _)| batch)
    }

    /// Carries out what waits, and hands on.
    fn lead(&self, group: CarryOut<'_, O>) {
        let (batches, waiters) = self.take();
        let handing_on = HandingOn { queue: self, members: waiters.len(), waiters };
        let borrowed: Vec<&[Request]> = batches.iter().map(Vec::as_slice).collect();
        let since = Stopwatch::start();
        let outcomes = group(&borrowed);
        locked(&self.line).last_took = since.elapsed();
        handing_on.answer(batches, outcomes);
    }

    /// The line, once those of the group before are back in it, if they come at once: whoever misses one waits for two.
    fn gathered(&self) -> MutexGuard<'_, Line<O>> {
        let mut line = locked(&self.line);
        let (mut fruitless, mut known) = (0, line.waiting.len());
        if known >= line.crowd {
            return line;
        }
        let (since, limit) = (Stopwatch::start(), line.last_took / PART);
        while line.waiting.len() < line.crowd.min(self.gathering.most)
            && fruitless < self.gathering.fruitless
            && since.elapsed() < limit
        {
            drop(line);
            yield_now();
            line = locked(&self.line);
            fruitless = if line.waiting.len() > known { 0 } else { fruitless + 1 };
            known = line.waiting.len();
        }
        line
    }

    /// Takes those who are next.
    fn take(&self) -> (Vec<Vec<Request>>, VecDeque<Arc<Waiter<O>>>) {
        let mut line = self.gathered();
        let (mut batches, mut waiters, mut requests) = (Vec::new(), VecDeque::new(), 0_usize);
        while let Some((batch, _)) = line.waiting.front() {
            requests = requests.saturating_add(batch.len());
            if !batches.is_empty() && (requests > MOST_REQUESTS || batches.len() >= self.gathering.most) {
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
    pub(crate) fn waiting(&self) -> Option<usize> {
        let line = locked(&self.line);
        line.has_leader.then(|| line.waiting.len())
    }
}

/// Nobody came to it.
fn too_late() -> Error {
    let reason = "those before it took for as long as this call waits, and nothing of it happened; try again";
    Error::new(ErrorKind::Locked, reason)
}

/// Sees to it that everybody hears something and somebody leads, even if the leader panics.
struct HandingOn<'q, O> {
    queue: &'q Queue<O>,
    /// How many shared the group.
    members: usize,
    waiters: VecDeque<Arc<Waiter<O>>>,
}

impl<O> HandingOn<'_, O> {
    fn answer(mut self, batches: Vec<Vec<Request>>, outcomes: Vec<Result<O>>) {
        for answer in batches.into_iter().zip(outcomes) {
            if let Some(waiter) = self.waiters.pop_front() {
                waiter.tell(State::Answered(answer));
            }
        }
    }
}

impl<O> Drop for HandingOn<'_, O> {
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
