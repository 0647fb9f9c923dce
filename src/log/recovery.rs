//! Replaying a log, and ending a tail that was not closed.
//!
//! Owns the checks between segments (numbers, sequence numbers, seals) and the steps by which a writer
//! makes what it found durable before anything is built on it. Nothing is cut or changed: a torn tail ends
//! where the next segment's header says that it ends.

use std::path::Path;
use std::sync::Arc;

use super::inventory::Inventory;
use super::orphans;
use super::scan::{self, End, Frame, Tail, Walk};
use super::segment::{MAX_SEGMENT_FILE, Segment};
use crate::codec::bytes::{to_u64, to_usize};
use crate::codec::checkpoint::{CheckpointHead, HeldSegment};
use crate::codec::control::Control;
use crate::codec::frame::FRAME_ALIGN;
use crate::codec::segment::Previous;
use crate::error::{Error, Result};
use crate::model::{OrphanedEvents, Seq};
use crate::vfs::{self, OpenMode, Vfs};

/// How much of a tail is read and written anew at a time. Memory for all of it would have to be had from the system
/// first, page by page, which takes longer than the reading and the writing.
const HARDENED_AT_ONCE: usize = 256 << 10;

/// What is called for each frame, in order.
pub(crate) type Visit<'v> = &'v mut dyn FnMut(&Arc<Segment>, &Frame<'_>) -> Result<()>;

/// The log that is replayed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'s> {
    pub(crate) vfs: &'s dyn Vfs,
    pub(crate) inventory: &'s Inventory,
    pub(crate) head: &'s CheckpointHead,
    pub(crate) control: Option<&'s Control>,
    pub(crate) holder: Holder,
}

/// Who may write to the log meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Holder {
    /// Nobody: the caller has the lock. Nobody cuts the newest segment shorter then, so that it can be mapped.
    Caller,
    /// Perhaps another process.
    Anybody,
}

/// A log that has been replayed.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// All segments that are needed, oldest first.
    pub(crate) segments: Vec<Arc<Segment>>,
    /// The sequence number after the last event.
    pub(crate) next_seq: Seq,
    /// How the newest segment ends, if there is one.
    pub(crate) last: Option<Last>,
    /// The highest writer epoch seen.
    pub(crate) writer_epoch: u64,
    /// How many frames were replayed.
    pub(crate) frames: u64,
    /// What writers that were overtaken left behind the ends of their segments.
    pub(crate) orphaned: Vec<OrphanedEvents>,
}

impl Replayed {
    /// How many bytes count of the segments from a number on. Their files may be longer, where nobody closed them.
    pub(crate) fn own_bytes(&self, first_segment: u64) -> u64 {
        let behind = self.segments.iter().skip(1).map(|next| next.header.previous.valid_len);
        let ends = behind.chain(self.last.as_ref().map(|last| last.end_offset));
        let own = self.segments.iter().zip(ends).filter(|(own, _)| own.header.number >= first_segment);
        own.map(|(_, end)| end).sum()
    }
}

/// How the newest segment ends.
#[derive(Debug)]
pub(crate) struct Last {
    pub(crate) segment: Arc<Segment>,
    pub(crate) end_offset: u64,
    pub(crate) tail: Tail,
    /// Everything below this is known to have been durable.
    pub(crate) proven: u64,
    rollup: u32,
    next_seq: Seq,
}

impl Last {
    /// What the next segment will say of this one.
    pub(crate) fn as_previous(&self) -> Previous {
        Previous {
            number: self.segment.header.number,
            valid_len: self.end_offset,
            next_seq: self.next_seq,
            rollup: self.rollup,
        }
    }
}

/// Goes over all records that the checkpoint does not cover.
///
/// # Errors
///
/// Corruption where a segment is missing, out of place or damaged; whatever `visit` returns.
pub(crate) fn replay(source: Source<'_>, visit: Visit<'_>) -> Result<Replayed> {
    let Source { vfs, inventory, head, control, holder } = source;
    let segments = open_chain(vfs, inventory, head, control)?;
    let mut replayed = Replayed {
        next_seq: head.covered_seq + 1,
        last: None,
        writer_epoch: segments.iter().map(|s| s.header.writer_epoch).max().unwrap_or_default(),
        frames: 0,
        orphaned: Vec::new(),
        segments: Vec::new(),
    };
    let mut rest = segments.iter().peekable();
    while let Some(segment) = rest.next() {
        if segment.header.first_seq != replayed.next_seq {
            let reason = format!(
                "the segment begins at event {}, not {}",
                segment.header.first_seq, replayed.next_seq
            );
            return Err(Error::corrupt(&segment.path, 48, reason));
        }
        let walk = match rest.peek() {
            Some(successor) => {
                let walk = replay_sealed(segment, &successor.header.previous, visit)?;
                replayed.orphaned.extend(orphans::behind(segment, &successor.header)?);
                walk
            }
            None => {
                if holder == Holder::Caller {
                    segment.map();
                }
                let (walk, last) = replay_last(segment, control, visit)?;
                replayed.last = Some(last);
                walk
            }
        };
        replayed.frames += walk.frames;
        replayed.next_seq = walk.next_seq;
    }
    replayed.segments = segments;
    Ok(replayed)
}

