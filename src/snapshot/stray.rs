//! Files among the conversations' that no conversation has.
//!
//! Owns what is said of a second file of one conversation, so that an opening, a check and a repair say the same:
//! the conversation is whole without it, and what is in it counts nowhere until its owner moves it.

use std::path::Path;

use super::layout;
use super::load::long_document;
use super::row::Row;
use crate::codec::checkpoint::FileState;
use crate::error::{Error, ErrorKind, Result};
use crate::model::DamagedFile;
use crate::vfs::Vfs;

/// What is said of a conversation whose file is gone.
pub(crate) const MISSING: &str = "the conversation's file is missing";

/// What to do about a list of conversations that is not as the store wrote it: nothing depends on it.
pub(crate) const LIST_REMEDY: &str = "; move this file away, and `aral-store compact` writes it anew";

/// A file that nothing is recorded of.
#[derive(Debug)]
pub(crate) struct Unrecorded {
    pub(crate) length: u64,
    /// The conversation that it holds.
    pub(crate) id: String,
    /// Why it cannot be read.
    pub(crate) wrong: Option<Error>,
}

impl Unrecorded {
    /// Reads one; none if it is not there.
    pub(crate) fn read(vfs: &dyn Vfs, file_name: &str, path: &Path) -> Result<Option<Self>> {
        let row = match long_document(vfs, path, None)? {
            Some((document, print)) => Row::of(file_name, Ok(document), print, false),
            None => match layout::read_file(vfs, path)? {
                Some((bytes, print)) => Row::read(file_name, &bytes, print, false),
                None => return Ok(None),
            },
        };
        let offset = row.as_entry().damage_offset();
        let wrong = Error::new(ErrorKind::Corrupt, row.note).at(path, offset);
        let wrong = (row.state != FileState::Intact).then_some(wrong);
        Ok(Some(Self { length: row.file.len, id: row.id, wrong }))
    }
}

/// Says of a file that it is a second one of a conversation. Where the conversation's own is gone, the two are one thing:
/// the file was renamed.
pub(crate) fn tell_second(damaged: &mut Vec<DamagedFile>, path: &Path, id: &str, own: &str) {
    let is_own = |file: &&mut DamagedFile| file.conversation_id.as_deref() == Some(id);
    let missing = damaged.iter_mut().find(|file| is_own(file) && file.reason.starts_with(MISSING));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if let Some(missing) = missing {
        missing.reason =
            format!("{}; {name} holds the conversation: give that file the name {own}", missing.reason);
        return;
    }
    let reason = format!(
        "this is a second file of conversation {id:?}, which has {own}; nothing in this one counts: move this file away"
    );
    tell(damaged, path, reason);
}

/// Says of a file that the conversation in it is one that the log has.
pub(crate) fn tell_in_log(damaged: &mut Vec<DamagedFile>, path: &Path, id: &str) {
    let reason = format!(
        "conversation {id:?} is in the log, and not what is in this file, of which nothing counts: move this file away"
    );
    tell(damaged, path, reason);
}

/// It is no conversation's: the one that it names is whole.
fn tell(damaged: &mut Vec<DamagedFile>, path: &Path, reason: String) {
    damaged.push(DamagedFile {
        path: path.to_owned(),
        offset: None,
        conversation_id: None,
        reason,
        is_forbidden: false,
    });
}

/// What is said of the file of a conversation that was removed.
pub(crate) fn of_removed(id: &str, seq: u64) -> String {
    format!(
        "conversation {id:?} was removed, by event {seq}, so its file is not taken in; move it away, or begin the \
         conversation anew"
    )
}
