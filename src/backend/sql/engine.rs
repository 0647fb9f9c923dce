//! The backend on a database.
//!
//! Owns the state of one opening: whether it is closed, and what the handle's calls come to.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::connection::{Connection, Connector, Purpose, placed};
use super::consumers::SqlCursors;
use super::doorbell::Doorbell;
use super::judge::Outcome;
use super::pool::Pool;
use super::queue::Queue;
use super::reads::{self, Wanted};
use super::search;
use super::search_index::Standing;
use super::waiting::patience;
use super::writer::Writer;
use super::{copied_from, events, history, messages, schema, search_index, verify};
use crate::backend::cursors::Cursors;
use crate::backend::follow::Follower;
use crate::backend::settings::{Settings, SyncPolicy};
use crate::backend::{Backend, Erasing, carried_out_before, closed, export};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Action, CompactionReport, Conversation, Conversations, CopyMark, Durability, Event, ExportReport, Found,
    History, Message, MessageRef, Messages, Mutation, OpenReply, Order, Receipt, RecoveryReport, Search, Seq,
    Stats, Summary, TextRef, Tombstone, VerifyReport,
};
use crate::rules::{Request, known_receipt, normalize, receipts};
use crate::search::Matcher;

/// How often a migration is tried again whose connection was lost.
const MIGRATION_TRIES: u32 = 3;

/// A store in a database.
pub(crate) struct Engine {
    pub(super) connector: Arc<dyn Connector>,
    pub(super) settings: Settings,
    pub(super) pool: Arc<Pool>,
    pub(super) queue: Queue,
    doorbell: Arc<Doorbell>,
    is_closed: Arc<AtomicBool>,
    /// The newest event when it was opened.
    found: RecoveryReport,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("connector", &self.connector).finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the store in a database, making its tables if there are none.
    pub(crate) fn open(connector: Arc<dyn Connector>, settings: Settings) -> Result<Self> {
        if settings.salvages {
            let reason = "a store in a database is not salvaged: open it as it is, and what can be read is read; `verify` says what \
                          is wrong with it, and `repair --in-place` puts it right";
            return Err(Error::new(ErrorKind::Unsupported, reason).at(connector.place(), None));
        }
        let pool = Arc::new(Pool::new(Arc::clone(&connector)));
        let mut writer = Writer::new(Arc::clone(&connector), patience(settings.wait));
        let mut made = false;
        // What has looked at the tables goes on to use them: over a network a connection takes its time.
        if settings.is_read_only {
            let mut connection = connector.connect(Purpose::Read)?;
            schema::check_for_reading(&mut *connection, &*connector)?;
            pool.keep(connection);
        } else {
            let (connection, is_new) = migrated(&*connector, &settings)?;
            writer.begin_with(connection);
            made = is_new;
        }
        let dialect = connector.dialect();
        let (last_seq, has_erased) =
            pool.read(|connection| reads::last_seq_and_erasing(connection, dialect))?;
        let found = RecoveryReport { made, last_seq, ..RecoveryReport::default() };
        let queue = Queue::new(writer, patience(settings.wait));
        let doorbell = Arc::new(Doorbell::new(Arc::clone(&connector)));
        let engine = Self { connector, settings, pool, queue, doorbell, is_closed: Arc::default(), found };
        if has_erased && !engine.settings.is_read_only {
            // What keeps it from being finished is told with the statistics, and by the next erasure, and keeps nobody out.
            engine.go_on_erasing().ok();
        }
        Ok(engine)
    }

    fn check_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::SeqCst) { Err(closed()) } else { Ok(()) }
    }

    pub(super) fn check_writable(&self) -> Result<()> {
        self.check_open()?;
        if self.settings.is_read_only {
            return Err(Error::new(ErrorKind::ReadOnly, "the store was opened for reading"));
        }
        Ok(())
    }

    pub(super) fn read<T>(&self, read: impl FnMut(&mut dyn Connection) -> Result<T>) -> Result<T> {
        self.check_open()?;
        self.pool.read(read)
    }

    /// The same where one question is enough.
    pub(super) fn ask<T>(&self, ask: impl FnMut(&mut dyn Connection) -> Result<T>) -> Result<T> {
        self.check_open()?;
        self.pool.ask(ask)
    }

    fn durability(&self) -> Durability {
        if self.syncs_each() { Durability::Durable } else { Durability::Written }
    }

    /// Whether each commit is durable when it returns.
    fn syncs_each(&self) -> bool {
        syncs_each(self.settings.sync)
    }

    /// Makes durable what was committed without.
    fn sync_all(&self) -> Result<()> {
        if self.syncs_each() || self.settings.is_read_only {
            return Ok(());
        }
        let mut connection = self.connector.connect(Purpose::WriteDurably)?;
        connection.begin_write()?;
        // The database makes all before it durable with it, if it writes something.
        connection.execute("UPDATE aral_meta SET syncs = syncs + 1", &[])?;
        connection.commit()
    }
}

