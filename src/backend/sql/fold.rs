//! What the events of some conversations led to.
//!
//! Owns the folding of events, a few conversations at a time, and the proof that each of them fits those before it.

use std::collections::HashMap;

use super::columns::corrupt;
use super::connection::Connection;
use super::events::{each_of, with_event};
use super::tables::Rows;
use crate::codec::bytes::to_usize;
use crate::codec::payload::EventView;
use crate::error::{ErrorKind, Result};
use crate::model::{Change, RemovalReason, Seq, Text, Tombstone};
use crate::rules::{Folded, KeyRecord};

/// What the events of some conversations led to.
#[derive(Debug, Default)]
pub(super) struct Fold {
    pub(super) conversations: HashMap<String, Rows>,
    pub(super) keys: Vec<(String, KeyRecord)>,
    pub(super) removed: HashMap<String, Tombstone>,
    /// The ids whose events do not fit one another, and why.
    pub(super) broken: HashMap<String, String>,
}

impl Fold {
    /// Folds the events of these numbers.
    pub(super) fn of(connection: &mut dyn Connection, seqs: &[Seq]) -> Result<Self> {
        let mut fold = Self::default();
        each_of(connection, seqs, &mut |row| with_event(row, |numbers, view| fold.event(numbers.seq, view)))?;
        Ok(fold)
    }

    /// Carries out what makes sense of the events of these numbers, between which others may be lost: a message goes into its conversation
    /// even if nothing else of that is left.
    pub(super) fn of_what_is_left(connection: &mut dyn Connection, seqs: &[Seq]) -> Result<Self> {
        let mut fold = Self::default();
        each_of(connection, seqs, &mut |row| {
            with_event(row, |numbers, view| {
                let bad = |reason: &str| corrupt(format!("event {}: {reason}", numbers.seq));
                let id = view.conversation.to_id().map_err(|damage| bad(&damage.0))?;
                let event = view.to_event().map_err(|damage| bad(&damage.0))?;
                fold.carry_what_fits(&id, numbers.seq, &event.change);
                Ok(())
            })
        })?;
        Ok(fold)
    }

    fn carry_what_fits(&mut self, id: &str, seq: Seq, change: &Change) {
        if !self.conversations.contains_key(id)
            && let Some(folded) = Folded::begun_by(id, change, seq)
        {
            self.removed.remove(id);
            let begun = Rows { number: seq, folded, messages: Vec::new(), actions: Vec::new() };
            self.conversations.insert(id.to_owned(), begun);
        }
        if let Change::Remove { removed_at, reason } = change {
            let tombstone = Tombstone { id: id.to_owned(), seq, removed_at: *removed_at, reason: *reason };
            self.conversations.remove(id);
            self.removed.insert(id.to_owned(), tombstone);
        }
        let Some(rows) = self.conversations.get_mut(id) else { return };
        // Order: the version is counted on first. One that begins anew goes on counting.
        let next = rows.folded.conversation.version + 1;
        if let Some(at) = rows.folded.place_of(change) {
            rows.folded.apply(change, at);
            rows.note(change, at, seq);
        }
        rows.folded.conversation.version =
            if let Change::SetVersion(version) = change { *version } else { next };
        rows.folded.last_seq = seq;
    }

    fn event(&mut self, seq: Seq, view: &EventView<'_>) -> Result<()> {
        let id = view.conversation.to_id().map_err(|bad| corrupt(bad.0))?;
        if self.broken.contains_key(&id) {
            return Ok(());
        }
        match self.carry(&id, seq, view) {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                self.conversations.remove(&id);
                self.removed.remove(&id);
                self.broken.insert(id, error.message().to_owned());
                Ok(())
            }
            done => done,
        }
    }

    fn carry(&mut self, id: &str, seq: Seq, view: &EventView<'_>) -> Result<()> {
        let bad = |reason: &str| corrupt(format!("event {seq}: {reason}"));
        let event = view.to_event().map_err(|damage| bad(&damage.0))?;
        if !self.conversations.contains_key(id)
            && let Some(folded) = Folded::begun_by(id, &event.change, seq)
        {
            self.removed.remove(id);
            let begun = Rows { number: seq, folded, messages: Vec::new(), actions: Vec::new() };
            self.conversations.insert(id.to_owned(), begun);
        }
        if let Change::Remove { removed_at, reason: reason @ RemovalReason::Erasure } = event.change
            && !self.conversations.contains_key(id)
        {
            // All that stays of what was erased.
            self.removed.insert(id.to_owned(), Tombstone { id: id.to_owned(), seq, removed_at, reason });
            return Ok(());
        }
        let rows = self.conversations.get_mut(id).ok_or_else(|| bad("its conversation does not exist"))?;
        let at = to_usize(view.change.place());
        if !rows.folded.holds(&event.change, at) {
            return Err(bad("what it changes is not at its place"));
        }
        // Order: the version is counted on first. One that begins anew goes on counting.
        let version = if let Change::SetVersion(version) = event.change {
            version
        } else {
            rows.folded.conversation.version + 1
        };
        rows.folded.apply(&event.change, at);
        rows.folded.conversation.version = version;
        rows.folded.last_seq = seq;
        rows.note(&event.change, at, seq);
        if let (Some(key), Some(name)) = (view.key, event.key) {
            let subject = event.change.subject().map_or(id.as_bytes(), Text::as_wtf8).into();
            let fingerprint = key.fingerprint;
            self.keys.push((
                name,
                KeyRecord { fingerprint, conversation_id: id.into(), id: subject, seq, version },
            ));
        }
        if let Change::Remove { removed_at, reason } = event.change {
            self.conversations.remove(id);
            self.removed.insert(id.to_owned(), Tombstone { id: id.to_owned(), seq, removed_at, reason });
        }
        Ok(())
    }
}

impl Rows {
    /// Takes note of which event added what is now there.
    fn note(&mut self, change: &Change, at: usize, seq: Seq) {
        match change {
            Change::AddMessage(_) => self.messages.push(seq),
            Change::AddAction(_) => self.actions.push(seq),
            Change::RemoveMessage(_) => drop(self.messages.remove(at)),
            Change::RemoveAction(_) => drop(self.actions.remove(at)),
            Change::Clear | Change::Reset { .. } => {
                self.messages.clear();
                self.actions.clear();
            }
            Change::Create { .. }
            | Change::SetTitle(_)
            | Change::SetMetadata(_)
            | Change::EditMessage(_)
            | Change::AppendText { .. }
            | Change::EditAction(_)
            | Change::SetCreatedAt(_)
            | Change::SetExtra(_)
            | Change::SetVersion(_)
            | Change::Remove { .. } => {}
        }
    }
}
