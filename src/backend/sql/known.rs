//! What a writer knows of the database between two of its transactions.
//!
//! Owns the row that writers lock, as the last transaction left it, and how the conversations stand that it wrote. It is true for as
//! long as the database has that row: each event moves the number in it on, and whoever changes the tables otherwise counts `syncs`
//! up. Whether it is so is for the database to say, in the transaction that relies on it.

use std::collections::HashMap;

use super::load::{Kept, Loaded};
use super::meta::Meta;
use crate::rules::Request;

/// How many conversations are remembered at least, if so many were written. Up to twice as many are.
const REMEMBERED: usize = 2048;

/// For how many transactions in a row nobody else must have written before it is relied on that nobody has: where writers take turns, each
/// transaction that relies on it is made twice.
const CALM: u32 = 3;

/// What a writer knows.
#[derive(Debug, Default)]
pub(super) struct Known {
    meta: Option<Meta>,
    /// The database's mark of what others have written, where it has one.
    others: Option<i64>,
    /// How many transactions in a row found the row as the one before had left it.
    calm: u32,
    /// Those that were written lately, and those before them.
    newer: HashMap<String, Kept>,
    older: HashMap<String, Kept>,
}

impl Known {
    /// Takes in how the row was found under its lock.
    pub(super) fn see(&mut self, meta: &Meta) {
        if self.meta.as_ref() == Some(meta) {
            self.calm = self.calm.saturating_add(1);
        } else {
            self.forget();
        }
    }

    /// Takes in, under the lock, the mark of what others have written. Who has one need not wait for calm: what is known is so, or is forgotten.
    pub(super) fn see_others(&mut self, mark: Option<i64>) {
        if self.others != mark {
            self.forget();
            self.others = mark;
        }
    }

    /// What these batches are judged on in a transaction that has seen the mark; `None` if something of it has to be read.
    pub(super) fn since_mark(&self, batches: &[&[Request]]) -> Option<(Meta, Loaded)> {
        self.others.and(self.meta.as_ref()).and_then(|meta| self.loaded(meta, batches))
    }

    /// Takes in what a transaction has left. A conversation that is not there any more has no row.
    pub(super) fn keep(&mut self, meta: Meta, states: Vec<(String, Option<Kept>)>) {
        self.meta = Some(meta);
        for (id, kept) in states {
            let Some(kept) = kept else {
                self.newer.remove(&id);
                self.older.remove(&id);
                continue;
            };
            if self.newer.len() >= REMEMBERED {
                self.older = std::mem::take(&mut self.newer);
            }
            self.newer.insert(id, kept);
        }
    }

    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// What these batches are judged on, and with it the row as it has to be; `None` if that is not known, or not
    /// worth a try.
    pub(super) fn of(&self, batches: &[&[Request]]) -> Option<(Meta, Loaded)> {
        let meta = self.meta.as_ref().filter(|_| self.calm >= CALM)?;
        self.loaded(meta, batches)
    }

    fn loaded(&self, meta: &Meta, batches: &[&[Request]]) -> Option<(Meta, Loaded)> {
        let mut loaded = Loaded::default();
        for request in batches.iter().copied().flatten() {
            if request.key.is_some() || request.looks() {
                return None;
            }
            let id = request.conversation_id.as_str();
            if !loaded.conversations.contains_key(id) {
                let kept = self.newer.get(id).or_else(|| self.older.get(id))?;
                loaded.conversations.insert(id.to_owned(), kept.clone());
            }
        }
        Some((meta.clone(), loaded))
    }
}
