//! Saving what can be saved of a damaged store into a new one.
//!
//! Owns the order of a repair: hold the source still, read what proves itself, build the new store beside
//! its place, and give it its name when all of it is durable. Never writes to the source. [`believed`] owns
//! which checkpoint counts, [`base`] what is taken from files, [`events`] what is taken from the log.

mod believed;

mod ahead;

mod base;

mod events;

mod whose;

mod view;

use std::path::{Path, PathBuf};

use self::base::Base;
use self::events::Events;
pub(super) use self::view::{SalvagedLog, open_salvaged};
use self::whose::Neighbours;
use super::engine::Engine;
use super::verify;
use crate::error::{Error, ErrorKind, Result};
use crate::log::inventory::{self, Inventory, LOCK};
use crate::log::salvage::{self, Fault, Known, Missing, Salvaged};
use crate::log::scan::Frame;
use crate::model::{Loss, RepairReport, Seq, TornTail};
use crate::snapshot::layout::{self, Layout};
use crate::store::options::{Options, SyncPolicy};
use crate::vfs::{FileKind, Lock, Vfs};

/// What the directory of a repair that is not finished ends in.
const UNFINISHED: &str = ".partial";

/// Saves what can be saved of the store in `from` into a new store in `to`.
pub(crate) fn repair(from: &Path, to: &Path, options: Options) -> Result<RepairReport> {
    let vfs = std::sync::Arc::clone(&options.vfs);
    let vfs = &*vfs;
    let source = Layout::new(&super::existing_dir(vfs, from)?);
    let place = Place::choose(vfs, &source, to)?;
    let _lock = hold(vfs, &source)?;
    // Order: what the source says of itself is looked at before anything is made.
    let inventory = taken(vfs, &source)?;
    place.make(vfs)?;
    let mut report = rebuild(&source, inventory, Layout::new(&place.unfinished), options)?.report;
    // Order: the store is closed, and with that durable, before it gets its name.
    place.finish(vfs)?;
    for copy in &mut report.quarantined {
        if let Ok(inside) = copy.strip_prefix(&place.unfinished) {
            *copy = place.finished.join(inside);
        }
    }
    Ok(report)
}

fn taken(vfs: &dyn Vfs, source: &Layout) -> Result<Inventory> {
    match layout::probe(vfs, &source.log())? {
        Some(_) => Inventory::take(vfs, &source.log()),
        None => Ok(Inventory::default()),
    }
}

/// What became of a rebuilding.
struct Rebuilt {
    report: RepairReport,
    /// What the log was gone over with.
    known: Known,
    /// The number after the last event in it.
    next_seq: Seq,
}

/// Builds a store of what proves itself in another one, and closes it.
fn rebuild(source: &Layout, mut inventory: Inventory, target: Layout, options: Options) -> Result<Rebuilt> {
    let vfs = std::sync::Arc::clone(&options.vfs);
    let (vfs, log) = (&*vfs, source.log());
    let mut report = RepairReport::default();
    believed::sort_by_header(vfs, &mut inventory, &mut report);
    let mut base = Base::save(vfs, source, &target, &inventory, &mut report)?;
    let engine = Engine::open(target, quiet(options))?;
    let known = Known { store_id: base.store_id, first_segment: base.first_segment, next_seq: base.next_seq };
    let mut neighbours = Neighbours::default();
    let mut events =
        Events { engine: &engine, ahead: &mut base.ahead, report: &mut report, neighbours: &mut neighbours };
    // Order: what is held before the rest. It is older, and what came since was said of what it left.
    events.held(vfs, &inventory, &log, &base.checkpoint)?;
    let mut take = |path: &Path, frame: &Frame<'_>, faults: usize| events.frame(path, frame, faults);
    let salvaged = salvage::salvage(vfs, &inventory, &log, known, &mut take)?;
    let next_seq = salvaged.next_seq;
    tell(salvaged, &neighbours, &mut report)?;
    let newest = inventory.newest_segment(base.first_segment);
    let doubt = base.store_id.and_then(|id| inventory::doubt_about_copy(vfs, &log, id, newest));
    report.notes.extend(doubt);
    for (id, path) in base.ahead.mixed() {
        let reason =
            "no checkpoint knows of the file, and the log has events for its conversation; both are in";
        let error = Error::new(ErrorKind::Corrupt, reason).at(path, None);
        report.lost.push(loss(&error, Some(id), None));
    }
    report.lost.sort_by_key(|loss| loss.first_seq);
    let stats = verify::stats(engine.library());
    (report.conversations, report.messages, report.actions) =
        (stats.conversations, stats.messages, stats.actions);
    crate::store::Backend::close(&*engine)?;
    Ok(Rebuilt { report, known, next_seq })
}

