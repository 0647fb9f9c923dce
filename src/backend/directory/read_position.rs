//! How far a reader has come in the log, and the way on from there.
//!
//! Owns the cheap look at whether there is more by now, at the names in the log's directory and at the few bytes
//! behind the last frame that was read, and the taking in of frames that were added to the same segment. The look may say
//! that there is more where there is not, as while a frame is being written, and never the other way round. Judges no
//! tail: where anything but whole frames has come, it says so, and an opening finds out what.

use std::sync::Arc;

use super::opened::Opened;
use super::reads::ReadState;
use super::replay::apply_frame;
use super::tail::bytes_from;
use crate::codec::bytes::to_u64;
use crate::codec::frame::{FRAME_ALIGN, HeaderCheck, frame_len};
use crate::error::{Error, Result};
use crate::log::inventory::Inventory;
use crate::log::scan::frame_here;
use crate::log::segment::Segment;
use crate::snapshot::layout::{self, Layout};
use crate::vfs::{Vfs, read_exact_at};

/// How much of a segment is read at once; a longer frame is read whole. A look that finds a message or two should not
/// read much more than these.
const CHUNK: usize = 16 << 10;

/// What has come behind the place that a reader has reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Came {
    Nothing,
    /// There seems to be a frame in the same segment.
    Frames,
    /// A compaction or a segment, or something that only an opening can judge.
    Else,
}

/// How far a reader has come.
#[derive(Debug)]
pub(super) struct ReadPosition {
    epoch: u64,
    /// The newest segment, and where its last frame ends.
    end: Option<(Arc<Segment>, u64)>,
    /// Whether all that was found is what the newest checkpoint and the log say. Where something is damaged, or was put
    /// there by somebody else, what the next events make of it is for an opening to say.
    is_plain: bool,
}

impl ReadPosition {
    pub(super) fn of(opened: &Opened) -> Self {
        let end = opened.replayed.last.as_ref().map(|last| (Arc::clone(&last.segment), last.end_offset));
        let is_as_recorded = opened.index.checkpoint().head().epoch == opened.found_epoch;
        Self { epoch: opened.found_epoch, end, is_plain: is_as_recorded && opened.report.damaged.is_empty() }
    }

    /// What may have come since.
    pub(super) fn look(&self, vfs: &dyn Vfs, layout: &Layout) -> Result<Came> {
        let log = layout.log();
        let inventory = match layout::probe(vfs, &log)? {
            Some(_) => Inventory::take(vfs, &log)?,
            None => Inventory::default(),
        };
        let newest = inventory.checkpoints.last().map_or(0, |(epoch, _)| *epoch);
        let last = inventory.segments.last().map_or(0, |(number, ..)| *number);
        let Some((segment, offset)) = &self.end else {
            return Ok(if newest != self.epoch || last > 0 { Came::Else } else { Came::Nothing });
        };
        if newest != self.epoch || last != segment.header.number {
            return Ok(Came::Else);
        }
        let mut header = [0; FRAME_ALIGN];
        match read_exact_at(&*segment.file, &mut header, *offset) {
            // A segment that ends here has no more frames.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(Came::Nothing),
            read => read.map_err(|error| Error::io("read", &segment.path, error))?,
        }
        Ok(match segment.header.space().decode(*offset, &header) {
            HeaderCheck::Valid(..) if self.is_plain => Came::Frames,
            HeaderCheck::Valid(..) => Came::Else,
            HeaderCheck::Empty | HeaderCheck::Invalid => Came::Nothing,
        })
    }

    /// Takes in the frames that have come in the same segment, each whole under the index's lock. `false` if they are
    /// followed by anything but what was never written: then only an opening can say how the store is now.
    pub(super) fn take_in(&mut self, reads: &ReadState) -> Result<bool> {
        let Some((segment, offset)) = &mut self.end else { return Ok(false) };
        let space = segment.header.space();
        loop {
            let bytes = bytes_from(segment, *offset, CHUNK)?;
            let (before, mut rest) = (*offset, bytes.as_slice());
            while let Ok((frame, _)) = frame_here(rest, space, *offset) {
                let mut index = reads.index_mut();
                // Somebody else's frame, or what an event that does not fit has left of its batch.
                if frame.header.first_seq != index.next_seq() {
                    return Ok(false);
                }
                apply_frame(&mut index, segment, &frame)?;
                drop(index);
                let length = frame_len(frame.payload.len());
                rest = rest.get(length..).unwrap_or_default();
                *offset += to_u64(length);
            }
            let is_unwritten = match rest.get(..FRAME_ALIGN) {
                Some(header) => matches!(space.decode(*offset, header), HeaderCheck::Empty),
                // What is cut off here is read with what follows it, unless there is nothing.
                None => rest.is_empty() && bytes.is_empty(),
            };
            if is_unwritten || *offset == before {
                return Ok(is_unwritten);
            }
        }
    }
}
