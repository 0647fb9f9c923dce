//! Little-endian fields in a row.
//!
//! Owns the reading and writing of fixed-width integers, and the checksum over what is in a row. Knows no format.

use std::sync::LazyLock;

/// The highest number that a sequence, a segment or an epoch can have. Counting up to it takes longer than any
/// disk lasts; a higher one in a file is damage, and would overflow where one is added to it.
pub(crate) const MAX_NUMBER: u64 = 1 << 62;

/// From how many bytes on it is asked whether they can be had: what is less is rarely refused, and asked for too often.
const LARGE: usize = 1 << 20;

/// Whether there is memory for so many bytes, which are about to be asked for in a way that has no answer to a no.
pub(crate) fn has_room(length: usize) -> bool {
    if length < LARGE {
        return true;
    }
    let mut room: Vec<u8> = Vec::new();
    let has = room.try_reserve_exact(length).is_ok();
    // Memory that nobody looks at would not be asked for.
    std::hint::black_box(&room);
    has
}

/// Takes fields off the front of some bytes; `None` once they are used up.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    /// The next `count` bytes.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    #[inline]
    pub(crate) fn id(&mut self) -> Option<[u8; 16]> {
        self.array()
    }
}

/// Puts fields in a row into some bytes; one that does not fit is left out.
pub(crate) struct Blank<'a>(pub(crate) &'a mut [u8]);

impl Blank<'_> {
    pub(crate) fn put<const N: usize>(&mut self, field: [u8; N]) {
        if let Some((head, rest)) = std::mem::take(&mut self.0).split_first_chunk_mut() {
            *head = field;
            self.0 = rest;
        }
    }
}

/// A checksum that has not begun. Making one asks the processor what it can do, which for a short text is a good part
/// of the work.
static UNBEGUN: LazyLock<crc32fast::Hasher> = LazyLock::new(crc32fast::Hasher::new);

/// The CRC-32 of bytes, for what has one made for each record.
#[inline]
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = UNBEGUN.clone();
    hasher.update(bytes);
    hasher.finalize()
}

/// The number of a length that fits in memory. The formats' limits keep every length below 2^32.
pub(crate) fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A length from a file as an index into memory; one that does not fit points past every slice.
pub(crate) fn to_usize(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// Whether all bytes are zero.
pub(crate) fn all_zero(bytes: &[u8]) -> bool {
    let (chunks, rest) = bytes.as_chunks::<16>();
    chunks.iter().all(|chunk| u128::from_le_bytes(*chunk) == 0) && rest.iter().all(|byte| *byte == 0)
}

/// One past the last byte that is not zero; 0 if all are.
pub(crate) fn trimmed_len(bytes: &[u8]) -> usize {
    let mut end = bytes.len();
    while end > 4096 && bytes.get(end - 4096..end).is_some_and(all_zero) {
        end -= 4096;
    }
    bytes.get(..end).and_then(|head| head.iter().rposition(|byte| *byte != 0)).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_begins_anew_each_time() {
        for bytes in [&b"123456789"[..], b"", b"123456789"] {
            assert_eq!(checksum(bytes), if bytes.is_empty() { 0 } else { 0xcbf4_3926 });
        }
    }

    #[test]
    fn the_end_of_what_is_not_zero_is_found_at_every_distance() {
        for length in [0, 1, 31, 4095, 4096, 4097, 9000] {
            for at in [0, 1, 4095, 4096, 8999] {
                let mut bytes = vec![0; length];
                let expected = bytes.get_mut(at).map_or(0, |byte| {
                    *byte = 1;
                    at + 1
                });
                assert_eq!(trimmed_len(&bytes), expected, "{length} {at}");
                assert_eq!(all_zero(&bytes), expected == 0);
            }
        }
    }
}
