//! What a process knows of the store: the checkpoint, and every event behind it.
//!
//! Owns the list of conversations, the keys and the removals, as the log makes them. A function of the checkpoint and the objects
//! behind it; does no I/O.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::group::{Misfit, Segment};
use super::slot::Slot;
use super::touches::{Touch, Touches};
use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::{Checkpoint, Entry, FileState, TombstoneEntry};
use crate::codec::payload::{BadPayload, EventView, for_each_event, too_new};
use crate::codec::segment::{Previous, StoreId};
use crate::error::{Error, ErrorKind};
use crate::log::scan::Frame;
use crate::model::{Change, Order, Seq, Summary, Text, Tombstone, activity_key};
use crate::rules::{ConversationState, Folded, KEPT_TOMBSTONES, KeyRecord, KeyTable, StateView};

/// An object of the log that was taken in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) number: u64,
    pub(super) first_seq: Seq,
    pub(super) next_seq: Seq,
    pub(super) bytes: u64,
}

/// Everything that is known.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) checkpoint: Checkpoint,
    /// Which of its conversations are gone.
    gone: HashSet<usize>,
    pub(super) slots: HashMap<String, Arc<Slot>>,
    /// Those that began since, in order.
    pub(super) born: BTreeMap<Seq, String>,
    pub(super) keys: KeyTable,
    pub(super) removed: BTreeMap<Seq, Tombstone>,
    removed_by: HashMap<String, Seq>,
    /// How the newest object ends; none before the first.
    pub(super) end: Option<Previous>,
    pub(super) next_seq: Seq,
    pub(super) places: Vec<Place>,
    pub(super) writer_epoch: u64,
    /// Whether copies of the checkpoint's documents may be missing: another checkpoint's epoch is in the marker.
    pub(super) published: u64,
    /// What the events touched, where somebody wants to know.
    pub(super) touches: Option<Touches>,
}

