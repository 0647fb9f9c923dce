//! What the suites share: file systems that fail in every way that real ones do.
//!
//! Owns the simulator and the fault injector. Knows only the product's file system trait, so that the fuzzers
//! can use it too.

pub(crate) mod faultfs;
pub(crate) mod simfs;
