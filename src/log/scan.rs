//! Walking over a segment's bytes, and the verdict on where they end.
//!
//! Owns the decision between a torn tail and rot. Pure: bytes in, facts out. The idea of a durable
//! watermark inside the frames is Pebble's (its WAL sync chunks): that something valid follows a bad frame
//! proves nothing, because pages reach the disk in any order; only a frame's own word that everything
//! below some offset had been synced does.

use crate::codec::bytes::{all_zero, checksum, to_u64, to_usize, trimmed_len};
use crate::codec::frame::{FRAME_ALIGN, FrameHeader, FrameKind, FrameSpace, HeaderCheck, frame_len};
use crate::codec::segment::DATA_START;
use crate::model::Seq;

/// A frame that checks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) offset: u64,
    pub(crate) header: FrameHeader,
    pub(crate) payload: &'a [u8],
}

/// How a walk ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// At bytes that were never written, or at the end of the file.
    Unwritten,
    /// Behind a seal.
    Sealed,
    /// At bytes that are no frame of this place.
    Invalid(&'static str),
}

/// What a walk found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    /// One past the last frame.
    pub(crate) end_offset: u64,
    pub(crate) end: End,
    /// The sequence number after the last event.
    pub(crate) next_seq: Seq,
    /// CRC-32 over the header checksums of the frames.
    pub(crate) rollup: u32,
    /// The highest durable watermark of the frames.
    pub(crate) watermark: u64,
    pub(crate) frames: u64,
}

/// What is said of a frame whose padding is not zeros.
const BAD_PADDING: &str = "a frame's padding is not zero";

/// The frame at an offset, or why there is none.
#[inline]
pub(super) fn frame_at(bytes: &[u8], space: FrameSpace, offset: usize) -> Result<(Frame<'_>, u32), End> {
    frame_here(bytes.get(offset..).unwrap_or_default(), space, to_u64(offset))
}

/// The frame at the start of bytes that lie at an offset of their segment, with the checksum of its header, or
/// why there is none.
#[inline]
pub(crate) fn frame_here(rest: &[u8], space: FrameSpace, offset: u64) -> Result<(Frame<'_>, u32), End> {
    let (frame, crc) = proven_frame(rest, space, offset)?;
    if !padding(rest, &frame).is_some_and(all_zero) {
        return Err(End::Invalid(BAD_PADDING));
    }
    Ok((frame, crc))
}

/// The zeros that a frame is filled up with; none if its file ends before them.
#[inline]
fn padding<'b>(rest: &'b [u8], frame: &Frame<'_>) -> Option<&'b [u8]> {
    rest.get(FRAME_ALIGN + frame.payload.len()..frame_len(frame.payload.len()))
}

/// Whether a frame at an offset proves itself and is not as it was written all the same: its padding, which no
/// checksum covers, is not zero, or is not there.
pub(super) fn is_badly_padded(bytes: &[u8], space: FrameSpace, offset: usize) -> bool {
    frame_at(bytes, space, offset).is_err_and(|end| end == End::Invalid(BAD_PADDING))
}

/// The frame at an offset whose two checksums are right, whatever its padding is.
pub(super) fn proven_at(bytes: &[u8], space: FrameSpace, offset: usize) -> Result<(Frame<'_>, u32), End> {
    proven_frame(bytes.get(offset..).unwrap_or_default(), space, to_u64(offset))
}

#[inline]
fn proven_frame(rest: &[u8], space: FrameSpace, offset: u64) -> Result<(Frame<'_>, u32), End> {
    if rest.is_empty() {
        return Err(End::Unwritten);
    }
    let Some(header_bytes) = rest.get(..FRAME_ALIGN) else {
        return Err(if all_zero(rest) {
            End::Unwritten
        } else {
            End::Invalid("a frame header is cut short")
        });
    };
    let (header, crc) = match space.decode(offset, header_bytes) {
        HeaderCheck::Empty => return Err(End::Unwritten),
        HeaderCheck::Invalid => return Err(End::Invalid("a frame header does not check")),
        HeaderCheck::Valid(header, crc) => (header, crc),
    };
    let length = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
    let Some(payload) = rest.get(FRAME_ALIGN..).and_then(|body| body.get(..length)) else {
        return Err(End::Invalid("a frame runs past the end of its file"));
    };
    if checksum(payload) != header.payload_crc {
        return Err(End::Invalid("a payload's checksum is wrong"));
    }
    if u64::from(header.synced_units) * to_u64(FRAME_ALIGN) > offset {
        return Err(End::Invalid("a frame's watermark lies beyond the frame"));
    }
    Ok((Frame { offset, header, payload }, crc))
}

