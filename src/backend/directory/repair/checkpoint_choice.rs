//! Which of a damaged store's checkpoints a repair goes by.
//!
//! Owns the choice of the newest one that can be read, and the turning back of one flipped bit in it.

use std::path::Path;
use std::sync::Arc;

use super::{is_no_damage, loss, readable};
use crate::backend::directory::checkpoint_file::read_checkpoint;
use crate::codec::checkpoint::{Checkpoint, CheckpointHead};
use crate::error::{Error, ErrorKind, Result};
use crate::log::inventory::Inventory;
use crate::model::RepairReport;
use crate::snapshot::load::is_same;
use crate::snapshot::{bit_flip, layout};
use crate::vfs::Vfs;

/// The checkpoint that a repair goes by.
pub(super) struct CheckpointChoice {
    /// Epoch 0 if there is none.
    pub(super) checkpoint: Checkpoint,
    /// The highest epoch that a file has, readable or not.
    pub(super) newest_epoch: u64,
    /// Whether a newer one cannot be read.
    pub(super) is_behind: bool,
    /// What the header of that newer one says, if that much of it can be read.
    pub(super) lost: Option<CheckpointHead>,
    /// That newer one, if it is only its files that cannot be read.
    pub(super) newer: Option<Checkpoint>,
}

impl CheckpointChoice {
    /// Whether a compaction that the checkpoint does not know of may have put a file in its place. What it had
    /// published was not changed from outside; where its checkpoint is lost nobody can tell, and that loss is told.
    pub(super) fn has_published(&self, vfs: &dyn Vfs, path: &Path) -> bool {
        let Some(newer) = &self.newer else { return self.is_behind };
        let print = layout::print_of(vfs, path).ok().flatten();
        print.is_some_and(|print| newer.entries().any(|entry| is_same(&entry.file, &print)))
    }

    /// Reads the newest checkpoint that can be read.
    pub(super) fn find(vfs: &dyn Vfs, inventory: &Inventory, report: &mut RepairReport) -> Result<Self> {
        let newest_epoch = inventory.checkpoints.last().map_or(0, |(epoch, _)| *epoch);
        let checkpoint = Checkpoint::empty([0; 16]);
        let mut found = Self { checkpoint, newest_epoch, is_behind: false, lost: None, newer: None };
        for (_, path) in inventory.checkpoints.iter().rev() {
            let error = match read_checkpoint(vfs, path) {
                Ok(checkpoint) => {
                    found.checkpoint = checkpoint;
                    return Ok(found);
                }
                Err(error) if error.kind() == ErrorKind::UnsupportedFormat || is_no_damage(&error) => {
                    return Err(error);
                }
                Err(error) => error,
            };
            let read = readable(layout::read_file(vfs, path))?;
            let bytes = read.map(|(bytes, _)| bytes).unwrap_or_default();
            if let Some(checkpoint) = mended(&bytes) {
                report.notes.push(format!("one bit was flipped, and has been turned back: {error}"));
                found.checkpoint = checkpoint;
                return Ok(found);
            }
            found.is_behind = true;
            found.lost = found.lost.or(Checkpoint::head_alone(&bytes));
            let reason = format!(
                "the checkpoint is lost, and with it versions and idempotency keys up to it: {}",
                error.message()
            );
            let mut lost = loss(&error, None, None);
            lost.reason = reason;
            report.lost.push(lost);
            if Checkpoint::says_of_held(&bytes) {
                let reason = "the lost checkpoint said which events of damaged files were held in older segments; \
                              they are not carried out";
                report.lost.push(loss(&Error::new(ErrorKind::Corrupt, reason).at(path, None), None, None));
            }
        }
        if newest_epoch == 0 && !inventory.segments.is_empty() {
            found.is_behind = true;
            let reason = "there is no checkpoint, so nothing says which events the files have";
            let dir = inventory.segments.first().and_then(|(_, _, path)| path.parent()).map(Path::to_owned);
            let error = Error::corrupt(&dir.unwrap_or_default(), 0, reason);
            report.lost.push(loss(&error, None, None));
        }
        Ok(found)
    }
}

/// Puts the checkpoints in the order of what they say of themselves, whatever their names say.
pub(super) fn sort_by_header(
    vfs: &dyn Vfs,
    inventory: &mut Inventory,
    report: &mut RepairReport,
) -> Result<()> {
    for (epoch, path) in &mut inventory.checkpoints {
        let read = readable(layout::read_file(vfs, path))?;
        let head = read.and_then(|(bytes, _)| Checkpoint::head_alone(&bytes));
        if let Some(head) = head.filter(|head| head.epoch != *epoch) {
            report.notes.push(format!("the checkpoint belongs to another file name: {}", path.display()));
            *epoch = head.epoch;
        }
    }
    inventory.checkpoints.sort();
    Ok(())
}

/// A checkpoint of which one bit is flipped.
fn mended(bytes: &[u8]) -> Option<Checkpoint> {
    let (body, crc) = Checkpoint::checked_part(bytes)?;
    let parse = |body: Vec<u8>| Checkpoint::parse(Arc::new(Checkpoint::with_trailer(body))).ok();
    // The flipped bit may be one of the checksum's own, or of the mark behind it.
    let is_own = (crc ^ crc32fast::hash(body)).count_ones() <= 1;
    if is_own { parse(body.to_vec()) } else { parse(bit_flip::turned_back(body, crc)?) }
}
