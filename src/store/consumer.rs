//! Consumers: reading the log at least once, in order, with a place in it that outlives the reader.
//!
//! Owns what a consumer gives, what of it counts as acknowledged, and how it is told that what it counted on is gone. Where the
//! cursor is kept is the engine's.

use std::collections::VecDeque;
use std::time::Duration;

use crate::backend::cursors::{HeldCursor, cursor_at};
use crate::backend::follow::Follower;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Change, ConsumerCursor, Event, Logged, Seq};

/// After how many events that are not for it a consumer's cursor is moved on all the same.
const PASSED_OVER: u64 = 10_000;

/// A named reader of the log, whose place in it is kept.
///
/// Comes from [`MessageStore::consumer`](crate::MessageStore::consumer). It gives each event at least once, in the order of the sequence numbers. Whatever was
/// [acknowledged](Self::acknowledge) is not given again, to whichever process reads under the name next; whatever was not, is.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// use aral_store::MessageStore;
/// let store = MessageStore::open(dir.path())?;
/// store.add_message("c1", "Hi!")?;
/// let mut indexer = store.consumer("indexer")?;
/// for (seq, event) in indexer.next_batch(100)? {
///     println!("{}", event.to_json_line(seq));
///     indexer.acknowledge(seq)?;
/// }
/// drop(indexer);
/// assert!(store.consumer("indexer")?.next_batch(100)?.is_empty());
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Debug)]
pub struct Consumer {
    name: String,
    held: Box<dyn HeldCursor>,
    follower: Follower,
    cursor: ConsumerCursor,
    filter: Filter,
    /// Up to where the log has been read.
    read: ConsumerCursor,
    /// What was read and has not been given yet.
    waiting: VecDeque<(Seq, Event)>,
    /// What was given and has not been acknowledged yet.
    given: VecDeque<ConsumerCursor>,
    missed: Option<(Seq, Seq)>,
    /// Whether there was none of the name before.
    is_new: bool,
}

/// Which events a consumer gives.
#[derive(Clone, Debug, Default)]
struct Filter {
    conversations: Vec<String>,
    kinds: Vec<String>,
}

impl Filter {
    fn is_met_by(&self, event: &Event) -> bool {
        let is_in = |list: &[String], word: &str| list.is_empty() || list.iter().any(|other| other == word);
        is_in(&self.conversations, &event.conversation_id) && is_in(&self.kinds, event.change.type_name())
    }
}

/// What a consumer is told of events that are gone.
fn missed_error(name: &str, (first, last): (Seq, Seq)) -> Error {
    let which =
        if first == last { format!("event {first} is") } else { format!("events {first} to {last} are") };
    let reason = format!(
        "{which} gone, and consumer {name:?} has not acknowledged them: more was unread than is kept for consumers, or something was erased; make good for \
         them, then go on behind them with `aral-store consumers --reset {name} --from {}`",
        last + 1
    );
    Error::new(ErrorKind::Missed, reason)
}

impl Consumer {
    /// A consumer whose cursor is held, with what was read behind it.
    pub(super) fn new(
        name: &str,
        (held, follower): (Box<dyn HeldCursor>, Follower),
        (cursor, read): (ConsumerCursor, ConsumerCursor),
        waiting: Vec<(Seq, Event)>,
        missed: Option<(Seq, Seq)>,
    ) -> Self {
        let (filter, given) = (Filter::default(), VecDeque::new());
        let (name, waiting) = (name.to_owned(), waiting.into());
        Self { name, held, follower, cursor, filter, read, waiting, given, missed, is_new: false }
    }

    /// The same, of a name that there was no consumer of.
    pub(super) fn begun_now(self) -> Self {
        Self { is_new: true, ..self }
    }

    /// Gives only events of these conversations. Others count as acknowledged once all before them are. It holds for this
    /// opening and is not kept.
    #[must_use]
    pub fn conversations(mut self, ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.filter.conversations.extend(ids.into_iter().map(Into::into));
        self
    }

