//! Where a message or an action lies.
//!
//! Owns the 20 bytes per message that the index costs. A position proves its bytes: it carries their
//! checksum, so that whatever is read through it is what was written or found, or an error.

use crate::codec::bytes::checksum;
use crate::codec::frame::MAX_PAYLOAD;
use crate::codec::ids::IdView;
use crate::log::segment::MAX_SEGMENT_FILE;

/// So many bytes at an offset, of a log segment or of the conversation's own snapshot file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Position {
    /// The lower half of the offset: a field of eight bytes would pad every entry of the index.
    offset: u32,
    /// The length, with the offset's upper bits above it.
    len: u32,
    /// The segment's number, or 0 for the snapshot file. Four billion segments are 64 PiB of log.
    segment: u32,
    crc: u32,
}

/// A message or an action in a conversation's list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    position: Position,
    id_hash: u32,
}

/// How many bits the length has. What is longer, or lies further behind, has no position.
const LEN_BITS: u32 = 30;
const LEN_MASK: u32 = (1 << LEN_BITS) - 1;
/// One past the last offset.
const END: u64 = 1 << (64 - LEN_BITS);

const _: () = assert!(size_of::<Entry>() == 20, "the index costs 20 bytes a message");
const _: () =
    assert!(MAX_PAYLOAD >> LEN_BITS == 0 && MAX_SEGMENT_FILE < END, "every event of the log has a position");

impl Position {
    /// In a log segment.
    pub(crate) fn in_segment(segment: u64, offset: u64, bytes: &[u8]) -> Self {
        Self::in_segment_known(segment, offset, bytes.len(), checksum(bytes))
    }

    /// The same of bytes whose checksum is known.
    pub(crate) fn in_segment_known(segment: u64, offset: u64, len: usize, crc: u32) -> Self {
        let segment = u32::try_from(segment).unwrap_or(u32::MAX);
        Self::packed(segment, offset, u32::try_from(len).unwrap_or(u32::MAX), crc)
    }

    /// In the conversation's snapshot file.
    pub(crate) fn in_snapshot(offset: u64, len: u32, crc: u32) -> Self {
        Self::packed(0, offset, len, crc)
    }

    /// What does not fit becomes a position that proves no bytes, so that reading it is an error.
    fn packed(segment: u32, offset: u64, len: u32, crc: u32) -> Self {
        let (offset, len) = (offset.min(END - 1), len.min(LEN_MASK));
        let low = u32::try_from(offset & u64::from(u32::MAX)).unwrap_or_default();
        let high = u32::try_from(offset >> 32).unwrap_or_default();
        Self { offset: low, len: high << LEN_BITS | len, segment, crc }
    }

    /// Where in the file it begins.
    pub(crate) fn offset(&self) -> u64 {
        u64::from(self.len >> LEN_BITS) << 32 | u64::from(self.offset)
    }

    /// The segment that it lies in; `None` for the snapshot file.
    pub(crate) fn segment(&self) -> Option<u64> {
        (self.segment != 0).then_some(u64::from(self.segment))
    }

    /// The length in memory.
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.len & LEN_MASK).unwrap_or(usize::MAX)
    }

    /// The checksum of its bytes.
    pub(crate) fn crc(&self) -> u32 {
        self.crc
    }

    /// Whether these are the bytes.
    pub(crate) fn proves(&self, bytes: &[u8]) -> bool {
        bytes.len() == self.len() && checksum(bytes) == self.crc
    }
}

impl Entry {
    pub(crate) fn new(position: Position, id_hash: u32) -> Self {
        Self { position, id_hash }
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    pub(crate) fn id_hash(&self) -> u32 {
        self.id_hash
    }
}

/// By which an id is looked for before it is compared.
pub(crate) fn id_hash(id: &[u8]) -> u32 {
    hash_of(IdView::Text(id))
}

/// The same of an id as it lies in an event, without making its text: replaying a log asks for each. A UUID has one
/// hash, packed or not.
#[inline]
pub(super) fn hash_of(id: IdView<'_>) -> u32 {
    match id {
        IdView::Uuid(bytes) => bytes.folded(),
        IdView::Text(text) => hash_of_text(text),
    }
}

fn hash_of_text(text: &[u8]) -> u32 {
    match IdView::of(text) {
        IdView::Uuid(bytes) => bytes.folded(),
        IdView::Text(text) => checksum(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_proves_its_bytes_and_keeps_large_offsets() {
        let position = Position::in_segment(7, 0x3_3456_789a, b"bytes");
        assert_eq!((position.offset(), position.segment(), position.len()), (0x3_3456_789a, Some(7), 5));
        assert!(position.proves(b"bytes") && !position.proves(b"bytez") && !position.proves(b"byte"));
        assert_eq!(Position::in_snapshot(1, 2, 3).segment(), None);
    }

    #[test]
    fn an_id_has_one_hash_as_a_text_and_in_an_event() {
        for id in ["4ae7d5a2-0b1f-4c5e-8a3e-000000000001", "c1", ""] {
            assert_eq!(id_hash(id.as_bytes()), hash_of(IdView::of(id.as_bytes())));
            assert_eq!(id_hash(id.as_bytes()), hash_of(IdView::Text(id.as_bytes())));
        }
        assert_ne!(
            id_hash(b"4ae7d5a2-0b1f-4c5e-8a3e-000000000001"),
            id_hash(b"4ae7d5a2-0b1f-4c5e-8a3e-000000000002")
        );
    }

    #[test]
    fn what_does_not_fit_proves_nothing() {
        let crc = crc32fast::hash(b"bytes");
        let longest = Position::in_snapshot(END - 1, LEN_MASK, crc);
        assert_eq!((longest.offset(), longest.len()), (END - 1, (1 << 30) - 1));
        assert_eq!(Position::in_snapshot(END, LEN_MASK, crc), Position::in_snapshot(u64::MAX, u32::MAX, crc));
        assert!(!Position::in_snapshot(u64::MAX, u32::MAX, crc).proves(b"bytes"));
    }
}
