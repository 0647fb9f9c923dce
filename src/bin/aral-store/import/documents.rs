//! Taking in the conversations of a document.
//!
//! Owns that it is read as one piece, and what is said of one that is not what it seems.

use std::path::Path;

use aral_store::{Error, ErrorKind};

use super::gather::Gather;
use super::intake::Intake;
use super::transcript::of_file;
use crate::exit::Failure;
use crate::lines::{Lines, Source};
use crate::transcripts::Tool;
use crate::transcripts::documents;

pub(super) fn take(path: &Path, tool: Tool, intake: &mut Intake<'_>) -> Result<(), Failure> {
    let bytes = Source::File(path.to_owned()).open().and_then(Lines::all).map_err(of_file)?;
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    take_bytes((path, &place), tool, bytes, intake)
}

/// Takes in a document that has been read, by its path and by the place where it lies.
pub(super) fn take_bytes(
    (path, place): (&Path, &Path),
    tool: Tool,
    bytes: Vec<u8>,
    intake: &mut Intake<'_>,
) -> Result<(), Failure> {
    let refused = |reason: &str| {
        let error = Error::new(ErrorKind::InvalidInput, format!("not imported: {reason}"));
        Failure::Input(error.at(path, None))
    };
    let text = String::from_utf8(bytes).map_err(|error| refused(&format!("it is not UTF-8: {error}")))?;
    let (stem, name) = (path.file_stem().unwrap_or_default(), path.file_name().unwrap_or_default());
    let (stem, name, place) = (stem.to_string_lossy(), name.to_string_lossy(), place.to_string_lossy());
    let taken = documents::take(tool, &text, (&stem, &name, &place), &mut Gather::new(tool, path, intake))?;
    taken.map_err(|reason| refused(&format!("as a document of {}: {reason}", tool.title())))
}

#[cfg(test)]
mod tests;
