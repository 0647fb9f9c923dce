//! A damaged database as a store to copy from.
//!
//! Owns the choice between the events and the tables. A conversation whose events lead to the very version that its row has is as they say;
//! of any other, some events are lost, and the tables say what those led to, as far as they can be read. Nothing is written to it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::columns::{corrupt, number_at};
use super::connection::{Connection, Connector, Dialect, Value, placed};
use super::events::{each_of, with_event};
use super::fold::Fold;
use super::pieces::Pieces;
use super::readable::readable;
use super::remains::{self, Remains, loss};
use super::verify;
use crate::backend::follow::Follower;
use crate::backend::{Backend, no_conversation};
use crate::codec::bytes::to_u64;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Action, Conversation, ExportReport, Logged, Message, Messages, Mutation, Order, Receipt, RepairReport,
    Seq, Stats, Summary, Tombstone, activity_key,
};
use crate::rules::{Folded, select};

/// How many events with keys are read at once.
const AT_ONCE: usize = 256;

/// Where a conversation is from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum From {
    Events,
    /// The tables, where its rows have this number.
    Rows(Seq),
}

/// A conversation that is saved.
struct Saved {
    summary: Summary,
    from: From,
    /// The place in the order of creation.
    number: Seq,
}

/// A damaged database as a store to copy from.
pub(crate) struct Salvaged {
    place: PathBuf,
    connection: Arc<Mutex<Box<dyn Connection>>>,
    remains: Remains,
    /// In the order in which they were created.
    saved: Vec<Saved>,
    at: HashMap<String, usize>,
    /// The newest first.
    removed: Vec<Tombstone>,
    /// The one that was asked for last.
    loaded: Mutex<Option<Arc<Conversation>>>,
}

impl fmt::Debug for Salvaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Salvaged").field("place", &self.place).finish_non_exhaustive()
    }
}

