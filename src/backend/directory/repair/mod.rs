//! Saving what can be saved of a damaged store into a new one.
//!
//! Owns the order of a repair: hold the source still, read what proves itself, build the new store beside
//! its place, and give it its name when all of it is durable. Never writes to what the source holds. [`checkpoint_choice`] owns
//! which checkpoint counts, [`base`] what is taken from files, [`events`] what is taken from the log.

mod checkpoint_choice;

mod file_items;

mod already_applied;

mod base;

mod events;

mod neighbours;

mod view;

mod place;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::base::Base;
use self::events::Events;
use self::neighbours::Neighbours;
use self::place::{REPAIR, Swap};
pub(super) use self::view::open_salvaged;
use super::completeness;
use super::consumers;
use super::encrypted;
use super::engine::Engine;
use super::erase;
use super::keep;
use super::new_place::NewPlace;
use super::stats;
use crate::backend::Backend;
use crate::backend::settings::{Settings, SyncPolicy};
use crate::error::{Error, ErrorKind, Result};
use crate::log::inventory::{Inventory, LOCK};
use crate::log::salvage::{self, Fault, Known, Missing, Salvaged};
use crate::log::scan::Frame;
use crate::model::{Keep, Loss, RepairReport, Seq, TornTail};
use crate::snapshot::chapter_list;
use crate::snapshot::layout::{self, Layout};
use crate::vfs::{EventSeal, Lock, Vfs};

/// Saves what can be saved of the store in `from` into a new store in `to`.
pub(crate) fn repair(from: &Path, to: &Path, settings: Settings) -> Result<RepairReport> {
    let vfs = Arc::clone(&settings.vfs);
    let vfs = &*vfs;
    let source = Layout::new(&super::existing_dir(vfs, from)?);
    let settings = encrypted::to_repair(settings, &source)?;
    let place = NewPlace::choose(vfs, source.root(), to, REPAIR)?;
    let held = hold(vfs, &source)?;
    // Order: what the source says of itself is looked at before anything is made.
    let inventory = taken(vfs, &source)?;
    place.make(vfs)?;
    let mut report = rebuilt(&source, inventory, Layout::new(&place.unfinished), settings)?;
    if matches!(held, Held::Refused) {
        report.notes.push(
            "this user may read the store and not lock it, so that a writer was not kept away; what one wrote meanwhile may \
             be missing, or be told as lost"
                .to_owned(),
        );
    }
    // Order: the store is closed, and with that durable, before it gets its name.
    place.finish(vfs)?;
    moved(report.quarantined.iter_mut(), &place.unfinished, &place.finished);
    Ok(report)
}

/// Makes a new store in `to` of what is put into it, which comes from a store that is no directory.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) fn repair_into<T>(
    from: &Path,
    to: &Path,
    settings: Settings,
    fill: impl FnOnce(&dyn Backend) -> Result<T>,
) -> Result<T> {
    let vfs = Arc::clone(&settings.vfs);
    let vfs = &*vfs;
    let place = NewPlace::choose(vfs, from, to, REPAIR)?;
    place.make(vfs)?;
    let engine = Engine::open(Layout::new(&place.unfinished), quiet(settings))?;
    let filled = fill(&*engine)?;
    // Order: the store is closed, and with that durable, before it gets its name.
    engine.close()?;
    place.finish(vfs)?;
    Ok(filled)
}

/// Saves what can be saved of the store in a directory into a new store, which takes that directory's place.
pub(crate) fn repair_in_place(dir: &Path, settings: Settings) -> Result<RepairReport> {
    let vfs = Arc::clone(&settings.vfs);
    let vfs = &*vfs;
    let root = super::existing_dir(vfs, dir)?;
    let source = Layout::new(&root);
    let settings = encrypted::to_repair(settings, &source)?;
    let swap = Swap::choose(vfs, &root, settings.clock.now_micros())?;
    // A writer that came while the new store is made would write to what is about to be set aside.
    layout::ensure_dir(vfs, &source.log())?;
    let lock = source.log().join(LOCK);
    let held = vfs.try_lock(&lock).map_err(|error| Error::io("lock", &lock, error))?;
    let _lock = held.ok_or_else(|| is_written_to(&source))?;
    let inventory = taken(vfs, &source)?;
    layout::ensure_dir(vfs, &swap.unfinished)?;
    let mut report = rebuilt(&source, inventory, Layout::new(&swap.unfinished), settings)?;
    swap.finish(vfs)?;
    moved(report.quarantined.iter_mut(), &swap.unfinished, &root);
    moved(report.lost.iter_mut().map(|loss| &mut loss.path), &root, &swap.kept);
    moved(report.torn.iter_mut().map(|torn| &mut torn.path), &root, &swap.kept);
    let (before, now) = (format!("{}/", root.display()), format!("{}/", swap.kept.display()));
    for note in &mut report.notes {
        *note = note.replace(&before, &now);
    }
    report.kept = Some(swap.kept);
    Ok(report)
}

