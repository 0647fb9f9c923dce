//! The way through one segment that may be damaged.
//!
//! Owns which of its bytes are gone over, and what lies between two frames that prove themselves. A frame
//! whose padding is not zeros proves itself: both of its checksums are right, and neither covers those bytes.

use super::{Held, Suspect, Work};
use crate::codec::bytes::{MAX_NUMBER, to_u64, to_usize};
use crate::codec::frame::{FRAME_ALIGN, FrameSpace, HeaderCheck, frame_len};
use crate::codec::segment::DATA_START;
use crate::error::{Error, Result};
use crate::log::orphans;
use crate::log::salvage::Missing;
use crate::log::scan::{self, Beyond, End, Frame, Tail, Walk, frame_at};
use crate::model::Seq;

/// How much of a damaged payload is kept: it is looked at for the names of conversations.
const KEPT_PAYLOAD: usize = 64 << 10;

/// How many damaged payloads of one gap are kept.
const KEPT_PAYLOADS: usize = 64;

/// What is said of a frame whose padding is not zeros.
const BADLY_PADDED: &str =
    "a frame's padding is not zero, which its checksums do not cover; it is taken over";

/// How much of a segment is to be gone over.
#[derive(Debug)]
pub(super) struct Extent {
    /// Where it ends.
    end: usize,
    /// Up to where zeros are damage.
    due: usize,
    /// Only events before this one count.
    before: Seq,
    /// Why the file is too short.
    pub(super) cut: Option<&'static str>,
}

impl Work<'_> {
    /// How much of a segment is to be gone over.
    pub(super) fn extent(
        &mut self,
        held: &Held,
        next: Option<&Held>,
        bytes: &[u8],
        space: FrameSpace,
    ) -> Extent {
        let length = bytes.len();
        let all = Extent { end: length, due: DATA_START, before: Seq::MAX, cut: None };
        if let Some(next) = next {
            let seal = next.header.map(|header| header.previous).filter(|seal| seal.number == held.number);
            // What lies behind the end of a torn tail is dead, though it may check: its events' numbers were
            // given to others.
            let all = Extent { before: next.first_seq, ..all };
            let Some(seal) = seal else { return all };
            let end = to_usize(seal.valid_len);
            if let (Some(own), Some(next)) = (&held.header, &next.header) {
                self.out.orphaned.extend(orphans::find(&held.path, own, next, bytes));
            }
            let cut =
                (length < end).then_some("the segment ends here, and its successor says that it is longer");
            return Extent { end: end.min(length), due: end.min(length), cut, ..all };
        }
        let Some(header) = held.header else { return all };
        let own =
            self.control.filter(|c| c.segment == header.number && c.writer_epoch == header.writer_epoch);
        let vouched = own.map_or(0, |c| u64::from(c.durable_units) * to_u64(FRAME_ALIGN));
        let nothing = |_: &Frame<'_>| Ok::<(), std::convert::Infallible>(());
        let Ok(walk) = scan::walk(bytes, space, header.first_seq, nothing);
        match scan::judge(bytes, space, &walk, vouched) {
            Err(corrupt) => Extent { due: to_usize(corrupt.proof), ..all },
            Ok(tail) => {
                let end = proven_end(bytes, space, &walk);
                let is_torn = |beyond: &Beyond| beyond.written_end > to_u64(end);
                if let Some(beyond) = torn(tail, bytes, space, end).filter(is_torn) {
                    self.out.torn = Some((held.path.clone(), to_u64(end), beyond));
                }
                let is_cut = tail != Tail::Sealed && to_u64(length) < header.capacity;
                let cut = is_cut.then_some("the segment has been cut");
                Extent { end, cut, ..all }
            }
        }
    }

    /// Hands over every frame that checks, and returns the damage behind the last of them, if there is any.
    pub(super) fn frames(
        &mut self,
        held: &Held,
        extent: &Extent,
        bytes: &[u8],
        space: FrameSpace,
    ) -> Result<Option<Suspect>> {
        let bytes = bytes.get(..extent.end).unwrap_or(bytes);
        let corrupt = |at: usize, reason: &str| Error::corrupt(&held.path, to_u64(at), reason);
        // Damage and zeros since the last frame that checked. Zeros are damage only if something follows.
        let (mut suspect, mut zeros) = (None::<Suspect>, None);
        let mut at = DATA_START;
        while at < bytes.len().max(extent.due) {
            let is_badly_padded = scan::is_badly_padded(bytes, space, at);
            let found =
                if is_badly_padded { scan::proven_at(bytes, space, at) } else { frame_at(bytes, space, at) };
            match found {
                Ok((frame, _)) if frame.header.first_seq > MAX_NUMBER => {
                    suspect.get_or_insert_with(|| corrupt(at, "a record's number is impossible").into());
                }
                Ok((frame, _)) => {
                    let bad = suspect.take().or(zeros.take().map(Suspect::from));
                    self.frame(held, extent, &frame, bad)?;
                    if is_badly_padded {
                        self.fault(corrupt(at, BADLY_PADDED), Missing::None);
                    }
                    at += frame_len(frame.payload.len());
                    continue;
                }
                Err(End::Invalid(reason)) => {
                    let suspect = suspect.get_or_insert_with(|| corrupt(at, reason).into());
                    suspect.payloads.extend(
                        damaged_payload(bytes, space, at)
                            .filter(|_| suspect.payloads.len() < KEPT_PAYLOADS)
                            .map(<[u8]>::to_vec),
                    );
                }
                Err(End::Unwritten | End::Sealed) if at < extent.due => {
                    suspect.get_or_insert_with(|| corrupt(at, "durable bytes are gone").into());
                }
                Err(End::Unwritten | End::Sealed) => {
                    zeros.get_or_insert_with(|| corrupt(at, "written bytes are gone"));
                }
            }
            at += FRAME_ALIGN;
        }
        Ok(suspect)
    }

    fn frame(&mut self, held: &Held, extent: &Extent, frame: &Frame<'_>, bad: Option<Suspect>) -> Result<()> {
        let first = frame.header.first_seq;
        let end = first.saturating_add(u64::from(frame.header.events));
        if end > extent.before {
            return Ok(());
        }
        if first > self.out.next_seq {
            let reason = "events are missing before this record";
            let missing = || Error::corrupt(&held.path, frame.offset, reason).into();
            self.gap(bad.unwrap_or_else(missing), first);
        } else if let Some(suspect) = bad {
            self.fault(suspect, Missing::None);
        }
        // Before the first event that is needed, or a second copy of one that was found.
        if first < self.out.next_seq {
            return Ok(());
        }
        self.out.next_seq = end;
        (self.take)(&held.path, frame, self.out.faults.len())
    }
}

