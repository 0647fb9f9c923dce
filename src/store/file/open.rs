//! Opening a directory: from what is on disk to an index.
//!
//! Owns the order of recovery. For writing: lock, make durable what is about to be believed, finish an
//! interrupted compaction, replay, take in what changed outside, end a torn tail. For reading: the same
//! without a single write. Refuses, with nothing changed, where durable bytes are damaged or missing.

use std::path::Path;
use std::sync::Arc;

use super::completeness::{MarkerFile, Witnesses};
use super::finish::{finish_publication, remove_checkpoints_before};
use super::held;
use super::news;
use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::{BadCheckpoint, Checkpoint, SharedBytes};
use crate::codec::control::Control;
use crate::codec::payload::{BadPayload, for_each_event, too_new};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Index, Misfit, Position};
use crate::log::Placed;
use crate::log::inventory::{self, Inventory};
use crate::log::recovery::{self, Holder, Last, Replayed, Source};
use crate::log::scan::{Frame, Tail};
use crate::log::segment::Segment;
use crate::model::{DamagedFile, RecoveryReport, TornTail};
use crate::snapshot::glance;
use crate::snapshot::layout::{self, Layout};
use crate::vfs::{FileKind, Mapping, OpenMode, Vfs};

/// The longest checkpoint that is read: 64 GiB.
const MAX_CHECKPOINT: u64 = 64 << 30;

/// What opening found.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) index: Index,
    pub(crate) replayed: Replayed,
    pub(crate) report: RecoveryReport,
    pub(crate) control: Option<Control>,
    /// Whether every file of the snapshot has been looked at.
    pub(crate) is_settled: bool,
    /// The newest checkpoint that was there; a reader's index may have a later one.
    pub(super) found_epoch: u64,
    /// What stands outside of the log to say that there is one.
    pub(super) marker: MarkerFile,
}

struct Mapped(Arc<dyn Mapping>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// Reads a checkpoint, through a map where there is one.
pub(crate) fn read_checkpoint(vfs: &dyn Vfs, path: &Path) -> Result<Checkpoint> {
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
pub(crate) fn newest_checkpoint(
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
fn control(vfs: &dyn Vfs, log: &Path, checkpoint: &Checkpoint) -> Result<Option<Control>> {
    let control = inventory::read_control(vfs, log, checkpoint.head().store_id);
    match control {
        Some(control) if control.checkpoint_epoch > checkpoint.head().epoch => {
            let reason = format!("checkpoint {} is missing: CONTROL names it", control.checkpoint_epoch);
            Err(Error::corrupt(log, 0, reason))
        }
        control => Ok(control),
    }
}

/// Replays the log onto its checkpoint.
fn replay(
    source: Source<'_>,
    checkpoint: &Checkpoint,
    report: &mut RecoveryReport,
) -> Result<(Index, Replayed)> {
    let mut index = Index::new(checkpoint.clone());
    let held = held::replay(source, checkpoint, &mut index)?;
    let mut visit = |segment: &Arc<Segment>, frame: &Frame<'_>| apply_frame(&mut index, segment, frame);
    let mut replayed = recovery::replay(source, &mut visit)?;
    report.segments = replayed.segments.len();
    report.orphaned.clone_from(&replayed.orphaned);
    report.events = replayed.next_seq - 1 - checkpoint.head().covered_seq;
    report.last_seq = replayed.next_seq - 1;
    replayed.segments.splice(0..0, held);
    Ok((index, replayed))
}

/// What can be wrong with an event whose checksums are right.
struct Bad(String);

impl From<BadPayload> for Bad {
    fn from(bad: BadPayload) -> Self {
        Self(bad.0)
    }
}

impl From<Misfit> for Bad {
    fn from(bad: Misfit) -> Self {
        Self(bad.0)
    }
}

pub(crate) fn apply_frame(index: &mut Index, segment: &Arc<Segment>, frame: &Frame<'_>) -> Result<()> {
    if frame.header.events == 0 {
        return Ok(());
    }
    if let Some(reason) = too_new(frame.header.schema) {
        return Err(Error::new(ErrorKind::UnsupportedFormat, reason).at(&segment.path, Some(frame.offset)));
    }
    let placed = Placed {
        segment: segment.header.number,
        offset: frame.offset + to_u64(crate::codec::frame::FRAME_ALIGN),
        first_seq: frame.header.first_seq,
        events: frame.header.events,
        payload: frame.payload,
        crc: frame.header.payload_crc,
    };
    apply_payload(index, &placed).map_err(|reason| Error::corrupt(&segment.path, frame.offset, reason))
}

/// Applies the events of a payload whose checksum is known to be right.
pub(crate) fn apply_payload(index: &mut Index, placed: &Placed<'_>) -> std::result::Result<(), String> {
    let mut seq = placed.first_seq;
    let applied = for_each_event::<Bad>(placed.payload, placed.events, |view, range| {
        let offset = placed.offset + to_u64(range.start);
        let position = if range.len() == placed.payload.len() {
            Position::in_segment_known(placed.segment, offset, range.len(), placed.crc)
        } else {
            let bytes = placed.payload.get(range).unwrap_or_default();
            Position::in_segment(placed.segment, offset, bytes)
        };
        index.apply(view, seq, position)?;
        seq += 1;
        Ok(())
    });
    applied.map_err(|bad| bad.0)
}

pub(crate) fn torn_tail(last: &Last, quarantine: Option<std::path::PathBuf>) -> Option<TornTail> {
    let Tail::Torn(beyond) = last.tail else { return None };
    Some(TornTail {
        path: last.segment.path.clone(),
        offset: last.end_offset,
        bytes: beyond.written_end - last.end_offset,
        discarded_events: beyond.events,
        quarantine,
    })
}

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
    // one; they are checked one by one as they are read, and the next reader surveys them.
    if inventory.checkpoints.len() <= 1 {
        let reliance = |id: &str| index.reliance(id);
        if !glance::is_all_as_recorded(vfs, layout, &checkpoint, &reliance)? {
            if let Some(newer) = news::find(vfs, layout, &checkpoint, &reliance, &mut report)? {
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
    harden_names(vfs, layout)?;
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
        let taken_in = news::take_in(vfs, layout, &checkpoint, &|id| index.reliance(id), &mut report)?;
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
    glance::is_list_as_recorded(vfs, layout, checkpoint.head().index_file.as_ref())
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

/// Makes the names durable that are about to be believed: they may be in the cache only, if the last writer
/// was killed, and whatever is acknowledged from now on is built on them.
pub(super) fn harden_names(vfs: &dyn Vfs, layout: &Layout) -> Result<()> {
    layout::sync_dir(vfs, &layout.log())?;
    let conversations = layout.conversations();
    match layout::probe(vfs, &conversations)? {
        None => {}
        Some(metadata) if metadata.kind == FileKind::Directory => layout::sync_dir(vfs, &conversations)?,
        // A link here would make everything that follows work elsewhere.
        Some(_) => return Err(Error::invalid("not a directory of its own").at(&conversations, None)),
    }
    layout::sync_dir(vfs, layout.root())
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
