//! The backend on a store of objects.
//!
//! Owns the state of one opening: whether it is closed, and what the handle's calls come to.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::background::Background;
use super::chain::Journal;
use super::chapters;
use super::commit::{Committer, Outcome};
use super::compaction::Compactor;
use super::compared;
use super::consuming::ObjectCursors;
use super::events::{self, Source};
use super::freshness::Freshness;
use super::history;
use super::objects::Objects;
use super::opening;
use super::projection::Projection;
use super::projector::Projector;
use super::reads::Reads;
use super::state::State;
use super::stats;
use super::upkeep::Upkeep;
use super::verify;
use crate::backend::cursors::{Cursors, statuses};
use crate::backend::follow::Follower;
use crate::backend::queue::{Gathering, Queue};
use crate::backend::settings::Settings;
use crate::backend::{Backend, carried_out_before, closed, export, no_conversation};
use crate::codec::segment::hex_of;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Action, CompactionReport, Conversation, Durability, Event, ExportReport, History, Keep, KeptHistory,
    Message, Messages, Mutation, Order, Receipt, RecoveryReport, Seq, Stats, Summary, TextRef, Tombstone,
    VerifyReport,
};
use crate::rules::{Folded, Request, known_receipt, normalize, receipts, select};

/// How callers come to share an object. A request takes so long that those who have just been answered are worth a moment's
/// waiting; it has an end of its own, so that who waits for it needs none.
const GATHERING: Gathering = Gathering { most: 4096, fruitless: 256, patience: None };

/// A store in a bucket.
#[derive(Debug)]
pub(crate) struct Engine {
    journal: Arc<Journal>,
    reads: Arc<Reads>,
    settings: Settings,
    freshness: Freshness,
    queue: Queue<Outcome>,
    committer: Committer,
    compactor: Arc<Compactor>,
    upkeep: Upkeep,
    is_closed: Arc<AtomicBool>,
    found: RecoveryReport,
    /// What keeps the documents that people query, where there are any.
    projector: Option<Arc<Projector>>,
    background: Option<Background>,
}

impl Engine {
    /// Opens the store in a bucket, making it if there is none and it is to be written.
    #[cfg(any(test, feature = "cloud"))]
    pub(crate) fn open(objects: Arc<dyn Objects>, settings: Settings) -> Result<Self> {
        Self::open_with(objects, None, settings)
    }

    /// The same where documents are kept beside, which are brought up to date from then on if it is open for writing.
    pub(crate) fn open_with(
        objects: Arc<dyn Objects>,
        projection: Option<Arc<dyn Projection>>,
        settings: Settings,
    ) -> Result<Self> {
        let mut engine = Self::opened(objects, projection, settings)?;
        let projector = engine.projector.as_ref().filter(|_| !engine.settings.is_read_only);
        engine.background = projector.map(Background::begin);
        Ok(engine)
    }

    /// Opens it, and leaves the documents as they are.
    pub(super) fn opened(
        objects: Arc<dyn Objects>,
        projection: Option<Arc<dyn Projection>>,
        settings: Settings,
    ) -> Result<Self> {
        if settings.salvages {
            let reason = "a store that is kept as objects is not salvaged; what is whole of it is read without that. Copy the objects of a \
                          bucket into a directory with the bucket's own tools and repair that, or put the own backup of a database back";
            return Err(Error::new(ErrorKind::Unsupported, reason).at(objects.place(), None));
        }
        let (state, made) = Self::find(&*objects, &settings)?;
        let journal = Journal::read_noting(objects, state, projection.is_some())?;
        let mut found = stats::found(&journal.state(), journal.objects.place());
        found.made = made;
        let mut engine = Self::on(journal, settings, found);
        let projector = |projection| Arc::new(Projector::new(Arc::clone(&engine.reads), projection));
        engine.projector = projection.map(projector);
        Ok(engine)
    }

    fn find(objects: &dyn Objects, settings: &Settings) -> Result<(State, bool)> {
        if settings.is_read_only {
            let reason = "there is no store; name another place, or make one there with `aral-store new`";
            let none = || Error::new(ErrorKind::NotFound, reason).at(objects.place(), None);
            return Ok((opening::find(objects)?.ok_or_else(none)?.state, false));
        }
        opening::find_or_make(objects)
    }

    /// An opening that knows what another one has read, so that tests can have many.
    #[cfg(test)]
    pub(super) fn like(&self, objects: Arc<dyn Objects>) -> Self {
        Self::on(self.journal.like(objects), self.settings.clone(), self.found.clone())
    }

