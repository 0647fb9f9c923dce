//! The segment that is appended to, and the making of its successor.
//!
//! Owns where the next frame goes and how much of the segment a sync has covered. Used by one thread at a
//! time, the leader of a commit group. Does not know who waits for what.

use std::sync::Arc;

use super::hint::Hint;
use super::segment::{CreateError, Segment};
use super::start::Start;
use crate::codec::bytes::to_u64;
use crate::codec::frame::{FRAME_ALIGN, FrameHeader, FrameKind};
use crate::codec::segment::{DATA_START, Previous, SegmentHeader};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Seq;
use crate::vfs;

/// How far beyond what is written a file is made ready at least.
const READY_AHEAD: u64 = 128 << 10;
/// How far beyond it is made ready at most.
const READY_AT_MOST: u64 = 1 << 20;
/// The largest group that anything is made ready for: for a larger one, to write as many zeros takes longer than it saves.
const READY_FOR_AT_MOST: u64 = 192 << 10;

/// How many groups are written at most without a look, before they are written, whether the store is still the own
/// one. A look takes the system a few microseconds, which is what a group without a sync takes; one with a sync is
/// looked at behind it in any case, before anybody gets a receipt.
const GROUPS_BETWEEN_LOOKS: u32 = 64;

/// A payload that is to be appended: where it lies in the group's buffer, header included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PendingFrame {
    pub(crate) start: usize,
    pub(crate) payload_len: usize,
    pub(crate) payload_crc: u32,
    pub(crate) schema: u16,
    pub(crate) first_seq: Seq,
    pub(crate) events: u32,
    pub(crate) is_sealed: bool,
}

/// Why a group was not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// It is not in the log and never will be; the store goes on.
    Refused(Error),
    /// It may or may not be there after the next opening; the store goes on in a new segment.
    Unknown(Error),
    /// A sync failed: nothing more may be written until the store is opened again.
    Fatal(Error),
    /// It is not in the log and never will be, and nothing more may be written: the store is another writer's.
    Overtaken(Error),
}

/// Where the log grows.
#[derive(Debug)]
pub(crate) struct Active {
    start: Start,
    current: Option<Current>,
    /// The seal for the next segment when there is no current one.
    previous: Previous,
    next_size: u64,
    hint: Hint,
    /// How many groups were written since the last look that came before one.
    since_look: u32,
    /// Where salts and times come from.
    salt: fn() -> u32,
    now: fn() -> i64,
}

#[derive(Debug)]
struct Current {
    segment: Arc<Segment>,
    capacity: u64,
    written: u64,
    durable: u64,
    /// Up to where the file was made ready for what will be written.
    ready: u64,
    rollup: crc32fast::Hasher,
    next_seq: Seq,
    /// A write failed: bytes behind `written` are unknown, so the segment must end there.
    is_spoiled: bool,
}

impl Active {
    /// Takes over at the end of a recovered log. Writes nothing but the hint.
    pub(crate) fn new(start: Start, salt: fn() -> u32, now: fn() -> i64) -> Self {
        let hint = Hint::open(&start);
        let next_size = start.limits.first_segment;
        Self { previous: start.previous, next_size, hint, since_look: 0, current: None, start, salt, now }
    }

    /// Appends a group whose frames lie in `buffer` with room for their headers, and syncs it if asked to.
    ///
    /// When this returns `Ok(true)`, everything appended so far is durable. The segment that the frames went
    /// to and the offset of the first are returned beside it.
    pub(crate) fn append(
        &mut self,
        buffer: &mut [u8],
        frames: &[PendingFrame],
        must_sync: bool,
    ) -> Result<Option<(Arc<Segment>, u64)>, WriteError> {
        let mut place = None;
        if let Some(first) = frames.first() {
            self.look_before()?;
            self.make_room(to_u64(buffer.len()), first.first_seq)?;
            let current = self.current.as_mut().ok_or_else(no_segment)?;
            let base = current.written;
            // Whatever came before: nothing that is to be sealed is written as it is.
            if frames.iter().any(|frame| frame.is_sealed != current.segment.header.is_sealed) {
                return Err(WriteError::Refused(not_as_its_segment(&current.segment)));
            }
            if must_sync {
                current.get_ready(to_u64(buffer.len()));
            }
            let rollup = current.stamp(buffer, frames);
            if let Err(error) = vfs::write_all_at(&*current.segment.file, buffer, base) {
                // Order: mark the segment as ended before anything else can be appended to it. What was
                // written of this group could otherwise be taken for records of the next.
                current.is_spoiled = true;
                return Err(WriteError::Unknown(Error::io("write", &current.segment.path, error)));
            }
            current.rollup = rollup;
            current.written += to_u64(buffer.len());
            current.next_seq += frames.iter().map(|frame| u64::from(frame.events)).sum::<u64>();
            place = Some((Arc::clone(&current.segment), base));
        }
        if must_sync {
            self.sync()?;
        }
        Ok(place)
    }

