//! The copying of segments, frame by frame.
//!
//! Owns how far a copy has come and what proves it. A frame is copied once it checks where it stands; what does not check
//! yet may be on its way. A segment that has a successor ends where that one says, no earlier and no later.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backend::directory::tail::bytes_from;
use crate::codec::backup::Extent;
use crate::codec::bytes::{to_u64, to_usize};
use crate::codec::frame::{FRAME_ALIGN, FrameKind, frame_len};
use crate::codec::segment::{DATA_START, Previous, SegmentHeader};
use crate::error::{Error, Result};
use crate::log::scan::frame_here;
use crate::log::segment::Segment;
use crate::model::Seq;
use crate::vfs::{self, OpenMode, Vfs, VfsFile};

/// How much of a segment is read at once; a longer frame is read whole.
const CHUNK: usize = 256 << 10;

/// Where a walk ends at the latest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// No frame reaches beyond this byte.
    pub(super) length: u64,
    /// No frame has a later event.
    pub(super) last_seq: Seq,
}

impl Limit {
    /// A place in the segment.
    pub(super) fn at(length: u64) -> Self {
        Self { length, last_seq: Seq::MAX }
    }

    /// None: as far as the frames check.
    pub(super) const NONE: Self = Self { length: u64::MAX, last_seq: Seq::MAX };
}

/// What was found in some frames that follow one another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walked {
    /// Where they end.
    pub(super) end: Extent,
    /// How much of the segment the frames say that a sync had covered.
    pub(super) watermark: u64,
    /// Whether nothing follows in this segment.
    pub(super) is_sealed: bool,
}

/// The beginning of a segment.
pub(super) fn start_of(header: &SegmentHeader) -> Extent {
    Extent {
        segment: header.number,
        first_seq: header.first_seq,
        length: to_u64(DATA_START),
        rollup: 0,
        next_seq: header.first_seq,
    }
}

/// Whether a copy ends as a successor says that its segment does.
pub(super) fn ends_as(end: &Extent, seal: &Previous) -> bool {
    let is = (end.segment, end.length, end.next_seq, end.rollup);
    is == (seal.number, seal.valid_len, seal.next_seq, seal.rollup)
}

/// Goes over the frames of a segment that check and follow on, from a place to at most a limit, and gives each run of them
/// with where it begins.
pub(super) fn walk(
    segment: &Segment,
    from: Extent,
    limit: Limit,
    take: &mut dyn FnMut(&[u8], u64) -> Result<()>,
) -> Result<Walked> {
    let space = segment.header.space();
    let mut walked = Walked { end: from, watermark: 0, is_sealed: false };
    loop {
        let at = walked.end;
        let bytes = bytes_from(segment, at.length, CHUNK)?;
        let mut rollup = crc32fast::Hasher::new_with_initial(at.rollup);
        let mut end = at;
        let mut rest = bytes.as_slice();
        while let Ok((frame, crc)) = frame_here(rest, space, end.length) {
            let length = to_u64(frame_len(frame.payload.len()));
            let next_seq = end.next_seq.saturating_add(u64::from(frame.header.events));
            let is_beyond = end.length + length > limit.length || next_seq > limit.last_seq.saturating_add(1);
            if frame.header.first_seq != end.next_seq || is_beyond || walked.is_sealed {
                break;
            }
            rollup.update(&crc.to_le_bytes());
            (end.length, end.next_seq) = (end.length + length, next_seq);
            walked.watermark =
                walked.watermark.max(u64::from(frame.header.synced_units) * to_u64(FRAME_ALIGN));
            walked.is_sealed = frame.header.kind == FrameKind::Seal;
            rest = rest.get(to_usize(length)..).unwrap_or_default();
        }
        end.rollup = rollup.finalize();
        let taken = bytes.get(..bytes.len() - rest.len()).unwrap_or_default();
        if taken.is_empty() {
            return Ok(walked);
        }
        take(taken, at.length)?;
        walked.end = end;
        if walked.is_sealed {
            return Ok(walked);
        }
    }
}

/// The copy of a segment, open for more.
#[derive(Debug)]
pub(super) struct Copy {
    file: Arc<dyn VfsFile>,
    path: PathBuf,
}

impl Copy {
    /// Makes a copy of a segment that has the header alone, or opens the one that there is.
    pub(super) fn open(vfs: &dyn Vfs, path: &Path, source: &Segment) -> Result<Self> {
        let file = match vfs.open(path, OpenMode::ReadWrite) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => vfs.open(path, OpenMode::CreateNew),
            opened => opened,
        };
        let file = file.map_err(|e| Error::io("open for writing", path, e))?;
        let copy = Self { file, path: path.to_owned() };
        let header = source.read(0, DATA_START)?;
        let mut block = vec![0; DATA_START];
        // What a backup that was stopped has left may be shorter.
        let is_there = vfs::read_exact_at(&*copy.file, &mut block, 0).is_ok() && block == header;
        if !is_there {
            copy.write(&header, 0)?;
        }
        Ok(copy)
    }

    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        vfs::write_all_at(&*self.file, bytes, offset).map_err(|e| Error::io("write", &self.path, e))
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync().map_err(|e| Error::io("sync", &self.path, e))
    }

    /// Cuts off what does not count.
    pub(super) fn cut(&self, length: u64) -> Result<()> {
        self.file.set_len(length).map_err(|e| Error::io("cut", &self.path, e))?;
        self.sync()
    }
}
