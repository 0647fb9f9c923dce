//! The backend that keeps conversations in a directory.
//!
//! Owns the putting together of log, index and snapshot: opening, appending, reading, compacting, closing.

mod completeness;

mod copied_from;

mod encrypted;

mod writer;

mod events;

mod commit;

mod steady;

mod consumers;

mod unread;

mod opened;

mod replay;

mod checkpoint_file;

mod remedy;

mod root;

mod new_place;

mod open;

mod finish;

mod accept;

#[cfg(feature = "sqlite")]
mod search_file;

mod reads;

mod messages;

mod apply;

mod engine;

mod lock_wait;

mod room;

mod index_view;

mod append;

mod external_changes;

mod held;

mod compaction;

mod sync_pool;

mod background;

mod read_position;

mod read_only;

mod tail;

mod keep;

mod archive;

mod covering;

mod history;

mod erase;

mod verify;

#[cfg(feature = "sqlite")]
mod search_index;

mod stats;

mod repair;

mod backup;

mod export;

mod registry;

use std::path::Path;
use std::sync::Arc;

use engine::Engine;
use remedy::of_the_log;
use root::{existing_dir, make_dirs};
use steady::steady_report;

use crate::backend::Backend;
use crate::backend::settings::Settings;
use crate::error::{Error, ErrorKind, Result};
use crate::model::VerifyReport;
use crate::snapshot::layout::{self, Layout};
use crate::snapshot::nested;

#[cfg(any(test, feature = "journal"))]
pub(crate) use backup::MANIFEST;
pub(crate) use backup::{Replica, must_still_be_there, restore};
pub(crate) use encrypted::must_have_no_key;
#[cfg(feature = "encryption")]
pub(crate) use encrypted::rekey;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use repair::repair_into;
pub(crate) use repair::{repair, repair_in_place};
#[cfg(feature = "sqlite")]
pub(crate) use search_index::{drop_search_index, make_search_index, search_index};

/// Opens the store in a directory.
pub(crate) fn open(dir: &Path, settings: Settings) -> Result<Arc<dyn Backend>> {
    let vfs = Arc::clone(&settings.vfs);
    open_dir(dir, settings).map_err(|error| match existing_dir(&*vfs, dir) {
        Ok(root) if error.kind() == ErrorKind::NotFound && backup::is_backup(&*vfs, &root) => {
            is_a_backup(dir)
        }
        Ok(root) => of_the_log(&Layout::new(&root), error),
        Err(_) => error,
    })
}

fn open_dir(dir: &Path, settings: Settings) -> Result<Arc<dyn Backend>> {
    if settings.is_read_only {
        let layout = Layout::new(&existing_dir(&*settings.vfs, dir)?);
        let settings = encrypted::for_reading(settings, &layout)?;
        let reader = if settings.salvages {
            repair::open_salvaged(&layout, &settings)
        } else {
            read_only::ReadOnly::open(layout, settings)
        };
        return Ok(Arc::new(reader?));
    }
    // One that was made there all the same is opened: what is in it must not be lost.
    if let Ok(None) = layout::probe(&*settings.vfs, &Layout::new(dir).log()) {
        if backup::is_backup(&*settings.vfs, dir) {
            return Err(is_a_backup(dir));
        }
        nested::must_lie_in_no_store(&*settings.vfs, dir)?;
    }
    make_dirs(&*settings.vfs, dir)?;
    let root = existing_dir(&*settings.vfs, dir)?;
    let outside = Arc::clone(&settings.vfs);
    let settings = encrypted::for_writing(settings, &Layout::new(&root))?;
    let engine = registry::shared(&outside, &root, || Engine::open(Layout::new(&root), settings))?;
    Ok(engine)
}

/// The error for a backup in the place of a store.
fn is_a_backup(dir: &Path) -> Error {
    let reason = "this directory holds a backup, of which `aral-store restore` makes a store";
    Error::invalid(reason).at(dir, None)
}

/// Says what is wrong with the store in a directory.
pub(crate) fn verify_dir(dir: &Path, settings: &Settings) -> Result<VerifyReport> {
    let root = existing_dir(&*settings.vfs, dir)?;
    let layout = Layout::new(&root);
    if encrypted::is_locked(settings, &layout)? {
        return steady_report(|| verify::without_key(&*settings.vfs, &layout));
    }
    let settings = encrypted::for_reading(settings.clone(), &layout)?;
    steady_report(|| verify::verify(&*settings.vfs, &layout))
}
