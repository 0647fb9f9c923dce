//! What is done to a store that nobody opens for it.
//!
//! Owns the two functions for stores that may be too damaged to be opened.

use std::path::PathBuf;

use aral_store::Options;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::failure::raised;
use crate::place::{Place, directory};
use crate::report;

/// Reads every byte of a store and says what is wrong with it.
#[pyfunction]
pub(crate) fn verify(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyDict>> {
    let found = match Place::of(path).map_err(|error| raised(py, &error))? {
        Place::Directory(dir) => py.detach(|| Options::default().verify(dir)),
        database @ (Place::File(..) | Place::Server(..)) => {
            let (store, _open) = database.open(py, Options::default().read_only())?;
            py.detach(|| {
                let found = store.verify();
                // Order: the connections, then what says that there are some.
                drop(store);
                found
            })
        }
    };
    report::verification(py, &found.map_err(|error| raised(py, &error))?)
}

/// Saves what can be saved of a store into a new one, which takes its place if it is given no other.
#[pyfunction]
#[pyo3(signature = (path, to))]
pub(crate) fn repair(py: Python<'_>, path: PathBuf, to: Option<PathBuf>) -> PyResult<Bound<'_, PyDict>> {
    let reason = "a store in a database is repaired in its place by the command line, `aral-store repair --in-place`, and not from Python";
    let saved = directory(path, reason).and_then(|from| {
        let to = to.map(|to| directory(to, "a repair makes a store in a directory")).transpose()?;
        py.detach(|| match to {
            Some(to) => Options::default().repair(&from, &to),
            None => Options::default().repair_in_place(&from),
        })
    });
    let saved = saved.map_err(|error| raised(py, &error))?;
    report::repair(py, &saved)
}
