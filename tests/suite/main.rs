//! The tests that need a whole store, in one binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod accepting;
mod alphabet;
#[cfg(feature = "postgres")]
mod altered;
mod backups;
#[cfg(feature = "cli")]
mod branching;
mod buckets;
mod chapters;
#[cfg(feature = "cli")]
mod cli;
mod concurrency;
mod consumers;
mod contract;
mod copies;
#[cfg(feature = "cli")]
mod copying;
mod copying_another;
mod corruption;
mod crash;
#[cfg(feature = "cli")]
mod databases;
#[cfg(feature = "encryption")]
mod encryption;
mod erasing;
mod erasing_databases;
mod exact_json;
mod faults;
#[cfg(feature = "firestore")]
mod firestore;
mod fixtures;
mod follow;
mod foreign;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod full_database;
mod full_disk;
mod golden;
mod held;
mod keeping;
mod lending;
mod listing;
mod location;
mod looking_back;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod many_writers;
mod memory;
#[cfg(all(feature = "cli", feature = "sqlite"))]
mod migrations;
mod model;
#[cfg(all(feature = "cli", feature = "mongodb"))]
mod mongodb;
mod overtaken;
#[cfg(feature = "postgres")]
mod pooling;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "cli")]
mod processes;
mod pruning;
mod queries;
mod receipts;
mod refresh;
#[cfg(feature = "postgres")]
mod refusals;
mod regressions;
mod releasing;
mod repair;
mod replaced;
mod replacing;
mod replies;
#[cfg(feature = "postgres")]
mod round_trips;
mod saved_inputs;
mod searching;
mod selections;
mod simfs_laws;
mod support;
mod sync_pool;
mod tidy;
mod unique_ids;
#[cfg(feature = "sqlite")]
mod unwritable;
#[cfg(feature = "postgres")]
mod wakeups;
mod withstands;
