//! What a search finds: the same whatever keeps the messages.
//!
//! Owns what a word is, what a query means, and whether a text answers it. An index may propose texts; whether one is found is decided
//! here, on the text itself. Pure: knows no store and no index.

mod tokens;

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod terms;

mod filters;

mod query;

mod ascii;

mod matching;

mod snippet;

mod score;

#[cfg(feature = "sqlite")]
mod bounds;

mod top;

#[cfg(feature = "sqlite")]
pub(crate) use bounds::{Bounds, Counter, beginnings_of_markers, length_of, marked, more_times, times};
pub(crate) use matching::{Answer, Matcher};
#[cfg(feature = "sqlite")]
pub(crate) use terms::counted;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use terms::{EVERYTHING, Proposal, terms};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use tokens::tokenizer;
#[cfg(feature = "sqlite")]
pub(crate) use top::Key;
pub(crate) use top::{Hit, Top};
