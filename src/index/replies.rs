//! What putting text behind a message does to a conversation's lists.
//!
//! Owns the list of grown messages. Another piece of the reply that grew last costs the same however long that has become.

use super::Misfit;
use super::grown::Grown;
use super::position::{Entry, Position, hash_of};
use super::slot::{Body, Lists, Op, Slot};
use crate::codec::bytes::to_u64;
use crate::codec::ids::IdView;
use crate::codec::payload::ChangeView;

/// A message that has grown: its place, and how many bytes of text it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reply {
    pub(crate) at: usize,
    pub(crate) length: u64,
}

impl Op {
    /// What an event at a position comes to that puts text behind a message; nothing if that has no room.
    pub(super) fn piece(change: &ChangeView<'_>, position: Position) -> Option<Self> {
        let ChangeView::AppendText { at, id, offset, text } = change else { return None };
        let length = u32::try_from(offset.checked_add(to_u64(text.len()))?).ok()?;
        Some(Self::AppendText {
            at: u32::try_from(*at).ok()?,
            length,
            entry: Entry::new(position, hash_of(*id)),
        })
    }
}

impl Slot {
    /// Those among some of its entries that text was put behind.
    pub(crate) fn grown_among<'e>(&self, entries: impl IntoIterator<Item = &'e Entry>) -> Vec<Grown> {
        let Body::Loaded(lists) = &self.body else { return Vec::new() };
        if lists.grown.is_empty() {
            return Vec::new();
        }
        let grown = |entry: &Entry| lists.grown.iter().find(|grown| grown.base == entry.position()).cloned();
        entries.into_iter().filter_map(grown).collect()
    }
}

impl Lists {
    /// The message at a place, as it was written as a whole.
    fn base_at(&self, at: u64) -> Option<Entry> {
        self.messages.get(usize::try_from(at).ok()?).copied()
    }

    fn grown_from(&mut self, base: Position) -> Option<&mut Grown> {
        self.grown.iter_mut().rev().find(|grown| grown.base == base)
    }

    /// Carries an operation out that an event has come to.
    pub(super) fn take(&mut self, op: Op, change: &ChangeView<'_>) -> Result<(), Misfit> {
        let ChangeView::AppendText { at, id, offset, .. } = change else { return self.apply(op) };
        self.check_length(*at, *offset)?;
        self.apply(op)?;
        self.note_id(*at, *id);
        Ok(())
    }

    /// Puts a piece behind a message; gives whether there is one with the id at the place.
    pub(super) fn append_text(&mut self, at: u64, length: u64, piece: Entry) -> bool {
        let Some(base) = self.base_at(at).filter(|base| base.id_hash() == piece.id_hash()) else {
            return false;
        };
        if let Some(grown) = self.grown_from(base.position()) {
            grown.length = length;
            grown.pieces.push(piece);
        } else {
            self.grown.push(Grown { base: base.position(), id: None, length, pieces: vec![piece] });
        }
        true
    }

    /// Refuses a piece that does not go on where the one before it ended.
    fn check_length(&mut self, at: u64, offset: u64) -> Result<(), Misfit> {
        let base = self.base_at(at);
        match base.and_then(|base| self.grown_from(base.position())) {
            Some(grown) if grown.length != offset => {
                let length = grown.length;
                Err(Misfit(format!(
                    "an event puts text behind {offset} bytes of a message that has {length}"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Keeps the id of a message that has grown, by which the next piece finds it.
    fn note_id(&mut self, at: u64, id: IdView<'_>) {
        let base = self.base_at(at);
        if let Some(grown) = base.and_then(|base| self.grown_from(base.position()))
            && grown.id.is_none()
        {
            grown.id = Some(id.with_bytes(|id| Box::from(id)));
        }
    }

    /// Forgets the pieces of a message that is written as a whole or taken away.
    pub(super) fn forget_grown(&mut self, at: u64) {
        if let Some(base) = self.base_at(at).filter(|_| !self.grown.is_empty()) {
            self.grown.retain(|grown| grown.base != base.position());
        }
    }

    /// The message with this id that text was put behind, if that is known without looking at any message.
    pub(crate) fn reply(&self, id: &[u8]) -> Option<Reply> {
        let grown = self.grown.iter().rev().find(|grown| grown.id.as_deref() == Some(id))?;
        let hash = hash_of(IdView::Text(id));
        // Of several with one id the last is meant, which need not be the one that has grown.
        let at = self.messages.iter().rposition(|entry| entry.id_hash() == hash)?;
        let is_it = self.messages.get(at).is_some_and(|last| last.position() == grown.base);
        is_it.then_some(Reply { at, length: grown.length })
    }
}
