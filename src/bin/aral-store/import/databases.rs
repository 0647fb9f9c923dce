//! Taking in the conversations of a database.
//!
//! Owns whose database it is found to be, and what is said of one that is nobody's.

use std::path::Path;

use aral_store::Error;

use super::gather::Gather;
use super::intake::Intake;
use crate::exit::Failure;
use crate::transcripts::Tool;
use crate::transcripts::database::Database;
use crate::transcripts::databases;
use crate::transcripts::places::DATABASES;

pub(super) fn take(path: &Path, wanted: Option<Tool>, intake: &mut Intake<'_>) -> Result<(), Failure> {
    let refused = |text: String| Failure::Input(Error::invalid(text).at(path, None));
    let database = Database::open(path).map_err(|error| Failure::Input(error.context("not imported")))?;
    let Some(tool) = databases::tool(&database) else {
        let text = "not imported: it is an SQLite database, and has the tables of no tool that is known";
        return Err(refused(text.to_owned()));
    };
    if let Some(wanted) = wanted.filter(|wanted| *wanted != tool) {
        let text = format!("not imported: it is of {}, and none of {}", tool.title(), wanted.title());
        return Err(refused(text));
    }
    databases::take(tool, &database, &mut Gather::new(tool, path, intake))
}

/// Whether it is a sound database that has nothing to do with any tool.
pub(super) fn is_no_tools(path: &Path) -> bool {
    let is_database = path.extension().is_some_and(|end| DATABASES.iter().any(|known| end == *known));
    is_database && Database::open(path).is_ok_and(|database| databases::tool(&database).is_none())
}
