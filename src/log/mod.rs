//! An ordered run of segments of records.
//!
//! Owns everything under `log/` that holds records: making, scanning, judging and sealing segments, and the
//! group commit that appends to the last one. Knows no conversations: a record is a payload and a count of
//! events. The rules, with their reasons, are in docs/format.md and docs/durability.md; in short:
//!
//! - A byte that a sync has covered is never written again; segments are never reused, never cut, and never
//!   appended to by another process than the one that made them.
//! - Each frame says how much of its segment a sync had covered when it was made. Damage below the highest
//!   such mark is rot and an error; damage above it is a torn tail and a value.
//! - A segment's successor says how much of it counts.

pub(crate) mod scan;

pub(crate) mod segment;

pub(crate) mod inventory;

pub(crate) mod recovery;

pub(crate) mod salvage;

pub(crate) mod orphans;

pub(crate) mod claim;

mod active;

mod current;

mod hint;

mod commit;

mod group;

mod start;

mod leader;

mod record;

pub(crate) mod opened;

pub(crate) mod unopened;

mod sync;

mod waiter;

#[cfg(all(test, shuttle))]
mod schedules;

pub(crate) use active::Active;
pub(crate) use commit::{Log, Turn};
pub(crate) use group::Client;
pub(crate) use record::{Framed, Placed, Record};
pub(crate) use start::{Limits, Start};