fn locked<T: ?Sized>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Salvaged {
    /// Reads what can be read of a database.
    pub(crate) fn open(connector: &dyn Connector) -> Result<Self> {
        let place = connector.place();
        Self::read(connector, place).map_err(|error| placed(error, place))
    }

    fn read(connector: &dyn Connector, place: &Path) -> Result<Self> {
        let mut connection = connector.connect_to_damaged()?;
        connection.begin_read()?;
        let mut remains = remains::read(&mut *connection, connector.dialect(), place)?;
        if remains.is_whole {
            compare(&mut *connection, connector.dialect(), &mut remains)?;
        }
        let mut salvaged = Self {
            place: place.to_owned(),
            connection: Arc::new(Mutex::new(connection)),
            remains,
            saved: Vec::new(),
            at: HashMap::new(),
            removed: Vec::new(),
            loaded: Mutex::default(),
        };
        salvaged.choose()?;
        Ok(salvaged)
    }

    /// What is not saved, or not as it was, and what is worth knowing.
    pub(crate) fn report(&self) -> RepairReport {
        RepairReport {
            events: self.remains.outline.events,
            lost: self.remains.lost.clone(),
            notes: self.remains.notes.clone(),
            ..RepairReport::default()
        }
    }

    /// Chooses for each conversation where it is from.
    fn choose(&mut self) -> Result<()> {
        let shared = Arc::clone(&self.connection);
        let mut connection = locked(&shared);
        let connection = &mut **connection;
        let mut removed =
            if self.remains.is_whole { BTreeMap::new() } else { self.remains.tombstones.clone() };
        for (id, number) in self.remains.numbers() {
            self.one(connection, &id, number, &mut removed)?;
        }
        self.saved.sort_by_key(|saved| saved.number);
        self.at = self.saved.iter().zip(0..).map(|(saved, at)| (saved.summary.id.clone(), at)).collect();
        self.removed =
            removed.into_values().filter(|tombstone| !self.at.contains_key(&tombstone.id)).collect();
        self.removed.sort_by_key(|tombstone| std::cmp::Reverse(tombstone.seq));
        Ok(())
    }

    /// Chooses where one is from, if it is there at all.
    fn one(
        &mut self,
        connection: &mut dyn Connection,
        id: &str,
        number: Option<Seq>,
        removed: &mut BTreeMap<String, Tombstone>,
    ) -> Result<()> {
        let events = self.remains.outline.events_of(id);
        let mut fold = Fold::of(connection, &events)?;
        let of_events = fold.conversations.remove(id);
        let told = fold.removed.remove(id);
        if let Some(rows) = of_events
            && (self.remains.is_whole || is_as_its_row(connection, rows.number, &rows.folded)?)
        {
            let (summary, number) = (rows.folded.summary(), rows.number);
            self.saved.push(Saved { summary, from: From::Events, number });
            return Ok(());
        }
        if let Some(reason) = fold.broken.get(id).filter(|_| self.remains.is_whole) {
            self.remains.lost.push(loss(&self.place, Some(id), None, format!("aral_events: {reason}")));
        }
        let is_there = !self.remains.is_whole && self.remains.heads.contains_key(id);
        let buried = removed.get(id).map(|tombstone| tombstone.seq);
        if !is_there
            && (told.is_some() || buried.is_some() && number.is_none_or(|number| buried > Some(number)))
        {
            if let Some(told) = told.filter(|told| buried.is_none_or(|seq| seq <= told.seq)) {
                removed.insert(id.to_owned(), told);
            }
            return Ok(());
        }
        let Some(number) = number.or_else(|| events.first().copied()) else { return Ok(()) };
        let (remains, place) = (&self.remains, &*self.place);
        let mut pieces = Pieces { remains, place, id, number, lost: Vec::new() };
        let folded = pieces.together(connection)?;
        let lost = pieces.lost;
        let words = if id == format!("recovered-{number}") && events.is_empty() && !is_there {
            "its id is lost, and this is one in its place: what is in it is as the tables say, which nothing proves"
        } else {
            "it is as the tables say, which nothing proves, since events are lost that may have been of it"
        };
        self.remains.notes.push(format!("conversation {id:?}: {words}"));
        self.remains.lost.extend(lost);
        self.saved.push(Saved { summary: folded.summary(), from: From::Rows(number), number });
        Ok(())
    }

    /// A conversation with everything that is saved of it.
    fn load(&self, id: &str) -> Result<Option<Arc<Conversation>>> {
        let Some(saved) = self.at.get(id).and_then(|at| self.saved.get(*at)) else { return Ok(None) };
        let mut loaded = locked(&self.loaded);
        if let Some(loaded) = loaded.as_ref().filter(|loaded| loaded.id == id) {
            return Ok(Some(Arc::clone(loaded)));
        }
        let mut connection = locked(&self.connection);
        let connection = &mut **connection;
        let folded = match saved.from {
            From::Events => {
                let events = self.remains.outline.events_of(id);
                let rows = Fold::of(connection, &events)?.conversations.remove(id);
                rows.ok_or_else(|| corrupt(format!("conversation {id:?} has changed while it was saved")))?
                    .folded
            }
            From::Rows(number) => {
                let (remains, place) = (&self.remains, &*self.place);
                Pieces { remains, place, id, number, lost: Vec::new() }.together(connection)?
            }
        };
        let conversation = Arc::new(folded.conversation);
        *loaded = Some(Arc::clone(&conversation));
        Ok(Some(conversation))
    }
}

/// Notes which rows are not what the events led to.
fn compare(connection: &mut dyn Connection, dialect: Dialect, remains: &mut Remains) -> Result<()> {
    let found = verify::verify(connection, dialect, Path::new(""))?;
    for damaged in found.damaged {
        let whose = damaged.conversation_id.map(|id| format!("conversation {id:?}: ")).unwrap_or_default();
        remains.notes.push(format!("{whose}{}; what is saved is what the events say", damaged.reason));
    }
    // One that failed on the way has ended the transaction on a server.
    connection.rollback();
    connection.begin_read()
}

