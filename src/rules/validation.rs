//! Which mutations are possible, and what they become.
//!
//! Owns the rules: what must exist, what must not, which version a mutation meets, which message an id
//! means, what a retried key returns. Pure, and shared by every backend. A batch is judged one mutation at
//! a time against working states of the conversations that it touches, so that a later mutation sees the earlier ones of
//! its batch, and nothing is carried out unless all of them are possible.

use std::collections::{HashMap, HashSet};

use smallvec::SmallVec;

use super::hashing::FastHash;
use super::key_table::KeyRecord;
use super::lookup::Lookups;
use super::pending::{Accepted, Pending};
use super::refusal::{Refusal, impossible};
use super::request::{Expected, Request};
use super::state::StateView;
use super::working_state::{Carried, Effect, WorkingState};
use crate::error::ErrorKind;
use crate::model::{Message, Seq, Text, UniqueIds, Version};

/// What a mutation does, since it is possible, and what its receipt will say.
#[derive(Clone, Debug)]
pub(crate) struct Resolved<'b> {
    /// Borrowed from the request, where nothing had to be looked up.
    pub(crate) change: Effect<'b>,
    /// The place of what it edits or removes.
    pub(crate) at: u64,
    /// The oldest version of the encoding whose readers make of the event what it means.
    pub(crate) schema: u16,
    pub(crate) version: Version,
    /// The message that text was put behind, where all of it was looked at.
    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres")),
        expect(dead_code, reason = "databases alone write it")
    )]
    pub(crate) whole: Option<Box<Message>>,
}

