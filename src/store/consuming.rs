//! Opening consumers, and looking after those that there are.
//!
//! Owns where one begins, and the proof that the log is the one that its cursor counts.

use std::time::Duration;

use super::consumer::Consumer;
use super::handle::MessageStore;
use crate::backend::cursors::{HeldCursor, cursor_at, statuses};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Begin, ConsumerCursor, ConsumerStatus, Logged, Seq, is_consumer_name};

/// How often an event that should be there is looked for: another process may just be making it visible.
const LOOKS: u32 = 5;

fn check_name(name: &str) -> Result<()> {
    if is_consumer_name(name) {
        return Ok(());
    }
    let reason = format!(
        "{name:?} is no name for a consumer: it takes up to 64 small letters, digits, - and _, and begins with a letter or a digit"
    );
    Err(Error::invalid(reason))
}

impl MessageStore {
    /// Reads the log as the consumer of this name, from behind what it has acknowledged. A new one begins with the oldest event that
    /// the log still has.
    ///
    /// Of a directory, a handle that is [open for reading](crate::Options::read_only) can consume too, beside the process that writes: the cursor
    /// is no part of the conversations. It needs a user who may write to `log/consumers/`. A store in a database or a bucket is opened for writing for it.
    /// What compactions cover and a consumer has not read is kept for it, in so many bytes as
    /// [`keep_unread`](crate::Options::keep_unread) says.
    ///
    /// # Errors
    ///
    /// `Locked`, naming who it is, if somebody else reads under this name; `InvalidInput` for a name that is none; `Conflict` if it has
    /// acknowledged what the log does not have, because an older state of the store was put back; `ReadOnly` if the
    /// cursor cannot be kept; `Corrupt` if it is damaged; `Unsupported` where events or cursors are not kept.
    pub fn consumer(&self, name: &str) -> Result<Consumer> {
        self.consumer_from(name, Begin::Start)
    }

