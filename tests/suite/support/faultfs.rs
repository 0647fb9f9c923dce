//! A file system that fails on purpose.
//!
//! Wraps any other one and lets planned calls go wrong: the n-th of a kind, once or from then on. Owns the
//! plan, the counters, and the proof that every planned fault took place. Knows nothing of what files mean.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aral_store::vfs::{DirEntry, Lock, Mapping, Metadata, OpenMode, Vfs, VfsFile};

use super::simfs::SimFs;
use super::simfs::errno::error;

/// The kinds of calls that are counted and can fail.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Call {
    Open,
    Create,
    Read,
    Write,
    Allocate,
    SetLen,
    Sync,
    SyncDir,
    Rename,
    Remove,
    CreateDir,
    RemoveDir,
    ReadDir,
    Metadata,
    Lock,
    Canonical,
    Map,
}

impl Call {
    pub(crate) const ALL: [Self; 17] = [
        Self::Open,
        Self::Create,
        Self::Read,
        Self::Write,
        Self::Allocate,
        Self::SetLen,
        Self::Sync,
        Self::SyncDir,
        Self::Rename,
        Self::Remove,
        Self::CreateDir,
        Self::RemoveDir,
        Self::ReadDir,
        Self::Metadata,
        Self::Lock,
        Self::Canonical,
        Self::Map,
    ];
}

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Nothing is done, and the system answers with this number.
    Errno(i32),
    /// At most so many bytes are written, which is no error.
    ShortWrite(usize),
    /// At most so many bytes are read, which is no error.
    ShortRead(usize),
    /// So many bytes are written, then the system answers with this number.
    PartThenErrno(usize, i32),
    /// All is done, and yet the system answers with this number.
    DoneButErrno(i32),
    /// Write-back fails: the pages count as clean from then on. Needs a simulator below.
    SyncDropsPages(i32),
    /// Nothing reaches the medium, and yet the system says that it did.
    SyncPretends,
    /// Somebody else holds the lock.
    LockHeld,
}

