//! Values to bytes and back.
//!
//! Owns every format the store reads or writes. Total: any input gives a value or an error, never a panic.
//! Bounded: nothing is allocated beyond a declared limit, whatever the bytes say. Knows no files.

pub(crate) mod bytes;

pub(crate) mod frame;

pub(crate) mod segment;

pub(crate) mod control;

pub(crate) mod marker;

pub(crate) mod copy_mark;

pub(crate) mod keep;

pub(crate) mod cursor;

pub(crate) mod erasure;

pub(crate) mod chapter;

pub(crate) mod backup;

pub(crate) mod claim;

pub(crate) mod ids;

pub(crate) mod payload;

pub(crate) mod checkpoint;

pub(crate) mod json;

pub(crate) mod datetime;

pub(crate) mod fields;

pub(crate) mod document;

pub(crate) mod index_file;

mod lines;

pub use json::JsonObjectBuilder;
pub use lines::{ExportEnd, ExportLine};

#[cfg(test)]
mod format_doc;