    /// Looks whether the store is still the own one, so that whoever was overtaken leaves nothing behind.
    fn look_before(&mut self) -> Result<(), WriteError> {
        self.since_look += 1;
        if self.since_look >= GROUPS_BETWEEN_LOOKS {
            self.since_look = 0;
            self.look()?;
        }
        Ok(())
    }

    /// The same, before anything is written.
    fn look(&self) -> Result<(), WriteError> {
        self.start.right.check().map_err(|error| {
            let is_lost = error.kind() == ErrorKind::Locked;
            if is_lost { WriteError::Overtaken(error) } else { WriteError::Refused(error) }
        })
    }

    /// Makes everything appended so far durable.
    pub(crate) fn sync(&mut self) -> Result<(), WriteError> {
        let Some(current) = self.current.as_mut() else { return Ok(()) };
        let synced = current.segment.file.sync();
        synced.map_err(|e| WriteError::Fatal(Error::io("sync", &current.segment.path, e)))?;
        // Order: look behind the write. Another writer has found what was written, or its claim is found here;
        // looked at before alone, both could go on without the other.
        self.start.right.check().map_err(WriteError::Fatal)?;
        // Order: the watermark moves only after the sync has returned. Moved before, a crash between the two
        // would make recovery call a torn tail rot.
        current.durable = current.written;
        self.publish();
        Ok(())
    }

    /// Makes everything appended so far durable, if it is not.
    pub(crate) fn sync_if_needed(&mut self) -> Result<(), WriteError> {
        if self.is_durable() { Ok(()) } else { self.sync() }
    }

    /// Whether everything appended so far is durable.
    pub(crate) fn is_durable(&self) -> bool {
        self.current.as_ref().is_none_or(|current| current.durable == current.written)
    }

    /// Ends the current segment, durably, and begins the next, even if the current one is not full.
    ///
    /// When this returns, the sequence numbers before `next_seq` are in the segments before the returned one.
    pub(crate) fn roll(&mut self, next_seq: Seq) -> Result<Arc<Segment>, WriteError> {
        let unused = self.current.as_ref().filter(|c| !c.is_spoiled && c.written == to_u64(DATA_START));
        if let Some(current) = unused {
            return Ok(Arc::clone(&current.segment));
        }
        self.begin_segment(self.start.limits.first_segment, next_seq)
    }

    /// Says in CONTROL which checkpoint is the newest.
    pub(crate) fn set_checkpoint(&mut self, epoch: u64) {
        self.start.checkpoint_epoch = epoch;
        self.publish();
    }

    /// Seals the segment, so that its end proves itself, and gives the unused space back.
    ///
    /// When this returns, the log is durable and closed in order.
    pub(crate) fn close(&mut self) -> Result<(), WriteError> {
        self.sync_if_needed()?;
        self.look()?;
        let has_room = |current: &Current| current.written + to_u64(FRAME_ALIGN) <= current.capacity;
        let Some(current) = self.current.as_ref().filter(|c| !c.is_spoiled && has_room(c)) else {
            return Ok(());
        };
        let mut seal = [0; FRAME_ALIGN];
        let header = current.header(FrameKind::Seal, &PendingFrame::empty(current.next_seq));
        let offset = current.written;
        seal.copy_from_slice(&current.segment.header.space().encode(offset, &header).0);
        let path = current.segment.path.clone();
        let file = &current.segment.file;
        vfs::write_all_at(&**file, &seal, offset)
            .map_err(|e| WriteError::Refused(Error::io("write", &path, e)))?;
        let synced = file.sync().map_err(|e| WriteError::Fatal(Error::io("sync", &path, e)));
        synced?;
        // Order: look before the rest is cut off. Whoever has taken the store over may have mapped all of it.
        self.look()?;
        if let Some(current) = &mut self.current {
            current.written += to_u64(FRAME_ALIGN);
            current.durable = current.written;
        }
        self.publish();
        self.give_space_back();
        Ok(())
    }

    /// Cuts the never-written end off a sealed segment. Only zeros go, so a failure costs only space.
    fn give_space_back(&self) {
        if let Some(current) = &self.current {
            current.segment.file.set_len(current.written).ok();
        }
    }

    /// Makes sure that `needed` bytes fit behind what is written, with room for a seal.
    fn make_room(&mut self, needed: u64, next_seq: Seq) -> Result<(), WriteError> {
        let with_seal = needed + to_u64(FRAME_ALIGN);
        let fits =
            self.current.as_ref().is_some_and(|c| !c.is_spoiled && c.written + with_seal <= c.capacity);
        if fits {
            return Ok(());
        }
        self.begin_segment(with_seal + to_u64(DATA_START), next_seq)?;
        // Small stores stay small; busy ones soon have few and large segments.
        self.next_size = self.next_size.saturating_mul(4).min(self.start.limits.segment);
        Ok(())
    }

