//! What is done to a store that nobody opens for it.
//!
//! Owns the two functions for stores that may be too damaged to be opened.

use std::path::PathBuf;

use aral_store::Options;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::failure::raised;
use crate::key::key_of;
use crate::place::{Place, directory};
use crate::report;

/// Reads every byte of a store and says what is wrong with it.
#[pyfunction]
#[pyo3(signature = (path, key=None))]
pub(crate) fn verify<'py>(
    py: Python<'py>,
    path: PathBuf,
    key: Option<&[u8]>,
) -> PyResult<Bound<'py, PyDict>> {
    let mut options = Options::default();
    if let Some(key) = key {
        options = options.key(key_of(key).map_err(|error| raised(py, &error))?);
    }
    let found = match Place::of(path).map_err(|error| raised(py, &error))? {
        Place::Directory(dir) => py.detach(|| options.verify(dir)),
        database @ (Place::File(..) | Place::Server(..)) => {
            let (store, _open) = database.open(py, options.read_only())?;
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

/// Wraps the key of an encrypted store anew.
#[pyfunction]
pub(crate) fn rekey(py: Python<'_>, path: PathBuf, old: &[u8], new: &[u8]) -> PyResult<()> {
    let reason = "only stores in directories are encrypted";
    let (old, new) = (key_of(old), key_of(new));
    let done =
        directory(path, reason).and_then(|dir| py.detach(|| Options::default().key(old?).rekey(dir, &new?)));
    done.map_err(|error| raised(py, &error))
}

/// Saves what can be saved of a store into a new one, which takes its place if it is given no other.
#[pyfunction]
#[pyo3(signature = (path, to, key=None))]
pub(crate) fn repair<'py>(
    py: Python<'py>,
    path: PathBuf,
    to: Option<PathBuf>,
    key: Option<&[u8]>,
) -> PyResult<Bound<'py, PyDict>> {
    let mut options = Options::default();
    if let Some(key) = key {
        options = options.key(key_of(key).map_err(|error| raised(py, &error))?);
    }
    let placed = |path| Place::of(path).map_err(|error| raised(py, &error))?.entered(py);
    // What says that there are connections is held until they are gone.
    let (from, _open) = placed(path)?;
    let saved = match to.map(placed).transpose()? {
        Some((to, _also_open)) => py.detach(|| options.repair(&from, &to)),
        None => py.detach(|| options.repair_in_place(&from)),
    };
    let saved = saved.map_err(|error| raised(py, &error))?;
    report::repair(py, &saved)
}
