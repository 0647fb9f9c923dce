//! Going on with a short segment that was closed in order.
//!
//! Owns what the file that takes its place begins with: the same frames at the same offsets, and in the place of the
//! seal a frame that says as much and does not end the segment. Nothing is written into the old file, so whoever has
//! it open, or was overtaken, neither sees a change nor can make one.

use std::sync::Arc;

use super::scan::{self, End};
use super::segment::Segment;
use crate::codec::bytes::{to_u64, to_usize};
use crate::codec::frame::{FRAME_ALIGN, FrameHeader, FrameKind};
use crate::codec::segment::{DATA_START, Previous};

/// A frame where a writer closed the segment and a later one went on: everything before it is durable.
const CLOSED: FrameKind = FrameKind::Skippable(129);

/// What a segment begins with that takes the place of another one.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) old: Arc<Segment>,
    /// The frames, from where the first one lies on.
    pub(super) frames: Vec<u8>,
    /// CRC-32 over their headers' checksums.
    pub(super) rollup: crc32fast::Hasher,
}

impl Carried {
    /// Where the frames end.
    pub(super) fn end(&self) -> u64 {
        to_u64(DATA_START + self.frames.len())
    }
}

/// The frames of a segment that was found closed where `end` says; `None` if it cannot be read as it was then. The log
/// goes on in a segment of its own in that case, as behind any other, and what is wrong is found when it is read.
pub(super) fn carried(old: Arc<Segment>, end: &Previous) -> Option<Carried> {
    let space = old.header.space();
    let mut bytes = old.read(0, to_usize(end.valid_len)).ok()?;
    let found = scan::walk::<()>(&bytes, space, old.header.first_seq, |_| Ok(())).ok()?;
    let is_as_found = (found.end_offset, found.next_seq, found.rollup)
        == (end.valid_len, end.next_seq, end.rollup)
        && found.end == End::Sealed;
    let at = to_usize(end.valid_len).checked_sub(FRAME_ALIGN).filter(|_| is_as_found)?;
    let closed = FrameHeader {
        payload_len: 0,
        payload_crc: 0,
        kind: CLOSED,
        schema: 0,
        first_seq: end.next_seq,
        // All that is before it is in the file, durably, by the time at which the file has its name.
        synced_units: u32::try_from(at / FRAME_ALIGN).ok()?,
        events: 0,
    };
    bytes.get_mut(at..)?.copy_from_slice(&space.encode(to_u64(at), &closed).0);
    let copy = scan::walk::<()>(&bytes, space, old.header.first_seq, |_| Ok(())).ok()?;
    let is_whole = (copy.end_offset, copy.next_seq) == (end.valid_len, end.next_seq);
    let rollup = crc32fast::Hasher::new_with_initial(copy.rollup);
    is_whole.then(|| Carried { frames: bytes.split_off(DATA_START), old, rollup })
}
