//! Showing what a repair of a damaged store would save, without writing anything.
//!
//! Owns the choice between the store as it is and the store that a repair would make, which is made in memory by
//! the repair itself, so that the two agree. The log is shown from the damaged store, with its own numbers.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Known, Rebuilt, rebuild, taken};
use crate::backend::directory::read_only::{DamagedLog, ReadOnly, is_a_store};
use crate::backend::directory::steady::{steady, steady_report};
use crate::backend::directory::{events, verify};
use crate::backend::settings::Settings;
use crate::error::{Error, ErrorKind, Result};
use crate::log::salvage;
use crate::log::scan::Frame;
use crate::model::{Event, Logged, RepairReport, Seq, VerifyReport};
use crate::snapshot::layout::Layout;
use crate::vfs::{Overlay, Vfs};

/// How often a store is looked at anew because a compaction has been published meanwhile.
const ATTEMPTS: usize = 10;

/// The log of a damaged store.
#[derive(Debug)]
struct SalvagedLog {
    vfs: Arc<dyn Vfs>,
    source: Layout,
    known: Known,
}

/// Opens a store for reading, or what proves itself of it if it is damaged.
pub(in crate::backend::directory) fn open_salvaged(layout: &Layout, settings: &Settings) -> Result<ReadOnly> {
    if !is_a_store(settings, layout)? {
        return ReadOnly::open(layout.clone(), settings.clone());
    }
    // A conversation's file is not read before the conversation is; here everything is, for what is shown must not
    // depend on what is asked for first.
    let verdict = steady_report(|| verify::verify(&*settings.vfs, layout))?;
    let as_it_is = match ReadOnly::open(layout.clone(), settings.clone()) {
        Ok(reader) if verdict.torn.is_none() && verdict.is_sound() => return Ok(reader),
        Ok(reader) => Some(reader),
        Err(error) if error.kind() == ErrorKind::UnsupportedFormat => return Err(error),
        Err(_) => None,
    };
    for _ in 0..ATTEMPTS {
        let before = newest_checkpoint(layout, settings)?;
        let salvaged = steady(|| salvaged(layout, settings))?;
        if newest_checkpoint(layout, settings)? != before {
            continue;
        }
        // A torn tail is no damage, but what stands in it may prove itself all the same.
        let saves_nothing = salvaged.found().salvage.as_ref().is_some_and(would_change_nothing);
        let as_it_is = as_it_is.filter(|_| verdict.is_sound() && saves_nothing);
        return Ok(as_it_is.unwrap_or(salvaged));
    }
    let reason = "compactions are published faster than the store can be looked at";
    Err(Error::new(ErrorKind::Conflict, reason).at(layout.root(), None))
}

fn newest_checkpoint(layout: &Layout, settings: &Settings) -> Result<Option<u64>> {
    Ok(taken(&*settings.vfs, layout)?.checkpoints.last().map(|(epoch, _)| *epoch))
}

/// Makes in memory what a repair would make.
fn salvaged(layout: &Layout, settings: &Settings) -> Result<ReadOnly> {
    let mut root = layout.root().as_os_str().to_owned();
    root.push(".salvaged");
    let root = PathBuf::from(root);
    let vfs: Arc<dyn Vfs> = Arc::new(Overlay::new(Arc::clone(&settings.vfs), layout.root(), &root));
    let options_in_memory = Settings { vfs: Arc::clone(&vfs), ..settings.clone() };
    let inventory = taken(&*vfs, layout)?;
    // The new store is in memory, where nothing is sealed; what it is made of may be.
    let seal = settings.vfs.sealing();
    let rebuilt = rebuild(layout, inventory, Layout::new(&root), (options_in_memory.clone(), seal))?;
    let Rebuilt { mut report, known, next_seq } = rebuilt;
    // The copies are in memory, and the files themselves are where they were.
    report.quarantined.clear();
    let log = SalvagedLog { vfs: Arc::clone(&settings.vfs), source: layout.clone(), known };
    let reader = ReadOnly::open(Layout::new(&root), options_in_memory)?;
    Ok(reader.of_salvage(Box::new(log), report, next_seq.saturating_sub(1)))
}

impl SalvagedLog {
    /// Goes over all events that prove themselves.
    fn go_over(&self, take: &mut dyn FnMut(Seq, Vec<Event>)) -> Result<()> {
        let inventory = taken(&*self.vfs, &self.source)?;
        let seal = self.vfs.sealing();
        let mut each = |path: &Path, frame: &Frame<'_>, _: usize| {
            match events::read_frame(seal.as_deref(), path, frame) {
                Ok(events) if !events.is_empty() => take(frame.header.first_seq, events),
                // What cannot be read is among what the opening has told.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Corrupt => {}
                Err(error) => return Err(error),
            }
            Ok(())
        };
        salvage::salvage(&*self.vfs, &inventory, &self.source.log(), self.known, &mut each).map(drop)
    }
}

impl DamagedLog for SalvagedLog {
    fn events(&self, from: Seq) -> Result<Vec<(Seq, Vec<Event>)>> {
        let mut batches = Vec::new();
        let count = |events: &Vec<Event>| u64::try_from(events.len()).unwrap_or(u64::MAX);
        self.go_over(&mut |first, events| {
            if first.saturating_add(count(&events)) > from {
                batches.push((first, events));
            }
        })?;
        Ok(batches)
    }

    fn logged(&self, from: Seq) -> Result<VecDeque<Logged>> {
        let first = self.known.next_seq.unwrap_or_default();
        let compacted =
            (from.max(1) < first).then(|| Logged::Compacted { first: from.max(1), last: first - 1 });
        let batches = self.events(from)?.into_iter().map(|(seq, events)| Logged::Batch { seq, events });
        Ok(compacted.into_iter().chain(batches).collect())
    }

    fn verify(&self) -> Result<VerifyReport> {
        steady_report(|| verify::verify(&*self.vfs, &self.source))
    }
}

/// Whether a repair would give the store as it is.
fn would_change_nothing(report: &RepairReport) -> bool {
    report.is_complete() && report.notes.is_empty()
}
