//! The index of the whole store.
//!
//! Owns which conversations there are and in which order. Those that nobody touched since the checkpoint
//! are read from the checkpoint's own bytes; only touched ones cost memory.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::Misfit;
use super::position::Position;
use super::recent::Recent;
use super::slot::{Body, Lists, Slot};
use crate::codec::checkpoint::{Checkpoint, Entry as CatalogEntry, FileState};
use crate::codec::ids::{IdView, UuidBytes};
use crate::codec::payload::EventView;
use crate::model::{Seq, Timestamp, Tombstone};
use crate::rules::FastHash;
use crate::rules::{KeyRecord, KeyTable};

#[cfg(feature = "sqlite")]
mod changed;

mod held;

mod listing;

mod rebase;

mod removed;

mod used_keys;

mod reliance;

use listing::Activity;
pub(crate) use reliance::Reliance;
use used_keys::subject_bytes;

/// All conversations.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    checkpoint: Checkpoint,
    slots: Vec<Slot>,
    /// By the ids' bytes, so that an id in an event need not be looked through to be found.
    by_id: HashMap<Arc<[u8]>, usize, FastHash>,
    /// The slot that the last event was about, and its id, if that is a UUID.
    last: Option<(Option<UuidBytes>, usize)>,
    /// Slots in the order in which their conversations began, those of the checkpoint aside; one that has
    /// ended since, or has begun again, no longer has the birth that stands here.
    fresh: Vec<(usize, Seq)>,
    /// Slots with events since the checkpoint, and that exist.
    recent: Recent,
    /// What the checkpoint says of activity, once somebody asks.
    activity: OnceLock<Activity>,
    keys: KeyTable,
    next_seq: Seq,
    /// Whether a compaction runs, so that what happens meanwhile must be kept apart.
    records: bool,
}