/// Names paths below one directory as those below the one that it has become.
fn moved<'p>(paths: impl Iterator<Item = &'p mut PathBuf>, from: &Path, to: &Path) {
    for path in paths {
        if let Ok(inside) = path.strip_prefix(from) {
            *path = if inside.as_os_str().is_empty() { to.to_owned() } else { to.join(inside) };
        }
    }
}

fn is_written_to(source: &Layout) -> Error {
    let reason = "the store to repair is open for writing; close it first";
    Error::new(ErrorKind::Locked, reason).at(source.root(), None)
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

/// Builds a store of what proves itself in another one, encrypted with the same keys if that one is.
fn rebuilt(
    source: &Layout,
    inventory: Inventory,
    target: Layout,
    settings: Settings,
) -> Result<RepairReport> {
    let (settings, damaged) = encrypted::for_repair(settings, source, &target)?;
    let seal = settings.vfs.sealing();
    let mut report = rebuild(source, inventory, target, (settings, seal))?.report;
    report.lost.extend(damaged.iter().map(|error| loss(error, None, None)));
    Ok(report)
}

/// Builds a store of what proves itself in another one, and closes it. `seal` opens the events of the other one.
fn rebuild(
    source: &Layout,
    mut inventory: Inventory,
    target: Layout,
    (settings, seal): (Settings, Option<Arc<dyn EventSeal>>),
) -> Result<Rebuilt> {
    let vfs = Arc::clone(&settings.vfs);
    let (vfs, log) = (&*vfs, source.log());
    let mut report = RepairReport::default();
    checkpoint_choice::sort_by_header(vfs, &mut inventory, &mut report)?;
    let mut base = Base::save(vfs, source, &target, &inventory, &mut report)?;
    let engine = Engine::open(target.clone(), quiet(settings))?;
    let known = Known { store_id: base.store_id, first_segment: base.first_segment, next_seq: base.next_seq };
    let mut neighbours = Neighbours::default();
    let mut events = Events {
        engine: &engine,
        seal: seal.as_deref(),
        ahead: &mut base.ahead,
        report: &mut report,
        neighbours: &mut neighbours,
    };
    // Order: what is held before the rest. It is older, and what came since was said of what it left.
    events.held(vfs, &inventory, &log, &base.checkpoint)?;
    let mut take = |path: &Path, frame: &Frame<'_>, faults: usize| events.frame(path, frame, faults);
    let salvaged = salvage::salvage(vfs, &inventory, &log, known, &mut take)?;
    let next_seq = salvaged.next_seq;
    for orphaned in &salvaged.orphaned {
        let error = Error::corrupt(&orphaned.path, orphaned.offset, orphaned.reason());
        report.lost.push(loss(&error, None, Some((orphaned.first_seq, Some(orphaned.last_seq)))));
    }
    tell(salvaged, &neighbours, &mut report)?;
    base.ahead.tell(vfs, source, &target, &mut report)?;
    let missing = completeness::of_store(vfs, source);
    report.lost.extend(missing.map(|error| loss(&error, None, None)));
    for (id, path) in base.ahead.mixed() {
        let reason =
            "no checkpoint knows of the file, and the log has events for its conversation; both are in";
        let error = Error::new(ErrorKind::Corrupt, reason).at(path, None);
        report.lost.push(loss(&error, Some(id), None));
    }
    report.lost.sort_by_key(|loss| loss.first_seq);
    let stats = stats::stats(engine.reads());
    (report.conversations, report.messages, report.actions) =
        (stats.conversations, stats.messages, stats.actions);
    engine.close()?;
    history(vfs, source, &target, &mut report)?;
    erasures(vfs, source, &mut report)?;
    for kept in consumers::all(vfs, source)? {
        report.notes.push(format!(
            "consumer {kept:?} stays with the old store, whose events have other numbers; the new one gives it everything again, \
             unless `aral-store consumers --reset {kept} --from now` says otherwise"
        ));
    }
    Ok(Rebuilt { report, known, next_seq })
}

/// Gives the new store the choice of how much history is kept, and says which history stays with the old one.
fn history(vfs: &dyn Vfs, source: &Layout, target: &Layout, report: &mut RepairReport) -> Result<()> {
    match keep::keep_in(vfs, source) {
        Ok(Keep::DEFAULT) => {}
        Ok(keep) => keep::write_keep(vfs, target, keep)?,
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            report.notes.push(format!(
                "the new store keeps {} of its history until `aral-store keep` says otherwise: {error}",
                Keep::DEFAULT
            ));
        }
        Err(error) => return Err(error),
    }
    let all = chapter_list::list(vfs, source)?;
    if let (Some(first), Some(last)) = (all.iter().map(|named| named.first).min(), all.last()) {
        report.notes.push(format!(
            "the history of events {first} to {} stays in the old store alone: what `keep` kept is in {}, and the new store keeps \
             what comes from now on",
            last.last,
            source.archive().join("").display()
        ));
    }
    Ok(())
}