/// Where a conversation is.
pub(super) enum Kept<'s> {
    Changed(&'s Arc<Slot>),
    AsRecorded(Entry<'s>),
}

impl State {
    /// The event that removed a conversation, as long as that is remembered.
    pub(super) fn removal_of(&self, id: &str) -> Option<Seq> {
        self.removed_by.get(id).copied()
    }

    /// A store whose log has not been read. The copies of the checkpoint `published` are in place.
    pub(super) fn new(checkpoint: Checkpoint, published: u64) -> Self {
        let tombstones: Vec<Tombstone> = checkpoint.tombstones().map(TombstoneEntry::to_tombstone).collect();
        Self {
            gone: HashSet::new(),
            slots: HashMap::new(),
            born: BTreeMap::new(),
            keys: KeyTable::default(),
            removed_by: tombstones.iter().map(|removed| (removed.id.clone(), removed.seq)).collect(),
            removed: tombstones.into_iter().map(|removed| (removed.seq, removed)).collect(),
            end: None,
            next_seq: checkpoint.head().covered_seq + 1,
            places: Vec::new(),
            writer_epoch: 0,
            published,
            touches: None,
            checkpoint,
        }
    }

    pub(super) fn store_id(&self) -> StoreId {
        self.checkpoint.head().store_id
    }

    /// The place of the next object.
    pub(super) fn next_place(&self) -> (u64, Seq) {
        let number = self.end.map_or(self.checkpoint.head().first_segment, |end| end.number + 1);
        (number, self.next_seq)
    }

    /// Whether the checkpoint has everything.
    pub(super) fn is_clean(&self) -> bool {
        self.next_seq == self.checkpoint.head().covered_seq + 1 && self.checkpoint.head().index_file.is_some()
    }

    /// Takes an object in, which is at the next place.
    pub(super) fn take(&mut self, bytes: &[u8], seal: Option<&Previous>) -> Result<(), Wrong> {
        let place = self.next_place();
        let segment = Segment::open(bytes, self.store_id(), place, self.end.as_ref())?;
        // Order: judge all of it before anything of it counts. Reversed, half of an altered object would be shown.
        let end = segment.walk::<Wrong>(seal, |frame| {
            too_new(frame.header.schema).map_or(Ok(()), |reason| Err(Wrong::Newer(reason)))
        })?;
        let (epoch, first_seq) = (segment.header.writer_epoch, segment.header.first_seq);
        segment.walk::<Wrong>(Some(&end), |frame| self.take_frame(frame))?;
        (self.end, self.next_seq) = (Some(end), end.next_seq);
        self.writer_epoch = self.writer_epoch.max(epoch);
        let (number, next_seq) = (end.number, end.next_seq);
        self.places.push(Place { number, first_seq, next_seq, bytes: to_u64(bytes.len()) });
        Ok(())
    }

    fn take_frame(&mut self, frame: &Frame<'_>) -> Result<(), Wrong> {
        let mut seq = frame.header.first_seq;
        for_each_event::<BadPayload>(frame.payload, frame.header.events, |view, _| {
            self.take_event(view, seq)?;
            seq += 1;
            Ok(())
        })
        .map_err(|bad| Wrong::Damaged(frame.offset, bad.0))
    }

    fn take_event(&mut self, view: &EventView<'_>, seq: Seq) -> Result<(), BadPayload> {
        let bad = |reason: &str| BadPayload(format!("event {seq}: {reason}"));
        let event = view.to_event()?;
        let id = event.conversation_id;
        let mut begins = false;
        if !self.slots.contains_key(&id) {
            let slot = match self.recorded(&id) {
                Some((ordinal, entry)) => Slot::behind(ordinal, entry.summary()),
                None => {
                    let begun = Slot::begun_by(&id, &event.change, seq);
                    let begun = begun.ok_or_else(|| bad("its conversation does not exist"))?;
                    begins = true;
                    self.born.insert(seq, id.clone());
                    if let Some(before) = self.removed_by.remove(&id) {
                        self.removed.remove(&before);
                    }
                    begun
                }
            };
            self.slots.insert(id.clone(), Arc::new(slot));
        }
        let slot = self.slots.get_mut(&id).ok_or_else(|| bad("its conversation does not exist"))?;
        let subject: Option<Box<[u8]>> =
            view.key.map(|_| event.change.subject().map_or(id.as_bytes(), Text::as_wtf8).into());
        let removal = if let Change::Remove { removed_at, reason } = event.change {
            Some((removed_at, reason))
        } else {
            None
        };
        let slot = Arc::make_mut(slot);
        if let Some(touches) = &mut self.touches {
            let touch = Touch::of(&event.change, view.change.place(), slot.summary());
            touches.note(seq, &id, if begins { Touch::Whole } else { touch });
        }
        slot.apply(event.change, view.change.place(), seq).map_err(bad)?;
        let (version, ordinal, born) = (slot.summary().version, slot.ordinal, slot.born);
        if let (Some(key), Some(subject)) = (view.key, subject) {
            let fingerprint = key.fingerprint;
            let record =
                KeyRecord { fingerprint, conversation_id: id.as_str().into(), id: subject, seq, version };
            self.keys.insert(key.text, record);
        }
        if let Some((removed_at, reason)) = removal {
            self.slots.remove(&id);
            match ordinal {
                Some(ordinal) => drop(self.gone.insert(ordinal)),
                None => drop(self.born.remove(&born)),
            }
            self.bury(Tombstone { id, seq, removed_at, reason });
        }
        Ok(())
    }

    fn bury(&mut self, tombstone: Tombstone) {
        self.removed_by.insert(tombstone.id.clone(), tombstone.seq);
        self.removed.insert(tombstone.seq, tombstone);
        if self.removed.len() > KEPT_TOMBSTONES
            && let Some((_, oldest)) = self.removed.pop_first()
        {
            self.removed_by.remove(&oldest.id);
        }
    }

    pub(super) fn removal(&self, id: &str) -> Option<&Tombstone> {
        self.removed_by.get(id).and_then(|seq| self.removed.get(seq))
    }

    /// The conversation in the checkpoint that is still there.
    fn recorded(&self, id: &str) -> Option<(usize, Entry<'_>)> {
        let ordinal = self.checkpoint.find(id).filter(|ordinal| !self.gone.contains(ordinal))?;
        Some((ordinal, self.checkpoint.entry(ordinal)?))
    }

    /// Where a conversation is; `None` if there is none.
    pub(super) fn find(&self, id: &str) -> Option<Kept<'_>> {
        match self.slots.get(id) {
            Some(slot) => Some(Kept::Changed(slot)),
            None => self.recorded(id).map(|(_, entry)| Kept::AsRecorded(entry)),
        }
    }

    /// Keeps what a document and the events since made of a conversation, if nothing has come to it meanwhile.
    pub(super) fn keep(&mut self, id: &str, folded: &Arc<Folded>) {
        if let Some(slot) = self.slots.get_mut(id)
            && slot.summary().last_seq == folded.last_seq
            && slot.whole().is_none()
        {
            Arc::make_mut(slot).keep(Arc::clone(folded));
        }
    }

    /// All conversations in the order in which they began, each with its place in the checkpoint if it is as it was there.
    pub(super) fn order(&self) -> impl Iterator<Item = Kept<'_>> {
        let recorded = (0..self.checkpoint.len()).filter(|ordinal| !self.gone.contains(ordinal));
        let recorded = recorded.filter_map(|ordinal| {
            let entry = self.checkpoint.entry(ordinal)?;
            let slot = self.slots.get(entry.id).filter(|slot| slot.ordinal == Some(ordinal));
            Some(slot.map_or(Kept::AsRecorded(entry), Kept::Changed))
        });
        recorded.chain(self.born.values().filter_map(|id| self.slots.get(id).map(Kept::Changed)))
    }

    /// Whether the conversation of this name that the checkpoint has was removed, whatever has begun under its name since.
    pub(super) fn is_gone(&self, id: &str) -> bool {
        self.checkpoint.find(id).is_some_and(|ordinal| self.gone.contains(&ordinal))
    }

    /// What the checkpoint has of the conversations that have changed since, or are gone.
    pub(super) fn changed(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..self.checkpoint.len()).filter_map(|ordinal| {
            let entry = self.checkpoint.entry(ordinal)?;
            let slot = self.slots.get(entry.id).filter(|slot| slot.ordinal == Some(ordinal));
            (slot.is_some() || self.gone.contains(&ordinal)).then_some(entry)
        })
    }

    /// What a list shows.
    pub(super) fn list(&self, order: Order, limit: Option<usize>) -> Vec<Summary> {
        let mut list: Vec<Summary> = self.order().filter_map(|kept| kept.summary()).collect();
        if order == Order::Activity {
            list.sort_by_key(|summary| std::cmp::Reverse(activity_key(summary)));
        }
        list.truncate(limit.unwrap_or(usize::MAX));
        list
    }
}