/// What is known of an id.
#[derive(Debug)]
pub(crate) enum Found<'i> {
    /// A conversation that has been touched.
    Slot(&'i Slot),
    /// One that has not.
    Checkpoint(CatalogEntry<'i>, usize),
    /// A file that cannot be read, or that is missing.
    Damaged(CatalogEntry<'i>),
    /// None.
    Nothing,
}

#[cfg(feature = "sqlite")]
impl<'i> Found<'i> {
    /// The conversation's id and its newest event; `None` if it cannot be read.
    pub(crate) fn newest(&self) -> Option<(&'i str, Seq)> {
        match self {
            Self::Slot(slot) => Some((&slot.summary.id, slot.summary.last_seq)),
            Self::Checkpoint(entry, _) => Some((entry.id, entry.last_seq)),
            Self::Damaged(_) | Self::Nothing => None,
        }
    }
}

/// What a compaction works on: the state at one moment.
#[derive(Debug)]
pub(crate) struct Captured {
    /// What changed since the checkpoint, ended ones included.
    pub(crate) dirty: Vec<Slot>,
    /// The ids in order, with their slots in `dirty` or their places in the checkpoint.
    pub(crate) order: Vec<CapturedPlace>,
    /// The newest keys, newest first.
    pub(crate) keys: Vec<(String, KeyRecord)>,
    /// The conversations that were removed last, newest first.
    pub(crate) removed: Vec<Tombstone>,
    pub(crate) checkpoint: Checkpoint,
}

/// Where a captured conversation is described.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CapturedPlace {
    /// In the checkpoint, unchanged.
    Checkpoint(usize),
    /// In the list of dirty ones.
    Dirty(usize),
}

impl Index {
    /// The state of a checkpoint.
    pub(crate) fn new(checkpoint: Checkpoint) -> Self {
        Self {
            next_seq: checkpoint.head().covered_seq + 1,
            checkpoint,
            slots: Vec::new(),
            by_id: HashMap::default(),
            last: None,
            fresh: Vec::new(),
            recent: Recent::default(),
            activity: OnceLock::new(),
            keys: KeyTable::default(),
            records: false,
        }
    }

    pub(crate) fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The sequence number after the last event that is visible.
    pub(crate) fn next_seq(&self) -> Seq {
        self.next_seq
    }

    pub(crate) fn find(&self, id: &str) -> Found<'_> {
        if let Some(slot) = self.by_id.get(id.as_bytes()).and_then(|at| self.slots.get(*at)) {
            if slot.exists {
                return Found::Slot(slot);
            }
            // A slot that does not exist hides the checkpoint's entry only if an event ended it.
            if slot.ordinal.is_none() {
                return Found::Nothing;
            }
        }
        let Some(ordinal) = self.checkpoint.find(id) else { return Found::Nothing };
        match self.checkpoint.entry(ordinal) {
            Some(entry) if entry.state == FileState::Intact => Found::Checkpoint(entry, ordinal),
            Some(entry) => Found::Damaged(entry),
            None => Found::Nothing,
        }
    }

    /// The slot of an id, made from the checkpoint or from nothing if it has none.
    fn touch(&mut self, id: &str) -> Option<(usize, &mut Slot)> {
        let at = if let Some(at) = self.by_id.get(id.as_bytes()) {
            *at
        } else {
            let from_checkpoint = self.checkpoint.find(id).and_then(|ordinal| {
                let entry = self.checkpoint.entry(ordinal)?;
                Some(Slot::of_checkpoint(entry.summary(), ordinal, entry.state == FileState::Intact))
            });
            let slot = from_checkpoint.unwrap_or_else(|| Slot::absent(id, Timestamp::EPOCH));
            self.by_id.insert(id.as_bytes().into(), self.slots.len());
            self.slots.push(slot);
            self.slots.len() - 1
        };
        self.slots.get_mut(at).map(|slot| (at, slot))
    }

    /// The place of the slot of an id as an event has it. An event is mostly about the same conversation as the
    /// one before, or one of a few.
    fn place_of(&mut self, id: IdView<'_>) -> Result<usize, Misfit> {
        if let Some(at) = self.last.filter(|(last, at)| self.is_last(id, *last, *at)).map(|(_, at)| at) {
            return Ok(at);
        }
        let at = id.with_bytes(|id| {
            if let Some(at) = self.by_id.get(id) {
                return Ok(*at);
            }
            let id = std::str::from_utf8(id)
                .map_err(|_| Misfit("a conversation id is not valid Unicode".to_owned()))?;
            self.touch(id).map(|(at, _)| at).ok_or_else(|| Misfit("no slot".to_owned()))
        })?;
        let packed = if let IdView::Uuid(bytes) = id { Some(bytes) } else { None };
        self.last = Some((packed, at));
        Ok(at)
    }

    /// Whether an id is that of the slot which was looked for last.
    fn is_last(&self, id: IdView<'_>, last: Option<UuidBytes>, at: usize) -> bool {
        match id {
            IdView::Uuid(bytes) => last == Some(bytes),
            IdView::Text(text) => self.slots.get(at).is_some_and(|slot| slot.summary.id.as_bytes() == text),
        }
    }

    /// Carries an event out whose bytes lie at a position.
    pub(crate) fn apply(&mut self, view: &EventView<'_>, seq: Seq, position: Position) -> Result<(), Misfit> {
        if seq != self.next_seq {
            return Err(Misfit(format!("event {seq} comes when event {} is due", self.next_seq)));
        }
        let records = self.records;
        let at = self.place_of(view.conversation)?;
        let slot = self.slots.get_mut(at).ok_or_else(|| Misfit("no slot".to_owned()))?;
        let version_before = slot.summary.version;
        slot.apply(view, seq, position, records)?;
        let version = if slot.exists { slot.summary.version } else { version_before + 1 };
        let (is_born, exists) = (slot.born == seq, slot.exists);
        if let Some(key) = view.key {
            let id = slot.summary.id.as_str();
            let record = KeyRecord {
                fingerprint: key.fingerprint,
                conversation_id: id.into(),
                id: subject_bytes(view, id),
                seq,
                version,
            };
            self.keys.insert(key.text, record);
        }
        if exists {
            self.recent.put_first(at);
        } else {
            self.recent.remove(at);
        }
        if is_born && exists {
            self.fresh.push((at, seq));
        }
        self.next_seq = seq + 1;
        Ok(())
    }

    /// Completes a conversation with what its file holds, if it still waits for that file.
    pub(crate) fn load(&mut self, id: &str, ordinal: usize, lists: Lists) -> Result<(), Misfit> {
        let at_file = self.checkpoint.find(id) == Some(ordinal);
        match self.touch(id) {
            Some((_, slot)) if at_file && slot.exists && slot.ordinal == Some(ordinal) => slot.load(lists),
            _ => Ok(()),
        }
    }

    /// The ids in the order in which the conversations began.
    pub(crate) fn order(&self) -> impl Iterator<Item = Found<'_>> {
        let listed = self.checkpoint.entries().enumerate().filter_map(|(ordinal, entry)| {
            match self.by_id.get(entry.id.as_bytes()).and_then(|at| self.slots.get(*at)) {
                Some(slot) if slot.ordinal != Some(ordinal) => None,
                Some(slot) if slot.exists => Some(Found::Slot(slot)),
                _ if entry.state == FileState::Intact => Some(Found::Checkpoint(entry, ordinal)),
                _ => Some(Found::Damaged(entry)),
            }
        });
        let fresh = self.fresh.iter().filter_map(|(at, born)| {
            self.slots.get(*at).filter(|slot| slot.exists && slot.born == *born && slot.ordinal.is_none())
        });
        listed.chain(fresh.map(Found::Slot))
    }

    /// How many conversations a compaction would write or remove.
    pub(crate) fn dirty_count(&self) -> usize {
        self.slots.iter().filter(|slot| !self.is_in_file(slot)).count()
    }

    /// Takes the state for a compaction, and keeps apart what happens from now on.
    pub(crate) fn capture(&mut self, kept_keys: usize) -> Captured {
        self.records = true;
        let mut dirty = Vec::new();
        let mut dirty_at = HashMap::new();
        for (at, slot) in self.slots.iter_mut().enumerate() {
            slot.since = Vec::new();
            slot.is_new_since = false;
            if !held::is_in_file(&self.checkpoint, slot) {
                dirty_at.insert(at, dirty.len());
                dirty.push(slot.clone());
            }
        }
        let place = |found: Found<'_>| match found {
            Found::Slot(slot) => {
                let at = self.by_id.get(slot.summary.id.as_bytes())?;
                dirty_at
                    .get(at)
                    .map(|n| CapturedPlace::Dirty(*n))
                    .or(slot.ordinal.map(CapturedPlace::Checkpoint))
            }
            Found::Checkpoint(_, ordinal) => Some(CapturedPlace::Checkpoint(ordinal)),
            Found::Damaged(entry) => self.checkpoint.find(entry.id).map(CapturedPlace::Checkpoint),
            Found::Nothing => None,
        };
        let order = self.order().filter_map(place).collect();
        let (keys, removed) = (self.newest_keys(kept_keys), self.tombstones());
        Captured { order, keys, removed, checkpoint: self.checkpoint.clone(), dirty }
    }

    /// Stops keeping apart what happens: the compaction came to nothing.
    pub(crate) fn abandon_capture(&mut self) {
        self.records = false;
    }

    /// Whether the log has said anything about a conversation.
    pub(crate) fn is_touched(&self, id: &str) -> bool {
        self.by_id.contains_key(id.as_bytes())
    }

    /// Bytes of memory that the lists of messages and actions take, as a floor.
    pub(crate) fn list_bytes(&self) -> usize {
        let lists = |slot: &Slot| match &slot.body {
            Body::Loaded(lists) => lists.messages.capacity() + lists.actions.capacity(),
            Body::Deferred(ops) => 2 * ops.capacity(),
            Body::Ended(..) => 0,
        };
        self.slots.iter().map(lists).sum::<usize>() * size_of::<super::Entry>()
    }
}
