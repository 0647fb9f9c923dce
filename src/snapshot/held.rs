//! Conversations that a compaction cannot write, because what their files ought to hold cannot be read.
//!
//! Owns what the new checkpoint says of them: their entries stay as they were, and the segments with their events
//! since are named, to be kept. All other conversations are written as if nothing were the matter. A segment is kept
//! only if there is such an event in it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::layout::Layout;
use crate::codec::checkpoint::{
    Checkpoint, CheckpointBuilder, CheckpointHead, Entry, FileState, Held, HeldSegment, Hold,
};
use crate::codec::payload::{BadPayload, EventView, for_each_event, too_new};
use crate::error::{Error, ErrorKind, Result};
use crate::index::Slot;
use crate::log::opened::open_frame;
use crate::log::recovery::replay_sealed;
use crate::log::scan::Frame;
use crate::log::segment::Segment;
use crate::model::Seq;
use crate::vfs::EventSeal;

/// What is held, by the conversations' ids.
pub(crate) type Holds = HashMap<String, Hold>;

/// Puts together what a new checkpoint says of held events.
pub(super) struct Holding<'c> {
    old: &'c Checkpoint,
    /// What earlier checkpoints say of where segments end whose successors may be gone.
    ends: Vec<HeldSegment>,
    holds: Holds,
    /// Whether there is one that the old checkpoint does not have, or has with fewer events.
    has_more: bool,
}

/// Where the events of a compaction may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Among<'s> {
    pub(super) segments: &'s [Arc<Segment>],
    /// The first segment that the new checkpoint needs for itself.
    pub(super) before: u64,
}

impl<'c> Holding<'c> {
    pub(super) fn new(old: &'c Checkpoint) -> Self {
        Self { old, ends: old.held().segments.clone(), holds: HashMap::new(), has_more: false }
    }

    /// Goes on holding what the old checkpoint says of a conversation, if it says anything.
    pub(super) fn carry(&mut self, entry: &Entry<'_>, before: usize, ordinal: usize) {
        if let Some(hold) = self.old.held().of(before) {
            self.holds.insert(entry.id.to_owned(), Hold { ordinal, ..*hold });
        }
    }

    /// Holds a conversation whose file cannot be read.
    pub(super) fn add(&mut self, slot: &Slot, ordinal: usize) {
        let held = slot.ordinal.and_then(|ordinal| self.old.held().of(ordinal));
        let after = held.map_or(self.old.head().covered_seq, |hold| hold.after);
        let hold = Hold { ordinal, after, through: slot.summary.last_seq, events: 0 };
        self.holds.insert(slot.summary.id.clone(), hold);
        self.has_more = true;
    }

    /// What the new checkpoint says.
    ///
    /// # Errors
    ///
    /// Corruption of the log: what is to be kept is read through.
    pub(super) fn finish(mut self, among: Among<'_>) -> Result<Held> {
        let old = self.old.held();
        let is_as_before = !self.has_more && self.holds.len() == old.conversations.len();
        let segments = if is_as_before { old.segments.clone() } else { self.segments(among)? };
        let mut conversations: Vec<Hold> = self.holds.into_values().collect();
        conversations.sort_unstable_by_key(|hold| hold.ordinal);
        Ok(Held { conversations, segments })
    }

    /// The segments that have such events, which are counted.
    fn segments(&mut self, among: Among<'_>) -> Result<Vec<HeldSegment>> {
        let mut kept = Vec::new();
        if self.holds.is_empty() {
            return Ok(kept);
        }
        self.holds.values_mut().for_each(|hold| hold.events = 0);
        for segment in among.segments.iter().filter(|segment| segment.header.number < among.before) {
            let number = segment.header.number;
            let known = self.ends.iter().find(|held| held.end.number == number);
            let successor = among.segments.iter().map(|other| other.header.previous);
            let sealed = || successor.clone().find(|previous| previous.number == number);
            let Some(end) = known.map(|held| held.end).or_else(sealed) else {
                let reason = format!("nothing says where segment {number} ends");
                return Err(Error::new(ErrorKind::Failed, reason).at(&segment.path, None));
            };
            let mut counts: HashMap<String, u64> = HashMap::new();
            replay_sealed(segment, &end, &mut |segment, frame| {
                for_each_held((segment.seal(), &segment.path), frame, &self.holds, &mut |id, _, _, _| {
                    *counts.entry(id.to_owned()).or_default() += 1;
                    Ok(())
                })
            })?;
            if !counts.is_empty() {
                kept.push(HeldSegment { first_seq: segment.header.first_seq, end });
            }
            for (id, count) in counts {
                if let Some(hold) = self.holds.get_mut(&id) {
                    hold.events += count;
                }
            }
        }
        Ok(kept)
    }
}

