//! A directory that is open for reading.
//!
//! Owns the retries beside a living writer. Writes nothing and takes no lock, so it works on a read-only
//! file system and never stands in a writer's way.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::engine::locked;
use super::library::{Library, Need};
use super::messages::Lending;
use super::open;
use super::reach::{Came, Reach};
use super::repair::SalvagedLog;
use super::size;
use super::tail::Tail;
use super::verify;
use crate::error::{Error, ErrorKind, Result};
use crate::log::inventory::Inventory;
use crate::model::{
    Action, CompactionReport, Conversation, Conversations, Event, ExportReport, Message, MessageRef,
    Messages, Mutation, Order, Receipt, RecoveryReport, RepairReport, Seq, Stats, Summary, TextRef,
    Tombstone, VerifyReport,
};
use crate::snapshot::layout::{self, Layout};
use crate::store::backend::{Backend, no_place};
use crate::store::follow::Follower;
use crate::store::options::Options;

/// How often an opening looks again before it believes an error.
const ATTEMPTS: usize = 10;

/// A store in a directory, open for reading, as it was at the opening or, if the files of that state have been
/// replaced by a compaction since, as it is by now.
#[derive(Debug)]
pub(crate) struct Viewer {
    /// Replaced when a compaction has moved what it points to.
    library: RwLock<Arc<Library>>,
    /// What the opening found.
    report: RecoveryReport,
    renewed: Mutex<Renewed>,
    options: Options,
    /// The log of the damaged store that this one was saved from.
    salvaged: Option<SalvagedLog>,
}

/// What a reader has come to since it was opened.
#[derive(Debug, Default)]
struct Renewed {
    /// How far it has come; nothing if a look must be taken anew.
    reach: Option<Reach>,
    /// What the last look found, if it was not the opening.
    report: Option<RecoveryReport>,
}

impl Viewer {
    pub(crate) fn open(layout: Layout, options: Options) -> Result<Self> {
        if !is_a_store(&options, &layout)? {
            let reason = "there is no store in this directory";
            return Err(Error::new(ErrorKind::NotFound, reason).at(layout.root(), None));
        }
        let opened = steady(|| open::for_reading(&*options.vfs, &layout))?;
        let mut report = opened.report.clone();
        let renewed = Mutex::new(Renewed { reach: Some(Reach::of(&opened)), report: None });
        let library = Library::new(Arc::clone(&options.vfs), layout, opened);
        library.tell_held(&mut report.damaged);
        Ok(Self { library: RwLock::new(Arc::new(library)), report, renewed, options, salvaged: None })
    }

    /// What the opening found.
    pub(super) fn found(&self) -> &RecoveryReport {
        &self.report
    }

    /// The same, of a store that was saved from a damaged one, whose log ends with this event.
    pub(super) fn of_salvage(self, log: SalvagedLog, salvage: RepairReport, last_seq: Seq) -> Self {
        let report = RecoveryReport { last_seq, salvage: Some(salvage), ..self.report };
        Self { report, salvaged: Some(log), ..self }
    }

