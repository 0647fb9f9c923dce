//! What a conversation's content rests on: its file, the log, or both.
//!
//! Owns the question whether a file that is not as recorded takes anything away.

use super::Index;

/// What a conversation's content rests on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reliance {
    /// Its file, if it has one; the log says nothing of it.
    FileAlone,
    /// Its file, and what the log adds to it.
    FileAndLog,
    /// The log: it began there, or began anew, or ended. What its file holds does not count.
    LogAlone,
    /// Whatever lies in its file's place, because the record of it is lost.
    WhateverIsThere,
}

impl Index {
    /// What a conversation's content rests on.
    pub(crate) fn reliance(&self, id: &str) -> Reliance {
        match self.by_id.get(id.as_bytes()).and_then(|at| self.slots.get(*at)) {
            None => Reliance::FileAlone,
            Some(slot) if slot.needs_file() => Reliance::FileAndLog,
            Some(_) => Reliance::LogAlone,
        }
    }
}