/// The rules at work on one batch, which outlives the view.
pub(crate) struct Validation<'g, 'b> {
    view: &'g dyn StateView,
    pending: &'g Pending,
    lookups: &'g Lookups,
    states: SmallVec<[WorkingState<'b>; 1]>,
    /// Where in `states` a conversation is; kept only once there are more than are quickly gone over.
    state_at: HashMap<&'b str, usize, FastHash>,
    /// Whether anything in the batch looks for items.
    looks: bool,
    keys: Vec<(&'b str, KeyRecord)>,
    next_seq: Seq,
}

/// So many states are found sooner one by one than by a hash.
const FEW: usize = 8;

impl<'g, 'b> Validation<'g, 'b> {
    /// Validates against this view, to which these changes are about to come, the next event being `next_seq`.
    pub(crate) fn new(
        view: &'g dyn StateView,
        pending: &'g Pending,
        lookups: &'g Lookups,
        next_seq: Seq,
    ) -> Self {
        let (states, keys) = (SmallVec::new(), Vec::new());
        Self { view, pending, lookups, states, state_at: HashMap::default(), looks: false, keys, next_seq }
    }

    /// Judges a batch as a whole.
    pub(crate) fn resolve(&mut self, batch: &'b [Request]) -> Result<SmallVec<[Resolved<'b>; 1]>, Refusal> {
        if let Some(Expected::Seq(seq)) = batch.first().and_then(|first| first.expect) {
            if seq != self.next_seq {
                let reason = format!("the next event is {}, not {seq}", self.next_seq);
                return Err(impossible(ErrorKind::Conflict, reason));
            }
        }
        self.check_keys(batch)?;
        self.looks = batch.iter().any(Request::looks);
        if self.looks {
            self.check_existing(batch)?;
        }
        let mut resolved = SmallVec::with_capacity(batch.len());
        for request in batch {
            resolved.push(self.resolve_one(request)?);
        }
        Ok(resolved)
    }

    /// What the accepted batch leaves pending.
    pub(crate) fn into_accepted(self) -> Accepted<'b> {
        Accepted { states: self.states, keys: self.keys }
    }

    fn check_keys(&self, batch: &[Request]) -> Result<(), Refusal> {
        if batch.iter().all(|request| request.key.is_none()) {
            return Ok(());
        }
        let mut known = Vec::new();
        let mut seen = HashSet::new();
        for request in batch {
            let Some(key) = &request.key else { continue };
            if !seen.insert(key) {
                return Err(impossible(
                    ErrorKind::InvalidInput,
                    format!("the key {key:?} occurs twice in one batch"),
                ));
            }
            // The first use is under way and may still fail; what came of it shows in a moment.
            if self.pending.has_key(key) {
                return Err(Refusal::Stale);
            }
            let Some(record) = self.view.find_key(key) else { continue };
            if record.fingerprint != request.fingerprint {
                let reason =
                    format!("the key {key:?} was used before, by event {}, for something else", record.seq);
                return Err(impossible(ErrorKind::Conflict, reason));
            }
            known.push(record);
        }
        if known.is_empty() {
            return Ok(());
        }
        if known.len() == batch.len() {
            return Err(Refusal::Known(known));
        }
        let reason =
            format!("{} of the batch's {} mutations were carried out before", known.len(), batch.len());
        Err(impossible(ErrorKind::Conflict, reason))
    }

    /// Finds out whether what a batch adds is there, if that counts as its outcome.
    fn check_existing(&mut self, batch: &'b [Request]) -> Result<(), Refusal> {
        if !batch.iter().all(|request| request.unique_ids == UniqueIds::Existing) {
            return Ok(());
        }
        let mut there = Vec::new();
        for request in batch {
            let id = request.conversation_id.as_str();
            let (at, lookup) = (self.working(id)?, self.lookups.get(id));
            let working = self.states.get_mut(at).ok_or(Refusal::Stale)?;
            if let Some(subject) = working.existing(&request.step, lookup)? {
                there.push(KeyRecord {
                    fingerprint: 0,
                    conversation_id: id.into(),
                    id: subject.as_wtf8().into(),
                    seq: working.state.last_seq,
                    version: working.state.version,
                });
            }
        }
        if there.is_empty() {
            return Ok(());
        }
        if there.len() == batch.len() {
            return Err(Refusal::Known(there));
        }
        let reason = format!("{} of what the batch adds are there already, of {}", there.len(), batch.len());
        Err(impossible(ErrorKind::AlreadyExists, reason))
    }

    /// Where the working state of a conversation is, which is made if there is none yet.
    fn working(&mut self, id: &'b str) -> Result<usize, Refusal> {
        let known = if self.state_at.is_empty() {
            self.states.iter().position(|working| working.id == id)
        } else {
            self.state_at.get(id).copied()
        };
        if let Some(at) = known {
            return Ok(at);
        }
        let pending = self.pending.state(id);
        let state = pending.cloned().unwrap_or_else(|| self.view.state(id));
        if let Some(lookup) = self.lookups.get(id) {
            if pending.is_some() || lookup.last_seq != state.last_seq {
                return Err(Refusal::Stale);
            }
        }
        self.states.push(WorkingState::new(id, state, self.looks));
        let at = self.states.len() - 1;
        if at == FEW {
            self.state_at = self.states.iter().enumerate().map(|(at, working)| (working.id, at)).collect();
        } else if at > FEW {
            self.state_at.insert(id, at);
        }
        Ok(at)
    }

    fn resolve_one(&mut self, request: &'b Request) -> Result<Resolved<'b>, Refusal> {
        let id = request.conversation_id.as_str();
        let (seq, lookups) = (self.next_seq, self.lookups);
        let at = self.working(id)?;
        let working = self.states.get_mut(at).ok_or(Refusal::Stale)?;
        let version_before = working.state.version;
        if let Some(Expected::Version(expected)) =
            request.expect.filter(|expected| *expected != Expected::Version(version_before))
        {
            let reason = format!("conversation {id:?} has version {version_before}, not {expected}");
            return Err(impossible(ErrorKind::Conflict, reason));
        }
        if request.unique_ids != UniqueIds::Off {
            working.must_be_unique(&request.step, lookups.get(id))?;
        }
        let Carried { change, at, schema, whole } = working.carry(&request.step, lookups.get(id), seq)?;
        // One that was removed has none any more; the receipt says which one the removal left.
        let version = working.state.version.max(version_before + 1);
        self.next_seq += 1;
        if let Some(key) = &request.key {
            let record = KeyRecord {
                fingerprint: request.fingerprint,
                conversation_id: id.into(),
                id: change.subject().map_or(id.as_bytes(), Text::as_wtf8).into(),
                seq,
                version,
            };
            self.keys.push((key, record));
        }
        Ok(Resolved { change, at, schema, version, whole })
    }
}
