//! The store that is copied into.
//!
//! Owns the grouping of events into batches, and the condition that nobody else writes meanwhile: the numbers follow on.

use crate::backend::Backend;
use crate::codec::bytes::to_u64;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Action, Change, CopyMark, Event, MAX_BATCH_EVENTS, Message, Seq};

/// How many events one batch takes, and how many bytes, unless what belongs together is more.
const MOST_EVENTS: usize = 1000;
const MOST_BYTES: usize = 4 << 20;

/// Events on their way into a store.
pub(super) struct Target<'t> {
    store: &'t dyn Backend,
    waiting: Vec<Event>,
    bytes: usize,
    last_seq: Seq,
    written: u64,
    is_shared: bool,
}

impl<'t> Target<'t> {
    /// A store whose newest event is this one.
    pub(super) fn new(store: &'t dyn Backend, last_seq: Seq) -> Self {
        Self { store, waiting: Vec::new(), bytes: 0, last_seq, written: 0, is_shared: false }
    }

    pub(super) fn store(&self) -> &'t dyn Backend {
        self.store
    }

    /// Its newest event.
    pub(super) fn last_seq(&self) -> Seq {
        self.last_seq
    }

    /// How many events were written.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether somebody else was found to write to it.
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Gives up what waits.
    pub(super) fn forget_waiting(&mut self) {
        self.waiting.clear();
        self.bytes = 0;
    }

    /// Takes events that belong together: all of them are there, or none.
    pub(super) fn take(&mut self, events: Vec<Event>) -> Result<()> {
        let bytes = events.iter().map(weight).fold(0, usize::saturating_add);
        let has_room = self.waiting.len().saturating_add(events.len()) <= MOST_EVENTS
            && self.bytes.saturating_add(bytes) <= MOST_BYTES;
        if !has_room {
            self.flush()?;
        }
        if events.len() > MAX_BATCH_EVENTS {
            let reason = format!(
                "{} changes belong together, and a batch takes {MAX_BATCH_EVENTS}; begin a new copy elsewhere",
                events.len()
            );
            return Err(Error::new(ErrorKind::Conflict, reason));
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.waiting.extend(events);
        Ok(())
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let events = std::mem::take(&mut self.waiting);
        self.bytes = 0;
        let count = to_u64(events.len());
        if let Err(error) = self.replay(events) {
            if error.kind() != ErrorKind::Conflict || self.store.stats()?.last_seq == self.last_seq {
                return Err(error);
            }
            self.is_shared = true;
            let reason = "somebody else is writing to what is copied into, perhaps another copy; this one has stopped before it \
                          wrote anything twice: begin it again once the other one has ended";
            return Err(Error::new(ErrorKind::Conflict, reason));
        }
        self.last_seq += count;
        self.written += count;
        Ok(())
    }

    /// Carries events out. A directory forgets keys and lets them be used again, which others refuse; then what used them
    /// comes over without.
    fn replay(&self, events: Vec<Event>) -> Result<()> {
        let first_seq = self.last_seq + 1;
        if self.store.keeps_every_event() && events.iter().any(|event| event.key.is_some()) {
            return match self.store.replay(events.clone(), first_seq) {
                Err(error) if is_about_keys(&error) => self.store.replay(without_keys(events), first_seq),
                done => done,
            };
        }
        self.store.replay(events, first_seq)
    }
}

/// Makes what was written durable, and then the mark that says so.
pub(super) fn leave_mark(target: &Target<'_>, mark: &CopyMark) -> Result<()> {
    // Order: what was written first. Reversed, the mark could speak of what a power cut has taken away.
    target.store().sync()?;
    if target.store().copied_from()?.as_ref() == Some(mark) {
        return Ok(());
    }
    target.store().set_copied_from(mark)
}

/// What is to be copied into is not what a copy may change.
pub(super) fn no_copy(reason: &str) -> Error {
    let reason = format!(
        "what is to be copied into is neither empty nor an earlier copy, or was changed since: {reason}; nothing was written: \
         name an empty store"
    );
    Error::new(ErrorKind::Conflict, reason)
}

fn is_about_keys(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::InvalidInput)
}

fn without_keys(events: Vec<Event>) -> Vec<Event> {
    events.into_iter().map(|event| Event { key: None, fingerprint: 0, ..event }).collect()
}

/// About how many bytes an event takes.
fn weight(event: &Event) -> usize {
    const FIXED: usize = 256;
    let own = match &event.change {
        Change::Create { title, metadata, extra, .. } | Change::Reset { title, metadata, extra, .. } => {
            title.len() + metadata.as_json().len() + extra.as_json().len()
        }
        Change::AddMessage(message) | Change::EditMessage(message) => weight_of_message(message),
        Change::AddAction(action) | Change::EditAction(action) => weight_of_action(action),
        Change::AppendText { message_id, text, .. } => message_id.len() + text.len(),
        Change::SetTitle(text) | Change::RemoveMessage(text) | Change::RemoveAction(text) => text.len(),
        Change::SetMetadata(object) | Change::SetExtra(object) => object.as_json().len(),
        Change::Clear | Change::Remove { .. } | Change::SetCreatedAt(_) | Change::SetVersion(_) => 0,
    };
    own + event.conversation_id.len() + FIXED
}

fn weight_of_message(message: &Message) -> usize {
    let texts = message.id.len() + message.content.len() + message.role.len();
    texts + message.metadata.as_json().len() + message.extra.as_json().len()
}

fn weight_of_action(action: &Action) -> usize {
    let texts = action.id.len() + action.action_type.len() + action.data.as_json().len();
    texts + action.metadata.as_json().len() + action.extra.as_json().len()
}