impl Fault {
    fn applies_to(self, call: Call) -> bool {
        match self {
            Self::Errno(_) | Self::DoneButErrno(_) => true,
            Self::ShortWrite(_) | Self::PartThenErrno(..) => call == Call::Write,
            Self::ShortRead(_) => call == Call::Read,
            Self::SyncDropsPages(_) => call == Call::Sync,
            Self::SyncPretends => matches!(call, Call::Sync | Call::SyncDir),
            Self::LockHeld => call == Call::Lock,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Repeat {
    Once,
    ForEver,
}

/// One planned fault.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    call: Option<Call>,
    nth: u64,
    repeat: Repeat,
    path_has: Option<String>,
    fault: Fault,
}

impl Rule {
    /// The `nth` call of a kind fails, counted from 1; of any kind with `None`. Only calls count that the
    /// fault can happen to.
    pub(crate) fn new(call: impl Into<Option<Call>>, nth: u64, fault: Fault) -> Self {
        Self { call: call.into(), nth, repeat: Repeat::Once, path_has: None, fault }
    }

    /// So do all calls after it.
    pub(crate) fn for_ever(mut self) -> Self {
        self.repeat = Repeat::ForEver;
        self
    }

    /// Only calls count on a path with these letters in it; of a rename, the old or the new path.
    pub(crate) fn on(mut self, part: &str) -> Self {
        self.path_has = Some(part.to_owned());
        self
    }

    fn matches(&self, call: Call, paths: &[&Path]) -> bool {
        self.call.is_none_or(|wanted| wanted == call)
            && self.fault.applies_to(call)
            && self
                .path_has
                .as_ref()
                .is_none_or(|part| paths.iter().any(|path| path.to_string_lossy().contains(part.as_str())))
    }
}

#[derive(Default, Debug)]
struct Plan {
    rules: Vec<Rule>,
    // How many calls each rule has seen that it applies to, and how many it let fail.
    seen: Vec<u64>,
    fired: Vec<u64>,
    calls: BTreeMap<Call, u64>,
}

#[derive(Debug)]
struct Shared {
    inner: Arc<dyn Vfs>,
    sim: Option<SimFs>,
    plan: Mutex<Plan>,
}

/// A handle of a failing file system; clones share the plan and the counters.
#[derive(Clone, Debug)]
pub(crate) struct FaultFs {
    shared: Arc<Shared>,
}

impl FaultFs {
    pub(crate) fn new(inner: Arc<dyn Vfs>, rules: Vec<Rule>) -> Self {
        Self::build(inner, None, rules)
    }

    /// Over a simulator, which lets [`Fault::SyncDropsPages`] drop them.
    pub(crate) fn over_sim(sim: &SimFs, rules: Vec<Rule>) -> Self {
        Self::build(Arc::new(sim.clone()), Some(sim.clone()), rules)
    }

    /// The same with another file system between this one and the simulator.
    pub(crate) fn over_sim_through(sim: &SimFs, inner: Arc<dyn Vfs>, rules: Vec<Rule>) -> Self {
        Self::build(inner, Some(sim.clone()), rules)
    }

    fn build(inner: Arc<dyn Vfs>, sim: Option<SimFs>, rules: Vec<Rule>) -> Self {
        let fs = Self { shared: Arc::new(Shared { inner, sim, plan: Mutex::default() }) };
        fs.replan(rules);
        fs
    }

    /// Whether the store on it is encrypted.
    pub(crate) fn is_sealed(&self) -> bool {
        self.shared.sim.as_ref().is_some_and(SimFs::is_sealed)
    }

    /// A new plan, counting from now on; the counters of calls go on.
    pub(crate) fn replan(&self, rules: Vec<Rule>) {
        let mut plan = self.shared.plan();
        plan.seen = vec![0; rules.len()];
        plan.fired = vec![0; rules.len()];
        plan.rules = rules;
    }

    /// How many calls of a kind there were.
    pub(crate) fn count(&self, call: Call) -> u64 {
        self.shared.plan().calls.get(&call).copied().unwrap_or(0)
    }

    /// How many calls of all kinds there were.
    pub(crate) fn total(&self) -> u64 {
        self.shared.plan().calls.values().sum()
    }

    /// How often each rule let a call fail, in the order of the plan.
    pub(crate) fn fired(&self) -> Vec<u64> {
        self.shared.plan().fired.clone()
    }

    /// Whether every rule did so at least once.
    pub(crate) fn all_fired(&self) -> bool {
        self.fired().iter().all(|count| *count > 0)
    }
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and says what is to go wrong with it; the first rule wins.
    fn next(&self, call: Call, paths: &[&Path]) -> Option<Fault> {
        let plan = &mut *self.plan();
        *plan.calls.entry(call).or_default() += 1;
        let mut chosen = None;
        for (at, rule) in plan.rules.iter().enumerate() {
            if !rule.matches(call, paths) {
                continue;
            }
            plan.seen[at] += 1;
            let due = match rule.repeat {
                Repeat::Once => plan.seen[at] == rule.nth,
                Repeat::ForEver => plan.seen[at] >= rule.nth,
            };
            if due && chosen.is_none() {
                plan.fired[at] += 1;
                chosen = Some(rule.fault);
            }
        }
        chosen
    }

    /// Makes a call that can only succeed, fail, or succeed and be said to have failed.
    fn run<T>(&self, call: Call, paths: &[&Path], act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        fail(self.next(call, paths), act)
    }

    fn wrap(self: &Arc<Self>, path: &Path, inner: Arc<dyn VfsFile>) -> Arc<dyn VfsFile> {
        Arc::new(FaultFile { shared: Arc::clone(self), path: path.to_owned(), inner })
    }
}

#[derive(Debug)]
struct FaultFile {
    shared: Arc<Shared>,
    path: PathBuf,
    inner: Arc<dyn VfsFile>,
}

fn fail<T>(fault: Option<Fault>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    match fault {
        Some(Fault::Errno(number) | Fault::SyncDropsPages(number)) => Err(error(number)),
        Some(Fault::DoneButErrno(number)) => act().and(Err(error(number))),
        // The rest is for the calls that it applies to, which have dealt with it.
        Some(
            Fault::ShortWrite(_)
            | Fault::ShortRead(_)
            | Fault::PartThenErrno(..)
            | Fault::SyncPretends
            | Fault::LockHeld,
        )
        | None => act(),
    }
}

/// No more than so many bytes, yet at least one: none at all would mean the end of the file.
fn part(len: usize, limit: usize) -> usize {
    len.min(limit.max(1))
}

impl Vfs for FaultFs {
    fn open(&self, path: &Path, how: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let call = if how == OpenMode::CreateNew { Call::Create } else { Call::Open };
        let file = self.shared.run(call, &[path], || self.shared.inner.open(path, how))?;
        Ok(self.shared.wrap(path, file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.shared.run(Call::Rename, &[from, to], || self.shared.inner.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.shared.run(Call::Remove, &[path], || self.shared.inner.remove_file(path))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.shared.run(Call::CreateDir, &[path], || self.shared.inner.create_dir(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.shared.run(Call::RemoveDir, &[path], || self.shared.inner.remove_dir(path))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.shared.run(Call::ReadDir, &[path], || self.shared.inner.read_dir(path))
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.shared.run(Call::Metadata, &[path], || self.shared.inner.metadata(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        match self.shared.next(Call::SyncDir, &[path]) {
            Some(Fault::SyncPretends) => Ok(()),
            fault => fail(fault, || self.shared.inner.sync_dir(path)),
        }
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        match self.shared.next(Call::Lock, &[path]) {
            Some(Fault::LockHeld) => Ok(None),
            fault => fail(fault, || self.shared.inner.try_lock(path)),
        }
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.shared.run(Call::Canonical, &[path], || self.shared.inner.canonical(path))
    }
}

impl VfsFile for FaultFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.shared.next(Call::Read, &[&self.path]) {
            Some(Fault::ShortRead(limit)) => {
                let count = part(buffer.len(), limit);
                self.inner.read_at(&mut buffer[..count], offset)
            }
            fault => fail(fault, || self.inner.read_at(buffer, offset)),
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        match self.shared.next(Call::Write, &[&self.path]) {
            Some(Fault::ShortWrite(limit)) => self.inner.write_at(&bytes[..part(bytes.len(), limit)], offset),
            Some(Fault::PartThenErrno(limit, number)) => {
                self.inner.write_at(&bytes[..bytes.len().min(limit)], offset)?;
                Err(error(number))
            }
            fault => fail(fault, || self.inner.write_at(bytes, offset)),
        }
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.shared.run(Call::Allocate, &[&self.path], || self.inner.allocate(length))
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.shared.run(Call::SetLen, &[&self.path], || self.inner.set_len(length))
    }

    fn sync(&self) -> io::Result<()> {
        match self.shared.next(Call::Sync, &[&self.path]) {
            Some(Fault::SyncPretends) => Ok(()),
            Some(Fault::SyncDropsPages(number)) => {
                let sim = self.shared.sim.as_ref().expect("only a simulator can drop pages");
                sim.drop_unsynced(self.inner.metadata()?.file_number);
                Err(error(number))
            }
            fault => fail(fault, || self.inner.sync()),
        }
    }

    fn metadata(&self) -> io::Result<Metadata> {
        self.shared.run(Call::Metadata, &[&self.path], || self.inner.metadata())
    }

    fn map(&self) -> io::Result<Option<Arc<dyn Mapping>>> {
        self.shared.run(Call::Map, &[&self.path], || self.inner.map())
    }
}
