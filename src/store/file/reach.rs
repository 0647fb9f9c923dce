//! How far a reader has come in the log, and whether there is more by now.
//!
//! Owns the cheap look: at the names in the log's directory, and at the few bytes behind the last frame that was
//! read. It may say that there is more where there is not, as while a frame is being written, and never the other way
//! round.

use std::sync::Arc;

use super::open::Opened;
use crate::codec::frame::{FRAME_ALIGN, HeaderCheck};
use crate::error::{Error, Result};
use crate::log::inventory::Inventory;
use crate::log::segment::Segment;
use crate::snapshot::layout::{self, Layout};
use crate::vfs::{Vfs, read_exact_at};

/// How far an opening came.
#[derive(Debug)]
pub(super) struct Reach {
    epoch: u64,
    /// The newest segment, and where its last frame ends.
    end: Option<(Arc<Segment>, u64)>,
}

impl Reach {
    pub(super) fn of(opened: &Opened) -> Self {
        let end = opened.replayed.last.as_ref().map(|last| (Arc::clone(&last.segment), last.end_offset));
        Self { epoch: opened.found_epoch, end }
    }

    /// Whether anything may have come since: a compaction, a segment, a frame.
    pub(super) fn is_passed(&self, vfs: &dyn Vfs, layout: &Layout) -> Result<bool> {
        let log = layout.log();
        let inventory = match layout::probe(vfs, &log)? {
            Some(_) => Inventory::take(vfs, &log)?,
            None => Inventory::default(),
        };
        let newest = inventory.checkpoints.last().map_or(0, |(epoch, _)| *epoch);
        let last = inventory.segments.last().map_or(0, |(number, ..)| *number);
        let Some((segment, offset)) = &self.end else { return Ok(newest != self.epoch || last > 0) };
        if newest != self.epoch || last != segment.header.number {
            return Ok(true);
        }
        let mut header = [0; FRAME_ALIGN];
        match read_exact_at(&*segment.file, &mut header, *offset) {
            // A segment that ends here has no more frames.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            read => read.map_err(|error| Error::io("read", &segment.path, error))?,
        }
        Ok(match segment.header.space().decode(*offset, &header) {
            HeaderCheck::Valid(..) => true,
            HeaderCheck::Empty | HeaderCheck::Invalid => false,
        })
    }
}