    fn library(&self) -> Arc<Library> {
        Arc::clone(&self.library.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads, and reads from a newer state if a compaction has replaced the files of this one.
    fn read<T>(&self, mut read: impl FnMut(&Library) -> Result<T>) -> Result<T> {
        let mut library = self.library();
        for _ in 0..ATTEMPTS {
            let error = match read(&library) {
                Err(error) if error.kind() == ErrorKind::Corrupt => error,
                result => return result,
            };
            library = self.newer_than(&library)?.ok_or(error)?;
        }
        read(&library)
    }

    /// Takes in what was added behind the newest frame that was read, if that is all that has come; `false` if only
    /// another opening can say how the store is now.
    fn catch_up(&self) -> Result<bool> {
        // Held throughout: two that take in the same frames would take the second one's for damage.
        let mut renewed = locked(&self.renewed);
        let library = self.library();
        let Renewed { reach: Some(reach), report } = &mut *renewed else { return Ok(false) };
        let is_all = match reach.look(&*self.options.vfs, &library.layout)? {
            Came::Nothing => return Ok(true),
            Came::Else => return Ok(false),
            Came::Frames => reach.take_in(&library)?,
        };
        let last_seq = library.index().next_seq() - 1;
        let report = report.get_or_insert_with(|| self.report.clone());
        if last_seq > report.last_seq {
            report.events += last_seq - report.last_seq;
            // What seemed to be the rest of a write was the beginning of one.
            (report.last_seq, report.torn) = (last_seq, None);
        }
        Ok(is_all)
    }

    /// Goes over to the state that a compaction has left since; `None` if there was none.
    fn newer_than(&self, library: &Library) -> Result<Option<Arc<Library>>> {
        let vfs = &*self.options.vfs;
        let inventory = Inventory::take(vfs, &library.layout.log()).unwrap_or_default();
        let newest = inventory.checkpoints.last().map_or(0, |(epoch, _)| *epoch);
        if newest <= library.index().checkpoint().head().epoch {
            return Ok(None);
        }
        self.renew(&library.layout).map(Some)
    }

    /// Goes over to the state that the store is in now.
    fn renew(&self, layout: &Layout) -> Result<Arc<Library>> {
        // Held meanwhile: of two that renew, the one that looked later must not be overtaken.
        let mut renewed = locked(&self.renewed);
        let opened = steady(|| open::for_reading(&*self.options.vfs, layout))?;
        let (reach, mut report) = (Reach::of(&opened), opened.report.clone());
        let library = Arc::new(Library::new(Arc::clone(&self.options.vfs), layout.clone(), opened));
        library.tell_held(&mut report.damaged);
        *renewed = Renewed { reach: Some(reach), report: Some(report) };
        *self.library.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&library);
        Ok(library)
    }
}

/// Whether a directory holds anything that a store or the original leaves in one.
pub(super) fn is_a_store(options: &Options, layout: &Layout) -> Result<bool> {
    for path in [layout.log(), layout.index_file(), layout.conversations()] {
        if layout::probe(&*options.vfs, &path)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Looks until two looks agree: a writer beside us removes segments after a compaction and writes the tail
/// while we read it, and what was so only for a moment is no damage.
pub(super) fn steady<T>(look: impl Fn() -> Result<T>) -> Result<T> {
    let mut last: Option<String> = None;
    let mut result = look();
    for _ in 0..ATTEMPTS {
        let Err(error) = &result else { break };
        if !matches!(
            error.kind(),
            ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Io | ErrorKind::Conflict
        ) {
            break;
        }
        let text = error.to_string();
        // A conflict with a compaction says that another look is needed, however often.
        if last.as_ref() == Some(&text) && error.kind() != ErrorKind::Conflict {
            break;
        }
        last = Some(text);
        result = look();
    }
    result
}

/// Verifies until two verdicts agree, for the same reason.
pub(super) fn steady_report(look: impl Fn() -> Result<VerifyReport>) -> Result<VerifyReport> {
    let mut report = steady(&look)?;
    for _ in 0..ATTEMPTS {
        if report.is_sound() {
            break;
        }
        let again = steady(&look)?;
        let is_confirmed = again.damaged == report.damaged;
        report = again;
        if is_confirmed {
            break;
        }
    }
    Ok(report)
}

fn read_only() -> Error {
    Error::new(ErrorKind::ReadOnly, "the store is open for reading only")
}

impl Backend for Viewer {
    fn append(&self, _batch: Vec<Mutation>) -> Result<Vec<Receipt>> {
        Err(read_only())
    }

    fn conversation(&self, id: &str) -> Result<Option<Conversation>> {
        self.read(|library| library.conversation(id))
    }

    fn conversation_without_messages(&self, id: &str) -> Result<Option<Conversation>> {
        self.read(|library| library.conversation_with(id, Need::Actions))
    }

    fn summary(&self, id: &str) -> Result<Option<Summary>> {
        self.library().summary(id)
    }

    fn conversations(&self, order: Order, limit: Option<usize>) -> Result<Vec<Summary>> {
        Ok(self.library().index().summaries(order, limit))
    }

    fn list(&self, selection: &Conversations) -> Result<Vec<Summary>> {
        let listed = self.library().index().summaries_after(selection);
        listed.ok_or_else(|| no_place(selection.after.as_ref().map_or("", |after| &after.id)))
    }

    fn messages(&self, id: &str, selection: &Messages) -> Result<Vec<Message>> {
        self.read(|library| library.messages(id, selection))
    }

    fn message(&self, id: &str, message_id: TextRef<'_>) -> Result<Option<Message>> {
        self.read(|library| library.message(id, message_id))
    }

    fn for_each_message(
        &self,
        id: &str,
        selection: &Messages,
        each: &mut dyn FnMut(MessageRef<'_>),
    ) -> Result<()> {
        let mut lending = Lending::default();
        self.read(|library| library.lend_messages(id, selection, &mut lending, each))
    }

    fn actions(&self, id: &str) -> Result<Vec<Action>> {
        self.read(|library| library.actions(id))
    }

    fn removed(&self, id: &str) -> Result<Option<Tombstone>> {
        Ok(self.library().index().tombstone(id))
    }

    fn tombstones(&self) -> Result<Vec<Tombstone>> {
        Ok(self.library().index().tombstones())
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
            self.renew(&self.library().layout)?;
        }
        let next_seq = self.library().index().next_seq();
        Ok(next_seq - 1)
    }

    fn stats(&self) -> Result<Stats> {
        let library = self.library();
        library.look_at_held();
        Ok(size::stats(&library))
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
        steady_report(|| verify::verify(&*self.options.vfs, &self.library().layout))
    }

    fn export_aral(&self, to: &Path, ids: Option<&[String]>) -> Result<ExportReport> {
        // An export is of one state, and what a compaction has replaced would count as damaged in it.
        let library = self.library();
        let library = self.newer_than(&library)?.unwrap_or(library);
        super::Export { library, to, renew: &|library| self.newer_than(library) }.run(ids)
    }

    fn events(&self, from: Seq) -> Result<Vec<(Seq, Vec<Event>)>> {
        match &self.salvaged {
            Some(log) => log.events(from),
            None => steady(|| verify::events(&self.library(), from)),
        }
    }

    fn follow(&self, from: Seq) -> Result<Follower> {
        if let Some(log) = &self.salvaged {
            let mut logged = log.logged(from)?;
            return Ok(Follower::new(move || Ok(logged.pop_front())));
        }
        let mut tail = Tail::new(&self.library(), from, None);
        Ok(Follower::new(move || tail.next()))
    }

    fn close(&self) -> Result<()> {
        self.library().kept.let_go();
        Ok(())
    }
}