/// A connection to a database that has the tables, and whether this has made them. What was cut off is looked at again: it may have taken place.
fn migrated(connector: &dyn Connector, settings: &Settings) -> Result<(Box<dyn Connection>, bool)> {
    let (mut tries, mut made) = (0..MIGRATION_TRIES, false);
    loop {
        let mut connection = connector.connect(Purpose::Write)?;
        // Mostly there is nothing to do, and then nobody is waited for.
        let (mut done, mut is_usable) =
            (schema::is_current(&mut *connection, connector), connection.is_usable());
        if matches!(done, Ok(false)) {
            let mut migrating = connector.connect(Purpose::Migrate)?;
            let migrated = schema::migrate(&mut *migrating, connector, || settings.ids.new_id());
            done = migrated.map(|is_new| {
                made = is_new;
                true
            });
            is_usable = migrating.is_usable();
        }
        match done {
            Ok(_) => return Ok((connection, made)),
            Err(_) if !is_usable && tries.next().is_some() => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether a policy asks for durable commits. A promise to sync within some time is kept by syncing at once.
pub(crate) fn syncs_each(policy: SyncPolicy) -> bool {
    match policy {
        SyncPolicy::Always | SyncPolicy::Interval(Duration { .. }) => true,
        SyncPolicy::Os => false,
    }
}

impl Backend for Engine {
    fn replay(&self, events: Vec<Event>, first_seq: Seq) -> Result<()> {
        self.check_writable()?;
        let (_, outcome) = self.queue.carry_out(Request::of_events(events, first_seq));
        match outcome.map_err(|error| placed(error, self.connector.place()))? {
            Outcome::Now { .. } => Ok(()),
            Outcome::Before(_) => Err(carried_out_before()),
        }
    }

    fn keeps_every_event(&self) -> bool {
        true
    }

    fn identity(&self) -> Result<Option<String>> {
        self.ask(copied_from::identity)
    }

    fn copied_from(&self) -> Result<Option<CopyMark>> {
        self.ask(|connection| copied_from::read(connection, self.connector.dialect()))
    }

    fn set_copied_from(&self, mark: &CopyMark) -> Result<()> {
        self.check_writable()?;
        let mut connection = self.connector.connect(Purpose::WriteDurably)?;
        copied_from::write(&mut *connection, self.connector.dialect(), mark)
            .map_err(|error| placed(error, self.connector.place()))
    }

    fn append(&self, batch: Vec<Mutation>) -> Result<Vec<Receipt>> {
        self.check_writable()?;
        let (clock, ids) = (&*self.settings.clock, &*self.settings.ids);
        let ready =
            batch.into_iter().map(|mutation| normalize(mutation, clock, ids)).collect::<Result<Vec<_>>>()?;
        let (mut ready, outcome) = self.queue.carry_out(ready);
        Ok(match outcome.map_err(|error| placed(error, self.connector.place()))? {
            Outcome::Before(known) => {
                known.iter().map(|record| known_receipt(record, self.durability())).collect()
            }
            Outcome::Now { first_seq, versions } => {
                receipts(&mut ready, versions, first_seq, self.durability())
            }
        })
    }

    fn conversation(&self, id: &str) -> Result<Option<Conversation>> {
        self.read(|connection| reads::conversation(connection, id, Wanted::All))
    }

    fn conversation_without_messages(&self, id: &str) -> Result<Option<Conversation>> {
        self.read(|connection| reads::conversation(connection, id, Wanted::ButMessages))
    }

    fn summary(&self, id: &str) -> Result<Option<Summary>> {
        self.ask(|connection| reads::summary(connection, id))
    }

    fn conversations(&self, order: Order, limit: Option<usize>) -> Result<Vec<Summary>> {
        let all = Conversations::by(order);
        self.list(&limit.map_or(all.clone(), |limit| all.first(limit)))
    }

    fn list(&self, selection: &Conversations) -> Result<Vec<Summary>> {
        self.read(|connection| reads::list(connection, selection))
    }

    fn messages(&self, id: &str, selection: &Messages) -> Result<Vec<Message>> {
        if messages::is_plain(selection) {
            let found = self.ask(|connection| messages::plain(connection, id, selection))?;
            // Whether there is a conversation without messages, or none, has to be seen in one state.
            if !found.is_empty() {
                return Ok(found);
            }
        }
        self.read(|connection| {
            let mut found = Vec::new();
            messages::each_selected(connection, id, selection, &mut |message| {
                found.push(message);
                Ok(())
            })?;
            Ok(found)
        })
    }

    fn message(&self, id: &str, message_id: TextRef<'_>) -> Result<Option<Message>> {
        self.ask(|connection| messages::message(connection, id, message_id))
    }

    fn for_each_message(
        &self,
        id: &str,
        selection: &Messages,
        each: &mut dyn FnMut(MessageRef<'_>),
    ) -> Result<()> {
        self.check_open()?;
        self.pool.lend(|connection| {
            messages::each_selected(connection, id, selection, &mut |message| {
                each(MessageRef::from(&message));
                Ok(())
            })
        })
    }

    fn open_replies(&self, id: Option<&str>) -> Result<Vec<OpenReply>> {
        self.read(|connection| messages::open_replies(connection, id))
    }

    fn search(&self, search: &Search) -> Result<Vec<Found>> {
        self.check_open()?;
        let matcher = Matcher::new(search)?;
        let dialect = self.connector.dialect();
        let mut may_catch_up = !self.settings.is_read_only;
        loop {
            let found = self.pool.read(|connection| {
                let standing = Standing::of(connection, dialect)?;
                if may_catch_up && standing.is_far_behind(connection)? {
                    return Ok(None);
                }
                search::find(connection, dialect, &matcher, Some(standing)).map(Some)
            });
            match found {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => {
                    // Whether it catches up or not, nothing is hidden: what is not in the index is read.
                    search_index::catch_up(&*self.connector).ok();
                    may_catch_up = false;
                }
                // Nor does an index hide anything that is damaged, or may not be read.
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::ReadOnly) => {
                    return self.pool.read(|connection| search::find(connection, dialect, &matcher, None));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn actions(&self, id: &str) -> Result<Vec<Action>> {
        self.read(|connection| reads::actions(connection, id))
    }

    fn removed(&self, id: &str) -> Result<Option<Tombstone>> {
        self.ask(|connection| reads::removed(connection, id))
    }

    fn tombstones(&self) -> Result<Vec<Tombstone>> {
        self.ask(reads::tombstones)
    }

    fn sync(&self) -> Result<()> {
        self.check_open()?;
        self.sync_all()
    }

    fn recovery(&self) -> RecoveryReport {
        self.found.clone()
    }

    fn refresh(&self) -> Result<Seq> {
        self.ask(reads::last_seq)
    }

    fn stats(&self) -> Result<Stats> {
        let (dialect, now) = (self.connector.dialect(), self.settings.clock.now_micros());
        self.read(|connection| reads::stats(connection, dialect, now))
    }

    fn compact(&self) -> Result<CompactionReport> {
        self.check_open()?;
        let reason = "a store in a database has nothing to compact: its tables are always up to date, and its events are kept; `export` writes the JSON files";
        Err(Error::new(ErrorKind::Unsupported, reason))
    }

    fn accept(&self, _: &str) -> Result<Option<Receipt>> {
        self.check_open()?;
        let reason = "a store in a database has no files that something else could change; `verify` says whether somebody changed its tables, and `repair --in-place` rebuilds them from its events";
        Err(Error::new(ErrorKind::Unsupported, reason))
    }

    fn verify(&self) -> Result<VerifyReport> {
        self.read(|connection| verify::verify(connection, self.connector.dialect(), self.connector.place()))
    }

    fn export_aral(&self, to: &Path, ids: Option<&[String]>) -> Result<ExportReport> {
        export::export(self, &*self.settings.vfs, to, ids)
    }

    fn events(&self, from: Seq) -> Result<Vec<(Seq, Vec<Event>)>> {
        self.read(|connection| events::all(connection, from))
    }

    fn history(&self, id: &str) -> Result<History> {
        self.read(|connection| history::history(connection, id))
    }

    fn erasing(&self) -> Result<&dyn Erasing> {
        Ok(self)
    }

    fn follow(&self, from: Seq) -> Result<Follower> {
        self.check_open()?;
        let (mut source, is_closed) =
            (events::source(Arc::clone(&self.pool), from), Arc::clone(&self.is_closed));
        let (doorbell, mut seen) = (Arc::clone(&self.doorbell), 0);
        let follower =
            Follower::new(move || if is_closed.load(Ordering::SeqCst) { Ok(None) } else { source() });
        Ok(follower.waiting_by(move |limit| doorbell.wait(&mut seen, limit)))
    }

    fn cursors(&self) -> Result<Box<dyn Cursors + '_>> {
        self.check_open()?;
        Ok(Box::new(SqlCursors {
            connector: Arc::clone(&self.connector),
            pool: Arc::clone(&self.pool),
            clock: Arc::clone(&self.settings.clock),
            is_read_only: self.settings.is_read_only,
            follow: Box::new(|from| self.follow(from)),
        }))
    }

    fn close(&self) -> Result<()> {
        if self.is_closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        // Order: whoever is writing ends first. Reversed, what it writes would not be synced.
        self.queue.with_writer(Writer::end);
        let synced = self.sync_all();
        self.pool.empty();
        self.doorbell.end();
        synced
    }
}
