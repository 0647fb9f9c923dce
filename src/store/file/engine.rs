//! A directory that is open for writing.
//!
//! Owns the log, the lock and the life of the store, and answers as a [`Backend`].

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::background::{self, Background};
use super::compaction::Compaction;
use super::completeness::{MarkerFile, remove_marker, write_marker};
use super::library::{Library, Need};
use super::messages::Lending;
use super::open;
use super::outside::Outside;
use super::shown::Shown;
use super::size;
use super::tail::Tail;
use super::verify;
use super::viewer;
use super::wait;
use crate::codec::marker::Marker;
use crate::codec::segment::Previous;
use crate::error::{Error, ErrorKind, Result};
use crate::index::Pending;
use crate::log::claim::{Claim, Fenced, Right};
use crate::log::{Active, Limits, Log, Start};
use crate::model::{
    Action, CompactionReport, Conversation, Conversations, Event, ExportReport, Message, MessageRef,
    Messages, Mutation, Order, Receipt, RecoveryReport, Seq, Stats, Summary, TextRef, Tombstone,
    VerifyReport,
};
use crate::snapshot::layout::{self, Layout};
use crate::store::backend::{Backend, no_place};
use crate::store::clock::{now_micros, random_id, random_salt};
use crate::store::follow::Follower;
use crate::store::options::Options;
use crate::vfs::Vfs;

