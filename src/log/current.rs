//! The segment that is written to: how much of it is written, durable, reserved and ready.
//!
//! Owns the frames of a group, whose headers depend on where the group goes and on what is durable by then. Does not make
//! segments.

use std::path::Path;
use std::sync::Arc;

use super::segment::Segment;
use crate::codec::bytes::to_u64;
use crate::codec::frame::{FRAME_ALIGN, FrameHeader, FrameKind, FrameSpace};
use crate::codec::segment::{DATA_START, Previous};
use crate::error::{Error, ErrorKind};
use crate::model::Seq;
use crate::vfs;

/// How far beyond what is written a file is made ready at least.
const READY_AHEAD: u64 = 128 << 10;
/// How far beyond it is made ready at most.
const READY_AT_MOST: u64 = 1 << 20;
/// The largest group that anything is made ready for: for a larger one, to write as many zeros takes longer than it saves.
const READY_FOR_AT_MOST: u64 = 192 << 10;

/// Why a group was not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// It is not in the log and never will be; the store goes on.
    Refused(Error),
    /// It may or may not be there after the next opening; the store goes on in a new segment.
    Unknown(Error),
    /// A sync failed: nothing more may be written until the store is opened again.
    Fatal(Error),
    /// It is not in the log and never will be, and nothing more may be written: the store is another writer's.
    Overtaken(Error),
}

/// A payload that is to be appended: where it lies in the group's buffer, header included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingFrame {
    pub(crate) start: usize,
    pub(crate) payload_len: usize,
    pub(crate) payload_crc: u32,
    pub(crate) schema: u16,
    pub(crate) first_seq: Seq,
    pub(crate) events: u32,
    pub(crate) is_sealed: bool,
    /// Where its events lie in the group's plain ones, if it is sealed.
    pub(crate) plain: Option<(usize, usize)>,
}

impl PendingFrame {
    fn empty(first_seq: Seq) -> Self {
        Self {
            start: 0,
            payload_len: 0,
            payload_crc: 0,
            schema: 0,
            first_seq,
            events: 0,
            is_sealed: false,
            plain: None,
        }
    }
}

/// Frames that are written at once, in a buffer that has room for their headers.
#[derive(Debug)]
pub(super) struct Frames<'g> {
    pub(super) buffer: &'g mut [u8],
    pub(super) frames: &'g [PendingFrame],
}

impl Frames<'_> {
    /// How many bytes they take.
    pub(super) fn len(&self) -> u64 {
        to_u64(self.buffer.len())
    }

    /// How many events are in them.
    pub(super) fn events(&self) -> u64 {
        self.frames.iter().map(|frame| u64::from(frame.events)).sum()
    }

    /// Whether all of them are sealed, or none, as their segment says.
    pub(super) fn are_all(&self, is_sealed: bool) -> bool {
        self.frames.iter().all(|frame| frame.is_sealed == is_sealed)
    }

    /// Fills in the headers, which depend on where the group goes and on what is durable by now.
    /// Returns what the rollup becomes once they are written.
    pub(super) fn stamp(
        &mut self,
        space: FrameSpace,
        (written, durable): (u64, u64),
        rollup: &crc32fast::Hasher,
    ) -> crc32fast::Hasher {
        let mut rollup = rollup.clone();
        for frame in self.frames {
            let header = header(FrameKind::Batch, frame, durable);
            let (bytes, crc) = space.encode(written + to_u64(frame.start), &header);
            if let Some(slot) = self.buffer.get_mut(frame.start..frame.start + FRAME_ALIGN) {
                slot.copy_from_slice(&bytes);
            }
            rollup.update(&crc.to_le_bytes());
        }
        rollup
    }
}

fn header(kind: FrameKind, frame: &PendingFrame, durable: u64) -> FrameHeader {
    FrameHeader {
        payload_len: u32::try_from(frame.payload_len).unwrap_or(u32::MAX),
        payload_crc: frame.payload_crc,
        kind,
        schema: frame.schema,
        first_seq: frame.first_seq,
        synced_units: u32::try_from(durable / to_u64(FRAME_ALIGN)).unwrap_or(u32::MAX),
        events: frame.events,
    }
}

