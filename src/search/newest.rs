//! The newest of what was found, in whatever order it was.
//!
//! Owns the order of hits: by time, the newest first; of one time, by the order in which their conversations began, and by their places.

use std::cmp::Reverse;

use crate::model::Found;

/// What hits are ordered by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Key {
    /// The instant, in microseconds from the Unix epoch.
    pub(crate) micros: i64,
    /// Which conversation it is, in the order in which they began.
    pub(crate) conversation: u64,
    pub(crate) place: u64,
}

/// Keeps the newest hits, up to a limit.
#[derive(Debug)]
pub(crate) struct Newest {
    limit: Option<usize>,
    found: Vec<(Key, bool, Found)>,
}

impl Newest {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self { limit, found: Vec::new() }
    }

    /// Adds a hit. What is in doubt counts for no limit.
    pub(crate) fn add(&mut self, key: Key, is_sure: bool, found: Found) {
        self.found.push((key, is_sure, found));
        if let Some(limit) = self.limit
            && self.found.len() > limit.saturating_mul(2).saturating_add(1000)
        {
            self.cut();
        }
    }

    /// The newest, newest first.
    pub(crate) fn into_found(mut self) -> Vec<Found> {
        self.cut();
        self.found.into_iter().map(|(_, _, found)| found).collect()
    }

    fn cut(&mut self) {
        self.found.sort_by_key(|(key, _, _)| Reverse(*key));
        let Some(limit) = self.limit else { return };
        let mut sure = 0;
        let is_over = |(_, is_sure, _): &(Key, bool, Found)| {
            let is_over = sure >= limit;
            sure += usize::from(*is_sure);
            is_over
        };
        let end = self.found.iter().position(is_over);
        self.found.truncate(end.unwrap_or(self.found.len()));
    }
}
