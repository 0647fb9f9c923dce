//! What has been accepted and is not yet visible.
//!
//! Owns how conversations stand, and which keys were used, between a mutation's judgement and the moment at
//! which the index shows it. Knows no rules.

use std::collections::HashMap;

use super::draft::Standing;
use super::hashing::FastHash;
use super::keys::KeyRecord;
use crate::model::Seq;

/// Changes that have been accepted and are not yet visible.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    conversations: HashMap<String, Standing, FastHash>,
    keys: HashMap<String, KeyRecord>,
    /// The sequence number of the newest of them.
    newest: Seq,
    /// How often some of it was dropped.
    dropped: u64,
}

/// What one batch leaves pending.
#[derive(Clone, Debug)]
pub(crate) struct Accepted<'b> {
    pub(super) conversations: Vec<(&'b str, Standing)>,
    pub(super) keys: Vec<(&'b str, KeyRecord)>,
}

/// A map that once held more than this gives its memory back: going over it takes as long as it is large.
const ROOM: usize = 1024;

impl Pending {
    /// Whether there are changes of this conversation.
    pub(crate) fn concerns(&self, conversation_id: &str) -> bool {
        self.conversations.contains_key(conversation_id)
    }

    /// How a conversation that there are changes of will stand.
    pub(super) fn standing(&self, conversation_id: &str) -> Option<&Standing> {
        self.conversations.get(conversation_id)
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
        self.conversations.retain(|_, standing| standing.last_seq >= seq);
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
        self.conversations.clear();
        self.keys.clear();
        self.newest = 0;
    }

    /// Takes over the outcome of accepted drafts.
    pub(crate) fn add(&mut self, accepted: Accepted<'_>) {
        for (id, standing) in accepted.conversations {
            self.newest = self.newest.max(standing.last_seq);
            if let Some(pending) = self.conversations.get_mut(id) {
                *pending = standing;
            } else {
                self.conversations.insert(id.to_owned(), standing);
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
