//! What a conversation was.
//!
//! Owns the way from the events that are kept of a conversation to its state at a point in the past, and what is said
//! where that is no longer known.

use super::fold::Folded;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{At, Change, History, PastEvent, RemovalReason, Seq, Version};

/// A conversation on its way through its past.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    id: String,
    /// What it is by now; nothing while it is not there.
    pub(crate) state: Option<Folded>,
}

impl Walk {
    /// Before the first event that is kept.
    pub(crate) fn begin(history: &History) -> Self {
        let state = history.base.as_ref().map(|base| Folded {
            conversation: base.conversation.clone(),
            last_seq: base.last_seq,
            last_activity: base.last_activity,
        });
        Self { id: history.conversation_id.clone(), state }
    }

    /// Its version; 0 while it is not there.
    pub(crate) fn version(&self) -> Version {
        self.state.as_ref().map_or(0, |state| state.conversation.version)
    }

    /// Goes on over an event.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it does not fit what was before it.
    pub(crate) fn step(&mut self, seq: Seq, change: &Change) -> Result<()> {
        let unfit = |what: &str| {
            let reason =
                format!("event {seq} of conversation {:?} does not fit those before it: {what}", self.id);
            Error::new(ErrorKind::Corrupt, reason)
        };
        if self.state.is_none() {
            self.state = Folded::begun_by(&self.id, change, seq);
        }
        let state = self.state.as_mut().ok_or_else(|| unfit("there is no conversation"))?;
        let at = state.place_of(change).ok_or_else(|| unfit("what it changes is not there"))?;
        // Order: the version is counted on first. One that begins anew goes on counting.
        let version =
            if let Change::SetVersion(version) = change { *version } else { state.conversation.version + 1 };
        state.apply(change, at);
        (state.conversation.version, state.last_seq) = (version, seq);
        if let Change::Remove { .. } = change {
            self.state = None;
        }
        Ok(())
    }

    /// Goes on over some events.
    pub(crate) fn steps(mut self, events: &[PastEvent]) -> Result<Self> {
        events.iter().try_for_each(|past| self.step(past.seq, &past.event.change))?;
        Ok(self)
    }
}

/// A conversation as it was.
#[derive(Debug)]
pub(crate) struct Past {
    /// Nothing if it was not there.
    pub(crate) state: Option<Folded>,
    /// The newest of its events that had happened by then; 0 if none had.
    pub(crate) last_seq: Seq,
    /// From which of its events on nothing says whether they happened before the time that was asked for.
    pub(crate) unsure_from: Option<Seq>,
}

/// What a conversation was at a point in its past.
///
/// # Errors
///
/// `NotFound` for what is no longer kept, and for a version that it never had; `InvalidInput` for one that it had in more than
/// one of its lives; `Corrupt` for what is damaged.
pub(crate) fn past(history: &History, at: At) -> Result<Past> {
    let (events, base) = (&history.events, history.base.as_ref());
    let count = match at {
        At::Seq(seq) if seq < history.whole_from => return Err(gone(history, &format!("after event {seq}"))),
        At::Seq(seq) => events.partition_point(|past| past.seq <= seq),
        At::Time(time) => {
            let micros = time.approximate_unix_micros();
            let is_later = |other: crate::model::Timestamp| other.approximate_unix_micros() > micros;
            let first = events.iter().position(|past| past.time().is_some_and(is_later));
            let is_before_all = match (base, &history.removed) {
                (Some(base), _) => is_later(base.last_activity),
                // What does not say when it was may have been later.
                (None, Some(removed)) => removed.removed_at.is_none_or(is_later),
                (None, None) => history.whole_from > 0 && first == Some(0),
            };
            if is_before_all {
                return Err(gone(history, &format!("at {time}")));
            }
            first.unwrap_or(events.len())
        }
        At::Version(version) => count_at_version(history, version)?,
    };
    let had = events.get(..count).unwrap_or_default();
    let unsure = match at {
        At::Time(_) => had.iter().rev().take_while(|past| past.time().is_none()).last(),
        At::Seq(_) | At::Version(_) => None,
    };
    let last_seq = had.last().map_or_else(|| base.map_or(0, |base| base.last_seq), |past| past.seq);
    let unsure_from = unsure.map(|past| past.seq);
    Ok(Past { state: Walk::begin(history).steps(had)?.state, last_seq, unsure_from })
}

/// How many of the events had happened when the conversation last had a version.
fn count_at_version(history: &History, version: Version) -> Result<usize> {
    let mut walk = Walk::begin(history);
    let oldest = walk.version();
    // In each of its lives, the last time that it had the version: how many events had happened, and the newest of them.
    let (mut life, mut found) = (0_usize, Vec::<(usize, usize, Seq)>::new());
    if version > 0 && oldest == version {
        found.push((life, 0, history.base.as_ref().map_or(0, |base| base.last_seq)));
    }
    let mut newest = oldest;
    for (count, past) in (1..).zip(&history.events) {
        walk.step(past.seq, &past.event.change)?;
        if walk.version() == version && version > 0 {
            found.pop_if(|(in_life, ..)| *in_life == life);
            found.push((life, count, past.seq));
        }
        life += usize::from(walk.version() == 0);
        newest = if walk.version() > 0 { walk.version() } else { newest };
    }
    let id = &history.conversation_id;
    match found.as_slice() {
        [(_, count, _)] => Ok(*count),
        [] if version < oldest || history.is_empty() => Err(gone(history, &format!("at version {version}"))),
        [] => {
            let reason = format!("conversation {id:?} has had no version {version}; its newest is {newest}");
            Err(Error::new(ErrorKind::NotFound, reason))
        }
        lives => {
            let events: Vec<_> = lives.iter().map(|(.., seq)| seq.to_string()).collect();
            let reason = format!(
                "conversation {id:?} was removed and begun again, and had version {version} after each of the events {}: name one of them instead",
                events.join(", ")
            );
            Err(Error::invalid(reason))
        }
    }
}

/// What is answered where the past is no longer kept, or damaged.
pub(crate) fn gone(history: &History, when: &str) -> Error {
    let (id, from) = (&history.conversation_id, history.whole_from);
    if let Some(damage) = &history.damage {
        let reason = format!(
            "what conversation {id:?} was {when} cannot be told, because its history is damaged and is whole from event {from} on \
             only: {damage}; `verify` names all that is damaged"
        );
        return Error::new(ErrorKind::Corrupt, reason);
    }
    if let Some(erased) = history.removed.as_ref().filter(|was| was.reason == RemovalReason::Erasure) {
        let reason = format!("what conversation {id:?} was {when} is gone: {}", erased.in_words());
        return Error::new(ErrorKind::NotFound, reason);
    }
    let reason = format!(
        "what conversation {id:?} was {when} is no longer kept: its history is whole from event {from} on"
    );
    Error::new(ErrorKind::NotFound, reason)
}
