//! The past of one conversation, as far as a directory keeps it.
//!
//! Owns the putting together: what the chapters have or, without them, what the conversation's file holds as of the newest
//! checkpoint and what is held of it in the log, then what the log has behind the checkpoint. All of it is of one look, and works on nothing that another
//! reader uses.

use std::sync::Arc;

use super::archive::{archived, base_of, of_checkpoint};
use super::checkpoint_file::newest_checkpoint;
use super::reads::ReadState;
use super::remedy::of_the_log;
use super::replay::held_events;
use crate::codec::checkpoint::Checkpoint;
use crate::codec::payload::{BadPayload, for_each_event, too_new};
use crate::error::{Error, ErrorKind, Result};
use crate::index::Found;
use crate::log::inventory::Inventory;
use crate::log::opened::open_frame;
use crate::log::recovery::{self, Holder, Source};
use crate::log::scan::Frame;
use crate::log::segment::Segment;
use crate::model::{Change, History, PastEvent, Seq};
use crate::snapshot::gathering::Archived;
use crate::snapshot::layout;

/// What is kept of a conversation's past, up to what this state shows.
pub(super) fn history(reads: &ReadState, id: &str) -> Result<History> {
    let (vfs, log) = (&*reads.vfs, reads.layout.log());
    // Files that the store has not taken in yet have no log.
    let no_log = || reads.index().checkpoint().clone();
    let inventory = match layout::probe(vfs, &log)? {
        Some(_) => Inventory::take(vfs, &log)?,
        None => Inventory::default(),
    };
    let checkpoint = newest_checkpoint(vfs, &inventory, &log)?;
    let source = |head| Source { vfs, inventory: &inventory, head, control: None, holder: Holder::Anybody };
    let Some(checkpoint) = checkpoint else {
        return base(reads, &no_log(), &[], id);
    };
    let end = reads.index().next_seq();
    let (older, damage) = archived(reads, &checkpoint, id)?;
    let read = || {
        // What is held is covered, so that it is in a chapter too.
        let held = match older {
            Some(_) => Vec::new(),
            None => held_events(source(checkpoint.head()), &checkpoint, Some(id))?,
        };
        let mut events: Vec<_> =
            held.into_iter().map(|(seq, event)| PastEvent::new(seq, seq, event)).collect();
        let mut visit = |segment: &Arc<Segment>, frame: &Frame<'_>| {
            let is_visible = frame.header.first_seq + u64::from(frame.header.events) <= end;
            if is_visible { events_of(id, segment, frame, &mut events) } else { Ok(()) }
        };
        recovery::replay(source(checkpoint.head()), &mut visit)?;
        Ok(events)
    };
    let events = read().map_err(|error| of_the_log(&reads.layout, error))?;
    let mut history = match older {
        Some(Archived { base, removed, events, whole_from }) => {
            let mut history = History::new(id, whole_from);
            (history.base, history.removed, history.events) = (base, removed, events);
            history
        }
        None => base(reads, &checkpoint, &events, id)?,
    };
    history.events.extend(events);
    history.damage = damage;
    Ok(history.behind_an_erasure())
}

/// What the files hold of a conversation as of a checkpoint, and from where on its past is known.
fn base(reads: &ReadState, checkpoint: &Checkpoint, events: &[PastEvent], id: &str) -> Result<History> {
    let state = of_checkpoint(reads, checkpoint);
    let mut history = History::new(id, checkpoint.head().covered_seq);
    let begins_anew = events.first().is_some_and(|first| begins_anew(&first.event.change));
    let tombstone = state.index().tombstone(id);
    let needed_none = |ordinal: usize| {
        let hold = checkpoint.held().of(ordinal)?;
        let entry = checkpoint.entry(ordinal)?;
        let is_unreadable = matches!(state.index().find(id), Found::Damaged(_));
        (is_unreadable && (begins_anew || entry.version == 0)).then_some(hold)
    };
    if let Some(hold) = checkpoint.find(id).and_then(needed_none) {
        // Its file cannot be read, and the log, which is kept for it, does not need it.
        history.whole_from = hold.after;
        return Ok(history);
    }
    if let Some(tombstone) = &tombstone {
        history.whole_from = tombstone.seq;
    }
    history.removed = tombstone;
    if let Some(base) = base_of(&state, id)? {
        history.whole_from = base.last_seq;
        history.base = Some(base);
    }
    Ok(history)
}

/// Whether a conversation is, after this, what it says, whatever it was before.
fn begins_anew(change: &Change) -> bool {
    matches!(change, Change::Create { .. } | Change::Reset { .. })
}

/// Adds a conversation's events in a frame to those before.
fn events_of(id: &str, segment: &Arc<Segment>, frame: &Frame<'_>, events: &mut Vec<PastEvent>) -> Result<()> {
    if frame.header.events == 0 {
        return Ok(());
    }
    if let Some(reason) = too_new(frame.header.schema) {
        return Err(Error::new(ErrorKind::UnsupportedFormat, reason).at(&segment.path, Some(frame.offset)));
    }
    let batch: Seq = frame.header.first_seq;
    let mut seq = batch;
    let opened = open_frame(segment.seal(), &segment.path, frame)?;
    let read = for_each_event::<BadPayload>(opened.payload(), frame.header.events, |view, _| {
        if view.conversation.with_bytes(|bytes| bytes == id.as_bytes()) {
            events.push(PastEvent::new(seq, batch, view.to_event()?));
        }
        seq += 1;
        Ok(())
    });
    read.map_err(|bad| Error::corrupt(&segment.path, frame.offset, bad.0))
}
