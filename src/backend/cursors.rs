//! Where the cursors of consumers are kept.
//!
//! Owns the two traits that an engine keeps for them. What a consumer does with its cursor is the same for all of them and is
//! above the engines, in `store/consumer.rs`.

use std::fmt;

use super::follow::Follower;
use crate::codec::payload::{EventView, encode_event, schema_of};
use crate::error::Result;
use crate::model::{ConsumerCursor, ConsumerStatus, Event, Seq};

/// A consumer as an engine keeps it.
#[derive(Debug)]
pub struct KeptConsumer {
    /// Its name.
    pub name: String,
    /// Its cursor, or why it cannot be read.
    pub cursor: Result<ConsumerCursor>,
    /// Who reads as this consumer at the moment, where that can be told.
    pub holder: Option<String>,
}

/// The cursors of a store's consumers.
pub trait Cursors: Send + Sync + fmt::Debug {
    /// All that there are, by their names.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    fn list(&self) -> Result<Vec<KeptConsumer>>;

    /// Reads the events from a sequence number on, with those that are kept for consumers alone.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    fn follow(&self, from: Seq) -> Result<Follower>;

    /// The oldest event that can be read so; the one behind the newest if none can.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    fn first_kept(&self) -> Result<Seq>;

    /// Takes a consumer for oneself.
    ///
    /// # Errors
    ///
    /// `Locked`, with who has it, if somebody else does.
    fn hold(&self, name: &str) -> Result<Box<dyn HeldCursor>>;
}

/// A cursor that is somebody's to move.
pub trait HeldCursor: Send + fmt::Debug {
    /// What is kept; `None` if there is no consumer of that name.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it cannot be read; `Conflict` if it counts the events of another store.
    fn read(&mut self) -> Result<Option<ConsumerCursor>>;

    /// Replaces it, whatever it was. When this returns, it is durable, and so is every event up to there. From then on nobody who
    /// held it before can move it.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    fn claim(&mut self, cursor: ConsumerCursor) -> Result<()>;

    /// Moves what was claimed. When this returns, it is durable, and so is every event up to there.
    ///
    /// # Errors
    ///
    /// `Locked` if somebody else has claimed it since.
    fn advance(&mut self, cursor: ConsumerCursor) -> Result<()>;

    /// Removes the consumer.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none.
    fn remove(&mut self) -> Result<()>;
}

/// The cursor of a consumer that has acknowledged everything up to this event.
pub(crate) fn cursor_at(seq: Seq, event: &Event) -> ConsumerCursor {
    let mut bytes = Vec::new();
    let length = encode_event(&EventView::of(event, 0), &mut bytes);
    ConsumerCursor::new(seq, length.map(|_| (schema_of(&event.change), crc32fast::hash(&bytes))))
}

/// How far a consumer has come in a log that has these events.
pub(crate) fn status(kept: KeptConsumer, first: Seq, last: Seq) -> ConsumerStatus {
    let mut status = ConsumerStatus { name: kept.name, holder: kept.holder, ..ConsumerStatus::default() };
    match kept.cursor {
        Ok(cursor) => {
            status.acknowledged = cursor.acknowledged;
            status.lag = last.saturating_sub(cursor.acknowledged);
            let next = cursor.acknowledged + 1;
            status.missed = (next < first).then(|| (next, first - 1));
            status.error = (cursor.acknowledged > last).then(|| {
                format!("it is ahead of the log, whose newest event is {last}: an older state of the store has been put back")
            });
        }
        Err(error) => status.error = Some(error.to_string()),
    }
    status
}

/// How far all consumers have come in a log that ends with this event.
pub(crate) fn statuses(cursors: &dyn Cursors, last: &dyn Fn() -> Result<Seq>) -> Result<Vec<ConsumerStatus>> {
    let kept = cursors.list()?;
    if kept.is_empty() {
        return Ok(Vec::new());
    }
    let (first, last) = (cursors.first_kept()?, last()?);
    Ok(kept.into_iter().map(|kept| status(kept, first, last)).collect())
}
