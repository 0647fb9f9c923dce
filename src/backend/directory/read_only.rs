//! A directory that is open for reading.
//!
//! Owns the retries beside a living writer. Writes nothing and takes no lock, so it works on a read-only
//! file system and never stands in a writer's way.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::consumers::DirectoryCursors;
use super::copied_from;
use super::erase;
use super::events;
use super::export::Export;
use super::history::history;
use super::keep;
use super::messages::Lending;
use super::open;
use super::read_position::{Came, ReadPosition};
use super::reads::{Need, ReadState};
use super::stats;
use super::steady::{steady, steady_report};
use super::tail::Tail;
use super::verify;
use crate::backend::cursors::{Cursors, statuses};
use crate::backend::export::export;
use crate::backend::follow::Follower;
use crate::backend::locked::locked;
use crate::backend::settings::Settings;
use crate::backend::{Backend, Erasing, no_place};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::log::inventory::Inventory;
use crate::model::{
    Action, CompactionReport, Conversation, Conversations, CopyMark, Erasure, ErasureReport, Event,
    ExportReport, History, Keep, KeptHistory, KeptReceipt, Logged, Matched, Message, MessageRef, Messages,
    Mutation, Order, Receipt, RecoveryReport, RepairReport, Seq, Stats, Summary, TextRef, Tombstone,
    VerifyReport,
};
use crate::rules::Where;
use crate::snapshot::layout::{self, Layout};

/// How often an opening looks again before it believes an error.
const ATTEMPTS: usize = 10;

/// The log of a damaged store, of which only what proves itself is shown.
pub(super) trait DamagedLog: Send + Sync + std::fmt::Debug {
    /// The events from a sequence number on that prove themselves, by the numbers that they have in the log.
    fn events(&self, from: Seq) -> Result<Vec<(Seq, Vec<Event>)>>;

    /// The same as what a follower gives; what is missing between two of them, the opening has told.
    fn logged(&self, from: Seq) -> Result<VecDeque<Logged>>;

    /// What is wrong with the damaged store itself.
    fn verify(&self) -> Result<VerifyReport>;
}

/// A store in a directory, open for reading, as it was at the opening or at the newest refresh or, if the files of that
/// state have been replaced by a compaction since, as it is by now.
#[derive(Debug)]
pub(crate) struct ReadOnly {
    /// Replaced when a compaction has moved what it points to. A refresh that finds nothing but more frames takes them in
    /// in place; so whoever looks more than once at what has to be of one state looks at a copy.
    reads: RwLock<Arc<ReadState>>,
    /// What the opening found.
    report: RecoveryReport,
    /// Held over the index's lock, and over the one of `reads`.
    renewed: Mutex<Renewed>,
    settings: Settings,
    /// The log of the damaged store that this one was saved from.
    salvaged: Option<Box<dyn DamagedLog>>,
}

/// What a reader has come to since it was opened.
#[derive(Debug, Default)]
struct Renewed {
    /// How far it has come; nothing if a look must be taken anew.
    read_position: Option<ReadPosition>,
    /// What the last look found, if it was not the opening.
    report: Option<RecoveryReport>,
}

impl ReadOnly {
    pub(crate) fn open(layout: Layout, settings: Settings) -> Result<Self> {
        if !is_a_store(&settings, &layout)? {
            let reason = "there is no store in this directory";
            return Err(Error::new(ErrorKind::NotFound, reason).at(layout.root(), None));
        }
        let opened = steady(|| open::for_reading(&*settings.vfs, &layout))?;
        let mut report = opened.report.clone();
        let renewed = Mutex::new(Renewed { read_position: Some(ReadPosition::of(&opened)), report: None });
        let reads = ReadState::new(Arc::clone(&settings.vfs), layout, opened);
        reads.tell_held(&mut report.damaged);
        Ok(Self { reads: RwLock::new(Arc::new(reads)), report, renewed, settings, salvaged: None })
    }

    /// What the opening found.
    pub(super) fn found(&self) -> &RecoveryReport {
        &self.report
    }

    /// The same, of a store that was saved from a damaged one, whose log ends with this event.
    pub(super) fn of_salvage(self, log: Box<dyn DamagedLog>, salvage: RepairReport, last_seq: Seq) -> Self {
        let report = RecoveryReport { last_seq, salvage: Some(salvage), ..self.report };
        Self { report, salvaged: Some(log), ..self }
    }

