//! What a source other than a file of JSON lines is made of: sessions, and in them records.
//!
//! Owns their shape: a record is a row of a database or a part of a document, kept as it stands there, with what its tool's
//! reader understood of it.

use std::fmt;

use super::entry::{About, Line};
use crate::exit::Failure;

/// Where a record stands in its source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// A row of a table; its number is absent where a table has none.
    Row { table: String, row: Option<i64> },
    /// The part of a document with this number, counted within its session; the last one of all may be the document's end.
    Part { number: u64, is_end: bool },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row { table, row: Some(row) } => write!(f, "row {row} of table {table:?}"),
            Self::Row { table, row: None } => write!(f, "a row of table {table:?}"),
            Self::Part { number, .. } => write!(f, "part {number}"),
        }
    }
}

/// A row or a part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    /// The id of its first item: by it, it is known the next time.
    pub(crate) name: String,
    pub(crate) place: Place,
    /// As it stands in its source; of a row an object of its columns.
    pub(crate) raw: String,
    pub(crate) line: Line,
}

/// By what a session is known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Known {
    /// The id of its conversation, behind the tool's name.
    pub(crate) session: String,
    /// The name of the file that an export writes it to.
    pub(crate) path: String,
    /// Which of the sessions of one document it is, counted from 1; 0 where it has its file to itself.
    pub(crate) part: u64,
}

/// Takes sessions in, one after the other, and each with its records in order.
pub(crate) trait Sink {
    fn begin(&mut self, known: Known) -> Result<(), Failure>;

    /// What is known of the session that was begun; its readers add to it.
    fn about(&mut self) -> &mut About;

    fn put(&mut self, record: Record) -> Result<(), Failure>;

    /// Names and counts what cannot be read.
    fn unread(&mut self, place: &str, reason: &str);

    /// Says something that is no fault.
    fn note(&mut self, text: &str);

    fn end(&mut self) -> Result<(), Failure>;
}
