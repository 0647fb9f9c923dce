//! What a history says.
//!
//! Owns the answers that looking back and going back need, each made of a conversation's events alone.

use super::past::{Walk, gone, past};
use super::revert::revert;
use super::selection::select;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    At, Change, Conversation, History, Message, Messages, Mutation, PastEvent, RemovalReason, Seq, Summary,
    Text, Tombstone, Version,
};

impl History {
    /// The conversation's version after each of the events; 0 after one that removed it.
    ///
    /// # Errors
    ///
    /// `Corrupt` if an event does not fit those before it.
    pub fn versions(&self) -> Result<Vec<Version>> {
        let mut walk = Walk::begin(self);
        let version = |past: &PastEvent| {
            walk.step(past.seq, &past.event.change)?;
            Ok(walk.version())
        };
        self.events.iter().map(version).collect()
    }

    /// What the conversation was at a point in the past; `None` if it was not there then.
    ///
    /// # Errors
    ///
    /// `NotFound` for what is no longer kept, and for a version that it never had; `Corrupt`.
    pub fn at(&self, at: impl Into<At>) -> Result<Option<Conversation>> {
        Ok(past(self, at.into())?.state.map(|state| state.conversation))
    }

    /// The newest of its events that had happened by then; 0 if none had.
    ///
    /// # Errors
    ///
    /// Those of [`at`](Self::at).
    pub fn last_seq_at(&self, at: impl Into<At>) -> Result<Seq> {
        Ok(past(self, at.into())?.last_seq)
    }

    /// From which event on nothing says whether it happened before a time that is asked for: edits say no time, and those
    /// before the first event of a later time are taken to have happened. `None` if all say so.
    ///
    /// # Errors
    ///
    /// Those of [`at`](Self::at).
    pub fn unsure_from(&self, at: impl Into<At>) -> Result<Option<Seq>> {
        Ok(past(self, at.into())?.unsure_from)
    }

    /// What there is behind the newest erasure, before which nothing is kept.
    pub(crate) fn behind_an_erasure(mut self) -> Self {
        let tombstone = |past: &PastEvent| {
            let Change::Remove { removed_at, reason } = past.event.change else { return None };
            let told = || Tombstone { id: self.conversation_id.clone(), seq: past.seq, removed_at, reason };
            (reason == RemovalReason::Erasure).then(told)
        };
        let mut newest = self.events.iter().enumerate().rev();
        let Some((at, erased)) = newest.find_map(|(at, past)| Some((at, tombstone(past)?))) else {
            return self;
        };
        self.events = self.events.split_off(at + 1);
        (self.base, self.whole_from, self.removed) = (None, erased.seq, Some(erased));
        self
    }

    /// What a list showed of the conversation.
    pub(crate) fn summary_at(&self, at: At) -> Result<Option<Summary>> {
        Ok(past(self, at)?.state.map(|state| state.summary()))
    }

    /// What makes the conversation what it was; nothing if it is that.
    pub(crate) fn steps_to(&self, then: &Conversation) -> Result<Vec<Mutation>> {
        let now = Walk::begin(self).steps(&self.events)?.state;
        revert(now.as_ref().map(|state| &state.conversation), then)
    }
}

impl Messages {
    /// Those of a list that are meant.
    pub(crate) fn among(&self, messages: &Vec<Message>) -> Result<Vec<Message>> {
        let places = select(messages, self)?;
        Ok(places.into_iter().filter_map(|at| messages.get(at).cloned()).collect())
    }
}

impl History {
    /// What the conversation was before the newest of its changes, so many as are said; see [`MessageStore::undo`](crate::MessageStore::undo).
    ///
    /// # Errors
    ///
    /// Those of [`MessageStore::undo`](crate::MessageStore::undo).
    pub fn before_changes(&self, changes: usize) -> Result<Conversation> {
        let id = &self.conversation_id;
        let batches: Vec<&[PastEvent]> = self.events.chunk_by(|a, b| a.batch == b.batch).collect();
        let Some(left) = batches.len().checked_sub(changes) else {
            let since = if self.whole_from > 0 {
                format!(" are kept, those behind event {}", self.whole_from)
            } else {
                " have happened".to_owned()
            };
            if self.damage.is_some() {
                return Err(gone(self, &format!("before its newest {changes} changes")));
            }
            let reason =
                format!("{} changes of conversation {id:?}{since}, fewer than {changes}", batches.len());
            return Err(Error::new(ErrorKind::NotFound, reason));
        };
        let events = batches.into_iter().take(left).flatten();
        let mut walk = Walk::begin(self);
        events.into_iter().try_for_each(|past| walk.step(past.seq, &past.event.change))?;
        walk.state.map(|state| state.conversation).ok_or_else(|| {
            let reason = format!(
                "before its newest {changes} changes there was no conversation {id:?}; to end it, remove it"
            );
            Error::invalid(reason)
        })
    }

