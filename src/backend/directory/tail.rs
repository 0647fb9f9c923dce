//! Following the log from file to file.
//!
//! Owns a place in the log and the way onward from it: through the frames of a segment, to the segment that
//! follows, and over what a compaction has dropped, which is said and never passed over in silence. Takes
//! no lock, writes nothing, and never maps a segment that its writer may still cut shorter. It needs no
//! verdict on a tail: what does not check yet is looked at again, and the next segment says what counts.

use std::collections::VecDeque;
use std::sync::Arc;

use super::checkpoint_file::newest_checkpoint;
use super::events::read_frame;
use super::reads::ReadState;
use super::remedy::of_the_log;
use super::steady::steady;
use crate::codec::bytes::{to_u64, to_usize};
use crate::codec::frame::{FRAME_ALIGN, HeaderCheck, frame_len};
use crate::codec::segment::{DATA_START, StoreId};
use crate::error::{Error, ErrorKind, Result};
use crate::log::inventory::Inventory;
use crate::log::scan::{Frame, frame_here};
use crate::log::segment::Segment;
use crate::model::{Logged, Seq};
use crate::snapshot::layout::{self, Layout};
use crate::vfs::{self, Vfs};

/// How much of a segment is read at once; a longer frame is read whole.
const CHUNK: usize = 256 << 10;

/// A place in the log.
#[derive(Debug)]
pub(crate) struct Tail {
    vfs: Arc<dyn Vfs>,
    layout: Layout,
    /// In the writing process: what bounds the events to those that its readers see.
    visible: Option<Arc<ReadState>>,
    /// Whether what is kept for consumers alone is read too.
    reads_unread: bool,
    /// The first event that has not been given yet.
    next: Seq,
    at: Option<At>,
    store_id: Option<StoreId>,
    ready: VecDeque<Logged>,
}

/// A place in a segment.
#[derive(Debug)]
struct At {
    segment: Arc<Segment>,
    offset: u64,
    next_seq: Seq,
    /// Whether it is known that the segment will not grow.
    has_ended: bool,
}

/// What a read from the place gave.
enum Read {
    Frames,
    /// There is a frame that the readers of this process do not see yet.
    NotYet,
    Nothing,
}

impl Tail {
    pub(crate) fn new(reads: &ReadState, from: Seq, visible: Option<Arc<ReadState>>) -> Self {
        let (vfs, layout) = (Arc::clone(&reads.vfs), reads.layout.clone());
        let (next, ready) = (from.max(1), VecDeque::new());
        Self { vfs, layout, visible, reads_unread: false, next, at: None, store_id: None, ready }
    }

    /// The same for a consumer, for whom segments are kept that a checkpoint covers.
    pub(crate) fn of_consumer(self) -> Self {
        Self { reads_unread: true, ..self }
    }

    /// What comes next; `None` if there is nothing more for now.
    pub(crate) fn next(&mut self) -> Result<Option<Logged>> {
        self.advance().map_err(|error| of_the_log(&self.layout, error))
    }

