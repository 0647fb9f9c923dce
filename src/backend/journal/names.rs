//! The names of objects.
//!
//! Owns the layout of a bucket, which is a directory's, with one folder more; specified in docs/journal.md.

use crate::log::inventory::checkpoint_name;
use crate::log::segment::{file_name, parse_name};
use crate::model::Seq;
use crate::snapshot::chapter_list;

/// What says which store it is, and of which checkpoint all copies are in place.
pub(super) const MARKER: &str = ".aral-store";
/// The list of conversations, as the original has it.
pub(super) const INDEX: &str = "message_store.json";
/// What says that a place is that of a backup.
pub(super) const BACKUP: &str = "aral-backup";
/// With what the names of documents begin.
pub(super) const DOCUMENTS: &str = "states/";
/// With what the names of checkpoints begin.
pub(super) const CHECKPOINTS: &str = "log/CHECKPOINT-";

/// With what the names of the chapters of the history begin. Beside the log, so that no list of the log grows with what is kept.
pub(super) const ARCHIVE: &str = "archive/";
/// With what the names of those begin that came with a directory.
pub(super) const ARCHIVE_OF_A_DIRECTORY: &str = "log/archive/";
/// What says, in either of them, how much of the history is kept.
pub(super) const KEEP: &str = "KEEP";

/// With what the names of consumers' cursors begin.
pub(super) const CONSUMERS: &str = "consumers/";
/// What says which places of the log are kept for consumers alone.
pub(super) const UNREAD: &str = "unread";

/// The chapter of these events.
pub(super) fn chapter(first: Seq, last: Seq) -> String {
    format!("{ARCHIVE}{}", chapter_list::name(first, last))
}

/// The place in the log of this number, if the event there is to be this one.
pub(super) fn segment(number: u64, first_seq: Seq) -> String {
    format!("log/{}", file_name(number, first_seq))
}

/// With what the names of the log's objects begin.
pub(super) const LOG: &str = "log/";

/// The number of a place in the log; `None` if a name is not that of one.
pub(super) fn number_in(name: &str) -> Option<u64> {
    place_in(name).map(|(number, _)| number)
}

/// The place in the log, its number and its first event; `None` if a name is not that of one.
pub(super) fn place_in(name: &str) -> Option<(u64, Seq)> {
    parse_name(name.strip_prefix(LOG)?)
}

/// With what every name begins that a place of this number can have.
pub(super) fn segments_at(number: u64) -> String {
    format!("log/{number:016x}-")
}

pub(super) fn checkpoint(epoch: u64) -> String {
    format!("log/{}", checkpoint_name(epoch))
}

/// The epoch in a checkpoint's name.
pub(super) fn epoch_in(name: &str) -> Option<u64> {
    let epoch = u64::from_str_radix(name.strip_prefix(CHECKPOINTS)?, 16).ok()?;
    (checkpoint(epoch) == name).then_some(epoch)
}

/// The document of the conversation whose newest event is this one. The event says which conversation that is, so whoever makes
/// the document under this name makes the same bytes.
pub(super) fn document(last_seq: Seq) -> String {
    format!("{DOCUMENTS}{last_seq:016x}.json")
}

/// The event in a document's name.
pub(super) fn seq_in(name: &str) -> Option<Seq> {
    let digits = name.strip_prefix(DOCUMENTS)?.strip_suffix(".json")?;
    let seq = Seq::from_str_radix(digits, 16).ok()?;
    (document(seq) == name).then_some(seq)
}

/// A conversation's file, as the original has it.
pub(super) fn conversation(file_name: &str) -> String {
    format!("conversations/{file_name}")
}
