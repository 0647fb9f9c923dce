//! Finishing at an opening what a compaction had committed and not published to the end.
//!
//! Owns the order of it, and what becomes of a conversation whose file somebody has replaced since it was put in
//! place: its events are in segments that the compaction covers, so they are held there instead of dropped.

use std::sync::Arc;

use super::checkpoint_file::read_checkpoint;
use super::external_changes::remove_strays;
use super::unread;
use crate::codec::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::log::inventory::Inventory;
use crate::log::segment::Segment;
use crate::model::{CompactionReport, RecoveryReport};
use crate::snapshot::held::hold_replaced;
use crate::snapshot::layout::{self, Layout};
use crate::snapshot::publish;
use crate::vfs::Vfs;

/// Completes a compaction that was committed and not published to the end, and removes what it and others
/// left behind. Gives the checkpoint that counts from then on, if that is another one.
pub(super) fn finish_publication(
    vfs: &dyn Vfs,
    layout: &Layout,
    inventory: &Inventory,
    checkpoint: &Checkpoint,
    report: &mut RecoveryReport,
) -> Result<Option<Checkpoint>> {
    let head = checkpoint.head();
    let mut newer = None;
    if let [.., (_, older), _] = inventory.checkpoints.as_slice() {
        let path = older;
        let older = read_checkpoint(vfs, path)?;
        if older.head().store_id != head.store_id {
            return Err(Error::corrupt(path, 16, "the two checkpoints are of one store and another store"));
        }
        // Order: look at all that is staged before anything is moved. Reversed, a file that has rotted since
        // would replace a sound one, and the log that could have made it again would be dropped behind it.
        publish::check_staged(vfs, layout, checkpoint)?;
        let mut done = CompactionReport::default();
        let replaced = publish::roll_forward(vfs, layout, &older, checkpoint, &mut done)?;
        report.completed_compaction = Some(head.epoch);
        report.quarantined.extend(done.quarantined);
        // Order: say what is held before anything is dropped. Reversed, a crash would leave a conversation without
        // its file and without the events that were in it.
        // Where nothing is left of what was to be dropped, all was in place once, and there is nothing to hold. What is
        // held from before stays, and tells nothing.
        let mut left = inventory.segments.iter().filter(|(number, ..)| !checkpoint.needs_segment(*number));
        if !replaced.is_empty() && left.next().is_some() {
            newer = Some(hold(vfs, layout, inventory, (&older, checkpoint), &replaced)?);
        }
    } else {
        publish::check_published(vfs, layout, checkpoint)?;
    }
    let checkpoint = newer.as_ref().unwrap_or(checkpoint);
    remove_strays(vfs, layout, checkpoint, report)?;
    // How much is kept at most is for a compaction to say.
    let unread = unread::kept_from(vfs, layout, checkpoint, u64::MAX)?;
    let all: Vec<_> = inventory.segments.iter().map(|(number, _, path)| (*number, path.as_path())).collect();
    let is_dropped = |number| !checkpoint.needs_segment(number);
    report.quarantined.extend(publish::drop_segments(vfs, layout, &all, &is_dropped, unread)?);
    remove_checkpoints_before(vfs, layout, inventory, checkpoint.head().epoch)?;
    Ok(newer)
}

/// Commits a checkpoint that holds the events of conversations whose files were replaced, as a compaction would have
/// if it had found them so.
fn hold(
    vfs: &dyn Vfs,
    layout: &Layout,
    inventory: &Inventory,
    (older, checkpoint): (&Checkpoint, &Checkpoint),
    replaced: &[usize],
) -> Result<Checkpoint> {
    let mut segments = Vec::new();
    for (number, first_seq, path) in &inventory.segments {
        let segment = Segment::open(vfs, path, (*number, *first_seq))?;
        if segment.header.store_id != checkpoint.head().store_id {
            return Err(Error::corrupt(path, 24, "the segment belongs to another store"));
        }
        segments.push(Arc::new(segment));
    }
    let bytes = hold_replaced(layout, older, checkpoint, replaced, &segments)?;
    let epoch = checkpoint.head().epoch + 1;
    publish::commit(vfs, layout, epoch, &bytes)?;
    read_checkpoint(vfs, &layout.checkpoint(epoch))
}

/// Removes the checkpoints that a newer one has replaced.
pub(super) fn remove_checkpoints_before(
    vfs: &dyn Vfs,
    layout: &Layout,
    inventory: &Inventory,
    epoch: u64,
) -> Result<()> {
    let older: Vec<_> = inventory.checkpoints.iter().filter(|(other, _)| *other < epoch).collect();
    for (_, path) in &older {
        layout::remove_file(vfs, path)?;
    }
    if older.is_empty() { Ok(()) } else { layout::sync_dir(vfs, &layout.log()) }
}
