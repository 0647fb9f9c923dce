//! Events of a writer that was overtaken.
//!
//! Owns the finding of whole records behind the end that the next segment gives to theirs, and their being set aside
//! before that segment is dropped. A torn tail ends where the first record does not check; records that check there,
//! with the numbers that are due, were written by somebody who did not know that the log went on without them, and
//! whom they were acknowledged to nobody can tell. They do not count, and nothing of them is ever deleted.

use std::path::{Path, PathBuf};

use super::scan::frame_at;
use super::segment::{MAX_SEGMENT_FILE, Segment, parse_name};
use crate::codec::bytes::{to_u64, to_usize};
use crate::codec::frame::{FRAME_ALIGN, FrameSpace, HeaderCheck, frame_len};
use crate::codec::segment::SegmentHeader;
use crate::error::{Error, Result};
use crate::model::{OrphanedEvents, Seq};
use crate::vfs::{self, OpenMode, Vfs};

/// What an overtaken writer left behind the end of a segment, whose bytes these are.
pub(crate) fn find(
    path: &Path,
    header: &SegmentHeader,
    next: &SegmentHeader,
    bytes: &[u8],
) -> Option<OrphanedEvents> {
    let (seal, space) = (&next.previous, header.space());
    // A writer that could not write a group goes on in a new segment, and has told whoever the group was of.
    if seal.number != header.number || next.writer_epoch == header.writer_epoch {
        return None;
    }
    let (mut at, mut next_seq) = (to_usize(seal.valid_len), seal.next_seq);
    while let Some((length, after)) = follows_on(bytes, space, at, next_seq) {
        (at, next_seq) = (at + length, after);
    }
    (next_seq > seal.next_seq).then(|| OrphanedEvents {
        path: path.to_owned(),
        offset: seal.valid_len,
        bytes: to_u64(at) - seal.valid_len,
        first_seq: seal.next_seq,
        last_seq: next_seq - 1,
    })
}

/// The length of the record at an offset, and the number that is due behind it.
fn follows_on(bytes: &[u8], space: FrameSpace, at: usize, next_seq: Seq) -> Option<(usize, Seq)> {
    let (frame, _) = frame_at(bytes, space, at).ok()?;
    let after = next_seq.checked_add(u64::from(frame.header.events))?;
    (frame.header.first_seq == next_seq).then(|| (frame_len(frame.payload.len()), after))
}

/// What an overtaken writer left behind the end that the next segment gives to this one.
///
/// # Errors
///
/// I/O errors.
pub(crate) fn behind(segment: &Segment, next: &SegmentHeader) -> Result<Option<OrphanedEvents>> {
    match segment.mapped() {
        Some(bytes) => Ok(find(&segment.path, &segment.header, next, bytes)),
        None => Ok(found(segment, next)?.map(|(orphaned, _)| orphaned)),
    }
}

/// The same with all of the segment's bytes, which are read only if there may be something.
fn found(segment: &Segment, next: &SegmentHeader) -> Result<Option<(OrphanedEvents, Vec<u8>)>> {
    if !has_more(segment, next) {
        return Ok(None);
    }
    let bytes =
        vfs::read_all(&*segment.file, MAX_SEGMENT_FILE).map_err(|e| Error::io("read", &segment.path, e))?;
    Ok(find(&segment.path, &segment.header, next, &bytes).map(|orphaned| (orphaned, bytes)))
}

/// Copies what an overtaken writer left in a segment that is about to be dropped, and gives the copy's place.
///
/// A segment whose header or successor cannot be read has nothing that could be told from a torn tail.
///
/// # Errors
///
/// I/O errors.
pub(crate) fn set_aside(
    vfs: &dyn Vfs,
    segment: &Path,
    next: &Path,
    quarantine: &dyn Fn() -> Result<PathBuf>,
) -> Result<Option<PathBuf>> {
    let (Some(segment), Some(next)) = (reopened(vfs, segment), reopened(vfs, next)) else { return Ok(None) };
    let Some((orphaned, bytes)) = found(&segment, &next.header)? else { return Ok(None) };
    let dir = quarantine()?;
    let copy = dir.join(format!("orphaned-{:016x}-{:x}", segment.header.number, orphaned.offset));
    let from = to_usize(orphaned.offset);
    let bytes = bytes.get(from..from + to_usize(orphaned.bytes)).unwrap_or_default();
    let file = match vfs.open(&copy, OpenMode::CreateNew) {
        // The same was set aside before, perhaps in part, by a compaction that got no further.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            vfs.open(&copy, OpenMode::ReadWrite)
        }
        opened => opened,
    };
    let file = file.map_err(|e| Error::io("create", &copy, e))?;
    vfs::write_all_at(&*file, bytes, 0).map_err(|e| Error::io("write", &copy, e))?;
    file.sync().map_err(|e| Error::io("sync", &copy, e))?;
    vfs.sync_dir(&dir).map_err(|e| Error::io("sync", &dir, e))?;
    Ok(Some(copy))
}

fn reopened(vfs: &dyn Vfs, path: &Path) -> Option<Segment> {
    let named = parse_name(path.file_name()?.to_str()?)?;
    Segment::open(vfs, path, named).ok()
}

/// Whether a record's header checks where a segment ends: one small read for each that is dropped.
fn has_more(segment: &Segment, next: &SegmentHeader) -> bool {
    let mut start = [0; FRAME_ALIGN];
    let offset = next.previous.valid_len;
    next.writer_epoch != segment.header.writer_epoch
        && vfs::read_exact_at(&*segment.file, &mut start, offset).is_ok()
        && matches!(segment.header.space().decode(offset, &start), HeaderCheck::Valid(..))
}