    fn begin_segment(&mut self, least: u64, next_seq: Seq) -> Result<Arc<Segment>, WriteError> {
        // Order: sync the old segment before its successor says how much of it counts. Reversed, a crash
        // leaves a seal over bytes that never reached the disk.
        self.sync_if_needed()?;
        let previous = self.current.as_ref().map_or(self.previous, Current::as_previous);
        let whole_blocks = |size: u64| size.next_multiple_of(to_u64(DATA_START));
        let (size, least) = (whole_blocks(self.next_size.max(least)), whole_blocks(least));
        let segment = match self.create_segment(size, next_seq, previous) {
            // On a disk that is nearly full, a short segment is better than none.
            Err(WriteError::Refused(error)) if error.kind() == ErrorKind::NoSpace && size > least => {
                self.create_segment(least, next_seq, previous)?
            }
            made => made?,
        };
        // This process alone cuts its segments shorter, and only behind what can be read from them.
        segment.map();
        self.current = Some(Current {
            segment: Arc::clone(&segment),
            capacity: segment.header.capacity,
            written: to_u64(DATA_START),
            durable: to_u64(DATA_START),
            ready: to_u64(DATA_START),
            rollup: crc32fast::Hasher::new(),
            next_seq,
            is_spoiled: false,
        });
        self.publish();
        Ok(segment)
    }

    fn create_segment(
        &self,
        size: u64,
        next_seq: Seq,
        previous: Previous,
    ) -> Result<Arc<Segment>, WriteError> {
        let header = SegmentHeader {
            store_id: self.start.store_id,
            number: previous.number + 1,
            first_seq: next_seq,
            writer_epoch: self.start.writer_epoch,
            created_unix_micros: (self.now)(),
            salt: (self.salt)(),
            capacity: size,
            previous,
            // The file system says so when the file is made.
            is_sealed: false,
        };
        match Segment::create(&*self.start.vfs, &self.start.dir, header) {
            Ok(segment) => Ok(Arc::new(segment)),
            Err(CreateError::Before(error)) if error.kind() == ErrorKind::Locked => {
                Err(WriteError::Overtaken(error))
            }
            Err(CreateError::Before(error)) => Err(WriteError::Refused(error)),
            Err(CreateError::Sync(error)) => Err(WriteError::Fatal(error)),
        }
    }

    /// Writes the hint. It may fail: the store opens without it, and an older statement stays true.
    fn publish(&mut self) {
        let stated = self.current.as_ref().map_or((self.previous.number, 0, 0), |current| {
            (current.segment.header.number, current.written, current.durable)
        });
        self.hint.state(stated, self.start.checkpoint_epoch);
    }
}

fn no_segment() -> WriteError {
    WriteError::Refused(Error::new(ErrorKind::Failed, "there is no segment to append to"))
}

#[cold]
fn not_as_its_segment(segment: &Segment) -> Error {
    let reason = "what is to be written is not sealed as its segment says; nothing was written";
    Error::new(ErrorKind::Failed, reason).at(&segment.path, None)
}

impl PendingFrame {
    fn empty(first_seq: Seq) -> Self {
        Self { start: 0, payload_len: 0, payload_crc: 0, schema: 0, first_seq, events: 0, is_sealed: false }
    }
}

impl Current {
    /// Gets the file ready for more than what is about to be written, so that the sync of most groups has
    /// nothing but their bytes to write: one in hundreds pays for the others, of larger ones one in sixteen to
    /// one in four. The largest pay each for itself.
    fn get_ready(&mut self, needed: u64) {
        let end = self.written + needed;
        if needed <= READY_FOR_AT_MOST && end > self.ready {
            let ahead = needed.saturating_mul(16).clamp(READY_AHEAD, READY_AT_MOST);
            self.ready = end.saturating_add(ahead).next_multiple_of(to_u64(DATA_START)).min(self.capacity);
            // Nothing depends on it: the space is reserved, and a write that matters will tell what is wrong.
            self.segment.file.ready(end..self.ready).ok();
        }
    }

    fn as_previous(&self) -> Previous {
        Previous {
            number: self.segment.header.number,
            valid_len: self.written,
            next_seq: self.next_seq,
            rollup: self.rollup.clone().finalize(),
        }
    }

    fn header(&self, kind: FrameKind, frame: &PendingFrame) -> FrameHeader {
        FrameHeader {
            payload_len: u32::try_from(frame.payload_len).unwrap_or(u32::MAX),
            payload_crc: frame.payload_crc,
            kind,
            schema: frame.schema,
            first_seq: frame.first_seq,
            synced_units: u32::try_from(self.durable / to_u64(FRAME_ALIGN)).unwrap_or(u32::MAX),
            events: frame.events,
        }
    }

    /// Fills in the headers, which depend on where the group goes and on what is durable by now.
    /// Returns what the rollup becomes once they are written.
    fn stamp(&self, buffer: &mut [u8], frames: &[PendingFrame]) -> crc32fast::Hasher {
        let mut rollup = self.rollup.clone();
        let space = self.segment.header.space();
        for frame in frames {
            let header = self.header(FrameKind::Batch, frame);
            let (bytes, crc) = space.encode(self.written + to_u64(frame.start), &header);
            if let Some(slot) = buffer.get_mut(frame.start..frame.start + FRAME_ALIGN) {
                slot.copy_from_slice(&bytes);
            }
            rollup.update(&crc.to_le_bytes());
        }
        rollup
    }
}
