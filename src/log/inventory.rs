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
    /// Lists the directory.
    pub(crate) fn take(vfs: &dyn Vfs, dir: &Path) -> Result<Self> {
        let mut inventory = Self::default();
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
}

fn parse_checkpoint_name(name: &str) -> Option<u64> {
    let epoch = u64::from_str_radix(name.strip_prefix(CHECKPOINT)?, 16).ok()?;
    (checkpoint_name(epoch) == name).then_some(epoch)
}

/// The writer's newest statement, if it is intact, of this store, and still in the file it was written to:
/// a copied store has a CONTROL that may be newer than the segments copied before it.
pub(crate) fn read_control(vfs: &dyn Vfs, dir: &Path, store_id: StoreId) -> Option<Control> {
    let path = dir.join(CONTROL);
    let file = vfs.open(&path, OpenMode::Read).ok()?;
    let mut bytes = vec![0; CONTROL_LEN];
    vfs::read_exact_at(&*file, &mut bytes, 0).ok()?;
    let metadata = file.metadata().ok()?;
    Control::newest(&bytes)
        .filter(|control| {
            control.file_number == metadata.file_number && control.store_id == short_id(store_id)
        })
        .filter(|_| metadata.len >= to_u64(CONTROL_LEN))
}
