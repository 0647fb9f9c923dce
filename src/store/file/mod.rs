//! The backend that keeps conversations in a directory.
//!
//! Owns the putting together of log, index and snapshot: opening, appending, reading, compacting, closing.

mod completeness;

mod open;

mod finish;

mod accept;

mod library;

mod messages;

mod shown;

mod engine;

mod wait;

mod room;

mod append;

mod outside;

mod news;

mod held;

mod compaction;

mod crew;

mod background;

mod reach;

mod viewer;

mod tail;

mod verify;

mod size;

mod repair;

mod export;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::backend::Backend;
use super::options::Options;
use super::registry;
use crate::error::{Error, ErrorKind, Result};
use crate::model::VerifyReport;
use crate::snapshot::layout::{self, Layout};
use crate::snapshot::nested;
use crate::vfs::{FileKind, Vfs};

pub(crate) use engine::Engine;
pub(crate) use export::Export;
pub(crate) use repair::{repair, repair_in_place};

/// What can be done about a damaged log.
const OF_A_DAMAGED_LOG: &str =
    "`aral-store repair` saves what proves itself, and a salvage (`--salvage`, `Options::salvage`) shows it";

/// An error about a store's log, with what can be done about it. Other damage is one conversation's.
fn of_the_log(layout: &Layout, error: Error) -> Error {
    let is_of_the_log = error.place().is_some_and(|place| place.path.starts_with(layout.log()));
    if error.kind() == ErrorKind::Corrupt && is_of_the_log {
        return error.with_remedy(OF_A_DAMAGED_LOG);
    }
    error
}

/// Opens the store in a directory.
pub(crate) fn open(dir: &Path, options: Options) -> Result<Arc<dyn Backend>> {
    let vfs = Arc::clone(&options.vfs);
    open_dir(dir, options).map_err(|error| match existing_dir(&*vfs, dir) {
        Ok(root) => of_the_log(&Layout::new(&root), error),
        Err(_) => error,
    })
}

fn open_dir(dir: &Path, options: Options) -> Result<Arc<dyn Backend>> {
    if options.is_read_only {
        let layout = Layout::new(&existing_dir(&*options.vfs, dir)?);
        let viewer = if options.salvages {
            repair::open_salvaged(&layout, &options)
        } else {
            viewer::Viewer::open(layout, options)
        };
        return Ok(Arc::new(viewer?));
    }
    // One that was made there all the same is opened: what is in it must not be lost.
    if let Ok(None) = layout::probe(&*options.vfs, &Layout::new(dir).log()) {
        nested::must_lie_in_no_store(&*options.vfs, dir)?;
    }
    make_dirs(&*options.vfs, dir)?;
    let root = existing_dir(&*options.vfs, dir)?;
    let engine = registry::shared(&options.vfs.clone(), &root, || Engine::open(Layout::new(&root), options))?;
    Ok(engine)
}

/// Says what is wrong with the store in a directory.
pub(crate) fn verify_dir(dir: &Path, options: &Options) -> Result<VerifyReport> {
    let root = existing_dir(&*options.vfs, dir)?;
    let layout = Layout::new(&root);
    viewer::steady_report(|| verify::verify(&*options.vfs, &layout))
}

/// The directory under its own name, if it is one.
fn existing_dir(vfs: &dyn Vfs, dir: &Path) -> Result<PathBuf> {
    if dir.as_os_str().is_empty() {
        return Err(Error::invalid("the store's path is empty; the current directory is named `.`"));
    }
    let root = vfs.canonical(dir).map_err(|error| {
        if let Some(interrupted) = missing_for_now(vfs, dir, &error) {
            return interrupted;
        }
        let error = Error::io("open", dir, error);
        if error.kind() == ErrorKind::NotFound { error.context("there is no store") } else { error }
    })?;
    match layout::probe(vfs, &root)? {
        Some(metadata) if metadata.kind == FileKind::Directory => Ok(root),
        _ => Err(Error::new(ErrorKind::InvalidInput, "not a directory").at(dir, None)),
    }
}

/// Why a directory is not there, if a repair was about to put a store there.
fn missing_for_now(vfs: &dyn Vfs, dir: &Path, error: &io::Error) -> Option<Error> {
    (error.kind() == io::ErrorKind::NotFound).then(|| repair::interrupted(vfs, dir)).flatten()
}

/// Makes a directory and those above it that are missing, durably.
fn make_dirs(vfs: &dyn Vfs, dir: &Path) -> Result<()> {
    match vfs.canonical(dir) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A new store in its place would hide the one that is beside it.
            if let Some(interrupted) = missing_for_now(vfs, dir, &error) {
                return Err(interrupted);
            }
        }
        Err(error) => return Err(Error::io("open", dir, error)),
    }
    let parent = match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    make_dirs(vfs, parent)?;
    match vfs.create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Error::io("create", dir, error)),
        _ => layout::sync_dir(vfs, parent),
    }
}
