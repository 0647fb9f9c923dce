//! A directory that is open for writing, from its opening to its end.
//!
//! Owns the life of the store, and answers as a [`Backend`].

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use super::apply::Applier;
use super::background::{self, Tended};
use super::completeness::MarkerFile;
use super::consumers::DirectoryCursors;
use super::engine::Engine;
use super::export::Export;
use super::external_changes::ExternalChanges;
use super::history::history;
use super::messages::Lending;
use super::reads::{Need, ReadState};
use super::steady::{steady, steady_report};
use super::tail::Tail;
use super::{copied_from, erase, events, keep, lock_wait, open, stats, verify};
use crate::backend::cursors::{Cursors, statuses};
use crate::backend::erasing::UNFINISHED;
use crate::backend::export::export;
use crate::backend::follow::Follower;
use crate::backend::locked::locked;
use crate::backend::settings::Settings;
use crate::backend::{Backend, Erasing, closed, no_place};
use crate::clock::{now_micros, random_id, random_salt};
use crate::codec::segment::Previous;
use crate::error::{Error, ErrorKind, Result};
use crate::log::claim::{Claim, Fenced, Now, Right};
use crate::log::{Active, Limits, Log, Start};
use crate::model::{
    Action, CompactionReport, Conversation, Conversations, CopyMark, Event, ExportReport, History, Keep,
    KeptHistory, Message, MessageRef, Messages, Mutation, Order, Receipt, RecoveryReport, Seq, Stats,
    Summary, TextRef, Tombstone, VerifyReport,
};
use crate::rules::Pending;
use crate::snapshot::layout::{self, Layout};
use crate::vfs::Vfs;

impl Engine {
    /// Takes the lock, recovers, and starts what runs in the background.
    pub(crate) fn open(layout: Layout, settings: Settings) -> Result<Arc<Self>> {
        let vfs = Arc::clone(&settings.vfs);
        let log_dir = layout.log();
        if layout::ensure_dir(&*vfs, &log_dir)? {
            layout::sync_dir(&*vfs, layout.root())?;
        }
        let clock = Arc::clone(&settings.clock);
        let now: Now = Arc::new(move || clock.elapsed_micros());
        let claim = Arc::new(lock_wait::claim(&*vfs, &layout, settings.wait, &now)?);
        // Order: the claim before anything is read. What a writer adds that it overtakes is read then, or that writer
        // finds the claim before it says that anything was added.
        let vfs: Arc<dyn Vfs> = Arc::new(Fenced::new(vfs, layout.root(), Arc::clone(&claim)));
        let mut opened = open::for_writing(&*vfs, &layout, random_id())?;
        let is_erasing = erase::is_to_go_on(&*vfs, &layout, &mut opened.report)?;
        let head = *opened.index.checkpoint().head();
        let previous = opened.replayed.last.as_ref().map_or_else(
            || Previous {
                number: head.first_segment - 1,
                next_seq: opened.replayed.next_seq,
                ..Previous::default()
            },
            crate::log::recovery::Last::as_previous,
        );
        let epoch_before = opened.replayed.writer_epoch.max(opened.control.map_or(0, |c| c.writer_epoch));
        let start = Start {
            vfs: Arc::clone(&vfs),
            dir: log_dir,
            store_id: head.store_id,
            writer_epoch: epoch_before + 1,
            previous,
            limits: Limits { first_segment: settings.first_segment_bytes, segment: settings.segment_bytes },
            checkpoint_epoch: head.epoch,
            right: Arc::<Claim>::clone(&claim),
        };
        let log_bytes = opened.replayed.own_bytes(head.first_segment);
        let next_seq = opened.replayed.next_seq;
        let external_changes = ExternalChanges::new(opened.report.clone(), opened.is_settled);
        let is_marked = matches!(opened.marker, MarkerFile::Found(_));
        let reads = Arc::new(ReadState::new(vfs, layout, opened));
        let shown = Applier::new(reads, log_bytes, settings.own_events);
        let active = Active::new(start, random_salt, now_micros);
        // What was read is no older than this.
        claim.check()?;
        let engine = Arc::new(Self {
            log: Log::new(shown, Pending::default(), active, next_seq),
            compaction: Mutex::default(),
            compaction_error: Mutex::default(),
            background: Arc::default(),
            external_changes,
            is_marked: AtomicBool::new(is_marked),
            marking: Mutex::default(),
            claim,
            is_closed: AtomicBool::new(false),
            openings: Mutex::default(),
            process: std::process::id(),
            seal: settings.vfs.sealing(),
            sealing: RwLock::new(()),
            settings,
        });
        if is_erasing {
            // What keeps it from being finished is told by `stats`, and the next opening tries again.
            *locked(&engine.compaction_error) = engine.go_on_erasing().err().map(|error| error.to_string());
        } else {
            // Whoever left them may not have lived to see a closing.
            engine.compact_small_segments(&mut locked(&engine.compaction));
        }
        background::start(&engine, &engine.background, &engine.settings);
        Ok(engine)
    }

