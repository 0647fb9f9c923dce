//! The segment that is appended to, and the making of its successor.
//!
//! Owns where the next frame goes and how much of the segment a sync has covered. Used by one thread at a
//! time, the leader of a commit group. Does not know who waits for what.

use std::sync::Arc;

use super::current::{Current, Frames, PendingFrame, WriteError, not_as_its_segment};
use super::hint::Hint;
use super::segment::{CreateError, Segment};
use super::start::Start;
use crate::codec::bytes::to_u64;
use crate::codec::frame::FRAME_ALIGN;
use crate::codec::segment::{DATA_START, Previous, SegmentHeader};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Seq;
use crate::vfs;

/// How many groups are written at most without a look, before they are written, whether the store is still the own
/// one. A look takes the system a few microseconds, which is what a group without a sync takes; one with a sync is
/// looked at behind it in any case, before anybody gets a receipt.
const GROUPS_BETWEEN_LOOKS: u32 = 64;

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

impl Active {
    /// Takes over at the end of a recovered log. Writes nothing but the hint.
    pub(crate) fn new(start: Start, salt: fn() -> u32, now: fn() -> i64) -> Self {
        let hint = Hint::open(&start);
        let next_size = start.limits.first_segment;
        Self { previous: start.previous, next_size, hint, since_look: 0, current: None, start, salt, now }
    }

    /// Appends a group whose frames lie in `buffer` with room for their headers, and syncs it if asked to.
    ///
    /// When this returns and was asked to sync, everything appended so far is durable. Gives the segment that the frames
    /// went to and the offset of the first, if there are any.
    pub(crate) fn append(
        &mut self,
        buffer: &mut [u8],
        frames: &[PendingFrame],
        must_sync: bool,
    ) -> Result<Option<(Arc<Segment>, u64)>, WriteError> {
        let Some(first) = frames.first() else {
            // What a sync has covered needs no other one: a process that ends would wait for it once more.
            if must_sync {
                self.sync_if_needed()?;
            }
            return Ok(None);
        };
        self.look_before()?;
        let group = Frames { buffer, frames };
        let needed = group.len();
        let Some(current) = self.current.as_mut().and_then(|current| current.with_room(needed)) else {
            return self.append_in_next(group, first.first_seq).map(Some);
        };
        let base = current.write(group, must_sync)?;
        let segment = Arc::clone(&current.segment);
        if must_sync {
            self.sync()?;
        }
        Ok(Some((segment, base)))
    }

    /// Appends a group as the first of a segment that is made with it. Both are durable then, by one sync.
    fn append_in_next(
        &mut self,
        group: Frames<'_>,
        next_seq: Seq,
    ) -> Result<(Arc<Segment>, u64), WriteError> {
        let needed = to_u64(DATA_START) + group.len() + to_u64(FRAME_ALIGN);
        let segment = self.begin_segment(needed, next_seq, group)?;
        // Small stores stay small; busy ones soon have few and large segments.
        self.next_size = self.next_size.saturating_mul(4).min(self.start.limits.segment);
        // Order: look behind the write, before anybody gets a receipt; see `sync`.
        self.start.right.check().map_err(WriteError::Fatal)?;
        Ok((segment, to_u64(DATA_START)))
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
        if let Some(current) = self.current.as_ref().filter(|current| current.is_unused()) {
            return Ok(Arc::clone(&current.segment));
        }
        let nothing = Frames { buffer: &mut [], frames: &[] };
        self.begin_segment(to_u64(DATA_START + FRAME_ALIGN), next_seq, nothing)
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
        let Some(current) = self.current.as_mut().and_then(|current| current.with_room(0)) else {
            return Ok(());
        };
        let (seal, offset) = (current.seal(), current.written);
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

    /// Ends the current segment, durably, and makes the next, which takes `least` bytes with the frames that it begins with.
    fn begin_segment(
        &mut self,
        least: u64,
        next_seq: Seq,
        mut first: Frames<'_>,
    ) -> Result<Arc<Segment>, WriteError> {
        // Order: sync the old segment before its successor says how much of it counts. Reversed, a crash
        // leaves a seal over bytes that never reached the disk.
        self.sync_if_needed()?;
        let whole_blocks = |size: u64| size.next_multiple_of(to_u64(DATA_START));
        let (size, least) = (whole_blocks(self.next_size.max(least)), whole_blocks(least));
        // Most programs that open a store write little: what their one segment does not need would have to be given
        // back again, which takes the disk as long as a sync. Whoever writes more has the rest at once.
        let is_first = self.next_size <= self.start.limits.first_segment;
        let reserved = if is_first { least } else { size };
        let current = match self.make_current((size, reserved), next_seq, &mut first) {
            // On a disk that is nearly full, a short segment is better than none.
            Err(WriteError::Refused(error)) if error.kind() == ErrorKind::NoSpace && reserved > least => {
                self.make_current((least, least), next_seq, &mut first)?
            }
            made => made?,
        };
        let segment = Arc::clone(&current.segment);
        // This process alone cuts its segments shorter, and only behind what can be read from them.
        segment.map();
        self.current = Some(current);
        self.publish();
        Ok(segment)
    }

    /// Makes a segment that begins with a group, all of it durable.
    fn make_current(
        &self,
        (capacity, reserved): (u64, u64),
        next_seq: Seq,
        first: &mut Frames<'_>,
    ) -> Result<Current, WriteError> {
        let previous = self.current.as_ref().map_or(self.previous, Current::as_previous);
        let header = SegmentHeader {
            store_id: self.start.store_id,
            number: previous.number + 1,
            first_seq: next_seq,
            writer_epoch: self.start.writer_epoch,
            created_unix_micros: (self.now)(),
            salt: (self.salt)(),
            capacity,
            previous,
            is_sealed: self.start.vfs.sealing().is_some(),
        };
        let start = to_u64(DATA_START);
        let rollup = first.stamp(header.space(), (start, start), &crc32fast::Hasher::new());
        // Whatever came before: nothing that is to be sealed is written as it is.
        if !first.are_all(header.is_sealed) {
            return Err(WriteError::Refused(not_as_its_segment(&self.start.dir)));
        }
        let made = Segment::create(&*self.start.vfs, &self.start.dir, header, (reserved, first.buffer));
        let segment = made.map_err(|error| match error {
            CreateError::Before(error) if error.kind() == ErrorKind::Locked => WriteError::Overtaken(error),
            CreateError::Before(error) => WriteError::Refused(error),
            CreateError::Sync(error) => WriteError::Fatal(error),
        })?;
        let written = start + first.len();
        Ok(Current::new(Arc::new(segment), (written, reserved), rollup, next_seq + first.events()))
    }

    /// Writes the hint. It may fail: the store opens without it, and an older statement stays true.
    fn publish(&mut self) {
        let stated = self.current.as_ref().map_or((self.previous.number, 0, 0), |current| {
            (current.segment.header.number, current.written, current.durable)
        });
        self.hint.state(stated, self.start.checkpoint_epoch);
    }
}