    /// Gives only events of these kinds, which are named as in the lines of `log --json`: `add_message`, `remove_conversation` and so on.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a word that names none. There is no consumer then, if there was none before.
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = impl Into<String>>) -> Result<Self> {
        for kind in kinds {
            let kind: String = kind.into();
            if !Change::TYPE_NAMES.contains(&&*kind) {
                let all = Change::TYPE_NAMES.join(", ");
                if self.is_new {
                    self.held.remove()?;
                }
                return Err(Error::invalid(format!("{kind:?} is no kind of event; there are {all}")));
            }
            self.filter.kinds.push(kind);
        }
        Ok(self)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything up to this event is acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> Seq {
        self.cursor.acknowledged
    }

    /// The events that are gone and were not acknowledged, once [`next_batch`](Self::next_batch) has come to them.
    #[must_use]
    pub fn missed(&self) -> Option<(Seq, Seq)> {
        self.missed
    }

    /// The next events, with their sequence numbers: at most so many, none if there are no more for now. Does not wait.
    ///
    /// Goes on behind what it gave before, acknowledged or not; what was not is given again to the next one that reads under this
    /// name. An event is given once it is visible, which may be a moment before it is durable.
    ///
    /// # Errors
    ///
    /// `Missed` where events are gone that were not acknowledged, with which ones; it goes on behind them after
    /// [`reset_consumer`](crate::MessageStore::reset_consumer). Those of [`Follower::next_logged`].
    pub fn next_batch(&mut self, most: usize) -> Result<Vec<(Seq, Event)>> {
        let mut batch = Vec::new();
        while batch.len() < most {
            if let Some((seq, event)) = self.waiting.pop_front() {
                if self.filter.is_met_by(&event) {
                    self.given.push_back(cursor_at(seq, &event));
                    batch.push((seq, event));
                }
                continue;
            }
            if self.missed.is_some() {
                break;
            }
            if self.given.is_empty() && self.read.acknowledged >= self.cursor.acknowledged + PASSED_OVER {
                self.advance(self.read)?;
            }
            match self.follower.next_logged()? {
                Some(Logged::Batch { seq, events }) => {
                    let mut last = None;
                    for (seq, event) in (seq..).zip(events).filter(|(seq, _)| *seq > self.read.acknowledged) {
                        if self.filter.is_met_by(&event) {
                            self.waiting.push_back((seq, event.clone()));
                        }
                        last = Some((seq, event));
                    }
                    if let Some((seq, event)) = last {
                        self.read = cursor_at(seq, &event);
                    }
                }
                Some(Logged::Compacted { last, .. }) if last > self.read.acknowledged => {
                    self.missed = Some((self.read.acknowledged + 1, last));
                }
                Some(Logged::Compacted { .. }) => {}
                None => break,
            }
        }
        if batch.is_empty() {
            // Nothing that was read since is for this consumer.
            if self.given.is_empty()
                && self.waiting.is_empty()
                && self.read.acknowledged > self.cursor.acknowledged
            {
                self.advance(self.read)?;
            }
            if let Some(missed) = self.missed {
                return Err(missed_error(&self.name, missed));
            }
        }
        Ok(batch)
    }

    /// Waits until there may be more, for at most so long; see [`Follower::wait`].
    pub fn wait(&mut self, limit: Duration) -> bool {
        self.follower.wait(limit)
    }

    /// Says that all that was given up to this event is done with. When this returns, that is durable, whoever wrote the events and however
    /// they were synced: nothing of it is given again. What is acknowledged already may be acknowledged once more, to no effect.
    ///
    /// # Errors
    ///
    /// `Locked` if another process has taken this consumer over, which is given again what was not acknowledged until then;
    /// `InvalidInput` for an event that was not given; those of the store, after which it may be tried again.
    pub fn acknowledge(&mut self, seq: Seq) -> Result<()> {
        if seq <= self.cursor.acknowledged {
            return Ok(());
        }
        let done = self.given.iter().take_while(|given| given.acknowledged <= seq).count();
        let newest = self.given.get(done.saturating_sub(1)).copied();
        let Some(newest) = newest.filter(|newest| done > 0 && newest.acknowledged == seq) else {
            let reason = format!(
                "event {seq} was not given to consumer {:?}, so that it cannot be acknowledged",
                self.name
            );
            return Err(Error::invalid(reason));
        };
        // What lies behind it and is not for this consumer needs no acknowledgement.
        let is_all = done == self.given.len() && self.waiting.is_empty();
        self.advance(if is_all { self.read } else { newest })?;
        self.given.drain(..done);
        Ok(())
    }

    fn advance(&mut self, cursor: ConsumerCursor) -> Result<()> {
        self.held.advance(cursor)?;
        self.cursor = cursor;
        Ok(())
    }
}
