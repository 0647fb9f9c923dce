//! JSON exactly as Python's `json` module reads and writes it.
//!
//! Owns the value, its reader, its canonical compact form and Python's indented layout. Where ordinary JSON
//! libraries differ from Python (lone surrogates, `NaN`, integers of any size, the shape of floats,
//! repeated keys) it follows Python. Knows nothing of conversations.

mod scan;

mod number;

mod value;

mod reader;

mod compact;

mod layout;

mod canonical;

mod object;

mod builder;

mod partial;

pub use builder::JsonObjectBuilder;
pub(crate) use compact::write_text;
pub(crate) use layout::{python_from_compact, python_text};
pub(crate) use object::object_from;
pub(crate) use reader::{JsonError, Reader};
pub(crate) use scan::{ascii_run, short_ascii_run, string_run};
pub(crate) use value::{Members, Value};
