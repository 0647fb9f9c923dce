//! Group commit: many callers, one write, one sync.
//!
//! Owns the order of events, the forming group and who leads it. Callers put their records into the forming
//! group under a short lock; the first of them leads: it waits for the group before to be done, takes all
//! that has gathered meanwhile, writes it with one call, syncs if any member asked for it, shows the group
//! to the client in order, and wakes its members. No delay is needed: the next group forms while this one
//! syncs. The shape is raft-engine's write barrier, with the leader's departure guarded, because a leader
//! that leaves by an error or a panic must not leave its followers waiting (okaywal's did).

use std::sync::Arc;

use super::active::Active;
use super::current::{PendingFrame, WriteError};
use super::group::{Client, Group, Shared, State};
use super::leader::Leader;
use super::record::{Placed, Record};
use super::sync::{Condvar, GROUP_BYTES, Mutex, MutexGuard, yield_now};
use super::waiter::{Done, Waiter, locked};
use crate::codec::bytes::to_u64;
use crate::codec::frame::FRAME_ALIGN;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Seq;

/// How often in a row a leader lets others run in vain before it goes without those who were in the group before.
const PATIENCE: usize = 4;

/// The log as its writers share it.
pub(crate) struct Log<C: Client> {
    pub(super) shared: Shared<C>,
    active: Mutex<Active>,
}

/// The right to add records to the forming group; others wait while it is held.
pub(crate) struct Turn<'l, C: Client> {
    log: &'l Log<C>,
    state: MutexGuard<'l, State<C::State>>,
}

impl<C: Client> std::fmt::Debug for Log<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

impl<C: Client> Log<C> {
    /// Starts where recovery ended.
    pub(crate) fn new(client: C, state: C::State, active: Active, next_seq: Seq) -> Self {
        let state = State {
            client: state,
            next_seq,
            forming: Group::default(),
            is_busy: false,
            waiting: 0,
            crowd: 0,
            ended: None,
        };
        let shared = Shared { client, state: Mutex::new(state), turn: Condvar::new() };
        Self { shared, active: Mutex::new(active) }
    }

    /// Who is shown the records.
    pub(crate) fn client(&self) -> &C {
        &self.shared.client
    }

    /// Waits for the right to add records.
    ///
    /// # Errors
    ///
    /// `Failed` after a failed sync, `Closed` after a close.
    pub(crate) fn turn(&self) -> Result<Turn<'_, C>> {
        let mut state = locked(&self.shared.state);
        loop {
            if let Some(error) = &state.ended {
                return Err(error.clone());
            }
            if state.forming.buffer.len() < GROUP_BYTES {
                return Ok(Turn { log: self, state });
            }
            state = State::pause(state, &self.shared.turn);
        }
    }

    /// Writes what has gathered, with a sync, and then runs `act` while nobody else writes.
    ///
    /// `act` gets the sequence number of the next event; everything before it has been written, is durable,
    /// and has been shown to the client. If `then` is given, the log ends with it, whatever `act` returns.
    ///
    /// # Errors
    ///
    /// `Failed` or `Closed` as for [`turn`](Log::turn); what `act` returns. If `act` says so by
    /// [`WriteError::Fatal`], nothing more is written.
    pub(crate) fn exclusively<T>(
        &self,
        then: Option<Error>,
        act: impl FnOnce(&mut Active, Seq) -> Result<T, WriteError>,
    ) -> Result<T> {
        let mut state = self.await_departure(locked(&self.shared.state));
        if let Some(error) = &state.ended {
            return Err(error.clone());
        }
        // Whoever was to lead the forming group finds it taken and waits for its outcome.
        state.forming.must_sync = true;
        let mut result = None;
        let led = self.lead(state, then, |active, next_seq| {
            result = Some(act(active, next_seq)?);
            Ok(())
        });
        led?;
        result.ok_or_else(|| Error::new(ErrorKind::Failed, "the group before failed"))
    }

    /// Makes everything accepted so far durable, if it is not.
    ///
    /// # Errors
    ///
    /// `Failed` or `Closed` as for [`turn`](Log::turn); the failure of the group that had gathered.
    pub(crate) fn flush(&self) -> Result<()> {
        let mut state = self.await_departure(locked(&self.shared.state));
        if let Some(error) = &state.ended {
            return Err(error.clone());
        }
        if state.forming.frames.is_empty() && locked(&self.active).is_durable() {
            return Ok(());
        }
        state.forming.must_sync = true;
        self.lead(state, None, |_, _| Ok(())).map(|_| ())
    }

    /// Whether nothing more is written.
    pub(crate) fn has_ended(&self) -> bool {
        locked(&self.shared.state).ended.is_some()
    }

    /// What every mutation gets by now, if nothing more is written; else this error.
    pub(crate) fn ended_or(&self, error: Error) -> Error {
        locked(&self.shared.state).ended.clone().unwrap_or(error)
    }

    /// Refuses everything from now on, with this error.
    pub(crate) fn end(&self, error: Error) {
        let mut state = locked(&self.shared.state);
        state.ended.get_or_insert(error);
        State::leave(state, &self.shared.turn);
    }

    fn await_departure<'s>(
        &self,
        mut state: MutexGuard<'s, State<C::State>>,
    ) -> MutexGuard<'s, State<C::State>> {
        while state.is_busy {
            state = State::pause(state, &self.shared.turn);
        }
        state
    }

    /// Leads the group of this waiter once the one before is done, unless somebody else has taken it.
    fn lead_own(&self, state: MutexGuard<'_, State<C::State>>, waiter: &Arc<Waiter>) -> Result<Done> {
        let (mut fruitless, mut known) = (0, 0);
        let mut state = self.await_departure(state);
        loop {
            if !state.forming.waiter.as_ref().is_some_and(|forming| Arc::ptr_eq(forming, waiter)) {
                drop(state);
                return waiter.wait();
            }
            // Those of the group before are on their way back: whoever misses this sync waits for two.
            let members = state.forming.frames.len();
            fruitless = if members > known { 0 } else { fruitless + 1 };
            let is_full = members >= state.crowd || state.forming.buffer.len() >= GROUP_BYTES;
            if !state.forming.must_sync || is_full || fruitless > PATIENCE || state.ended.is_some() {
                break;
            }
            known = members;
            drop(state);
            yield_now();
            state = self.await_departure(locked(&self.shared.state));
        }
        if let Some(error) = state.ended.clone() {
            self.shared.fail_forming(&mut state, &error);
            return Err(error);
        }
        self.lead(state, None, |_, _| Ok(()))
    }

    /// Takes the forming group, writes it, runs `act`, and wakes the group's members.
    fn lead(
        &self,
        mut state: MutexGuard<'_, State<C::State>>,
        then: Option<Error>,
        act: impl FnOnce(&mut Active, Seq) -> Result<(), WriteError>,
    ) -> Result<Done> {
        let mut group = std::mem::take(&mut state.forming);
        let next_seq = state.next_seq;
        state.crowd = group.frames.len();
        state.is_busy = true;
        if group.buffer.len() >= GROUP_BYTES {
            State::leave(state, &self.shared.turn);
        } else {
            drop(state);
        }
        let guard = Leader::new(&self.shared, group.waiter.take(), then);
        let written = self.write(&mut group, |active| act(active, next_seq));
        guard.depart(written, next_seq, group)
    }

    /// The leader's work, without the lock.
    fn write(
        &self,
        group: &mut Group,
        act: impl FnOnce(&mut Active) -> Result<(), WriteError>,
    ) -> Result<Done, (WriteError, bool)> {
        let mut active = locked(&self.active);
        let place =
            active.append(&mut group.buffer, &group.frames, group.must_sync).map_err(|e| (e, false))?;
        if let Some((segment, base)) = place {
            let mut records = group.frames.iter().map(|frame| {
                let start = frame.start + FRAME_ALIGN;
                Placed {
                    segment: segment.header.number,
                    offset: base + to_u64(start),
                    first_seq: frame.first_seq,
                    events: frame.events,
                    payload: group.buffer.get(start..start + frame.payload_len).unwrap_or_default(),
                    crc: frame.payload_crc,
                    plain: frame.plain.and_then(|(start, end)| group.plain.get(start..end)),
                }
            });
            self.shared
                .client
                .apply(&segment, &mut records)
                .map_err(|error| (WriteError::Fatal(error), false))?;
        }
        let done = Done { is_durable: active.is_durable() };
        act(&mut active).map_err(|e| (e, true))?;
        Ok(done)
    }
}