impl Kept<'_> {
    /// Why it cannot be read, if it cannot.
    pub(super) fn damage(&self) -> Error {
        match self {
            Self::AsRecorded(entry) => damaged(entry),
            Self::Changed(_) => {
                Error::new(ErrorKind::Failed, "a conversation that can be read was said to be damaged")
            }
        }
    }

    /// What a list shows of it; `None` if it cannot be read.
    pub(super) fn summary(&self) -> Option<Summary> {
        match self {
            Self::Changed(slot) => Some(slot.summary().clone()),
            Self::AsRecorded(entry) => (entry.state == FileState::Intact).then(|| entry.summary()),
        }
    }
}

/// The error for a conversation whose file could not be read when the checkpoint was made.
pub(super) fn damaged(entry: &Entry<'_>) -> Error {
    Error::new(ErrorKind::Corrupt, format!("conversation {:?} cannot be read: {}", entry.id, entry.note))
}

impl StateView for State {
    fn state(&self, id: &str) -> ConversationState {
        let (summary, damage) = match self.find(id) {
            None => return ConversationState::default(),
            Some(Kept::Changed(slot)) => (slot.summary().clone(), None),
            Some(Kept::AsRecorded(entry)) => {
                (entry.summary(), (entry.state != FileState::Intact).then(|| damaged(&entry)))
            }
        };
        ConversationState {
            exists: true,
            version: summary.version,
            last_seq: summary.last_seq,
            messages: summary.messages,
            actions: summary.actions,
            damage,
        }
    }

    fn find_key(&self, key: &str) -> Option<KeyRecord> {
        self.keys.find(key).cloned().or_else(|| self.checkpoint.find_key(key).map(KeyRecord::from))
    }
}

/// Why an object was not taken in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Wrong {
    Newer(String),
    Damaged(u64, String),
}

impl From<Misfit> for Wrong {
    fn from(misfit: Misfit) -> Self {
        match misfit {
            Misfit::Newer(major) => {
                Self::Newer(format!("format {major} is newer than this software, which reads format 1"))
            }
            Misfit::Damaged(offset, reason) => Self::Damaged(offset, reason.to_owned()),
        }
    }
}
