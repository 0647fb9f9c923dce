//! Errors of the store as exceptions of the package.
//!
//! Owns which kind becomes which class; the classes themselves are Python's, in `_errors.py`.

use std::path::PathBuf;

use aral_store::{Error, ErrorKind};
use pyo3::call::PyCallArgs;
use pyo3::prelude::*;

/// With what the place of an error begins where it is on a server.
const SERVERS: [&str; 7] =
    ["postgres://", "mongodb://", "mongodb+srv://", "firestore://", "s3://", "gs://", "az://"];

/// The name of the class, which is that of the kind.
fn class_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidInput => "InvalidInput",
        ErrorKind::Conflict => "Conflict",
        ErrorKind::AlreadyExists => "AlreadyExists",
        ErrorKind::NotFound => "NotFound",
        ErrorKind::Locked => "Locked",
        ErrorKind::ReadOnly => "ReadOnly",
        ErrorKind::UnsupportedFormat => "UnsupportedFormat",
        ErrorKind::Corrupt => "Corrupt",
        ErrorKind::NoSpace => "NoSpace",
        ErrorKind::OutOfMemory => "OutOfMemory",
        ErrorKind::Io => "IoFailed",
        ErrorKind::Failed => "Failed",
        ErrorKind::Closed => "Closed",
        ErrorKind::Unsupported => "Unsupported",
        ErrorKind::Missed => "Missed",
        ErrorKind::Key => "KeyRefused",
        // A kind that is newer than this binding is still an error of the store.
        _ => "AralStoreError",
    }
}

/// The exception for an error.
pub(crate) fn raised(py: Python<'_>, error: &Error) -> PyErr {
    // A database on a server is no file, and neither is a bucket. The text says which one it is.
    let is_file = |path: &PathBuf| {
        let place = path.as_os_str().as_encoded_bytes();
        !SERVERS.iter().any(|scheme| place.starts_with(scheme.as_bytes()))
    };
    let path = error.place().map(|place| place.path.clone()).filter(is_file);
    let offset = error.place().and_then(|place| place.offset);
    exception(py, class_of(error.kind()), (error.to_string(), path, offset))
}

/// The exception for a process that uses a store of the one that it was forked off from.
pub(crate) fn forked(py: Python<'_>, opened: u32) -> PyErr {
    made(class(py, "Forked").and_then(|class| class.call_method1("here", (opened,))))
}

/// The exception for a process that opens a database which the one that it was forked off from has open.
pub(crate) fn forked_database(py: Python<'_>, opened: u32) -> PyErr {
    made(class(py, "Forked").and_then(|class| class.call_method1("of_database", (opened,))))
}

fn exception<'py>(py: Python<'py>, name: &str, arguments: impl PyCallArgs<'py>) -> PyErr {
    made(class(py, name).and_then(|class| class.call1(arguments)))
}

fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("aral_store._errors")?.getattr(name)
}

fn made(exception: PyResult<Bound<'_, PyAny>>) -> PyErr {
    exception.map_or_else(|why| why, PyErr::from_value)
}

/// The exception for a call that asks for something impossible.
pub(crate) fn invalid(py: Python<'_>, message: &str) -> PyErr {
    raised(py, &Error::invalid(message))
}
