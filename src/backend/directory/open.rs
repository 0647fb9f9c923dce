//! Opening a directory: from what is on disk to an index.
//!
//! Owns the order of recovery. For writing: lock, make durable what is about to be believed, finish an
//! interrupted compaction, replay, take in what changed outside, end a torn tail. For reading: the same
//! without a single write. Refuses, with nothing changed, where durable bytes are damaged or missing.

use std::path::Path;

use super::checkpoint_file::{control, newest_checkpoint};
use super::completeness::Witnesses;
use super::external_changes::{found_changes, sync_names, take_in};
use super::finish::{finish_publication, remove_checkpoints_before};
use super::opened::Opened;
use super::replay::{replay, torn_tail};
use crate::codec::checkpoint::Checkpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::log::inventory::Inventory;
use crate::log::recovery::{self, Holder, Last, Source};
use crate::log::scan::Tail;
use crate::model::{DamagedFile, RecoveryReport};
use crate::snapshot::layout::{self, Layout};
use crate::snapshot::stat_check;
use crate::vfs::Vfs;

/// Opens for reading: writes nothing.
pub(crate) fn for_reading(vfs: &dyn Vfs, layout: &Layout) -> Result<Opened> {
    let log = layout.log();
    let mut report = RecoveryReport::default();
    let inventory = match layout::probe(vfs, &log)? {
        Some(_) => Inventory::take(vfs, &log)?,
        None => Inventory::default(),
    };
    let found = newest_checkpoint(vfs, &inventory, &log)?;
    let is_new = found.is_none();
    let checkpoint = found.unwrap_or_else(|| Checkpoint::empty([0; 16]));
    let witnesses = Witnesses::of(vfs, layout, checkpoint.head().store_id);
    let control = control(vfs, &log, &checkpoint)?;
    let (head, stated) = (checkpoint.head(), control.as_ref());
    let source = Source { vfs, inventory: &inventory, head, control: stated, holder: Holder::Anybody };
    let (mut index, replayed) = replay(source, &checkpoint, &mut report)?;
    report.torn = replayed.last.as_ref().and_then(|last| torn_tail(last, None));
    let missing =
        if is_new { witnesses.of_no_log(layout) } else { witnesses.of_log(layout, head, &replayed) };
    // While a compaction is being published the files are neither as the old checkpoint says nor as the new
    // one; they are checked one by one as they are read, and the next reader reconciles them.
    if inventory.checkpoints.len() <= 1 {
        let reliance = |id: &str| index.reliance(id);
        if !stat_check::is_all_as_recorded(vfs, layout, &checkpoint, &reliance)? {
            if let Some(newer) = found_changes(vfs, layout, &checkpoint, &reliance, &mut report)? {
                index.refresh(newer);
            }
        }
    }
    // A compaction that was published meanwhile leaves the files as neither of the two checkpoints says.
    let newest = |inventory: &Inventory| inventory.checkpoints.last().map(|(epoch, _)| *epoch);
    if layout::probe(vfs, &log)?.is_some() && newest(&Inventory::take(vfs, &log)?) != newest(&inventory) {
        return Err(Error::new(ErrorKind::Conflict, "a compaction was published while the store was opened"));
    }
    // What is here can be read all the same; whoever reads it is told that there was more.
    report.damaged.extend(missing.map(|error| DamagedFile {
        path: error.place().map_or(log, |place| place.path.clone()),
        offset: None,
        conversation_id: None,
        reason: error.message().to_owned(),
        is_forbidden: error.is_forbidden(),
    }));
    let (marker, found_epoch) = (witnesses.marker(), newest(&inventory).unwrap_or_default());
    Ok(Opened { index, replayed, report, control, is_settled: true, found_epoch, marker })
}

