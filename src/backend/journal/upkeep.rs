//! Compacting beside the appends.
//!
//! Owns the question when, and the one thread that does it. An opening reads what lies behind the checkpoint object by object, so
//! whoever appends keeps that short. No append waits for it or fails by it, and several processes may do it at once.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::compaction::Compactor;
use super::projector::Projector;
use super::state::State;
use crate::backend::locked::locked;
use crate::error::{Error, ErrorKind};

/// How many objects may lie behind the checkpoint before they are compacted.
pub(super) const MOST_OBJECTS: usize = 512;

/// How many more have to come before one that failed is tried again.
const PATIENCE: usize = 64;

#[derive(Debug)]
pub(super) struct Upkeep {
    compactor: Arc<Compactor>,
    /// How many bytes may lie behind it; never, if nobody wants it.
    most_bytes: Option<u64>,
    work: Mutex<Work>,
}

#[derive(Debug, Default)]
struct Work {
    /// Says why it has failed, if it has.
    thread: Option<JoinHandle<Option<Error>>>,
    /// How many objects there were when it was begun last.
    begun_at: usize,
    /// Why the last one failed that has ended.
    trouble: Option<Error>,
}

impl Work {
    /// Takes note of what came of the one that has ended.
    fn hear(&mut self) {
        if let Some(thread) = self.thread.take_if(|thread| thread.is_finished()) {
            let gave_up = |_| Some(Error::new(ErrorKind::Failed, "the compaction ended without a result"));
            self.trouble = thread.join().unwrap_or_else(gave_up);
        }
    }
}

impl Upkeep {
    pub(super) fn new(compactor: Arc<Compactor>, most_bytes: Option<u64>) -> Self {
        Self { compactor, most_bytes, work: Mutex::default() }
    }

    /// Begins a compaction if one is due and none is under way.
    pub(super) fn look(&self, state: &State, projector: Option<&Arc<Projector>>) {
        let Some(most_bytes) = self.most_bytes else { return };
        let (count, bytes) = (state.places.len(), state.places.iter().map(|place| place.bytes).sum::<u64>());
        if count <= MOST_OBJECTS && bytes <= most_bytes {
            return;
        }
        let mut work = locked(&self.work);
        work.hear();
        if work.thread.is_some() {
            return;
        }
        let is_soon = count >= work.begun_at && count < work.begun_at.saturating_add(PATIENCE);
        if work.trouble.is_some() && is_soon {
            return;
        }
        work.begun_at = count;
        let (compactor, projector) = (Arc::clone(&self.compactor), projector.cloned());
        let compact = move || {
            // Order: the documents first. Behind a compaction nobody knows any more which places an event has touched.
            if let Some(projector) = projector {
                projector.catch_up().ok();
            }
            compactor.compact().err()
        };
        // What it fails by is in `stats`; without a thread the next append tries again.
        let begun = std::thread::Builder::new().name("aral-compact".to_owned());
        work.thread = begun.spawn(compact).ok();
    }

    /// Why the last compaction failed, if it did.
    pub(super) fn trouble(&self) -> Option<Error> {
        let mut work = locked(&self.work);
        work.hear();
        work.trouble.clone()
    }

    /// Takes note of how one went that somebody asked for.
    pub(super) fn note(&self, trouble: Option<Error>) {
        let mut work = locked(&self.work);
        work.hear();
        work.trouble = trouble;
    }

    /// Waits for the one that is under way.
    pub(super) fn end(&self) {
        let thread = locked(&self.work).thread.take();
        if let Some(thread) = thread {
            thread.join().ok();
        }
    }
}
