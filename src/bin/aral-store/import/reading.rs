//! How a file is to be read.
//!
//! Owns the telling of it by how the file begins and by what was said of it. Reads no more of it.

use std::path::Path;

use aral_store::Error;

use super::forms::{self, Kind};
use super::transcript::of_file;
use crate::exit::Failure;
use crate::lines::Source;
use crate::transcripts::database::MAGIC;
use crate::transcripts::{Kept, Tool};

/// The tool whose document a file is to be read as, if it is one.
pub(super) fn document(source: &Source, wanted: Option<Tool>) -> Option<Tool> {
    let shown = source.open().and_then(|mut lines| forms::told(source, lines.peek()?)).ok();
    match (shown, wanted) {
        (Some(Kind::Document(shown)), None) => Some(shown),
        (Some(Kind::Document(shown)), Some(wanted)) if shown == wanted => Some(shown),
        // Some tools keep files of either kind.
        (Some(Kind::Transcript(shown)), Some(wanted)) if shown == wanted => None,
        // Whoever says so is told what is wrong with it.
        (_, Some(wanted)) if wanted.kept() == Kept::Document => Some(wanted),
        _ => None,
    }
}

/// How a file is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Read {
    /// Nothing is in it yet.
    Not,
    /// Line by line.
    Lines(Tool),
    /// All of it, by whoever takes it in.
    Whole(Whole),
}

/// What a file is that is not read line by line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Whole {
    Archive,
    Database,
    Document(Tool),
}

/// Finds out how a file is to be read, as one of this tool if that is said.
pub(super) fn how(path: &Path, tool: Option<Tool>) -> Result<Read, Failure> {
    let source = Source::File(path.to_owned());
    if forms::is_archive(&source).map_err(of_file)? {
        return Ok(Read::Whole(Whole::Archive));
    }
    if source.open().and_then(|mut lines| Ok(lines.peek()?.is_none())).map_err(of_file)? {
        return Ok(Read::Not);
    }
    if source.head(16).map_err(of_file)?.is_some_and(|head| head == MAGIC) {
        return Ok(Read::Whole(Whole::Database));
    }
    if let Some(tool) = document(&source, tool) {
        return Ok(Read::Whole(Whole::Document(tool)));
    }
    let shows = source.open().and_then(|mut lines| forms::told(&source, lines.peek()?));
    let Some(tool) = tool else {
        if let Kind::Transcript(tool) = shows.map_err(of_file)? {
            return Ok(Read::Lines(tool));
        }
        let text = "not imported: it is no session of a tool; import it by its own name";
        return Err(Failure::Input(Error::invalid(text).at(path, None)));
    };
    // What shows that it is something else would become records that say nothing.
    let is_other = match shows {
        Ok(Kind::Transcript(other)) => other != tool,
        Ok(kind) => kind == Kind::Lines,
        Err(_) => false,
    };
    if is_other {
        let text = format!("not imported: it is no session of {}; import it by its own name", tool.title());
        return Err(Failure::Input(Error::invalid(text).at(path, None)));
    }
    Ok(Read::Lines(tool))
}
