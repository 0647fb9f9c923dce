//! The backend that keeps everything in memory.
//!
//! Owns plain lists under one lock. The rules are those of every backend, from the index.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::export;
use super::settings::Settings;
use super::{Backend, closed, no_conversation};
use crate::clock::{enter_process, random_id};
use crate::codec::bytes::to_u64;
use crate::codec::segment::{StoreId, hex_of};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Action, Change, Conversation, Durability, Event, ExportReport, Message, Messages, Mutation, Order,
    Receipt, Seq, Stats, Summary, TextRef, Tombstone,
};
use crate::rules::{
    ConversationState, Folded, KEPT_TOMBSTONES, KeyRecord, KeyTable, Lookups, Pending, Refusal, Request,
    Resolved, SeenReply, StateView, Step, Validation, known_receipt, last_with, normalize, only_appends_text,
    receipts, select,
};

/// Conversations in memory.
#[derive(Debug)]
pub(crate) struct Memory {
    settings: Settings,
    store_id: StoreId,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In the order in which they began.
    conversations: Vec<Folded>,
    at: HashMap<String, usize>,
    keys: KeyTable,
    /// What is remembered of conversations that were removed, by the events that did it.
    removed: BTreeMap<Seq, Tombstone>,
    /// Those events, by the conversations' ids.
    removed_by: HashMap<String, Seq>,
    next_seq: Seq,
    is_closed: bool,
}

impl Memory {
    pub(crate) fn new(settings: Settings) -> Self {
        let state = State { next_seq: 1, ..State::default() };
        Self { settings, store_id: random_id(), state: RwLock::new(state) }
    }

    fn read(&self) -> Result<RwLockReadGuard<'_, State>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if state.is_closed { Err(closed()) } else { Ok(state) }
    }

    fn write(&self) -> Result<RwLockWriteGuard<'_, State>> {
        let state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.is_closed { Err(closed()) } else { Ok(state) }
    }
}

impl Memory {
    /// Carries a batch out in which nothing is left open.
    fn carry_out(&self, mut batch: Vec<Request>) -> Result<Vec<Receipt>> {
        let mut state = self.write()?;
        let (pending, lookups) = (Pending::default(), state.lookups(&batch));
        let first_seq = state.next_seq;
        let mut validation = Validation::new(&*state, &pending, &lookups, first_seq);
        let resolved = match validation.resolve(&batch) {
            Ok(resolved) => resolved,
            Err(Refusal::Known(known)) => {
                return Ok(known.iter().map(|record| known_receipt(record, Durability::Process)).collect());
            }
            Err(Refusal::Impossible(error)) => return Err(error),
            Err(Refusal::Stale) => {
                return Err(Error::new(ErrorKind::Conflict, "the conversation changed meanwhile"));
            }
        };
        for (key, record) in validation.into_accepted().into_keys() {
            state.keys.insert(key, record);
        }
        for (seq, (request, resolved)) in (first_seq..).zip(batch.iter().zip(&resolved)) {
            state.apply(&request.conversation_id, resolved, seq);
        }
        let versions = resolved.into_iter().map(|resolved| resolved.version).collect();
        Ok(receipts(&mut batch, versions, first_seq, Durability::Process))
    }
}

impl StateView for State {
    fn state(&self, id: &str) -> ConversationState {
        let Some(kept) = self.kept(id) else { return ConversationState::default() };
        ConversationState {
            exists: true,
            version: kept.conversation.version,
            last_seq: kept.last_seq,
            messages: to_u64(kept.conversation.messages.len()),
            actions: to_u64(kept.conversation.actions.len()),
            damage: None,
        }
    }

    fn find_key(&self, key: &str) -> Option<KeyRecord> {
        self.keys.find(key).cloned()
    }
}

impl State {
    fn kept(&self, id: &str) -> Option<&Folded> {
        self.at.get(id).and_then(|at| self.conversations.get(*at))
    }

    /// What a batch looks for by id.
    fn lookups(&self, batch: &[Request]) -> Lookups {
        let mut lookups = Lookups::default();
        for request in batch {
            if !request.looks() {
                continue;
            }
            let lookup = lookups.entry(request.conversation_id.clone()).or_default();
            let Some(kept) = self.kept(&request.conversation_id) else { continue };
            lookup.last_seq = kept.last_seq;
            match &request.step {
                Step::AppendText { message_id: id, .. }
                    if only_appends_text(batch, &request.conversation_id) =>
                {
                    if let Some((at, message)) = last_with(&kept.conversation.messages, id) {
                        lookup.replies.insert(id.clone(), SeenReply::of(at, message));
                    }
                }
                Step::EditMessage(id, _)
                | Step::FinishMessage(id, _)
                | Step::AppendText { message_id: id, .. }
                | Step::RemoveMessage(id)
                | Step::Ready(Change::AddMessage(Message { id, .. })) => {
                    let places = places(&kept.conversation.messages, |message| message.id == *id);
                    lookup.messages.insert(id.clone(), places.map(|(at, m)| (at, m.clone())).collect());
                }
                Step::EditAction(id, _)
                | Step::RemoveAction(id)
                | Step::Ready(Change::AddAction(Action { id, .. })) => {
                    let places = places(&kept.conversation.actions, |action| action.id == *id);
                    lookup.actions.insert(id.clone(), places.map(|(at, a)| (at, a.clone())).collect());
                }
                Step::Ready(_) => {}
            }
        }
        lookups
    }

