//! The law of the archives: whatever the bytes are, little is made of little, and no name leads anywhere.
//!
//! The fuzzer of archives calls it with bytes that it makes up, and a test with those that were saved.

use std::io::Cursor;
use std::path::Component;

use super::zipped::{Telling, document, name, opened};

/// How long a document may be: short, so that a fuzzer gets on.
const LIMIT: u64 = 1 << 20;

/// How much of one is looked at before.
const LOOKED_AT: u64 = 64;

/// The most bytes that DEFLATE makes of one.
const GROWTH: usize = 1_032;

/// The fewest bytes that an entry takes in the list at the end of an archive.
const ENTRY: usize = 46;

/// Reads all documents of an archive, as an import does.
pub(crate) fn hold(data: &[u8]) {
    let Ok(mut archive) = opened(Cursor::new(data)) else { return };
    assert!(archive.len() <= data.len() / ENTRY, "{} entries of {} bytes", archive.len(), data.len());
    let is = |head: &[u8], is_whole: bool| {
        assert!(head.len() <= 64 && (!is_whole || head.len() < 64), "{} bytes", head.len());
        (head.first() != Some(&b'!')).then_some(())
    };
    let telling = Telling { looked_at: LOOKED_AT, is: &is };
    let mut all = 0;
    for number in 0..archive.len() {
        let Ok(Some(inside)) = name(&archive, number) else { continue };
        assert!(inside.file_name().is_some(), "{inside:?}");
        assert!(inside.components().all(|part| matches!(part, Component::Normal(_))), "{inside:?}");
        let mut read = || document(&mut archive, number, &inside, (LIMIT, &telling));
        let (first, again) = (read(), read());
        assert_eq!(first, again, "read again it is the same");
        if let Ok(Some(((), bytes))) = first {
            assert!(bytes.len() <= 1 << 20, "{} bytes", bytes.len());
            all += bytes.len();
        }
    }
    // No byte stands for two entries.
    assert!(all <= data.len().saturating_mul(GROWTH), "{all} bytes of {}", data.len());
}

/// What the fuzzer begins with, and what it has found.
#[cfg(test)]
mod tests {
    #[test]
    fn the_saved_archives_are_read_in_bounds() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/archive");
        #[expect(clippy::disallowed_methods, reason = "the inputs are no part of a store")]
        let saved: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(saved.len() > 3, "{saved:?}");
        for path in saved {
            #[expect(clippy::disallowed_methods, reason = "the inputs are no part of a store")]
            super::hold(&std::fs::read(path).unwrap());
        }
    }
}
