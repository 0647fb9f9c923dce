//! A backup's own two files: the manifest, which says how much of its directory counts, and the list of moments.
//!
//! Owns their lines. The manifest is replaced as a whole, so that a backup goes from one state of the store to the next at
//! one moment; what lies in the directory beyond it is work that was not finished.

use std::fmt::Write as _;

use super::bytes::MAX_NUMBER;
use super::segment::{StoreId, hex_of};
use crate::model::Seq;

const FIRST_LINE: &str = "aral-backup 1";
/// With what a manifest of any version begins.
const ANY_VERSION: &str = "aral-backup ";
/// The longest manifest that is read.
pub(crate) const MAX_MANIFEST: u64 = 1024;

/// How far the copy of a log has come: the segment that it is in, and what of it is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Extent {
    /// The segment's number; 0 if there is none yet.
    pub(crate) segment: u64,
    /// The number of its first event.
    pub(crate) first_seq: Seq,
    /// How many of its bytes count.
    pub(crate) length: u64,
    /// CRC-32 over the header checksums of its frames.
    pub(crate) rollup: u32,
    /// The number after its last event.
    pub(crate) next_seq: Seq,
}

/// What of a backup's directory counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Manifest {
    /// The identity of the store that this is a backup of.
    pub(crate) store_id: StoreId,
    /// The newest checkpoint's epoch; 0 as long as the first backup has not come to its end.
    pub(crate) epoch: u64,
    /// Where the log ends.
    pub(crate) end: Extent,
    /// When the store was in that state, in microseconds.
    pub(crate) at_micros: i64,
}

/// Why bytes are no manifest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BadManifest {
    /// It is one of a later version.
    Newer,
    /// It is damaged, or none.
    Damaged,
}

impl Manifest {
    /// The number of the newest event.
    pub(crate) fn last_seq(&self) -> Seq {
        self.end.next_seq.saturating_sub(1)
    }

    /// When the store had come to its newest event.
    pub(crate) fn reached(&self) -> Reached {
        Reached { at_micros: self.at_micros, last_seq: self.last_seq() }
    }

    /// The file's text.
    pub(crate) fn encode(&self) -> String {
        let mut text = format!("{FIRST_LINE}\nstore {}", hex_of(&self.store_id));
        let Extent { segment, first_seq, length, rollup, next_seq } = self.end;
        // Writing to a string cannot fail.
        write!(text, "\ncheckpoint {}\nsegment {segment}\nfirst_seq {first_seq}\n", self.epoch).ok();
        write!(text, "length {length}\nrollup {rollup}\nnext_seq {next_seq}\nat {}\n", self.at_micros).ok();
        let crc = crc32fast::hash(text.as_bytes());
        writeln!(text, "crc {crc:08x}").ok();
        text
    }

    /// What a file's bytes say.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadManifest> {
        if let Some(manifest) = read(bytes) {
            return Ok(manifest);
        }
        let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let is_newer = first.starts_with(ANY_VERSION.as_bytes()) && first != FIRST_LINE.as_bytes();
        Err(if is_newer { BadManifest::Newer } else { BadManifest::Damaged })
    }
}

fn read(bytes: &[u8]) -> Option<Manifest> {
    let mut lines = std::str::from_utf8(bytes).ok()?.lines();
    if lines.next()? != FIRST_LINE {
        return None;
    }
    let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    let store_id = u128::from_str_radix(field("store")?, 16).ok()?.to_be_bytes();
    let epoch = field("checkpoint")?.parse().ok()?;
    let end = Extent {
        segment: field("segment")?.parse().ok()?,
        first_seq: field("first_seq")?.parse().ok()?,
        length: field("length")?.parse().ok()?,
        rollup: field("rollup")?.parse().ok()?,
        next_seq: field("next_seq")?.parse().ok()?,
    };
    let manifest = Manifest { store_id, epoch, end, at_micros: field("at")?.parse().ok()? };
    let is_possible = [epoch, end.segment, end.first_seq, end.next_seq].iter().all(|n| *n <= MAX_NUMBER);
    // What encodes to the same bytes has the right checksum, and nothing else in it.
    (is_possible && manifest.encode().as_bytes() == bytes).then_some(manifest)
}

/// That the store had come to an event by some time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reached {
    pub(crate) at_micros: i64,
    pub(crate) last_seq: Seq,
}

/// The length of a moment's line.
pub(crate) const MOMENT_LEN: usize = 43;

impl Reached {
    /// Its line.
    pub(crate) fn encode(&self) -> String {
        let text = format!("{:016x} {:016x} ", self.at_micros, self.last_seq);
        let crc = crc32fast::hash(text.as_bytes());
        format!("{text}{crc:08x}\n")
    }

    /// What a line says; `None` for one that was not written to its end.
    pub(crate) fn decode(line: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(line).ok()?;
        let mut words = text.split(' ');
        let mut number = || u64::from_str_radix(words.next()?, 16).ok();
        let (at, last_seq) = (number()?, number()?);
        let moment = Self { at_micros: i64::from_ne_bytes(at.to_ne_bytes()), last_seq };
        (moment.encode().as_bytes() == line).then_some(moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let end = Extent { segment: 3, first_seq: 40, length: 4256, rollup: 0xfeed_beef, next_seq: 43 };
        Manifest { store_id: *b"0123456789abcdef", epoch: 7, end, at_micros: -5 }
    }

    #[test]
    fn a_manifest_is_read_back_and_no_flipped_bit_passes_for_another() {
        let bytes = manifest().encode().into_bytes();
        assert_eq!(Manifest::decode(&bytes), Ok(manifest()));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::decode(&flipped).is_err(), "bit {bit}");
        }
        assert_eq!(Manifest::decode(&bytes[..bytes.len() - 1]), Err(BadManifest::Damaged));
        assert_eq!(Manifest::decode(b"aral-backup 2\n"), Err(BadManifest::Newer));
    }

    #[test]
    fn a_moment_is_read_back_and_a_cut_one_is_not() {
        for at_micros in [0, -1, i64::MAX, 1_700_000_000_000_000] {
            let moment = Reached { at_micros, last_seq: 12 };
            let line = moment.encode().into_bytes();
            assert_eq!((line.len(), Reached::decode(&line)), (MOMENT_LEN, Some(moment)));
            assert_eq!(Reached::decode(&line[..MOMENT_LEN - 1]), None);
        }
    }
}
