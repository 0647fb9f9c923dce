//! The cursor of a consumer, as a directory keeps it.
//!
//! Owns the six lines of the file, specified in docs/format.md, section "Consumers".

use super::segment::{StoreId, hex_of};
use crate::model::ConsumerCursor;

const FIRST_LINE: &str = "aral-store consumer 1";
/// The longest such file that is read.
pub(crate) const MAX_CURSOR: u64 = 1024;

/// What the file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CursorFile {
    /// The store whose events are counted.
    pub(crate) store: String,
    /// What the newest of those who read as this consumer is known by.
    pub(crate) holder: String,
    pub(crate) cursor: ConsumerCursor,
}

impl CursorFile {
    pub(crate) fn new(store_id: &StoreId, holder: &[u8; 16], cursor: ConsumerCursor) -> Self {
        Self { store: hex_of(store_id), holder: hex_of(holder), cursor }
    }
}

/// The file's text.
pub(crate) fn encode_cursor(file: &CursorFile) -> String {
    let CursorFile { store, holder, cursor: ConsumerCursor { acknowledged, event } } = file;
    let event = event.map_or_else(|| "-".to_owned(), |(schema, crc)| format!("{schema} {crc:08x}"));
    let text =
        format!("{FIRST_LINE}\nstore {store}\nholder {holder}\nacknowledged {acknowledged}\nevent {event}\n");
    let crc = crc32fast::hash(text.as_bytes());
    format!("{text}crc {crc:08x}\n")
}

/// What a text says; `None` if it is not what was written.
pub(crate) fn decode_cursor(bytes: &[u8]) -> Option<CursorFile> {
    let mut lines = std::str::from_utf8(bytes).ok()?.lines();
    if lines.next()? != FIRST_LINE {
        return None;
    }
    let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    let (store, holder) = (field("store")?.to_owned(), field("holder")?.to_owned());
    let (acknowledged, event) = (field("acknowledged")?.parse().ok()?, field("event")?);
    let event = match event.split_once(' ') {
        Some((schema, crc)) => Some((schema.parse().ok()?, u32::from_str_radix(crc, 16).ok()?)),
        None => None,
    };
    let file = CursorFile { store, holder, cursor: ConsumerCursor::new(acknowledged, event) };
    // What encodes to the same bytes has the right checksum, and nothing else in it.
    (encode_cursor(&file).as_bytes() == bytes).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_back_and_no_flipped_bit_passes_for_another() {
        for event in [None, Some((4, 0x00c0_ffee))] {
            let file = CursorFile::new(&[7; 16], &[9; 16], ConsumerCursor::new(300, event));
            let bytes = encode_cursor(&file).into_bytes();
            assert_eq!(decode_cursor(&bytes), Some(file));
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(decode_cursor(&flipped), None, "bit {bit}");
            }
        }
    }
}
