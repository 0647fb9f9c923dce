//! Reading events: those that are kept, and those that come.
//!
//! Owns a place in the log and the way onward from it, and says what was compacted away.

use std::collections::VecDeque;
use std::sync::Arc;

use super::chain::{Journal, Next, emptied, next};
use super::group::Segment;
use super::names;
use super::tries;
use super::unread;
use crate::codec::payload::{BadPayload, for_each_event, too_new};
use crate::codec::segment::Previous;
use crate::error::{Error, ErrorKind, Result};
use crate::log::scan::Frame;
use crate::model::{Event, Logged, Seq};

/// A batch of events, with the number of the first.
pub(super) type Batch = (Seq, Vec<Event>);

/// A place in the log that is read from.
#[derive(Debug)]
pub(super) struct Source {
    journal: Arc<Journal>,
    /// The first event that has not been given yet.
    next: Seq,
    /// The object that is read next.
    place: Option<(u64, Seq)>,
    ready: VecDeque<Logged>,
    /// Whether what is kept for consumers is read, too.
    is_consumer: bool,
}

impl Source {
    pub(super) fn new(journal: Arc<Journal>, from: Seq) -> Self {
        Self { journal, next: from.max(1), place: None, ready: VecDeque::new(), is_consumer: false }
    }

    /// One that begins with what is kept for consumers alone.
    pub(super) fn of_consumer(journal: Arc<Journal>, from: Seq) -> Self {
        Self { is_consumer: true, ..Self::new(journal, from) }
    }

    /// What comes next; `None` if there is nothing more for now.
    pub(super) fn next(&mut self) -> Result<Option<Logged>> {
        loop {
            if let Some(logged) = self.ready.pop_front() {
                return Ok(Some(logged));
            }
            let place = match self.place {
                Some(place) => place,
                None => self.begin()?,
            };
            match next(&*self.journal.objects, place)? {
                Next::Nothing if self.is_covered() => return Err(self.missing(place)),
                Next::Nothing if self.ready.is_empty() => return Ok(None),
                Next::Nothing => {}
                Next::Emptied => {
                    self.journal.reload()?;
                    self.place = None;
                    // Order: say what is gone before going on behind it.
                    let before = self.begin()?;
                    if before == place && self.is_covered() {
                        // Somebody has compacted who does not know of consumers.
                        self.pass_over(self.covered());
                    } else if before == place {
                        return Err(emptied(&*self.journal.objects, place));
                    }
                }
                Next::There(bytes, seal) => self.read(place, &bytes, seal.as_ref())?,
            }
        }
    }

    fn covered(&self) -> Seq {
        self.journal.state().checkpoint.head().covered_seq
    }

    /// Whether what comes next is kept for consumers alone.
    fn is_covered(&self) -> bool {
        self.is_consumer && self.next <= self.covered()
    }

    fn missing(&self, place: (u64, Seq)) -> Error {
        let reason = format!(
            "{} is missing, and is kept for consumers; put it back",
            names::segment(place.0, place.1)
        );
        Error::new(ErrorKind::Corrupt, reason).at(self.journal.objects.place(), None)
    }

    /// Says that nothing is left up to an event.
    fn pass_over(&mut self, last: Seq) {
        if self.next <= last {
            self.ready.push_back(Logged::Compacted { first: self.next, last });
            self.next = last + 1;
        }
        self.place = None;
    }

    /// The object to begin with among those that are kept for consumers; `None` if there is none.
    fn begin_unread(&mut self) -> Result<Option<(u64, Seq)>> {
        let objects = &*self.journal.objects;
        let kept = unread::read(objects)?.map(|unread| unread.begin());
        let Some(kept) = kept.filter(|kept| kept.1 <= self.covered()) else { return Ok(None) };
        // The first of them, if a list is late; what comes before what is asked for is passed over.
        let mut place = kept;
        for name in tries::list_behind(objects, names::LOG, &names::segments_at(kept.0))? {
            let found = names::place_in(&name).filter(|found| found.1 <= self.next && *found > place);
            place = found.unwrap_or(place);
        }
        self.pass_over(kept.1 - 1);
        self.place = Some(place);
        Ok(Some(place))
    }

    /// Finds the object to begin with, and says what is compacted away before it.
    fn begin(&mut self) -> Result<(u64, Seq)> {
        if self.is_covered()
            && let Some(place) = self.begin_unread()?
        {
            return Ok(place);
        }
        self.pass_over(self.covered());
        let state = self.journal.state();
        let covered = state.checkpoint.head().covered_seq;
        let holds = state.places.iter().find(|place| place.next_seq > self.next);
        let first = (state.checkpoint.head().first_segment, covered + 1);
        let place = match holds {
            Some(place) => (place.number, place.first_seq),
            // Nothing of it is there yet. What comes next may lie before it, and is passed over then.
            None => {
                if state.places.is_empty() {
                    first
                } else {
                    state.next_place()
                }
            }
        };
        self.place = Some(place);
        Ok(place)
    }

    fn read(&mut self, place: (u64, Seq), bytes: &[u8], seal: Option<&Previous>) -> Result<()> {
        let store_id = self.journal.state().store_id();
        let wrong = |reason: String| {
            let name = names::segment(place.0, place.1);
            Error::new(ErrorKind::Corrupt, format!("{name}: {reason}")).at(self.journal.objects.place(), None)
        };
        let segment =
            Segment::open(bytes, store_id, place, None).map_err(|misfit| wrong(format!("{misfit:?}")))?;
        let mut batches = Vec::new();
        let end = segment
            .walk::<Bad>(seal, |frame| {
                let (first, count) = (frame.header.first_seq, u64::from(frame.header.events));
                if first + count > self.next {
                    batches.push((first, events_of(frame)?));
                }
                Ok(())
            })
            .map_err(|bad| wrong(bad.0))?;
        for (seq, events) in batches {
            self.ready.push_back(Logged::Batch { seq, events });
        }
        self.next = self.next.max(end.next_seq);
        self.place = Some((place.0 + 1, end.next_seq));
        Ok(())
    }
}

/// Why events cannot be read.
struct Bad(String);

impl From<super::group::Misfit> for Bad {
    fn from(misfit: super::group::Misfit) -> Self {
        match misfit {
            super::group::Misfit::Newer(major) => Self(format!("format {major} is newer than this software")),
            super::group::Misfit::Damaged(offset, reason) => Self(format!("at byte {offset}: {reason}")),
        }
    }
}

impl From<BadPayload> for Bad {
    fn from(bad: BadPayload) -> Self {
        Self(bad.0)
    }
}

fn events_of(frame: &Frame<'_>) -> Result<Vec<Event>, Bad> {
    if let Some(reason) = too_new(frame.header.schema) {
        return Err(Bad(reason));
    }
    let mut events = Vec::new();
    for_each_event::<BadPayload>(frame.payload, frame.header.events, |view, _| {
        events.push(view.to_event()?);
        Ok(())
    })?;
    Ok(events)
}

/// Every batch from a number on that is kept.
pub(super) fn all(journal: &Arc<Journal>, from: Seq) -> Result<Vec<Batch>> {
    let mut source = Source::new(Arc::clone(journal), from);
    let mut batches = Vec::new();
    while let Some(logged) = source.next()? {
        if let Logged::Batch { seq, events } = logged {
            batches.push((seq, events));
        }
    }
    Ok(batches)
}
