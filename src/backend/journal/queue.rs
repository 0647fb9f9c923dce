//! The group commit: callers of one process that come at the same time share an object.
//!
//! Owns who waits, and who carries out what has gathered. Whoever finds nobody at work becomes the leader, takes all that wait, in the
//! order in which they came, and hands on to the first of those who came meanwhile: nobody works for others for longer than one group.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::commit::Outcome;
use crate::backend::locked::locked;
use crate::error::{Error, ErrorKind, Result};
use crate::rules::Request;

/// How many batches one group takes at most.
const MOST: usize = 4096;

/// How many mutations one group takes at most, if they are of more than one batch.
const MOST_REQUESTS: usize = 20_000;

/// How often others are let run before a group is taken: far less than a request takes, if nobody comes.
const YIELDS: u32 = 256;

/// What a caller gets back: its batch, and what came of it.
pub(super) type Answer = (Vec<Request>, Result<Outcome>);

/// What carries a group out: an outcome for each batch, in their order.
pub(super) type CarryOut<'g> = &'g dyn Fn(&[&[Request]]) -> Vec<Result<Outcome>>;

/// What a waiting caller hears.
#[derive(Debug)]
enum Word {
    Wait,
    /// It is the leader now.
    Lead,
    Answer(Answer),
}

/// A caller that waits.
#[derive(Debug)]
struct Waiter {
    word: Mutex<Word>,
    changed: Condvar,
}

impl Waiter {
    fn tell(&self, word: Word) {
        *locked(&self.word) = word;
        self.changed.notify_one();
    }

    /// Waits for an answer; `None` for the word that it leads.
    fn hear(&self) -> Option<Answer> {
        let mut word = locked(&self.word);
        loop {
            match std::mem::replace(&mut *word, Word::Wait) {
                Word::Wait => word = self.changed.wait(word).unwrap_or_else(PoisonError::into_inner),
                Word::Lead => return None,
                Word::Answer(answer) => return Some(answer),
            }
        }
    }
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<(Vec<Request>, Arc<Waiter>)>,
    has_leader: bool,
    /// How many batches were in the group before.
    before: usize,
}

/// The callers of one process.
#[derive(Debug, Default)]
pub(super) struct Queue {
    line: Mutex<Line>,
}

impl Queue {
    /// Carries a batch out, alone or with others, by what carries groups out.
    pub(super) fn carry_out(&self, batch: Vec<Request>, group: CarryOut<'_>) -> Answer {
        let waiter = Arc::new(Waiter { word: Mutex::new(Word::Wait), changed: Condvar::new() });
        let leads = {
            let mut line = locked(&self.line);
            line.waiting.push_back((batch, Arc::clone(&waiter)));
            !std::mem::replace(&mut line.has_leader, true)
        };
        if leads {
            self.lead(group);
        }
        loop {
            match waiter.hear() {
                Some(answer) => return answer,
                None => self.lead(group),
            }
        }
    }

    /// Carries out what waits, and hands on.
    fn lead(&self, group: CarryOut<'_>) {
        let (batches, waiters) = self.take();
        let mut handing_on = HandingOn { queue: self, waiters };
        let borrowed: Vec<&[Request]> = batches.iter().map(Vec::as_slice).collect();
        let outcomes = group(&borrowed);
        // Order: answer before handing on. Those who go on to the next call come into the next group then.
        for (waiter, answer) in
            std::mem::take(&mut handing_on.waiters).into_iter().zip(batches.into_iter().zip(outcomes))
        {
            waiter.tell(Word::Answer(answer));
        }
    }

    /// Takes those who are next.
    fn take(&self) -> (Vec<Vec<Request>>, Vec<Arc<Waiter>>) {
        self.gather();
        let mut line = locked(&self.line);
        let (mut batches, mut waiters, mut requests) = (Vec::new(), Vec::new(), 0_usize);
        while let Some((batch, _)) = line.waiting.front() {
            requests = requests.saturating_add(batch.len());
            if !batches.is_empty() && (requests > MOST_REQUESTS || batches.len() >= MOST) {
                break;
            }
            let Some((batch, waiter)) = line.waiting.pop_front() else { break };
            batches.push(batch);
            waiters.push(waiter);
        }
        line.before = batches.len();
        (batches, waiters)
    }

    /// Lets others run until as many wait as were in the group before: they have just been answered, and a group takes the time of
    /// a request however many are in it. Without this, one half would write while the other half comes back.
    fn gather(&self) {
        for _ in 0..YIELDS {
            let line = locked(&self.line);
            if line.waiting.len() >= line.before {
                return;
            }
            drop(line);
            std::thread::yield_now();
        }
    }
}

/// Hands on to the next leader, and tells those who wait for an answer if there will be none.
struct HandingOn<'q> {
    queue: &'q Queue,
    /// Those who have not been answered.
    waiters: Vec<Arc<Waiter>>,
}

impl Drop for HandingOn<'_> {
    fn drop(&mut self) {
        for waiter in self.waiters.drain(..) {
            let error = Error::new(ErrorKind::Failed, "the thread that wrote for this one panicked");
            waiter.tell(Word::Answer((Vec::new(), Err(error))));
        }
        let mut line = locked(&self.queue.line);
        match line.waiting.front() {
            Some((_, next)) => next.tell(Word::Lead),
            None => line.has_leader = false,
        }
    }
}
