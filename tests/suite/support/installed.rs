//! Programs that the tests need and that may not be here.
//!
//! Owns where they are looked for.

use std::path::PathBuf;

/// Where a program is, by this variable or on the path.
pub(crate) fn program(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(variable) {
        return Some(PathBuf::from(named));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|program| program.is_file())
}
