//! The frame around a record in the log: 32 bytes that prove themselves and their place.
//!
//! Owns the layout in docs/format.md, section "Frame". A frame starts at a multiple of 32, so that its
//! header never straddles a sector: after a crash a header is there or it is not. Two checksums: the
//! header's covers the segment's salt, the segment's number, the frame's offset and every other field, so a
//! frame is valid in one place only and its length is trusted before it is used; the payload's covers the
//! payload. Knows nothing of payloads.

use super::bytes::{Blank, Fields, all_zero, checksum};
use crate::model::Seq;

/// The length of a frame's header, and what every frame's start is a multiple of.
pub(crate) const FRAME_ALIGN: usize = 32;

/// The longest payload: a batch with some of the longest texts. Readers refuse more, so writers do too.
pub(crate) const MAX_PAYLOAD: usize = 256 << 20;

/// What a frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FrameKind {
    /// One or more events that are all there or none.
    Batch,
    /// The end of a segment that was closed in order: nothing follows, and everything before is durable.
    Seal,
    /// Something a later version added that this one may pass over; it holds no events.
    Skippable(u8),
}

impl FrameKind {
    fn code(self) -> u8 {
        match self {
            Self::Batch => 1,
            Self::Seal => 2,
            Self::Skippable(code) => code,
        }
    }

    fn of_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Batch),
            2 => Some(Self::Seal),
            128.. => Some(Self::Skippable(code)),
            _ => None,
        }
    }
}

/// A frame's header without its own checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FrameHeader {
    pub(crate) payload_len: u32,
    pub(crate) payload_crc: u32,
    pub(crate) kind: FrameKind,
    /// The version of the payload's encoding; 0 where there is none.
    pub(crate) schema: u16,
    /// The sequence number of the first event in it, or of the next one if it holds none.
    pub(crate) first_seq: Seq,
    /// How much of this segment a sync had covered when the frame was made, in units of 32 bytes.
    pub(crate) synced_units: u32,
    /// How many events it holds.
    pub(crate) events: u32,
}

/// What binds a frame to where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FrameSpace {
    /// The segment's random number.
    pub(crate) salt: u32,
    /// The segment's number.
    pub(crate) segment: u64,
}

/// What 32 bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HeaderCheck {
    /// All zero: never written.
    Empty,
    /// Neither zero nor a header that belongs here.
    Invalid,
    /// A header that belongs here, with its checksum.
    Valid(FrameHeader, u32),
}

impl FrameSpace {
    #[inline]
    fn header_crc(self, offset: u64, rest: &[u8; FRAME_ALIGN - 4]) -> u32 {
        let mut place = [0; 48];
        let mut fields = Blank(&mut place);
        fields.put(self.salt.to_le_bytes());
        fields.put(self.segment.to_le_bytes());
        fields.put(offset.to_le_bytes());
        fields.put(*rest);
        checksum(&place)
    }

    /// The space in which 32 bytes would be a header at an offset of a segment: CRC-32 can be run backwards,
    /// so a header's checksum gives away the salt that it was made with. Proves nothing by itself: whatever
    /// the bytes, there is one such space; what shows that it is the right one is the payload's checksum.
    pub(crate) fn solved(segment: u64, offset: u64, bytes: &[u8]) -> Option<Self> {
        let (&crc, body) = bytes.get(..FRAME_ALIGN)?.split_first_chunk::<4>()?;
        let place = segment.to_le_bytes().into_iter().chain(offset.to_le_bytes());
        let behind_the_salt = place.chain(body.iter().copied()).collect::<Vec<u8>>();
        let mut register = !u32::from_le_bytes(crc);
        for byte in behind_the_salt.into_iter().rev() {
            register = carry_back(register) ^ u32::from(byte);
        }
        // Four bytes act on the register as if they had been in it from the start.
        let salt = !(0..4).fold(register, |register, _| carry_back(register));
        (salt != 0).then_some(Self { salt, segment })
    }

    /// The 32 bytes of a header at an offset, and the checksum in them.
    pub(crate) fn encode(self, offset: u64, header: &FrameHeader) -> ([u8; FRAME_ALIGN], u32) {
        let mut body = [0; FRAME_ALIGN - 4];
        let mut fields = Blank(&mut body);
        fields.put(header.payload_len.to_le_bytes());
        fields.put(header.payload_crc.to_le_bytes());
        fields.put([header.kind.code(), 0]);
        fields.put(header.schema.to_le_bytes());
        fields.put(header.first_seq.to_le_bytes());
        fields.put(header.synced_units.to_le_bytes());
        fields.put(header.events.to_le_bytes());
        let crc = self.header_crc(offset, &body);
        let mut bytes = [0; FRAME_ALIGN];
        let mut fields = Blank(&mut bytes);
        fields.put(crc.to_le_bytes());
        fields.put(body);
        (bytes, crc)
    }

