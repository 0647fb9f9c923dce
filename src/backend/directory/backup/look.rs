//! A store as a backup looks at it.
//!
//! Owns the order in which the checkpoint, CONTROL, the witnesses and the log are read beside a writer.

use crate::backend::directory::checkpoint_file::{control, newest_checkpoint};
use crate::backend::directory::completeness::Witnesses;
use crate::codec::checkpoint::Checkpoint;
use crate::codec::control::Control;
use crate::error::{Error, ErrorKind, Result};
use crate::log::inventory::Inventory;
use crate::snapshot::layout::{self, Layout};
use crate::vfs::Vfs;

/// A store as it was looked at.
pub(super) struct Look {
    pub(super) inventory: Inventory,
    pub(super) checkpoint: Checkpoint,
    pub(super) control: Option<Control>,
    pub(super) witnesses: Witnesses,
}

impl Look {
    pub(super) fn take(vfs: &dyn Vfs, source: &Layout) -> Result<Self> {
        let log = source.log();
        let none = || {
            let reason = "there is no store in this directory, or one that was never opened for writing: \
                          `aral-store compact` makes one of the original's files";
            Error::new(ErrorKind::NotFound, reason).at(source.root(), None)
        };
        if layout::probe(vfs, &log)?.is_none() {
            return Err(none());
        }
        let inventory = Inventory::take(vfs, &log)?;
        let checkpoint = newest_checkpoint(vfs, &inventory, &log)?.ok_or_else(none)?;
        // Order: the witnesses and CONTROL before the log is listed and read. The log is never behind them then.
        let witnesses = Witnesses::of(vfs, source, checkpoint.head().store_id);
        let control = control(vfs, &log, &checkpoint)?;
        let inventory = Inventory::take(vfs, &log)?;
        let newest = inventory.checkpoints.last().map_or(0, |(epoch, _)| *epoch);
        if newest != checkpoint.head().epoch {
            let reason = format!("checkpoint {newest} was published while the store was looked at");
            return Err(Error::new(ErrorKind::Conflict, reason).at(&log, None));
        }
        Ok(Self { inventory, checkpoint, control, witnesses })
    }
}
