//! What a segment gives up that is kept for the events of a damaged file.
//!
//! Owns the going on behind damage within it. Where it ends is known beforehand; what came before it and behind it
//! is no concern of its.

use std::path::Path;

use super::{Fault, Missing, space_of};
use crate::codec::bytes::{MAX_NUMBER, to_u64, to_usize};
use crate::codec::checkpoint::HeldSegment;
use crate::codec::frame::{FRAME_ALIGN, frame_len};
use crate::codec::segment::{DATA_START, SegmentHeader};
use crate::error::{Error, Result};
use crate::log::inventory::Inventory;
use crate::log::scan::{End, Frame, is_badly_padded, proven_at};
use crate::log::segment::MAX_SEGMENT_FILE;
use crate::vfs::{self, OpenMode, Vfs};

/// Hands over every frame of a kept segment that proves itself, and gives the first damage to it, if there is any.
///
/// # Errors
///
/// Whatever `take` returns.
pub(crate) fn salvage_held(
    vfs: &dyn Vfs,
    inventory: &Inventory,
    dir: &Path,
    held: &HeldSegment,
    take: &mut dyn FnMut(&Path, &Frame<'_>) -> Result<()>,
) -> Result<Option<Fault>> {
    let number = held.end.number;
    let all = Missing::Between(held.first_seq, held.end.next_seq.saturating_sub(1));
    let fault = |error, missing| Fault { error, missing, payloads: Vec::new() };
    let Some((.., path)) = inventory.segments.iter().find(|(other, ..)| *other == number) else {
        let reason = format!("segment {number}, which holds events of a damaged file, is missing");
        return Ok(Some(fault(Error::corrupt(dir, 0, reason), all)));
    };
    let file = vfs.open(path, OpenMode::Read);
    let bytes = match file.and_then(|file| vfs::read_all(&*file, MAX_SEGMENT_FILE)) {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Some(fault(Error::io("read", path, error), all))),
    };
    let header = SegmentHeader::decode(bytes.get(..DATA_START).unwrap_or(&bytes));
    let Some(space) = header.map(|header| header.space()).ok().or_else(|| space_of(number, &bytes)) else {
        return Ok(Some(fault(Error::corrupt(path, 0, "nothing in the segment can be read"), all)));
    };
    let end = to_usize(held.end.valid_len);
    let bytes = bytes.get(..end).unwrap_or(&bytes);
    let (mut bad, mut padding) = (None, None);
    let mut at = DATA_START;
    while at < end {
        match proven_at(bytes, space, at) {
            Ok((frame, _)) if frame.header.first_seq <= MAX_NUMBER => {
                if is_badly_padded(bytes, space, at) {
                    let reason = "a frame's padding is not zero";
                    padding.get_or_insert_with(|| Error::corrupt(path, to_u64(at), reason));
                }
                take(path, &frame)?;
                at += frame_len(frame.payload.len());
            }
            found => {
                let reason =
                    if let Err(End::Invalid(reason)) = found { reason } else { "durable bytes are gone" };
                bad.get_or_insert_with(|| Error::corrupt(path, to_u64(at), reason));
                at += FRAME_ALIGN;
            }
        }
    }
    Ok(bad.map(|error| fault(error, all)).or_else(|| padding.map(|error| fault(error, Missing::None))))
}
