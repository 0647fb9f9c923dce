//! From the records of the log to the index.

use std::ops::Range;
use std::sync::Arc;

use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::Checkpoint;
use crate::codec::frame::FRAME_ALIGN;
use crate::codec::payload::{BadPayload, EventView, for_each_event, too_new};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Index, Misfit, Position};
use crate::log::Placed;
use crate::log::opened::{open_frame, open_payload, places_of_sealed};
use crate::log::recovery::{self, Last, Replayed, Source};
use crate::log::scan::{Frame, Tail};
use crate::log::segment::Segment;
use crate::model::{Event, RecoveryReport, Seq, TornTail};
use crate::snapshot::held::{for_each_held, holds_of};

/// Replays the log onto its checkpoint.
pub(super) fn replay(
    source: Source<'_>,
    checkpoint: &Checkpoint,
    report: &mut RecoveryReport,
) -> Result<(Index, Replayed)> {
    let mut index = Index::new(checkpoint.clone());
    let held = replay_held(source, checkpoint, &mut index)?;
    let mut visit = |segment: &Arc<Segment>, frame: &Frame<'_>| apply_frame(&mut index, segment, frame);
    let mut replayed = recovery::replay(source, &mut visit)?;
    report.segments = replayed.segments.len();
    report.orphaned.clone_from(&replayed.orphaned);
    report.events = replayed.next_seq - 1 - checkpoint.head().covered_seq;
    report.last_seq = replayed.next_seq - 1;
    replayed.segments.splice(0..0, held);
    Ok((index, replayed))
}

/// What can be wrong with an event whose checksums are right.
struct Bad(String);

impl From<BadPayload> for Bad {
    fn from(bad: BadPayload) -> Self {
        Self(bad.0)
    }
}

impl From<Misfit> for Bad {
    fn from(bad: Misfit) -> Self {
        Self(bad.0)
    }
}

pub(super) fn apply_frame(index: &mut Index, segment: &Arc<Segment>, frame: &Frame<'_>) -> Result<()> {
    if frame.header.events == 0 {
        return Ok(());
    }
    if let Some(reason) = too_new(frame.header.schema) {
        return Err(Error::new(ErrorKind::UnsupportedFormat, reason).at(&segment.path, Some(frame.offset)));
    }
    let placed = Placed {
        segment: segment.header.number,
        offset: frame.offset + to_u64(FRAME_ALIGN),
        first_seq: frame.header.first_seq,
        events: frame.header.events,
        payload: frame.payload,
        crc: frame.header.payload_crc,
        plain: None,
    };
    let applied = match segment.seal() {
        None => apply_events(index, &placed, frame.payload, &[]),
        Some(seal) => {
            let opened = open_frame(Some(seal), &segment.path, frame)?;
            apply_events(index, &placed, opened.payload(), opened.places())
        }
    };
    applied.map_err(|reason| Error::corrupt(&segment.path, frame.offset, reason))
}

/// Applies the events of a payload whose checksum is known to be right.
pub(super) fn apply_payload(
    index: &mut Index,
    segment: &Segment,
    placed: &Placed<'_>,
) -> std::result::Result<(), String> {
    match segment.seal() {
        None => apply_events(index, placed, placed.payload, &[]),
        Some(seal) => {
            if let Some(plain) = placed.plain {
                let places = places_of_sealed(seal, placed.payload).ok_or("an event has no length")?;
                return apply_events(index, placed, plain, &places);
            }
            let opened = open_payload(Some(seal), placed.payload).map_err(|error| error.to_string())?;
            apply_events(index, placed, opened.payload(), opened.places())
        }
    }
}

/// The same of a payload that is opened; if it was sealed, `places` says where each of its events lies.
fn apply_events(
    index: &mut Index,
    placed: &Placed<'_>,
    payload: &[u8],
    mut places: &[Range<usize>],
) -> std::result::Result<(), String> {
    let mut seq = placed.first_seq;
    let applied = for_each_event::<Bad>(payload, placed.events, |view, opened| {
        let range = match places.split_first() {
            None => opened,
            Some((sealed, others)) => {
                places = others;
                sealed.clone()
            }
        };
        let offset = placed.offset + to_u64(range.start);
        let position = if range.len() == placed.payload.len() {
            Position::in_segment_known(placed.segment, offset, range.len(), placed.crc)
        } else {
            let bytes = placed.payload.get(range).unwrap_or_default();
            Position::in_segment(placed.segment, offset, bytes)
        };
        index.apply(view, seq, position)?;
        seq += 1;
        Ok(())
    });
    applied.map_err(|bad| bad.0)
}

pub(super) fn torn_tail(last: &Last, quarantine: Option<std::path::PathBuf>) -> Option<TornTail> {
    let Tail::Torn(beyond) = last.tail else { return None };
    Some(TornTail {
        path: last.segment.path.clone(),
        offset: last.end_offset,
        bytes: beyond.written_end - last.end_offset,
        discarded_events: beyond.events,
        quarantine,
    })
}

/// Carries out what is held, before anything that the checkpoint does not cover, and returns the segments.
pub(super) fn replay_held(
    source: Source<'_>,
    checkpoint: &Checkpoint,
    index: &mut Index,
) -> Result<Vec<Arc<Segment>>> {
    let holds = holds_of(checkpoint);
    recovery::replay_held(source, &checkpoint.held().segments, &mut |segment, frame| {
        let start = frame.offset + to_u64(FRAME_ALIGN);
        for_each_held((segment.seal(), &segment.path), frame, &holds, &mut |id, view, seq, range| {
            let offset = start + to_u64(range.start);
            let bytes = frame.payload.get(range).unwrap_or_default();
            let position = Position::in_segment(segment.header.number, offset, bytes);
            let applied = index.apply_held(id, view, seq, position);
            applied.map_err(|bad| Error::corrupt(&segment.path, frame.offset, bad.0))
        })
    })
}

/// What is held of conversations in the log, as events; those of one conversation if that is asked for.
pub(super) fn held_events(
    source: Source<'_>,
    checkpoint: &Checkpoint,
    id: Option<&str>,
) -> Result<Vec<(Seq, Event)>> {
    let mut holds = holds_of(checkpoint);
    holds.retain(|held, _| id.is_none_or(|id| id == held));
    let mut events = Vec::new();
    let segments = if holds.is_empty() { &[][..] } else { &checkpoint.held().segments };
    recovery::replay_held(source, segments, &mut |segment, frame| {
        for_each_held(
            (segment.seal(), &segment.path),
            frame,
            &holds,
            &mut |_, view: &EventView<'_>, seq, _| {
                let event =
                    view.to_event().map_err(|bad| Error::corrupt(&segment.path, frame.offset, bad.0))?;
                events.push((seq, event));
                Ok(())
            },
        )
    })?;
    Ok(events)
}
