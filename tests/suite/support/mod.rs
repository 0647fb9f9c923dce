//! What the suites share: file systems that fail in every way that real ones do, the operations on a store,
//! and the oracle that knows what they should come to.
//!
//! Knows only the product's public interface, so that the fuzzers can use it too.

#[cfg(feature = "postgres")]
pub(crate) mod altered;
pub(crate) mod azurite;
pub(crate) mod buckets;
pub(crate) mod check;
pub(crate) mod crashes;
pub(crate) mod damage;
pub(crate) mod databases;
pub(crate) mod driver;
pub(crate) mod faultfs;
pub(crate) mod faulty;
pub(crate) mod files;
#[cfg(feature = "firestore")]
pub(crate) mod firestore;
pub(crate) mod forks;
#[cfg(feature = "cloud")]
pub(crate) mod google;
pub(crate) mod hooks;
pub(crate) mod installed;
pub(crate) mod meeting;
#[cfg(feature = "mongodb")]
pub(crate) mod mongod;
pub(crate) mod mounts;
pub(crate) mod ops;
pub(crate) mod oracle;
pub(crate) mod paced;
pub(crate) mod past;
pub(crate) mod program;
#[cfg(feature = "postgres")]
pub(crate) mod proxy;
#[cfg(feature = "cloud")]
pub(crate) mod recorded;
#[cfg(feature = "postgres")]
pub(crate) mod server;
pub(crate) mod simfs;
pub(crate) mod sources;
pub(crate) mod suspects;
pub(crate) mod witness;