/// Says what the new store does not know of erasures: one that is not finished, and the receipts, which are of the old store.
fn erasures(vfs: &dyn Vfs, source: &Layout, report: &mut RepairReport) -> Result<()> {
    match erase::intent(vfs, source) {
        Ok(None) => {}
        Ok(Some(intent)) => report.notes.push(format!(
            "an erasure of {} was begun and is not finished: the new store does not go on with it, and what was to be erased may be in it \
             and in the old one; erase it in the new store, and remove the old one",
            intent.in_words()
        )),
        Err(error) if error.kind() == ErrorKind::Corrupt => report.notes.push(format!(
            "what was to be erased may be in the new store and in the old one: {error}"
        )),
        Err(error) => return Err(error),
    }
    let receipts = erase::receipts(vfs, source)?.len();
    if receipts > 0 {
        report.notes.push(format!(
            "the receipts of what was erased stay with the old store, of which they are, in {}",
            source.erasures().join("").display()
        ));
    }
    Ok(())
}

/// The settings of the store that is being built: one sync at the end, and no compaction by itself.
fn quiet(settings: Settings) -> Settings {
    Settings {
        sync: SyncPolicy::Os,
        compact_above: None,
        compacts_on_close: false,
        is_read_only: false,
        salvages: false,
        ..settings
    }
}

/// What keeps writers away from the source.
enum Held {
    /// A lock, which counts as long as this lives.
    Lock { _lock: Box<dyn Lock> },
    /// Nothing, because there is no writer.
    Nobody,
    /// Nothing, because this user may not lock it, and need not: a repair only reads.
    Refused,
}

/// Keeps writers away from the source. A source without a lock file has no writer, and none is made.
fn hold(vfs: &dyn Vfs, source: &Layout) -> Result<Held> {
    let path = source.log().join(LOCK);
    if layout::probe(vfs, &path)?.is_none() {
        return Ok(Held::Nobody);
    }
    match vfs.try_lock(&path) {
        Ok(Some(lock)) => Ok(Held::Lock { _lock: lock }),
        Ok(None) => Err(is_written_to(source)),
        // What cannot be written to has no writer.
        Err(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => Ok(Held::Nobody),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(Held::Refused),
        Err(error) => Err(Error::io("lock", &path, error)),
    }
}

/// Puts what the log lacked into the report.
fn tell(salvaged: Salvaged, neighbours: &Neighbours, report: &mut RepairReport) -> Result<()> {
    for (at, Fault { error, missing, payloads }) in salvaged.faults.into_iter().enumerate() {
        // What a newer version wrote, and what there is no memory for, is not damaged, and leaving it out would be no
        // repair.
        if error.kind() == ErrorKind::UnsupportedFormat || is_no_damage(&error) {
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

/// Whether something could not be read for want of memory, or of the right to. It may be as sound as anything, and to
/// leave it out would be no repair.
fn is_no_damage(error: &Error) -> bool {
    error.kind() == ErrorKind::OutOfMemory || error.is_forbidden()
}

/// What was read, or nothing if it cannot be for another reason than that.
fn readable<T>(read: Result<Option<T>>) -> Result<Option<T>> {
    match read {
        Err(error) if is_no_damage(&error) => Err(error),
        read => Ok(read.ok().flatten()),
    }
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
