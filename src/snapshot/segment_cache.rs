//! The segments that one reading takes records from.
//!
//! Owns the way from a position in the log to the bytes there, made short for many of one conversation: they
//! mostly lie in the same segment, and rarely side by side. Does not know what is in them, nor whether it is
//! what was written.

use std::cell::Cell;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::index::{Entry, Position};
use crate::log::opened::not_opened;
use crate::log::segment::Segment;

/// How many bytes a processor fetches from memory at a time, on most.
const LINE: usize = 64;

/// How much of a record is fetched ahead. Further on a processor has seen by itself where this leads.
const AHEAD: usize = 1024;

/// How many records are fetched ahead at a time: enough to keep the memory busy, and few enough to be still at
/// hand when they are read.
pub(crate) const RUN: usize = 16;

/// The segments that there are, oldest first.
#[derive(Debug)]
pub(crate) struct SegmentCache<'s> {
    segments: &'s [Arc<Segment>],
    /// The segment that was used last.
    held: Cell<Option<Held<'s>>>,
}

#[derive(Clone, Copy, Debug)]
struct Held<'s> {
    number: u64,
    segment: &'s Segment,
    mapped: Option<&'s [u8]>,
}

impl<'s> SegmentCache<'s> {
    pub(crate) fn new(segments: &'s [Arc<Segment>]) -> Self {
        Self { segments, held: Cell::new(None) }
    }

    /// The segment of a position.
    #[inline]
    fn find(&self, position: Position) -> Option<Held<'s>> {
        let number = position.segment().unwrap_or_default();
        self.held.get().filter(|held| held.number == number).or_else(|| self.take_down(number))
    }

    fn take_down(&self, number: u64) -> Option<Held<'s>> {
        let at = self.segments.binary_search_by_key(&number, |segment| segment.header.number).ok()?;
        let segment = self.segments.get(at)?;
        // What is sealed is read and opened.
        let mapped = if segment.seal().is_some() { None } else { segment.mapped() };
        let held = Held { number, segment, mapped };
        self.held.set(Some(held));
        Some(held)
    }

    /// Calls with the bytes at a position, and with the segment that they are in.
    #[inline]
    pub(crate) fn with_bytes<T>(
        &self,
        position: Position,
        take: impl FnOnce(&[u8], &Segment) -> Result<T>,
    ) -> Result<T> {
        let Some(held) = self.find(position) else { return Err(gone(position)) };
        match held.bytes(position) {
            Some(bytes) => take(bytes, held.segment),
            None => take(&held.read(position)?, held.segment),
        }
    }

    /// Has the processor fetch what these entries point to, all of it at once. Records of a conversation lie
    /// scattered over the log, and each that is read without this waits for the memory anew.
    pub(crate) fn fetch(&self, entries: &[Entry]) {
        let mut any = 0;
        for entry in entries {
            let bytes = self.find(entry.position()).and_then(|held| held.bytes(entry.position()));
            let ahead = bytes.and_then(|bytes| bytes.get(..bytes.len().min(AHEAD))).unwrap_or_default();
            any |= ahead.iter().step_by(LINE).fold(0, |any, byte| any | byte);
        }
        // What nobody asks for would not be read.
        std::hint::black_box(any);
    }
}

impl<'s> Held<'s> {
    #[inline]
    fn bytes(&self, position: Position) -> Option<&'s [u8]> {
        let start = usize::try_from(position.offset()).ok()?;
        self.mapped?.get(start..start.checked_add(position.len())?)
    }
}

impl Held<'_> {
    /// The bytes at a position from the file; of an event that was sealed those that it was before.
    fn read(&self, position: Position) -> Result<Vec<u8>> {
        let bytes = self.segment.read(position.offset(), position.len())?;
        let Some(seal) = self.segment.seal() else { return Ok(bytes) };
        if !position.proves(&bytes) {
            let reason = "the record has changed since it was written";
            return Err(Error::corrupt(&self.segment.path, position.offset(), reason));
        }
        let mut plain = Vec::new();
        let read = seal.open(&bytes, &mut plain);
        read.map_err(|error| not_opened(&self.segment.path, position.offset(), error)).map(|_| plain)
    }
}

#[cold]
fn gone(position: Position) -> Error {
    let number = position.segment().unwrap_or_default();
    Error::new(ErrorKind::Failed, format!("segment {number} is gone from under a position"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::segment::{DATA_START, Previous, SegmentHeader};
    use crate::vfs::{self, OsVfs};

    fn segment(dir: &std::path::Path, number: u64, bytes: &[u8]) -> Arc<Segment> {
        let header = SegmentHeader {
            store_id: [7; 16],
            number,
            first_seq: number,
            writer_epoch: 1,
            capacity: 8192,
            salt: 5,
            created_unix_micros: 0,
            previous: Previous::default(),
            is_sealed: false,
        };
        let segment = Segment::create(&OsVfs, dir, header, (header.capacity, &[])).unwrap();
        vfs::write_all_at(&*segment.file, bytes, 4096).unwrap();
        Arc::new(segment)
    }

    #[test]
    fn each_position_gives_the_bytes_of_its_own_segment_fetched_or_not() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(DATA_START, 4096, "what is written below is where records begin");
        let texts = [b"first", b"other", b"third"];
        let segments = [(3, texts[0]), (4, texts[1]), (7, texts[2])]
            .map(|(number, text)| segment(home.path(), number, text));
        // One of them is read and not mapped.
        segments[0].map();
        segments[2].map();
        let segment_cache = SegmentCache::new(&segments);
        let entries = [3, 4, 7].map(|number| Entry::new(Position::in_segment(number, 4096, b"12345"), 0));
        for order in [[0, 1, 2], [2, 1, 0], [1, 1, 2], [0, 0, 1]] {
            segment_cache.fetch(&order.map(|at: usize| entries[at]));
            for at in order {
                let read = segment_cache.with_bytes(entries[at].position(), |bytes, segment| {
                    Ok((bytes.to_vec(), segment.header.number))
                });
                assert_eq!(read.unwrap(), (texts[at].to_vec(), segments[at].header.number));
            }
        }
        // Of a segment that is not there, behind the end of one that is, and nowhere.
        for position in [
            Position::in_segment(5, 4096, b"12345"),
            Position::in_segment(3, 8190, b"12345"),
            Position::in_segment(7, u64::MAX, b"12345"),
        ] {
            segment_cache.fetch(&[Entry::new(position, 0), entries[0]]);
            assert!(segment_cache.with_bytes(position, |_, _| Ok(())).is_err(), "{position:?}");
        }
    }
}
