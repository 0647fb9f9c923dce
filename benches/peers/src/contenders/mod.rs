//! The contenders, by name.
//!
//! Owns the list of names and how each is opened; an adapter a file.

use std::path::Path;

use crate::Outcome;
use crate::peer::{Peer, Syncs};

pub(crate) mod aral;
mod fjall;
mod group;
mod jsonl;
mod keyed;
mod lmdb;
pub(crate) mod mapped;
mod okay;
mod postgres;
mod postgres_rows;
mod raft;
pub(crate) mod raw;
mod redb;
mod salamander;
mod sqlite;
mod sqlite_rows;
pub(crate) mod unsynced;

use crate::server;
use postgres_rows::{PostgresRows, Way};
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
        // Where nobody syncs, `NORMAL` is what SQLite has: it syncs at checkpoints alone.
        "sqlite-full" if syncs == Syncs::Each => Box::new(sqlite::Sqlite::open(dir, Synchronous::Full)?),
        "sqlite-full" | "sqlite-normal" => Box::new(sqlite::Sqlite::open(dir, Synchronous::Normal)?),
        "redb" => Box::new(redb::Redb::open(dir, syncs)?),
        "fjall" => Box::new(fjall::Fjall::open(dir, syncs)?),
        "lmdb" => Box::new(lmdb::Lmdb::open(dir, syncs)?),
        "raft-engine" => Box::new(raft::Raft::open(dir, syncs)?),
        "okaywal" => Box::new(okay::Okay::open(dir, syncs)?),
        "salamander-db" => Box::new(salamander::Events::open(dir, syncs)?),
        "jsonl" => Box::new(jsonl::Jsonl::open(dir, syncs)?),
        "raw-map" => Box::new(mapped::Mapped::open(dir)?),
        OURS => Box::new(aral::Aral::open(dir, syncs)?),
        _ => return Err(format!("there is no contender called {name:?}").into()),
    })
}

/// Where this store keeps what it is given, and whom it is measured beside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Home {
    Directory,
    Sqlite,
    /// On a server that every sample has to itself.
    Postgres,
}

/// Opens what a contender keeps in a database below this directory, or begins it.
pub(crate) fn open_in(home: Home, name: &str, dir: &Path, port: u16) -> Outcome<Box<dyn Peer>> {
    Ok(match (home, name) {
        (Home::Sqlite, OURS) => Box::new(aral::Aral::connect(&format!("sqlite:{}/aral.db", dir.display()))?),
        (Home::Postgres, OURS) => Box::new(aral::Aral::connect(&server::url(port))?),
        (Home::Sqlite, "raw-rows") => Box::new(sqlite_rows::SqliteRows::open(dir)?),
        (Home::Postgres, "raw-rows") => Box::new(PostgresRows::open(port, Way::Statement)?),
        (Home::Postgres, "raw-copy") => Box::new(PostgresRows::open(port, Way::Copy { connections: 1 })?),
        (Home::Postgres, "raw-copy-2") => Box::new(PostgresRows::open(port, Way::Copy { connections: 2 })?),
        (Home::Postgres, "inserts") => Box::new(postgres::Inserts::open(port)?),
        _ => open(name, dir, Syncs::Each)?,
    })
}

/// Whether this is a limit of the machine, and no rival.
pub(crate) fn is_limit(name: &str) -> bool {
    name.starts_with("raw-")
}
