//! The seam between the handle and whatever keeps the conversations.
//!
//! Owns the contract that every backend keeps; `tests/suite/contract.rs` holds each of them to it.

mod answers;
#[cfg(feature = "cloud")]
pub(crate) mod cloud;
pub(crate) mod copy;
pub(crate) mod cursors;
#[cfg(any(test, feature = "sqlite", feature = "postgres", feature = "journal"))]
pub(crate) mod deadline;
pub(crate) mod directory;
mod erasing;
mod export;
#[cfg(feature = "firestore")]
pub(crate) mod firestore;
pub(crate) mod follow;
#[cfg(any(test, feature = "journal"))]
pub(crate) mod journal;
mod listing;
pub(crate) mod locked;
pub(crate) mod memory;
#[cfg(feature = "mongodb")]
pub(crate) mod mongodb;
mod open_replies;
#[cfg(feature = "journal")]
pub(crate) mod pauses;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(any(test, feature = "sqlite", feature = "postgres", feature = "journal"))]
pub(crate) mod queue;
mod remnants;
#[cfg(any(feature = "journal", feature = "postgres"))]
pub(crate) mod runtime;
mod scan;
pub(crate) mod settings;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) mod sql;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

use std::fmt;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Action, CompactionReport, Conversation, Conversations, CopyMark, Event, ExportReport, Found, History,
    Keep, KeptHistory, Message, MessageRef, Messages, Mutation, OpenReply, Order, Receipt, RecoveryReport,
    Search, Seq, Stats, Summary, TextRef, Tombstone, VerifyReport,
};
use cursors::Cursors;
use follow::Follower;
use listing::list_behind;

pub(crate) use answers::{carried_out_before, closed, no_conversation};
pub use erasing::{Erasing, Where};
pub(crate) use listing::no_place;

/// What keeps conversations: memory, a directory, or, one day, a database or an object store.
///
/// Implementations are shared between threads and keep these promises:
///
/// - [`append`](Backend::append) is atomic: all mutations happen or none. It returns once the events have
///   reached what the backend's settings call for, and events become visible in the order of their sequence
///   numbers, whole batches at a time.
/// - Reads see whole batches, never wait for a sync, and never go back in time within one handle.
/// - A mutation is refused only for what can be read by then: who is told of a conflict finds what it is with.
/// - What cannot be read is an error for the conversation it concerns, and for no other.
pub trait Backend: Send + Sync + fmt::Debug {
    /// Carries a batch out as one, and returns a receipt for each mutation.
    ///
    /// # Errors
    ///
    /// Those of [`MessageStore::batch`](crate::MessageStore::batch).
    fn append(&self, batch: Vec<Mutation>) -> Result<Vec<Receipt>>;

    /// Carries one mutation out, as a batch of one.
    ///
    /// # Errors
    ///
    /// Those of [`MessageStore::append`](crate::MessageStore::append).
    fn append_one(&self, mutation: Mutation) -> Result<Receipt> {
        let receipt = self.append(vec![mutation])?.into_iter().next();
        receipt.ok_or_else(|| Error::new(ErrorKind::Failed, "the backend returned no receipt"))
    }

    /// A conversation with everything in it; `None` if there is none.
    ///
    /// # Errors
    ///
    /// `Corrupt` if what is kept of it cannot be read.
    fn conversation(&self, id: &str) -> Result<Option<Conversation>>;

    /// A conversation with everything in it but its messages; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Those of [`conversation`](Backend::conversation).
    fn conversation_without_messages(&self, id: &str) -> Result<Option<Conversation>> {
        Ok(self.conversation(id)?.map(|conversation| Conversation { messages: Vec::new(), ..conversation }))
    }

    /// What a list shows of a conversation; `None` if there is none.
    ///
    /// # Errors
    ///
    /// `Corrupt` if what is kept of it cannot be read.
    fn summary(&self, id: &str) -> Result<Option<Summary>>;

    /// What a list shows, at most `limit` conversations of it. Damaged ones are not among them; see [`recovery`](Backend::recovery).
    ///
    /// # Errors
    ///
    /// Those of the backend.
    fn conversations(&self, order: Order, limit: Option<usize>) -> Result<Vec<Summary>>;

    /// The part of that list which a selection means.
    ///
    /// # Errors
    ///
    /// Those of the backend; `NotFound` for a place in the list that is not there.
    fn list(&self, selection: &Conversations) -> Result<Vec<Summary>> {
        match &selection.after {
            None => self.conversations(selection.order, selection.limit),
            Some(after) => list_behind(self.conversations(selection.order, None)?, selection, after),
        }
    }

