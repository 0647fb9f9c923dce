//! Whether a log is all of what its writer had made durable.
//!
//! Owns the two witnesses that a log cannot be for itself. CONTROL, which is written after each sync and before
//! anything is acknowledged, tells of the end of a log that was copied while it was written. The marker, beside
//! the JSON files, tells of a `log/` that is gone, is another store's, or is an older copy. What they find is no
//! damage of any byte, so readers show what is here and say so; a writer would build on it and is refused.

use std::path::Path;

use super::checkpoint_file::newest_checkpoint;
use crate::codec::checkpoint::CheckpointHead;
use crate::codec::control::Control;
use crate::codec::marker::{MAX_MARKER, Marker};
use crate::codec::segment::StoreId;
use crate::error::{Error, Result};
use crate::log::inventory::{self, Inventory, LogEnd};
use crate::log::recovery::{Holder, Replayed, Source, replay};
use crate::model::Seq;
use crate::snapshot::layout::{self, Layout};
use crate::vfs::{self, OpenMode, Vfs};

/// What an owner can do about a log that is not all there.
const REMEDY: &str = "put the rest back, or let `aral-store repair` keep what is here";

/// What is known of a log from elsewhere.
#[derive(Debug)]
pub(super) struct Witnesses {
    control: Option<Control>,
    marker: MarkerFile,
    /// CONTROL speaks of a checkpoint, whichever store's it is.
    had_a_checkpoint: bool,
}

/// What is in the marker's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum MarkerFile {
    Absent,
    Unreadable,
    Found(Marker),
}

/// Reads the marker. One that cannot be read says nothing.
pub(super) fn read_marker(vfs: &dyn Vfs, layout: &Layout) -> MarkerFile {
    let path = layout.marker();
    if !matches!(layout::probe(vfs, &path), Ok(Some(_))) {
        return MarkerFile::Absent;
    }
    let bytes = vfs.open(&path, OpenMode::Read).and_then(|file| vfs::read_all(&*file, MAX_MARKER));
    let marker = bytes.ok().and_then(|bytes| Marker::decode(&bytes));
    marker.map_or(MarkerFile::Unreadable, MarkerFile::Found)
}

/// Puts a marker in its place.
///
/// When this returns, it is durable.
pub(super) fn write_marker(vfs: &dyn Vfs, layout: &Layout, marker: &Marker) -> Result<()> {
    let path = layout.marker();
    let unfinished = path.with_extension("tmp");
    layout::remove_file(vfs, &unfinished)?;
    layout::write_file(vfs, &unfinished, marker.encode().as_bytes())?;
    vfs.rename(&unfinished, &path).map_err(|e| Error::io("rename", &unfinished, e))?;
    layout::sync_dir(vfs, layout.root())
}

/// Takes the marker away.
///
/// When this returns, it is gone for good.
pub(super) fn remove_marker(vfs: &dyn Vfs, layout: &Layout) -> Result<()> {
    layout::remove_file(vfs, &layout.marker())?;
    layout::sync_dir(vfs, layout.root())
}

impl Witnesses {
    /// Asks the witnesses. To be called before the log is read: a log that is being written meanwhile is further
    /// on than they are, and never behind them.
    pub(super) fn of(vfs: &dyn Vfs, layout: &Layout, store_id: StoreId) -> Self {
        let log = layout.log();
        Self {
            control: inventory::copied_control(vfs, &log, store_id),
            marker: read_marker(vfs, layout),
            had_a_checkpoint: inventory::names_a_checkpoint(vfs, &log),
        }
    }

    /// What is missing of the log of a directory in which no checkpoint was found.
    pub(super) fn of_no_log(&self, layout: &Layout) -> Option<Error> {
        let log = layout.log();
        if self.had_a_checkpoint {
            return Some(incomplete(&log, "all checkpoints are missing: CONTROL names one"));
        }
        match self.marker {
            MarkerFile::Found(marker) => {
                let reason = format!(
                    "log/ is missing, and had got beyond event {}, which the JSON files need not hold",
                    marker.last_seq
                );
                Some(incomplete(&layout.marker(), &reason))
            }
            MarkerFile::Absent | MarkerFile::Unreadable => None,
        }
    }

    /// What is missing of a log that was read to its end.
    pub(super) fn of_log(
        &self,
        layout: &Layout,
        head: &CheckpointHead,
        replayed: &Replayed,
    ) -> Option<Error> {
        let last_seq = replayed.next_seq - 1;
        let newest = replayed.last.as_ref();
        let end = LogEnd {
            checkpoint_epoch: head.epoch,
            segment: newest.map_or(head.first_segment.saturating_sub(1), |last| last.segment.header.number),
            writer_epoch: newest.map_or(0, |last| last.segment.header.writer_epoch),
            offset: newest.map_or(0, |last| last.end_offset),
        };
        self.of_end(layout, head, last_seq, &end)
    }

    /// What is missing of a log that ends so.
    pub(super) fn of_end(
        &self,
        layout: &Layout,
        head: &CheckpointHead,
        last_seq: Seq,
        end: &LogEnd,
    ) -> Option<Error> {
        let log = layout.log();
        if let MarkerFile::Found(marker) = self.marker {
            if let Some(reason) = of_marker(&marker, head, last_seq) {
                return Some(incomplete(&layout.marker(), &reason));
            }
        }
        let reason = inventory::shortfall(self.control.as_ref()?, end)?;
        Some(incomplete(
            &log,
            &format!("the log ends at event {last_seq}, and more had been made durable: {reason}"),
        ))
    }

    /// The marker as it was found.
    pub(super) fn marker(&self) -> MarkerFile {
        self.marker
    }
}

fn of_marker(marker: &Marker, head: &CheckpointHead, last_seq: Seq) -> Option<String> {
    if marker.store_id != head.store_id {
        return Some("log/ is another store's than the JSON files".to_owned());
    }
    if marker.last_seq > last_seq {
        return Some(format!("log/ ends at event {last_seq}, and had got to event {}", marker.last_seq));
    }
    (marker.checkpoint_epoch > head.epoch).then(|| {
        format!("checkpoint {} is missing; the newest in log/ is {}", marker.checkpoint_epoch, head.epoch)
    })
}

fn incomplete(witness: &Path, reason: &str) -> Error {
    Error::corrupt(witness, 0, format!("{reason}; {REMEDY}"))
}

/// What is missing of a store's log, for whoever has not read it. A log that cannot be read through is damaged,
/// which others tell.
pub(super) fn of_store(vfs: &dyn Vfs, layout: &Layout) -> Option<Error> {
    let log = layout.log();
    let inventory = match layout::probe(vfs, &log) {
        Ok(Some(_)) => Inventory::take(vfs, &log).ok()?,
        Ok(None) => Inventory::default(),
        Err(_) => return None,
    };
    let Some(checkpoint) = newest_checkpoint(vfs, &inventory, &log).ok()? else {
        return Witnesses::of(vfs, layout, StoreId::default()).of_no_log(layout);
    };
    let head = checkpoint.head();
    let witnesses = Witnesses::of(vfs, layout, head.store_id);
    let source = Source { vfs, inventory: &inventory, head, control: None, holder: Holder::Anybody };
    let replayed = replay(source, &mut |_, _| Ok(())).ok()?;
    witnesses.of_log(layout, head, &replayed)
}
