//! A file system in memory that forgets what was not synced.
//!
//! Every file and directory has a live side, which its process sees, and a durable one, which the medium
//! holds, and knows the changes between the two. A crash picks one of the states that the medium may be in.
//! Owns the handle, its settings and the recording of operations. Knows nothing of what the files mean.
//! Everything is deterministic: time is the count of operations, and chance comes in through [`Choose`].
//! Sectors are shared between copies, so that a copy of the whole costs a few counters.
//!
//! ```text
//! let history = fs.record(|fs| workload(fs));        // the state before every operation
//! for (op, before) in &history {
//!     let mut all = Exhaustive::new();
//!     while all.next_round() {                       // every state a cut of power can leave
//!         check(before.crash(&mut all), op);
//!     }
//!     check(before.kill(), op);                      // only the process dies
//! }
//! ```

mod choose;
mod content;
mod crash;
pub(crate) mod errno;
mod handle;
mod media;
mod node;
mod tree;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use self::choose::{Bytes, Choose, Exhaustive, SplitMix};
use self::tree::State;

/// Which orders of writing the medium may have followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// What POSIX promises, which is nothing: any subset of what no sync covered.
    Strict,
    /// A journal as that of ext4: changes of names and explicit lengths reach the medium in their order, and
    /// new blocks have their data before a length shows them. Every such state is also a `Strict` one.
    Journal,
}

/// Whether a crash may leave a part of a sector's new bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tear {
    Never,
    Sometimes,
}

/// What blocks show that a file was given and whose data were lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unwritten {
    Zeros,
    /// Zeros, or what an earlier file left on the device.
    Garbage,
}

/// Whether files can be mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Maps {
    Refused,
    /// A copy of the bytes at the time of the call.
    Copied,
}

/// How a simulated file system behaves; copies and the states after a crash inherit it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Settings {
    pub(crate) order: Order,
    pub(crate) tear: Tear,
    pub(crate) unwritten: Unwritten,
    pub(crate) maps: Maps,
    /// Whether the store on it is encrypted: whoever opens it there for a test gives the key.
    pub(crate) is_sealed: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let (order, tear) = (Order::Strict, Tear::Never);
        Self { order, tear, unwritten: Unwritten::Zeros, maps: Maps::Refused, is_sealed: false }
    }
}

/// The kinds of operations that change something, a sync included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum OpKind {
    Create,
    Write,
    Allocate,
    SetLen,
    Sync,
    SyncDir,
    Rename,
    Remove,
    CreateDir,
    RemoveDir,
}

/// One operation that changes something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Op {
    /// Counted from 1, going on through crashes.
    pub(crate) number: u64,
    pub(crate) kind: OpKind,
    /// What it acts on, by the path under which it was opened.
    pub(crate) path: PathBuf,
    /// The new name, for a rename.
    pub(crate) to: Option<PathBuf>,
    pub(crate) offset: u64,
    /// The bytes of a write, or the new length.
    pub(crate) len: u64,
    /// Whether it succeeded; not known yet before it is applied.
    pub(crate) done: bool,
}

impl Op {
    fn new(kind: OpKind, path: &Path) -> Self {
        Self { number: 0, kind, path: path.to_owned(), to: None, offset: 0, len: 0, done: false }
    }
}

/// What is called before an operation is applied. It may copy, crash and inspect the file system that it is
/// given, but must not change it.
type Hook = Box<dyn FnMut(&SimFs, &Op) + Send>;

struct Shared {
    state: Mutex<State>,
    hook: Mutex<Option<Hook>>,
}

/// A handle of a simulated file system; clones are the same file system.
#[derive(Clone)]
pub(crate) struct SimFs {
    shared: Arc<Shared>,
}

impl fmt::Debug for SimFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let files: Vec<_> = state
            .walk()
            .into_iter()
            .map(|(path, id)| (path, state.file(id).ok().map(|f| f.live.len())))
            .collect();
        f.debug_struct("SimFs").field("op", &state.op).field("files", &files).finish_non_exhaustive()
    }
}

impl Default for SimFs {
    fn default() -> Self {
        Self::new()
    }
}