/// The options of the store that is being built: one sync at the end, and no compaction by itself.
fn quiet(options: Options) -> Options {
    Options {
        sync: SyncPolicy::Os,
        compact_above: None,
        compacts_on_close: false,
        is_read_only: false,
        salvages: false,
        ..options
    }
}

/// Keeps writers away from the source. A source without a lock file has no writer, and none is made.
fn hold(vfs: &dyn Vfs, source: &Layout) -> Result<Option<Box<dyn Lock>>> {
    let path = source.log().join(LOCK);
    if layout::probe(vfs, &path)?.is_none() {
        return Ok(None);
    }
    match vfs.try_lock(&path) {
        Ok(Some(lock)) => Ok(Some(lock)),
        Ok(None) => {
            let reason = "the store to repair is open for writing; close it first";
            Err(Error::new(ErrorKind::Locked, reason).at(source.root(), None))
        }
        // What cannot be written to has no writer.
        Err(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => Ok(None),
        Err(error) => Err(Error::io("lock", &path, error)),
    }
}

/// Where the new store comes to be.
#[derive(Debug)]
struct Place {
    parent: PathBuf,
    unfinished: PathBuf,
    finished: PathBuf,
}

impl Place {
    /// Makes sure that nothing is in the way.
    fn choose(vfs: &dyn Vfs, source: &Layout, to: &Path) -> Result<Self> {
        let refused = |reason: &str, path: &Path| Err(Error::invalid(reason).at(path, None));
        let Some(name) = to.file_name() else {
            return refused("the new store needs a name of its own", to);
        };
        let parent = match to.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let parent = super::existing_dir(vfs, parent)?;
        let finished = parent.join(name);
        let mut unfinished = name.to_owned();
        unfinished.push(UNFINISHED);
        let unfinished = parent.join(unfinished);
        if parent.starts_with(source.root()) || finished == source.root() {
            return refused("the new store must not lie in the old one", &finished);
        }
        match layout::probe(vfs, &finished)? {
            None => {}
            Some(found) if found.kind == FileKind::Directory => {
                let there = vfs.read_dir(&finished).map_err(|e| Error::io("list", &finished, e))?;
                if !there.is_empty() {
                    return refused("the directory to repair to is not empty", &finished);
                }
            }
            Some(_) => return refused("not a directory", &finished),
        }
        if layout::probe(vfs, &unfinished)?.is_some() {
            return refused("this is left of a repair that was stopped; remove it first", &unfinished);
        }
        Ok(Self { parent, unfinished, finished })
    }

    fn make(&self, vfs: &dyn Vfs) -> Result<()> {
        layout::ensure_dir(vfs, &self.unfinished).map(|_| ())
    }

    /// Gives the new store its name, durably.
    fn finish(&self, vfs: &dyn Vfs) -> Result<()> {
        layout::sync_dir(vfs, &self.unfinished)?;
        vfs.rename(&self.unfinished, &self.finished).map_err(|e| Error::io("rename", &self.unfinished, e))?;
        layout::sync_dir(vfs, &self.parent)
    }
}

/// Puts what the log lacked into the report.
fn tell(salvaged: Salvaged, neighbours: &Neighbours, report: &mut RepairReport) -> Result<()> {
    for (at, Fault { error, missing, payloads }) in salvaged.faults.into_iter().enumerate() {
        // What a newer version wrote is not damaged, and leaving it out would be no repair.
        if error.kind() == ErrorKind::UnsupportedFormat {
            return Err(error);
        }
        let seqs = match missing {
            Missing::None => {
                report.notes.push(format!("no event is lost there: {error}"));
                continue;
            }
            Missing::Between(first, last) => (first, Some(last)),
            Missing::From(first) => (first, None),
        };
        let mut lost = loss(&error, None, Some(seqs));
        neighbours.tell(at, &payloads, &mut lost);
        report.lost.push(lost);
    }
    report.torn = salvaged.torn.map(|(path, offset, beyond)| TornTail {
        path,
        offset,
        bytes: beyond.written_end - offset,
        discarded_events: beyond.events,
        quarantine: None,
    });
    Ok(())
}

/// A loss where an error says.
fn loss(error: &Error, conversation_id: Option<&str>, seqs: Option<(u64, Option<u64>)>) -> Loss {
    let place = error.place();
    Loss {
        path: place.map(|place| place.path.clone()).unwrap_or_default(),
        offset: place.and_then(|place| place.offset),
        conversation_id: conversation_id.map(str::to_owned),
        first_seq: seqs.map(|(first, _)| first),
        last_seq: seqs.and_then(|(_, last)| last),
        reason: error.message().to_owned(),
        named: Vec::new(),
        near: Vec::new(),
    }
}
