//! The log of a store in a bucket, as far as this process has read it.
//!
//! Owns the state, and the ways in which it goes on: object by object, and to the newest checkpoint where objects are empty by now.
//! What is shown never goes back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::group::{Segment, is_emptied};
use super::names;
use super::objects::Objects;
use super::opening;
use super::state::{State, Wrong};
use super::touches::Touches;
use super::tries;
use crate::codec::segment::{Previous, SegmentHeader};
use crate::error::{Error, ErrorKind, Result};

/// How often a checkpoint is looked for that has what an emptied object had.
const CHASES: u32 = 100;

/// How often what was appended meanwhile is read while more may be.
const UNLOCKED: u32 = 3;

/// The log, and what it led to.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) objects: Arc<dyn Objects>,
    state: RwLock<State>,
    /// An object could be taken in by half only: the state is worth nothing.
    is_spoiled: AtomicBool,
    /// Whether somebody wants to know what events touch.
    notes: bool,
}

impl Journal {
    /// Reads a store's log to its end, from what was found of the store.
    pub(super) fn read(objects: Arc<dyn Objects>, found: State) -> Result<Self> {
        Self::read_noting(objects, found, false)
    }

    /// The same, and says from then on what events touch, if it is asked to.
    pub(super) fn read_noting(objects: Arc<dyn Objects>, found: State, notes: bool) -> Result<Self> {
        let state = Self::caught_up(&*objects, found, (notes, None))?;
        Ok(Self { objects, state: RwLock::new(state), is_spoiled: AtomicBool::new(false), notes })
    }

    /// The same, read by somebody else.
    #[cfg(test)]
    pub(super) fn like(&self, objects: Arc<dyn Objects>) -> Self {
        let (state, notes) = (RwLock::new(self.state().clone()), self.notes);
        Self { objects, state, is_spoiled: AtomicBool::new(false), notes }
    }

    pub(super) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what others have appended.
    pub(super) fn advance(&self) -> Result<()> {
        if self.is_spoiled.load(Ordering::SeqCst) {
            self.reload()?;
        }
        loop {
            let place = self.state().next_place();
            match next(&*self.objects, place)? {
                Next::Nothing => return Ok(()),
                Next::Emptied => {
                    self.reload()?;
                    if self.state().next_place() == place {
                        return Err(emptied(&*self.objects, place));
                    }
                }
                Next::There(bytes, seal) => self.take(place, &bytes, seal.as_ref())?,
            }
        }
    }

    /// Takes an object in, unless another thread has done it.
    pub(super) fn take(&self, place: (u64, u64), bytes: &[u8], seal: Option<&Previous>) -> Result<()> {
        let mut state = self.state_mut();
        if state.next_place() != place {
            return Ok(());
        }
        state.take(bytes, seal).map_err(|wrong| {
            self.is_spoiled.store(true, Ordering::SeqCst);
            self.wrong(place, wrong)
        })
    }

    /// Begins again with the newest checkpoint.
    pub(super) fn reload(&self) -> Result<()> {
        let gone = || {
            Error::new(ErrorKind::Corrupt, "the store is gone from the bucket").at(self.objects.place(), None)
        };
        let found = opening::find(&*self.objects)?.ok_or_else(gone)?.state;
        if found.store_id() != self.state().store_id() {
            let reason = "another store has taken the place of the one that was open; close this one";
            return Err(Error::new(ErrorKind::Corrupt, reason).at(self.objects.place(), None));
        }
        let mut newer = found;
        for tries in 0.. {
            // As far as this process is: it goes on from there, and whoever appends all the time is no reason to wait.
            let own = self.state().next_place();
            newer = Self::caught_up(&*self.objects, newer, (self.notes, Some(own)))?;
            let mut state = self.state_mut();
            let is_spoiled = self.is_spoiled.load(Ordering::SeqCst);
            if newer.next_place() < state.next_place() && !is_spoiled {
                // This process has appended meanwhile. What was shown is not taken back, so that is read, too; in the end
                // while nothing more is taken in.
                if tries < UNLOCKED {
                    continue;
                }
                newer = Self::caught_up(&*self.objects, newer, (self.notes, Some(state.next_place())))?;
            }
            // Another thread may have come to a newer checkpoint.
            let is_newer = newer.checkpoint.head().epoch >= state.checkpoint.head().epoch
                && newer.next_place() >= state.next_place();
            if is_newer || is_spoiled {
                *state = newer;
                self.is_spoiled.store(false, Ordering::SeqCst);
            }
            return Ok(());
        }
        Ok(())
    }

