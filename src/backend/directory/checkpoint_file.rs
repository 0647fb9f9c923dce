//! Checkpoints and CONTROL, as files.

use std::path::Path;
use std::sync::Arc;

use crate::codec::checkpoint::{BadCheckpoint, Checkpoint, SharedBytes};
use crate::codec::control::Control;
use crate::error::{Error, ErrorKind, Result};
use crate::log::inventory::{self, Inventory};
use crate::vfs::{Mapping, OpenMode, Vfs};

/// The longest checkpoint that is read: 64 GiB.
const MAX_CHECKPOINT: u64 = 64 << 30;

struct Mapped(Arc<dyn Mapping>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// Reads a checkpoint, through a map where there is one.
pub(super) fn read_checkpoint(vfs: &dyn Vfs, path: &Path) -> Result<Checkpoint> {
    let file = vfs.open(path, OpenMode::Read).map_err(|e| Error::io("open", path, e))?;
    let bytes: SharedBytes = match file.map().map_err(|e| Error::io("map", path, e))? {
        Some(map) => Arc::new(Mapped(map)),
        None => {
            Arc::new(crate::vfs::read_all(&*file, MAX_CHECKPOINT).map_err(|e| Error::io("read", path, e))?)
        }
    };
    Checkpoint::parse(bytes).map_err(|bad| match bad {
        BadCheckpoint::Newer(major) => Error::new(
            ErrorKind::UnsupportedFormat,
            format!("format {major} is newer than this software, which reads formats 1 and 2"),
        )
        .at(path, Some(8)),
        BadCheckpoint::Damaged(offset, reason) => Error::corrupt(path, offset, reason),
    })
}

/// The newest checkpoint; `None` in a directory that has no log yet.
pub(super) fn newest_checkpoint(
    vfs: &dyn Vfs,
    inventory: &Inventory,
    log: &Path,
) -> Result<Option<Checkpoint>> {
    let Some((epoch, path)) = inventory.checkpoints.last() else {
        if inventory.segments.is_empty() {
            return Ok(None);
        }
        return Err(Error::corrupt(log, 0, "there are log segments and no checkpoint"));
    };
    let checkpoint = read_checkpoint(vfs, path)?;
    if checkpoint.head().epoch != *epoch {
        return Err(Error::corrupt(path, 32, "the checkpoint belongs to another file name"));
    }
    Ok(Some(checkpoint))
}

/// What CONTROL says, held against the checkpoint.
pub(super) fn control(vfs: &dyn Vfs, log: &Path, checkpoint: &Checkpoint) -> Result<Option<Control>> {
    let control = inventory::read_control(vfs, log, checkpoint.head().store_id);
    match control {
        Some(control) if control.checkpoint_epoch > checkpoint.head().epoch => {
            let reason = format!("checkpoint {} is missing: CONTROL names it", control.checkpoint_epoch);
            Err(Error::corrupt(log, 0, reason))
        }
        control => Ok(control),
    }
}
