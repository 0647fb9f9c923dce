//! Reading a log that may be damaged, as far as it proves itself.
//!
//! Owns the going on behind damage: the next frame that checks in its place, the next segment that can be
//! read. Each frame proves itself, so what lies behind a bad one is as good as what lies before it; what is
//! missing between the two shows in the sequence numbers. Nothing here is for an opening: recovery refuses
//! where this goes on. Reads only. [`frames`] owns the way through one segment.

mod frames;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::inventory::{Inventory, read_control};
use super::scan::{Beyond, Frame, frame_at};
use super::segment::MAX_SEGMENT_FILE;
use crate::codec::bytes::{MAX_NUMBER, to_u64};
use crate::codec::control::Control;
use crate::codec::frame::{FRAME_ALIGN, FrameSpace};
use crate::codec::segment::{BadHeader, DATA_START, SegmentHeader, StoreId};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{OrphanedEvents, Seq};
use crate::vfs::{self, OpenMode, Vfs};

mod held;

pub(crate) use held::salvage_held;

/// A place where something is wrong, and the events that are missing there.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) error: Error,
    pub(crate) missing: Missing,
    /// Beginnings of the payloads whose headers check there, and whose own checksums are wrong.
    pub(crate) payloads: Vec<Vec<u8>>,
}

/// Events that are missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Missing {
    /// None: what is damaged holds no events.
    None,
    /// These, the last one included.
    Between(Seq, Seq),
    /// Those from this one on, nobody can say how many; perhaps none.
    From(Seq),
}

/// What a log gave up.
#[derive(Debug, Default)]
pub(crate) struct Salvaged {
    pub(crate) faults: Vec<Fault>,
    /// What writers that were overtaken left behind the ends of their segments.
    pub(crate) orphaned: Vec<OrphanedEvents>,
    /// Where a torn tail begins, and what is in it.
    pub(crate) torn: Option<(PathBuf, u64, Beyond)>,
    /// The sequence number after the last event that was found.
    pub(crate) next_seq: Seq,
}

/// What is known of a log beforehand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// The store that the segments must belong to; where it is not known, the one that most belong to.
    pub(crate) store_id: Option<StoreId>,
    /// The first segment that is needed.
    pub(crate) first_segment: u64,
    /// The first event that is needed; where it is not known, the log begins where it begins.
    pub(crate) next_seq: Option<Seq>,
}

/// What is called for each frame that is found, in order, with the number of faults that were found before it.
pub(crate) type Take<'t> = &'t mut dyn FnMut(&Path, &Frame<'_>, usize) -> Result<()>;

/// Damage since the last frame that proved itself.
#[derive(Debug)]
struct Suspect {
    error: Error,
    payloads: Vec<Vec<u8>>,
}

impl From<Error> for Suspect {
    fn from(error: Error) -> Self {
        Self { error, payloads: Vec::new() }
    }
}

/// One segment, its bytes left where they are.
#[derive(Debug)]
struct Held {
    path: PathBuf,
    number: u64,
    first_seq: Seq,
    /// What its frames are bound to, if that is known.
    space: Option<FrameSpace>,
    /// Absent where it cannot be read.
    header: Option<SegmentHeader>,
}

/// Goes over everything in a log that proves itself.
///
/// # Errors
///
/// Whatever `take` returns. Damage, and files that the system cannot read, are in the result.
pub(crate) fn salvage(
    vfs: &dyn Vfs,
    inventory: &Inventory,
    dir: &Path,
    known: Known,
    take: Take<'_>,
) -> Result<Salvaged> {
    let mut work = Work { vfs, known, take, control: None, out: Salvaged::default(), is_begun: false };
    work.out.next_seq = known.next_seq.unwrap_or_default();
    work.is_begun = known.next_seq.is_some();
    let segments = work.hold(inventory);
    work.control = work.known.store_id.and_then(|id| read_control(vfs, dir, id));
    let mut number_due = known.next_seq.map(|_| known.first_segment);
    for (at, segment) in segments.iter().enumerate() {
        if let Some(due) = number_due.filter(|due| *due < segment.number) {
            let reason = format!("segment {due}, which must come before {}, is missing", segment.number);
            work.gap(Error::corrupt(dir, 0, reason), segment.first_seq);
        }
        number_due = Some(segment.number + 1);
        work.segment(segment, segments.get(at + 1))?;
    }
    let newest = segments.last().map_or(known.first_segment.saturating_sub(1), |held| held.number);
    let named = work
        .control
        .map_or(0, |control| control.segment)
        .max(if segments.is_empty() && known.first_segment > 1 { known.first_segment } else { 0 });
    if named > newest {
        let error = Error::corrupt(dir, 0, format!("segment {named} is missing"));
        work.fault(error, Missing::From(work.out.next_seq));
    }
    Ok(work.out)
}

struct Work<'w> {
    vfs: &'w dyn Vfs,
    known: Known,
    control: Option<Control>,
    take: Take<'w>,
    out: Salvaged,
    /// Whether it is known which event is due.
    is_begun: bool,
}

