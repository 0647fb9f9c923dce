//! Keeping for consumers what a compaction covers and they have not read.
//!
//! Owns which segments that are, up to how many bytes, and what becomes of them once they are not needed. Order: the cursors are
//! looked at behind the commit of the checkpoint. Before it, a consumer could come in between, see that all is there, and miss it.

use super::consumers::lowest_cursor;
use crate::codec::checkpoint::Checkpoint;
use crate::error::Result;
use crate::log::inventory::Inventory;
use crate::snapshot::layout::{self, Layout};
use crate::vfs::Vfs;

/// The number of the oldest segment that is kept for consumers alone; `None` if none is.
pub(super) fn kept_from(
    vfs: &dyn Vfs,
    layout: &Layout,
    checkpoint: &Checkpoint,
    most_bytes: u64,
) -> Result<Option<u64>> {
    let Some(lowest) = lowest_cursor(vfs, layout, &checkpoint.head().store_id) else { return Ok(None) };
    let inventory = Inventory::take(vfs, &layout.log())?;
    let first_segment = checkpoint.head().first_segment;
    let readable = inventory.readable(first_segment);
    let (mut from, mut bytes) = (None, 0_u64);
    let behind = readable.iter().skip(1).map(|(_, first_seq, _)| *first_seq);
    let covered = readable.iter().zip(behind).filter(|((number, ..), _)| *number < first_segment);
    let covered: Vec<_> = covered.collect();
    for ((number, _, path), next_seq) in covered.into_iter().rev() {
        if next_seq <= lowest + 1 {
            break;
        }
        // What is needed anyway takes no room for consumers.
        if !checkpoint.needs_segment(*number) {
            bytes += layout::probe(vfs, path)?.map_or(0, |metadata| metadata.len);
        }
        if bytes > most_bytes {
            break;
        }
        from = Some(*number);
    }
    Ok(from)
}

/// Removes what was kept for consumers and is not needed any more.
pub(super) fn drop_read(vfs: &dyn Vfs, layout: &Layout, kept_from: Option<u64>) -> Result<()> {
    let inventory = Inventory::take(vfs, &layout.log())?;
    let is_kept = |number: u64| kept_from.is_some_and(|from| number >= from);
    let mut is_any = false;
    for (_, _, path) in inventory.unread.iter().filter(|(number, ..)| !is_kept(*number)) {
        layout::remove_file(vfs, path)?;
        is_any = true;
    }
    if is_any { layout::sync_dir(vfs, &layout.log()) } else { Ok(()) }
}