    /// A selection of a conversation's messages, oldest first.
    ///
    /// # Errors
    ///
    /// `NotFound` for a conversation or a cursor that is not there; `Corrupt`.
    fn messages(&self, id: &str, selection: &Messages) -> Result<Vec<Message>>;

    /// The last message of a conversation that has this id; `None` if there is none.
    ///
    /// # Errors
    ///
    /// `Corrupt` if what is kept of it cannot be read.
    fn message(&self, id: &str, message_id: TextRef<'_>) -> Result<Option<Message>> {
        let conversation = self.conversation(id)?;
        let messages = conversation.map(|conversation| conversation.messages).unwrap_or_default();
        Ok(messages.into_iter().rev().find(|message| message_id == message.id))
    }

    /// Lends a selection of a conversation's messages, oldest first, with no lock held that another call needs.
    ///
    /// # Errors
    ///
    /// Those of [`messages`](Backend::messages), after none of the messages or after some; `Conflict` if the rest is no longer there as it was.
    fn for_each_message(
        &self,
        id: &str,
        selection: &Messages,
        each: &mut dyn FnMut(MessageRef<'_>),
    ) -> Result<()> {
        self.messages(id, selection)?.iter().for_each(|message| each(MessageRef::from(message)));
        Ok(())
    }

    /// The messages that a search finds, in its order; see [`MessageStore::search`](crate::MessageStore::search).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a query that is empty or malformed; `NotFound` for a conversation that is not there; `Corrupt`.
    fn search(&self, search: &Search) -> Result<Vec<Found>> {
        scan::scan(self, search)
    }

    /// The replies that are begun and not finished, of a conversation or of all of them; none where there is no such conversation.
    ///
    /// # Errors
    ///
    /// `Corrupt` if what is kept of a conversation cannot be read.
    fn open_replies(&self, id: Option<&str>) -> Result<Vec<OpenReply>> {
        open_replies::scan(self, id)
    }

    /// A conversation's actions, oldest first.
    ///
    /// # Errors
    ///
    /// `NotFound` for a conversation that is not there; `Corrupt`.
    fn actions(&self, id: &str) -> Result<Vec<Action>>;

    /// What is remembered of a conversation that was removed and has not begun again; `None` also where nothing of the kind is remembered.
    ///
    /// # Errors
    ///
    /// Those of the backend.
    fn removed(&self, id: &str) -> Result<Option<Tombstone>> {
        let _ = id;
        Ok(None)
    }

    /// What is remembered of all of them, at most of the newest 100,000, newest first.
    ///
    /// # Errors
    ///
    /// Those of the backend.
    fn tombstones(&self) -> Result<Vec<Tombstone>> {
        Ok(Vec::new())
    }

    /// Makes everything accepted so far as durable as the backend can.
    ///
    /// # Errors
    ///
    /// `Failed` from then on, if it could not.
    fn sync(&self) -> Result<()>;

    /// What opening it found.
    fn recovery(&self) -> RecoveryReport {
        RecoveryReport::default()
    }

    /// Goes over to the newest state, where a handle shows an older one, and gives the newest event that it shows.
    ///
    /// # Errors
    ///
    /// Those of an opening; what was shown before is shown on then.
    fn refresh(&self) -> Result<Seq> {
        Ok(self.stats()?.last_seq)
    }

    /// How large it is.
    ///
    /// # Errors
    ///
    /// Those of the backend.
    fn stats(&self) -> Result<Stats>;

    /// Brings what is kept for reading up to date and drops what that makes superfluous.
    ///
    /// # Errors
    ///
    /// `Unsupported` where there is nothing of the kind.
    fn compact(&self) -> Result<CompactionReport> {
        Err(Error::new(ErrorKind::Unsupported, "this backend keeps no snapshot"))
    }

    /// Takes what is kept of a conversation as it is, although it was changed by something else than the store; `None` if it was not.
    ///
    /// # Errors
    ///
    /// Those of [`MessageStore::accept`](crate::MessageStore::accept); `Unsupported` where nothing else can change anything.
    fn accept(&self, id: &str) -> Result<Option<Receipt>> {
        let _ = id;
        Err(Error::new(
            ErrorKind::Unsupported,
            "this backend keeps no files that something else could change",
        ))
    }

    /// Reads everything and says what is wrong with it.
    ///
    /// # Errors
    ///
    /// `Unsupported` where there is nothing to read.
    fn verify(&self) -> Result<VerifyReport> {
        Err(Error::new(ErrorKind::Unsupported, "this backend keeps no files"))
    }

    /// Writes conversations, all of them or these, in the original's layout into a new or empty directory.
    ///
    /// # Errors
    ///
    /// Those of [`MessageStore::export_aral`](crate::MessageStore::export_aral).
    fn export_aral(&self, to: &Path, ids: Option<&[String]>) -> Result<ExportReport>;

    /// The events from a sequence number on that are still kept one by one, each batch whole, and the sequence number of the first.
    ///
    /// # Errors
    ///
    /// `Unsupported` where events are not kept.
    fn events(&self, from: Seq) -> Result<Vec<(Seq, Vec<Event>)>> {
        let _ = from;
        Err(Error::new(ErrorKind::Unsupported, "this backend keeps no events"))
    }

    /// What is kept of one conversation's past, up to its newest event that is visible. Whoever keeps every event gives every one, and `whole_from` as 0.
    ///
    /// # Errors
    ///
    /// `Unsupported` where events are not kept; `Corrupt` if what is kept of it cannot be read.
    fn history(&self, id: &str) -> Result<History> {
        let _ = id;
        Err(Error::new(ErrorKind::Unsupported, "this backend keeps nothing of what a conversation was"))
    }

    /// How much of its history it keeps.
    ///
    /// # Errors
    ///
    /// `Unsupported` where events are not kept.
    fn kept_history(&self) -> Result<KeptHistory> {
        if self.keeps_every_event() {
            return Ok(KeptHistory::from_event(Keep::Everything, 1));
        }
        Err(Error::new(ErrorKind::Unsupported, "this backend keeps nothing of what a conversation was"))
    }

    /// Chooses how much that is from now on, for good. What is not to be kept is dropped.
    ///
    /// # Errors
    ///
    /// `Unsupported` where there is no choice.
    fn keep_history(&self, keep: Keep) -> Result<KeptHistory> {
        let what = if self.keeps_every_event() { "every event, whatever is asked for" } else { "no events" };
        Err(Error::new(ErrorKind::Unsupported, format!("this backend keeps {what}: {keep}")))
    }

    /// Reads the events from a sequence number on, and goes on with what is appended later.
    ///
    /// # Errors
    ///
    /// `Unsupported` where events are not kept.
    fn follow(&self, from: Seq) -> Result<Follower> {
        let _ = from;
        Err(Error::new(ErrorKind::Unsupported, "this backend keeps no events"))
    }

    /// Where the cursors of consumers are kept.
    ///
    /// # Errors
    ///
    /// `Unsupported` if nowhere.
    fn cursors(&self) -> Result<Box<dyn Cursors + '_>> {
        Err(answers::no_consumers())
    }

