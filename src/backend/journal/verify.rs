//! Verifying: is everything that counts there, and as it was written?
//!
//! Owns the reading of all of it: the checkpoint's documents, and the log behind it from the first object on.

use super::chain::Journal;
use super::documents::{self, Recorded};
use super::names;
use super::opening;
use super::state::damaged;
use super::tries;
use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::FileState;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{DamagedFile, VerifyReport};
use std::sync::Arc;

/// Reads everything and says what is wrong with it.
pub(super) fn verify(journal: &Journal) -> Result<VerifyReport> {
    let objects = &*journal.objects;
    let mut report = VerifyReport::default();
    let mut tell = |id: Option<&str>, reason: &str| {
        let conversation_id = id.map(str::to_owned);
        let (path, reason) = (objects.place().to_owned(), reason.to_owned());
        report.damaged.push(DamagedFile { path, offset: None, conversation_id, reason, is_forbidden: false });
    };
    let gone =
        || Error::new(ErrorKind::Corrupt, "the store is gone from the bucket").at(objects.place(), None);
    let read = opening::find(objects)
        .and_then(|found| Journal::read(Arc::clone(&journal.objects), found.ok_or_else(gone)?.state));
    let anew = match read {
        Ok(anew) => anew,
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            tell(None, error.message());
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    let state = anew.state();
    let (mut files, mut bytes, mut conversations) = (1 + to_u64(state.places.len()), 0, 0);
    let mut notes = Vec::new();
    for entry in state.checkpoint.entries() {
        if entry.state != FileState::Intact {
            tell(Some(entry.id), damaged(&entry).message());
            continue;
        }
        let recorded = Recorded::of(&entry);
        match documents::fetch(objects, &recorded)? {
            Some(document) => {
                (files, bytes, conversations) =
                    (files + 1, bytes + to_u64(document.len()), conversations + 1);
                if let Err(error) = documents::read(objects, &recorded, &document) {
                    tell(Some(entry.id), error.message());
                }
            }
            None => tell(Some(entry.id), "neither its document nor its file is as the checkpoint says"),
        }
        let name = names::conversation(entry.file_name);
        let is_due = state.published == state.checkpoint.head().epoch;
        if is_due && !tries::get(objects, &name)?.is_some_and(|copy| recorded.is(&copy.bytes)) {
            notes.push(format!("{name} is not as the store has it: readers of the bucket see the right one, a copy of it does not"));
        }
    }
    let logged: u64 = state.places.iter().map(|place| place.bytes).sum();
    report.events = state.next_seq - 1 - state.checkpoint.head().covered_seq;
    (report.files, report.bytes, report.conversations, report.notes) =
        (files, bytes + logged, conversations, notes);
    Ok(report)
}