/// A store in a directory, open for writing.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(super) options: Options,
    pub(super) log: Log<Shown>,
    pub(super) compaction: Mutex<Compaction>,
    /// Why the last compaction failed.
    pub(super) compaction_error: Mutex<Option<String>>,
    pub(super) background: Arc<Background>,
    pub(super) outside: Outside,
    /// Whether there is a marker; the lock is for whoever makes it.
    is_marked: AtomicBool,
    marking: Mutex<()>,
    pub(super) claim: Arc<Claim>,
    is_closed: AtomicBool,
    /// How many openings share it.
    openings: Mutex<usize>,
    /// Whose it is. A process that was forked off has a copy, with none of its threads and somebody else's lock.
    process: u32,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// Takes the lock, recovers, and starts what runs in the background.
    pub(crate) fn open(layout: Layout, options: Options) -> Result<Arc<Self>> {
        let vfs = Arc::clone(&options.vfs);
        let log_dir = layout.log();
        if layout::ensure_dir(&*vfs, &log_dir)? {
            layout::sync_dir(&*vfs, layout.root())?;
        }
        let claim = Arc::new(wait::claim(&*vfs, &layout, options.wait)?);
        // Order: the claim before anything is read. What a writer adds that it overtakes is read then, or that writer
        // finds the claim before it says that anything was added.
        let vfs: Arc<dyn Vfs> = Arc::new(Fenced::new(vfs, layout.root(), Arc::clone(&claim)));
        let opened = open::for_writing(&*vfs, &layout, random_id())?;
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
            limits: Limits { first_segment: options.first_segment_bytes, segment: options.segment_bytes },
            checkpoint_epoch: head.epoch,
            right: Arc::<Claim>::clone(&claim),
        };
        let own = opened.replayed.segments.iter().filter(|s| s.header.number >= head.first_segment);
        let log_bytes = own.filter_map(|s| s.file.metadata().ok()).map(|m| m.len).sum();
        let next_seq = opened.replayed.next_seq;
        let outside = Outside::new(opened.report.clone(), opened.is_settled);
        let is_marked = matches!(opened.marker, MarkerFile::Found(_));
        let library = Arc::new(Library::new(vfs, layout, opened));
        let shown =
            Shown { library, log_bytes: AtomicU64::new(log_bytes), compaction_floor: AtomicU64::new(0) };
        let active = Active::new(start, random_salt, now_micros);
        // What was read is no older than this.
        claim.check()?;
        let engine = Arc::new(Self {
            log: Log::new(shown, Pending::default(), active, next_seq),
            compaction: Mutex::default(),
            compaction_error: Mutex::default(),
            background: Arc::default(),
            outside,
            is_marked: AtomicBool::new(is_marked),
            marking: Mutex::default(),
            claim,
            is_closed: AtomicBool::new(false),
            openings: Mutex::default(),
            process: std::process::id(),
            options,
        });
        background::start(&engine);
        Ok(engine)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    pub(super) fn library(&self) -> &Library {
        &self.log.client().library
    }

    pub(super) fn check_open(&self) -> Result<()> {
        if self.is_closed() { Err(closed()) } else { Ok(()) }
    }

    /// Counts another opening; `false` if the store has ended, for which this waits if it is about to.
    pub(crate) fn enter(&self) -> bool {
        let mut openings = locked(&self.openings);
        if self.is_closed() {
            return false;
        }
        *openings += 1;
        true
    }

    /// Whether this is still the store of its directory. One that was removed and made anew since has another store, and
    /// whoever opens the path means that one.
    pub(crate) fn is_in_place(&self) -> bool {
        self.claim.check().is_ok()
    }

    /// Makes sure that the marker says that there is a log to the JSON files, before it holds more than they do.
    pub(super) fn mark(&self) -> Result<()> {
        if self.is_marked.load(Ordering::Acquire) {
            return Ok(());
        }
        let _marking = locked(&self.marking);
        if self.is_marked.load(Ordering::Acquire) {
            return Ok(());
        }
        let library = self.library();
        let marker = {
            let index = library.index();
            let (store_id, checkpoint_epoch) =
                (index.checkpoint().head().store_id, index.checkpoint().head().epoch);
            Marker { store_id, checkpoint_epoch, last_seq: index.next_seq() - 1 }
        };
        write_marker(&*library.vfs, &library.layout, &marker)?;
        self.is_marked.store(true, Ordering::Release);
        Ok(())
    }

    /// Takes the marker away if the JSON files are all there is.
    fn unmark(&self) {
        let library = self.library();
        let is_all_in_files = {
            let index = library.index();
            index.dirty_count() == 0 && index.checkpoint().head().covered_seq + 1 == index.next_seq()
        };
        if is_all_in_files && self.is_marked.load(Ordering::Acquire) {
            // One that stays is right, too, as long as the log is there.
            remove_marker(&*library.vfs, &library.layout).ok();
        }
    }

    /// Refuses what only the process that opened the store may do.
    fn check_process(&self) -> Result<()> {
        if self.process == std::process::id() {
            return Ok(());
        }
        let reason = "the store is that of the process that this one was forked off from";
        Err(Error::new(ErrorKind::Failed, reason))
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
        if self.options.compacts_on_close {
            compacted = self.compact_with(&mut compaction).and_then(|report| all_were_written(&report));
        } else if self.has_many_small_segments() {
            // Nobody has asked for it. What keeps it from being done keeps the log, and the next closing tries again.
            self.compact_with(&mut compaction).ok();
        }
        let sealed = self.log.exclusively(Some(closed()), |active, _| active.close());
        if sealed.is_ok() && compaction.is_published() {
            self.unmark();
        }
        self.background.stop();
        self.library().kept.let_go();
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

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store was closed")
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

    fn conversation(&self, id: &str) -> Result<Option<Conversation>> {
        self.check_open()?;
        self.look_at(id)?;
        self.library().conversation(id)
    }

    fn conversation_without_messages(&self, id: &str) -> Result<Option<Conversation>> {
        self.check_open()?;
        self.look_at(id)?;
        self.library().conversation_with(id, Need::Actions)
    }

    fn summary(&self, id: &str) -> Result<Option<Summary>> {
        self.check_open()?;
        self.look_at(id)?;
        self.library().summary(id)
    }

    fn conversations(&self, order: Order, limit: Option<usize>) -> Result<Vec<Summary>> {
        self.check_open()?;
        self.settle()?;
        Ok(self.library().index().summaries(order, limit))
    }

    fn list(&self, selection: &Conversations) -> Result<Vec<Summary>> {
        self.check_open()?;
        self.settle()?;
        let listed = self.library().index().summaries_after(selection);
        listed.ok_or_else(|| no_place(selection.after.as_ref().map_or("", |after| &after.id)))
    }

    fn messages(&self, id: &str, selection: &Messages) -> Result<Vec<Message>> {
        self.check_open()?;
        self.look_at(id)?;
        self.library().messages(id, selection)
    }

    fn message(&self, id: &str, message_id: TextRef<'_>) -> Result<Option<Message>> {
        self.check_open()?;
        self.look_at(id)?;
        self.library().message(id, message_id)
    }

    fn for_each_message(
        &self,
        id: &str,
        selection: &Messages,
        each: &mut dyn FnMut(MessageRef<'_>),
    ) -> Result<()> {
        self.check_open()?;
        self.look_at(id)?;
        self.library().lend_messages(id, selection, &mut Lending::default(), each)
    }

    fn actions(&self, id: &str) -> Result<Vec<Action>> {
        self.check_open()?;
        self.look_at(id)?;
        self.library().actions(id)
    }

    fn removed(&self, id: &str) -> Result<Option<Tombstone>> {
        self.check_open()?;
        Ok(self.library().index().tombstone(id))
    }

    fn tombstones(&self) -> Result<Vec<Tombstone>> {
        self.check_open()?;
        Ok(self.library().index().tombstones())
    }

    fn sync(&self) -> Result<()> {
        self.check_open()?;
        self.log.exclusively(None, |active, _| active.sync())
    }

    fn recovery(&self) -> RecoveryReport {
        self.recovered()
    }

    fn refresh(&self) -> Result<Seq> {
        self.check_open()?;
        Ok(self.library().index().next_seq() - 1)
    }

    fn stats(&self) -> Result<Stats> {
        self.check_open()?;
        self.settle()?;
        self.library().look_at_held();
        let mut stats = size::stats(self.library());
        stats.compaction_error.clone_from(&locked(&self.compaction_error));
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
        viewer::steady_report(|| verify::verify(&*self.options.vfs, &self.library().layout))
    }

    fn export_aral(&self, to: &Path, ids: Option<&[String]>) -> Result<ExportReport> {
        self.check_open()?;
        self.settle()?;
        let library = Arc::clone(&self.log.client().library);
        super::Export { library, to, renew: &|_| Ok(None) }.run(ids)
    }

    fn events(&self, from: Seq) -> Result<Vec<(Seq, Vec<Event>)>> {
        self.check_open()?;
        viewer::steady(|| verify::events(self.library(), from))
    }

    fn follow(&self, from: Seq) -> Result<Follower> {
        self.check_open()?;
        let library = Arc::clone(&self.log.client().library);
        let mut tail = Tail::new(&library, from, Some(Arc::clone(&library)));
        Ok(Follower::new(move || tail.next()))
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