impl Work<'_> {
    fn fault(&mut self, suspect: impl Into<Suspect>, missing: Missing) {
        let Suspect { error, payloads } = suspect.into();
        self.out.faults.push(Fault { error, missing, payloads });
    }

    /// Reports that events are missing up to this one, if any are.
    fn gap(&mut self, suspect: impl Into<Suspect>, until: Seq) {
        let first = self.out.next_seq;
        let missing =
            if self.is_begun && first < until { Missing::Between(first, until - 1) } else { Missing::None };
        self.fault(suspect, missing);
        if self.is_begun {
            self.out.next_seq = first.max(until);
        }
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let file = self.vfs.open(path, OpenMode::Read).map_err(|e| Error::io("open", path, e))?;
        vfs::read_all(&*file, MAX_SEGMENT_FILE).map_err(|e| Error::io("read", path, e))
    }

    /// The segments that belong here, oldest first.
    fn hold(&mut self, inventory: &Inventory) -> Vec<Held> {
        let mut segments = Vec::new();
        for (number, first_seq, path) in &inventory.segments {
            let told = self.out.faults.len();
            match self.read(path) {
                Ok(bytes) => segments.extend(self.held(path, (*number, *first_seq), &bytes)),
                Err(error) => {
                    self.fault(error, Missing::None);
                    segments.extend(by_name(path, (*number, *first_seq), None));
                }
            }
            // Nothing is needed of a segment that the snapshot covers, unless it is another one than its name
            // says.
            let first_segment = self.known.first_segment;
            if *number < first_segment
                && segments.pop_if(|held| held.path == *path && held.number < first_segment).is_some()
            {
                self.out.faults.truncate(told);
            }
        }
        self.known.store_id = self.known.store_id.or_else(|| commonest_store(&segments));
        let store_id = self.known.store_id;
        segments.retain(|held| {
            let own = held.header.as_ref().is_none_or(|header| Some(header.store_id) == store_id);
            if !own {
                let error = Error::corrupt(&held.path, 24, "the segment belongs to another store");
                self.fault(error, Missing::None);
            }
            own
        });
        segments.sort_by_key(|held| (held.number, held.header.is_none()));
        segments.dedup_by(|second, first| {
            let is_double = second.number == first.number;
            if is_double {
                let error = Error::corrupt(&second.path, 40, "another file holds the same segment");
                self.fault(error, Missing::None);
            }
            is_double
        });
        segments.retain(|held| held.number >= self.known.first_segment);
        segments
    }

    /// What a file says that it is; its name is believed where the header cannot be read.
    fn held(&mut self, path: &Path, named: (u64, Seq), bytes: &[u8]) -> Option<Held> {
        let damaged = |at, reason| Error::corrupt(path, at, reason);
        match SegmentHeader::decode(bytes.get(..DATA_START).unwrap_or(bytes)) {
            Ok(header) => {
                if (header.number, header.first_seq) != named {
                    let reason = "the segment's header belongs to another file name";
                    self.fault(damaged(40, reason), Missing::None);
                }
                let path = path.to_owned();
                let (number, first_seq, space) = (header.number, header.first_seq, Some(header.space()));
                Some(Held { path, number, first_seq, space, header: Some(header) })
            }
            Err(BadHeader::Newer(major)) => {
                let reason = format!("format {major} is newer than this software, which reads format 1");
                let error = Error::new(ErrorKind::UnsupportedFormat, reason).at(path, Some(8));
                self.fault(error, Missing::None);
                None
            }
            Err(BadHeader::Damaged(reason)) => {
                self.fault(damaged(0, reason), Missing::None);
                by_name(path, named, space_of(named.0, bytes))
            }
        }
    }

    fn segment(&mut self, held: &Held, next: Option<&Held>) -> Result<()> {
        // Where nothing says what came before, the log begins here.
        if !self.is_begun {
            (self.is_begun, self.out.next_seq) = (true, held.first_seq);
        }
        if held.first_seq > self.out.next_seq {
            self.gap(
                Error::corrupt(&held.path, 48, "events are missing before this segment"),
                held.first_seq,
            );
        }
        let Some(space) = held.space else {
            self.unread(held, next, "nothing in the segment can be read");
            return Ok(());
        };
        let bytes = match self.read(&held.path) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.unread(held, next, error.message());
                return Ok(());
            }
        };
        let extent = self.extent(held, next, &bytes, space);
        let mut suspect = self.frames(held, &extent, &bytes, space)?;
        if let Some(reason) = extent.cut {
            suspect.get_or_insert_with(|| Error::corrupt(&held.path, to_u64(bytes.len()), reason).into());
        }
        match (suspect, next) {
            (None, None) => {}
            (None, Some(next)) if next.first_seq <= self.out.next_seq => {}
            // A whole segment is missing in between, which is told by its number.
            (None, Some(next)) if next.number > held.number + 1 => {}
            (suspect, Some(next)) => {
                let at_end = || Error::corrupt(&held.path, to_u64(bytes.len()), "events are missing here");
                self.gap(suspect.unwrap_or_else(|| at_end().into()), next.first_seq);
            }
            (Some(suspect), None) => self.fault(suspect, Missing::From(self.out.next_seq)),
        }
        Ok(())
    }

    fn unread(&mut self, held: &Held, next: Option<&Held>, reason: &str) {
        let error = Error::corrupt(&held.path, 0, reason);
        match next {
            Some(next) => self.gap(error, next.first_seq),
            None => self.fault(error, Missing::From(self.out.next_seq)),
        }
    }
}

