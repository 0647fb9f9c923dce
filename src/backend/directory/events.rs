//! Events, read back from the log.

use std::path::Path;
use std::sync::Arc;

use super::checkpoint_file::newest_checkpoint;
use super::reads::ReadState;
use super::remedy::of_the_log;
use crate::codec::payload::{BadPayload, for_each_event, too_new};
use crate::error::{Error, ErrorKind, Result};
use crate::log::inventory::Inventory;
use crate::log::opened::open_frame;
use crate::log::recovery::{self, Holder, Source};
use crate::log::scan::Frame;
use crate::log::segment::Segment;
use crate::model::{Event, Seq};
use crate::snapshot::layout;
use crate::vfs::{self, EventSeal};

/// The events of a frame.
pub(super) fn read_frame(seal: Option<&dyn EventSeal>, path: &Path, frame: &Frame<'_>) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    if frame.header.events > 0 {
        if let Some(reason) = too_new(frame.header.schema) {
            return Err(Error::new(ErrorKind::UnsupportedFormat, reason).at(path, Some(frame.offset)));
        }
        let no_room = |_| {
            let reason =
                format!("there is no memory for the events of a record of {} bytes", frame.payload.len());
            Error::new(ErrorKind::OutOfMemory, reason).at(path, Some(frame.offset))
        };
        vfs::room_for(frame.payload.len()).map_err(no_room)?;
        let opened = open_frame(seal, path, frame)?;
        let read = for_each_event::<BadPayload>(opened.payload(), frame.header.events, |view, _| {
            events.push(view.to_event()?);
            Ok(())
        });
        read.map_err(|bad| Error::corrupt(path, frame.offset, bad.0))?;
    }
    Ok(events)
}

/// The events from a sequence number on that the log holds.
pub(crate) fn events(reads: &ReadState, from: Seq) -> Result<Vec<(Seq, Vec<Event>)>> {
    let vfs = &*reads.vfs;
    let log = reads.layout.log();
    let mut batches = Vec::new();
    if layout::probe(vfs, &log)?.is_none() {
        return Ok(batches);
    }
    let inventory = Inventory::take(vfs, &log)?;
    let Some(checkpoint) = newest_checkpoint(vfs, &inventory, &log)? else { return Ok(batches) };
    let last = reads.index().next_seq();
    let mut visit = |segment: &Arc<Segment>, frame: &Frame<'_>| {
        let first = frame.header.first_seq;
        let end = first + u64::from(frame.header.events);
        if end > from && end <= last {
            batches.push((first, read_frame(segment.seal(), &segment.path, frame)?));
        }
        Ok(())
    };
    let head = checkpoint.head();
    let source = Source { vfs, inventory: &inventory, head, control: None, holder: Holder::Anybody };
    recovery::replay(source, &mut visit).map_err(|error| of_the_log(&reads.layout, error))?;
    batches.retain(|(_, events)| !events.is_empty());
    Ok(batches)
}