    /// Reads from a checkpoint to the end of the log, or to a place; from the next one, if this one's objects are empty.
    fn caught_up(
        objects: &dyn Objects,
        mut state: State,
        (notes, enough): (bool, Option<(u64, u64)>),
    ) -> Result<State> {
        let mut chases = 0;
        loop {
            if notes && state.touches.is_none() {
                state.touches = Some(Touches::behind(state.next_seq - 1));
            }
            let place = state.next_place();
            if state.end.is_some() && enough.is_some_and(|enough| place >= enough) {
                return Ok(state);
            }
            match next(objects, place)? {
                Next::There(bytes, seal) => {
                    state.take(&bytes, seal.as_ref()).map_err(|wrong| wrong_at(objects, place, wrong))?;
                }
                Next::Nothing if state.end.is_none() && place.0 > 1 => {
                    let reason = format!(
                        "segment {} of the log is missing: the checkpoint names it; put it back",
                        place.0
                    );
                    return Err(Error::new(ErrorKind::Corrupt, reason).at(objects.place(), None));
                }
                // Order: look for what lies behind once the end was seen. Whatever is there by then has something before it.
                Next::Nothing if is_end(objects, place)? => return Ok(state),
                Next::Nothing => {}
                Next::Emptied if chases < CHASES => {
                    chases += 1;
                    let gone = || Error::new(ErrorKind::Corrupt, "the store is gone from the bucket");
                    state = opening::find(objects)?.ok_or_else(gone)?.state;
                }
                Next::Emptied => return Err(emptied(objects, place)),
            }
        }
    }

    fn wrong(&self, place: (u64, u64), wrong: Wrong) -> Error {
        wrong_at(&*self.objects, place, wrong)
    }
}

/// What is at the next place.
pub(super) enum Next {
    Nothing,
    /// Its events are in a checkpoint by now.
    Emptied,
    /// An object, and what its successor says of it where only that can.
    There(Vec<u8>, Option<Previous>),
}

/// Reads what is at a place.
pub(super) fn next(objects: &dyn Objects, (number, first_seq): (u64, u64)) -> Result<Next> {
    let Some(found) = tries::get(objects, &names::segment(number, first_seq))? else {
        return Ok(Next::Nothing);
    };
    if is_emptied(&found.bytes) {
        return Ok(Next::Emptied);
    }
    let seal = seal_of(objects, number, &found.bytes)?;
    Ok(Next::There(found.bytes, seal))
}

/// Whether a place at which nothing was is the end of the log; false if something has come there meanwhile.
///
/// # Errors
///
/// `Corrupt` if something stands behind it, which had another before it: that was removed.
fn is_end(objects: &dyn Objects, (number, first_seq): (u64, u64)) -> Result<bool> {
    let name = names::segment(number, first_seq);
    // Names are in the order of their numbers, and each begins with one.
    let behind = names::segments_at(number);
    let listed = tries::list_behind(objects, names::LOG, &behind)?;
    let Some(other) = listed.iter().find(|other| names::number_in(other).is_some()) else { return Ok(true) };
    if tries::get(objects, &name)?.is_some() {
        return Ok(false);
    }
    let reason = format!("{name} is missing: {other} stands behind it; put it back");
    Err(Error::new(ErrorKind::Corrupt, reason).at(objects.place(), None))
}

/// The error for an object that was emptied, and that no compaction can have emptied.
pub(super) fn emptied(objects: &dyn Objects, (number, first_seq): (u64, u64)) -> Error {
    let name = names::segment(number, first_seq);
    let reason = format!("{name} is empty, and no checkpoint has its events; put it back as it was");
    Error::new(ErrorKind::Corrupt, reason).at(objects.place(), None)
}

fn is_sealed(bytes: &[u8], header: &SegmentHeader) -> bool {
    Segment::open(bytes, header.store_id, (header.number, header.first_seq), None)
        .is_ok_and(|segment| segment.is_sealed())
}

/// What the successor of a segment says of it. Only a directory's writer leaves segments that do not say it themselves.
pub(super) fn seal_of(objects: &dyn Objects, number: u64, bytes: &[u8]) -> Result<Option<Previous>> {
    if SegmentHeader::decode(bytes).map_or(true, |header| is_sealed(bytes, &header)) {
        return Ok(None);
    }
    let Some(name) = tries::list(objects, &names::segments_at(number + 1))?.into_iter().next() else {
        return Ok(None);
    };
    let Some(found) = tries::get(objects, &name)? else { return Ok(None) };
    Ok(SegmentHeader::decode(&found.bytes).ok().map(|header| header.previous))
}

pub(super) fn wrong_at(objects: &dyn Objects, (number, first_seq): (u64, u64), wrong: Wrong) -> Error {
    let name = names::segment(number, first_seq);
    let error = match wrong {
        Wrong::Newer(reason) => Error::new(ErrorKind::UnsupportedFormat, format!("{name}: {reason}")),
        Wrong::Damaged(offset, reason) => {
            let remedy = "put the object back as it was";
            Error::new(ErrorKind::Corrupt, format!("{name}, at byte {offset}: {reason}; {remedy}"))
        }
    };
    error.at(objects.place(), None)
}
