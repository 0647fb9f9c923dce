//! Reading a conversation's file.
//!
//! Owns the check of a file against the checkpoint, the places where a file may be while a compaction is
//! being published, and what stands in for ids and times that a file leaves out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bit_flip;
use super::layout::{self, Layout};
use super::names::stem;
use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::{Entry as CatalogEntry, Fingerprint};
use crate::codec::document::{Document, Fallback, Item, Pieces, scan_document};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Base, Entry, Lists, Position, id_hash};
use crate::model::{DamagedFile, Text, Timestamp};
use crate::vfs::{FileKind, Vfs, is_out_of_files};

/// Which kind of item an id is made up for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ItemKind {
    Message,
    Action,
}

/// The id of an item that its file gives none: made from the item's place and bytes, so that it is the same
/// at every reading until the file is next written, with the id in it.
pub(crate) fn made_up_id(conversation_id: &str, kind: ItemKind, offset: u64, crc: u32) -> Text {
    let seed = format!("{conversation_id}\0{kind:?}\0{offset}\0{crc}");
    let mut bytes = [0; 16];
    for (n, chunk) in bytes.chunks_mut(4).enumerate() {
        chunk.copy_from_slice(&crc32fast::hash(format!("{n}{seed}").as_bytes()).to_le_bytes());
    }
    Text::from(uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string())
}

/// What stands for what an item at a position leaves out.
pub(crate) fn fallback(
    conversation_id: &str,
    created_at: Timestamp,
    kind: ItemKind,
    position: Position,
) -> Fallback<impl Fn() -> Text> {
    Fallback { id: move || made_up_id(conversation_id, kind, position.offset(), position.crc()), created_at }
}

/// Where the messages and actions of a scanned file lie.
pub(crate) fn lists_of(conversation_id: &str, document: &Document) -> Lists {
    let entries = |items: &[Item], kind| {
        let entry = |item: &Item| {
            let hash = match &item.id {
                Some(id) => id_hash(id.as_wtf8()),
                None => id_hash(made_up_id(conversation_id, kind, item.offset, item.crc).as_wtf8()),
            };
            Entry::new(Position::in_snapshot(item.offset, item.len, item.crc), hash)
        };
        items.iter().map(entry).collect()
    };
    Lists {
        messages: entries(&document.messages, ItemKind::Message),
        actions: entries(&document.actions, ItemKind::Action),
        base: Some(Arc::new(Base {
            metadata: document.head.metadata.clone(),
            extra: document.head.extra.clone(),
        })),
        grown: Vec::new(),
    }
}

/// Reads the file of a conversation, which is still `staged` if a compaction is being published.
///
/// # Errors
///
/// `Corrupt` if there is no file with the recorded length and checksum.
pub(crate) fn load(vfs: &dyn Vfs, layout: &Layout, staged: &Path, entry: &CatalogEntry<'_>) -> Result<Lists> {
    let path = layout.conversation(entry.file_name);
    let mut found = None;
    // A compaction that is being published has the file in one of two places, and may move it from the
    // first to the second between two looks: hence the third.
    for path in [&*path, staged, &*path] {
        if let Some((document, _)) = long_document(vfs, path, Some(&entry.file))? {
            return Ok(lists_of(entry.id, &document));
        }
        let Some((bytes, print)) = layout::read_file(vfs, path)? else { continue };
        if is_same(&print, &entry.file) {
            let document =
                scan_document(&bytes).map_err(|bad| Error::corrupt(path, bad.offset, bad.reason))?;
            return Ok(lists_of(entry.id, &document));
        }
        found.get_or_insert(bytes);
    }
    Err(match found {
        Some(bytes) => {
            let error = not_as_recorded(&bytes, &entry.file, &path);
            let id = if is_changed(&error) {
                scan_document(&bytes).ok().and_then(|found| found.head.id)
            } else {
                None
            };
            match id.filter(|id| *id != *entry.id && *id != *stem(entry.file_name)) {
                Some(id) => Error::corrupt(&path, 0, of_another(&id.to_string_lossy())),
                None => error,
            }
        }
        None => Error::corrupt(&path, 0, "the conversation's file is missing"),
    })
}

/// Whether an error says that one of these files cannot be read, and is not of a kind that passes or is about all
/// files.
pub(crate) fn is_of_a_file(error: &Error, places: &[PathBuf]) -> bool {
    let is_one = error.place().is_some_and(|place| places.contains(&place.path));
    let passes = error.io_source().is_some_and(is_out_of_files);
    is_one && !passes && matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Io)
}

