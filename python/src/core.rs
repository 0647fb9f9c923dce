//! The native class `Core`: one handle to one store.
//!
//! Owns how calls are put to the store and how answers come back. What Python programs see of it is in the package.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aral_store::{
    At, Batch, Conversations, Durability, Fork, Keep, ListCursor, Message, MessageStore, Messages, Mutation,
    Options, Order, Receipt, Result, Summary, SyncPolicy, Timestamp, UniqueIds,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::failure::{forked, invalid, raised};
use crate::follower::Follower;
use crate::items::{self, Unfinished};
use crate::key::key_of;
use crate::place::{Open, Place};
use crate::report;
use crate::text::{id_of, string_of, text_of};

/// One handle to one store. It is given up by `close`; the store itself ends with its last handle.
#[pyclass(frozen, module = "aral_store._core")]
pub(crate) struct Core {
    store: Mutex<Option<MessageStore>>,
    is_read_only: bool,
    /// The process that opened it, unless it is in memory. A process that was forked off has a copy without the threads, and
    /// with every mutex as it was at that moment, so that nothing of it may be touched.
    process: Option<u32>,
    /// That the database is open, if it is in one and was not closed.
    open: Mutex<Option<Arc<Open>>>,
    /// Where it is from the root on, if it is in a directory: the current one may be another one by and by.
    dir: Option<PathBuf>,
}

impl Drop for Core {
    fn drop(&mut self) {
        let store = self.store.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner);
        Open::let_go(open.as_ref(), store);
    }
}

pub(crate) type ReceiptRow<'py> = (u64, String, Bound<'py, PyString>, u64, &'static str);
type SummaryRow<'py> = (String, Bound<'py, PyString>, String, u64, u64, u64, String, u64);

/// Ids, roles and contents of messages, and the metadata as JSON arrays.
type Columns<'py> =
    (Vec<Bound<'py, PyString>>, Vec<Bound<'py, PyString>>, Vec<Bound<'py, PyString>>, Vec<String>);

/// The metadata of so many messages are one JSON array: enough that it costs little, and few enough that what is read only
/// to be taken apart is gone before the interpreter's collector counts it.
const METADATA_TOGETHER: usize = 64;

/// `first`, `last`, `place`, `before`, `after`, `role`, `since` and `until` of a selection, and whether it is by turns.
type Selection<'py> = (
    Option<usize>,
    Option<usize>,
    Option<u64>,
    Option<Bound<'py, PyString>>,
    Option<Bound<'py, PyString>>,
    Option<Bound<'py, PyString>>,
    Option<String>,
    Option<String>,
    bool,
);

impl Core {
    /// Refuses whatever a process that was forked off asks of its parent's store.
    fn check_process(&self, py: Python<'_>) -> PyResult<()> {
        match self.process {
            Some(opened) if opened != std::process::id() => Err(forked(py, opened)),
            _ => Ok(()),
        }
    }

