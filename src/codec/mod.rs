//! Values to bytes and back.
//!
//! Owns every format the store reads or writes. Total: any input gives a value or an error, never a panic.
//! Bounded: nothing is allocated beyond a declared limit, whatever the bytes say. Knows no files.

mod json;

mod datetime;

mod fields;

mod document;

mod index_file;

mod lines;

pub use lines::ExportLine;
