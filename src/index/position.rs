//! Where a message or an action lies.
//!
//! Owns the 24 bytes per message that the index costs. A position proves its bytes: it carries their
//! checksum, so that whatever is read through it is what was written or found, or an error.

/// So many bytes at an offset, of a log segment or of the conversation's own snapshot file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Position {
    /// In two halves, because a field of eight bytes would pad every entry of the index.
    offset: [u32; 2],
    /// The segment's number, or 0 for the snapshot file. Four billion segments are 64 PiB of log.
    segment: u32,
    len: u32,
    crc: u32,
}

/// A message or an action in a conversation's list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    position: Position,
    id_hash: u32,
}

const _: () = assert!(size_of::<Entry>() == 24, "the index costs 24 bytes a message");

impl Position {
    /// In a log segment.
    pub(crate) fn in_segment(segment: u64, offset: u64, bytes: &[u8]) -> Self {
        Self::in_segment_known(segment, offset, bytes.len(), crc32fast::hash(bytes))
    }

    /// The same of bytes whose checksum is known.
    pub(crate) fn in_segment_known(segment: u64, offset: u64, len: usize, crc: u32) -> Self {
        let segment = u32::try_from(segment).unwrap_or(u32::MAX);
        Self { offset: halves(offset), segment, len: u32::try_from(len).unwrap_or(u32::MAX), crc }
    }

    /// In the conversation's snapshot file.
    pub(crate) fn in_snapshot(offset: u64, len: u32, crc: u32) -> Self {
        Self { offset: halves(offset), segment: 0, len, crc }
    }

    /// Where in the file it begins.
    pub(crate) fn offset(&self) -> u64 {
        let [low, high] = self.offset;
        u64::from(high) << 32 | u64::from(low)
    }

    /// The segment that it lies in; `None` for the snapshot file.
    pub(crate) fn segment(&self) -> Option<u64> {
        (self.segment != 0).then_some(u64::from(self.segment))
    }

    /// The length in memory.
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }

    /// The checksum of its bytes.
    pub(crate) fn crc(&self) -> u32 {
        self.crc
    }

    /// Whether these are the bytes.
    pub(crate) fn proves(&self, bytes: &[u8]) -> bool {
        bytes.len() == self.len() && crc32fast::hash(bytes) == self.crc
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

fn halves(offset: u64) -> [u32; 2] {
    [u32::try_from(offset & 0xffff_ffff).unwrap_or_default(), u32::try_from(offset >> 32).unwrap_or_default()]
}

/// By which an id is looked for before it is compared.
pub(crate) fn id_hash(id: &[u8]) -> u32 {
    crc32fast::hash(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_proves_its_bytes_and_keeps_large_offsets() {
        let position = Position::in_segment(7, 0x12_3456_789a, b"bytes");
        assert_eq!((position.offset(), position.segment(), position.len()), (0x12_3456_789a, Some(7), 5));
        assert!(position.proves(b"bytes") && !position.proves(b"bytez") && !position.proves(b"byte"));
        assert_eq!(Position::in_snapshot(1, 2, 3).segment(), None);
    }
}
