//! What others may have made of the files while the store was closed.
//!
//! Owns when the snapshot's files are looked at. Opening does not, so that its time does not grow with them. A
//! conversation's file is looked at before the conversation is first read or added to; all of them before
//! anything is said of all: a list, the report, a compaction. As soon as one is not as the checkpoint has it,
//! all are surveyed at once, as one state, and nothing is answered from what was believed before.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::engine::{Engine, locked};
use super::library::Library;
use super::news;
use crate::codec::checkpoint::Checkpoint;
use crate::error::Result;
use crate::index::{Prepared, Reliance};
use crate::model::{DamagedFile, RecoveryReport};
use crate::snapshot::{glance, layout};

/// What is known of the files.
#[derive(Debug)]
pub(super) struct Outside {
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

impl Outside {
    pub(super) fn new(report: RecoveryReport, is_settled: bool) -> Self {
        let looked = Looked { report, known: HashSet::new(), are_names_known: false };
        Self { is_settled: AtomicBool::new(is_settled), looked: Mutex::new(looked) }
    }

    fn is_settled(&self) -> bool {
        self.is_settled.load(Ordering::Acquire)
    }
}

impl Engine {
    /// Makes sure that a conversation's file is as the store believes, before the conversation is read.
    pub(super) fn look_at(&self, id: &str) -> Result<()> {
        self.look_then(id, |_| {})
    }

    /// Makes sure of the same for every conversation of a batch, before anything is added to them.
    pub(super) fn look_at_all(&self, batch: &[Prepared]) -> Result<()> {
        if self.outside.is_settled() {
            return Ok(());
        }
        batch.iter().map(|prepared| &prepared.conversation_id).try_for_each(|id| {
            // A survey must not take in a file for a conversation that is on its way to the index.
            self.look_then(id, |looked| looked.known.extend([id.clone()]))
        })
    }

    fn look_then(&self, id: &str, and_then: impl FnOnce(&mut Looked)) -> Result<()> {
        if self.outside.is_settled() || self.library().index().is_touched(id) {
            return Ok(());
        }
        let mut looked = locked(&self.outside.looked);
        if !self.outside.is_settled() && !looked.finds_as_believed(self.library(), id)? {
            self.settle_with(&mut looked)?;
        }
        and_then(&mut looked);
        Ok(())
    }

    /// Makes sure that all files are as the store believes.
    pub(super) fn settle(&self) -> Result<()> {
        if self.outside.is_settled() {
            return Ok(());
        }
        let mut looked = locked(&self.outside.looked);
        if self.outside.is_settled() { Ok(()) } else { self.settle_with(&mut looked) }
    }

    /// Forgets what was found of a conversation's file, which does not count any more, and tells of what was set aside
    /// for that.
    pub(super) fn forget_file(&self, id: &str, copy: Option<PathBuf>) {
        let mut looked = locked(&self.outside.looked);
        let Looked { report, .. } = &mut *looked;
        let is_its = |file: &DamagedFile| file.conversation_id.as_deref() == Some(id);
        let paths: Vec<_> =
            report.damaged.iter().filter(|file| is_its(file)).map(|file| file.path.clone()).collect();
        report.changed.retain(|path| !paths.contains(path));
        report.damaged.retain(|file| !is_its(file));
        report.quarantined.extend(copy);
    }

    /// What the opening found, and what has become of the files.
    pub(super) fn recovered(&self) -> RecoveryReport {
        let settled = if self.is_closed() { Ok(()) } else { self.settle() };
        let mut report = locked(&self.outside.looked).report.clone();
        if !self.is_closed() {
            self.library().tell_held(&mut report.damaged);
        }
        if let Err(error) = settled {
            // Whoever asks what was found must hear that nobody could look.
            let place = error.place();
            report.damaged.push(DamagedFile {
                path: place.map_or_else(|| self.library().layout.root().to_owned(), |at| at.path.clone()),
                offset: place.and_then(|at| at.offset),
                conversation_id: None,
                reason: error.message().to_owned(),
                is_forbidden: error.is_forbidden(),
            });
        }
        report
    }

    fn settle_with(&self, looked: &mut Looked) -> Result<()> {
        let library = self.library();
        let (vfs, layout) = (&*library.vfs, &library.layout);
        let old = library.index().checkpoint().clone();
        let Looked { report, known, .. } = looked;
        let reliance = |id: &str| {
            // What was found as recorded since the opening has been answered for.
            if known.contains(id) { Reliance::LogAlone } else { library.index().reliance(id) }
        };
        let mut newer = None;
        if !glance::is_all_as_recorded(vfs, layout, &old, &reliance)? {
            (report.damaged, report.changed) = (Vec::new(), Vec::new());
            newer = if self.log.has_ended() {
                // Order: after a failed sync nothing more is written; what is found is known in memory alone.
                news::find(vfs, layout, &old, &reliance, report)?
            } else {
                news::clear_away(vfs, layout, &old, report)?;
                let taken_in = news::take_in(vfs, layout, &old, &reliance, report);
                taken_in.inspect_err(|error| self.give_up(old.head().epoch + 1, error))?
            };
            library.take_in(newer.clone(), &report.damaged);
        }
        *known = HashSet::new();
        self.outside.is_settled.store(true, Ordering::Release);
        newer.map_or(Ok(()), |newer| self.forget_checkpoint(&old, &newer))
    }

    /// Removes a checkpoint that a newer one has replaced. If that fails, the next opening removes it.
    fn forget_checkpoint(&self, old: &Checkpoint, newer: &Checkpoint) -> Result<()> {
        let library = self.library();
        let told = self.log.exclusively(None, |active, _| {
            active.set_checkpoint(newer.head().epoch);
            Ok(())
        });
        if told.is_err() {
            // A log that has ended tells its callers so by itself, and the files are known all the same.
            return Ok(());
        }
        layout::remove_file(&*library.vfs, &library.layout.checkpoint(old.head().epoch))?;
        layout::sync_dir(&*library.vfs, &library.layout.log())
    }
}

impl Looked {
    /// Whether a conversation's file, or that there is none, is what the store believes.
    fn finds_as_believed(&mut self, library: &Library, id: &str) -> Result<bool> {
        if self.known.contains(id) {
            return Ok(true);
        }
        let (vfs, layout) = (&*library.vfs, &library.layout);
        let checkpoint = library.index().checkpoint().clone();
        if let Some(entry) = checkpoint.find(id).and_then(|ordinal| checkpoint.entry(ordinal)) {
            let is_as_recorded = glance::is_file_as_recorded(vfs, layout, &entry);
            if is_as_recorded {
                self.known.insert(id.to_owned());
            }
            return Ok(is_as_recorded);
        }
        // A file can hold any conversation, whatever its name.
        self.are_names_known = self.are_names_known || glance::are_all_names_known(vfs, layout, &checkpoint)?;
        Ok(self.are_names_known)
    }
}
