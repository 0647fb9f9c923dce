//! How the index finds an id among many.
//!
//! Owns the choice of the hash: seeded anew in each process, so that nobody can make ids up that all fall
//! together; fast, because every append and every read begins with it.

/// Makes the hashers of the index's tables.
pub(crate) type FastHash = foldhash::fast::RandomState;
