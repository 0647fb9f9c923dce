//! From conversations to positions: which bytes of which file hold what.
//!
//! Owns the state in memory that answers every read: per conversation a summary, per message and action 20
//! bytes that say where it lies. It is a function of the checkpoint and the log and can be rebuilt from
//! them at any time. Does no I/O: a conversation whose file has not been read yet keeps the operations that
//! came after the file was written, and is completed when somebody hands over what the file holds.

mod draft_list;

mod draft;

mod hashing;

mod keys;

mod pending;

mod position;

mod recent;

mod slot;

mod catalog;

pub(crate) use catalog::{Captured, CapturedPlace, Found, Index, KEPT_TOMBSTONES, Reliance};
pub(crate) use draft::{Drafts, Ground, Prepared, Refusal, Resolved, Sight, Sights, Standing, Step};
pub(crate) use keys::{KEPT_KEYS, KeyRecord, KeyTable};
pub(crate) use pending::Pending;
pub(crate) use position::{Entry, Position, id_hash};
pub(crate) use slot::{Base, Body, HeadSource, Lists, Slot};

/// A list of which there is mostly one; that one asks for no memory of its own.
pub(crate) type Few<T> = smallvec::SmallVec<[T; 1]>;

/// A record that does not fit the state it is replayed onto.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Misfit(pub(crate) String);
