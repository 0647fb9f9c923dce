//! The contenders, by name.
//!
//! Owns the list of names and how each is opened; an adapter a file.

use std::path::Path;

use crate::Outcome;
use crate::peer::{Peer, Syncs};

pub(crate) mod aral;
mod group;
pub(crate) mod raw;
mod sqlite;

use raw::Blocks;
use sqlite::Synchronous;

/// The store that all of this is about.
pub(crate) const OURS: &str = "aral-store";

/// Opens what a contender keeps in this directory, or begins it.
pub(crate) fn open(name: &str, dir: &Path, syncs: Syncs) -> Outcome<Box<dyn Peer>> {
    Ok(match name {
        "raw-reserved" => Box::new(raw::Raw::open(dir, Blocks::Reserved)?),
        "raw-written" => Box::new(raw::Raw::open(dir, Blocks::Written)?),
        "raw-reserved+gc" => Box::new(raw::RawGroup::open(dir, Blocks::Reserved)?),
        "raw-written+gc" => Box::new(raw::RawGroup::open(dir, Blocks::Written)?),
        "raw-write" => Box::new(raw::Raw::open(dir, Blocks::None)?),
        "sqlite-full" => Box::new(sqlite::Sqlite::open(dir, Synchronous::Full)?),
        "sqlite-normal" => Box::new(sqlite::Sqlite::open(dir, Synchronous::Normal)?),
        OURS => Box::new(aral::Aral::open(dir, syncs)?),
        _ => return Err(format!("there is no contender called {name:?}").into()),
    })
}

/// Whether this is a limit of the machine, and no rival.
pub(crate) fn is_limit(name: &str) -> bool {
    name.starts_with("raw-")
}