    fn reads(&self) -> Arc<ReadState> {
        Arc::clone(&self.reads.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads, and reads from a newer state if a compaction has replaced the files of this one.
    fn read<T>(&self, mut read: impl FnMut(&ReadState) -> Result<T>) -> Result<T> {
        let mut reads = self.reads();
        for _ in 0..ATTEMPTS {
            let error = match read(&reads) {
                Err(error) if error.kind() == ErrorKind::Corrupt => error,
                result => return result,
            };
            reads = self.newer_than(&reads)?.ok_or(error)?;
        }
        read(&reads)
    }

    /// Takes in what was added behind the newest frame that was read, if that is all that has come; `false` if only
    /// another opening can say how the store is now.
    fn catch_up(&self) -> Result<bool> {
        // Held throughout: two that take in the same frames would take the second one's for damage.
        let mut renewed = locked(&self.renewed);
        let reads = self.reads();
        let Renewed { read_position: Some(read_position), report } = &mut *renewed else { return Ok(false) };
        let is_all = match read_position.look(&*self.settings.vfs, &reads.layout)? {
            Came::Nothing => return Ok(true),
            Came::Else => return Ok(false),
            Came::Frames => read_position.take_in(&reads)?,
        };
        let last_seq = reads.index().next_seq() - 1;
        let report = report.get_or_insert_with(|| self.report.clone());
        if last_seq > report.last_seq {
            report.events += last_seq - report.last_seq;
            // What seemed to be the rest of a write was the beginning of one.
            (report.last_seq, report.torn) = (last_seq, None);
        }
        Ok(is_all)
    }

    /// Goes over to the state that a compaction has left since; `None` if there was none.
    fn newer_than(&self, reads: &ReadState) -> Result<Option<Arc<ReadState>>> {
        let vfs = &*self.settings.vfs;
        let inventory = Inventory::take(vfs, &reads.layout.log()).unwrap_or_default();
        let newest = inventory.checkpoints.last().map_or(0, |(epoch, _)| *epoch);
        if newest <= reads.index().checkpoint().head().epoch {
            return Ok(None);
        }
        self.renew(&reads.layout).map(Some)
    }

    /// Goes over to the state that the store is in now.
    fn renew(&self, layout: &Layout) -> Result<Arc<ReadState>> {
        // Held meanwhile: of two that renew, the one that looked later must not be overtaken.
        let mut renewed = locked(&self.renewed);
        let opened = steady(|| open::for_reading(&*self.settings.vfs, layout))?;
        let (read_position, mut report) = (ReadPosition::of(&opened), opened.report.clone());
        let reads = Arc::new(ReadState::new(Arc::clone(&self.settings.vfs), layout.clone(), opened));
        reads.tell_held(&mut report.damaged);
        *renewed = Renewed { read_position: Some(read_position), report: Some(report) };
        *self.reads.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&reads);
        Ok(reads)
    }
}

/// Whether a directory holds anything that a store or the original leaves in one.
pub(super) fn is_a_store(settings: &Settings, layout: &Layout) -> Result<bool> {
    for path in [layout.log(), layout.index_file(), layout.conversations()] {
        if layout::probe(&*settings.vfs, &path)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read_only() -> Error {
    Error::new(ErrorKind::ReadOnly, "the store is open for reading only")
}

impl Erasing for ReadOnly {
    fn erasable(&self, what: &Erasure) -> Result<ErasureReport> {
        Ok(erase::plan(&self.reads(), what)?.0)
    }

    fn erase(&self, _what: &Erasure) -> Result<ErasureReport> {
        Err(read_only())
    }

    fn matching(&self, conditions: &Where) -> Result<Matched> {
        erase::matching(&self.reads(), conditions)
    }

    fn receipts(&self) -> Result<Vec<KeptReceipt>> {
        erase::kept_receipts(&*self.settings.vfs, &self.reads().layout)
    }

    fn remnants(&self, receipt: &str, also: &[PathBuf]) -> Result<Vec<Place>> {
        erase::remnants(&self.reads(), receipt, also)
    }
}

impl Backend for ReadOnly {
    fn append(&self, _batch: Vec<Mutation>) -> Result<Vec<Receipt>> {
        Err(read_only())
    }

    fn conversation(&self, id: &str) -> Result<Option<Conversation>> {
        self.read(|reads| reads.conversation(id))
    }

    fn conversation_without_messages(&self, id: &str) -> Result<Option<Conversation>> {
        self.read(|reads| reads.conversation_with(id, Need::Actions))
    }

    fn summary(&self, id: &str) -> Result<Option<Summary>> {
        self.reads().summary(id)
    }

    fn conversations(&self, order: Order, limit: Option<usize>) -> Result<Vec<Summary>> {
        Ok(self.reads().index().summaries(order, limit))
    }

    fn list(&self, selection: &Conversations) -> Result<Vec<Summary>> {
        let listed = self.reads().index().summaries_after(selection);
        listed.ok_or_else(|| no_place(selection.after.as_ref().map_or("", |after| &after.id)))
    }

    fn messages(&self, id: &str, selection: &Messages) -> Result<Vec<Message>> {
        self.read(|reads| reads.messages(id, selection))
    }

    fn message(&self, id: &str, message_id: TextRef<'_>) -> Result<Option<Message>> {
        self.read(|reads| reads.message(id, message_id))
    }

    fn for_each_message(
        &self,
        id: &str,
        selection: &Messages,
        each: &mut dyn FnMut(MessageRef<'_>),
    ) -> Result<()> {
        let mut lending = Lending::default();
        self.read(|reads| reads.lend_messages(id, selection, &mut lending, each))
    }

    #[cfg(feature = "sqlite")]
    fn search(&self, search: &crate::model::Search) -> Result<Vec<crate::model::Found>> {
        // What is saved of a damaged store is not what an index was made of.
        let looked = |look: &mut dyn FnMut(&ReadState)| {
            if self.salvaged.is_none() {
                look(&self.reads());
            }
        };
        super::search_index::search(self, search, &looked)
    }

    fn actions(&self, id: &str) -> Result<Vec<Action>> {
        self.read(|reads| reads.actions(id))
    }

    fn removed(&self, id: &str) -> Result<Option<Tombstone>> {
        Ok(self.reads().index().tombstone(id))
    }

    fn tombstones(&self) -> Result<Vec<Tombstone>> {
        Ok(self.reads().index().tombstones())
    }

    fn sync(&self) -> Result<()> {
        Err(read_only())
    }

    fn recovery(&self) -> RecoveryReport {
        locked(&self.renewed).report.clone().unwrap_or_else(|| self.report.clone())
    }

    fn refresh(&self) -> Result<Seq> {
        if self.salvaged.is_some() {
            return Ok(self.report.last_seq);
        }
        if !self.catch_up()? {
            self.renew(&self.reads().layout)?;
        }
        let next_seq = self.reads().index().next_seq();
        Ok(next_seq - 1)
    }

    fn stats(&self) -> Result<Stats> {
        let reads = self.reads();
        reads.look_at_held();
        let mut stats = stats::stats(&reads);
        // What is saved of a damaged store has none.
        if let Ok(cursors) = self.cursors() {
            stats.consumers = statuses(&*cursors, &|| Ok(stats.last_seq))?;
        }
        Ok(stats)
    }

    fn compact(&self) -> Result<CompactionReport> {
        Err(read_only())
    }

    fn accept(&self, _id: &str) -> Result<Option<Receipt>> {
        Err(read_only())
    }

    fn verify(&self) -> Result<VerifyReport> {
        if let Some(log) = &self.salvaged {
            return log.verify();
        }
        steady_report(|| verify::verify(&*self.settings.vfs, &self.reads().layout))
    }

    fn export_aral(&self, to: &Path, ids: Option<&[String]>) -> Result<ExportReport> {
        if let Some(outside) = &self.settings.outside {
            // What is written there is not sealed, and has the names that anybody would give it.
            return export(self, &**outside, to, ids);
        }
        // What a compaction has replaced already would be found replaced only in the middle of the work.
        let reads = self.reads();
        let reads = self.newer_than(&reads)?.unwrap_or(reads).copy();
        let renew = |reads: &ReadState| Ok(self.newer_than(reads)?.map(|newer| newer.copy()));
        Export { reads, to, renew: &renew }.run(ids)
    }

    fn events(&self, from: Seq) -> Result<Vec<(Seq, Vec<Event>)>> {
        match &self.salvaged {
            Some(log) => log.events(from),
            None => steady(|| events::events(&self.reads(), from)),
        }
    }

    fn history(&self, id: &str) -> Result<History> {
        if self.salvaged.is_some() {
            let reason = "the past of a damaged store cannot be put together; its events prove themselves one by one, \
                          and `log` without a conversation gives those that do";
            return Err(Error::new(ErrorKind::Unsupported, reason));
        }
        steady(|| history(&self.reads(), id))
    }

    fn kept_history(&self) -> Result<KeptHistory> {
        keep::kept(&self.reads())
    }

    fn erasing(&self) -> Result<&dyn Erasing> {
        Ok(self)
    }

    fn keep_history(&self, _keep: Keep) -> Result<KeptHistory> {
        Err(read_only())
    }

    fn follow(&self, from: Seq) -> Result<Follower> {
        if let Some(log) = &self.salvaged {
            let mut logged = log.logged(from)?;
            return Ok(Follower::new(move || Ok(logged.pop_front())));
        }
        let mut tail = Tail::new(&self.reads(), from, None);
        Ok(Follower::new(move || tail.next()))
    }

    fn cursors(&self) -> Result<Box<dyn Cursors + '_>> {
        if self.salvaged.is_some() {
            let reason =
                "a damaged store is only looked at, and nothing of it is acknowledged; repair it first";
            return Err(Error::new(ErrorKind::Unsupported, reason));
        }
        Ok(Box::new(DirectoryCursors::new(self.reads(), None)))
    }

    fn identity(&self) -> Result<Option<String>> {
        Ok(copied_from::identity(&self.reads()))
    }

    fn copied_from(&self) -> Result<Option<CopyMark>> {
        copied_from::read(&self.reads())
    }

    fn close(&self) -> Result<()> {
        self.reads().file_cache.let_go();
        Ok(())
    }
}