    fn advance(&mut self) -> Result<Option<Logged>> {
        loop {
            if let Some(logged) = self.ready.pop_front() {
                return Ok(Some(logged));
            }
            let Some(at) = &mut self.at else {
                if self.begin()? {
                    continue;
                }
                return Ok(None);
            };
            let visible = self.visible.as_ref().map(|reads| reads.index().next_seq());
            match at.read(&mut self.next, visible, &mut self.ready)? {
                Read::Frames => {}
                Read::NotYet => return Ok(None),
                Read::Nothing => {
                    if !self.go_on()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Finds the segment to begin with; says what is compacted away. `false` if there is no log yet.
    fn begin(&mut self) -> Result<bool> {
        let (vfs, log) = (&*self.vfs, self.layout.log());
        if layout::probe(vfs, &log)?.is_none() {
            return Ok(false);
        }
        let (next, reads_unread) = (self.next, self.reads_unread);
        let found = steady(|| {
            let inventory = Inventory::take(vfs, &log)?;
            let Some(checkpoint) = newest_checkpoint(vfs, &inventory, &log)? else { return Ok(None) };
            let head = *checkpoint.head();
            let mut kept = inventory.readable(head.first_segment);
            kept.retain(|(number, ..)| reads_unread || *number >= head.first_segment);
            let oldest = kept.first().map_or(head.covered_seq + 1, |(_, oldest, _)| *oldest);
            let first = next.max(oldest);
            let Some((number, first_seq, path)) =
                kept.iter().rev().find(|(_, first_seq, _)| *first_seq <= first)
            else {
                return Ok(Some((head, oldest, None)));
            };
            let segment = Segment::open(vfs, path, (*number, *first_seq))?;
            Ok(Some((head, oldest, Some(segment))))
        })?;
        let Some((head, oldest, segment)) = found else { return Ok(false) };
        if *self.store_id.get_or_insert(head.store_id) != head.store_id {
            return Err(Error::corrupt(&log, 0, "another store has taken the place of the one followed"));
        }
        let is_gap = self.next < oldest;
        if is_gap {
            self.ready.push_back(Logged::Compacted { first: self.next, last: oldest - 1 });
            self.next = oldest;
        }
        self.at = segment.map(At::start_of);
        Ok(is_gap || self.at.is_some())
    }

    /// Goes over to the segment that follows; `false` if there is none yet.
    fn go_on(&mut self) -> Result<bool> {
        let reads_unread = self.reads_unread;
        let Some(at) = &mut self.at else { return Ok(false) };
        let (vfs, log) = (&*self.vfs, self.layout.log());
        let number = at.segment.header.number;
        let found = steady(|| {
            let inventory = Inventory::take(vfs, &log)?;
            let after = inventory.segments.iter().find(|(other, ..)| *other == number + 1);
            let after = after.or_else(|| inventory.find(number + 1).filter(|_| reads_unread));
            let segment = after.map(|(n, first_seq, path)| Segment::open(vfs, path, (*n, *first_seq)));
            let is_dropped = match (&segment, newest_checkpoint(vfs, &inventory, &log)?) {
                (None, Some(checkpoint)) => checkpoint.head().first_segment > number,
                (Some(_), _) | (None, None) => false,
            };
            Ok((segment.transpose()?, is_dropped))
        });
        let (successor, is_dropped) = found?;
        if successor.is_none() && !is_dropped {
            return Ok(false);
        }
        if !at.has_ended {
            // What was written between the last read and this look must not be missed.
            at.has_ended = true;
            return Ok(true);
        }
        match successor {
            Some(successor) => {
                at.must_end_as(&successor)?;
                self.at = Some(At::start_of(successor));
            }
            None => self.at = None,
        }
        Ok(true)
    }
}

impl At {
    fn start_of(segment: Segment) -> Self {
        let next_seq = segment.header.first_seq;
        Self { segment: Arc::new(segment), offset: to_u64(DATA_START), next_seq, has_ended: false }
    }

    /// Holds where reading ended against where the next segment says that this one ends.
    fn must_end_as(&self, successor: &Segment) -> Result<()> {
        let seal = &successor.header.previous;
        let (own, path) = (&self.segment.header, &self.segment.path);
        if seal.number != own.number || successor.header.store_id != own.store_id {
            return Err(Error::corrupt(&successor.path, 80, "the segment does not follow the one before it"));
        }
        if self.offset < seal.valid_len || self.next_seq < seal.next_seq {
            return Err(Error::corrupt(path, self.offset, "durable bytes are gone or damaged"));
        }
        if self.next_seq > seal.next_seq {
            let reason = format!(
                "events {} to {} were never durable, and the log has gone on without them",
                seal.next_seq,
                self.next_seq - 1
            );
            return Err(Error::new(ErrorKind::Conflict, reason).at(path, Some(seal.valid_len)));
        }
        Ok(())
    }

    /// Reads some frames and goes behind them.
    fn read(&mut self, next: &mut Seq, visible: Option<Seq>, ready: &mut VecDeque<Logged>) -> Result<Read> {
        let space = self.segment.header.space();
        let bytes = bytes_from(&self.segment, self.offset, CHUNK)?;
        let mut rest = bytes.as_slice();
        let mut read = Read::Nothing;
        while let Ok((frame, _)) = frame_here(rest, space, self.offset) {
            let end = frame.header.first_seq.saturating_add(u64::from(frame.header.events));
            if frame.header.first_seq != self.next_seq {
                break;
            }
            if visible.is_some_and(|visible| end > visible) {
                return Ok(if matches!(read, Read::Nothing) { Read::NotYet } else { read });
            }
            if frame.header.events > 0 && end > *next {
                ready.push_back(self.logged(&frame)?);
                *next = end;
            }
            let length = frame_len(frame.payload.len());
            rest = rest.get(length..).unwrap_or_default();
            (self.offset, self.next_seq) = (self.offset + to_u64(length), end);
            read = Read::Frames;
        }
        Ok(read)
    }

    fn logged(&self, frame: &Frame<'_>) -> Result<Logged> {
        let events = read_frame(self.segment.seal(), &self.segment.path, frame)?;
        Ok(Logged::Batch { seq: frame.header.first_seq, events })
    }
}

/// The bytes of a segment from an offset on, at which a frame begins or will begin: at most `length`, or that frame,
/// if it is longer.
pub(super) fn bytes_from(segment: &Segment, offset: u64, length: usize) -> Result<Vec<u8>> {
    let bytes = at_most(segment, offset, length)?;
    if let HeaderCheck::Valid(header, _) = segment.header.space().decode(offset, &bytes) {
        let whole = frame_len(to_usize(u64::from(header.payload_len)));
        if whole > bytes.len() {
            return at_most(segment, offset, whole);
        }
    }
    Ok(bytes)
}

/// As many bytes from an offset on as there are, at most `length`.
fn at_most(segment: &Segment, offset: u64, length: usize) -> Result<Vec<u8>> {
    let room = vfs::zeros(length.max(FRAME_ALIGN));
    let mut bytes = room.map_err(|e| Error::io("read", &segment.path, e))?;
    let mut filled = 0;
    while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
        match segment.file.read_at(room, offset + to_u64(filled)) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read", &segment.path, error)),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