/// What becomes of a checkpoint whose files are in place, save some that somebody has replaced since: a checkpoint that
/// holds the events of those since `older`, and says of their files what that one says.
///
/// # Errors
///
/// Corruption where a segment is missing in which such events may be: nothing of it must be dropped then.
pub(crate) fn hold_replaced(
    layout: &Layout,
    older: &Checkpoint,
    checkpoint: &Checkpoint,
    replaced: &[usize],
    segments: &[Arc<Segment>],
) -> Result<Vec<u8>> {
    let head = checkpoint.head();
    check_all_there(layout, older, checkpoint, replaced, segments)?;
    let mut builder = CheckpointBuilder::default();
    let mut holding = Holding::new(checkpoint);
    holding.ends.extend(&older.held().segments);
    holding.has_more = true;
    for (ordinal, entry) in checkpoint.entries().enumerate() {
        if !replaced.contains(&ordinal) {
            holding.carry(&entry, ordinal, ordinal);
            builder.entry(&entry);
            continue;
        }
        let before = older.find(entry.id);
        let hold = before.and_then(|before| older.held().of(before));
        let after = hold.map_or(older.head().covered_seq, |hold| hold.after);
        let hold = Hold { ordinal, after, through: entry.last_seq, events: 0 };
        holding.holds.insert(entry.id.to_owned(), hold);
        match before.and_then(|before| older.entry(before)) {
            Some(before) => builder.entry(&before),
            // It began behind that checkpoint: the log has all of it.
            None => builder.entry(&Entry {
                state: FileState::Damaged,
                note: "the file was replaced before a compaction was finished; the log has the conversation",
                messages: 0,
                actions: 0,
                version: 0,
                last_seq: 0,
                ..entry
            }),
        }
    }
    checkpoint.keys().for_each(|key| builder.key(&key));
    checkpoint.tombstones().for_each(|tombstone| builder.tombstone(&tombstone));
    builder.hold(holding.finish(Among { segments, before: head.first_segment })?);
    Ok(builder.finish(&CheckpointHead { epoch: head.epoch + 1, ..*head }))
}

/// Refuses to go on if not all segments are there between two checkpoints, or of what the first of them holds.
fn check_all_there(
    layout: &Layout,
    older: &Checkpoint,
    checkpoint: &Checkpoint,
    replaced: &[usize],
    segments: &[Arc<Segment>],
) -> Result<()> {
    let held = older.held().segments.iter().map(|held| held.end.number);
    let mut needed = held.chain(older.head().first_segment..=checkpoint.head().first_segment);
    let is_there = |number: u64| segments.iter().any(|segment| segment.header.number == number);
    let Some(number) = needed.find(|number| !is_there(*number)) else { return Ok(()) };
    let entry = replaced.first().and_then(|ordinal| checkpoint.entry(*ordinal));
    let (id, name) = entry.map_or(("", ""), |entry| (entry.id, entry.file_name));
    let reason = format!(
        "the file of conversation {id:?} was replaced before a compaction was finished, and segment {number}, which may \
         have its events, is missing; put the file back that the store wrote, or make a new store of what is left with \
         `aral-store repair`"
    );
    Err(Error::corrupt(&layout.conversation(name), 0, reason))
}

/// What is called with each held event: its conversation, itself, its number, and where it lies in its payload.
pub(crate) type VisitHeld<'v> =
    &'v mut dyn FnMut(&str, &EventView<'_>, Seq, std::ops::Range<usize>) -> Result<()>;

/// What is held, by the conversations' ids, as a checkpoint says.
pub(crate) fn holds_of(checkpoint: &Checkpoint) -> Holds {
    let holds = checkpoint.held().conversations.iter();
    let named = holds.filter_map(|hold| Some((checkpoint.entry(hold.ordinal)?.id.to_owned(), *hold)));
    named.collect()
}

/// Goes over the events of a frame that are held.
///
/// # Errors
///
/// Corruption, and whatever `visit` returns.
pub(crate) fn for_each_held(
    (seal, path): (Option<&dyn EventSeal>, &Path),
    frame: &Frame<'_>,
    holds: &Holds,
    visit: VisitHeld<'_>,
) -> Result<()> {
    if frame.header.events == 0 {
        return Ok(());
    }
    if let Some(reason) = too_new(frame.header.schema) {
        return Err(Error::new(ErrorKind::UnsupportedFormat, reason).at(path, Some(frame.offset)));
    }
    let mut seq = frame.header.first_seq;
    let opened = open_frame(seal, path, frame)?;
    let mut number = 0;
    let read = for_each_event::<Stopped>(opened.payload(), frame.header.events, |view, range| {
        let range = opened.place(number, range);
        number += 1;
        let id = view.conversation.with_bytes(|id| std::str::from_utf8(id).map(str::to_owned));
        let held = id.ok().filter(|id| holds.get(id).is_some_and(|hold| hold.has(seq)));
        if let Some(id) = held {
            visit(&id, view, seq, range).map_err(Stopped::By)?;
        }
        seq += 1;
        Ok(())
    });
    read.map_err(|stopped| match stopped {
        Stopped::At(bad) => Error::corrupt(path, frame.offset, bad.0),
        Stopped::By(error) => error,
    })
}

/// Why a look at a frame's events ended early.
enum Stopped {
    At(BadPayload),
    By(Error),
}

impl From<BadPayload> for Stopped {
    fn from(bad: BadPayload) -> Self {
        Self::At(bad)
    }
}