/// Goes over the frames from the start, as far as they check and their sequence numbers follow on.
pub(crate) fn walk<'a, E>(
    bytes: &'a [u8],
    space: FrameSpace,
    first_seq: Seq,
    mut visit: impl FnMut(&Frame<'a>) -> Result<(), E>,
) -> Result<Walk, E> {
    let mut rollup = crc32fast::Hasher::new();
    let mut at = DATA_START;
    let (mut next_seq, mut watermark, mut frames) = (first_seq, to_u64(DATA_START), 0);
    let end = loop {
        let (frame, crc) = match frame_at(bytes, space, at) {
            Ok(found) => found,
            Err(end) => break end,
        };
        if frame.header.first_seq != next_seq {
            break End::Invalid("a sequence number does not follow on");
        }
        let Some(after) = next_seq.checked_add(u64::from(frame.header.events)) else {
            break End::Invalid("a sequence number is beyond the last one");
        };
        visit(&frame)?;
        rollup.update(&crc.to_le_bytes());
        next_seq = after;
        watermark = watermark.max(mark_of(&frame.header));
        frames += 1;
        at += frame_len(frame.payload.len());
        if frame.header.kind == FrameKind::Seal {
            break End::Sealed;
        }
    };
    Ok(Walk { end_offset: to_u64(at), end, next_seq, rollup: rollup.finalize(), watermark, frames })
}

fn mark_of(header: &FrameHeader) -> u64 {
    u64::from(header.synced_units) * to_u64(FRAME_ALIGN)
}

/// What lies behind the end of a walk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Beyond {
    /// One past the last byte that is not zero, or the walk's end if all are.
    pub(crate) written_end: u64,
    /// The highest watermark of any header that checks in its place.
    pub(crate) watermark: u64,
    /// How many whole frames check in their place.
    pub(crate) whole_frames: u64,
    /// How many events those frames hold.
    pub(crate) events: u64,
}

/// Looks at every place a frame could start at behind the end of a walk, to the end of the file: a bounded
/// search would call far-away proof of rot a torn tail.
pub(crate) fn look_beyond(bytes: &[u8], space: FrameSpace, end_offset: u64) -> Beyond {
    let start = to_usize(end_offset);
    let written = trimmed_len(bytes.get(start..).unwrap_or_default());
    let mut beyond = Beyond { written_end: end_offset + to_u64(written), ..Beyond::default() };
    let end = start + written;
    let mut at = start;
    while at < end {
        let slot = bytes.get(at..at + FRAME_ALIGN).unwrap_or_default();
        if let HeaderCheck::Valid(header, _) = space.decode(to_u64(at), slot) {
            // A header alone proves what its writer knew; its payload may be lost and its word still holds.
            if mark_of(&header) <= to_u64(at) {
                beyond.watermark = beyond.watermark.max(mark_of(&header));
            }
            if frame_at(bytes, space, at).is_ok() {
                beyond.whole_frames += 1;
                beyond.events += u64::from(header.events);
            }
        }
        at += FRAME_ALIGN;
    }
    beyond
}

/// What is at the end of the newest segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tail {
    /// It was closed in order.
    Sealed,
    /// It was not closed, and nothing was lost: the last write ended where the next would begin.
    Whole,
    /// The last writes were not durable and did not fully reach the disk.
    Torn(Beyond),
}

/// Durable bytes that are not what was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rot {
    /// The first byte that does not check.
    pub(crate) offset: u64,
    /// Everything below this had been synced.
    pub(crate) proof: u64,
    pub(crate) reason: &'static str,
}

/// Decides between a torn tail, which is a value, and rot, which is an error.
///
/// `vouched` is what other evidence says was durable of this segment.
pub(crate) fn judge(bytes: &[u8], space: FrameSpace, walk: &Walk, vouched: u64) -> Result<Tail, Rot> {
    if walk.end == End::Sealed {
        return Ok(Tail::Sealed);
    }
    let beyond = look_beyond(bytes, space, walk.end_offset);
    let proof = walk.watermark.max(beyond.watermark).max(vouched);
    if walk.end_offset < proof {
        let reason = match walk.end {
            End::Invalid(reason) => reason,
            End::Unwritten | End::Sealed => "durable bytes are gone",
        };
        return Err(Rot { offset: walk.end_offset, proof, reason });
    }
    Ok(if beyond.written_end > walk.end_offset { Tail::Torn(beyond) } else { Tail::Whole })
}
