//! What has been accepted and is not yet visible.
//!
//! Owns how conversations stand, and which keys were used, between a mutation's judgement and the moment at
//! which the index shows it. Knows no rules.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::hashing::FastHash;
use super::key_table::KeyRecord;
use super::state::ConversationState;
use super::working_state::WorkingState;
use crate::model::Seq;

/// Changes that have been accepted and are not yet visible.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    /// The first, in a text that is kept for the next: where one thread appends one by one there is never more.
    first: Option<(String, ConversationState)>,
    spare: String,
    conversations: HashMap<String, ConversationState, FastHash>,
    keys: HashMap<String, KeyRecord>,
    /// The sequence number of the newest of them.
    newest: Seq,
    /// How often some of it was dropped.
    dropped: u64,
}

/// What one batch leaves pending.
#[derive(Debug)]
pub(crate) struct Accepted<'b> {
    pub(super) states: SmallVec<[WorkingState<'b>; 1]>,
    pub(super) keys: Vec<(&'b str, KeyRecord)>,
}

/// A map that once held more than this gives its memory back: going over it takes as long as it is large.
const ROOM: usize = 1024;

impl Pending {
    /// Whether there are changes of this conversation.
    pub(crate) fn concerns(&self, conversation_id: &str) -> bool {
        self.state(conversation_id).is_some()
    }

    /// How a conversation that there are changes of will stand.
    pub(super) fn state(&self, conversation_id: &str) -> Option<&ConversationState> {
        match &self.first {
            Some((id, state)) if id == conversation_id => Some(state),
            _ if self.conversations.is_empty() => None,
            _ => self.conversations.get(conversation_id),
        }
    }

    /// Whether a key is being used.
    pub(super) fn has_key(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// How often changes were dropped that had been accepted.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Forgets what is visible by now: everything before this sequence number.
    pub(crate) fn forget_before(&mut self, seq: Seq) {
        if self.newest < seq {
            self.empty();
            return;
        }
        if self.first.as_ref().is_some_and(|(_, state)| state.last_seq < seq) {
            self.forget_first();
        }
        self.conversations.retain(|_, state| state.last_seq >= seq);
        self.keys.retain(|_, record| record.seq >= seq);
    }

    pub(crate) fn clear(&mut self) {
        self.empty();
        self.dropped += 1;
    }

    fn empty(&mut self) {
        if self.conversations.capacity() > ROOM {
            self.conversations = HashMap::default();
        }
        if self.keys.capacity() > ROOM {
            self.keys = HashMap::new();
        }
        self.forget_first();
        self.conversations.clear();
        self.keys.clear();
        self.newest = 0;
    }

    fn forget_first(&mut self) {
        if let Some((id, _)) = self.first.take() {
            self.spare = id;
            self.spare.clear();
        }
    }

    /// Takes over the outcome of accepted states.
    pub(crate) fn add(&mut self, accepted: Accepted<'_>) {
        for WorkingState { id, state, .. } in accepted.states {
            self.newest = self.newest.max(state.last_seq);
            match &mut self.first {
                Some((first, pending)) if first == id => *pending = state,
                None if !self.conversations.contains_key(id) => {
                    let mut first = std::mem::take(&mut self.spare);
                    first.push_str(id);
                    self.first = Some((first, state));
                }
                _ => match self.conversations.get_mut(id) {
                    Some(pending) => *pending = state,
                    None => drop(self.conversations.insert(id.to_owned(), state)),
                },
            }
        }
        self.keys.extend(accepted.keys.into_iter().map(|(key, record)| (key.to_owned(), record)));
    }
}

impl<'b> Accepted<'b> {
    /// The keys that were used.
    pub(crate) fn into_keys(self) -> Vec<(&'b str, KeyRecord)> {
        self.keys
    }
}
