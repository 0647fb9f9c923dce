//! What the system says of this process.
//!
//! Owns the reading of `/proc/self`.

use std::fs;

use crate::Outcome;

fn number_after(path: &str, start: &str) -> Outcome<f64> {
    let text = fs::read_to_string(path)?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(start))
        .ok_or_else(|| format!("no {start} in {path}"))?;
    Ok(line.split_whitespace().next().ok_or("nothing there")?.parse()?)
}

/// Resident memory, files that are mapped included, in megabytes.
pub(crate) fn resident_mb() -> Outcome<f64> {
    Ok(number_after("/proc/self/status", "VmRSS:")? * 1024.0 / 1e6)
}

/// The part of the resident memory that belongs to no file, in bytes.
pub(crate) fn anonymous_bytes() -> Outcome<f64> {
    Ok(number_after("/proc/self/status", "RssAnon:")? * 1024.0)
}

/// How many bytes were handed to write calls so far.
pub(crate) fn written_bytes() -> Outcome<f64> {
    number_after("/proc/self/io", "wchar:")
}
