//! From conversations to positions: which bytes of which file hold what.
//!
//! Owns the state in memory that answers every read: per conversation a summary, per message and action 20
//! bytes that say where it lies. It is a function of the checkpoint and the log and can be rebuilt from
//! them at any time. Does no I/O: a conversation whose file has not been read yet keeps the operations that
//! came after the file was written, and is completed when somebody hands over what the file holds.

mod position;

mod grown;

mod recent;

mod replies;

mod slot;

mod catalog;

pub(crate) use catalog::{Captured, CapturedPlace, Found, Index, Reliance};
pub(crate) use grown::Grown;
pub(crate) use position::{Entry, Position, id_hash};
pub(crate) use slot::{Base, Body, HeadSource, Lists, Slot};

/// A record that does not fit the state it is replayed onto.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Misfit(pub(crate) String);
