//! What a store ought to do, in the plainest way.
//!
//! Owns a list of conversations and its own reading of the documented rules: it calls no rule of the product.
//! Values (conversations, messages, receipts' parts) are the product's public ones, so that they can be
//! compared as they are.

#![expect(clippy::wildcard_enum_match_arm, reason = "a rule names the operations that it is about")]

use aral_store::RemovalReason;
use aral_store::{
    Action, ActionEdit, Conversation, Edit, ErrorKind, JsonObject, MAX_ID_BYTES, MAX_KEY_BYTES, Message,
    Mutation, NewAction, NewConversation, NewMessage, Operation, Order, Summary, Text, Timestamp, UniqueIds,
};

use super::ops::{Expect, Step};
use super::sources::{made_id, time};

/// What a receipt should say, its durability aside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Expected {
    pub(crate) seq: u64,
    pub(crate) conversation_id: String,
    pub(crate) id: Text,
    pub(crate) version: u64,
}

/// A conversation, and what a list shows of it beyond that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Known {
    pub(crate) conversation: Conversation,
    last_seq: u64,
    last_activity: Timestamp,
}

/// A key, what it was used for, and what came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct UsedKey {
    pub(crate) key: String,
    pub(crate) mutation: Mutation,
    pub(crate) expected: Expected,
}

/// The state that a store ought to be in.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Oracle {
    /// In the order in which they began.
    pub(crate) conversations: Vec<Known>,
    pub(crate) keys: Vec<UsedKey>,
    /// The conversations that were removed and have not begun again, newest first: the event, the time and the reason.
    pub(crate) removed: Vec<(String, u64, Option<Timestamp>, RemovalReason)>,
    pub(crate) last_seq: u64,
}

impl Known {
    pub(crate) fn summary(&self) -> Summary {
        // A summary cannot be built outside of the product, so one is made by a store and filled in.
        let mut summary = blank_summary();
        summary.id.clone_from(&self.conversation.id);
        summary.title = self.conversation.title.clone();
        summary.created_at = self.conversation.created_at;
        summary.messages = count(self.conversation.messages.len());
        summary.actions = count(self.conversation.actions.len());
        summary.version = self.conversation.version;
        summary.last_activity = self.last_activity;
        summary.last_seq = self.last_seq;
        summary
    }
}

pub(crate) fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn blank_summary() -> Summary {
    use std::sync::OnceLock;
    static BLANK: OnceLock<Summary> = OnceLock::new();
    let make = || {
        let store = aral_store::MessageStore::in_memory();
        store.add_message("blank", "").and_then(|_| store.summary("blank")).ok().flatten()
    };
    BLANK.get_or_init(|| make().expect("a store in memory takes a message")).clone()
}

/// The parts of a mutation in which the store makes nothing up: a retry with a key must have the same.
fn essence(mutation: &Mutation) -> Mutation {
    let mut plain = mutation.clone();
    (plain.key, plain.expect, plain.unique_ids) = (None, None, UniqueIds::Off);
    match &mut plain.operation {
        Operation::CreateConversation(new) | Operation::ResetConversation(new) => {
            new.created_at = None;
            new.extra = JsonObject::EMPTY;
            new.title = new.title.take().filter(|title| !title.is_empty());
        }
        Operation::AddMessage(NewMessage { id, created_at, extra, .. })
        | Operation::AddAction(NewAction { id, created_at, extra, .. }) => {
            (*id, *created_at, *extra) = (None, None, JsonObject::EMPTY);
        }
        removal @ Operation::RemoveConversationAt(_) => *removal = Operation::RemoveConversation,
        Operation::PruneConversation(time) => *time = None,
        _ => {}
    }
    plain
}