impl<C: Client> Turn<'_, C> {
    /// What the client keeps under the lock.
    pub(crate) fn client_state(&mut self) -> &mut C::State {
        &mut self.state.client
    }

    /// The sequence number that the next event will get.
    pub(crate) fn next_seq(&self) -> Seq {
        self.state.next_seq
    }

    /// Whether there are records that have been accepted and not been shown to the client.
    pub(crate) fn is_anything_pending(&self) -> bool {
        self.state.is_busy || !self.state.forming.frames.is_empty()
    }

    /// Gives the lock up until a group is done.
    pub(crate) fn wait_for_group(self) -> Result<Self> {
        let Self { log, state } = self;
        drop(State::pause(state, &log.shared.turn));
        log.turn()
    }

    /// Adds a record, which is used up by it, and waits until its group is written, and synced if `must_sync`.
    ///
    /// When this returns `Ok(true)`, the record is durable; on `Ok(false)` the operating system has it.
    ///
    /// # Errors
    ///
    /// The failure of the group, or of the one before it.
    pub(crate) fn append(mut self, record: &mut Record, must_sync: bool) -> Result<bool> {
        let state = &mut *self.state;
        let group = &mut state.forming;
        let is_first = group.frames.is_empty();
        let (start, payload_len) = record.lay_out(&mut group.buffer);
        let plain = record.is_sealed().then(|| record.lay_out_plain(&mut group.plain));
        group.frames.push(PendingFrame {
            start,
            payload_len,
            payload_crc: record.crc,
            schema: record.schema,
            first_seq: state.next_seq,
            events: record.events,
            is_sealed: record.is_sealed(),
            plain,
        });
        group.must_sync |= must_sync;
        state.next_seq += u64::from(record.events);
        if is_first && !state.is_busy && (state.crowd <= 1 || !must_sync) {
            // Nobody can have joined, and nobody can before the group is taken.
            return self.log.lead(self.state, None, |_, _| Ok(())).map(|done| done.is_durable);
        }
        let waiter = Arc::clone(group.waiter.get_or_insert_default());
        if is_first {
            return self.log.lead_own(self.state, &waiter).map(|done| done.is_durable);
        }
        drop(self.state);
        waiter.wait().map(|done| done.is_durable)
    }
}
