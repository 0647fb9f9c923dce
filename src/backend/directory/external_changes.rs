//! What others have made of the files while the store was closed.
//!
//! Owns when the snapshot's files are checked, and the way from what was found to a checkpoint in use: on disk for a
//! writer, in memory for a reader. Opening does not check them, so that its time does not grow with them. A
//! conversation's file is checked before the conversation is first read or added to; all of them before
//! anything is said of all: a list, the report, a compaction. As soon as one is not as the checkpoint has it,
//! all are reconciled at once, as one state, and nothing is answered from an older one.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::apply::Applier;
use super::commit::{abandon, commit};
use super::reads::ReadState;
use crate::backend::locked::locked;
use crate::codec::checkpoint::{Checkpoint, CheckpointBuilder, CheckpointHead};
use crate::error::{Error, ErrorKind, Result};
use crate::index::Reliance;
use crate::log::Log;
use crate::model::{DamagedFile, RecoveryReport};
use crate::rules::Request;
use crate::snapshot::layout::{self, Layout};
use crate::snapshot::{publish, reconcile, stage, stat_check};
use crate::vfs::{FileKind, Vfs};

/// What is known of the files.
#[derive(Debug)]
pub(super) struct ExternalChanges {
    /// Whether all of them have been looked at, so that nobody need take the lock any more.
    is_settled: AtomicBool,
    looked: Mutex<Looked>,
}

#[derive(Debug)]
struct Looked {
    report: RecoveryReport,
    /// The conversations that were found as recorded, or found to have no file, and answered for since.
    known: HashSet<String>,
    /// Whether the directory was found to hold no file that the checkpoint does not know.
    are_names_known: bool,
}

impl ExternalChanges {
    pub(super) fn new(report: RecoveryReport, is_settled: bool) -> Self {
        let looked = Looked { report, known: HashSet::new(), are_names_known: false };
        Self { is_settled: AtomicBool::new(is_settled), looked: Mutex::new(looked) }
    }

    fn is_settled(&self) -> bool {
        self.is_settled.load(Ordering::Acquire)
    }

    /// Makes sure that a conversation's file is as recorded, before the conversation is read.
    pub(super) fn check(&self, log: &Log<Applier>, id: &str) -> Result<()> {
        self.check_then(log, id, |_| {})
    }

    /// Makes sure of the same for every conversation of a batch, before anything is added to them.
    pub(super) fn check_all_of(&self, log: &Log<Applier>, batch: &[Request]) -> Result<()> {
        if self.is_settled() {
            return Ok(());
        }
        batch.iter().map(|request| &request.conversation_id).try_for_each(|id| {
            // A reconcile must not take in a file for a conversation that is on its way to the index.
            self.check_then(log, id, |looked| looked.known.extend([id.clone()]))
        })
    }

    fn check_then(&self, log: &Log<Applier>, id: &str, and_then: impl FnOnce(&mut Looked)) -> Result<()> {
        if self.is_settled() || reads_of(log).index().is_touched(id) {
            return Ok(());
        }
        let mut looked = locked(&self.looked);
        if !self.is_settled() && !looked.finds_as_cached(reads_of(log), id)? {
            self.settle_with(log, &mut looked)?;
        }
        and_then(&mut looked);
        Ok(())
    }

    /// Makes sure that all files are as recorded.
    pub(super) fn settle(&self, log: &Log<Applier>) -> Result<()> {
        if self.is_settled() {
            return Ok(());
        }
        let mut looked = locked(&self.looked);
        if self.is_settled() { Ok(()) } else { self.settle_with(log, &mut looked) }
    }

    /// Forgets what was found of a conversation's file, which does not count any more, and tells of what was set aside
    /// for that.
    pub(super) fn forget_file(&self, id: &str, copy: Option<PathBuf>) {
        let mut looked = locked(&self.looked);
        let Looked { report, .. } = &mut *looked;
        let is_its = |file: &DamagedFile| file.conversation_id.as_deref() == Some(id);
        let paths: Vec<_> =
            report.damaged.iter().filter(|file| is_its(file)).map(|file| file.path.clone()).collect();
        report.changed.retain(|path| !paths.contains(path));
        report.damaged.retain(|file| !is_its(file));
        report.quarantined.extend(copy);
    }

    /// What the opening found, and what has become of the files.
    pub(super) fn recovered(&self, log: &Log<Applier>, is_closed: bool) -> RecoveryReport {
        let settled = if is_closed { Ok(()) } else { self.settle(log) };
        let mut report = locked(&self.looked).report.clone();
        if !is_closed {
            reads_of(log).tell_held(&mut report.damaged);
        }
        if let Err(error) = settled {
            // Whoever asks what was found must hear that nobody could look.
            let place = error.place();
            report.damaged.push(DamagedFile {
                path: place.map_or_else(|| reads_of(log).layout.root().to_owned(), |at| at.path.clone()),
                offset: place.and_then(|at| at.offset),
                conversation_id: None,
                reason: error.message().to_owned(),
                is_forbidden: error.is_forbidden(),
            });
        }
        report
    }

