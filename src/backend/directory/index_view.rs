//! The index as the rules see it.
//!
//! Owns how a conversation stands for whoever is about to change it, and which one may be changed although its file is
//! not as recorded. Used under the log's turn, so that nothing comes between what is seen here and what is made of it.

use super::reads::ReadState;
use crate::error::{Error, ErrorKind};
use crate::index::{Found, Index, Slot};
use crate::model::{Seq, Summary};
use crate::rules::{ConversationState, KeyRecord, Pending, Refusal, StateView};

/// A conversation that begins anew with what its file holds, as it stood when that was put together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepting<'a> {
    pub(super) id: &'a str,
    /// Of its newest event. Its version would not do: one that was removed and began anew can have the same.
    pub(super) last_seq: Seq,
}

/// The index as the rules see it.
pub(super) struct IndexView<'s> {
    pub(super) index: &'s Index,
    pub(super) reads: &'s ReadState,
    /// What begins anew whatever its file is.
    pub(super) accepting: Option<Accepting<'s>>,
}

impl IndexView<'_> {
    /// Why nothing may be added to a conversation.
    #[cold]
    fn damage(&self, id: &str, slot: Option<&Slot>) -> Option<Error> {
        let suspicion = match slot {
            Some(slot) if slot.is_held => Some(self.reads.held_damage(self.index, slot)),
            Some(slot) => self.reads.suspicion_of(slot),
            None => self.reads.suspicion(id),
        };
        suspicion.filter(|_| self.accepting.is_none_or(|accepting| accepting.id != id))
    }

    /// Why a conversation does not begin anew with what was made of how it stood: it does not stand so any more, or
    /// will not in a moment.
    #[cold]
    pub(super) fn refusal_to_accept(&self, seen: Accepting<'_>, pending: &Pending) -> Option<Refusal> {
        let state = self.state(seen.id);
        if state.exists && state.last_seq == seen.last_seq && !pending.concerns(seen.id) {
            return None;
        }
        let reason = format!("conversation {:?} was changed while its file was accepted", seen.id);
        Some(Refusal::Impossible(Error::new(ErrorKind::Conflict, reason)))
    }
}

impl StateView for IndexView<'_> {
    fn state(&self, id: &str) -> ConversationState {
        let damaged = |damage| ConversationState { damage: Some(damage), ..ConversationState::default() };
        let state_of = |summary: &Summary| ConversationState {
            exists: true,
            version: summary.version,
            last_seq: summary.last_seq,
            messages: summary.messages,
            actions: summary.actions,
            damage: None,
        };
        match self.index.find(id) {
            Found::Slot(slot) if !slot.is_held && !self.reads.has_suspects() => state_of(&slot.summary),
            // How it stands is known; it can be removed, and the receipt has its version.
            Found::Slot(slot) => {
                ConversationState { damage: self.damage(id, Some(slot)), ..state_of(&slot.summary) }
            }
            Found::Checkpoint(entry, _) => {
                ConversationState { damage: self.damage(id, None), ..state_of(&entry.summary()) }
            }
            Found::Damaged(entry) => damaged(self.reads.damage(&entry)),
            Found::Nothing => ConversationState::default(),
        }
    }

    fn find_key(&self, key: &str) -> Option<KeyRecord> {
        self.index.find_key(key)
    }
}
