//! What lies in the log's directory.
//!
//! Owns the sorting of names into segments, checkpoints and leftovers, and CONTROL's file. Reads names and
//! CONTROL only, changes nothing.

use std::path::{Path, PathBuf};

use super::segment::{self, UNFINISHED};
use crate::codec::bytes::to_u64;
use crate::codec::control::{CONTROL_LEN, Control, short_id};
use crate::codec::frame::FRAME_ALIGN;
use crate::codec::segment::StoreId;
use crate::error::{Error, Result};
use crate::model::Seq;
use crate::vfs::{self, FileKind, OpenMode, Vfs};

/// The name of the writer's hint.
pub(crate) const CONTROL: &str = "CONTROL";
/// The name of the file that the writer's lock is on.
pub(crate) const LOCK: &str = "LOCK";
/// The name of the file whose lock those have who are the next to get the writer's.
pub(crate) const TURN: &str = "TURN";
const CHECKPOINT: &str = "CHECKPOINT-";

/// The names in the log's directory, sorted out.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// Segments by number, each with its first sequence number.
    pub(crate) segments: Vec<(u64, Seq, PathBuf)>,
    /// Checkpoints by epoch.
    pub(crate) checkpoints: Vec<(u64, PathBuf)>,
    /// Segments that are kept for consumers alone, likewise.
    pub(crate) unread: Vec<(u64, Seq, PathBuf)>,
    /// Files that were not finished.
    pub(crate) unfinished: Vec<PathBuf>,
}

/// The name of a checkpoint's file.
pub(crate) fn checkpoint_name(epoch: u64) -> String {
    format!("{CHECKPOINT}{epoch:016x}")
}

impl Inventory {
    /// Lists the directory, which must be one: a link in its place would show another store's log.
    pub(crate) fn take(vfs: &dyn Vfs, dir: &Path) -> Result<Self> {
        let mut inventory = Self::default();
        let metadata = vfs.metadata(dir).map_err(|e| Error::io("look at", dir, e))?;
        if metadata.kind != FileKind::Directory {
            return Err(Error::invalid("not a directory of its own").at(dir, None));
        }
        for entry in vfs.read_dir(dir).map_err(|e| Error::io("list", dir, e))? {
            let path = dir.join(&entry.name);
            if entry.kind != FileKind::File || !entry.name_is_exact {
                continue;
            }
            if let Some((number, first_seq)) = segment::parse_name(&entry.name) {
                inventory.segments.push((number, first_seq, path));
            } else if let Some(epoch) = parse_checkpoint_name(&entry.name) {
                inventory.checkpoints.push((epoch, path));
            } else if let Some((number, first_seq)) = segment::parse_unread_name(&entry.name) {
                inventory.unread.push((number, first_seq, path));
            } else if entry.name.ends_with(UNFINISHED) {
                inventory.unfinished.push(path);
            }
        }
        inventory.segments.sort();
        inventory.unread.sort();
        inventory.checkpoints.sort();
        Ok(inventory)
    }

    /// A segment by its number.
    pub(crate) fn find(&self, number: u64) -> Option<&(u64, Seq, PathBuf)> {
        self.segments.iter().chain(&self.unread).find(|(other, ..)| *other == number)
    }

    /// The segments that can be read one behind the other, oldest first: from the first one on that a checkpoint needs, and
    /// those right before it that are still there.
    pub(crate) fn readable(&self, first_segment: u64) -> Vec<&(u64, Seq, PathBuf)> {
        let mut first = first_segment;
        while let Some(before) = first.checked_sub(1).filter(|before| self.find(*before).is_some()) {
            first = before;
        }
        let covered = (first..first_segment).filter_map(|number| self.find(number));
        covered.chain(self.segments.iter().filter(|(number, ..)| *number >= first_segment)).collect()
    }
}

fn parse_checkpoint_name(name: &str) -> Option<u64> {
    let epoch = u64::from_str_radix(name.strip_prefix(CHECKPOINT)?, 16).ok()?;
    (checkpoint_name(epoch) == name).then_some(epoch)
}

/// The writer's newest statement, if it is intact, of this store, and still in the file it was written to:
/// a copied store has a CONTROL that may be newer than the segments copied before it.
pub(crate) fn read_control(vfs: &dyn Vfs, dir: &Path, store_id: StoreId) -> Option<Control> {
    statement(vfs, dir, store_id).filter(|(_, is_own)| *is_own).map(|(control, _)| control)
}

/// Where a log ends that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct LogEnd {
    /// The newest checkpoint's epoch.
    pub(crate) checkpoint_epoch: u64,
    /// The newest segment's number.
    pub(crate) segment: u64,
    /// The epoch of the writer that made it.
    pub(crate) writer_epoch: u64,
    /// How many of its bytes count.
    pub(crate) offset: u64,
}

/// The statement of a CONTROL that came with a copy of the store: it is not in the file it was written to.
pub(crate) fn copied_control(vfs: &dyn Vfs, dir: &Path, store_id: StoreId) -> Option<Control> {
    statement(vfs, dir, store_id).filter(|(_, is_own)| !*is_own).map(|(control, _)| control)
}

/// What a CONTROL that came with a copy of the store says was durable and is not in that copy, in words.
///
/// A copy of a store that is being written takes CONTROL and the segments at different moments. If CONTROL is the
/// newer one, events that it vouches for may have been acknowledged before the copying began. If it is not, the
/// copy has all that was acknowledged by then, because CONTROL is written before anything is acknowledged.
pub(crate) fn shortfall(control: &Control, end: &LogEnd) -> Option<String> {
    let durable = u64::from(control.durable_units) * to_u64(FRAME_ALIGN);
    let is_same = control.segment == end.segment && control.writer_epoch == end.writer_epoch;
    if control.segment > end.segment {
        Some(format!("CONTROL names segment {}, which is not here", control.segment))
    } else if control.checkpoint_epoch > end.checkpoint_epoch {
        Some(format!("CONTROL names checkpoint {}, which is not here", control.checkpoint_epoch))
    } else if is_same && durable > end.offset {
        Some(format!(
            "CONTROL says that {durable} bytes of segment {} were durable, and {} are here",
            end.segment, end.offset
        ))
    } else {
        None
    }
}

/// Whether CONTROL speaks of a checkpoint, of whichever store. A writer makes its first checkpoint durable before
/// it writes CONTROL, so where there is none it has been taken away.
pub(crate) fn names_a_checkpoint(vfs: &dyn Vfs, dir: &Path) -> bool {
    read_control_file(vfs, dir)
        .and_then(|(bytes, _)| Control::newest(&bytes))
        .is_some_and(|control| control.checkpoint_epoch > 0)
}

/// The newest statement of this store, and whether it is still in the file it was written to.
fn statement(vfs: &dyn Vfs, dir: &Path, store_id: StoreId) -> Option<(Control, bool)> {
    let (bytes, file_number) = read_control_file(vfs, dir)?;
    let control = Control::newest(&bytes).filter(|control| control.store_id == short_id(store_id))?;
    Some((control, control.file_number == file_number))
}

/// CONTROL's bytes, and the number of the file that they are in.
fn read_control_file(vfs: &dyn Vfs, dir: &Path) -> Option<(Vec<u8>, u64)> {
    let file = vfs.open(&dir.join(CONTROL), OpenMode::Read).ok()?;
    let mut bytes = vec![0; CONTROL_LEN];
    vfs::read_exact_at(&*file, &mut bytes, 0).ok()?;
    let metadata = file.metadata().ok().filter(|metadata| metadata.len >= to_u64(CONTROL_LEN))?;
    Some((bytes, metadata.file_number))
}
