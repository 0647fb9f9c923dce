//! A conversation's messages one after the other, all of them or none.
//!
//! Owns how little of a conversation is held while it is printed: a short one as a whole, of a long one a message at a time.
//! All is read through once before the first message is handed out, so that what cannot be read shows before anything
//! of it is printed.

use aral_store::{Conversation, Error, ErrorKind, Message, MessageRef, MessageStore, Messages, Seq};

use crate::exit::Failure;

/// How many bytes of messages are held so that they need not be read again.
const MOST_HELD: usize = 4 << 20;

/// From how many bytes on it is asked whether there is memory for what a message takes.
const LARGE: usize = 1 << 20;

/// How often a long message is in memory while it is printed: itself, its text changed for its form, and the line made of it.
const COPIES: usize = 6;

/// A conversation whose messages have been read through.
pub(crate) struct Whole<'s> {
    store: &'s MessageStore,
    /// The number of its newest event, which tells it from one that has begun anew and has the same version by now.
    last_seq: Seq,
    /// Everything but the messages.
    pub(crate) conversation: Conversation,
    selection: Messages,
    /// How many messages were selected.
    pub(crate) count: u64,
    /// All of them, if they are few and short.
    held: Option<Vec<Message>>,
}

impl<'s> Whole<'s> {
    /// Reads the selected messages of a conversation through; `None` if there is none of this id.
    pub(crate) fn read(
        store: &'s MessageStore,
        id: &str,
        selection: Messages,
    ) -> Result<Option<Self>, Error> {
        let Some(summary) = store.summary(id)? else { return Ok(None) };
        let Some(conversation) = store.conversation_without_messages(id)? else { return Ok(None) };
        let (mut held, mut bytes, mut count) = (Vec::new(), 0_usize, 0);
        let mut room = Ok(());
        store.for_each_message(id, selection.clone(), |message| {
            count += 1;
            let length = length(&message);
            bytes = bytes.saturating_add(length);
            if bytes <= MOST_HELD {
                held.push(message.to_message());
            } else {
                held = Vec::new();
            }
            if room.is_ok() {
                room = room_for(&message, length);
            }
        })?;
        room?;
        let held = (bytes <= MOST_HELD).then_some(held);
        let whole = Self { store, last_seq: summary.last_seq, conversation, selection, count, held };
        whole.is_as_it_was()?;
        Ok(Some(whole))
    }

    /// Calls with each message.
    pub(crate) fn for_each(
        &self,
        mut each: impl FnMut(&Message) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if let Some(held) = &self.held {
            return held.iter().try_for_each(each);
        }
        let (mut done, mut count) = (Ok(()), 0);
        self.store.for_each_message(&self.conversation.id, self.selection.clone(), |message| {
            count += 1;
            if done.is_ok() {
                done = room_for(&message, length(&message)).map_err(Failure::from);
            }
            if done.is_ok() {
                done = each(&message.to_message());
            }
        })?;
        done?;
        if count != self.count {
            return Err(changed().into());
        }
        Ok(self.is_as_it_was()?)
    }

    /// Holds that nothing has happened to the conversation since it was first looked at: what was read then and what is
    /// read later must be of one moment. A reader's store does not change, unless a compaction has moved its files.
    fn is_as_it_was(&self) -> Result<(), Error> {
        let state = self.store.summary(&self.conversation.id)?.map(|now| (now.version, now.last_seq));
        if state == Some((self.conversation.version, self.last_seq)) { Ok(()) } else { Err(changed()) }
    }
}

fn changed() -> Error {
    Error::new(ErrorKind::Conflict, "the conversation was changed while it was read; try again")
}

/// About how many bytes a message takes.
fn length(message: &MessageRef<'_>) -> usize {
    let texts = [message.content.len(), message.role.len(), message.id.len()];
    let objects = [message.metadata.len(), message.extra.len()];
    texts.into_iter().chain(objects).fold(0, usize::saturating_add)
}

/// Whether there is memory for so many bytes, which are about to be asked for in a way that has no answer to a no.
pub(crate) fn has_room(bytes: usize) -> bool {
    let mut room: Vec<u8> = Vec::new();
    let has = room.try_reserve_exact(bytes).is_ok();
    // Memory that nobody looks at would not be asked for.
    std::hint::black_box(&room);
    has
}

/// Holds that there is memory to print a message.
pub(crate) fn must_fit(message: &MessageRef<'_>) -> Result<(), Error> {
    room_for(message, length(message))
}

/// The same of one whose length is known.
fn room_for(message: &MessageRef<'_>, length: usize) -> Result<(), Error> {
    room_to_print(length, || format!("message {:?}", message.id.to_text().to_string_lossy()))
}

/// Holds that there is memory for what becomes of something of this length while it is printed.
pub(crate) fn room_to_print(length: usize, what: impl FnOnce() -> String) -> Result<(), Error> {
    if length < LARGE || has_room(length.saturating_mul(COPIES)) {
        return Ok(());
    }
    let text = format!("there is no memory to print {}, of {length} bytes", what());
    Err(Error::new(ErrorKind::OutOfMemory, text))
}