    /// What it can erase with.
    ///
    /// # Errors
    ///
    /// `Unsupported` where nobody could prove that nothing is left.
    fn erasing(&self) -> Result<&dyn Erasing> {
        Err(erasing::unsupported())
    }

    /// Carries events of another store out as they are, all of them or none, the first of them as the event with this number.
    ///
    /// # Errors
    ///
    /// Those of [`append`](Backend::append); `Conflict` if another number is the next one; `Unsupported` where nothing can be copied into.
    fn replay(&self, events: Vec<Event>, first_seq: Seq) -> Result<()> {
        let _ = (events, first_seq);
        Err(Error::new(ErrorKind::Unsupported, "this backend takes no copies"))
    }

    /// Whether [`follow`](Backend::follow) gives every event that there ever was, for good.
    fn keeps_every_event(&self) -> bool {
        false
    }

    /// What tells the store from every other one; `None` if nothing does yet.
    ///
    /// # Errors
    ///
    /// Those of the backend.
    fn identity(&self) -> Result<Option<String>> {
        Ok(None)
    }

    /// What is remembered of the store that this one was copied from.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it cannot be read.
    fn copied_from(&self) -> Result<Option<CopyMark>> {
        Ok(None)
    }

    /// Remembers the store that this one was copied from. When this returns, it is durable.
    ///
    /// # Errors
    ///
    /// Those of the backend.
    fn set_copied_from(&self, mark: &CopyMark) -> Result<()> {
        let _ = mark;
        Ok(())
    }

    /// One opening of it is given up; the last one may end it.
    ///
    /// # Errors
    ///
    /// What went wrong if it ended.
    fn leave(&self) -> Result<()> {
        Ok(())
    }

    /// Ends it: what is accepted is made durable, later calls are refused.
    ///
    /// # Errors
    ///
    /// What went wrong; it is closed all the same.
    fn close(&self) -> Result<()>;
}
