//! How a leader leaves its group.
//!
//! Owns what happens to a group, to the one that formed behind it and to the log, however the leader's work
//! ended: in order, with an error, or in a panic.

use std::sync::Arc;

use super::current::WriteError;
use super::group::{Client, Group, Shared, State};
use super::sync::GROUP_BYTES;
use super::waiter::{Done, Waiter, locked};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Seq;

/// Held by a leader while it works without the lock; whatever way it leaves, its followers hear of it.
pub(super) struct Leader<'a, C: Client> {
    log: &'a Shared<C>,
    waiter: Option<Arc<Waiter>>,
    /// With what the log ends.
    then: Option<Error>,
    has_left: bool,
}

impl<'a, C: Client> Leader<'a, C> {
    /// Begins the leader's work.
    pub(super) fn new(log: &'a Shared<C>, waiter: Option<Arc<Waiter>>, then: Option<Error>) -> Self {
        Self { log, waiter, then, has_left: false }
    }

    /// Leaves in order.
    pub(super) fn depart(
        mut self,
        written: Result<Done, (WriteError, bool)>,
        next_seq: Seq,
        mut group: Group,
    ) -> Result<Done> {
        self.has_left = true;
        let mut state = locked(&self.log.state);
        state.is_busy = false;
        let (outcome, result) = match written {
            Ok(done) => (Ok(done), Ok(done)),
            // The group itself was written; what failed was done after it.
            Err((WriteError::Refused(error) | WriteError::Unknown(error), true)) => {
                (Ok(Done { is_durable: true }), Err(error))
            }
            Err((failure, was_applied)) => {
                let error = self.fail(&mut state, failure, &group, was_applied);
                (if was_applied { Ok(Done { is_durable: true }) } else { Err(error.clone()) }, Err(error))
            }
        };
        if outcome.is_ok() {
            self.log.client.applied(&mut state.client, next_seq);
            // The buffer goes back, so that a busy log allocates nothing.
            if state.forming.buffer.capacity() == 0 && group.buffer.capacity() <= GROUP_BYTES {
                group.buffer.clear();
                group.frames.clear();
                state.forming.buffer = std::mem::take(&mut group.buffer);
                state.forming.frames = std::mem::take(&mut group.frames);
            }
        }
        if let Some(error) = self.then.take() {
            self.log.fail_forming(&mut state, &error);
            state.ended.get_or_insert(error);
        }
        State::leave(state, &self.log.turn);
        if let Some(waiter) = self.waiter.take() {
            waiter.finish(outcome);
        }
        result
    }

    /// Takes the failed group's sequence numbers back and fails the group that formed behind it, whose
    /// numbers and checks were built on this one.
    fn fail(
        &self,
        state: &mut State<C::State>,
        failure: WriteError,
        group: &Group,
        was_applied: bool,
    ) -> Error {
        let (error, is_fatal) = match failure {
            WriteError::Refused(error) => (error, false),
            WriteError::Unknown(error) => {
                (error.context("whether the mutation was written shows after the next opening"), false)
            }
            WriteError::Overtaken(error) => (error, true),
            // What a failed sync was to cover may have reached the device or not.
            WriteError::Fatal(error) if was_applied => (error, true),
            WriteError::Fatal(error) => {
                (error.context("whether the mutation was written shows after the next opening"), true)
            }
        };
        if is_fatal {
            state.ended.get_or_insert(stopped(&error));
        }
        let behind =
            Error::new(error.kind(), format!("not written, because the write before it failed ({error})"));
        self.log.fail_forming(state, &behind);
        if let Some(first) = group.frames.first().filter(|_| !was_applied) {
            state.next_seq = first.first_seq;
        }
        error
    }
}

/// Why nothing more is written after a failure.
fn stopped(error: &Error) -> Error {
    if error.kind() == ErrorKind::Locked {
        return error.clone();
    }
    let reason = format!("the store stopped after an earlier failure ({error}); close it and open it again");
    Error::new(ErrorKind::Failed, reason)
}

impl<C: Client> Drop for Leader<'_, C> {
    fn drop(&mut self) {
        if self.has_left {
            return;
        }
        // Only a panic of the client comes here. What it was shown may be half applied, so the log ends.
        let error =
            Error::new(ErrorKind::Failed, "the thread that wrote this group panicked; open the store again");
        let mut state = locked(&self.log.state);
        state.is_busy = false;
        state.ended.get_or_insert(error.clone());
        self.log.fail_forming(&mut state, &error);
        drop(state);
        if let Some(waiter) = self.waiter.take() {
            waiter.finish(Err(error));
        }
    }
}
