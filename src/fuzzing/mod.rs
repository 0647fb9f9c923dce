//! The laws of the formats, as functions of any bytes.
//!
//! Owns, for each reader of bytes, what must hold whatever the bytes are: nothing panics, nothing is allocated
//! beyond a limit, and what was read, written and read again is the same. The fuzzers under `fuzz/` call
//! these with bytes that they make up, and the tests with bytes that were saved. No part of the public
//! interface, although it must be reachable like one; see docs/decisions/0005-fuzzing-hooks.md. Nothing in
//! the store calls it.

mod document;

mod json;

mod line;

mod record;

mod segment;

pub use document::document;
pub use json::json;
pub use line::line;
pub use record::{checkpoint, frame, payload};
pub use segment::segment;