    /// A handle for the length of one call, which `close` in another thread does not take away.
    fn handle(&self) -> Result<MessageStore> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store
            .clone()
            .ok_or_else(|| aral_store::Error::new(aral_store::ErrorKind::Closed, "the store was closed"))
    }

    /// Does something with the store while the interpreter goes on.
    pub(crate) fn detached<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(MessageStore) -> Result<T> + Send,
    ) -> PyResult<T> {
        self.check_process(py)?;
        py.detach(|| self.handle().and_then(work)).map_err(|error| raised(py, &error))
    }

    /// Does something with the directory that the store is in, which is open, while the interpreter goes on.
    pub(crate) fn beside<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Path) -> Result<T> + Send,
    ) -> PyResult<T> {
        self.detached(py, |_store| {
            let reason = "an index beside the log is for a store in a directory; SQLite and PostgreSQL have one of their own, which searches bring \
                          up to date";
            let dir = self.dir.as_deref();
            work(dir.ok_or_else(|| aral_store::Error::new(aral_store::ErrorKind::Unsupported, reason))?)
        })
    }

    /// The process that opened it, and that its database is open, for what goes on reading beside it.
    pub(crate) fn opened(&self) -> (Option<u32>, Option<Arc<Open>>) {
        (self.process, self.open.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// A selection of messages.
    fn found(
        &self,
        py: Python<'_>,
        id: &Bound<'_, PyString>,
        selection: Selection<'_>,
    ) -> PyResult<Vec<Message>> {
        let (id, selection) = (id_of(id)?, selected(py, selection)?);
        self.detached(py, |store| store.messages(&id, selection))
    }
}

#[pymethods]
impl Core {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "Python hands them over by name")]
    #[pyo3(signature = (path, *, sync, read_only, compact_above, unique_ids, salvage=false, wait=0.0, keep=None, key=None))]
    fn new(
        py: Python<'_>,
        path: Option<PathBuf>,
        sync: SyncArgument,
        read_only: bool,
        compact_above: Option<u64>,
        unique_ids: Option<&str>,
        salvage: bool,
        wait: f64,
        keep: Option<&str>,
        key: Option<&[u8]>,
    ) -> PyResult<Self> {
        let patience = Duration::try_from_secs_f64(wait)
            .map_err(|_| invalid(py, "wait must be a number of seconds, 0 or above"))?;
        let mut options = Options::default().sync(sync.policy(py)?).unique_ids(match unique_ids {
            None => UniqueIds::Off,
            Some("refuse") => UniqueIds::Refuse,
            Some("existing") => UniqueIds::Existing,
            Some(_) => return Err(invalid(py, "unique_ids must be \"refuse\", \"existing\" or None")),
        });
        options = options.wait(patience);
        if let Some(keep) = keep {
            let reason = "keep must be \"everything\", \"nothing\", a span such as \"30d\", a size such as \"256MiB\", or both, \"30d,256MiB\", for whichever is more";
            options = options.keep(Keep::parse(keep).ok_or_else(|| invalid(py, reason))?);
        }
        if let Some(key) = key {
            options = options.key(key_of(key).map_err(|error| raised(py, &error))?);
        }
        if read_only {
            options = options.read_only();
        }
        if salvage {
            options = options.salvage();
        }
        options = match compact_above {
            Some(bytes) => options.compact_above(bytes),
            None => options.compact_manually(),
        };
        let process = path.is_some().then(std::process::id);
        let place = path.map(Place::of).transpose().map_err(|error| raised(py, &error))?;
        let dir = place.as_ref().and_then(Place::dir).transpose().map_err(|error| raised(py, &error))?;
        let (store, open) = match place {
            Some(place) => place.open(py, options)?,
            None => (options.in_memory(), None),
        };
        Ok(Self {
            store: Mutex::new(Some(store)),
            is_read_only: read_only || salvage,
            process,
            open: Mutex::new(open),
            dir,
        })
    }

    /// Carries out the mutation of a line, or all or none of those in an array.
    fn append<'py>(&self, py: Python<'py>, line: &str) -> PyResult<Vec<ReceiptRow<'py>>> {
        let receipts = self.detached(py, |store| {
            let mutations = Mutation::from_json_line(line.as_bytes())?;
            store.batch(Batch::from(mutations))
        })?;
        receipts.iter().map(|receipt| receipt_row(py, receipt)).collect()
    }

    /// Carries out the one mutation of a line if a conversation has this version and this newest event, and gives its number, the id and the
    /// version of its receipt; `None` if it has not. Somebody else may still come between, which that version tells.
    fn append_known<'py>(
        &self,
        py: Python<'py>,
        line: &str,
        id: &Bound<'py, PyString>,
        known: (u64, u64),
    ) -> PyResult<Option<(u64, Bound<'py, PyString>, u64)>> {
        let id = id_of(id)?;
        let receipt = self.detached(py, |store| {
            let found = store.summary(&id)?.map(|summary| (summary.version, summary.last_seq));
            if found != Some(known) {
                return Ok(None);
            }
            Mutation::from_json_line(line.as_bytes())?.pop().map(|one| store.append(one)).transpose()
        })?;
        receipt.map(|receipt| Ok((receipt.seq, string_of(py, &receipt.id)?, receipt.version))).transpose()
    }

    /// Begins a conversation with the past of another one, up to a point of a kind, or all of it; with this id and title.
    fn fork<'py>(
        &self,
        py: Python<'py>,
        id: &Bound<'py, PyString>,
        point: Option<(&str, Bound<'py, PyString>)>,
        named: (Option<Bound<'py, PyString>>, Option<Bound<'py, PyString>>),
    ) -> PyResult<ReceiptRow<'py>> {
        let (mut fork, (new_id, title)) = (fork_at(py, point)?, named);
        fork.id = new_id.as_ref().map(id_of).transpose()?;
        fork.title = title.as_ref().map(text_of).transpose()?;
        let id = id_of(id)?;
        let receipt = self.detached(py, |store| store.fork(&id, fork))?;
        receipt_row(py, &receipt)
    }

    /// The conversation as a JSON object, in the layout's field order.
    fn conversation(&self, py: Python<'_>, id: &Bound<'_, PyString>) -> PyResult<Option<(String, u64)>> {
        let id = id_of(id)?;
        self.detached(py, |store| {
            let found = store.conversation(&id)?;
            Ok(found.map(|conversation| (conversation.to_json_line(), conversation.version)))
        })
    }

    /// A selection of messages as a JSON array.
    fn messages(
        &self,
        py: Python<'_>,
        id: &Bound<'_, PyString>,
        selection: Selection<'_>,
    ) -> PyResult<String> {
        let (id, selection) = (id_of(id)?, selected(py, selection)?);
        self.detached(py, |store| {
            let found = store.messages(&id, selection)?;
            Ok(array(found.iter().map(|message| message.to_json_line(None))))
        })
    }

    /// A selection of messages in columns: ids, roles, contents, and the metadata as JSON arrays of some each.
    fn columns<'py>(
        &self,
        py: Python<'py>,
        id: &Bound<'py, PyString>,
        selection: Selection<'py>,
    ) -> PyResult<Columns<'py>> {
        let found = self.found(py, id, selection)?;
        let metadata = |part: &[Message]| array(part.iter().map(|message| message.metadata.as_json()));
        let metadata = py.detach(|| found.chunks(METADATA_TOGETHER).map(metadata).collect());
        let column = |of| items::strings_of(py, &found, of);
        Ok((column(|it| &it.id)?, column(|it| &it.role)?, column(|it| &it.content)?, metadata))
    }

    /// A selection of messages as what a framework has given, kept under this name of their metadata, and what is unfinished.
    fn items<'py>(
        &self,
        py: Python<'py>,
        id: &Bound<'py, PyString>,
        selection: Selection<'py>,
        name: &str,
    ) -> PyResult<(Bound<'py, PyList>, Vec<Unfinished<'py>>)> {
        items::items_of(py, &self.found(py, id, selection)?, name)
    }

    /// The actions as a JSON array.
    fn actions(&self, py: Python<'_>, id: &Bound<'_, PyString>) -> PyResult<String> {
        let id = id_of(id)?;
        self.detached(py, |store| {
            Ok(array(store.actions(&id)?.iter().map(|action| action.to_json_line(None))))
        })
    }

    fn summary<'py>(&self, py: Python<'py>, id: &Bound<'py, PyString>) -> PyResult<Option<SummaryRow<'py>>> {
        let id = id_of(id)?;
        let found = self.detached(py, |store| store.summary(&id))?;
        found.as_ref().map(|summary| summary_row(py, summary)).transpose()
    }

    /// The version of a conversation, the number of its last event, and how many messages and actions it has.
    fn standing(&self, py: Python<'_>, id: &Bound<'_, PyString>) -> PyResult<Option<(u64, u64, u64)>> {
        let id = id_of(id)?;
        let found = self.detached(py, |store| store.summary(&id))?;
        Ok(found.map(|summary| (summary.version, summary.last_seq, summary.messages + summary.actions)))
    }

    #[pyo3(signature = (*, by_activity, limit, after))]
    fn summaries<'py>(
        &self,
        py: Python<'py>,
        by_activity: bool,
        limit: Option<usize>,
        after: Option<(String, Option<(u64, String)>)>,
    ) -> PyResult<Vec<SummaryRow<'py>>> {
        let mut selection = Conversations::by(if by_activity { Order::Activity } else { Order::Created });
        selection.limit = limit;
        if let Some((id, seen)) = after {
            selection = selection.after(match seen {
                Some((last_seq, time)) => {
                    let time: Timestamp = time.parse().map_err(|error| raised(py, &error))?;
                    ListCursor::seen(id, last_seq, time)
                }
                None => ListCursor::from(&id),
            });
        }
        let found = self.detached(py, |store| store.conversations(selection))?;
        found.iter().map(|summary| summary_row(py, summary)).collect()
    }

    /// Reads the log from an event on, also what is appended later.
    fn follow(&self, py: Python<'_>, from: u64) -> PyResult<Follower> {
        let follower = self.detached(py, |store| store.follow(from))?;
        let (process, open) = self.opened();
        Ok(Follower::new(follower, from, process, open))
    }

    /// Shows what has been appended since; gives the newest event that is shown.
    fn refresh(&self, py: Python<'_>) -> PyResult<u64> {
        self.detached(py, |store| store.refresh())
    }

    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        self.detached(py, |store| store.sync())
    }

    fn compact<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        report::compaction(py, &self.detached(py, |store| store.compact())?)
    }

    fn accept<'py>(&self, py: Python<'py>, id: &str) -> PyResult<Option<ReceiptRow<'py>>> {
        let receipt = self.detached(py, |store| store.accept(id))?;
        receipt.map(|receipt| receipt_row(py, &receipt)).transpose()
    }

    fn verify<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        report::verification(py, &self.detached(py, |store| store.verify())?)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        report::stats(py, &self.detached(py, |store| store.stats())?)
    }

    fn recovery<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        report::recovery(py, &self.detached(py, |store| Ok(store.recovery()))?)
    }

    fn export_aral<'py>(
        &self,
        py: Python<'py>,
        to: PathBuf,
        ids: Option<Vec<String>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        report::export(py, &self.detached(py, |store| store.export_aral(&to, ids.as_deref()))?)
    }

    /// Makes everything durable and gives this handle up.
    ///
    /// The store's own `close` would end it for every other handle in the process, which Python programs that open a
    /// directory twice do not expect. The last handle that goes seals the log and lets go of the lock, and hears of it.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.check_process(py)?;
        let closed = py.detach(|| {
            let given_up = self.store.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(store) = given_up else { return Ok(()) };
            let synced = if self.is_read_only { Ok(()) } else { store.sync() };
            let released = store.release();
            synced.and(released)
        });
        // Order: the connections, then what says that there are some.
        self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        closed.map_err(|error| raised(py, &error))
    }

    /// Of a store that a process has from its parent: that it is not closed, whatever has become of it there.
    #[getter]
    fn is_closed(&self) -> bool {
        if self.process.is_some_and(|opened| opened != std::process::id()) {
            return false;
        }
        self.store.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

/// `"always"`, `"os"`, or within so many seconds.
#[derive(FromPyObject)]
enum SyncArgument {
    Seconds(f64),
    Word(String),
}

impl SyncArgument {
    fn policy(self, py: Python<'_>) -> PyResult<SyncPolicy> {
        let refused = || invalid(py, "sync must be \"always\", \"os\", or a number of seconds above 0");
        match self {
            Self::Seconds(seconds) if seconds > 0.0 => {
                Duration::try_from_secs_f64(seconds).map(SyncPolicy::Interval).map_err(|_| refused())
            }
            Self::Word(word) if word == "always" => Ok(SyncPolicy::Always),
            Self::Word(word) if word == "os" => Ok(SyncPolicy::Os),
            Self::Seconds(_) | Self::Word(_) => Err(refused()),
        }
    }
}

fn fork_at(py: Python<'_>, point: Option<(&str, Bound<'_, PyString>)>) -> PyResult<Fork> {
    let Some((kind, value)) = point else { return Ok(Fork::new()) };
    let text = text_of(&value)?;
    let plain = || text.as_str().unwrap_or_default();
    let number = || plain().parse::<u64>().map_err(|_| invalid(py, "at and version must be 0 or above"));
    Ok(match kind {
        "through" => Fork::through(text),
        "before" => Fork::before(text),
        "seq" => Fork::at(number()?),
        "version" => Fork::at(At::Version(number()?)),
        "time" => Fork::at(plain().parse::<Timestamp>().map_err(|error| raised(py, &error))?),
        _ => return Err(invalid(py, "a fork is at a message, an event, a version or a time")),
    })
}