    fn shut(&self) -> Result<()> {
        // A seal would end the log of a store that is still being written to.
        self.check_process()?;
        if self.is_closed.swap(true, Ordering::AcqRel) {
            return Err(closed());
        }
        // Order: wait for a compaction that is under way, and keep the next from beginning, until the lock
        // is gone. A compaction that went on without it would work on a store that others have opened.
        let mut compaction = locked(&self.compaction);
        let mut compacted = Ok(());
        if self.settings.compacts_on_close {
            compacted = self.compact_with(&mut compaction).and_then(|report| all_were_written(&report));
        } else {
            self.compact_small_segments(&mut compaction);
        }
        let sealed = self.log.exclusively(Some(closed()), |active, _| active.close());
        if sealed.is_ok() && compaction.is_published() {
            self.unmark();
        }
        self.background.stop();
        self.reads().file_cache.let_go();
        // Order: let go of the lock last. Reversed, another process could append while this one still seals.
        self.claim.release();
        drop(compaction);
        sealed.and(compacted)
    }
}

/// An error, where a compaction that nobody gets the report of could not write everything.
fn all_were_written(report: &CompactionReport) -> Result<()> {
    let Some(held) = report.held.first() else { return Ok(()) };
    let id = held.conversation_id.as_deref().unwrap_or_default();
    let reason =
        format!("conversation {id:?} could not be written, and its events stay in the log: {}", held.reason);
    Err(Error::new(ErrorKind::Corrupt, reason).at(&held.path, held.offset))
}

impl Tended for Engine {
    fn sync_now(&self) -> bool {
        // A failed sync ends the log, and every caller hears of it. Any other failure is that of the group
        // which was under way, and its members hear of it; the next interval comes all the same.
        self.log.flush().ok();
        !self.is_closed() && !self.log.has_ended()
    }

    fn compact_if_due(&self) {
        if self.is_closed() {
            return;
        }
        let applier = self.log.client();
        let grown = applier.log_bytes.load(Ordering::Relaxed);
        // The error is kept for `stats`, and the log that could not be compacted is kept too. What keeps
        // it from being compacted seldom passes by itself, so the next try waits until it has doubled.
        let next = match self.log_outgrows_snapshot() {
            Some(floor) => floor,
            None if self.run_compaction().is_err() => grown.saturating_mul(2),
            None => 0,
        };
        applier.compaction_floor.store(next, Ordering::Relaxed);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure; what was acknowledged as durable is so already.
        self.shut().ok();
    }
}

impl Backend for Engine {
    fn append(&self, batch: Vec<Mutation>) -> Result<Vec<Receipt>> {
        self.append_batch(batch)
    }

    fn append_one(&self, mutation: Mutation) -> Result<Receipt> {
        self.append_single(mutation)
    }

    fn replay(&self, events: Vec<Event>, first_seq: Seq) -> Result<()> {
        self.append_events(events, first_seq)
    }

    fn identity(&self) -> Result<Option<String>> {
        Ok(copied_from::identity(self.reads()))
    }

    fn copied_from(&self) -> Result<Option<CopyMark>> {
        copied_from::read(self.reads())
    }

    fn set_copied_from(&self, mark: &CopyMark) -> Result<()> {
        self.check_open()?;
        copied_from::write(self.reads(), mark)
    }

    fn conversation(&self, id: &str) -> Result<Option<Conversation>> {
        self.check_open()?;
        self.check_file(id)?;
        self.reads().conversation(id)
    }

    fn conversation_without_messages(&self, id: &str) -> Result<Option<Conversation>> {
        self.check_open()?;
        self.check_file(id)?;
        self.reads().conversation_with(id, Need::Actions)
    }

    fn summary(&self, id: &str) -> Result<Option<Summary>> {
        self.check_open()?;
        self.check_file(id)?;
        self.reads().summary(id)
    }

    fn conversations(&self, order: Order, limit: Option<usize>) -> Result<Vec<Summary>> {
        self.check_open()?;
        self.settle()?;
        Ok(self.reads().index().summaries(order, limit))
    }

    fn list(&self, selection: &Conversations) -> Result<Vec<Summary>> {
        self.check_open()?;
        self.settle()?;
        let listed = self.reads().index().summaries_after(selection);
        listed.ok_or_else(|| no_place(selection.after.as_ref().map_or("", |after| &after.id)))
    }

    fn messages(&self, id: &str, selection: &Messages) -> Result<Vec<Message>> {
        self.check_open()?;
        self.check_file(id)?;
        self.reads().messages(id, selection)
    }

    fn message(&self, id: &str, message_id: TextRef<'_>) -> Result<Option<Message>> {
        self.check_open()?;
        self.check_file(id)?;
        self.reads().message(id, message_id)
    }