impl SimFs {
    /// An empty file system: its root is durable and has nothing in it.
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        Self::from_state(State::new(settings))
    }

    fn from_state(state: State) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::new(state), hook: Mutex::new(None) }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the store on it is encrypted.
    pub(crate) fn is_sealed(&self) -> bool {
        self.state().settings.is_sealed
    }

    /// The store that will be on it is encrypted.
    pub(crate) fn seal(&self) {
        self.state().settings.is_sealed = true;
    }

    /// Changes the settings from now on.
    pub(crate) fn set(&self, settings: Settings) {
        self.state().settings = settings;
    }

    /// The most bytes that all files may have together; `None` for no limit. What would need more fails with
    /// ENOSPC until the quota is raised.
    pub(crate) fn set_quota(&self, bytes: Option<u64>) {
        self.state().quota = bytes;
    }

    /// The bytes that a quota counts.
    pub(crate) fn used(&self) -> u64 {
        self.state().used()
    }

    /// How many operations were begun that change something.
    pub(crate) fn op_count(&self) -> u64 {
        self.state().op
    }

    /// The operations on this file system since it was made or copied.
    pub(crate) fn log(&self) -> Vec<Op> {
        self.state().log.clone()
    }

    /// Lets every call fail from the operation with this number on, which is not applied: the process dies
    /// just before it.
    pub(crate) fn freeze_at(&self, number: u64) {
        self.state().freeze_at = Some(number);
    }

    /// A copy of everything, with an empty log and no hook.
    pub(crate) fn snapshot(&self) -> Self {
        let mut guard = self.state();
        // The log would be the only part of a copy that is not shared.
        let log = std::mem::take(&mut guard.log);
        let copy = guard.clone();
        guard.log = log;
        Self::from_state(copy)
    }

    /// The death of the process: what it wrote stays in the cache, what was pending stays pending, its locks
    /// are gone, its handles answer with errors from now on.
    pub(crate) fn kill(&self) -> Self {
        self.state().dead = true;
        let survivor = self.snapshot();
        let mut state = survivor.state();
        state.dead = false;
        state.freeze_at = None;
        state.locks.clear();
        drop(state);
        survivor
    }

    /// A cut of power: one of the states that the medium may be in, picked by `choice`. This file system
    /// stays as it is, so that many crashes can be tried from one point.
    pub(crate) fn crash(&self, choice: &mut dyn Choose) -> Self {
        Self::from_state(crash::after(&self.state(), choice))
    }

    /// Calls `hook` before every operation that changes something; `None` ends it.
    pub(crate) fn on_op(&self, hook: Option<Hook>) {
        *self.shared.hook.lock().unwrap_or_else(PoisonError::into_inner) = hook;
    }

    /// Runs a workload and returns the state before each of its operations.
    pub(crate) fn record(&self, workload: impl FnOnce(&Self)) -> Vec<(Op, Self)> {
        let history = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&history);
        self.on_op(Some(Box::new(move |fs, op| {
            let entry = (op.clone(), fs.snapshot());
            sink.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        })));
        workload(self);
        self.on_op(None);
        std::mem::take(&mut *history.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a failed sync leaves of a file, by its number: its pages count as clean and are not durable.
    pub(crate) fn drop_unsynced(&self, file_number: u64) {
        if let Ok(file) = self.state().file_mut(file_number) {
            file.drop_pending();
        }
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.dead { Err(io::Error::other("this process is dead")) } else { Ok(state) }
    }

    /// Announces an operation, counts it, applies it and logs it.
    fn mutate<T>(&self, mut op: Op, apply: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        // The hook's lock is held until the operation is applied: the state it saw is the state before.
        let mut hook = self.shared.hook.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.alive()?;
        op.number = state.op + 1;
        if state.freeze_at.is_some_and(|at| op.number >= at) {
            state.dead = true;
            return Err(io::Error::other("this process is dead"));
        }
        if let Some(hook) = hook.as_mut() {
            drop(state);
            hook(self, &op);
            state = self.alive()?;
        }
        state.op = op.number;
        let result = apply(&mut state);
        op.done = result.is_ok();
        state.log.push(op);
        result
    }
}
