//! Erasing from a database: nothing of something stays in any row, and in no page that the database owns.
//!
//! Owns the order. What is to be erased is written down first; then it is removed like anything else, every row that has something of it is
//! changed or goes, in one transaction, the database writes its files anew, and a receipt takes the place of the intent. Each step can be
//! done again. What stands in the place of an event is what chapters of a directory have there, so that no number is missing.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::connection::{Connection, Dialect, Purpose, placed};
use super::engine::Engine;
use super::erased_rows as rows;
use super::events::{each_from, with_event};
use super::history::events_of;
use super::reads::{self, Wanted};
use super::schema;
use super::tables::{ACTIONS, CONVERSATIONS, KEYS, MESSAGES};
use crate::backend::Backend;
use crate::backend::erasing::{Erasing, Where, forks_of, unknown};
use crate::backend::remnants::{must_be_there, search};
use crate::clock::random_id;
use crate::codec::bytes::to_u64;
use crate::codec::erasure::{Intent, OWN_WORDS, Record, hashed, of_conversation, of_event, ranges};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::model::{
    Change, Conversation, Erasure, ErasureReport, Event, JsonObject, KeptReceipt, Matched, Message,
    RemovalReason, Seq, Timestamp,
};
use crate::rules::{Meant, Request};
use crate::snapshot::rewrite::Erased;

/// What is erased, up to an event.
fn erased(what: &Erasure, through: Seq) -> Erased {
    Erased { conversation: what.conversation_id.clone(), message: what.message_id.clone(), through }
}

/// What an erasure takes, of which nothing is changed yet.
fn plan(connection: &mut dyn Connection, what: &Erasure) -> Result<(ErasureReport, Record)> {
    let (id, erased) = (what.conversation_id.as_str(), erased(what, Seq::MAX));
    let mut record = Record { salt: random_id(), ..Record::default() };
    let (mut seqs, mut untold) = (BTreeSet::new(), 0);
    let mut is_known = what.message_id.is_none() && reads::removed(connection, id)?.is_some();
    let (salt, mut traces) = (record.salt, std::mem::take(&mut record.traces));
    let mut note = |bytes: &[u8]| {
        if !bytes.is_empty() && !traces.note(&salt, bytes) {
            untold += 1;
        }
    };
    for past in events_of(connection, id)? {
        if erased.is_of(past.seq, id, &past.event.change) {
            is_known = true;
            seqs.insert(past.seq);
            of_event(&past.event, what.message_id.is_none(), &mut note);
        }
    }
    if let Some(now) = reads::conversation(connection, id, Wanted::All)? {
        let means = |message: Option<&Message>| match (&what.message_id, message) {
            (None, _) => true,
            (Some(id), Some(message)) => message.id == *id,
            (Some(_), None) => false,
        };
        record.messages = to_u64(now.messages.iter().filter(|message| means(Some(message))).count());
        record.actions = if what.message_id.is_none() { to_u64(now.actions.len()) } else { 0 };
        is_known |= what.message_id.is_none() || record.messages > 0;
        of_conversation(&now, &means, &mut note);
    }
    if !is_known {
        return Err(unknown(what));
    }
    record.store = super::copied_from::identity(connection)?.unwrap_or_default();
    record.conversation = hashed(&salt, id.as_bytes());
    record.message = what.message_id.as_ref().map(|id| hashed(&salt, id.as_wtf8()));
    (record.events, record.untold, record.traces) = (ranges(&seqs), untold, traces);
    let mut report = ErasureReport {
        messages: record.messages,
        actions: record.actions,
        events: record.events.clone(),
        untold: record.untold,
        ..ErasureReport::default()
    };
    let mut from = Vec::new();
    for fork in rows::ids(connection)? {
        let head = reads::conversation(connection, &fork, Wanted::ButMessages)?;
        from.extend(head.and_then(|head| Some((head.forked_from()?.conversation_id, fork))));
    }
    report.forks = forks_of(&from, id);
    Ok((report, record))
}

/// Forgets the traces of what is in others too, and of what the database has for itself.
fn forget_others(connection: &mut dyn Connection, dialect: Dialect, record: &mut Record) -> Result<()> {
    let (salt, mut traces) = (record.salt, std::mem::take(&mut record.traces));
    traces.forget(&salt, OWN_WORDS);
    for made in schema::made(schema::VERSION, dialect) {
        traces.forget(&salt, made.statement.as_bytes());
    }
    let read = each_from(connection, 1, &mut |row| {
        let event = with_event(row, |numbers, view| {
            view.to_event()
                .map_err(|bad| super::columns::corrupt(format!("event {}: {}", numbers.seq, bad.0)))
        })?;
        traces.forget(&salt, event.conversation_id.as_bytes());
        of_event(&event, true, &mut |bytes| traces.forget(&salt, bytes));
        Ok(std::ops::ControlFlow::Continue(()))
    });
    read?;
    // Some texts are in no event, such as a title that nobody gave.
    for id in rows::ids(connection)? {
        if let Some(now) = reads::conversation(connection, &id, Wanted::All)? {
            of_conversation(&now, &|_| true, &mut |bytes| traces.forget(&salt, bytes));
        }
    }
    record.traces = traces;
    Ok(())
}

