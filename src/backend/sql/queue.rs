//! The callers of one process, and the one of it that writes.
//!
//! Owns how many share a transaction, and how long one waits for those before it.

use std::sync::Mutex;
use std::time::Duration;

use super::judge::Outcome;
use super::writer::Writer;
use crate::backend::locked::locked;
use crate::backend::queue::{self, Answer, Gathering};
use crate::rules::Request;

/// How many batches one transaction takes at most.
const MOST: usize = 512;

/// How often in a row a leader lets others run in vain.
const FRUITLESS: usize = 4;

/// The callers of one process, and the one that writes.
pub(super) struct Queue {
    callers: queue::Queue<Outcome>,
    writer: Mutex<Writer>,
}

impl Queue {
    pub(super) fn new(writer: Writer, patience: Duration) -> Self {
        let gathering = Gathering { most: MOST, fruitless: FRUITLESS, patience: Some(patience) };
        Self { callers: queue::Queue::new(gathering), writer: Mutex::new(writer) }
    }

    /// Carries a batch out, alone or with others.
    pub(super) fn carry_out(&self, batch: Vec<Request>) -> Answer<Outcome> {
        self.callers.carry_out(batch, &|batches| self.with_writer(|writer| writer.carry_out(batches)))
    }

    /// How many wait, besides those whose batches somebody carries out; `None` if nobody does.
    #[cfg(test)]
    #[cfg(feature = "sqlite")]
    pub(super) fn waiting(&self) -> Option<usize> {
        self.callers.waiting()
    }

    /// Lets nobody else write meanwhile.
    pub(super) fn with_writer<T>(&self, act: impl FnOnce(&mut Writer) -> T) -> T {
        act(&mut locked(&self.writer))
    }
}
