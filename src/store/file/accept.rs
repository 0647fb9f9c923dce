//! Taking a conversation's file as it is now, because its owner says so.
//!
//! Owns what becomes of a file that is not the one that the store wrote or read last. It may be an edit, and it may
//! be an older file with less in it; the store cannot tell, so nothing of it counts until this is called. What
//! the file holds becomes a reset with additions behind it: one batch of the log, durable, to be followed like any
//! other. What the log adds to the file as it was is carried over by its ids.

use super::append::CarriedOut;
use super::engine::{Engine, locked};
use super::library::no_conversation;
use super::verify;
use crate::codec::bytes::{to_u64, to_usize};
use crate::codec::document::{Document, Fallback, Item, read_action, read_message, scan_document};
use crate::codec::json::JsonError;
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Found, Prepared};
use crate::model::{
    Action, Change, Conversation, Message, Mutation, NewAction, NewConversation, NewMessage, Operation,
    Receipt, Text, Timestamp,
};
use crate::snapshot::layout;
use crate::snapshot::load::{ItemKind, made_up_id};
use crate::snapshot::names::stem;
use crate::store::prepare::prepare;

impl Engine {
    /// Takes a conversation's file as it is, if it is not as recorded; nothing to do otherwise.
    pub(super) fn accept_file(&self, id: &str) -> Result<Option<Receipt>> {
        self.check_open()?;
        self.settle()?;
        // No compaction may put another file in its place meanwhile.
        let _compaction = locked(&self.compaction);
        let Some((file_name, created_at)) = self.suspected_file(id)? else { return Ok(None) };
        let library = self.library();
        let path = library.layout.conversation(&file_name);
        let Some((bytes, _)) = layout::read_file(&*library.vfs, &path)? else {
            let reason =
                format!("conversation {id:?} has no file to accept; put it back, or remove the conversation");
            return Err(Error::new(ErrorKind::NotFound, reason).at(&path, None));
        };
        let blank = Conversation::new(id, created_at);
        let mut conversation = read_conversation(&bytes, blank, stem(&file_name)).map_err(|bad| {
            Error::corrupt(&path, bad.offset, format!("the file cannot be accepted: {}", bad.reason))
        })?;
        let from = library.index().checkpoint().head().covered_seq + 1;
        let batches = verify::events(library, from)?;
        let held = self.held_events(id)?.into_iter().map(|(_, event)| event);
        let events = held.chain(batches.into_iter().flat_map(|(_, events)| events));
        events
            .filter(|event| event.conversation_id == id)
            .for_each(|event| carry_over(&mut conversation, event.change));
        let receipt = self.replace(conversation)?;
        self.forget_file(id);
        Ok(Some(receipt))
    }

    /// The name of a conversation's file and when the conversation was created, if the file is not as recorded.
    fn suspected_file(&self, id: &str) -> Result<Option<(String, Timestamp)>> {
        let library = self.library();
        let index = library.index();
        let suspicion = match index.find(id) {
            Found::Nothing => return Err(no_conversation(id)),
            Found::Damaged(entry) => return Err(library.damage(&entry)),
            Found::Slot(slot) if slot.is_held => Some(library.held_damage(&index, slot)),
            Found::Slot(slot) => library.suspicion_of(slot),
            Found::Checkpoint(..) => library.suspicion(id),
        };
        let entry = index.checkpoint().find(id).and_then(|ordinal| index.checkpoint().entry(ordinal));
        Ok(entry.filter(|_| suspicion.is_some()).map(|entry| (entry.file_name.to_owned(), entry.created_at)))
    }

    /// Puts a conversation in the place of the one that its file was to hold.
    fn replace(&self, conversation: Conversation) -> Result<Receipt> {
        let id = conversation.id.clone();
        let (clock, ids) = (&*self.options.clock, &*self.options.ids);
        let operations = operations(conversation).into_iter();
        let batch = operations
            .map(|operation| prepare(Mutation::new(&id, operation), clock, ids))
            .collect::<Result<Vec<Prepared>>>()?;
        let missing = || Error::new(ErrorKind::Failed, "a batch was carried out without a receipt");
        match self.append_judged(&batch, Some(&id))? {
            CarriedOut::Before(receipts) => receipts.into_iter().next_back().ok_or_else(missing),
            CarriedOut::Now { first_seq, versions, durability } => {
                let version = versions.last().copied().ok_or_else(missing)?;
                let seq = first_seq + to_u64(versions.len()) - 1;
                Ok(Receipt { seq, conversation_id: id.clone(), id: Text::from(id), version, durability })
            }
        }
    }
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

/// Does to a conversation what an event did to what its file was then. What the file holds by now under the same
/// id is what its owner accepts.
fn carry_over(conversation: &mut Conversation, change: Change) {
    let Conversation { messages, actions, .. } = conversation;
    match change {
        Change::AddMessage(new) => {
            if !messages.iter().any(|message| message.id == new.id) {
                messages.push(new);
            }
        }
        Change::EditMessage(new) => match messages.iter_mut().rev().find(|message| message.id == new.id) {
            Some(message) => *message = new,
            None => messages.push(new),
        },
        Change::RemoveMessage(id) => {
            if let Some(at) = messages.iter().rposition(|message| message.id == id) {
                messages.remove(at);
            }
        }
        Change::AddAction(new) => {
            if !actions.iter().any(|action| action.id == new.id) {
                actions.push(new);
            }
        }
        Change::EditAction(new) => match actions.iter_mut().rev().find(|action| action.id == new.id) {
            Some(action) => *action = new,
            None => actions.push(new),
        },
        Change::RemoveAction(id) => {
            if let Some(at) = actions.iter().rposition(|action| action.id == id) {
                actions.remove(at);
            }
        }
        Change::Clear | Change::Remove { .. } => {
            messages.clear();
            actions.clear();
        }
        Change::SetTitle(title) => conversation.title = title,
        Change::SetMetadata(metadata) => conversation.metadata = metadata,
        Change::SetCreatedAt(created_at) => conversation.created_at = created_at,
        Change::SetExtra(extra) => conversation.extra = extra,
        // The conversation counts its versions on.
        Change::SetVersion(_) => {}
        Change::Create { title, created_at, metadata, extra }
        | Change::Reset { title, created_at, metadata, extra } => {
            let id = std::mem::take(&mut conversation.id);
            *conversation = Conversation { title, metadata, extra, ..Conversation::new(&id, created_at) };
        }
    }
}
