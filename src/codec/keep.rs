//! How much of its history a store keeps, as it is written down.
//!
//! Owns the three lines of the file.

use crate::model::{Keep, whole_seconds};

const FIRST_LINE: &str = "aral-store keep 1";
/// The longest such file that is read.
pub(crate) const MAX_KEEP: u64 = 1024;

/// The file's text.
pub(crate) fn encode_keep(keep: Keep) -> String {
    let choice = match keep {
        Keep::Nothing | Keep::Everything => keep.to_string(),
        Keep::For(span) => format!("{}s", whole_seconds(span)),
        Keep::Bytes(bytes) => format!("{bytes}B"),
        Keep::ForOrBytes(span, bytes) => format!("{}s,{bytes}B", whole_seconds(span)),
    };
    let text = format!("{FIRST_LINE}\nkeep {choice}\n");
    let crc = crc32fast::hash(text.as_bytes());
    format!("{text}crc {crc:08x}\n")
}

/// What a text says; `None` if it is not what was written.
pub(crate) fn decode_keep(bytes: &[u8]) -> Option<Keep> {
    let keep = Keep::parse(std::str::from_utf8(bytes).ok()?.lines().nth(1)?.strip_prefix("keep ")?)?;
    // What encodes to the same bytes has the right checksum, and nothing else in it.
    (encode_keep(keep).as_bytes() == bytes).then_some(keep)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_back_and_no_flipped_bit_passes_for_another() {
        let bytes = encode_keep(Keep::Bytes(300)).into_bytes();
        assert_eq!(decode_keep(&bytes), Some(Keep::Bytes(300)));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode_keep(&flipped), None, "bit {bit}");
        }
    }
}
