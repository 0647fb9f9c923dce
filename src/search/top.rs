//! The first of what was found, in whatever order it was.
//!
//! Owns the order of hits: by score, where that is wanted; then by time, the newest first; of one time, by the order in which their conversations
//! began, and by their places.

use std::cmp::Reverse;
#[cfg(feature = "sqlite")]
use std::collections::BinaryHeap;

use crate::model::Found;

/// What hits are ordered by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Key {
    /// How well it answers; the same for all where the newest are wanted.
    pub(crate) score: u64,
    /// The instant, in microseconds from the Unix epoch.
    pub(crate) micros: i64,
    /// Which conversation it is, in the order in which they began.
    pub(crate) conversation: u64,
    pub(crate) place: u64,
}

/// A hit, what it is ordered by, and whether it surely is one.
pub(crate) type Hit = (Key, bool, Found);

/// Keeps the first hits, up to a limit.
#[derive(Debug)]
pub(crate) struct Top {
    limit: Option<usize>,
    has_ties: bool,
    found: Vec<Hit>,
    /// The scores and times of the first hits that are surely some, the last one of them first.
    #[cfg(feature = "sqlite")]
    first: BinaryHeap<Reverse<(u64, i64)>>,
}

impl Top {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self {
            limit,
            has_ties: false,
            found: Vec::new(),
            #[cfg(feature = "sqlite")]
            first: BinaryHeap::new(),
        }
    }

    /// Also keeps those that only their conversation and place put behind the limit, for whoever does not know yet which conversation began
    /// first.
    #[cfg(feature = "sqlite")]
    pub(crate) fn with_ties(mut self) -> Self {
        self.has_ties = true;
        self
    }

    /// Whether no hit of at most this score and, if it has that, of at most this time can be among the first any more.
    #[cfg(feature = "sqlite")]
    pub(crate) fn is_beyond(&self, score: u64, micros: i64) -> bool {
        self.limit.is_some_and(|limit| {
            self.first.len() >= limit && self.first.peek().is_none_or(|Reverse(last)| *last > (score, micros))
        })
    }

    /// Adds a hit. What is in doubt counts for no limit.
    pub(crate) fn add(&mut self, key: Key, is_sure: bool, found: Found) {
        self.found.push((key, is_sure, found));
        #[cfg(feature = "sqlite")]
        if let Some(limit) = self.limit.filter(|_| is_sure && self.has_ties) {
            self.first.push(Reverse((key.score, key.micros)));
            if self.first.len() > limit {
                self.first.pop();
            }
        }
        // Order: the doubling before the cut, so that hits of one time, all of which stay, are not sorted again for each that comes.
        if let Some(limit) = self.limit
            && self.found.len() > limit.saturating_mul(2).saturating_add(1000)
            && self.found.len().is_power_of_two()
        {
            self.cut();
        }
    }

    /// The first of them, in order.
    pub(crate) fn into_found(self) -> Vec<Found> {
        self.into_hits().into_iter().map(|(_, _, found)| found).collect()
    }

    /// The same, with what they are ordered by.
    pub(crate) fn into_hits(mut self) -> Vec<Hit> {
        self.cut();
        self.found
    }

    fn cut(&mut self) {
        self.found.sort_by_key(|(key, _, _)| Reverse(*key));
        let Some(limit) = self.limit else { return };
        let (mut sure, mut last) = (0, None);
        let has_ties = self.has_ties;
        let is_over = |(key, is_sure, _): &Hit| {
            if sure >= limit {
                let is_tie = has_ties && last == Some((key.score, key.micros));
                return !is_tie;
            }
            sure += usize::from(*is_sure);
            last = Some((key.score, key.micros));
            false
        };
        let end = self.found.iter().position(is_over);
        self.found.truncate(end.unwrap_or(self.found.len()));
    }
}

impl Extend<Hit> for Top {
    fn extend<I: IntoIterator<Item = Hit>>(&mut self, hits: I) {
        hits.into_iter().for_each(|(key, is_sure, found)| self.add(key, is_sure, found));
    }
}
