//! Encryption at rest: the keys of a store, and a file system in which nothing of it is plain.
//!
//! Owns the keys, the only calls of a cipher, and which file of a store's directory is which on the disk. Events are
//! sealed one by one before they get a frame, so that the log's checksums are outside of what is sealed; every other
//! file is sealed in blocks, unless it is one of the few that say nothing of what is kept. Whatever is not known to
//! be one of those is sealed. Knows nothing of conversations but their ids.

mod cipher;

mod key;

mod key_file;

mod keyring;

mod store_key;

mod events;

mod check;

mod copies;

mod blocks;

mod files;

pub use key::Key;
pub(crate) use key::KeySource;

pub(crate) use check::{check_blocks, check_keys};
pub(crate) use copies::KeyCopies;
pub(crate) use files::{Place, SealedFiles};
pub(crate) use store_key::{make, rewrap, unlock};