    /// The same, and says where one begins that is new. One that is there goes on where it is.
    ///
    /// # Errors
    ///
    /// Those of [`consumer`](Self::consumer); `InvalidInput` for a number that the log has not come to, and `Missed` for one that it does
    /// not have any more, if the consumer is new.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::{Begin, MessageStore};
    /// let store = MessageStore::open(dir.path())?;
    /// store.add_message("c1", "before")?;
    /// let mut consumer = store.consumer_from("mailer", Begin::Now)?;
    /// store.add_message("c1", "after")?;
    /// assert_eq!(consumer.next_batch(10)?[0].0, 2);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn consumer_from(&self, name: &str, begin: Begin) -> Result<Consumer> {
        check_name(name)?;
        let mut held = self.backend().cursors()?.hold(name)?;
        match held.read()? {
            Some(cursor) => self.open_at(name, held, cursor),
            None => self.begin(name, held, begin).map(Consumer::begun_now),
        }
    }

    /// Puts a consumer somewhere else, or begins a new one there: also one that has missed events, or has acknowledged more than there
    /// is, or whose cursor is damaged. Gives how far it counts as having acknowledged then.
    ///
    /// # Errors
    ///
    /// `Locked` if somebody reads under this name; those of [`consumer_from`](Self::consumer_from) for a new one.
    pub fn reset_consumer(&self, name: &str, begin: Begin) -> Result<Seq> {
        check_name(name)?;
        let held = self.backend().cursors()?.hold(name)?;
        Ok(self.begin(name, held, begin)?.acknowledged())
    }

    /// Removes a consumer. What was kept for it alone goes with the next compaction.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none of that name; `Locked` if somebody reads under it.
    pub fn remove_consumer(&self, name: &str) -> Result<()> {
        check_name(name)?;
        let cursors = self.backend().cursors()?;
        if !cursors.list()?.iter().any(|kept| kept.name == name) {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no consumer {name:?}")));
        }
        cursors.hold(name)?.remove()
    }

    /// The consumers that there are, and how far each has come.
    ///
    /// # Errors
    ///
    /// `Unsupported` where events or cursors are not kept; those of the store.
    pub fn consumers(&self) -> Result<Vec<ConsumerStatus>> {
        let cursors = self.backend().cursors()?;
        statuses(&*cursors, &|| self.backend().refresh())
    }

    /// Begins a consumer, or begins one anew.
    fn begin(&self, name: &str, mut held: Box<dyn HeldCursor>, begin: Begin) -> Result<Consumer> {
        let backend = self.backend();
        let last = backend.refresh()?;
        let first = backend.cursors()?.first_kept()?;
        if let Begin::At(seq) = begin {
            if seq == 0 || seq > last + 1 {
                return Err(Error::invalid(format!(
                    "the log has not come to event {seq}; its newest one is {last}"
                )));
            }
            if seq < first {
                let reason = format!(
                    "no consumer can begin with event {seq}: the oldest that the log has is {first}; begin with that, as with `--from start`"
                );
                return Err(Error::new(ErrorKind::Missed, reason));
            }
        }
        // Order: claim what is to be kept, and only then look where the log is. A compaction that has looked at the cursors before
        // covers nothing that was appended since, so that nothing from here on can be gone.
        held.claim(ConsumerCursor::new(first.saturating_sub(1).min(last), None))?;
        let acknowledged = match begin {
            Begin::Start => backend.cursors()?.first_kept()?.saturating_sub(1),
            Begin::Now => backend.refresh()?,
            Begin::At(seq) => seq - 1,
        };
        let cursor = self.mark_at(acknowledged)?;
        self.open_at(name, held, cursor)
    }

    /// The cursor of a consumer that has acknowledged everything up to an event, which need not be there any more.
    fn mark_at(&self, seq: Seq) -> Result<ConsumerCursor> {
        let none = ConsumerCursor::new(seq, None);
        if seq == 0 {
            return Ok(none);
        }
        match self.backend().cursors()?.follow(seq)?.next_logged()? {
            Some(Logged::Batch { seq: first, events }) => {
                let found = (first..).zip(&events).find(|(other, _)| *other == seq);
                Ok(found.map_or(none, |(seq, event)| cursor_at(seq, event)))
            }
            Some(Logged::Compacted { .. }) | None => Ok(none),
        }
    }

    /// Opens a consumer that has acknowledged everything up to there, and makes it one's own.
    fn open_at(&self, name: &str, mut held: Box<dyn HeldCursor>, cursor: ConsumerCursor) -> Result<Consumer> {
        let mut follower = self.backend().cursors()?.follow(cursor.acknowledged.max(1))?;
        let (mut waiting, mut missed, mut read) = (Vec::new(), None, cursor);
        if cursor.acknowledged > 0 {
            let mut looks = 0;
            let logged = loop {
                match follower.next_logged()? {
                    None if looks < LOOKS => follower.wait(Duration::from_millis(20)),
                    logged => break logged,
                };
                looks += 1;
            };
            match logged {
                Some(Logged::Batch { seq, events }) => {
                    for (seq, event) in (seq..).zip(events) {
                        let mark = cursor_at(seq, &event);
                        if seq == cursor.acknowledged && !is_same(mark, cursor) {
                            return Err(gone_on_without(name, seq));
                        }
                        if seq > cursor.acknowledged {
                            read = mark;
                            waiting.push((seq, event));
                        }
                    }
                }
                Some(Logged::Compacted { last, .. }) if last > cursor.acknowledged => {
                    missed = Some((cursor.acknowledged + 1, last));
                }
                Some(Logged::Compacted { .. }) => {}
                None => return Err(ahead(name, cursor.acknowledged, self.backend().refresh()?)),
            }
        }
        held.claim(cursor)?;
        Ok(Consumer::new(name, (held, follower), (cursor, read), waiting, missed))
    }
}

/// Whether two marks can be of the same event.
fn is_same(mark: ConsumerCursor, other: ConsumerCursor) -> bool {
    mark.event.is_none() || other.event.is_none() || mark.event == other.event
}

const AGAIN: &str = "an older state of the store has been put back, or events that were never durable were lost; say where it is to go \
                     on with `aral-store consumers --reset";

fn ahead(name: &str, acknowledged: Seq, last: Seq) -> Error {
    let reason = format!(
        "consumer {name:?} has acknowledged event {acknowledged}, and the newest of the log is {last}: {AGAIN} {name} --from \
         start|now|SEQ`"
    );
    Error::new(ErrorKind::Conflict, reason)
}

fn gone_on_without(name: &str, seq: Seq) -> Error {
    let reason = format!(
        "consumer {name:?} has acknowledged another event {seq} than the one that the log has: {AGAIN} {name} --from start|now|SEQ`"
    );
    Error::new(ErrorKind::Conflict, reason)
}