    fn for_each_message(
        &self,
        id: &str,
        selection: &Messages,
        each: &mut dyn FnMut(MessageRef<'_>),
    ) -> Result<()> {
        self.check_open()?;
        self.check_file(id)?;
        self.reads().lend_messages(id, selection, &mut Lending::default(), each)
    }

    #[cfg(feature = "sqlite")]
    fn search(&self, search: &crate::model::Search) -> Result<Vec<crate::model::Found>> {
        self.check_open()?;
        search.conversation.as_ref().map_or_else(|| self.settle(), |id| self.check_file(id))?;
        super::search_index::search(self, search, &|look| look(self.reads()))
    }

    fn actions(&self, id: &str) -> Result<Vec<Action>> {
        self.check_open()?;
        self.check_file(id)?;
        self.reads().actions(id)
    }

    fn removed(&self, id: &str) -> Result<Option<Tombstone>> {
        self.check_open()?;
        Ok(self.reads().index().tombstone(id))
    }

    fn tombstones(&self) -> Result<Vec<Tombstone>> {
        self.check_open()?;
        Ok(self.reads().index().tombstones())
    }

    fn sync(&self) -> Result<()> {
        self.check_open()?;
        self.log.exclusively(None, |active, _| active.sync())
    }

    fn recovery(&self) -> RecoveryReport {
        self.external_changes.recovered(&self.log, self.is_closed())
    }

    fn refresh(&self) -> Result<Seq> {
        self.check_open()?;
        Ok(self.reads().index().next_seq() - 1)
    }

    fn stats(&self) -> Result<Stats> {
        self.check_open()?;
        self.settle()?;
        self.reads().look_at_held();
        let mut stats = stats::stats(self.reads());
        stats.compaction_error.clone_from(&locked(&self.compaction_error));
        if stats.compaction_error.is_none() && erase::is_under_way(&*self.reads().vfs, &self.reads().layout)?
        {
            stats.compaction_error = Some(UNFINISHED.to_owned());
        }
        stats.consumers = statuses(&*self.cursors()?, &|| Ok(stats.last_seq))?;
        Ok(stats)
    }

    fn compact(&self) -> Result<CompactionReport> {
        self.check_open()?;
        self.run_compaction()
    }

    fn accept(&self, id: &str) -> Result<Option<Receipt>> {
        self.accept_file(id)
    }

    fn verify(&self) -> Result<VerifyReport> {
        self.check_open()?;
        self.settle()?;
        // No compaction may move files from under the check.
        let _compaction = locked(&self.compaction);
        self.log.exclusively(None, |active, _| active.sync())?;
        steady_report(|| verify::verify(&*self.settings.vfs, &self.reads().layout))
    }

    fn export_aral(&self, to: &Path, ids: Option<&[String]>) -> Result<ExportReport> {
        self.check_open()?;
        self.settle()?;
        if let Some(outside) = &self.settings.outside {
            // What is written there is not sealed, and has the names that anybody would give it.
            return export(self, &**outside, to, ids);
        }
        let reads = self.reads();
        let epoch = |reads: &ReadState| reads.index().checkpoint().head().epoch;
        // A compaction of this store's own replaces files too.
        let renew = |old: &ReadState| Ok((epoch(reads) != epoch(old)).then(|| reads.copy()));
        Export { reads: reads.copy(), to, renew: &renew }.run(ids)
    }

    fn events(&self, from: Seq) -> Result<Vec<(Seq, Vec<Event>)>> {
        self.check_open()?;
        steady(|| events::events(self.reads(), from))
    }

    fn history(&self, id: &str) -> Result<History> {
        self.check_open()?;
        self.settle()?;
        steady(|| history(self.reads(), id))
    }

    fn kept_history(&self) -> Result<KeptHistory> {
        self.check_open()?;
        keep::kept(self.reads())
    }

    fn erasing(&self) -> Result<&dyn Erasing> {
        Ok(self)
    }

    fn keep_history(&self, keep: Keep) -> Result<KeptHistory> {
        // No compaction may rely on what was to be kept until now.
        let _compaction = locked(&self.compaction);
        self.check_open()?;
        keep::set_keep(self.reads(), keep, self.settings.clock.now_micros())
    }

    fn follow(&self, from: Seq) -> Result<Follower> {
        self.check_open()?;
        let reads = Arc::clone(&self.log.client().reads);
        let mut tail = Tail::new(&reads, from, Some(Arc::clone(&reads)));
        Ok(Follower::new(move || tail.next()))
    }

    fn cursors(&self) -> Result<Box<dyn Cursors + '_>> {
        self.check_open()?;
        let reads = Arc::clone(&self.log.client().reads);
        Ok(Box::new(DirectoryCursors::new(Arc::clone(&reads), Some(reads))))
    }

    fn leave(&self) -> Result<()> {
        // Order: before the lock, which may have been taken, for ever, by a thread that was not forked off too.
        self.check_process()?;
        let mut openings = locked(&self.openings);
        *openings = openings.saturating_sub(1);
        if *openings > 0 || self.is_closed() { Ok(()) } else { self.shut() }
    }

    fn close(&self) -> Result<()> {
        self.shut()
    }
}