/// In which tables the texts of a receipt are.
fn in_tables(connection: &mut dyn Connection, record: &Record) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let lists = [&CONVERSATIONS, &MESSAGES, &ACTIONS, &KEYS].map(|table| (table.name, table.columns));
    for (name, columns) in lists.into_iter().chain([("aral_events", &["payload"][..])]) {
        let sql = format!("SELECT {} FROM {name}", columns.join(", "));
        let mut is_there = false;
        connection.query(&sql, &[], &mut |row| {
            for at in 0..columns.len() {
                let bytes = match (row.text(at), row.bytes(at)) {
                    (Ok(text), _) => text.as_bytes(),
                    (Err(_), Ok(bytes)) => bytes,
                    (Err(_), Err(_)) => continue,
                };
                is_there |= record.traces.find(&record.salt, bytes).is_some();
            }
            Ok(if is_there { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) })
        })?;
        if is_there {
            found.push(name.to_owned());
        }
    }
    Ok(found)
}

impl Erasing for Engine {
    fn erasable(&self, what: &Erasure) -> Result<ErasureReport> {
        let (mut report, _) = self.read(|connection| plan(connection, what))?;
        report.files = vec![self.connector.place().to_owned()];
        Ok(report)
    }

    fn erase(&self, what: &Erasure) -> Result<ErasureReport> {
        self.check_writable()?;
        // What an earlier one has left comes first: there is one intent.
        self.go_on_erasing()?;
        let (planned, record) = self.read(|connection| plan(connection, what))?;
        // Order: before anything is begun. What cannot be rewritten would stay, and the erasure would never end.
        self.ask(|connection| connection.must_rewrite_files())?;
        let after = self.refresh()?;
        let (conversation, message) = (what.conversation_id.clone(), what.message_id.clone());
        let intent = Intent { conversation, message, after, record };
        let dialect = self.connector.dialect();
        // Order: the intent before anything goes. Reversed, a crash would leave some of it, and nobody who knows.
        self.write(|connection| {
            if rows::intent(connection, dialect)?.is_some() {
                let reason = "somebody else is erasing something; try again when that is done";
                return Err(Error::new(ErrorKind::Locked, reason));
            }
            rows::intend(connection, dialect, &intent)
        })?;
        let done = self.carry_out(intent);
        if let Err(error) = &done {
            self.unless_begun(what, after, error)?;
        }
        Ok(ErasureReport { forks: planned.forks, ..done? })
    }

    fn matching(&self, conditions: &Where) -> Result<Matched> {
        self.read(|connection| {
            let mut meant = Meant::new(conditions);
            each_from(connection, 1, &mut |row| {
                let event = with_event(row, |numbers, view| {
                    let bad = |reason| super::columns::corrupt(format!("event {}: {reason}", numbers.seq));
                    view.to_event().map_err(|damage| bad(damage.0))
                })?;
                meant.event(&event);
                Ok(std::ops::ControlFlow::Continue(()))
            })?;
            Ok(meant.matched())
        })
    }

    fn receipts(&self) -> Result<Vec<KeptReceipt>> {
        let (dialect, place) = (self.connector.dialect(), self.connector.place());
        self.read(|connection| rows::receipts(connection, dialect, place))
    }

    fn has_erased_events(&self) -> Result<bool> {
        self.ask(rows::is_any)
    }

    fn remnants(&self, receipt: &str, also: &[PathBuf]) -> Result<Vec<Place>> {
        let record = Record::decode(receipt)?;
        if self.identity()?.as_ref() != Some(&record.store) {
            return Err(Error::invalid("the receipt is of another store"));
        }
        let vfs = &*self.settings.vfs;
        // Before anything is read for long: what is not there would count as looked through.
        also.iter().try_for_each(|path| must_be_there(vfs, path))?;
        let files = self.connector.files();
        let mut found = Vec::new();
        if files.is_empty() {
            let place = self.connector.place();
            for table in self.read(|connection| in_tables(connection, &record))? {
                found.push(Place {
                    path: PathBuf::from(format!("{}, table {table}", place.display())),
                    offset: None,
                });
            }
        }
        for path in files.iter().chain(also) {
            found.extend(search(vfs, path, &record)?);
        }
        Ok(found)
    }
}

impl Engine {
    /// Does something in a transaction of its own, which is durable when this returns.
    fn write<T>(&self, act: impl FnOnce(&mut dyn Connection) -> Result<T>) -> Result<T> {
        let at = |error| placed(error, self.connector.place());
        let mut connection = self.connector.connect(Purpose::WriteDurably).map_err(at)?;
        connection.begin_write().map_err(at)?;
        let done = act(&mut *connection).and_then(|value| connection.commit().map(|()| value));
        if done.is_err() {
            connection.rollback();
        }
        done.map_err(at)
    }

