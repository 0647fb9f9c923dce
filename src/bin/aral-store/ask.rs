//! Asking before something goes.
//!
//! Owns the question's form, and which answers are a yes.

use std::io::{self, Write};
use std::path::Path;

use crate::exit::Failure;
use crate::output::one_line;

/// Asks at the terminal whether something is to be done.
pub(crate) fn agrees(to: &str) -> Result<bool, Failure> {
    let failed = |error| Failure::file("ask", Path::new("the terminal"), error);
    let mut asking = io::stderr().lock();
    write!(asking, "{}? [y/N] ", one_line(to)).map_err(failed)?;
    asking.flush().map_err(failed)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
