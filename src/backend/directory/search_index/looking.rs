//! Looking at what the index proposes.
//!
//! Owns in which order that is done, and when it is enough: a text is read only where it can still be among the first hits.

use std::collections::{BinaryHeap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::backend::Backend;
use crate::backend::directory::search_file::{Asked, Blocks, SearchFile, quoted};
use crate::backend::scan::Looked;
use crate::error::{ErrorKind, Result};
use crate::model::{MessageRef, Messages, SearchOrder};
use crate::search::{Bounds, Counter, Matcher, Top, beginnings_of_markers, more_times, times};

/// Behind how many blocks that need not be looked at the index is asked anew, which takes about as long as to go past them.
const FAR: i64 = 8;

/// How many proposals are too few to find out which are better than others.
const FEW: usize = 32;

/// The score that no text has.
const BEST: u64 = u64::MAX;

/// What is looked at, and what for.
pub(super) struct Looking<'l, B> {
    pub(super) backend: &'l B,
    pub(super) matcher: &'l Matcher<'l>,
    pub(super) file: &'l SearchFile,
    pub(super) asked: Asked,
    pub(super) blocks: Arc<Blocks>,
    /// The conversations that have been read as a whole.
    pub(super) read: &'l HashSet<&'l str>,
    pub(super) hits: &'l mut Top,
}

impl<B: Backend> Looking<'_, B> {
    pub(super) fn look(mut self) -> Result<()> {
        match self.matcher.search.order {
            SearchOrder::Newest => self.newest(),
            SearchOrder::Best => self.best(),
        }
    }

    /// From the highest number to lower ones, past every block all of which is older than what has been found.
    fn newest(&mut self) -> Result<()> {
        let ((first, mut last), file) = (self.asked.numbers, self.file);
        loop {
            let (mut highest, mut block, mut again) = (last, None, None);
            let query = self.asked.query.clone();
            file.numbers(&query, (first, last), &mut |number| {
                if number > highest {
                    return Ok(ControlFlow::Continue(()));
                }
                let of = self.blocks.of(number);
                if block.replace(of) != Some(of) && !self.may_have(of.oldest, of.newest) {
                    match self.blocks.before(of, |block| self.may_have(block.oldest, block.newest)) {
                        Some((end, between)) if between < FAR => highest = end,
                        Some((end, _)) => {
                            again = Some(end);
                            return Ok(ControlFlow::Break(()));
                        }
                        None => return Ok(ControlFlow::Break(())),
                    }
                    return Ok(ControlFlow::Continue(()));
                }
                self.look_at(number, 0)?;
                Ok(ControlFlow::Continue(()))
            })?;
            match again {
                Some(end) => last = end,
                None => return Ok(()),
            }
        }
    }

    /// Whether a message of a time between these may be among the newest.
    fn may_have(&self, oldest: i64, newest: i64) -> bool {
        self.asked.is_of_time(oldest, newest) && !self.hits.is_beyond(0, newest)
    }

    /// In the order of what a text can have at most, until none can have more than what has been found.
    fn best(&mut self) -> Result<()> {
        let mut numbers = Vec::new();
        self.file.numbers(&self.asked.query, self.asked.numbers, &mut |number| {
            let block = self.blocks.of(number);
            if self.asked.is_of_time(block.oldest, block.newest) {
                numbers.push(number);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if numbers.len() <= FEW || self.matcher.search.limit.is_none() {
            return numbers.into_iter().try_for_each(|number| self.look_at(number, BEST));
        }
        let mut bounded = BinaryHeap::from(self.bounded(&numbers)?);
        while let Some((bound, newest, number)) = bounded.pop() {
            if self.hits.is_beyond(bound, newest) {
                break;
            }
            self.look_at(number, bound)?;
        }
        Ok(())
    }

    /// Of each message the score and the time that it can have at most. The numbers come from the highest on.
    fn bounded(&self, numbers: &[i64]) -> Result<Vec<(u64, i64, i64)>> {
        let bounds = Bounds::of(&self.matcher.query);
        let counts = bounds.counters().iter().map(|counter| self.counted(counter, numbers));
        let counts: Vec<Vec<u32>> = counts.collect::<Result<_>>()?;
        self.file.read_lengths(&self.blocks)?;
        let of = |(at, number): (usize, &i64)| {
            let times = |counter: usize| counts.get(counter).and_then(|of| of.get(at)).copied();
            let bound = bounds
                .bound(|counter| times(counter).map_or(u64::MAX, u64::from), self.blocks.length(*number));
            (bound, self.blocks.of(*number).newest, *number)
        };
        Ok(numbers.iter().enumerate().map(of).collect())
    }

    /// How often at most each message has what a counter counts.
    fn counted(&self, counter: &Counter, numbers: &[i64]) -> Result<Vec<u32>> {
        let short = |times: u64| u32::try_from(times).unwrap_or(u32::MAX);
        match counter {
            Counter::Term(markers) => {
                let mut count = vec![0; numbers.len()];
                for marker in markers {
                    if !self.count(marker, numbers, &mut count)? {
                        break;
                    }
                }
                Ok(count.into_iter().map(|markers| short(times(markers))).collect())
            }
            Counter::Beginning(beginning) => {
                let mut count = vec![0_u32; numbers.len()];
                let mut add = |term: &str, number: i64| {
                    // They come from the highest on.
                    let at = numbers.binary_search_by(|other| number.cmp(other));
                    if let Some(count) = at.ok().and_then(|at| count.get_mut(at)) {
                        *count = count.saturating_add(short(more_times(term)));
                    }
                };
                self.file.beginnings(beginning, &mut add)?;
                for markers in beginnings_of_markers(beginning) {
                    self.file.beginnings(&markers, &mut add)?;
                }
                Ok(count)
            }
        }
    }

    /// Counts up for each message that has a term. Whether there is one at all, of these or of others.
    fn count(&self, term: &str, numbers: &[i64], count: &mut [u8]) -> Result<bool> {
        let (mut is_any, mut places) = (false, numbers.iter().zip(count).peekable());
        self.file.numbers(&quoted(term), self.asked.numbers, &mut |number| {
            is_any = true;
            while places.next_if(|(other, _)| **other > number).is_some() {}
            if let Some((_, count)) = places.next_if(|(other, _)| **other == number) {
                *count += 1;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(is_any)
    }

    /// Looks at a message that has at most this score, if it can be among the first.
    fn look_at(&mut self, number: i64, bound: u64) -> Result<()> {
        let Some(row) = self.file.row(number)? else { return Ok(()) };
        if !self.asked.is_meant(&row) || self.hits.is_beyond(bound, row.micros) {
            return Ok(());
        }
        let Some(id) = self.file.id_of(row.conversation)?.filter(|id| !self.read.contains(id.as_str()))
        else {
            return Ok(());
        };
        let mut hit = None;
        let looked = Looked { number: 0, id: &id, matcher: self.matcher };
        let mut look = |message: MessageRef<'_>| hit = looked.hit(row.place, &message);
        match self.backend.for_each_message(&id, &Messages::first(1).from_place(row.place), &mut look) {
            // Removed since it was indexed.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            read => read?,
        }
        self.hits.extend(hit);
        Ok(())
    }
}
