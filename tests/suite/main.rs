//! The tests that need a whole store, in one binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod contract;
mod crash;
mod faults;
mod fixtures;
mod model;
mod rot;
mod saved_inputs;
mod simfs_laws;

mod support;
mod tidy;