#[cold]
pub(super) fn not_as_its_segment(path: &Path) -> Error {
    let reason = "what is to be written is not sealed as its segment says; nothing was written";
    Error::new(ErrorKind::Failed, reason).at(path, None)
}

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) segment: Arc<Segment>,
    pub(super) written: u64,
    pub(super) durable: u64,
    /// Up to where the file has its room on the disk.
    reserved: u64,
    /// Up to where the file was made ready for what will be written.
    ready: u64,
    pub(super) rollup: crc32fast::Hasher,
    pub(super) next_seq: Seq,
    /// A write failed: bytes behind `written` are unknown, so the segment must end there.
    pub(super) is_spoiled: bool,
}

impl Current {
    /// A segment that was just made, with what it was made with, all of it durable.
    pub(super) fn new(
        segment: Arc<Segment>,
        (written, reserved): (u64, u64),
        rollup: crc32fast::Hasher,
        next_seq: Seq,
    ) -> Self {
        let (durable, ready) = (written, written);
        Self { segment, written, durable, reserved, ready, rollup, next_seq, is_spoiled: false }
    }

    /// Whether nothing was written to it yet.
    pub(super) fn is_unused(&self) -> bool {
        !self.is_spoiled && self.written == to_u64(DATA_START)
    }

    /// The segment, if so many bytes fit behind what is written and a seal behind them, with their room reserved.
    #[inline]
    pub(super) fn with_room(&mut self, needed: u64) -> Option<&mut Self> {
        let end = self.written.saturating_add(needed).saturating_add(to_u64(FRAME_ALIGN));
        let fits = !self.is_spoiled && end <= self.segment.header.capacity;
        (fits && (end <= self.reserved || self.reserve(end))).then_some(self)
    }

    /// Reserves the rest of the segment, or, on a disk that is nearly full, no more than is needed.
    #[cold]
    fn reserve(&mut self, end: u64) -> bool {
        let least = end.next_multiple_of(to_u64(DATA_START));
        for length in [self.segment.header.capacity, least] {
            if self.segment.file.allocate(length).is_ok() {
                self.reserved = length;
                return true;
            }
        }
        // The next segment finds out what is wrong, and says so.
        false
    }

    /// Gets the file ready for more than what is about to be written, so that the sync of most groups has
    /// nothing but their bytes to write: one in hundreds pays for the others, of larger ones one in sixteen to
    /// one in four. The largest pay each for itself.
    fn get_ready(&mut self, needed: u64) {
        let end = self.written + needed;
        if needed <= READY_FOR_AT_MOST && end > self.ready {
            let ahead = needed.saturating_mul(16).clamp(READY_AHEAD, READY_AT_MOST);
            self.ready = end.saturating_add(ahead).next_multiple_of(to_u64(DATA_START)).min(self.reserved);
            // Nothing depends on it: the space is reserved, and a write that matters will tell what is wrong.
            self.segment.file.ready(end..self.ready).ok();
        }
    }

    /// Writes a group behind what is written, and says where it begins.
    #[inline]
    pub(super) fn write(&mut self, mut group: Frames<'_>, must_sync: bool) -> Result<u64, WriteError> {
        let base = self.written;
        // Whatever came before: nothing that is to be sealed is written as it is.
        if !group.are_all(self.segment.header.is_sealed) {
            return Err(WriteError::Refused(not_as_its_segment(&self.segment.path)));
        }
        if must_sync {
            self.get_ready(group.len());
        }
        let rollup = group.stamp(self.segment.header.space(), (self.written, self.durable), &self.rollup);
        if let Err(error) = vfs::write_all_at(&*self.segment.file, group.buffer, base) {
            // Order: mark the segment as ended before anything else can be appended to it. What was
            // written of this group could otherwise be taken for records of the next.
            self.is_spoiled = true;
            return Err(WriteError::Unknown(Error::io("write", &self.segment.path, error)));
        }
        self.rollup = rollup;
        self.written += group.len();
        self.next_seq += group.events();
        Ok(base)
    }

    pub(super) fn as_previous(&self) -> Previous {
        Previous {
            number: self.segment.header.number,
            valid_len: self.written,
            next_seq: self.next_seq,
            rollup: self.rollup.clone().finalize(),
        }
    }

    /// The frame that closes the segment.
    pub(super) fn seal(&self) -> [u8; FRAME_ALIGN] {
        let header = header(FrameKind::Seal, &PendingFrame::empty(self.next_seq), self.durable);
        self.segment.header.space().encode(self.written, &header).0
    }
}
