//! What the journal asks of a store of objects.
//!
//! Owns the verbs and the outcomes that have to be told apart. Conditions are all that the journal's order rests on: it
//! takes no lock and reads no clock. Knows no bucket and no network.

use std::fmt;
use std::path::Path;

use crate::error::Error;

/// What tells one content of an object from the one that replaces it. Two equal contents may have the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Version(pub(crate) String);

/// An object as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub(crate) bytes: Vec<u8>,
    pub(crate) version: Version,
}

/// What came of a write with a condition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Written {
    /// It took place.
    Done,
    /// The condition did not hold: nothing was written by this request. One that was sent before, and of which nobody knows what
    /// became, may have been.
    Refused,
}

/// Why there is no outcome.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// Nobody knows whether it took place; it may still.
    Open(Error),
    /// It did not take place, and the same may do later: the service is busy.
    Busy(Error),
    /// It did not take place, and will not: credentials, permission, no such bucket.
    Final(Error),
}

impl Trouble {
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Open(error) | Self::Busy(error) | Self::Final(error) => error,
        }
    }
}

pub(crate) type Answer<T> = Result<T, Trouble>;

/// A place in which objects are kept under names, parts of which are parted by `/`.
///
/// An object that was written whole is read whole or not at all, and once a write has returned, every later read of its name
/// shows it or what came after it. A list may lag behind.
pub(crate) trait Objects: Send + Sync + fmt::Debug {
    /// Makes an object under a name that none has.
    fn create(&self, name: &str, bytes: &[u8]) -> Answer<Written>;

    /// Replaces an object that is still as it was read.
    fn replace(&self, name: &str, bytes: &[u8], read: &Version) -> Answer<Written>;

    /// Reads an object; `None` if there is none.
    fn get(&self, name: &str) -> Answer<Option<Found>>;

    /// The names that begin with this and come behind another in the order of their bytes.
    fn list(&self, prefix: &str, behind: &str) -> Answer<Vec<String>>;

    /// The names that begin with this, and how many bytes each has.
    fn list_sized(&self, prefix: &str) -> Answer<Vec<(String, u64)>>;

    /// Removes an object; one that is gone already is fine.
    fn delete(&self, name: &str) -> Answer<()>;

    /// Waits a little before the next try, after so many; false if it is too late for one.
    fn pause(&self, tries: u32) -> bool;

    /// What errors name as their place. Holds no password.
    fn place(&self) -> &Path;
}
