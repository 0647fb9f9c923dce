//! A conversation's messages, a few at a time.
//!
//! Owns how many are held. So a long conversation takes no more memory than a short one.

use std::collections::VecDeque;

use crate::backend::Backend;
use crate::codec::bytes::to_u64;
use crate::error::Result;
use crate::model::{Message, Messages};

/// How many messages are read at once.
const PAGE: usize = 64;

/// The messages of a conversation one after the other.
pub(super) struct Pages<'p> {
    /// Absent where all of them are held.
    store: Option<(&'p dyn Backend, &'p str)>,
    held: VecDeque<Message>,
    next: u64,
    end: u64,
}

impl<'p> Pages<'p> {
    /// Those from one place on and before another one.
    pub(super) fn of(store: &'p dyn Backend, id: &'p str, places: std::ops::Range<u64>) -> Self {
        Self { store: Some((store, id)), held: VecDeque::new(), next: places.start, end: places.end }
    }

    /// Messages that are in memory.
    pub(super) fn held(messages: Vec<Message>) -> Self {
        Self { store: None, held: messages.into(), next: 0, end: 0 }
    }

    pub(super) fn next(&mut self) -> Result<Option<Message>> {
        if let Some((store, id)) = self.store.filter(|_| self.held.is_empty() && self.next < self.end) {
            let count = usize::try_from(self.end - self.next).unwrap_or(PAGE).min(PAGE);
            self.held = store.messages(id, &Messages::first(count).from_place(self.next))?.into();
            self.next += to_u64(self.held.len());
            if self.held.is_empty() {
                self.end = self.next;
            }
        }
        Ok(self.held.pop_front())
    }
}
