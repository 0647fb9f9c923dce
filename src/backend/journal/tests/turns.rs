//! Threads that take turns.
//!
//! Owns who goes on: at any time one thread runs, and whenever all that have not ended wait, the schedule says which is the next.

use std::sync::{Condvar, Mutex, PoisonError};

use super::sim::Numbers;
use crate::backend::locked::locked;

/// Who is the next.
#[derive(Clone, Debug)]
pub(super) enum Schedule {
    /// These, by their places among those who wait; then always the first.
    Listed(Vec<usize>),
    Drawn(Numbers),
}

#[derive(Debug)]
struct Table {
    schedule: Schedule,
    waiting: Vec<usize>,
    running: usize,
    current: Option<usize>,
    /// What was chosen, and among how many.
    taken: Vec<(usize, usize)>,
}

/// A table of threads.
#[derive(Debug)]
pub(super) struct Turns {
    table: Mutex<Table>,
    changed: Condvar,
    /// Whether a thread goes on without a turn where it only reads.
    only_writes: bool,
}

impl Turns {
    pub(super) fn new(threads: usize, schedule: Schedule, only_writes: bool) -> Self {
        let table =
            Table { schedule, waiting: Vec::new(), running: threads, current: None, taken: Vec::new() };
        Self { table: Mutex::new(table), changed: Condvar::new(), only_writes }
    }

    /// Waits for a turn.
    pub(super) fn take(&self, own: usize, is_write: bool) {
        if self.only_writes && !is_write {
            return;
        }
        let mut table = locked(&self.table);
        table.waiting.push(own);
        table.running -= 1;
        table.choose();
        self.changed.notify_all();
        while table.current != Some(own) {
            table = self.changed.wait(table).unwrap_or_else(PoisonError::into_inner);
        }
        table.current = None;
        table.running += 1;
    }

    /// A thread has ended.
    pub(super) fn end(&self) {
        let mut table = locked(&self.table);
        table.running -= 1;
        table.choose();
        self.changed.notify_all();
    }

    /// What was chosen, and among how many.
    pub(super) fn taken(&self) -> Vec<(usize, usize)> {
        locked(&self.table).taken.clone()
    }
}

impl Table {
    fn choose(&mut self) {
        if self.running > 0 || self.waiting.is_empty() || self.current.is_some() {
            return;
        }
        self.waiting.sort_unstable();
        let count = self.waiting.len();
        let at = match &mut self.schedule {
            Schedule::Listed(list) => list.get(self.taken.len()).copied().unwrap_or(0).min(count - 1),
            Schedule::Drawn(numbers) => numbers.next(count),
        };
        self.taken.push((at, count));
        self.current = Some(self.waiting.remove(at));
    }
}

/// The next schedule after one, in the order of a search through all; `None` after the last.
pub(super) fn after(taken: &[(usize, usize)]) -> Option<Vec<usize>> {
    let last = taken.iter().rposition(|(at, count)| at + 1 < *count)?;
    let mut next: Vec<usize> = taken[..last].iter().map(|(at, _)| *at).collect();
    next.push(taken[last].0 + 1);
    Some(next)
}
