//! A group of batches as one object, and an object of the log taken apart.
//!
//! Owns the making of a segment that is whole from the start, as docs/format.md has it: header, a frame that says whose it is, a
//! frame for each batch, and the seal. Knows no conversations.

use crate::clock::{random_id, random_salt};
use crate::codec::bytes::{checksum, to_u64, to_usize};
use crate::codec::frame::{FRAME_ALIGN, FrameHeader, FrameKind, HeaderCheck, frame_len};
use crate::codec::segment::{BadHeader, DATA_START, Previous, SegmentHeader, StoreId};
use crate::log::scan::{self, Frame, Walk};
use crate::model::Seq;

/// The kind of the frame that makes every object another one. Software that does not know it passes it over.
const ORIGIN: FrameKind = FrameKind::Skippable(128);
/// How long that frame's payload is.
const ORIGIN_LEN: usize = 16;

/// The events of a batch, encoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Payload {
    pub(super) bytes: Vec<u8>,
    pub(super) schema: u16,
    pub(super) events: u32,
}

/// Where in the log an object stands, and what it says of the store around it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Around {
    pub(super) store_id: StoreId,
    /// Its own number, and that of its first event.
    pub(super) number: u64,
    pub(super) first_seq: Seq,
    /// How the object before it ended; all zero before the first.
    pub(super) previous: Previous,
    pub(super) writer_epoch: u64,
    pub(super) created_unix_micros: i64,
}

/// An object that is to get its place.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) bytes: Vec<u8>,
    /// What no other object has, whoever makes it.
    pub(super) origin: [u8; ORIGIN_LEN],
}

/// An object with these batches, or with none.
pub(super) fn encode(around: &Around, payloads: &[Payload]) -> Made {
    let first_seq = around.first_seq;
    let frames: usize = payloads.iter().map(|payload| frame_len(payload.bytes.len())).sum();
    let origin = random_id();
    let whole = DATA_START + frame_len(origin.len()) + frames + FRAME_ALIGN;
    let header = SegmentHeader {
        store_id: around.store_id,
        number: around.number,
        first_seq,
        writer_epoch: around.writer_epoch,
        created_unix_micros: around.created_unix_micros,
        salt: random_salt(),
        capacity: to_u64(whole),
        previous: around.previous,
        is_sealed: false,
    };
    let mut out = header.encode();
    out.reserve_exact(whole.saturating_sub(out.len()));
    let mut seq = first_seq;
    let mut push = |kind, payload: &[u8], schema, events: u32| {
        // Everything before was there when this was: an object is written whole.
        let synced = if kind == FrameKind::Seal { out.len() } else { DATA_START };
        let frame = FrameHeader {
            payload_len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            payload_crc: checksum(payload),
            kind,
            schema,
            first_seq: seq,
            synced_units: u32::try_from(synced / FRAME_ALIGN).unwrap_or(u32::MAX),
            events,
        };
        let end = out.len() + frame_len(payload.len());
        let (bytes, _) = header.space().encode(to_u64(out.len()), &frame);
        out.extend(bytes);
        out.extend(payload);
        out.resize(end, 0);
        seq += u64::from(events);
    };
    push(ORIGIN, &origin, 0, 0);
    for payload in payloads {
        push(FrameKind::Batch, &payload.bytes, payload.schema, payload.events);
    }
    push(FrameKind::Seal, &[], 0, 0);
    Made { bytes: out, origin }
}

/// What is left of an object whose events are elsewhere by now: the name stays taken, and who made it can still be told.
pub(super) fn remains(bytes: &[u8]) -> Option<[u8; ORIGIN_LEN]> {
    let header = SegmentHeader::decode(bytes).ok()?;
    let first = bytes.get(DATA_START..)?;
    let (frame, _) = scan::frame_here(first, header.space(), to_u64(DATA_START)).ok()?;
    let origin = if frame.header.kind == ORIGIN { frame.payload.try_into().ok() } else { None };
    // What a directory's writer made has none, and nobody waits to be told whose it is.
    Some(origin.unwrap_or_default())
}

