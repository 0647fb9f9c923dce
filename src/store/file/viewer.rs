//! A directory that is open for reading.
//!
//! Owns the retries beside a living writer. Writes nothing and takes no lock, so it works on a read-only
//! file system and never stands in a writer's way.

use std::path::Path;

use super::library::Library;
use super::open::{self, Opened};
use super::verify;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Action, CompactionReport, Conversation, Event, ExportReport, Message, Messages, Mutation, Order, Receipt,
    RecoveryReport, Seq, Stats, Summary, VerifyReport,
};
use crate::snapshot::layout::{self, Layout};
use crate::store::backend::Backend;
use crate::store::memory::arrange;
use crate::store::options::Options;

/// How often an opening looks again before it believes an error.
const ATTEMPTS: usize = 10;

/// A store in a directory, open for reading, as it was at the opening.
#[derive(Debug)]
pub(crate) struct Viewer {
    library: Library,
    report: RecoveryReport,
    options: Options,
}

impl Viewer {
    pub(crate) fn open(layout: Layout, options: Options) -> Result<Self> {
        if !is_a_store(&options, &layout)? {
            let reason = "there is no store in this directory";
            return Err(Error::new(ErrorKind::NotFound, reason).at(layout.root(), None));
        }
        let opened = steady(|| open::for_reading(&*options.vfs, &layout))?;
        let Opened { index, replayed, report, .. } = opened;
        let library = Library::new(std::sync::Arc::clone(&options.vfs), layout, index, replayed.segments);
        Ok(Self { library, report, options })
    }
}

/// Whether a directory holds anything that a store or the original leaves in one.
fn is_a_store(options: &Options, layout: &Layout) -> Result<bool> {
    for path in [layout.log(), layout.index_file(), layout.conversations()] {
        if layout::probe(&*options.vfs, &path)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Looks until two looks agree: a writer beside us removes segments after a compaction and writes the tail
/// while we read it, and what was so only for a moment is no damage.
fn steady<T>(look: impl Fn() -> Result<T>) -> Result<T> {
    let mut last: Option<String> = None;
    let mut result = look();
    for _ in 0..ATTEMPTS {
        let Err(error) = &result else { break };
        if !matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Io) {
            break;
        }
        let text = error.to_string();
        if last.as_ref() == Some(&text) {
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
        self.library.conversation(id)
    }

    fn summary(&self, id: &str) -> Result<Option<Summary>> {
        self.library.summary(id)
    }

    fn conversations(&self, order: Order, limit: Option<usize>) -> Result<Vec<Summary>> {
        Ok(arrange(self.library.index().summaries(), order, limit))
    }

    fn messages(&self, id: &str, selection: &Messages) -> Result<Vec<Message>> {
        self.library.messages(id, selection)
    }

    fn actions(&self, id: &str) -> Result<Vec<Action>> {
        self.library.actions(id)
    }

    fn sync(&self) -> Result<()> {
        Err(read_only())
    }

    fn recovery(&self) -> RecoveryReport {
        self.report.clone()
    }

    fn stats(&self) -> Result<Stats> {
        Ok(verify::stats(&self.library))
    }

    fn compact(&self) -> Result<CompactionReport> {
        Err(read_only())
    }

    fn verify(&self) -> Result<VerifyReport> {
        steady_report(|| verify::verify(&*self.options.vfs, &self.library.layout))
    }

    fn export_aral(&self, to: &Path, ids: Option<&[String]>) -> Result<ExportReport> {
        super::Export { library: &self.library, to }.run(ids)
    }

    fn events(&self, from: Seq) -> Result<Vec<(Seq, Vec<Event>)>> {
        verify::events(&self.library, from)
    }

    fn close(&self) -> Result<()> {
        Ok(())
    }
}