/// Goes over the segments that are kept for events which a compaction could not take into a file, and returns
/// them. Each has its end in the checkpoint: what is before it and behind it may be gone.
///
/// # Errors
///
/// Corruption where a segment is missing or damaged; whatever `visit` returns.
pub(crate) fn replay_held(
    source: Source<'_>,
    held: &[HeldSegment],
    visit: Visit<'_>,
) -> Result<Vec<Arc<Segment>>> {
    let mut segments = Vec::new();
    for HeldSegment { first_seq, end } in held {
        let named = (end.number, *first_seq);
        let found = source.inventory.segments.iter().find(|(number, seq, _)| (*number, *seq) == named);
        let Some((.., path)) = found else {
            let dir = inventory_dir(source.inventory, source.head);
            return Err(missing(
                &dir,
                end.number,
                "the checkpoint says that it holds events of a damaged file",
            ));
        };
        let segment = Segment::open(source.vfs, path, named)?;
        if segment.header.store_id != source.head.store_id {
            return Err(Error::corrupt(path, 24, "the segment belongs to another store"));
        }
        let segment = Arc::new(segment);
        replay_sealed(&segment, end, visit)?;
        segments.push(segment);
    }
    Ok(segments)
}

/// Opens the segments from the first needed one on and checks that none is missing.
fn open_chain(
    vfs: &dyn Vfs,
    inventory: &Inventory,
    head: &CheckpointHead,
    control: Option<&Control>,
) -> Result<Vec<Arc<Segment>>> {
    let needed = inventory.segments.iter().filter(|(number, ..)| *number >= head.first_segment);
    let mut segments: Vec<Arc<Segment>> = Vec::new();
    for (expected, (number, first_seq, path)) in (head.first_segment..).zip(needed) {
        if *number != expected {
            return Err(Error::corrupt(
                path,
                0,
                format!("segment {expected}, which must come before this one, is missing"),
            ));
        }
        let segment = Segment::open(vfs, path, (*number, *first_seq))?;
        if segment.header.store_id != head.store_id {
            return Err(Error::corrupt(path, 24, "the segment belongs to another store"));
        }
        if let Some(before) = segments.last() {
            if segment.header.previous.number != before.header.number {
                return Err(Error::corrupt(path, 80, "the segment does not follow the one before it"));
            }
        }
        segments.push(Arc::new(segment));
    }
    let newest = segments.last().map_or(head.first_segment.saturating_sub(1), |s| s.header.number);
    let dir = inventory_dir(inventory, head);
    if segments.is_empty() && head.first_segment > 1 {
        return Err(missing(&dir, head.first_segment, "the checkpoint names it"));
    }
    match control {
        Some(control) if control.segment > newest => Err(missing(&dir, control.segment, "CONTROL names it")),
        _ => Ok(segments),
    }
}

fn inventory_dir(inventory: &Inventory, head: &CheckpointHead) -> std::path::PathBuf {
    let newest = inventory.checkpoints.iter().find(|(epoch, _)| *epoch == head.epoch);
    newest.and_then(|(_, path)| path.parent()).map(Path::to_owned).unwrap_or_default()
}

fn missing(dir: &Path, number: u64, why: &str) -> Error {
    Error::corrupt(dir, 0, format!("segment {number} is missing: {why}"))
}

/// Calls with all of a segment's bytes, in a map that ends with the call.
fn with_passing_map<T>(segment: &Segment, take: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
    match segment.file.map().ok().flatten() {
        Some(map) => take(map.bytes()),
        None => with_all(segment, take),
    }
}

/// Calls with all of a segment's bytes.
fn with_all<T>(segment: &Segment, take: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
    if let Some(bytes) = segment.mapped() {
        return take(bytes);
    }
    let bytes =
        vfs::read_all(&*segment.file, MAX_SEGMENT_FILE).map_err(|e| Error::io("read", &segment.path, e))?;
    take(&bytes)
}

/// Replays a segment whose end its successor knows.
pub(crate) fn replay_sealed(segment: &Arc<Segment>, seal: &Previous, visit: Visit<'_>) -> Result<Walk> {
    let walk = walk_sealed(segment, seal, visit)?;
    // Order: what the walk has read goes back to the system first, and only then reads get a map of their own.
    // Otherwise all of the log would count as the process's memory by the end of a replay.
    segment.map();
    Ok(walk)
}

