//! Taking a conversation's file as it is now, because its owner says so.
//!
//! Owns what becomes of a file that is not the one that the store wrote or read last. It may be an edit, and it may
//! be an older file with less in it; the store cannot tell, so nothing of it counts until this is called. What
//! the file holds becomes a reset with additions behind it: one batch of the log, durable, to be followed like any
//! other. What the log adds to the file as it was is carried over by its ids, and what cannot be is kept apart. The
//! reset takes the place of what the log held when it was read, and of nothing that came since.

mod carry;

use std::path::{Path, PathBuf};

use self::carry::Carry;
use super::append::CarriedOut;
use super::engine::Engine;
use super::events::events;
use super::index_view::Accepting;
use crate::backend::locked::locked;
use crate::backend::no_conversation;
use crate::codec::bytes::{to_u64, to_usize};
use crate::codec::document::{Document, Fallback, Item, read_action, read_message, scan_document};
use crate::codec::json::JsonError;
use crate::codec::payload::MAX_FRAME_EVENTS;
use crate::error::{Error, ErrorKind, Result};
use crate::index::Found;
use crate::model::{
    Action, Conversation, Event, Message, Mutation, NewAction, NewConversation, NewMessage, Operation,
    Receipt, Seq, Text, Timestamp,
};
use crate::rules::Request;
use crate::rules::normalize;
use crate::snapshot::layout;
use crate::snapshot::load::{ItemKind, made_up_id};
use crate::snapshot::names::stem;

/// How often a file is read anew because others have changed its conversation meanwhile.
const ATTEMPTS: usize = 100;

/// A conversation whose file is not as recorded.
struct Suspected {
    file_name: String,
    created_at: Timestamp,
    /// Of its newest event, seen before its file and the log are read.
    last_seq: Seq,
}

impl Engine {
    /// Takes a conversation's file as it is, if it is not as recorded; nothing to do otherwise.
    pub(super) fn accept_file(&self, id: &str) -> Result<Option<Receipt>> {
        self.check_open()?;
        self.settle()?;
        // No compaction may put another file in its place meanwhile.
        let _compaction = locked(&self.compaction);
        for _ in 1..ATTEMPTS {
            match self.try_to_accept(id) {
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                accepted => return accepted,
            }
        }
        self.try_to_accept(id)
    }

    /// The same, for the conversation as it stands; `Conflict`, and nothing was done, if it changes meanwhile.
    fn try_to_accept(&self, id: &str) -> Result<Option<Receipt>> {
        // Order: how it stands before the log is read. Reversed, what came between would be in neither of the two, and
        // the reset would undo it.
        let Some(Suspected { file_name, created_at, last_seq }) = self.suspected_file(id)? else {
            return Ok(None);
        };
        let reads = self.reads();
        let path = reads.layout.conversation(&file_name);
        let Some((bytes, _)) = layout::read_file(&*reads.vfs, &path)? else {
            let reason =
                format!("conversation {id:?} has no file to accept; put it back, or remove the conversation");
            return Err(Error::new(ErrorKind::NotFound, reason).at(&path, None));
        };
        let blank = Conversation::new(id, created_at);
        let conversation = read_conversation(&bytes, blank, stem(&file_name)).map_err(|bad| {
            Error::corrupt(&path, bad.offset, format!("the file cannot be accepted: {}", bad.reason))
        })?;
        let (lines, carried) = self.carried_over(conversation)?;
        // Order: keep what does not come to the file before the file counts. Reversed, a crash would lose it.
        let copy = if lines.is_empty() { None } else { Some(self.set_aside(&file_name, &lines)?) };
        let replaced = self.replace(carried, Accepting { id, last_seq });
        if let (Err(error), Some(copy)) = (&replaced, &copy) {
            if error.kind() == ErrorKind::Conflict {
                // Nothing took the place of what it holds.
                layout::remove_file(&*reads.vfs, copy)?;
            }
        }
        let receipt = replaced.map_err(|error| too_long(error, &path))?;
        self.external_changes.forget_file(id, copy);
        Ok(Some(receipt))
    }

    /// A conversation, if its file is not as recorded.
    fn suspected_file(&self, id: &str) -> Result<Option<Suspected>> {
        let reads = self.reads();
        let index = reads.index();
        let (suspicion, last_seq) = match index.find(id) {
            Found::Nothing => return Err(no_conversation(id)),
            Found::Damaged(entry) => return Err(reads.damage(&entry)),
            Found::Slot(slot) if slot.is_held => {
                (Some(reads.held_damage(&index, slot)), slot.summary.last_seq)
            }
            Found::Slot(slot) => (reads.suspicion_of(slot), slot.summary.last_seq),
            Found::Checkpoint(entry, _) => (reads.suspicion(id), entry.last_seq),
        };
        let entry = index.checkpoint().find(id).and_then(|ordinal| index.checkpoint().entry(ordinal));
        Ok(entry.filter(|_| suspicion.is_some()).map(|entry| Suspected {
            file_name: entry.file_name.to_owned(),
            created_at: entry.created_at,
            last_seq,
        }))
    }

