//! Errors of the store as exceptions of the package.
//!
//! Owns which kind becomes which class; the classes themselves are Python's, in `_errors.py`.

use aral_store::{Error, ErrorKind};
use pyo3::prelude::*;

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
        ErrorKind::Io => "IoFailed",
        ErrorKind::Failed => "Failed",
        ErrorKind::Closed => "Closed",
        ErrorKind::Unsupported => "Unsupported",
        // A kind that is newer than this binding is still an error of the store.
        _ => "AralStoreError",
    }
}

/// The exception for an error.
pub(crate) fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let path = error.place().map(|place| place.path.clone());
    let offset = error.place().and_then(|place| place.offset);
    let made = py
        .import("aral_store._errors")
        .and_then(|module| module.getattr(class_of(error.kind())))
        .and_then(|class| class.call1((error.to_string(), path, offset)));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(why) => why,
    }
}

/// The exception for a call that asks for something impossible.
pub(crate) fn invalid(py: Python<'_>, message: &str) -> PyErr {
    raised(py, &Error::invalid(message))
}