/// A conversation that cannot be read, as reports name it.
pub(crate) fn unreadable(id: &str, error: &Error) -> DamagedFile {
    DamagedFile {
        path: error.place().map(|place| place.path.clone()).unwrap_or_default(),
        offset: error.place().and_then(|place| place.offset),
        conversation_id: Some(id.to_owned()),
        reason: error.message().to_owned(),
        is_forbidden: error.is_forbidden(),
    }
}

/// From which length on a file is read by pieces. What is shorter is read faster as a whole.
const LONG: u64 = 4 << 20;

/// What a long file holds and how it looks, read with no more of it in memory than its largest message or action. `None` if the file is
/// short, is not there, is not as recorded, or is laid out in a way that only a reading as a whole can judge.
///
/// # Errors
///
/// I/O errors.
pub(crate) fn long_document(
    vfs: &dyn Vfs,
    path: &Path,
    recorded: Option<&Fingerprint>,
) -> Result<Option<(Document, Fingerprint)>> {
    let may_be = |length| length >= LONG && recorded.is_none_or(|recorded| recorded.len == length);
    if recorded.is_some_and(|recorded| !may_be(recorded.len))
        || layout::probe(vfs, path)?.is_none_or(|there| there.kind != FileKind::File || !may_be(there.len))
    {
        return Ok(None);
    }
    let mut pieces = Pieces::new();
    let print = layout::read_through(vfs, path, |piece| {
        pieces.take(piece);
        Ok(())
    })?;
    let is_as_recorded = |print: &Fingerprint| recorded.is_none_or(|recorded| is_same(print, recorded));
    Ok(print.filter(is_as_recorded).and_then(|print| Some((pieces.finish()?, print))))
}

/// How long a file is, and what is wrong with it if it is no document, or not the one that was recorded if one was;
/// `None` if there is none.
///
/// # Errors
///
/// I/O errors.
pub(crate) fn checked(
    vfs: &dyn Vfs,
    path: &Path,
    recorded: Option<&Fingerprint>,
) -> Result<Option<(u64, Option<Error>)>> {
    if let Some((_, print)) = long_document(vfs, path, recorded)? {
        return Ok(Some((print.len, None)));
    }
    let Some((bytes, print)) = layout::read_file(vfs, path)? else { return Ok(None) };
    let wrong = match recorded.filter(|recorded| !is_same(&print, recorded)) {
        Some(recorded) => Some(not_as_recorded(&bytes, recorded, path)),
        None => scan_document(&bytes).err().map(|bad| Error::corrupt(path, bad.offset, bad.reason)),
    };
    Ok(Some((print.len, wrong)))
}

/// Whether content is the same, whatever the time.
pub(crate) fn is_same(found: &Fingerprint, recorded: &Fingerprint) -> bool {
    found.len == recorded.len && found.crc == recorded.crc
}

/// What the error for a file says that was changed or replaced.
const CHANGED: &str = "the file is not the one that the store wrote or read last";
/// What its owner can do, if it can be read.
const ACCEPT: &str = "; put that one back, or take this one as it is with `aral-store accept`";

/// The error for bytes that are not those that were recorded.
pub(crate) fn not_as_recorded(bytes: &[u8], recorded: &Fingerprint, path: &Path) -> Error {
    if to_u64(bytes.len()) == recorded.len {
        if let Some(at) = bit_flip::flipped_byte(bytes, recorded.crc) {
            return Error::corrupt(path, to_u64(at), "one bit of the file is flipped");
        }
    }
    let (offset, remedy) = match scan_document(bytes) {
        Ok(_) => (0, ACCEPT),
        Err(bad) => (bad.offset, "; put that one back"),
    };
    let lengths = format!("{} bytes, {} then", bytes.len(), recorded.len);
    Error::corrupt(path, offset, format!("{CHANGED} ({lengths}){remedy}"))
}

/// What is said of a file in the place of another conversation's, which cannot be accepted.
pub(crate) fn of_another(id: &str) -> String {
    format!("the file holds another conversation, {id:?}; put the own file back, or remove the conversation")
}

/// Whether such an error is of a file that can be read and was changed or replaced.
pub(crate) fn is_changed(error: &Error) -> bool {
    error.message().ends_with(ACCEPT)
}
