//! A conversation's document: its bytes, and what they hold.
//!
//! Owns the writing of it, which gives the same bytes whoever does it, and the reading, held against what the checkpoint says. Knows
//! no log.

use super::names;
use super::objects::Objects;
use super::tries;
use crate::codec::bytes::{to_u64, to_usize};
use crate::codec::checkpoint::{Entry, Fingerprint};
use crate::codec::document::{Item, read_action, read_message, scan_document};
use crate::codec::json::JsonError;
use crate::error::{Error, ErrorKind, Result};
use crate::index::Position;
use crate::model::{Conversation, Seq, Timestamp, Version};
use crate::rules::Folded;
use crate::snapshot::load::{ItemKind, fallback};

/// The time of a document that was made in a bucket, where no file is: none that a file can have. By it is known which documents
/// have an object of their own.
pub(super) const NO_FILE: i64 = i64::MIN;

/// Whether this was made in a bucket. What came with a directory has the time of its file.
pub(super) fn is_of_no_file(print: &Fingerprint) -> bool {
    print.modified_nanos == NO_FILE
}

/// What a checkpoint says of a conversation's document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Recorded {
    pub(super) id: String,
    pub(super) file_name: String,
    pub(super) file: Fingerprint,
    pub(super) version: Version,
    pub(super) last_seq: Seq,
    pub(super) created_at: Timestamp,
    pub(super) last_activity: Timestamp,
}

impl Recorded {
    pub(super) fn of(entry: &Entry<'_>) -> Self {
        Self {
            id: entry.id.to_owned(),
            file_name: entry.file_name.to_owned(),
            file: entry.file,
            version: entry.version,
            last_seq: entry.last_seq,
            created_at: entry.created_at,
            last_activity: entry.last_activity,
        }
    }

    /// The name of its own object. What came with a directory has none, and its file stands for it.
    pub(super) fn own_name(&self) -> Option<String> {
        (self.last_seq > 0).then(|| names::document(self.last_seq))
    }

    /// Whether these are the bytes that the checkpoint means.
    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        to_u64(bytes.len()) == self.file.len && crc32fast::hash(bytes) == self.file.crc
    }
}

/// The bytes that the checkpoint means; `None` if they are not there: they were replaced with the checkpoint, or something
/// else has changed them.
pub(super) fn fetch(objects: &dyn Objects, recorded: &Recorded) -> Result<Option<Vec<u8>>> {
    for name in recorded.own_name().into_iter().chain([names::conversation(&recorded.file_name)]) {
        if let Some(found) = tries::get(objects, &name)?
            && recorded.is(&found.bytes)
        {
            return Ok(Some(found.bytes));
        }
    }
    Ok(None)
}

/// What a document holds.
pub(super) fn read(objects: &dyn Objects, recorded: &Recorded, bytes: &[u8]) -> Result<Folded> {
    parse(recorded, bytes).map_err(|bad| {
        let reason =
            format!("the document of conversation {:?}, at byte {}: {}", recorded.id, bad.offset, bad.reason);
        Error::new(ErrorKind::Corrupt, reason).at(objects.place(), None)
    })
}

/// Whether bytes hold just this.
pub(super) fn holds(objects: &dyn Objects, folded: &Folded, bytes: &[u8]) -> bool {
    let conversation = &folded.conversation;
    let recorded = Recorded {
        id: conversation.id.clone(),
        file_name: String::new(),
        file: Fingerprint::default(),
        version: conversation.version,
        last_seq: folded.last_seq,
        created_at: conversation.created_at,
        last_activity: folded.last_activity,
    };
    read(objects, &recorded, bytes).is_ok_and(|there| there.conversation == *conversation)
}

fn parse(recorded: &Recorded, bytes: &[u8]) -> Result<Folded, JsonError> {
    let document = scan_document(bytes)?;
    let span = |item: &Item| {
        let start = to_usize(item.offset);
        bytes
            .get(start..start.saturating_add(usize::try_from(item.len).unwrap_or(usize::MAX)))
            .unwrap_or_default()
    };
    let (id, created_at) = (recorded.id.as_str(), recorded.created_at);
    let missing = |kind, item: &Item| {
        fallback(id, created_at, kind, Position::in_snapshot(item.offset, item.len, item.crc))
    };
    let head = document.head;
    let mut conversation = Conversation::new(id, head.created_at.unwrap_or(created_at));
    if let Some(title) = head.title {
        conversation.title = title;
    }
    (conversation.metadata, conversation.extra) = (head.metadata, head.extra);
    let message = |item| read_message(span(item), &missing(ItemKind::Message, item));
    conversation.messages = document.messages.iter().map(message).collect::<Result<_, _>>()?;
    let action = |item| read_action(span(item), &missing(ItemKind::Action, item));
    conversation.actions = document.actions.iter().map(action).collect::<Result<_, _>>()?;
    conversation.version = recorded.version;
    Ok(Folded { conversation, last_seq: recorded.last_seq, last_activity: recorded.last_activity })
}