    fn settle_with(&self, log: &Log<Applier>, looked: &mut Looked) -> Result<()> {
        let reads = reads_of(log);
        let (vfs, layout) = (&*reads.vfs, &reads.layout);
        let old = reads.index().checkpoint().clone();
        let Looked { report, known, .. } = looked;
        let reliance = |id: &str| {
            // What was found as recorded since the opening has been answered for.
            if known.contains(id) { Reliance::LogAlone } else { reads.index().reliance(id) }
        };
        let mut newer = None;
        if !stat_check::is_all_as_recorded(vfs, layout, &old, &reliance)? {
            (report.damaged, report.changed) = (Vec::new(), Vec::new());
            newer = if log.has_ended() {
                // Order: after a failed sync nothing more is written; what is found is known in memory alone.
                found_changes(vfs, layout, &old, &reliance, report)?
            } else {
                clear_away(vfs, layout, &old, report)?;
                let taken_in = take_in(vfs, layout, &old, &reliance, report);
                taken_in.inspect_err(|error| abandon(log, old.head().epoch + 1, error))?
            };
            reads.take_in(newer.clone(), &report.damaged);
        }
        *known = HashSet::new();
        self.is_settled.store(true, Ordering::Release);
        newer.map_or(Ok(()), |newer| forget_checkpoint(log, &old, &newer))
    }
}

fn reads_of(log: &Log<Applier>) -> &ReadState {
    &log.client().reads
}

/// Removes a checkpoint that a newer one has replaced. If that fails, the next opening removes it.
fn forget_checkpoint(log: &Log<Applier>, old: &Checkpoint, newer: &Checkpoint) -> Result<()> {
    let reads = reads_of(log);
    let told = log.exclusively(None, |active, _| {
        active.set_checkpoint(newer.head().epoch);
        Ok(())
    });
    if told.is_err() {
        // A log that has ended tells its callers so by itself, and the files are known all the same.
        return Ok(());
    }
    layout::remove_file(&*reads.vfs, &reads.layout.checkpoint(old.head().epoch))?;
    layout::sync_dir(&*reads.vfs, &reads.layout.log())
}

impl Looked {
    /// Whether a conversation's file, or that there is none, is what recorded.
    fn finds_as_cached(&mut self, reads: &ReadState, id: &str) -> Result<bool> {
        if self.known.contains(id) {
            return Ok(true);
        }
        let (vfs, layout) = (&*reads.vfs, &reads.layout);
        let checkpoint = reads.index().checkpoint().clone();
        if let Some(entry) = checkpoint.find(id).and_then(|ordinal| checkpoint.entry(ordinal)) {
            let is_as_recorded = stat_check::is_file_as_recorded(vfs, layout, &entry);
            if is_as_recorded {
                self.known.insert(id.to_owned());
            }
            return Ok(is_as_recorded);
        }
        // A file can hold any conversation, whatever its name.
        self.are_names_known =
            self.are_names_known || stat_check::are_all_names_known(vfs, layout, &checkpoint)?;
        Ok(self.are_names_known)
    }
}

/// Finds what the files have become, and gives the checkpoint that says so, in memory alone; none if the one
/// that there is says so already.
pub(super) fn found_changes(
    vfs: &dyn Vfs,
    layout: &Layout,
    checkpoint: &Checkpoint,
    reliance: &dyn Fn(&str) -> Reliance,
    report: &mut RecoveryReport,
) -> Result<Option<Checkpoint>> {
    publish::check_published(vfs, layout, checkpoint)?;
    let reconciled = reconcile::reconcile(vfs, layout, checkpoint, reliance, report)?;
    let parsed = reconciled.checkpoint.map(|bytes| Checkpoint::parse(Arc::new(bytes))).transpose();
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
    let reconciled = reconcile::reconcile(vfs, layout, checkpoint, reliance, report)?;
    let first = || {
        let head = CheckpointHead { epoch: 1, ..*checkpoint.head() };
        is_new.then(|| CheckpointBuilder::default().finish(&head))
    };
    let Some(bytes) = reconciled.checkpoint.or_else(first) else { return Ok(None) };
    let epoch = checkpoint.head().epoch + 1;
    commit(vfs, layout, epoch, &bytes).map(Some)
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
        sync_names(vfs, layout)?;
    }
    report.removed.extend(strays);
    Ok(())
}

/// Makes the names durable that are about to be believed: they may be in the cache only, if the last writer
/// was killed, and whatever is acknowledged from now on is built on them.
pub(super) fn sync_names(vfs: &dyn Vfs, layout: &Layout) -> Result<()> {
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
