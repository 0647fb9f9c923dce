//! The mark of a copy: what a store remembers of the one that it was copied from.
//!
//! Owns its five lines, which are the same in a file and in a table.

use crate::model::CopyMark;

const FIRST_LINE: &str = "aral-store copy 1";
/// The longest mark that is read.
pub(crate) const MAX_COPY_MARK: u64 = 1024;

/// The mark's text.
pub(crate) fn encode_copy_mark(mark: &CopyMark) -> String {
    let CopyMark { from, from_seq, to_seq } = mark;
    let text = format!("{FIRST_LINE}\nfrom {from}\nfrom_seq {from_seq}\nto_seq {to_seq}\n");
    let crc = crc32fast::hash(text.as_bytes());
    format!("{text}crc {crc:08x}\n")
}

/// What a text says; `None` if it is not what was written.
pub(crate) fn decode_copy_mark(bytes: &[u8]) -> Option<CopyMark> {
    let mut lines = std::str::from_utf8(bytes).ok()?.lines();
    if lines.next()? != FIRST_LINE {
        return None;
    }
    let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    let (from, from_seq, to_seq) = (field("from")?, field("from_seq")?, field("to_seq")?);
    let mark = CopyMark::new(from, from_seq.parse().ok()?, to_seq.parse().ok()?);
    // What encodes to the same bytes has the right checksum, and nothing else in it.
    (encode_copy_mark(&mark).as_bytes() == bytes).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_and_no_flipped_bit_passes_for_another() {
        for from in ["0123abcd", ""] {
            let mark = CopyMark::new(from, 7, 99);
            let bytes = encode_copy_mark(&mark).into_bytes();
            assert_eq!(decode_copy_mark(&bytes), Some(mark));
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(decode_copy_mark(&flipped), None, "bit {bit}");
            }
        }
    }
}