/// A segment of which only the name can be believed; none if no writer gives such a name.
fn by_name(path: &Path, (number, first_seq): (u64, Seq), space: Option<FrameSpace>) -> Option<Held> {
    let is_possible = number <= MAX_NUMBER && first_seq <= MAX_NUMBER;
    is_possible.then(|| Held { path: path.to_owned(), number, first_seq, space, header: None })
}

/// What the frames of a segment without a header are bound to: what the first one whose payload checks says.
fn space_of(number: u64, bytes: &[u8]) -> Option<FrameSpace> {
    (DATA_START..bytes.len()).step_by(FRAME_ALIGN).find_map(|at| {
        let space = FrameSpace::solved(number, to_u64(at), bytes.get(at..)?)?;
        // A payload of no bytes has a checksum that proves nothing.
        frame_at(bytes, space, at).ok().filter(|(frame, _)| !frame.payload.is_empty()).map(|_| space)
    })
}

/// The store that most of the segments belong to.
fn commonest_store(segments: &[Held]) -> Option<StoreId> {
    let mut counts: HashMap<StoreId, usize> = HashMap::new();
    for header in segments.iter().filter_map(|held| held.header.as_ref()) {
        *counts.entry(header.store_id).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(id, count)| (*count, *id)).map(|(id, _)| id)
}
