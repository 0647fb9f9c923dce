//! The chapter that a compaction leaves where history is kept.
//!
//! Owns what goes into it: what each conversation that has changed was before, the events that the compaction covers, and, where it goes
//! on with the chapter before, all of that one. It is durable before the compaction's checkpoint is, which is when it begins to count.

use std::cell::RefCell;
use std::sync::Arc;

use super::archive::{base_of, hold_of, is_told_in, of_checkpoint};
use super::keep::keep_or_all;
use super::reads::ReadState;
use super::replay::held_events;
use crate::codec::chapter::{ChapterHead, encode_base, encode_base_head, encode_base_item};
use crate::codec::checkpoint::Checkpoint;
use crate::codec::payload::{BadPayload, for_each_event};
use crate::codec::segment::Previous;
use crate::error::{Error, ErrorKind, Result};
use crate::index::Captured;
use crate::log::inventory::Inventory;
use crate::log::opened::open_frame;
use crate::log::recovery::{Holder, Source, replay_sealed};
use crate::log::scan::Frame;
use crate::log::segment::Segment;
use crate::model::{Change, Conversation, DamagedFile, History, HistoryBase, Keep, PastEvent, Seq};
use crate::rules::Walk;
use crate::snapshot::chapter::Chapter;
use crate::snapshot::chapter_list;
use crate::snapshot::chapter_writer::Writer;
use crate::snapshot::keeping::{is_gone_on_with, is_together};
use crate::snapshot::layout;
use crate::snapshot::load::unreadable;

/// Adds what a conversation was as of a checkpoint, with what is held of it in the log, which its file does not have.
fn base(writer: &mut Writer, reads: &ReadState, checkpoint: &Checkpoint, id: &str) -> Result<Option<bool>> {
    // Of its own, so that nothing of it stays in memory.
    let state = of_checkpoint(reads, checkpoint);
    if hold_of(checkpoint, id).is_some() {
        return writer.base(id, |add| {
            let Some(base) = base_with_held(reads, &state, checkpoint, id)? else { return Ok(None) };
            encode_base(&base).map_or(Ok(Some(false)), |bytes| add(&bytes).map(Some))
        });
    }
    writer.base(id, |add| {
        let Some(summary) = state.summary(id)? else { return Ok(None) };
        let (mut fits, mut actions) = (true, Vec::new());
        // Once one does not fit, what comes after it is not asked for.
        let add = RefCell::new(|bytes: Option<Vec<u8>>| {
            fits = fits && bytes.map_or(Ok(false), |bytes| add(&bytes))?;
            Ok(())
        });
        let begin = |head: &Conversation| {
            actions.clone_from(&head.actions);
            add.borrow_mut()(encode_base_head(head, summary.last_seq, summary.last_activity))
        };
        let is_there = state.in_pieces(id, begin, |message| {
            add.borrow_mut()(encode_base_item(id, Change::AddMessage(message)))
        })?;
        for action in actions {
            add.borrow_mut()(encode_base_item(id, Change::AddAction(action)))?;
        }
        Ok(is_there.then_some(fits))
    })
}

fn base_with_held(
    reads: &ReadState,
    state: &ReadState,
    checkpoint: &Checkpoint,
    id: &str,
) -> Result<Option<HistoryBase>> {
    let base = base_of(state, id)?;
    let inventory = Inventory::take(&*reads.vfs, &reads.layout.log())?;
    let (vfs, head) = (&*reads.vfs, checkpoint.head());
    let source = Source { vfs, inventory: &inventory, head, control: None, holder: Holder::Caller };
    let events = held_events(source, checkpoint, Some(id))?;
    let mut history = History::new(id, 0);
    history.base = base;
    let events: Vec<_> = events.into_iter().map(|(seq, event)| PastEvent::new(seq, seq, event)).collect();
    let state = Walk::begin(&history).steps(&events)?.state;
    Ok(state.map(|state| HistoryBase::new(state.conversation, state.last_seq, state.last_activity)))
}

/// Keeps what a compaction is about to cover, unless nothing is to be kept. When this returns, it is durable. Gives the
/// conversations of which nothing says any more what they were before.
pub(super) fn cover(
    reads: &ReadState,
    captured: &Captured,
    (first_segment, covered_seq): (u64, Seq),
    now_micros: i64,
) -> Result<Vec<DamagedFile>> {
    let old = &captured.checkpoint;
    let head = ChapterHead {
        store_id: old.head().store_id,
        first: old.head().covered_seq + 1,
        last: covered_seq,
        created_unix_micros: now_micros,
    };
    let keep = keep_or_all(reads)?;
    if head.first > head.last || keep == Keep::Nothing {
        return Ok(Vec::new());
    }
    let (vfs, layout) = (&*reads.vfs, &reads.layout);
    if layout::ensure_dir(vfs, &layout.archive())? {
        layout::sync_dir(vfs, &layout.log())?;
    }
    // Of a compaction that failed, and is made again now.
    for named in chapter_list::list(vfs, layout)?.iter().filter(|named| named.last >= head.first) {
        layout::remove_file(vfs, &named.path)?;
    }
    let mut unkept = Vec::new();
    let mut writer = match begun_with_the_one_before(reads, captured, &head, keep)? {
        Some(writer) => writer,
        None => Writer::begin(vfs, layout, &head)?,
    };
    for slot in &captured.dirty {
        let id = &slot.summary.id;
        let Some(entry) = old.find(id).and_then(|ordinal| old.entry(ordinal)) else { continue };
        if writer.leads_to(id, Some(entry.last_seq)).is_some() {
            continue;
        }
        let why = match base(&mut writer, reads, old, id) {
            Ok(Some(true) | None) => continue,
            Ok(Some(false)) => {
                Error::new(ErrorKind::Unsupported, TOO_LONG).at(&layout.conversation(entry.file_name), None)
            }
            // The compaction does not need it: what has changed in it is in the log.
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::OutOfMemory) => error,
            Err(error) => return Err(error),
        };
        unkept.push(unreadable(id, &why));
    }
    let segments = reads.segments();
    let is_covered = |number: u64| old.head().first_segment <= number && number < first_segment;
    for segment in segments.iter().filter(|segment| is_covered(segment.header.number)) {
        let mut visit = |segment: &Arc<Segment>, frame: &Frame<'_>| add(&mut writer, segment, frame);
        replay_sealed(segment, &seal_of(reads, &segments, segment)?, &mut visit)?;
    }
    writer.finish(vfs, layout)?;
    let before = chapter_list::chain(chapter_list::list(vfs, layout)?, old.head().covered_seq);
    unkept.retain(|lost| !lost.conversation_id.as_ref().is_some_and(|id| is_told_in(vfs, &before, id)));
    Ok(unkept)
}

