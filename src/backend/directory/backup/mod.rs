//! Backups of a store in a directory, made beside its writer, and what comes back of them.
//!
//! Owns the backup's own directory and the two ways: [`replica`] copies what is new of a store, [`restore`] makes a store of
//! what was copied. The layout is in docs/format.md. Three ideas are others': that segments are copied as they grow, and
//! that a state is a checkpoint with the log behind it, is Litestream's; that files which did not change are kept once
//! for all checkpoints, each proven by a checksum, is that of `RocksDB`'s backup engine.

mod agreement;

mod extent;

mod files;

mod history;

mod log_copy;

mod look;

mod moments;

mod place;

mod replica;

mod restore;

#[cfg(any(test, feature = "journal"))]
pub(crate) use place::MANIFEST;
pub(super) use place::is_backup;
pub(crate) use place::must_still_be_there;
pub(crate) use replica::Replica;
pub(crate) use restore::restore;
