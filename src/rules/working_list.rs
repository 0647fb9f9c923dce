//! A list of messages or actions while a batch changes it.
//!
//! Owns the arithmetic of places: what stands where after what the batch took away and added so far.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::hashing::FastHash;
use crate::model::Text;

/// A list while a batch changes it: what was there before, without what the batch took away, and what the
/// batch added.
#[derive(Clone, Debug)]
pub(super) struct WorkingList<'b, T: Clone> {
    base: u64,
    removed: Vec<u64>,
    /// What the batch added, as it is by now, under its ids: borrowed from the batch until it is edited.
    added: Vec<(&'b Text, Cow<'b, T>)>,
    /// Every id that the batch added something under, so that most ids need not be looked for among them.
    added_ids: HashSet<&'b Text, FastHash>,
    /// What the batch made of items that were there before, by their places before it.
    edited: HashMap<u64, T, FastHash>,
}

/// Where an item stands in a list that a batch changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Spot {
    /// Its place now.
    pub(super) at: u64,
    /// Its place before the batch, if it was there.
    base_at: Option<u64>,
}

impl<T: Clone> Default for WorkingList<'_, T> {
    fn default() -> Self {
        Self {
            base: 0,
            removed: Vec::new(),
            added: Vec::new(),
            added_ids: HashSet::default(),
            edited: HashMap::default(),
        }
    }
}

impl<'b, T: Clone> WorkingList<'b, T> {
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

    pub(super) fn add(&mut self, id: &'b Text, item: &'b T) {
        self.added_ids.insert(id);
        self.added.push((id, Cow::Borrowed(item)));
    }

    /// The place now of what stood at a place before the batch.
    fn shifted(&self, base_at: u64) -> u64 {
        base_at - len_of_iter(self.removed.iter().filter(|removed| **removed < base_at))
    }

    /// The place in `added` of what now stands at a place.
    fn added_at(&self, at: u64) -> Option<usize> {
        usize::try_from(at.checked_sub(self.base - len_of(&self.removed))?).ok()
    }

    /// The last of those with this id; `base` are those of them that were there before the batch.
    pub(super) fn find(&self, id: &Text, base: &[(u64, T)]) -> Option<Spot> {
        let is_added = self.added_ids.contains(id);
        let n = if is_added { self.added.iter().rposition(|(added, _)| *added == id) } else { None };
        if let Some(n) = n {
            let at = self.base - len_of(&self.removed) + u64::try_from(n).unwrap_or(u64::MAX);
            return Some(Spot { at, base_at: None });
        }
        let is_there = |(at, _): &&(u64, T)| *at < self.base && !self.removed.contains(at);
        let (base_at, _) = base.iter().rev().find(is_there)?;
        Some(Spot { at: self.shifted(*base_at), base_at: Some(*base_at) })
    }

    /// The item at a spot as it is by now.
    pub(super) fn get(&self, spot: Spot, base: &[(u64, T)]) -> Option<T> {
        let Some(base_at) = spot.base_at else {
            return self.added.get(self.added_at(spot.at)?).map(|(_, item)| T::clone(item));
        };
        let before = || base.iter().find(|(place, _)| *place == base_at).map(|(_, item)| item);
        self.edited.get(&base_at).or_else(before).cloned()
    }

    /// Puts an item in another's place.
    pub(super) fn put(&mut self, spot: Spot, item: T) {
        match spot.base_at {
            Some(base_at) => {
                self.edited.insert(base_at, item);
            }
            None => {
                let n = self.added_at(spot.at);
                if let Some((_, old)) = n.and_then(|n| self.added.get_mut(n)) {
                    *old = Cow::Owned(item);
                }
            }
        }
    }

    pub(super) fn remove(&mut self, spot: Spot) {
        match spot.base_at {
            Some(base_at) => self.removed.push(base_at),
            None => {
                if let Some(n) = self.added_at(spot.at).filter(|n| *n < self.added.len()) {
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