/// What is wrong with a mutation, whatever the state of the store.
fn is_shapeless(mutation: &Mutation) -> bool {
    let fits = |length: usize, most: usize| (1..=most).contains(&length);
    let makes_id = matches!(mutation.operation, Operation::CreateConversation(_));
    let id_fits = fits(mutation.conversation_id.len(), MAX_ID_BYTES)
        || (makes_id && mutation.conversation_id.is_empty());
    let key_fits = mutation.key.as_ref().is_none_or(|key| fits(key.len(), MAX_KEY_BYTES));
    let given = match &mutation.operation {
        Operation::AddMessage(new) => new.id.as_ref(),
        Operation::AddAction(new) => new.id.as_ref(),
        _ => None,
    };
    let piece_fits = match &mutation.operation {
        Operation::AppendText { text, .. } => !matches!(text.as_wtf8(), [] | [0xed, 0xb0..=0xff, ..]),
        _ => true,
    };
    !(id_fits && key_fits && piece_fits && given.is_none_or(|id| fits(id.len(), MAX_ID_BYTES)))
}

impl Oracle {
    pub(crate) fn find(&self, id: &str) -> Option<&Known> {
        self.conversations.iter().find(|known| known.conversation.id == id)
    }

    pub(crate) fn version(&self, id: &str) -> u64 {
        self.find(id).map_or(0, |known| known.conversation.version)
    }

    /// The mutation that a step means now.
    pub(crate) fn mutation(&self, step: &Step) -> Mutation {
        let version = self.version(&step.mutation.conversation_id);
        match step.expect {
            Expect::Nothing => step.mutation.clone(),
            Expect::Right => step.mutation.clone().expect(version),
            Expect::Wrong(more) => step.mutation.clone().expect(version + more),
        }
    }

    /// Takes over a conversation that was there before the store was.
    pub(crate) fn adopt(&mut self, conversation: Conversation, summary: &Summary) {
        let (last_seq, last_activity) = (summary.last_seq, summary.last_activity);
        self.conversations.push(Known { conversation, last_seq, last_activity });
    }

    /// Carries a batch out that is the operation of this number, or says why not and leaves all as it was.
    pub(crate) fn apply(&mut self, operation: u64, batch: &[Mutation]) -> Result<Vec<Expected>, ErrorKind> {
        if batch.is_empty() || batch.iter().any(is_shapeless) {
            return Err(ErrorKind::InvalidInput);
        }
        if let Some(known) = self.known(batch)? {
            return Ok(known);
        }
        if let Some(there) = self.there(batch)? {
            return Ok(there);
        }
        let mut after = self.clone();
        let mut made = 0;
        let expected = batch
            .iter()
            .map(|mutation| after.apply_one(operation, &mut made, mutation))
            .collect::<Result<Vec<_>, _>>()?;
        *self = after;
        Ok(expected)
    }

    /// The receipts of a batch whose keys were all used before, for the same.
    fn known(&self, batch: &[Mutation]) -> Result<Option<Vec<Expected>>, ErrorKind> {
        let mut known = Vec::new();
        for (at, mutation) in batch.iter().enumerate() {
            let Some(key) = &mutation.key else { continue };
            if batch[..at].iter().any(|earlier| earlier.key.as_ref() == Some(key)) {
                return Err(ErrorKind::InvalidInput);
            }
            let Some(used) = self.keys.iter().find(|used| used.key == *key) else { continue };
            if essence(&used.mutation) != essence(mutation) {
                return Err(ErrorKind::Conflict);
            }
            known.push(used.expected.clone());
        }
        match known.len() {
            0 => Ok(None),
            n if n == batch.len() => Ok(Some(known)),
            _ => Err(ErrorKind::Conflict),
        }
    }

    /// The receipts of a batch of additions that are all there, where that counts as having been carried out.
    fn there(&self, batch: &[Mutation]) -> Result<Option<Vec<Expected>>, ErrorKind> {
        if batch.iter().any(|mutation| rule(mutation) != UniqueIds::Existing) {
            return Ok(None);
        }
        let mut there = Vec::new();
        for mutation in batch {
            let Some(known) = self.find(&mutation.conversation_id) else { continue };
            let Some((id, is_same)) = known.bearer(&mutation.operation) else { continue };
            if !is_same {
                return Err(ErrorKind::AlreadyExists);
            }
            let (seq, version) = (known.last_seq, known.conversation.version);
            there.push(Expected { seq, conversation_id: mutation.conversation_id.clone(), id, version });
        }
        match there.len() {
            0 => Ok(None),
            n if n == batch.len() => Ok(Some(there)),
            _ => Err(ErrorKind::AlreadyExists),
        }
    }

