//! The one-line JSON forms in which the command line and other programs exchange values.
//!
//! Owns the names of the fields and types. A line that has a `type` carries fields without a name as an object
//! `extra`, so that none of them can be mistaken for a field of the line; the layout's own form has them last.
//! Lines are JSON as Python reads it, in UTF-8, lone surrogates escaped. Knows no streams.

mod line;

mod mutation;

mod misnamed;

mod event;

mod found;

mod export;

mod difference;

pub use export::{ExportEnd, ExportLine};