/// A chapter that goes on with the one before, so that many short compactions leave neither many files nor what a conversation
/// was before each of them. Nothing if the one before is too long for that, as compared to what is added, or too old, or if it does not
/// lead to what the conversations are that have changed since.
fn begun_with_the_one_before(
    reads: &ReadState,
    captured: &Captured,
    head: &ChapterHead,
    keep: Keep,
) -> Result<Option<Writer>> {
    let (vfs, old) = (&*reads.vfs, &captured.checkpoint);
    let chain = chapter_list::chain(chapter_list::list(vfs, &reads.layout)?, old.head().covered_seq);
    let Some(before) = chain.last() else { return Ok(None) };
    let was = |id: &str| old.find(id).and_then(|ordinal| old.entry(ordinal));
    let changed = || captured.dirty.iter().map(|slot| slot.summary.id.as_str());
    let added: u64 = changed().filter_map(was).map(|entry| entry.file.len).sum();
    if !is_gone_on_with(before.bytes, added, keep) {
        return Ok(None);
    }
    let is_made_together =
        |chapter: &Chapter| is_together(chapter.head.created_unix_micros, head.created_unix_micros, keep);
    let begun = Chapter::open(vfs, before).and_then(|chapter| {
        if chapter.head.store_id != head.store_id || !is_made_together(&chapter) {
            return Ok(None);
        }
        let mut writer = Writer::begin(vfs, &reads.layout, &ChapterHead { first: before.first, ..*head })?;
        writer.take_over(&chapter)?;
        Ok(Some(writer))
    });
    let writer = match begun {
        // It stays as it is, and costs what is in it.
        Err(error) if error.place().is_some_and(|place| place.path == before.path) => None,
        begun => begun?,
    };
    let leads_on = |writer: &Writer| {
        changed().all(|id| {
            let is_held = hold_of(old, id).is_some();
            !is_held && writer.leads_to(id, was(id).map(|entry| entry.last_seq)) != Some(false)
        })
    };
    Ok(writer.filter(leads_on))
}

const TOO_LONG: &str = "what it was is longer than a record of the history may be, 1 GiB";

/// Where a segment ends, as the one behind it says.
fn seal_of(reads: &ReadState, segments: &[Arc<Segment>], segment: &Segment) -> Result<Previous> {
    let number = segment.header.number;
    let seals =
        |other: &&Arc<Segment>| other.header.previous.number == number && other.header.number > number;
    if let Some(successor) = segments.iter().find(seals) {
        return Ok(successor.header.previous);
    }
    // One in which nothing was recorded, because the disk was full, is on the disk alone.
    let inventory = Inventory::take(&*reads.vfs, &reads.layout.log())?;
    match inventory.segments.iter().find(|(other, ..)| *other == number + 1) {
        Some((other, seq, path)) => Ok(Segment::open(&*reads.vfs, path, (*other, *seq))?.header.previous),
        None => Err(Error::corrupt(&segment.path, 0, "nothing says where the segment ends")),
    }
}

/// Adds a record of the log to a chapter.
fn add(writer: &mut Writer, segment: &Arc<Segment>, frame: &Frame<'_>) -> Result<()> {
    if frame.header.events == 0 {
        return Ok(());
    }
    let mut ids: Vec<String> = Vec::new();
    // A chapter is sealed as a whole file.
    let opened = open_frame(segment.seal(), &segment.path, frame)?;
    let read = for_each_event::<BadPayload>(opened.payload(), frame.header.events, |view, _| {
        let is_known = |id: &String| view.conversation.with_bytes(|bytes| bytes == id.as_bytes());
        if !ids.last().is_some_and(is_known) && !ids.iter().any(is_known) {
            ids.push(view.conversation.to_id()?);
        }
        Ok(())
    });
    read.map_err(|bad| Error::corrupt(&segment.path, frame.offset, bad.0))?;
    let numbers = (frame.header.first_seq, frame.header.events, frame.header.schema);
    writer.batch(numbers, opened.payload(), &ids)
}