    /// What the conversation was when it was removed last; see [`MessageStore::unremove`](crate::MessageStore::unremove).
    ///
    /// # Errors
    ///
    /// Those of [`MessageStore::unremove`](crate::MessageStore::unremove).
    pub fn before_removal(&self) -> Result<Conversation> {
        let id = &self.conversation_id;
        let (mut walk, mut before) = (Walk::begin(self), None);
        for past in &self.events {
            if let Change::Remove { .. } = past.event.change {
                before.clone_from(&walk.state);
            }
            walk.step(past.seq, &past.event.change)?;
        }
        if walk.state.is_some() {
            let reason = format!("conversation {id:?} is there; revert makes it what it was");
            return Err(Error::new(ErrorKind::AlreadyExists, reason));
        }
        match before {
            Some(before) => Ok(before.conversation),
            None if self.whole_from > 0 => Err(gone(self, "when it was removed")),
            None => Err(Error::new(ErrorKind::NotFound, format!("there never was a conversation {id:?}"))),
        }
    }

    /// What the conversation is with a message or an action that was removed; see [`MessageStore::unremove_item`](crate::MessageStore::unremove_item).
    ///
    /// # Errors
    ///
    /// Those of [`MessageStore::unremove_item`](crate::MessageStore::unremove_item).
    pub fn with_item(&self, item: &Text) -> Result<Conversation> {
        let (mut walk, mut messages, mut actions) = (Walk::begin(self), None, None);
        for past in &self.events {
            let change = &past.event.change;
            let takes_all = matches!(change, Change::Clear | Change::Reset { .. } | Change::Remove { .. });
            if let Some(state) = &walk.state {
                let conversation = &state.conversation;
                if takes_all || matches!(change, Change::RemoveMessage(id) if id == item) {
                    let found = Removed::find(&conversation.messages, item, |message| &message.id);
                    messages = found.or(messages);
                }
                if takes_all || matches!(change, Change::RemoveAction(id) if id == item) {
                    actions = Removed::find(&conversation.actions, item, |action| &action.id).or(actions);
                }
            }
            walk.step(past.seq, change)?;
        }
        let (id, name) = (&self.conversation_id, item.to_string_lossy());
        let mut now = walk.state.ok_or_else(|| not_there_now(id))?.conversation;
        let is_there = now.messages.iter().any(|message| message.id == *item)
            || now.actions.iter().any(|action| action.id == *item);
        if is_there {
            let reason = format!("{name:?} is in conversation {id:?}");
            return Err(Error::new(ErrorKind::AlreadyExists, reason));
        }
        match (messages, actions) {
            (Some(found), _) => found.put_back(&mut now.messages, |message| &message.id),
            (None, Some(found)) => found.put_back(&mut now.actions, |action| &action.id),
            (None, None) if self.damage.is_some() => {
                return Err(gone(self, &format!("when {name:?} was removed")));
            }
            (None, None) => {
                let mut reason =
                    format!("no message or action {name:?} was removed from conversation {id:?}");
                if self.whole_from > 0 {
                    reason = format!(
                        "{reason} behind event {}, from which on its history is whole",
                        self.whole_from
                    );
                }
                return Err(Error::new(ErrorKind::NotFound, reason));
            }
        }
        Ok(now)
    }
}

/// Something that was removed.
struct Removed<T> {
    item: T,
    /// The ids of what stood before it, the nearest first.
    before: Vec<Text>,
}

impl<T: Clone> Removed<T> {
    fn find(list: &[T], id: &Text, id_of: fn(&T) -> &Text) -> Option<Self> {
        let at = list.iter().rposition(|item| id_of(item) == id)?;
        let before = list.iter().take(at).rev().map(|item| id_of(item).clone()).collect();
        Some(Self { item: list.get(at)?.clone(), before })
    }

    /// Puts it behind the nearest of those that it stood behind, or else at the beginning.
    fn put_back(self, list: &mut Vec<T>, id_of: fn(&T) -> &Text) {
        let behind = |id: &Text| list.iter().rposition(|item| id_of(item) == id);
        let at = self.before.iter().find_map(behind).map_or(0, |at| at + 1);
        list.insert(at, self.item);
    }
}

fn not_there_now(id: &str) -> Error {
    let reason = format!("there is no conversation {id:?} now; bring it back first");
    Error::new(ErrorKind::NotFound, reason)
}
