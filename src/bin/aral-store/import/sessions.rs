//! Taking in many files of sessions.
//!
//! Owns which files there are, and that one that cannot be read keeps no other one out.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use aral_store::{Error, ErrorKind};

use super::ahead;
use super::databases;
use super::intake::Intake;
use super::reading::document;
use super::transcript::Fork;
use crate::exit::Failure;
use crate::lines::Source;
use crate::output;
use crate::transcripts::places::{DATABASES, DOCUMENTS, Found, LINES, files};
use crate::transcripts::{Kept, Tool};

/// Files that may be sessions, and folders that cannot be read.
pub(super) struct Sessions {
    files: Vec<Found>,
    unread: Vec<Error>,
}

impl Sessions {
    pub(super) fn one(path: &Path) -> Self {
        let bytes = path.metadata().map_or(0, |metadata| metadata.len());
        Self { files: vec![Found { path: path.to_owned(), bytes }], unread: Vec::new() }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The paths of the files.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    /// These of the files alone; what cannot be read is told if that is wanted.
    pub(super) fn only(mut self, paths: &[PathBuf], is_told: bool) -> Self {
        let paths: HashSet<&PathBuf> = paths.iter().collect();
        self.files.retain(|file| paths.contains(&file.path));
        if !is_told {
            self.unread.clear();
        }
        self
    }

    /// Each of the files by itself, and what cannot be read with the first.
    pub(super) fn each(self) -> impl Iterator<Item = Self> {
        let files = self.files.into_iter().map(|file| Self { files: vec![file], unread: Vec::new() });
        std::iter::once(Self { files: Vec::new(), unread: self.unread }).chain(files)
    }

    fn below(folders: &[PathBuf], ends: &[&str]) -> Self {
        let mut sessions = Self { files: Vec::new(), unread: Vec::new() };
        for folder in folders {
            let (files, unread) = files(folder, ends);
            sessions.files.extend(files);
            sessions.unread.extend(unread.into_iter().map(|(path, error)| Error::io("list", &path, error)));
        }
        sessions
    }
}

/// The files that may be sessions, below directories or named by themselves.
pub(super) fn listed(roots: &[PathBuf], tool: Option<Tool>) -> Sessions {
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) =
        roots.iter().cloned().partition(|root| root.is_dir());
    let mut sessions = Sessions::below(&folders, &ends(tool));
    for file in files.iter().filter(|file| file.is_file()) {
        sessions.files.extend(Sessions::one(file).files);
    }
    sessions
}

/// What the names of files end with that may be of this tool, or of any.
fn ends(tool: Option<Tool>) -> Vec<&'static str> {
    match tool.map(Tool::kept) {
        Some(Kept::Lines) => LINES.to_vec(),
        Some(Kept::Database) => [DATABASES, DOCUMENTS].concat(),
        Some(Kept::Document) => [LINES, DOCUMENTS].concat(),
        None => [LINES, DATABASES, DOCUMENTS].concat(),
    }
}

/// Whether a file is of a tool, or may be meant to be: databases and JSON of other programs lie about everywhere.
pub(super) fn may_be_one(path: &Path) -> bool {
    let is_json = path.extension().is_some_and(|end| DOCUMENTS.iter().any(|known| end == *known));
    let is_known = || document(&Source::File(path.to_owned()), None).is_some();
    !databases::is_no_tools(path) && (!is_json || is_known())
}

/// The sessions of whoever runs this.
pub(super) fn of_user(tool: Tool) -> Result<Sessions, Failure> {
    let folders = tool.folders();
    let there: Vec<PathBuf> = folders.iter().filter(|folder| folder.is_dir()).cloned().collect();
    if there.is_empty() {
        let names: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        let text = format!(
            "no sessions of {} are where it keeps them ({}); name their directory",
            tool.title(),
            names.join(", ")
        );
        return Err(Failure::Store(Error::new(ErrorKind::NotFound, text)));
    }
    let ends = if tool.kept() == Kept::Database { DATABASES } else { LINES };
    Ok(Sessions::below(&there, ends))
}

/// The sessions below a directory, or in a file whose tool is known; nothing if there are none and nobody has said that there are.
pub(super) fn below(path: &Path, tool: Option<Tool>) -> Result<Option<Sessions>, Failure> {
    if !path.is_dir() {
        let is_known = tool.is_some() && path != Path::new("-") && path.exists();
        if is_known && !path.is_file() {
            let text = "a session is read from a file, again and again as it grows, and this is none";
            return Err(Failure::Store(Error::invalid(text).at(path, None)));
        }
        return Ok(is_known.then(|| Sessions::one(path)));
    }
    let mut sessions = Sessions::below(&[path.to_owned()], &ends(tool));
    if tool.is_none() {
        sessions.files.retain(|file| may_be_one(&file.path));
    }
    if sessions.files.is_empty() && sessions.unread.is_empty() {
        return match tool {
            None => Ok(None),
            Some(tool) => {
                let text = format!("no sessions of {} are in this directory", tool.title());
                Err(Failure::Store(Error::new(ErrorKind::NotFound, text).at(path, None)))
            }
        };
    }
    Ok(Some(sessions))
}

/// Takes them in, each after the other.
pub(super) fn take(sessions: &Sessions, tool: Option<Tool>, intake: &mut Intake<'_>) -> Result<(), Failure> {
    for error in &sessions.unread {
        intake.damaged(error);
    }
    let paths: Vec<&Path> = sessions.paths().collect();
    for Fork { id, parent } in ahead::take(&paths, sessions.bytes(), tool, intake)? {
        if !intake.is_there(&parent)? {
            output::note(&format!(
                "the beginning of {id:?} is in {parent:?}, from which it was forked, and that is not in the store"
            ));
        }
    }
    Ok(())
}
