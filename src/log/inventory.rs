//! What lies in the log's directory.
//!
//! Owns the sorting of names into segments, checkpoints and leftovers, and CONTROL's file. Reads names and
//! CONTROL only, changes nothing.

use std::path::{Path, PathBuf};

use super::segment::{self, UNFINISHED};
use crate::codec::bytes::to_u64;
use crate::codec::control::{CONTROL_LEN, Control, short_id};
use crate::codec::segment::StoreId;
use crate::error::{Error, Result};
use crate::model::Seq;
use crate::vfs::{self, FileKind, OpenMode, Vfs};

/// The name of the writer's hint.
pub(crate) const CONTROL: &str = "CONTROL";
/// The name of the file that the writer's lock is on.
pub(crate) const LOCK: &str = "LOCK";
const CHECKPOINT: &str = "CHECKPOINT-";

/// The names in the log's directory, sorted out.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// Segments by number, each with its first sequence number.
    pub(crate) segments: Vec<(u64, Seq, PathBuf)>,
    /// Checkpoints by epoch.
    pub(crate) checkpoints: Vec<(u64, PathBuf)>,
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
            } else if entry.name.ends_with(UNFINISHED) {
                inventory.unfinished.push(path);
            }
        }
        inventory.segments.sort();
        inventory.checkpoints.sort();
        Ok(inventory)
    }

    /// The newest segment by its name; the one before the first that is needed, if there is none.
    pub(crate) fn newest_segment(&self, first_needed: u64) -> u64 {
        self.segments.last().map_or(first_needed.saturating_sub(1), |(number, ..)| *number)
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

/// What a CONTROL that came with a copy of the store says against that copy, in words. It proves nothing, so
/// that it is no more than worth knowing.
pub(crate) fn doubt_about_copy(
    vfs: &dyn Vfs,
    dir: &Path,
    store_id: StoreId,
    newest_segment: u64,
) -> Option<String> {
    let (control, _) = statement(vfs, dir, store_id).filter(|(_, is_own)| !*is_own)?;
    let segment = Some(control.segment).filter(|segment| *segment > newest_segment)?;
    Some(format!(
        "this is a copy, and its CONTROL names segment {segment}, which is not in it: the end of the log may be \
         missing, in {}",
        dir.display()
    ))
}

/// The newest statement of this store, and whether it is still in the file it was written to.
fn statement(vfs: &dyn Vfs, dir: &Path, store_id: StoreId) -> Option<(Control, bool)> {
    let path = dir.join(CONTROL);
    let file = vfs.open(&path, OpenMode::Read).ok()?;
    let mut bytes = vec![0; CONTROL_LEN];
    vfs::read_exact_at(&*file, &mut bytes, 0).ok()?;
    let metadata = file.metadata().ok().filter(|metadata| metadata.len >= to_u64(CONTROL_LEN))?;
    let control = Control::newest(&bytes).filter(|control| control.store_id == short_id(store_id))?;
    Some((control, control.file_number == metadata.file_number))
}
