//! The files of a tool, as they were before they were imported.
//!
//! Owns that a file is the lines that came of it, in their order, and that no other file is touched.

use std::fs;
use std::path::Path;

use aral_store::{Conversation, Error, MessageStore};

use super::documents::Documents;
use super::file::to_file;
use super::{Contents, Entry};
use crate::exit::{Exit, Failure};
use crate::output::{self, count, to_u64};
use crate::place;
use crate::progress::{self, Unit, Work};
use crate::transcripts::source::{File, Source, file, rows};
use crate::transcripts::{Kept, Tool};

/// Writes each conversation that came of this tool to its file below a folder; `other` is what it comes to that one did not.
pub(super) fn run(
    store: &MessageStore,
    folder: &Path,
    contents: &Contents,
    (tool, other): (Tool, Exit),
) -> Result<Exit, Failure> {
    let (exit, documents) = (Exit::Done, Documents::default());
    let mut writing = Writing { folder, tool, other, exit, written: 0, others: 0, documents };
    let _work = Work::begin("exporting", Some(to_u64(contents.entries.len())), Unit::Conversations);
    for Entry { id, .. } in &contents.entries {
        progress::advance(Unit::Conversations, 1);
        match store.conversation(id) {
            Ok(Some(conversation)) => writing.conversation(&conversation)?,
            Ok(None) => {}
            Err(error) if place::is_unreadable(&error) => {
                writing.exit = writing.exit.graver(place::amiss_by(&error));
                output::error(&error.context(&format!("conversation {id:?} is not exported")).to_string());
            }
            Err(error) => return Err(error.into()),
        }
    }
    writing.end()
}

/// An export, as far as it has come.
struct Writing<'a> {
    folder: &'a Path,
    tool: Tool,
    /// What it comes to that a conversation did not come of the tool.
    other: Exit,
    exit: Exit,
    written: u64,
    others: u64,
    documents: Documents,
}

impl Writing<'_> {
    fn conversation(&mut self, conversation: &Conversation) -> Result<(), Failure> {
        let id = &conversation.id;
        let Some(source) = Source::of(&conversation.metadata).filter(|source| source.tool == self.tool)
        else {
            self.others += 1;
            self.exit = self.exit.graver(self.other);
            return Ok(());
        };
        if source.conversation_id() != *id {
            output::note(&format!(
                "left out: {id:?} began with what came of a session, and is none: it has no file"
            ));
            self.exit = self.exit.graver(self.other);
            return Ok(());
        }
        let Some(path) = source.below(self.folder) else {
            let text = format!("conversation {id:?} is not exported: {:?} is no name of a file", source.path);
            output::error(&text);
            self.exit = self.exit.graver(Exit::Error);
            return Ok(());
        };
        if source.part > 0 {
            self.documents.add(conversation, (&source, self.tool), path);
            return Ok(());
        }
        let file = lines_of(conversation, self.tool, &mut self.exit);
        let text: String = file.lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        self.write(&path, &text, &format!("conversation {id:?}"))
    }

    fn write(&mut self, path: &Path, text: &str, what: &str) -> Result<(), Failure> {
        match put(path, text.as_bytes()) {
            Ok(()) => self.written += 1,
            Err(Failure::Store(error)) => {
                output::error(&format!("{what} is not exported: {error}"));
                self.exit = self.exit.graver(Exit::Error);
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    /// Writes the documents, and says what came of it all.
    fn end(mut self) -> Result<Exit, Failure> {
        let mut untold = false;
        for (path, text) in std::mem::take(&mut self.documents).whole(&mut untold) {
            self.write(&path, &text, "a document")?;
        }
        if untold {
            self.exit = self.exit.graver(Exit::Error);
        }
        let what = if self.tool.kept() == Kept::Document { "file" } else { "session" };
        output::note(&format!("exported {} to {}", count(self.written, what), self.folder.display()));
        if self.others > 0 {
            let others = count(self.others, "conversation");
            output::note(&format!("left out: {others} that did not come of {}", self.tool.title()));
        }
        Ok(self.exit)
    }
}

/// The lines that a conversation came of; what is missing of them, and what came of none, is told.
fn lines_of(conversation: &Conversation, tool: Tool, exit: &mut Exit) -> File {
    let id = &conversation.id;
    let file = match tool.kept() {
        Kept::Lines | Kept::Document => file(conversation, tool),
        Kept::Database => rows(conversation, tool),
    };
    if let Some((first, missing)) = file.missing {
        let are = if missing == 1 { "line of its file is" } else { "lines of its file are" };
        output::error(&format!(
            "conversation {id:?}: {missing} {are} not in the store, the first of them line {first}"
        ));
        *exit = exit.graver(Exit::Error);
    }
    if file.others > 0 {
        let others = count(to_u64(file.others), "item");
        output::note(&format!("left out of {id:?}: {others} that did not come of its file"));
    }
    file
}

/// Writes a new file. One that is there and the same already is fine.
fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        #[expect(clippy::disallowed_methods, reason = "the export is no part of the store")]
        fs::create_dir_all(folder).map_err(|error| Failure::file("make the directory", folder, error))?;
    }
    let is_there =
        path.symlink_metadata().is_ok_and(|seen| seen.is_file() && seen.len() == to_u64(bytes.len()));
    #[expect(clippy::disallowed_methods, reason = "the export is no part of the store")]
    if is_there && fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    to_file(path, |out| {
        out.write_all(bytes).map_err(|error| Failure::file("write", path, error))?;
        Ok(Exit::Done)
    })
    .map(|_| ())
}

/// Refuses standard output, which is one file.
pub(super) fn must_be_a_folder(output: &Path) -> Result<(), Failure> {
    if output == Path::new("-") {
        let text = "a tool's files go into a directory; name it with -o DIR";
        return Err(Failure::Usage(text.to_owned()));
    }
    if output.symlink_metadata().is_ok() && !output.is_dir() {
        let text = "this is no directory; a tool's files go into one";
        return Err(Failure::Store(Error::invalid(text).at(output, None)));
    }
    Ok(())
}
