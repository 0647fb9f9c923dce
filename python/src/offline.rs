//! What is done to a store in a directory that nobody opens for it.
//!
//! Owns the two functions for stores that may be too damaged to be opened, and the one for paths that are none.

use std::path::PathBuf;

use aral_store::Options;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::failure::raised;
use crate::report;

/// Reads every byte of a store and says what is wrong with it.
#[pyfunction]
pub(crate) fn verify(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyDict>> {
    let found = py.detach(|| Options::default().verify(&path)).map_err(|error| raised(py, &error))?;
    report::verification(py, &found)
}

/// Saves what can be saved of a store into a new one, which takes its place if it is given no other.
#[pyfunction]
#[pyo3(signature = (path, to))]
pub(crate) fn repair(py: Python<'_>, path: PathBuf, to: Option<PathBuf>) -> PyResult<Bound<'_, PyDict>> {
    let saved = py.detach(|| match to {
        Some(to) => Options::default().repair(&path, &to),
        None => Options::default().repair_in_place(&path),
    });
    let saved = saved.map_err(|error| raised(py, &error))?;
    report::repair(py, &saved)
}

/// Refuses a path that is a URL.
#[pyfunction]
pub(crate) fn check_directory(py: Python<'_>, path: PathBuf) -> PyResult<()> {
    aral_store::location::check_directory(&path).map_err(|error| raised(py, &error))
}