    fn apply_one(&mut self, op: u64, made: &mut u64, mutation: &Mutation) -> Result<Expected, ErrorKind> {
        let mut make = || {
            *made += 1;
            made_id(op, *made - 1)
        };
        let id = &mutation.conversation_id;
        let conversation_id = if id.is_empty() { make() } else { id.clone() };
        let at = self.conversations.iter().position(|known| known.conversation.id == conversation_id);
        let version = at.map_or(0, |at| self.conversations[at].conversation.version);
        if mutation.expect.is_some_and(|expected| expected != version) {
            return Err(ErrorKind::Conflict);
        }
        let is_taken = at.and_then(|at| self.conversations[at].bearer(&mutation.operation)).is_some();
        if is_taken && rule(mutation) != UniqueIds::Off {
            return Err(ErrorKind::AlreadyExists);
        }
        let mut subject = Text::from(&conversation_id);
        let begins_at = match &mutation.operation {
            Operation::CreateConversation(_) if at.is_some() => return Err(ErrorKind::AlreadyExists),
            Operation::CreateConversation(new) | Operation::ResetConversation(new) => Some(new.created_at),
            Operation::AddMessage(new) => Some(new.created_at),
            Operation::AddAction(new) => Some(new.created_at),
            _ => None,
        };
        let at = match (at, begins_at) {
            (Some(at), _) => at,
            (None, None) => return Err(ErrorKind::NotFound),
            (None, Some(given)) => {
                let begun = given.unwrap_or(time(op));
                let conversation = Conversation::new(&conversation_id, begun);
                self.removed.retain(|(id, ..)| *id != conversation_id);
                self.conversations.push(Known { conversation, last_seq: 0, last_activity: begun });
                self.conversations.len() - 1
            }
        };
        self.last_seq += 1;
        let mut left = version + 1;
        let removed_at = match mutation.operation {
            Operation::RemoveConversation => Some(time(op)),
            Operation::RemoveConversationAt(time) => Some(time),
            Operation::PruneConversation(given) => Some(given.unwrap_or(time(op))),
            _ => None,
        };
        if removed_at.is_some() {
            self.conversations.remove(at);
            let reason = match mutation.operation {
                Operation::PruneConversation(_) => RemovalReason::Retention,
                _ => RemovalReason::Asked,
            };
            self.removed.insert(0, (conversation_id.clone(), self.last_seq, removed_at, reason));
        } else {
            let known = &mut self.conversations[at];
            if let Some(id) = known.change(op, &mut make, &mutation.operation)? {
                subject = id;
            }
            if let Operation::SetVersion(version) = mutation.operation {
                left = version;
            }
            known.conversation.version = left;
            known.last_seq = self.last_seq;
        }
        let expected = Expected { seq: self.last_seq, conversation_id, id: subject, version: left };
        if let Some(key) = &mutation.key {
            let (key, mutation) = (key.clone(), mutation.clone());
            self.keys.push(UsedKey { key, mutation, expected: expected.clone() });
        }
        Ok(expected)
    }

    /// The summaries in an order.
    pub(crate) fn list(&self, order: Order) -> Vec<Summary> {
        let mut all: Vec<Summary> = self.conversations.iter().map(Known::summary).collect();
        if order == Order::Activity {
            let key = |s: &Summary| (s.last_seq, s.last_activity.approximate_unix_micros());
            all.sort_by_key(|summary| std::cmp::Reverse(key(summary)));
        }
        all
    }
}

