//! Taking in what somebody has made of the files.
//!
//! Owns the way from a survey to a checkpoint in use: on disk for a writer, in memory for a reader.

use std::sync::Arc;

use super::open::{harden_names, read_checkpoint};
use crate::codec::checkpoint::{Checkpoint, CheckpointBuilder, CheckpointHead};
use crate::error::{Error, ErrorKind, Result};
use crate::index::Reliance;
use crate::model::RecoveryReport;
use crate::snapshot::layout::Layout;
use crate::snapshot::{publish, stage, survey};
use crate::vfs::Vfs;

/// Finds what the files have become, and gives the checkpoint that says so, in memory alone; none if the one
/// that there is says so already.
pub(super) fn find(
    vfs: &dyn Vfs,
    layout: &Layout,
    checkpoint: &Checkpoint,
    reliance: &dyn Fn(&str) -> Reliance,
    report: &mut RecoveryReport,
) -> Result<Option<Checkpoint>> {
    publish::check_published(vfs, layout, checkpoint)?;
    let surveyed = survey::survey(vfs, layout, checkpoint, reliance, report)?;
    let parsed = surveyed.checkpoint.map(|bytes| Checkpoint::parse(Arc::new(bytes))).transpose();
    parsed.map_err(|bad| {
        Error::new(ErrorKind::Failed, format!("a checkpoint of our own making is bad: {bad:?}"))
    })
}

/// Takes in what the files have become, and gives the checkpoint that says so, durable under its name; none if
/// the one that there is says so already.
pub(super) fn take_in(
    vfs: &dyn Vfs,
    layout: &Layout,
    checkpoint: &Checkpoint,
    reliance: &dyn Fn(&str) -> Reliance,
    report: &mut RecoveryReport,
) -> Result<Option<Checkpoint>> {
    let is_new = checkpoint.head().epoch == 0;
    let surveyed = survey::survey(vfs, layout, checkpoint, reliance, report)?;
    let first = || {
        let head = CheckpointHead { epoch: 1, ..*checkpoint.head() };
        is_new.then(|| CheckpointBuilder::default().finish(&head))
    };
    let Some(bytes) = surveyed.checkpoint.or_else(first) else { return Ok(None) };
    let epoch = checkpoint.head().epoch + 1;
    publish::commit(vfs, layout, epoch, &bytes)?;
    read_checkpoint(vfs, &layout.checkpoint(epoch)).map(Some)
}

/// Removes what a compaction staged that was not committed, once it is sure that it was not.
pub(super) fn clear_away(
    vfs: &dyn Vfs,
    layout: &Layout,
    checkpoint: &Checkpoint,
    report: &mut RecoveryReport,
) -> Result<()> {
    publish::check_published(vfs, layout, checkpoint)?;
    remove_strays(vfs, layout, checkpoint, report)
}

/// Removes what other compactions than the checkpoint's own have staged.
pub(super) fn remove_strays(
    vfs: &dyn Vfs,
    layout: &Layout,
    checkpoint: &Checkpoint,
    report: &mut RecoveryReport,
) -> Result<()> {
    let strays = stage::remove_strays(vfs, layout, checkpoint.head().epoch)?;
    if !strays.is_empty() {
        harden_names(vfs, layout)?;
    }
    report.removed.extend(strays);
    Ok(())
}