    fn on(journal: Journal, settings: Settings, found: RecoveryReport) -> Self {
        let journal = Arc::new(journal);
        let reads = Arc::new(Reads::new(Arc::clone(&journal)));
        let compactor = {
            let clock = Arc::clone(&settings.clock);
            Arc::new(Compactor::new(Arc::clone(&reads), clock, settings.unread_bytes))
        };
        Self {
            freshness: Freshness::default(),
            queue: Queue::new(GATHERING),
            committer: Committer { reads: Arc::clone(&reads) },
            upkeep: Upkeep::new(Arc::clone(&compactor), settings.compact_above),
            compactor,
            is_closed: Arc::default(),
            journal,
            reads,
            settings,
            found,
            projector: None,
            background: None,
        }
    }

    fn check_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::SeqCst) { Err(closed()) } else { Ok(()) }
    }

    fn check_writable(&self) -> Result<()> {
        self.check_open()?;
        if self.settings.is_read_only {
            return Err(Error::new(ErrorKind::ReadOnly, "the store was opened for reading"));
        }
        Ok(())
    }

    /// Sees to it that what was appended before the call, by whomever, is seen.
    fn look(&self) -> Result<()> {
        self.check_open()?;
        self.freshness.await_with(|| self.journal.advance())
    }

    /// Makes the documents anew that are not as the log has them.
    #[cfg(any(test, feature = "mongodb", feature = "firestore"))]
    pub(crate) fn repair_documents(&self) -> Result<crate::model::RepairReport> {
        self.check_writable()?;
        let none =
            || Error::new(ErrorKind::Unsupported, "this store has no documents that could be made anew");
        compared::repair(self.projector.as_ref().ok_or_else(none)?)
    }

    #[cfg(test)]
    pub(super) fn projector(&self) -> &Projector {
        self.projector.as_ref().unwrap()
    }

    /// Says that something was appended to whoever keeps the documents, and to whoever compacts.
    fn tell(&self) {
        if let Some(background) = &self.background {
            background.tell();
        }
        self.upkeep.look(&self.journal.state(), self.projector.as_ref());
    }

    /// Brings the documents up to date, as far as that can be done; `stats` tells why not.
    fn bring_documents(&self) {
        if let Some(background) = &self.background {
            background.catch_up().ok();
        }
    }

    fn object_cursors(&self) -> ObjectCursors {
        ObjectCursors {
            journal: Arc::clone(&self.journal),
            clock: Arc::clone(&self.settings.clock),
            is_read_only: self.settings.is_read_only,
        }
    }

    fn covered_seq(&self) -> Seq {
        self.journal.state().checkpoint.head().covered_seq
    }

    fn folded(&self, id: &str) -> Result<Option<Arc<Folded>>> {
        self.look()?;
        self.reads.folded(id)
    }
}

impl Backend for Engine {
    fn append(&self, batch: Vec<Mutation>) -> Result<Vec<Receipt>> {
        self.check_writable()?;
        let (clock, ids) = (&*self.settings.clock, &*self.settings.ids);
        let ready =
            batch.into_iter().map(|mutation| normalize(mutation, clock, ids)).collect::<Result<Vec<_>>>()?;
        let (mut ready, outcome) = self.queue.carry_out(ready, &|batches| self.committer.carry_out(batches));
        Ok(match outcome? {
            Outcome::Before(known) => {
                known.iter().map(|record| known_receipt(record, Durability::Durable)).collect()
            }
            Outcome::Now { first_seq, versions } => {
                self.tell();
                receipts(&mut ready, versions, first_seq, Durability::Durable)
            }
        })
    }

    fn replay(&self, events: Vec<Event>, first_seq: Seq) -> Result<()> {
        self.check_writable()?;
        let batch = Request::of_events(events, first_seq);
        let (_, outcome) = self.queue.carry_out(batch, &|batches| self.committer.carry_out(batches));
        match outcome? {
            Outcome::Now { .. } => {
                self.tell();
                Ok(())
            }
            Outcome::Before(_) => Err(carried_out_before()),
        }
    }

    fn conversation(&self, id: &str) -> Result<Option<Conversation>> {
        Ok(self.folded(id)?.map(|folded| folded.conversation.clone()))
    }

    fn summary(&self, id: &str) -> Result<Option<Summary>> {
        self.look()?;
        let state = self.journal.state();
        match state.find(id) {
            None => Ok(None),
            Some(kept) => kept.summary().map(Some).ok_or_else(|| kept.damage()),
        }
    }

    fn conversations(&self, order: Order, limit: Option<usize>) -> Result<Vec<Summary>> {
        self.look()?;
        Ok(self.journal.state().list(order, limit))
    }

    fn messages(&self, id: &str, selection: &Messages) -> Result<Vec<Message>> {
        let folded = self.folded(id)?.ok_or_else(|| no_conversation(id))?;
        let messages = &folded.conversation.messages;
        let places = select(messages, selection)?;
        Ok(places.into_iter().filter_map(|at| messages.get(at).cloned()).collect())
    }

