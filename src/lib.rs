//! A crash-safe store for the conversations of LLM agents.
//!
//! Every mutation is one checksummed record appended to a log; opening replays the log into indexes in
//! memory; compaction writes plain JSON files in the layout of the Python framework Aral and drops the log
//! that they cover. Nothing is ever lost, skipped, hidden or deleted in silence.

#![forbid(unsafe_op_in_unsafe_fn)]

pub mod model;

pub mod error;

mod codec;

pub mod vfs;

mod log;

mod index;
