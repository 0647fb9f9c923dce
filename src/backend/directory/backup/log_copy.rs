//! The copying of the log, from segment to segment beside its writer.
//!
//! Owns the way onward from where a copy has come to, and what it means that the two do not agree. Takes no lock, and reads no
//! further than frames check. A segment that a compaction drops stays readable for whoever has it open, so the one that
//! was copied last is kept open until the next time.

use super::extent::{Copy, Limit, Walked, ends_as, start_of, walk};
use super::place::Place;
use crate::codec::backup::Extent;
use crate::codec::bytes::to_u64;
use crate::codec::control::Control;
use crate::codec::frame::FRAME_ALIGN;
use crate::codec::segment::{Previous, StoreId};
use crate::error::{Error, Result};
use crate::log::inventory::Inventory;
use crate::log::segment::Segment;
use crate::snapshot::layout;
use crate::vfs::Vfs;

/// The log of a store as it was looked at, and where it is copied to.
#[derive(Debug)]
pub(super) struct LogCopy<'c> {
    pub(super) vfs: &'c dyn Vfs,
    pub(super) place: &'c Place,
    pub(super) store_id: StoreId,
    pub(super) inventory: &'c Inventory,
    /// What the writer said before the log was looked at.
    pub(super) control: Option<&'c Control>,
}

/// How far a copy has come.
#[derive(Debug)]
pub(super) enum Came {
    /// To the end, as far as the segments follow on; so many bytes are new.
    To(Extent, u64),
    /// The copy of a segment has more than its successor says that the segment has.
    Beyond(Extent, Previous),
    /// The copy is of a segment that the store does not have.
    Unknown(Extent),
}

impl LogCopy<'_> {
    /// Copies what follows a place.
    pub(super) fn advance(&self, from: Extent, kept_open: &mut Option<Segment>) -> Result<Came> {
        // Whether the segment is one that the manifest does not know of yet.
        let (mut at, mut bytes, mut is_new) = (from, 0, false);
        loop {
            let segment = match kept_open.take().filter(|segment| segment.header.number == at.segment) {
                Some(segment) => segment,
                None => match self.segment(at.segment)? {
                    Some(segment) => segment,
                    // A compaction has dropped it, or there is none to begin with.
                    None if self.inventory.segments.iter().any(|(number, ..)| *number > at.segment) => break,
                    None => return Ok(Came::Unknown(at)),
                },
            };
            if !is_new && !self.is_copied(&segment, &at)? {
                return Ok(Came::Unknown(at));
            }
            let successor = self.segment(at.segment + 1)?;
            let seal = successor.as_ref().map(|successor| successor.header.previous);
            if let Some(seal) = seal.filter(|seal| at.length > seal.valid_len) {
                return Ok(Came::Beyond(at, seal));
            }
            let limit = seal.map_or(Limit::NONE, |seal| Limit::at(seal.valid_len));
            let walked = self.copy(&segment, (at, is_new), limit)?;
            bytes += walked.end.length - at.length;
            at = walked.end;
            let (Some(successor), Some(seal)) = (successor, seal) else {
                self.must_be_all(&segment, &at)?;
                *kept_open = Some(segment);
                break;
            };
            if !ends_as(&at, &seal) {
                let reason =
                    "durable bytes are gone or damaged: the segment does not end as its successor says";
                return Err(Error::corrupt(&segment.path, at.length, reason));
            }
            (at, is_new) = (start_of(&successor.header), true);
            *kept_open = Some(successor);
        }
        if is_new {
            layout::sync_dir(self.vfs, &self.place.segments())?;
        }
        Ok(Came::To(at, bytes))
    }

    /// A segment of the store by its number.
    pub(super) fn segment(&self, number: u64) -> Result<Option<Segment>> {
        let Some((number, first_seq, path)) = self.inventory.segments.iter().find(|(n, ..)| *n == number)
        else {
            return Ok(None);
        };
        let segment = Segment::open(self.vfs, path, (*number, *first_seq))?;
        if segment.header.store_id != self.store_id {
            return Err(Error::corrupt(path, 24, "the segment belongs to another store"));
        }
        Ok(Some(segment))
    }

    /// Whether what there is of a segment is a copy of this one. A segment that was begun again after a cut of power
    /// has another random number.
    fn is_copied(&self, segment: &Segment, at: &Extent) -> Result<bool> {
        let path = self.place.segment(at.segment, at.first_seq);
        let own = Segment::open(self.vfs, &path, (at.segment, at.first_seq))?;
        Ok(own.header == segment.header)
    }

    /// Copies the frames of a segment from a place on; what was copied is durable.
    fn copy(&self, segment: &Segment, (from, is_new): (Extent, bool), limit: Limit) -> Result<Walked> {
        let path = self.place.segment(from.segment, from.first_seq);
        let copy = Copy::open(self.vfs, &path, segment)?;
        let walked = walk(segment, from, limit, &mut |bytes, offset| copy.write(bytes, offset))?;
        if walked.end.length > from.length || is_new {
            copy.sync()?;
        }
        Ok(walked)
    }

    /// Holds what was found of the newest segment against what its writer had said before: that much was durable.
    fn must_be_all(&self, segment: &Segment, at: &Extent) -> Result<()> {
        let header = &segment.header;
        let is_of_it = |control: &&Control| {
            control.segment == header.number && control.writer_epoch == header.writer_epoch
        };
        let durable = self.control.filter(is_of_it).map_or(0, |control| u64::from(control.durable_units));
        if at.length < durable * to_u64(FRAME_ALIGN) {
            return Err(Error::corrupt(&segment.path, at.length, "durable bytes are gone or damaged"));
        }
        Ok(())
    }
}
