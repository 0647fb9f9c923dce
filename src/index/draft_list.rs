//! A list of messages or actions while a batch changes it.
//!
//! Owns the arithmetic of places: what stands where after what the batch took away and added so far.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::model::{Message, Text};

/// A list while a batch changes it: what was there before, without what the batch took away, and what the
/// batch added.
#[derive(Clone, Debug, Default)]
pub(super) struct DraftList<'b> {
    base: u64,
    removed: Vec<u64>,
    pub(super) added: Vec<Added<'b>>,
    /// What the batch made of messages that were there before, by their place before it.
    pub(super) edited: HashMap<u64, Message>,
}

/// What a batch added: its id, and what it is by now, if it is a message.
#[derive(Clone, Debug)]
pub(super) struct Added<'b> {
    pub(super) id: &'b Text,
    pub(super) message: Option<Cow<'b, Message>>,
}

impl<'b> DraftList<'b> {
    /// A list of so many that the batch has not changed yet.
    pub(super) fn of(base: u64) -> Self {
        Self { base, ..Self::default() }
    }

    pub(super) fn len(&self) -> u64 {
        self.base + len_of(&self.added) - len_of(&self.removed)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The place now of what stood at a place before the batch.
    pub(super) fn shifted(&self, base_at: u64) -> u64 {
        base_at - len_of_iter(self.removed.iter().filter(|removed| **removed < base_at))
    }

    /// The one among the added whose place now is this.
    pub(super) fn added_at(&mut self, at: u64) -> Option<&mut Added<'b>> {
        let n = at.checked_sub(self.base - len_of(&self.removed))?;
        self.added.get_mut(usize::try_from(n).ok()?)
    }

    /// The last of those with this id: its place now, and its place before the batch if it was there.
    pub(super) fn find(&self, id: &Text, base: &[u64]) -> Option<(u64, Option<u64>)> {
        if let Some(n) = self.added.iter().rposition(|added| added.id == id) {
            return Some((self.base - len_of(&self.removed) + u64::try_from(n).unwrap_or(u64::MAX), None));
        }
        let is_there = |at: &&u64| **at < self.base && !self.removed.contains(*at);
        let base_at = base.iter().rev().find(is_there)?;
        Some((self.shifted(*base_at), Some(*base_at)))
    }

    pub(super) fn remove(&mut self, at: u64, base_at: Option<u64>) {
        match base_at {
            Some(base_at) => self.removed.push(base_at),
            None => {
                let n = usize::try_from(at - (self.base - len_of(&self.removed))).unwrap_or(usize::MAX);
                if n < self.added.len() {
                    self.added.remove(n);
                }
            }
        }
    }
}

fn len_of<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

fn len_of_iter<T>(items: impl Iterator<Item = T>) -> u64 {
    u64::try_from(items.count()).unwrap_or(u64::MAX)
}