fn selected(py: Python<'_>, selection: Selection<'_>) -> PyResult<Messages> {
    let (first, last, place, before, after, role, since, until, is_by_turns) = selection;
    let mut selection = match (first, last) {
        (Some(_), Some(_)) => return Err(invalid(py, "first and last exclude each other")),
        (Some(count), None) => Messages::first(count),
        (None, Some(count)) => Messages::last(count),
        (None, None) => Messages::all(),
    };
    selection = match (place, before, after) {
        (None, None, None) => selection,
        (Some(place), None, None) => selection.from_place(place),
        (None, Some(cursor), None) => selection.before(text_of(&cursor)?),
        (None, None, Some(cursor)) => selection.after(text_of(&cursor)?),
        _ => return Err(invalid(py, "place, before and after exclude each other")),
    };
    if let Some(role) = role {
        selection = selection.role(text_of(&role)?);
    }
    let time = |text: &str| text.parse::<Timestamp>().map_err(|error| raised(py, &error));
    selection.since = since.as_deref().map(time).transpose()?;
    selection.until = until.as_deref().map(time).transpose()?;
    Ok(if is_by_turns { selection.whole_turns() } else { selection })
}

fn array(items: impl Iterator<Item = impl AsRef<str>>) -> String {
    let mut out = String::from("[");
    for item in items {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(item.as_ref());
    }
    out.push(']');
    out
}

pub(crate) fn receipt_row<'py>(py: Python<'py>, receipt: &Receipt) -> PyResult<ReceiptRow<'py>> {
    let durability = match receipt.durability {
        Durability::Durable => "durable",
        Durability::Written => "written",
        // The least that any receipt promises, and so what a kind promises that is newer than this binding.
        _ => "process",
    };
    let id = string_of(py, &receipt.id)?;
    Ok((receipt.seq, receipt.conversation_id.clone(), id, receipt.version, durability))
}

fn summary_row<'py>(py: Python<'py>, summary: &Summary) -> PyResult<SummaryRow<'py>> {
    Ok((
        summary.id.clone(),
        string_of(py, &summary.title)?,
        summary.created_at.to_string(),
        summary.messages,
        summary.actions,
        summary.version,
        summary.last_activity.to_string(),
        summary.last_seq,
    ))
}
