//! Strings between Python and the store.
//!
//! Owns the rule that a lone surrogate crosses unchanged, both ways, and that a pair of them is one code point, as it is
//! to Python's own `json`.

use aral_store::Text;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::failure::invalid;

/// A string that may hold lone surrogates.
pub(crate) fn text_of(string: &Bound<'_, PyString>) -> PyResult<Text> {
    if let Ok(plain) = string.to_str() {
        return Ok(Text::from(plain));
    }
    // By way of UTF-16, in which two halves that stand together are one code point by themselves.
    let utf16 = string.call_method1("encode", ("utf-16-le", "surrogatepass"))?;
    let joined = utf16.call_method1("decode", ("utf-16-le", "surrogatepass"))?;
    let wtf8: Vec<u8> = joined.call_method1("encode", ("utf-8", "surrogatepass"))?.extract()?;
    Text::from_wtf8(wtf8).map_err(|_| invalid(string.py(), "a string that is no Unicode"))
}

/// A string that is a conversation's id, which holds no lone surrogates.
pub(crate) fn id_of(string: &Bound<'_, PyString>) -> PyResult<String> {
    match string.to_str() {
        Ok(plain) => Ok(plain.to_owned()),
        Err(_) => Err(invalid(string.py(), "a conversation id must not hold a lone surrogate")),
    }
}

/// The string for a text.
pub(crate) fn string_of<'py>(py: Python<'py>, text: &Text) -> PyResult<Bound<'py, PyString>> {
    if let Some(plain) = text.as_str() {
        return Ok(PyString::new(py, plain));
    }
    let bytes = PyBytes::new(py, text.as_wtf8());
    PyString::from_encoded_object(&bytes, Some(c"utf-8"), Some(c"surrogatepass"))
}
