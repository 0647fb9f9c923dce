//! The tests that need a whole store, in one binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[cfg(feature = "cli")]
mod cli;
mod fixtures;
mod foreign;
mod golden;
mod simfs_laws;

mod support;
mod tidy;
