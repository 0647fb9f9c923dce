//! The locks of the group commit.
//!
//! Owns one choice: they are the standard library's, save in the build that searches schedules, where they
//! are ones that the search decides on at every step. Does not know what they guard.

#[cfg(not(all(test, shuttle)))]
pub(super) use std::{
    sync::{Condvar, Mutex, MutexGuard},
    thread::yield_now,
};

#[cfg(all(test, shuttle))]
pub(super) use shuttle::{
    sync::{Condvar, Mutex, MutexGuard},
    thread::yield_now,
};

/// A group takes no more members once it has this many bytes. A search has to see full groups, too, and
/// cannot copy megabytes at each of its schedules.
pub(super) const GROUP_BYTES: usize = if cfg!(all(test, shuttle)) { 320 } else { 4 << 20 };
