//! One conversation's entry while a checkpoint is put together from files.
//!
//! Owns what is taken from a file into an entry, and what stands there where a file says nothing.

use super::names::stem;
use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::{Entry, FileState, Fingerprint};
use crate::codec::document::{Document, scan_document};
use crate::codec::json::JsonError;
use crate::model::{Conversation, Timestamp};

/// One conversation's entry, owned.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) file_name: String,
    pub(super) title: Vec<u8>,
    pub(super) note: String,
    pub(super) state: FileState,
    pub(super) is_canonical: bool,
    pub(super) is_listed: bool,
    pub(super) file: Fingerprint,
    pub(super) messages: u64,
    pub(super) actions: u64,
    pub(super) created_at: Timestamp,
    pub(super) last_activity: Timestamp,
}

impl Row {
    pub(super) fn as_entry(&self) -> Entry<'_> {
        let is_intact = self.state == FileState::Intact;
        Entry {
            id: &self.id,
            file_name: &self.file_name,
            title: &self.title,
            note: &self.note,
            state: self.state,
            is_canonical: self.is_canonical,
            is_listed: self.is_listed,
            file: self.file,
            messages: self.messages,
            actions: self.actions,
            version: if is_intact { 1 + self.messages + self.actions } else { 0 },
            last_seq: 0,
            created_at: self.created_at,
            last_activity: self.last_activity,
        }
    }
}

/// The id in a file, or the one in its name if it has none.
fn id_of(document: &Document, stem: &str) -> Result<String, &'static str> {
    let Some(id) = &document.head.id else { return Ok(stem.to_owned()) };
    let id = id.as_str().ok_or("the conversation's id is not valid Unicode")?;
    if id.is_empty() || id.len() > crate::model::MAX_ID_BYTES {
        return Err("the conversation's id is empty or over 1024 bytes");
    }
    Ok(id.to_owned())
}

fn row_of(document: &Document, id: String, nothing: Row) -> Row {
    let head = &document.head;
    let created_at = head.created_at.unwrap_or(nothing.created_at);
    let newest = document.messages.last().or(document.actions.last()).and_then(|item| item.created_at);
    let title = head.title.clone().unwrap_or_else(|| Conversation::default_title(&id));
    Row {
        title: title.as_wtf8().to_vec(),
        is_canonical: document.is_canonical,
        messages: to_u64(document.messages.len()),
        actions: to_u64(document.actions.len()),
        created_at,
        last_activity: newest.unwrap_or(created_at),
        state: FileState::Intact,
        id,
        ..nothing
    }
}

impl Row {
    /// What a file holds.
    pub(super) fn read(file_name: &str, bytes: &[u8], print: Fingerprint, is_listed: bool) -> Row {
        Self::of(file_name, scan_document(bytes), print, is_listed)
    }

    /// The same of a file that has been scanned.
    pub(super) fn of(
        file_name: &str,
        scanned: Result<Document, JsonError>,
        print: Fingerprint,
        is_listed: bool,
    ) -> Row {
        let written = Timestamp::from_unix_micros(print.modified_nanos / 1000).unwrap_or(Timestamp::EPOCH);
        let nothing = Row { file: print, ..Row::nothing(stem(file_name), file_name, is_listed, written) };
        let damaged = |note: String| Row { state: FileState::Damaged, note, ..nothing.clone() };
        let document = match scanned {
            Ok(document) => document,
            Err(bad) => return damaged(format!("{} at byte {}", bad.reason, bad.offset)),
        };
        match id_of(&document, stem(file_name)) {
            Ok(id) => row_of(&document, id, nothing),
            Err(reason) => damaged(reason.to_owned()),
        }
    }

    /// What is known of a conversation whose file cannot be read.
    pub(super) fn nothing(id: &str, file_name: &str, is_listed: bool, time: Timestamp) -> Self {
        Self {
            id: id.to_owned(),
            file_name: file_name.to_owned(),
            title: Conversation::default_title(id).as_wtf8().to_vec(),
            note: String::new(),
            state: FileState::Damaged,
            is_canonical: false,
            is_listed,
            file: Fingerprint::default(),
            messages: 0,
            actions: 0,
            created_at: time,
            last_activity: time,
        }
    }
}
