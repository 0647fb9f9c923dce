//! The header of a segment: which store, which place in the chain, and how long its predecessor counts.
//!
//! Owns the layout in docs/format.md, section "Segment header". Written once, before the segment gets its
//! name, and never changed; so a segment whose header does not check is corrupt and never merely torn.

use super::bytes::{Fields, MAX_NUMBER, all_zero};
use super::frame::FrameSpace;
use crate::model::Seq;

/// Where the first frame starts: the header has a block of its own.
pub(crate) const DATA_START: usize = 4096;
/// How many bytes of that block are used.
const HEADER_LEN: usize = 128;
/// Borrowed from PNG: a byte with the high bit, a name, both line ends and an end-of-file character, so
/// that every kind of text-mode damage shows.
const MAGIC: [u8; 8] = *b"\x89EVL\r\n\x1a\n";
/// The one major version there is; a higher one is refused.
pub(crate) const FORMAT_MAJOR: u16 = 1;

/// The incompatible feature that a segment's events are sealed.
const SEALED: u32 = 1;

/// A store's random identity, equal in all its files.
pub(crate) type StoreId = [u8; 16];

/// An identity as text: 32 hexadecimal digits.
pub(crate) fn hex_of(store_id: &StoreId) -> String {
    format!("{:032x}", u128::from_be_bytes(*store_id))
}

/// What a segment says of itself and of the one before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentHeader {
    pub(crate) store_id: StoreId,
    /// 1, 2, 3 …; also in the file's name.
    pub(crate) number: u64,
    /// The sequence number of the first event that will be in it; also in the file's name.
    pub(crate) first_seq: Seq,
    /// One more at each opening for writing.
    pub(crate) writer_epoch: u64,
    /// When it was made, for people.
    pub(crate) created_unix_micros: i64,
    /// Random, never 0, new for each segment.
    pub(crate) salt: u32,
    /// How long the file was made: a shorter one that is not sealed has been cut.
    pub(crate) capacity: u64,
    /// How the segment before it ended; all zero if there was none.
    pub(crate) previous: Previous,
    /// Whether its events are sealed.
    pub(crate) is_sealed: bool,
}

/// The seal that a segment puts on its predecessor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Previous {
    pub(crate) number: u64,
    /// How many bytes of it count; what lies beyond is dead.
    pub(crate) valid_len: u64,
    /// The sequence number after its last event.
    pub(crate) next_seq: Seq,
    /// CRC-32 over the header checksums of its frames, in order.
    pub(crate) rollup: u32,
}

/// Why bytes are not a segment's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BadHeader {
    /// It is one of a later format.
    Newer(u16),
    /// It is damaged, or it never was one.
    Damaged(&'static str),
}

impl SegmentHeader {
    /// What the segment's frames are bound to.
    pub(crate) fn space(&self) -> FrameSpace {
        FrameSpace { salt: self.salt, segment: self.number }
    }

    /// The header's whole block.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(DATA_START);
        bytes.extend(MAGIC);
        bytes.extend(FORMAT_MAJOR.to_le_bytes());
        bytes.extend(0_u16.to_le_bytes());
        bytes.extend(128_u32.to_le_bytes());
        bytes.extend(if self.is_sealed { SEALED } else { 0 }.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.store_id);
        for field in [self.number, self.first_seq, self.writer_epoch] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(self.created_unix_micros.to_le_bytes());
        bytes.extend(self.salt.to_le_bytes());
        bytes.extend(4096_u32.to_le_bytes());
        for field in [self.previous.number, self.previous.valid_len, self.previous.next_seq] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(self.previous.rollup.to_le_bytes());
        bytes.extend(self.capacity.to_le_bytes());
        bytes.extend([0; 8]);
        debug_assert_eq!(bytes.len(), HEADER_LEN - 4, "the fields fill the header up to its checksum");
        let crc = crc32fast::hash(&bytes);
        bytes.extend(crc.to_le_bytes());
        bytes.resize(DATA_START, 0);
        bytes
    }

    /// Reads a header block.
    pub(crate) fn decode(block: &[u8]) -> Result<Self, BadHeader> {
        let body_and_crc = block.get(..HEADER_LEN).and_then(|head| head.split_last_chunk::<4>());
        let (Some((body, crc)), Some(rest)) = (body_and_crc, block.get(HEADER_LEN..DATA_START)) else {
            return Err(BadHeader::Damaged("shorter than a segment header"));
        };
        let mut fields = Fields(body);
        if fields.take(8) != Some(&MAGIC[..]) {
            return Err(BadHeader::Damaged("no segment header: the magic bytes are wrong"));
        }
        if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
            return Err(BadHeader::Damaged("the segment header's checksum is wrong"));
        }
        let header = Self::parse(&mut fields)?;
        if !all_zero(rest) {
            return Err(BadHeader::Damaged("the segment header's unused bytes are not zero"));
        }
        Ok(header)
    }

    fn parse(fields: &mut Fields<'_>) -> Result<Self, BadHeader> {
        const SHORT: BadHeader = BadHeader::Damaged("shorter than a segment header");
        let major = fields.u16().ok_or(SHORT)?;
        let _minor = fields.u16().ok_or(SHORT)?;
        let header_len = fields.u32().ok_or(SHORT)?;
        let incompatible_flags = fields.u32().ok_or(SHORT)?;
        let _compatible_flags = fields.u32().ok_or(SHORT)?;
        if major != FORMAT_MAJOR || incompatible_flags & !SEALED != 0 || header_len != 128 {
            return Err(BadHeader::Newer(major));
        }
        let mut parse = || {
            let header = Self {
                store_id: fields.id()?,
                number: fields.u64()?,
                first_seq: fields.u64()?,
                writer_epoch: fields.u64()?,
                created_unix_micros: fields.i64()?,
                salt: fields.u32()?,
                capacity: 0,
                previous: Previous::default(),
                is_sealed: incompatible_flags & SEALED != 0,
            };
            let _data_start = fields.u32()?;
            let previous = Previous {
                number: fields.u64()?,
                valid_len: fields.u64()?,
                next_seq: fields.u64()?,
                rollup: fields.u32()?,
            };
            Some(Self { previous, capacity: fields.u64()?, ..header })
        };
        let header = parse().ok_or(SHORT)?;
        let previous = &header.previous;
        let numbers =
            [header.number, header.first_seq, header.writer_epoch, previous.number, previous.next_seq];
        if numbers.into_iter().any(|number| number > MAX_NUMBER) {
            return Err(BadHeader::Damaged("a number in the segment header is impossible"));
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            store_id: *b"0123456789abcdef",
            number: 3,
            first_seq: 77,
            writer_epoch: 2,
            created_unix_micros: 1_700_000_000_000_000,
            salt: 9,
            capacity: 8192,
            previous: Previous { number: 2, valid_len: 8192, next_seq: 77, rollup: 5 },
            is_sealed: false,
        }
    }

    #[test]
    fn every_flipped_bit_of_a_header_block_is_seen() {
        let block = header().encode();
        assert_eq!(SegmentHeader::decode(&block), Ok(header()));
        for bit in 0..block.len() * 8 {
            let mut damaged = block.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&damaged).is_err(), "bit {bit}");
        }
        assert!(SegmentHeader::decode(&block[..4095]).is_err());
    }

    #[test]
    fn a_later_format_is_told_from_damage() {
        let mut block = header().encode();
        block[8] = 2;
        let crc = crc32fast::hash(&block[..124]);
        block[124..128].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&block), Err(BadHeader::Newer(2)));
    }
}