    /// Goes on with an erasure that was stopped.
    pub(super) fn go_on_erasing(&self) -> Result<()> {
        let dialect = self.connector.dialect();
        match self.read(|connection| rows::intent(connection, dialect))? {
            Some(intent) => self.carry_out(intent).map(drop),
            None => Ok(()),
        }
    }

    /// Ends an erasure that was refused before anything went.
    fn unless_begun(&self, what: &Erasure, after: Seq, error: &Error) -> Result<()> {
        let is_refusal = matches!(
            error.kind(),
            ErrorKind::AlreadyExists | ErrorKind::Conflict | ErrorKind::InvalidInput | ErrorKind::NotFound
        );
        if is_refusal && self.taken_away(what, after)?.is_none() {
            let dialect = self.connector.dialect();
            self.write(|connection| rows::end(connection, dialect, None))?;
        }
        Ok(())
    }

    fn carry_out(&self, mut intent: Intent) -> Result<ErasureReport> {
        let what =
            Erasure { conversation_id: intent.conversation.clone(), message_id: intent.message.clone() };
        let dialect = self.connector.dialect();
        if intent.record.through == 0 {
            intent.record.through = self.take_away(&what, intent.after)?;
            // Order: take note of the event before anything goes that has it, as what begins again under the id is not meant.
            self.write(|connection| rows::intend(connection, dialect, &intent))?;
        }
        let erased = erased(&what, intent.record.through);
        let mut record = intent.record;
        self.write(|connection| rows::strip(connection, dialect, (&erased, &record)))?;
        // Readers of this process are not to keep a state of before.
        self.pool.empty();
        let mut rewriting = self.connector.connect(Purpose::Migrate)?;
        rewriting.rewrite_files().map_err(|error| placed(error, self.connector.place()))?;
        drop(rewriting);
        self.read(|connection| forget_others(connection, dialect, &mut record))?;
        let vfs = &*self.settings.vfs;
        let mut not_erased = Vec::new();
        for path in self.connector.files() {
            not_erased.extend(search(vfs, &path, &record)?.into_iter().map(|place| place.path));
        }
        let beyond: Vec<String> =
            self.connector.out_of_reach().iter().map(|what| (*what).to_owned()).collect();
        let now = Timestamp::from_unix_micros(self.settings.clock.now_micros()).unwrap_or(Timestamp::EPOCH);
        record.time = now.to_string();
        let files = vec![self.connector.place().to_owned()];
        record.files = vec!["the database".to_owned()];
        record.not_erased = not_erased.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        record.not_erased.extend(beyond.iter().cloned());
        // Order: the receipt as the intent goes. Otherwise a crash would leave an erasure that nobody can prove.
        self.write(|connection| rows::end(connection, dialect, Some(&record)))?;
        Ok(ErasureReport { files, not_erased, beyond, ..record.report() })
    }

    /// Removes it, unless that is done, and gives the newest event that goes with it.
    fn take_away(&self, what: &Erasure, after: Seq) -> Result<Seq> {
        if let Some(done) = self.taken_away(what, after)? {
            return Ok(done);
        }
        let id = what.conversation_id.as_str();
        let time = Timestamp::from_unix_micros(self.settings.clock.now_micros()).unwrap_or(Timestamp::EPOCH);
        let gone = Change::Remove { removed_at: Some(time), reason: RemovalReason::Erasure };
        let changes = match &what.message_id {
            None if self.summary(id)?.is_some() => vec![gone],
            // It was removed before: what is remembered of it says from now on that it was erased.
            None => {
                let title = Conversation::default_title(id);
                let (metadata, extra) = (JsonObject::EMPTY, JsonObject::EMPTY);
                vec![Change::Create { title, created_at: time, metadata, extra }, gone]
            }
            Some(message) => {
                let now = self.conversation(id)?;
                let count = now.map_or(0, |now| now.messages.iter().filter(|of| of.id == *message).count());
                vec![Change::RemoveMessage(message.clone()); count]
            }
        };
        if changes.is_empty() {
            return Ok(after);
        }
        let batch = changes.into_iter().map(|change| Request::of_event(Event::new(id, change))).collect();
        let (_, outcome) = self.queue.carry_out(batch);
        outcome.map_err(|error| placed(error, self.connector.place()))?;
        let done = self.taken_away(what, after)?;
        done.ok_or_else(|| Error::new(ErrorKind::Failed, "what was removed is not found as removed"))
    }

    /// The event that removed it, if that has happened since it was intended.
    fn taken_away(&self, what: &Erasure, after: Seq) -> Result<Option<Seq>> {
        let id = what.conversation_id.as_str();
        match &what.message_id {
            Some(message) => self.read(|connection| rows::removed_since(connection, id, message, after)),
            None => {
                let removed = self.removed(id)?;
                let is_it = |seq: Seq, reason| reason == RemovalReason::Erasure && seq > after;
                Ok(removed.filter(|removed| is_it(removed.seq, removed.reason)).map(|removed| removed.seq))
            }
        }
    }
}