    fn message(&self, id: &str, message_id: TextRef<'_>) -> Result<Option<Message>> {
        let folded = self.folded(id)?;
        let messages = folded.as_ref().map(|folded| &*folded.conversation.messages).unwrap_or_default();
        Ok(messages.iter().rev().find(|message| message_id == message.id).cloned())
    }

    fn actions(&self, id: &str) -> Result<Vec<Action>> {
        let folded = self.folded(id)?.ok_or_else(|| no_conversation(id))?;
        Ok(folded.conversation.actions.clone())
    }

    fn removed(&self, id: &str) -> Result<Option<Tombstone>> {
        self.look()?;
        Ok(self.journal.state().removal(id).cloned())
    }

    fn tombstones(&self) -> Result<Vec<Tombstone>> {
        self.look()?;
        Ok(self.journal.state().removed.values().rev().cloned().collect())
    }

    fn sync(&self) -> Result<()> {
        self.check_open()?;
        self.bring_documents();
        Ok(())
    }

    fn identity(&self) -> Result<Option<String>> {
        self.check_open()?;
        Ok(Some(hex_of(&self.journal.state().store_id())))
    }

    fn recovery(&self) -> RecoveryReport {
        self.found.clone()
    }

    fn refresh(&self) -> Result<Seq> {
        self.look()?;
        Ok(self.journal.state().next_seq - 1)
    }

    fn stats(&self) -> Result<Stats> {
        self.look()?;
        let mark = self.projector.as_ref().map(|projector| projector.mark()).transpose()?;
        let trouble = self.background.as_ref().and_then(Background::trouble);
        let last_seq = self.journal.state().next_seq - 1;
        let consumers = statuses(&self.object_cursors(), &|| Ok(last_seq))?;
        Ok(Stats {
            consumers,
            compaction_error: self.upkeep.trouble().map(|error| error.to_string()),
            documents_seq: mark.map(|mark| mark.map_or(0, |mark| mark.seq)),
            documents_error: trouble.map(|error| error.to_string()),
            ..stats::of(&self.journal.state())
        })
    }

    fn compact(&self) -> Result<CompactionReport> {
        self.check_writable()?;
        // Order: the documents first. Behind a compaction nobody knows any more which places an event has touched.
        self.bring_documents();
        let done = self.compactor.compact();
        self.upkeep.note(done.as_ref().err().cloned());
        done
    }

    fn verify(&self) -> Result<VerifyReport> {
        self.check_open()?;
        let mut report = verify(&self.journal.objects)?;
        if let Some(projector) = &self.projector {
            compared::verify(projector, &mut report)?;
        }
        Ok(report)
    }

    fn export_aral(&self, to: &Path, ids: Option<&[String]>) -> Result<ExportReport> {
        export::export(self, &*self.settings.vfs, to, ids)
    }

    fn events(&self, from: Seq) -> Result<Vec<(Seq, Vec<Event>)>> {
        self.look()?;
        events::all(&self.journal, from)
    }

    fn history(&self, id: &str) -> Result<History> {
        self.look()?;
        history::history(&self.reads, id)
    }

    fn kept_history(&self) -> Result<KeptHistory> {
        self.look()?;
        chapters::kept(&*self.journal.objects, self.covered_seq())
    }

    fn keep_history(&self, keep: Keep) -> Result<KeptHistory> {
        self.check_writable()?;
        self.look()?;
        let objects = &*self.journal.objects;
        chapters::write_keep(objects, keep)?;
        chapters::trim(objects, self.covered_seq(), self.settings.clock.now_micros())
    }

    fn follow(&self, from: Seq) -> Result<Follower> {
        self.check_open()?;
        let (mut source, is_closed) =
            (Source::new(Arc::clone(&self.journal), from), Arc::clone(&self.is_closed));
        Ok(Follower::new(move || if is_closed.load(Ordering::SeqCst) { Ok(None) } else { source.next() }))
    }

    fn cursors(&self) -> Result<Box<dyn Cursors + '_>> {
        self.check_open()?;
        Ok(Box::new(self.object_cursors()))
    }

    fn close(&self) -> Result<()> {
        if self.is_closed.load(Ordering::SeqCst) {
            return Ok(());
        }
        let compacts = self.settings.compacts_on_close && !self.settings.is_read_only;
        self.upkeep.end();
        self.bring_documents();
        if let Some(background) = &self.background {
            background.end();
        }
        let compacted = if compacts { self.compactor.compact().map(drop) } else { Ok(()) };
        self.is_closed.store(true, Ordering::SeqCst);
        compacted
    }
}