/// What an addition that comes with an id is held to.
fn rule(mutation: &Mutation) -> UniqueIds {
    let given = match &mutation.operation {
        Operation::AddMessage(new) => new.id.as_ref(),
        Operation::AddAction(new) => new.id.as_ref(),
        _ => None,
    };
    given.map_or(UniqueIds::Off, |_| mutation.unique_ids)
}

impl Known {
    /// The id of what is to be added, if something has it, and whether that is the same.
    fn bearer(&self, operation: &Operation) -> Option<(Text, bool)> {
        let this = &self.conversation;
        match operation {
            Operation::AddMessage(new) => {
                let id = new.id.as_ref()?;
                let old = this.messages.iter().rfind(|old| old.id == *id)?;
                let is_same = old.content == new.content && old.role == new.role;
                Some((id.clone(), is_same && old.metadata == new.metadata && old.extra == new.extra))
            }
            Operation::AddAction(new) => {
                let id = new.id.as_ref()?;
                let old = this.actions.iter().rfind(|old| old.id == *id)?;
                let is_same = old.action_type == new.action_type && old.data == new.data;
                Some((id.clone(), is_same && old.metadata == new.metadata && old.extra == new.extra))
            }
            _ => None,
        }
    }

    /// Changes what is in the conversation, and says which message or action was meant.
    fn change(
        &mut self,
        op: u64,
        make: &mut dyn FnMut() -> String,
        operation: &Operation,
    ) -> Result<Option<Text>, ErrorKind> {
        let this = &mut self.conversation;
        match operation {
            Operation::CreateConversation(new) => begin(this, new),
            Operation::ResetConversation(new) => {
                let begun = new.created_at.unwrap_or(time(op));
                (this.messages, this.actions) = (Vec::new(), Vec::new());
                (this.created_at, self.last_activity) = (begun, begun);
                begin(this, new);
            }
            Operation::SetCreatedAt(time) => this.created_at = *time,
            Operation::SetExtra(extra) => this.extra = extra.clone(),
            Operation::SetTitle(title) => this.title = title_or_default(&this.id, Some(title)),
            Operation::SetMetadata(metadata) => this.metadata = metadata.clone(),
            Operation::AddMessage(new) => {
                let id = new.id.clone().unwrap_or_else(|| Text::from(make()));
                let when = new.created_at.unwrap_or(time(op));
                let mut message = Message::new(&id, &new.content, &new.role, when);
                (message.metadata, message.extra) = (new.metadata.clone(), new.extra.clone());
                this.messages.push(message);
                self.last_activity = when;
                return Ok(Some(id));
            }
            Operation::AddAction(new) => {
                let id = new.id.clone().unwrap_or_else(|| Text::from(make()));
                let when = new.created_at.unwrap_or(time(op));
                let mut action = Action::new(&id, &new.action_type, new.data.clone(), when);
                (action.metadata, action.extra) = (new.metadata.clone(), new.extra.clone());
                this.actions.push(action);
                self.last_activity = when;
                return Ok(Some(id));
            }
            Operation::EditMessage { message_id, edit } => {
                let message = this.messages.iter_mut().rfind(|message| message.id == *message_id);
                change_message(message.ok_or(ErrorKind::NotFound)?, edit);
                return Ok(Some(message_id.clone()));
            }
            Operation::EditAction { action_id, edit } => {
                let action = this.actions.iter_mut().rfind(|action| action.id == *action_id);
                change_action(action.ok_or(ErrorKind::NotFound)?, edit);
                return Ok(Some(action_id.clone()));
            }
            Operation::AppendText { message_id, .. } | Operation::FinishMessage { message_id, .. } => {
                reply(this, operation)?;
                return Ok(Some(message_id.clone()));
            }
            Operation::RemoveMessage(id) => {
                let at = this.messages.iter().rposition(|message| message.id == *id);
                this.messages.remove(at.ok_or(ErrorKind::NotFound)?);
                return Ok(Some(id.clone()));
            }
            Operation::RemoveAction(id) => {
                let at = this.actions.iter().rposition(|action| action.id == *id);
                this.actions.remove(at.ok_or(ErrorKind::NotFound)?);
                return Ok(Some(id.clone()));
            }
            // No version is so high that counting on from it could overflow.
            Operation::SetVersion(version) if *version > 1 << 62 => return Err(ErrorKind::InvalidInput),
            Operation::SetVersion(version) if *version <= this.version => return Err(ErrorKind::Conflict),
            Operation::SetVersion(_) => {}
            Operation::Clear => {
                this.messages.clear();
                this.actions.clear();
            }
            _ => return Err(ErrorKind::Unsupported),
        }
        Ok(None)
    }
}