fn walk_sealed(segment: &Arc<Segment>, seal: &Previous, visit: Visit<'_>) -> Result<Walk> {
    with_passing_map(segment, |bytes| {
        let Some(valid) = bytes.get(..to_usize(seal.valid_len)) else {
            let reason = format!("the segment ends here, its successor says at byte {}", seal.valid_len);
            return Err(Error::corrupt(&segment.path, to_u64(bytes.len()), reason));
        };
        let walk = scan::walk(valid, segment.header.space(), segment.header.first_seq, |frame| {
            visit(segment, frame)
        })?;
        if walk.end_offset != seal.valid_len {
            let reason = match walk.end {
                End::Invalid(reason) => reason,
                End::Unwritten => "durable bytes are gone",
                End::Sealed => "records follow a seal",
            };
            return Err(Error::corrupt(&segment.path, walk.end_offset, reason));
        }
        if walk.next_seq != seal.next_seq || walk.rollup != seal.rollup {
            let reason = "the segment is not the one that its successor sealed";
            return Err(Error::corrupt(&segment.path, walk.end_offset, reason));
        }
        Ok(walk)
    })
}

/// Replays the newest segment and judges its end.
pub(super) fn replay_last(
    segment: &Arc<Segment>,
    control: Option<&Control>,
    visit: Visit<'_>,
) -> Result<(Walk, Last)> {
    let vouched = control
        .filter(|c| c.segment == segment.header.number && c.writer_epoch == segment.header.writer_epoch)
        .map_or(0, |c| u64::from(c.durable_units) * to_u64(FRAME_ALIGN));
    with_all(segment, |bytes| {
        let space = segment.header.space();
        let walk = scan::walk(bytes, space, segment.header.first_seq, |frame| visit(segment, frame))?;
        let tail = scan::judge(bytes, space, &walk, vouched).map_err(|corrupt| {
            let reason =
                format!("{}; everything before byte {} had been synced", corrupt.reason, corrupt.proof);
            Error::corrupt(&segment.path, corrupt.offset, reason)
        })?;
        if tail != Tail::Sealed && to_u64(bytes.len()) < segment.header.capacity {
            let reason =
                format!("the segment was made with {} bytes and has been cut", segment.header.capacity);
            return Err(Error::corrupt(&segment.path, to_u64(bytes.len()), reason));
        }
        // A seal proves what is before it. That it is durable itself only CONTROL can say: its own sync may
        // have failed, which leaves it in the page cache alone.
        let proven = walk.watermark.max(vouched).min(walk.end_offset);
        let last = Last {
            segment: Arc::clone(segment),
            end_offset: walk.end_offset,
            tail,
            proven,
            rollup: walk.rollup,
            next_seq: walk.next_seq,
        };
        Ok((walk, last))
    })
}

/// Makes what was found at the end of the newest segment durable: writes the same bytes again and syncs.
///
/// They may exist in the page cache only, and after a sync that failed before the last process died the
/// kernel counts those pages as clean, so that a sync alone would succeed without writing them.
///
/// # Errors
///
/// I/O errors. Nothing may be served from a tail that could not be made durable.
pub(crate) fn harden(vfs: &dyn Vfs, last: &Last) -> Result<()> {
    let path = &last.segment.path;
    let file = vfs.open(path, OpenMode::ReadWrite).map_err(|e| Error::io("open for writing", path, e))?;
    let mut at = last.proven;
    let mut buffer = vec![0; to_usize(last.end_offset.saturating_sub(at)).min(HARDENED_AT_ONCE)];
    while at < last.end_offset {
        let left = to_usize(last.end_offset - at).min(buffer.len());
        let bytes = buffer.get_mut(..left).unwrap_or_default();
        vfs::read_exact_at(&*file, bytes, at).map_err(|e| Error::io("read", path, e))?;
        vfs::write_all_at(&*file, bytes, at).map_err(|e| Error::io("write", path, e))?;
        at += to_u64(left);
    }
    file.sync().map_err(|e| Error::io("sync", path, e))
}

/// Copies the bytes behind the end of a torn tail to a file of their own, for whoever wants to look.
///
/// # Errors
///
/// I/O errors.
pub(crate) fn quarantine(vfs: &dyn Vfs, last: &Last, to: &Path) -> Result<()> {
    let Tail::Torn(beyond) = last.tail else { return Ok(()) };
    let mut bytes = vec![0; to_usize(beyond.written_end - last.end_offset)];
    let from = &last.segment.path;
    vfs::read_exact_at(&*last.segment.file, &mut bytes, last.end_offset)
        .map_err(|e| Error::io("read", from, e))?;
    let file = match vfs.open(to, OpenMode::CreateNew) {
        // The same tail was set aside before, perhaps in part, by an opening that got no further.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            if vfs.sealing().is_some() {
                // Part of a sealed file can be neither read nor written over, and all that is in it is still in the segment.
                vfs.remove_file(to).map_err(|e| Error::io("replace", to, e))?;
                vfs.open(to, OpenMode::CreateNew)
            } else {
                vfs.open(to, OpenMode::ReadWrite)
            }
        }
        opened => opened,
    };
    let file = file.map_err(|e| Error::io("create", to, e))?;
    vfs::write_all_at(&*file, &bytes, 0).map_err(|e| Error::io("write", to, e))?;
    file.sync().map_err(|e| Error::io("sync", to, e))
}