/// Where the frames of the newest segment end that prove themselves and follow on. A walk ends at a padding that
/// is not zeros, also where nothing says that it was durable.
fn proven_end(bytes: &[u8], space: FrameSpace, walk: &Walk) -> usize {
    let (mut at, mut due) = (to_usize(walk.end_offset), walk.next_seq);
    while let Ok((frame, _)) = scan::proven_at(bytes, space, at) {
        if walk.end == End::Sealed || frame.header.first_seq != due {
            break;
        }
        due = due.saturating_add(u64::from(frame.header.events));
        at += frame_len(frame.payload.len());
    }
    at.min(bytes.len())
}

/// What lies behind the end of a torn tail.
fn torn(tail: Tail, bytes: &[u8], space: FrameSpace, end: usize) -> Option<Beyond> {
    match tail {
        Tail::Torn(_) => Some(scan::look_beyond(bytes, space, to_u64(end))),
        Tail::Sealed | Tail::Whole => None,
    }
}

/// The beginning of a payload that is damaged, if the header before it is not.
fn damaged_payload(bytes: &[u8], space: FrameSpace, at: usize) -> Option<&[u8]> {
    let rest = bytes.get(at..)?;
    let HeaderCheck::Valid(header, _) = space.decode(to_u64(at), rest) else { return None };
    let length = to_usize(u64::from(header.payload_len)).min(KEPT_PAYLOAD);
    let body = rest.get(FRAME_ALIGN..)?;
    Some(body.get(..length).unwrap_or(body))
}
