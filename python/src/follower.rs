//! The native class `Follower`: a place in a store's log, and the way onward from it.
//!
//! Owns the hand-over of what comes next; waiting for it is the package's.

use std::sync::{Arc, Mutex, PoisonError};

use aral_store::{Error, Logged};
use pyo3::prelude::*;

use crate::failure::{forked, raised};
use crate::place::Open;

/// Reads the events of a store in order, also those that are appended later.
#[pyclass(frozen, module = "aral_store._core")]
pub(crate) struct Follower {
    /// Always there until this is dropped.
    place: Mutex<Option<aral_store::Follower>>,
    from: u64,
    process: Option<u32>,
    open: Option<Arc<Open>>,
}

/// Events as JSON objects, each with its number; or none, and the first and the last number of those that are gone.
type Next = (Vec<String>, Option<(u64, u64)>);

impl Follower {
    pub(crate) fn new(
        place: aral_store::Follower,
        from: u64,
        process: Option<u32>,
        open: Option<Arc<Open>>,
    ) -> Self {
        Self { place: Mutex::new(Some(place)), from, process, open }
    }

    fn look(&self) -> aral_store::Result<Option<Next>> {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        match place.as_mut().map_or(Ok(None), aral_store::Follower::next_logged)? {
            None => Ok(None),
            Some(Logged::Batch { seq, events }) => {
                let numbered = (seq..).zip(&events).filter(|(seq, _)| *seq >= self.from);
                Ok(Some((numbered.map(|(seq, event)| event.to_json_line(seq)).collect(), None)))
            }
            Some(Logged::Compacted { first, last }) => Ok(Some((Vec::new(), Some((first, last))))),
            Some(_) => Err(Error::invalid("there is something in the log that this version does not know")),
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let place = self.place.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        Open::let_go(self.open.as_ref(), place);
    }
}

#[pymethods]
impl Follower {
    /// What comes next, or nothing if there is nothing more for now. Does not wait.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Next>> {
        match self.process {
            Some(opened) if opened != std::process::id() => Err(forked(py, opened)),
            _ => py.detach(|| self.look()).map_err(|error| raised(py, &error)),
        }
    }
}