/// Whether a conversation's row has the version and the last event that its events lead to.
fn is_as_its_row(connection: &mut dyn Connection, number: Seq, folded: &Folded) -> Result<bool> {
    let sql = "SELECT version, last_seq FROM aral_conversation_rows WHERE number = ?1";
    let found = readable(connection, sql, &[Value::number(number)], |row| {
        Ok((number_at(row, 0)?, number_at(row, 1)?))
    })?;
    Ok(matches!(found, Ok(Some(told)) if told == (folded.conversation.version, folded.last_seq)))
}

impl Backend for Salvaged {
    fn append(&self, _: Vec<Mutation>) -> Result<Vec<Receipt>> {
        Err(Error::new(ErrorKind::ReadOnly, "a damaged database is only read"))
    }

    fn conversation(&self, id: &str) -> Result<Option<Conversation>> {
        Ok(self.load(id)?.map(|conversation| (*conversation).clone()))
    }

    fn summary(&self, id: &str) -> Result<Option<Summary>> {
        Ok(self.at.get(id).and_then(|at| self.saved.get(*at)).map(|saved| saved.summary.clone()))
    }

    fn conversations(&self, order: Order, limit: Option<usize>) -> Result<Vec<Summary>> {
        let mut all: Vec<Summary> = self.saved.iter().map(|saved| saved.summary.clone()).collect();
        if order == Order::Activity {
            all.sort_by_key(|summary| std::cmp::Reverse(activity_key(summary)));
        }
        all.truncate(limit.unwrap_or(usize::MAX));
        Ok(all)
    }

    fn messages(&self, id: &str, selection: &Messages) -> Result<Vec<Message>> {
        let conversation = self.load(id)?.ok_or_else(|| no_conversation(id))?;
        let places = select(&conversation.messages, selection)?;
        Ok(places.into_iter().filter_map(|at| conversation.messages.get(at).cloned()).collect())
    }

    fn actions(&self, id: &str) -> Result<Vec<Action>> {
        let conversation = self.load(id)?.ok_or_else(|| no_conversation(id))?;
        Ok(conversation.actions.clone())
    }

    fn removed(&self, id: &str) -> Result<Option<Tombstone>> {
        Ok(self.removed.iter().find(|tombstone| tombstone.id == id).cloned())
    }

    fn tombstones(&self) -> Result<Vec<Tombstone>> {
        Ok(self.removed.clone())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn stats(&self) -> Result<Stats> {
        let sum = |count: fn(&Summary) -> u64| self.saved.iter().map(|saved| count(&saved.summary)).sum();
        Ok(Stats {
            conversations: to_u64(self.saved.len()),
            messages: sum(|summary| summary.messages),
            actions: sum(|summary| summary.actions),
            last_seq: self.remains.outline.next_seq.saturating_sub(1),
            ..Stats::default()
        })
    }

    /// The events that used keys, each alone, for whoever wants to know which keys are used.
    fn follow(&self, from: Seq) -> Result<Follower> {
        let mut waiting: VecDeque<Seq> =
            self.remains.keyed.iter().copied().filter(|seq| *seq >= from).collect();
        let (connection, mut found) = (Arc::clone(&self.connection), VecDeque::new());
        Ok(Follower::new(move || {
            if found.is_empty() {
                let part: Vec<Seq> = waiting.drain(..waiting.len().min(AT_ONCE)).collect();
                each_of(&mut **locked(&connection), &part, &mut |row| {
                    with_event(row, |numbers, view| {
                        let event = view.to_event().map_err(|bad| corrupt(bad.0))?;
                        found.push_back(Logged::Batch { seq: numbers.seq, events: vec![event] });
                        Ok(())
                    })
                })?;
            }
            Ok(found.pop_front())
        }))
    }

    fn export_aral(&self, _: &Path, _: Option<&[String]>) -> Result<ExportReport> {
        Err(Error::new(ErrorKind::Unsupported, "a damaged database is saved into a new store"))
    }

    fn close(&self) -> Result<()> {
        locked(&self.connection).rollback();
        Ok(())
    }
}
