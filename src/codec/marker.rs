//! The marker: the file beside the JSON files that says that the log holds more than they do.
//!
//! Owns its five lines. What `log/` holds cannot say that `log/` itself is gone, or another store's, or an older
//! copy; a file outside of it can.

use std::fmt::Write as _;

use super::segment::{StoreId, hex_of};

const FIRST_LINE: &str = "aral-store 1";
/// The longest marker that is read.
pub(crate) const MAX_MARKER: u64 = 1024;

/// What is known, outside of the log, of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Marker {
    /// The store's identity.
    pub(crate) store_id: StoreId,
    /// The newest checkpoint's epoch when this was written.
    pub(crate) checkpoint_epoch: u64,
    /// The newest event when this was written.
    pub(crate) last_seq: u64,
}

impl Marker {
    /// The file's text.
    pub(crate) fn encode(&self) -> String {
        let mut text = format!("{FIRST_LINE}\nstore {}", hex_of(&self.store_id));
        // Writing to a string cannot fail.
        write!(text, "\ncheckpoint {}\nlast_seq {}\n", self.checkpoint_epoch, self.last_seq).ok();
        let crc = crc32fast::hash(text.as_bytes());
        writeln!(text, "crc {crc:08x}").ok();
        text
    }

    /// What a file's bytes say; `None` if they are not what was written.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(bytes).ok()?.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let store_id = u128::from_str_radix(field("store")?, 16).ok()?.to_be_bytes();
        let checkpoint_epoch = field("checkpoint")?.parse().ok()?;
        let last_seq = field("last_seq")?.parse().ok()?;
        let marker = Self { store_id, checkpoint_epoch, last_seq };
        // What encodes to the same bytes has the right checksum, and nothing else in it.
        (marker.encode().as_bytes() == bytes).then_some(marker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_back_and_no_flipped_bit_passes_for_another() {
        let marker = Marker { store_id: *b"0123456789abcdef", checkpoint_epoch: 7, last_seq: 99 };
        let bytes = marker.encode().into_bytes();
        assert_eq!(Marker::decode(&bytes), Some(marker));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Marker::decode(&flipped), None, "bit {bit}");
        }
        assert_eq!(Marker::decode(&bytes[..bytes.len() - 1]), None);
    }
}