/// Puts text behind a reply, or finishes it.
fn reply(this: &mut Conversation, operation: &Operation) -> Result<(), ErrorKind> {
    match operation {
        Operation::AppendText { message_id, offset, text } => {
            let message = open_reply(this, message_id, *offset)?;
            let bytes = [message.content.as_wtf8(), text.as_wtf8()].concat();
            message.content = Text::from_wtf8(bytes).map_err(|_| ErrorKind::InvalidInput)?;
        }
        Operation::FinishMessage { message_id, length, metadata } => {
            let message = open_reply(this, message_id, *length)?;
            message.metadata = finished(&message.metadata, metadata)?;
        }
        _ => return Err(ErrorKind::Unsupported),
    }
    Ok(())
}

/// The reply with this id, which is still being written and has so many bytes.
fn open_reply<'c>(
    conversation: &'c mut Conversation,
    id: &Text,
    length: Option<u64>,
) -> Result<&'c mut Message, ErrorKind> {
    let message = conversation.messages.iter_mut().rfind(|message| message.id == *id);
    let message = message.ok_or(ErrorKind::NotFound)?;
    let is_marked = message.metadata.get("partial").ok().flatten() == Some(true.into());
    let is_as_long = length.is_none_or(|length| length == count(message.content.len()));
    if is_marked && is_as_long { Ok(message) } else { Err(ErrorKind::Conflict) }
}

/// The metadata of a finished reply. What is put in besides has whatever else was there, in all that is drawn.
fn finished(before: &JsonObject, more: &JsonObject) -> Result<JsonObject, ErrorKind> {
    if more.as_json().contains("partial") {
        return Err(ErrorKind::InvalidInput);
    }
    let kept = before.as_json().replace(r#","partial":true"#, "").replace(r#""partial":true"#, "");
    let text = if more.is_empty() { &kept } else { more.as_json() };
    JsonObject::parse(text).map_err(|_| ErrorKind::InvalidInput)
}

fn title_or_default(id: &str, title: Option<&Text>) -> Text {
    match title {
        Some(title) if !title.is_empty() => title.clone(),
        _ => Text::from(format!("Conversation {}", id.chars().take(8).collect::<String>())),
    }
}

fn begin(conversation: &mut Conversation, new: &NewConversation) {
    conversation.title = title_or_default(&conversation.id, new.title.as_ref());
    conversation.metadata = new.metadata.clone();
    conversation.extra = new.extra.clone();
}

fn change_message(message: &mut Message, edit: &Edit) {
    if let Some(content) = &edit.content {
        message.content = content.clone();
    }
    if let Some(metadata) = &edit.metadata {
        message.metadata = metadata.clone();
    }
    if let Some(role) = &edit.role {
        message.role = role.clone();
    }
    if let Some(time) = edit.created_at {
        message.created_at = time;
    }
    if let Some(extra) = &edit.extra {
        message.extra = extra.clone();
    }
}

fn change_action(action: &mut Action, edit: &ActionEdit) {
    if let Some(action_type) = &edit.action_type {
        action.action_type = action_type.clone();
    }
    if let Some(data) = &edit.data {
        action.data = data.clone();
    }
    if let Some(metadata) = &edit.metadata {
        action.metadata = metadata.clone();
    }
    if let Some(time) = edit.created_at {
        action.created_at = time;
    }
    if let Some(extra) = &edit.extra {
        action.extra = extra.clone();
    }
}
