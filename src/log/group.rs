//! A group that forms, and what the log keeps beside it under its lock.
//!
//! Owns the state that callers and the leader share, and who is told if a group will not be written.

use std::sync::{Arc, PoisonError};

use super::current::PendingFrame;
use super::record::Placed;
use super::segment::Segment;
use super::sync::{Condvar, Mutex, MutexGuard};
use super::waiter::Waiter;
use crate::error::{Error, Result};
use crate::model::Seq;

/// Who uses the log: it keeps state under the log's lock and is shown each group once it is written.
pub(crate) trait Client: Send + Sync {
    /// What the client keeps under the log's lock.
    type State: Send;

    /// Shows the records of a group, after the sync if there was one, in order, without the lock.
    ///
    /// # Errors
    ///
    /// A record that does not fit what the client was shown before: an invariant is broken, the log ends.
    fn apply(&self, segment: &Arc<Segment>, records: &mut dyn Iterator<Item = Placed<'_>>) -> Result<()>;

    /// Everything before `seq` has been shown. Called with the lock.
    fn applied(&self, state: &mut Self::State, seq: Seq);

    /// Nothing that was not shown will be: forget it. Called with the lock.
    fn dropped(&self, state: &mut Self::State);
}

pub(super) struct State<S> {
    pub(super) client: S,
    pub(super) next_seq: Seq,
    pub(super) forming: Group,
    pub(super) is_busy: bool,
    /// How many threads wait for their turn: waking nobody is a call of the system all the same.
    pub(super) waiting: usize,
    /// How many members the newest group had that has been taken.
    pub(super) crowd: usize,
    /// Why nothing more is written.
    pub(super) ended: Option<Error>,
}

impl<S> State<S> {
    /// Lets the lock go and wakes whoever waits for a turn.
    pub(super) fn leave(state: MutexGuard<'_, Self>, turn: &Condvar) {
        let is_awaited = state.waiting > 0;
        drop(state);
        if is_awaited {
            turn.notify_all();
        }
    }

    /// Waits until a group is done or taken.
    pub(super) fn pause<'s>(mut state: MutexGuard<'s, Self>, turn: &Condvar) -> MutexGuard<'s, Self> {
        state.waiting += 1;
        let mut state = turn.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state
    }
}

#[derive(Default)]
pub(super) struct Group {
    pub(super) buffer: Vec<u8>,
    pub(super) frames: Vec<PendingFrame>,
    /// What the frames that are sealed have in them, one behind the other, as it was before.
    pub(super) plain: Vec<u8>,
    pub(super) must_sync: bool,
    /// None as long as nobody can be waiting for the group: its one member leads it at once.
    pub(super) waiter: Option<Arc<Waiter>>,
}

/// What callers and the leader of a group share.
pub(super) struct Shared<C: Client> {
    pub(super) client: C,
    pub(super) state: Mutex<State<C::State>>,
    /// Signalled whenever a group is done or taken.
    pub(super) turn: Condvar,
}

impl<C: Client> Shared<C> {
    /// Tells everybody in the forming group that it will not be written.
    pub(super) fn fail_forming(&self, state: &mut State<C::State>, error: &Error) {
        let group = std::mem::take(&mut state.forming);
        if let Some(first) = group.frames.first() {
            state.next_seq = first.first_seq;
        }
        self.client.dropped(&mut state.client);
        if let Some(waiter) = group.waiter {
            waiter.finish(Err(error.clone()));
        }
        if state.waiting > 0 {
            self.turn.notify_all();
        }
    }
}