/// Opens for writing, with the lock held.
pub(crate) fn for_writing(vfs: &dyn Vfs, layout: &Layout, store_id: [u8; 16]) -> Result<Opened> {
    let log = layout.log();
    let mut report = RecoveryReport::default();
    let mut inventory = finished_files(vfs, &log, &mut report)?;
    let found = newest_checkpoint(vfs, &inventory, &log)?;
    let is_new = found.is_none();
    report.made = is_new && !is_originals(vfs, layout)?;
    let mut checkpoint = found.unwrap_or_else(|| Checkpoint::empty(store_id));
    let witnesses = Witnesses::of(vfs, layout, checkpoint.head().store_id);
    let control = control(vfs, &log, &checkpoint)?;
    if is_new {
        if let Some(missing) = witnesses.of_no_log(layout) {
            return Err(missing);
        }
    }
    if is_new {
        // Order: sync the way to the directory before the first checkpoint is in it. Whoever made the
        // directory may have died before, and a crash would take the whole store with its name.
        harden_way(vfs, layout.root())?;
    }
    sync_names(vfs, layout)?;
    let must_settle =
        is_new || has_leftovers(&inventory, &checkpoint) || !is_list_known(vfs, layout, &checkpoint)?;
    if must_settle {
        if let Some(newer) = finish_publication(vfs, layout, &inventory, &checkpoint, &mut report)? {
            checkpoint = newer;
            inventory = Inventory::take(vfs, &log)?;
        }
    }
    let (head, stated) = (checkpoint.head(), control.as_ref());
    let source = Source { vfs, inventory: &inventory, head, control: stated, holder: Holder::Caller };
    let (mut index, replayed) = replay(source, &checkpoint, &mut report)?;
    // Order: refuse before anything is built on an end that was not the log's. Reversed, what is appended would
    // take the numbers of what is missing, and nobody could tell any more that it is.
    match witnesses.of_log(layout, head, &replayed) {
        Some(missing) if !is_new => return Err(missing),
        _ => {}
    }
    if must_settle {
        let taken_in = take_in(vfs, layout, &checkpoint, &|id| index.reliance(id), &mut report)?;
        if let Some(newer) = taken_in {
            let epoch = newer.head().epoch;
            index.refresh(newer);
            remove_checkpoints_before(vfs, layout, &inventory, epoch)?;
        }
    }
    if let Some(last) = &replayed.last {
        end_tail(vfs, layout, last, &mut report)?;
    }
    let (marker, found_epoch) = (witnesses.marker(), index.checkpoint().head().epoch);
    Ok(Opened { index, replayed, report, control, is_settled: must_settle, found_epoch, marker })
}

/// Whether the original, or somebody's copy of what it writes, is in the directory.
fn is_originals(vfs: &dyn Vfs, layout: &Layout) -> Result<bool> {
    Ok(layout::probe(vfs, &layout.index_file())?.is_some()
        || layout::probe(vfs, &layout.conversations())?.is_some())
}

/// What is in the log's directory, once what was not finished is gone.
fn finished_files(vfs: &dyn Vfs, log: &Path, report: &mut RecoveryReport) -> Result<Inventory> {
    let inventory = Inventory::take(vfs, log)?;
    if inventory.unfinished.is_empty() {
        return Ok(inventory);
    }
    for unfinished in inventory.unfinished {
        layout::remove_file(vfs, &unfinished)?;
        report.removed.push(unfinished);
    }
    // Order: list again once they are gone. A writer that was overtaken while it made one may have given it its name
    // before it was removed here, and cannot any more.
    Inventory::take(vfs, log)
}

/// Whether a compaction was cut behind its commit, or what it was to drop is still there.
fn has_leftovers(inventory: &Inventory, checkpoint: &Checkpoint) -> bool {
    inventory.checkpoints.len() > 1
        || inventory.segments.iter().any(|(number, ..)| !checkpoint.needs_segment(*number))
}

fn is_list_known(vfs: &dyn Vfs, layout: &Layout, checkpoint: &Checkpoint) -> Result<bool> {
    stat_check::is_list_as_recorded(vfs, layout, checkpoint.head().index_file.as_ref())
}

/// Makes the names on the way to a directory durable. Directories that may not be read are not ours to sync.
fn harden_way(vfs: &dyn Vfs, root: &Path) -> Result<()> {
    for dir in root.ancestors().skip(1) {
        match vfs.sync_dir(dir) {
            // Not every system lets everybody sync every directory above; nothing more can be done there.
            Err(error) if !is_a_failure(&error) => {}
            synced => synced.map_err(|e| Error::io("sync", dir, e))?,
        }
    }
    Ok(())
}

/// Whether a failed sync means that something may be lost, and not merely that it cannot be asked for.
fn is_a_failure(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    ![InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported].contains(&error.kind())
}

/// Sets a torn tail aside and makes what counts of the newest segment durable.
fn end_tail(vfs: &dyn Vfs, layout: &Layout, last: &Last, report: &mut RecoveryReport) -> Result<()> {
    if matches!(last.tail, Tail::Torn(_)) {
        let dir = layout.quarantine();
        if layout::ensure_dir(vfs, &dir)? {
            layout::sync_dir(vfs, &layout.log())?;
        }
        let copy = dir.join(format!("torn-{:016x}-{:x}", last.segment.header.number, last.end_offset));
        recovery::quarantine(vfs, last, &copy)?;
        layout::sync_dir(vfs, &dir)?;
        report.torn = torn_tail(last, Some(copy));
    }
    recovery::harden(vfs, last)
}