    fn apply(&mut self, id: &String, resolved: &Resolved<'_>, seq: Seq) {
        let change = &*resolved.change;
        if !self.at.contains_key(id)
            && let Some(begun) = Folded::begun_by(id, change, seq)
        {
            self.at.insert(id.clone(), self.conversations.len());
            if let Some(seq) = self.removed_by.remove(id) {
                self.removed.remove(&seq);
            }
            self.conversations.push(begun);
        }
        if let Change::Remove { removed_at, reason } = change {
            if let Some(at) = self.at.remove(id) {
                self.conversations.remove(at);
                self.at.values_mut().filter(|other| **other > at).for_each(|other| *other -= 1);
                self.bury(Tombstone { id: id.clone(), seq, removed_at: *removed_at, reason: *reason });
            }
        } else if let Some(kept) = self.at.get(id).and_then(|at| self.conversations.get_mut(*at)) {
            kept.apply(change, usize::try_from(resolved.at).unwrap_or(usize::MAX));
            kept.conversation.version = resolved.version;
            kept.last_seq = seq;
        }
        self.next_seq = seq + 1;
    }
}

impl State {
    /// Remembers a conversation that was removed, and forgets the oldest such if there are too many.
    fn bury(&mut self, tombstone: Tombstone) {
        self.removed_by.insert(tombstone.id.clone(), tombstone.seq);
        self.removed.insert(tombstone.seq, tombstone);
        if self.removed.len() > KEPT_TOMBSTONES
            && let Some((_, oldest)) = self.removed.pop_first()
        {
            self.removed_by.remove(&oldest.id);
        }
    }
}

fn places<T>(list: &[T], is_meant: impl Fn(&T) -> bool) -> impl Iterator<Item = (u64, &T)> {
    (0..).zip(list).filter(move |(_, item)| is_meant(item))
}

/// Puts summaries into an order and keeps the first of them.
fn arrange(mut summaries: Vec<Summary>, order: Order, limit: Option<usize>) -> Vec<Summary> {
    if order == Order::Activity {
        summaries.sort_by_key(|summary| std::cmp::Reverse(crate::model::activity_key(summary)));
    }
    summaries.truncate(limit.unwrap_or(usize::MAX));
    summaries
}

impl Backend for Memory {
    fn append(&self, batch: Vec<Mutation>) -> Result<Vec<Receipt>> {
        // The one store that a process which was forked off goes on with.
        enter_process();
        let normalize = |mutation| normalize(mutation, &*self.settings.clock, &*self.settings.ids);
        self.carry_out(batch.into_iter().map(normalize).collect::<Result<Vec<_>>>()?)
    }

    fn replay(&self, events: Vec<Event>, first_seq: Seq) -> Result<()> {
        self.carry_out(Request::of_events(events, first_seq)).map(drop)
    }

    fn conversation(&self, id: &str) -> Result<Option<Conversation>> {
        Ok(self.read()?.kept(id).map(|kept| kept.conversation.clone()))
    }

    fn summary(&self, id: &str) -> Result<Option<Summary>> {
        Ok(self.read()?.kept(id).map(Folded::summary))
    }

    fn conversations(&self, order: Order, limit: Option<usize>) -> Result<Vec<Summary>> {
        let summaries = self.read()?.conversations.iter().map(Folded::summary).collect();
        Ok(arrange(summaries, order, limit))
    }

    fn messages(&self, id: &str, selection: &Messages) -> Result<Vec<Message>> {
        let state = self.read()?;
        let messages = &state.kept(id).ok_or_else(|| no_conversation(id))?.conversation.messages;
        let places = select(messages, selection)?;
        Ok(places.into_iter().filter_map(|at| messages.get(at).cloned()).collect())
    }

    fn message(&self, id: &str, message_id: TextRef<'_>) -> Result<Option<Message>> {
        let state = self.read()?;
        let messages = state.kept(id).map(|kept| &*kept.conversation.messages).unwrap_or_default();
        Ok(messages.iter().rev().find(|message| message_id == message.id).cloned())
    }

    fn actions(&self, id: &str) -> Result<Vec<Action>> {
        let state = self.read()?;
        state.kept(id).map(|kept| kept.conversation.actions.clone()).ok_or_else(|| no_conversation(id))
    }

    fn removed(&self, id: &str) -> Result<Option<Tombstone>> {
        let state = self.read()?;
        Ok(state.removed_by.get(id).and_then(|seq| state.removed.get(seq)).cloned())
    }

    fn tombstones(&self) -> Result<Vec<Tombstone>> {
        Ok(self.read()?.removed.values().rev().cloned().collect())
    }

    fn sync(&self) -> Result<()> {
        self.read().map(|_| ())
    }

    fn stats(&self) -> Result<Stats> {
        let state = self.read()?;
        let count = |of: fn(&Conversation) -> usize| {
            to_u64(state.conversations.iter().map(|kept| of(&kept.conversation)).sum::<usize>())
        };
        Ok(Stats {
            conversations: to_u64(state.conversations.len()),
            messages: count(|conversation| conversation.messages.len()),
            actions: count(|conversation| conversation.actions.len()),
            last_seq: state.next_seq - 1,
            ..Stats::default()
        })
    }

    fn export_aral(&self, to: &Path, ids: Option<&[String]>) -> Result<ExportReport> {
        export::export(self, &*self.settings.vfs, to, ids)
    }

    fn identity(&self) -> Result<Option<String>> {
        Ok(Some(hex_of(&self.store_id)))
    }

    fn close(&self) -> Result<()> {
        self.write()?.is_closed = true;
        Ok(())
    }
}