    /// Judges the 32 bytes at an offset.
    #[inline]
    pub(crate) fn decode(self, offset: u64, bytes: &[u8]) -> HeaderCheck {
        let parts = bytes.get(..FRAME_ALIGN).and_then(|header| header.split_first_chunk::<4>());
        let Some((&crc_bytes, Ok(body))) = parts.map(|(crc, body)| (crc, body.try_into())) else {
            return HeaderCheck::Invalid;
        };
        if all_zero(bytes.get(..FRAME_ALIGN).unwrap_or_default()) {
            return HeaderCheck::Empty;
        }
        let crc = u32::from_le_bytes(crc_bytes);
        if crc != self.header_crc(offset, body) {
            return HeaderCheck::Invalid;
        }
        parse(body).map_or(HeaderCheck::Invalid, |header| HeaderCheck::Valid(header, crc))
    }
}

/// Undoes eight steps of the checksum's shift register.
fn carry_back(mut register: u32) -> u32 {
    for _ in 0..8 {
        register = if register >> 31 == 1 { (register ^ 0xedb8_8320) << 1 | 1 } else { register << 1 };
    }
    register
}

#[inline]
fn parse(body: &[u8]) -> Option<FrameHeader> {
    let mut fields = Fields(body);
    let payload_len = fields.u32()?;
    let payload_crc = fields.u32()?;
    let kind = FrameKind::of_code(fields.u8()?)?;
    let flags = fields.u8()?;
    let schema = fields.u16()?;
    let first_seq = fields.u64()?;
    let synced_units = fields.u32()?;
    let events = fields.u32()?;
    let sound = flags == 0
        && usize::try_from(payload_len).is_ok_and(|length| length <= MAX_PAYLOAD)
        && (kind == FrameKind::Batch) == (events > 0);
    sound.then_some(FrameHeader { payload_len, payload_crc, kind, schema, first_seq, synced_units, events })
}

/// The bytes that a frame with this payload takes, padding included.
pub(crate) fn frame_len(payload_len: usize) -> usize {
    FRAME_ALIGN + payload_len.next_multiple_of(FRAME_ALIGN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: FrameSpace = FrameSpace { salt: 0x1234_5678, segment: 7 };

    fn header() -> FrameHeader {
        FrameHeader {
            payload_len: 5,
            payload_crc: crc32fast::hash(b"hello"),
            kind: FrameKind::Batch,
            schema: 1,
            first_seq: 42,
            synced_units: 128,
            events: 1,
        }
    }

    #[test]
    fn a_header_is_valid_in_its_own_place_only() {
        let (bytes, crc) = SPACE.encode(4096, &header());
        assert_eq!(SPACE.decode(4096, &bytes), HeaderCheck::Valid(header(), crc));
        assert_eq!(SPACE.decode(4128, &bytes), HeaderCheck::Invalid);
        assert_eq!(FrameSpace { segment: 8, ..SPACE }.decode(4096, &bytes), HeaderCheck::Invalid);
        assert_eq!(FrameSpace { salt: 1, ..SPACE }.decode(4096, &bytes), HeaderCheck::Invalid);
        assert_eq!(SPACE.decode(4096, &[0; 32]), HeaderCheck::Empty);
        assert_eq!(SPACE.decode(4096, &bytes[..31]), HeaderCheck::Invalid);
    }

    #[test]
    fn a_header_gives_away_its_salt() {
        for (offset, space) in [(4096, SPACE), (1 << 33, FrameSpace { salt: 1, segment: u64::MAX })] {
            let (bytes, _) = space.encode(offset, &header());
            assert_eq!(FrameSpace::solved(space.segment, offset, &bytes), Some(space));
        }
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_seen() {
        let (bytes, _) = SPACE.encode(4096, &header());
        for bit in 0..256 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SPACE.decode(4096, &damaged), HeaderCheck::Invalid, "bit {bit}");
        }
    }

    #[test]
    fn a_header_that_claims_more_than_the_limit_is_refused() {
        let over = u32::try_from(MAX_PAYLOAD).unwrap() + 1;
        let (bytes, _) = SPACE.encode(0, &FrameHeader { payload_len: over, ..header() });
        assert_eq!(SPACE.decode(0, &bytes), HeaderCheck::Invalid);
    }

    #[test]
    fn frames_keep_to_multiples_of_32() {
        assert_eq!([0, 1, 32, 33].map(frame_len), [32, 64, 64, 96]);
    }
}