/// Whether this is all that is left of an object.
pub(super) fn is_emptied(bytes: &[u8]) -> bool {
    bytes.len() == ORIGIN_LEN
}

/// Why an object cannot be what should stand in its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Misfit {
    /// It is of a later format.
    Newer(u16),
    /// It was altered, or is another one's: at this byte, for this reason.
    Damaged(u64, &'static str),
}

/// An object of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'b> {
    pub(super) header: SegmentHeader,
    bytes: &'b [u8],
}

impl<'b> Segment<'b> {
    /// Reads the header of an object in this place of a store's log, behind `previous` if that is known.
    pub(super) fn open(
        bytes: &'b [u8],
        store_id: StoreId,
        place: (u64, Seq),
        previous: Option<&Previous>,
    ) -> Result<Self, Misfit> {
        let header = SegmentHeader::decode(bytes).map_err(|bad| match bad {
            BadHeader::Newer(major) => Misfit::Newer(major),
            BadHeader::Damaged(reason) => Misfit::Damaged(0, reason),
        })?;
        if header.store_id != store_id {
            return Err(Misfit::Damaged(24, "the segment belongs to another store"));
        }
        if (header.number, header.first_seq) != place {
            return Err(Misfit::Damaged(40, "the segment's header belongs to another name"));
        }
        if previous.is_some_and(|previous| *previous != header.previous) {
            return Err(Misfit::Damaged(80, "the segment does not follow the one before it"));
        }
        Ok(Self { header, bytes })
    }

    /// Goes over the batches and says how the segment ends. `seal` is what its successor says of it, if there is one already.
    pub(super) fn walk<E: From<Misfit>>(
        &self,
        seal: Option<&Previous>,
        mut visit: impl FnMut(&Frame<'b>) -> Result<(), E>,
    ) -> Result<Previous, E> {
        let bytes = match seal {
            Some(seal) => self.bytes.get(..to_usize(seal.valid_len)),
            None => Some(self.bytes),
        };
        let cut = || Misfit::Damaged(to_u64(self.bytes.len()), "the segment has been cut");
        let bytes = bytes.ok_or_else(cut)?;
        let space = self.header.space();
        let walk = scan::walk(bytes, space, self.header.first_seq, |frame| {
            if frame.header.events > 0 { visit(frame) } else { Ok(()) }
        })?;
        let end = self.as_previous(&walk);
        match seal {
            Some(seal) if *seal != end => {
                Err(Misfit::Damaged(walk.end_offset, "the segment is not the one that its successor sealed")
                    .into())
            }
            Some(_) => Ok(end),
            None => self.judge(&walk).map(|()| end).map_err(E::from),
        }
    }

    /// Whether it was closed in order: nothing can come to it.
    pub(super) fn is_sealed(&self) -> bool {
        let at = self.bytes.len().saturating_sub(FRAME_ALIGN);
        let last = self.bytes.get(at..).unwrap_or_default();
        let check = self.header.space().decode(to_u64(at), last);
        matches!(check, HeaderCheck::Valid(header, _) if header.kind == FrameKind::Seal)
    }

    fn judge(&self, walk: &Walk) -> Result<(), Misfit> {
        let tail = scan::judge(self.bytes, self.header.space(), walk, 0)
            .map_err(|rot| Misfit::Damaged(rot.offset, rot.reason))?;
        if tail != scan::Tail::Sealed && to_u64(self.bytes.len()) < self.header.capacity {
            return Err(Misfit::Damaged(to_u64(self.bytes.len()), "the segment has been cut"));
        }
        Ok(())
    }

    fn as_previous(&self, walk: &Walk) -> Previous {
        Previous {
            number: self.header.number,
            valid_len: walk.end_offset,
            next_seq: walk.next_seq,
            rollup: walk.rollup,
        }
    }
}