    /// What a file's conversation becomes with what the log has of it, and the events that do not come to it, as lines.
    fn carried_over(&self, conversation: Conversation) -> Result<(String, Conversation)> {
        let reads = self.reads();
        let from = reads.index().checkpoint().head().covered_seq + 1;
        let batches = events(reads, from)?.into_iter();
        let later = batches.flat_map(|(first, events)| (first..).zip(events));
        let held = self.reads().held_events(&conversation.id)?;
        let mut carry = Carry::over(conversation);
        let mut lines = String::new();
        for (seq, event) in held.into_iter().chain(later) {
            if event.conversation_id != carry.conversation().id {
                continue;
            }
            if let Some(change) = carry.event(event.change) {
                lines.push_str(&Event { change, ..event }.to_json_line(seq));
                lines.push('\n');
            }
        }
        Ok((lines, carry.into_conversation()))
    }

    /// Keeps events that do not come to a file, and gives where.
    fn set_aside(&self, file_name: &str, lines: &str) -> Result<PathBuf> {
        let (vfs, layout) = (&*self.reads().vfs, &self.reads().layout);
        let dir = layout.quarantine();
        if layout::ensure_dir(vfs, &dir)? {
            layout::sync_dir(vfs, &layout.log())?;
        }
        let name: String = stem(file_name).chars().take(50).collect();
        let copy = dir.join(format!("{name}.replaced-{:08x}.jsonl", crc32fast::hash(lines.as_bytes())));
        layout::remove_file(vfs, &copy)?;
        layout::write_file(vfs, &copy, lines.as_bytes())?;
        layout::sync_dir(vfs, &dir)?;
        Ok(copy)
    }

    /// Puts a conversation in the place of the one that its file was to hold, if that stands as it was seen.
    fn replace(&self, conversation: Conversation, seen: Accepting<'_>) -> Result<Receipt> {
        let id = conversation.id.clone();
        let (clock, ids) = (&*self.settings.clock, &*self.settings.ids);
        let operations = operations(conversation);
        if u32::try_from(operations.len()).map_or(true, |count| count > MAX_FRAME_EVENTS) {
            let reason = format!("{} items; the limit is {MAX_FRAME_EVENTS}", operations.len() - 1);
            return Err(Error::invalid(reason));
        }
        let operations = operations.into_iter();
        let batch = operations
            .map(|operation| normalize(Mutation::new(&id, operation), clock, ids))
            .collect::<Result<Vec<Request>>>()?;
        let missing = || Error::new(ErrorKind::Failed, "a batch was carried out without a receipt");
        match self.append_judged(&batch, Some(seen))? {
            CarriedOut::Before(receipts) => receipts.into_iter().next_back().ok_or_else(missing),
            CarriedOut::Now { first_seq, versions, durability } => {
                let version = versions.last().copied().ok_or_else(missing)?;
                let seq = first_seq + to_u64(versions.len()) - 1;
                Ok(Receipt { seq, conversation_id: id.clone(), id: Text::from(id), version, durability })
            }
        }
    }
}

/// What is said of a file that no single record can hold.
fn too_long(error: Error, path: &Path) -> Error {
    if error.kind() != ErrorKind::InvalidInput {
        return error;
    }
    let reason = format!(
        "the file cannot be accepted, for it counts as a whole or not at all: {}; move it away, remove the conversation, \
         and import the file",
        error.message()
    );
    Error::invalid(reason).at(path, None)
}

fn operations(conversation: Conversation) -> Vec<Operation> {
    let Conversation { title, created_at, metadata, messages, actions, extra, .. } = conversation;
    let head = NewConversation { title: Some(title), metadata, created_at: Some(created_at), extra };
    let message = |m: Message| {
        let Message { id, content, role, created_at, metadata, extra } = m;
        Operation::AddMessage(NewMessage {
            id: Some(id),
            content,
            role,
            created_at: Some(created_at),
            metadata,
            extra,
        })
    };
    let action = |a: Action| {
        let Action { id, action_type, data, created_at, metadata, extra } = a;
        Operation::AddAction(NewAction {
            id: Some(id),
            action_type,
            data,
            created_at: Some(created_at),
            metadata,
            extra,
        })
    };
    let items = messages.into_iter().map(message).chain(actions.into_iter().map(action));
    std::iter::once(Operation::ResetConversation(head)).chain(items).collect()
}

/// What a file holds, in the place of a conversation of which nothing but its id and its time is known.
fn read_conversation(
    bytes: &[u8],
    blank: Conversation,
    stem: &str,
) -> std::result::Result<Conversation, JsonError> {
    let document = scan_document(bytes)?;
    let mut conversation = blank;
    let Document { head, messages, actions, .. } = document;
    let bad = |reason: String| JsonError { offset: 0, reason };
    if let Some(id) = head.id.as_ref().filter(|id| **id != *conversation.id && **id != *stem) {
        return Err(bad(format!("it holds another conversation, {:?}", id.to_string_lossy())));
    }
    conversation.created_at = head.created_at.unwrap_or(conversation.created_at);
    if let Some(title) = head.title.filter(|title| !title.is_empty()) {
        conversation.title = title;
    }
    (conversation.metadata, conversation.extra) = (head.metadata, head.extra);
    let (id, created_at) = (conversation.id.clone(), conversation.created_at);
    let item = |item: &Item| {
        let start = to_usize(item.offset);
        bytes.get(start..start + to_usize(u64::from(item.len))).unwrap_or_default()
    };
    for found in &messages {
        let made_up = || made_up_id(&id, ItemKind::Message, found.offset, found.crc);
        conversation.messages.push(read_message(item(found), &Fallback { id: made_up, created_at })?);
    }
    for found in &actions {
        let made_up = || made_up_id(&id, ItemKind::Action, found.offset, found.crc);
        conversation.actions.push(read_action(item(found), &Fallback { id: made_up, created_at })?);
    }
    Ok(conversation)
}
