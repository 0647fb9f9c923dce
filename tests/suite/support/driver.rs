//! Carrying operations out on a store and on the oracle beside it.
//!
//! Owns the law of crashes: after the death of the process or of the power the store opens without a word of
//! corruption, and is in a state that it was in after some batch, none earlier than the last that was
//! promised. Knows no file formats.

use std::convert;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aral_store::{
    Durability, ErrorKind, ForkPoint, Keep, MessageStore, Mutation, Options, Order, SyncPolicy,
};

#[cfg(feature = "encryption")]
use aral_store::Key;

use super::check::{self, Checked, done, refused, same};
use super::damage::Damage;
use super::files;
use super::forks;
use super::ops::{Op, Settings};
use super::oracle::{Expected, Oracle};
use super::past;
use super::simfs::{self, SimFs, SplitMix};
use super::sources::Sources;

/// Where a store lives.
#[derive(Clone, Debug)]
pub(crate) enum Home {
    Memory,
    Sim(SimFs),
    /// A directory of the real file system, which no power cut can be played on.
    Real(PathBuf),
    /// A database of any engine, by its URL.
    Database(String),
    /// A bucket, by the URL of a place in it.
    Bucket(String),
}

/// The directory of every store on a simulated file system.
pub(crate) const DIR: &str = "/home/data";

/// What was promised so far, for whoever looks on from another thread or from within the file system.
#[derive(Debug, Default)]
pub(crate) struct Promised {
    durable: AtomicU64,
    accepted: AtomicU64,
    damage: Mutex<Option<Damage>>,
}

/// A store, the oracle, and what is known of the past.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) home: Home,
    pub(crate) settings: Settings,
    pub(crate) sources: Sources,
    store: Option<MessageStore>,
    pub(crate) oracle: Oracle,
    /// The states after each batch, oldest first; the last is the present one.
    pub(crate) history: Vec<Oracle>,
    promised: Arc<Promised>,
    pub(crate) operation: u64,
    /// The last event when the store was opened.
    began_at: u64,
}

impl Promised {
    /// The event up to which everything survives a power cut.
    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::SeqCst)
    }

    /// The event up to which everything survives a kill.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }

    /// A conversation's file that is damaged, or that was and has not been written since.
    pub(crate) fn damage(&self) -> Option<Damage> {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_damage(&self, damage: Option<Damage>) {
        *self.damage.lock().unwrap_or_else(PoisonError::into_inner) = damage;
    }

    fn promise(&self, durable: u64, accepted: u64) {
        self.durable.store(durable, Ordering::SeqCst);
        self.accepted.store(accepted, Ordering::SeqCst);
    }
}

/// The key of every encrypted store on a simulated file system.
#[cfg(feature = "encryption")]
pub(crate) fn key() -> Key {
    Key::from_bytes(*b"the key of the tests, 32 bytes..")
}

/// The options of a store under test, on the file system of its home.
pub(crate) fn options(home: &Home, settings: Settings, sources: &Sources) -> Options {
    let options = MessageStore::options()
        .sync(settings.sync)
        .segment_bytes(64 << 10)
        .first_segment_bytes(settings.first_segment_bytes)
        .compact_manually()
        .ids(sources.clone())
        .clock(sources.clone());
    let options = if settings.compacts_on_close { options.compact_on_close() } else { options };
    match home {
        #[cfg(feature = "encryption")]
        Home::Sim(fs) if fs.is_sealed() => options.key(key()).vfs(Arc::new(fs.clone())),
        Home::Sim(fs) => options.vfs(Arc::new(fs.clone())),
        Home::Memory | Home::Real(_) | Home::Database(_) | Home::Bucket(_) => options,
    }
}

/// Opens the store of a home.
pub(crate) fn open(home: &Home, settings: Settings, sources: &Sources) -> aral_store::Result<MessageStore> {
    let options = options(home, settings, sources);
    match home {
        Home::Memory => Ok(options.in_memory()),
        Home::Sim(_) => options.open(DIR),
        Home::Real(dir) => options.open(dir),
        Home::Database(url) | Home::Bucket(url) => options.connect(url),
    }
}

/// A file system on which a store can be made.
pub(crate) fn fresh(settings: simfs::Settings) -> SimFs {
    let fs = SimFs::with(settings);
    fs.put_dir("/home");
    fs
}

/// The state of a store without a past of its own.
pub(crate) fn adopted(store: &MessageStore) -> Checked<Oracle> {
    let mut oracle = Oracle::default();
    for summary in done("a list", store.conversations(Order::Created))? {
        let conversation = done("a conversation", store.conversation(&summary.id))?;
        oracle.adopt(conversation.ok_or("a listed conversation does not exist")?, &summary);
    }
    let removed = done("the tombstones", store.tombstones())?.into_iter();
    oracle.removed = removed.map(|gone| (gone.id, gone.seq, gone.removed_at, gone.reason)).collect();
    oracle.last_seq = done("stats", store.stats())?.last_seq;
    Ok(oracle)
}

impl Driver {
    pub(crate) fn new(home: Home, settings: Settings) -> Checked<Self> {
        Self::watched(home, settings, Arc::default())
    }

    /// A driver that makes known what it was promised. What the store holds already is taken as given.
    pub(crate) fn watched(home: Home, settings: Settings, promised: Arc<Promised>) -> Checked<Self> {
        let mut driver = Self {
            home,
            settings,
            sources: Sources::default(),
            store: None,
            oracle: Oracle::default(),
            history: Vec::new(),
            promised,
            operation: 0,
            began_at: 0,
        };
        driver.open()?;
        driver.oracle = adopted(driver.store())?;
        driver.history.push(driver.oracle.clone());
        Ok(driver)
    }

    pub(crate) fn store(&self) -> &MessageStore {
        self.store.as_ref().expect("the driver keeps a store open between operations")
    }

    fn open(&mut self) -> Checked {
        let store = done("opening", open(&self.home, self.settings, &self.sources))?;
        let report = store.recovery();
        let damage = self.damage_there();
        let is_so = |id: Option<&str>| id.is_some() && id == damage.as_ref().map(|damage| damage.id.as_str());
        if !report.damaged.iter().all(|file| is_so(file.conversation_id.as_deref())) {
            return Err(format!("a false report of damage: {:?}", report.damaged));
        }
        self.store = Some(store);
        Ok(())
    }

    /// Carries an operation out and compares all that it touches.
    pub(crate) fn run(&mut self, op: &Op) -> Checked {
        self.operation += 1;
        self.sources.begin(self.operation);
        match op {
            Op::Append(step) => {
                let mutation = self.oracle.mutation(step);
                self.append(vec![mutation], convert::identity, |store, mut batch| {
                    batch.pop().map_or(Ok(Vec::new()), |one| store.append(one).map(|receipt| vec![receipt]))
                })
            }
            Op::Batch(steps) => {
                let batch = steps.iter().map(|step| self.oracle.mutation(step)).collect();
                self.append(batch, convert::identity, MessageStore::batch)
            }
            Op::Fork { from, to, point } => self.fork(from, to.as_deref(), point),
            Op::Sync => {
                done("a sync", self.store().sync())?;
                self.all_is_durable();
                Ok(())
            }
            Op::Compact => self.compact(),
            Op::Keep => done("keeping", self.store().keep_history(Keep::Everything).map(|_| ())),
            Op::Reopen | Op::Close => self.reopen(matches!(op, Op::Close)),
            Op::Kill => self.crash(None),
            Op::PowerCut(seed) => self.crash(Some(*seed)),
            Op::Damage(seed) => {
                self.damage(*seed);
                Ok(())
            }
            Op::PutBack => self.put_back(),
        }
        .map_err(|wrong| format!("operation {}, {op:?}: {wrong}", self.operation))
    }

    fn append(
        &mut self,
        batch: Vec<Mutation>,
        told: fn(Vec<Expected>) -> Vec<Expected>,
        how: impl FnOnce(&MessageStore, Vec<Mutation>) -> aral_store::Result<Vec<aral_store::Receipt>>,
    ) -> Checked {
        let damage = self.damage_there();
        let concerns = |damage: &Damage| batch.iter().any(|mutation| mutation.conversation_id == damage.id);
        let may_be_refused = damage.as_ref().is_some_and(concerns);
        let mut after = self.oracle.clone();
        let ought = after.apply(self.operation, &batch).map(told);
        let is = how(self.store(), batch);
        if may_be_refused && is.as_ref().is_err_and(|error| error.kind() == ErrorKind::Corrupt) {
            return Ok(());
        }
        self.oracle = after;
        check::answer(&is, &ought)?;
        let Ok(receipts) = is else { return Ok(()) };
        let durability = match (&self.home, self.settings.sync) {
            (Home::Memory, _) => Durability::Process,
            (_, SyncPolicy::Always) => Durability::Durable,
            _ => Durability::Written,
        };
        if receipts.iter().any(|receipt| receipt.durability < durability) {
            return Err(format!("less durable than asked for: {receipts:?}"));
        }
        if self.oracle.last_seq > self.promised.accepted() {
            self.history.push(self.oracle.clone());
        }
        let durable = receipts.iter().filter(|receipt| receipt.is_durable()).map(|receipt| receipt.seq).max();
        self.promised.promise(self.promised.durable().max(durable.unwrap_or(0)), self.oracle.last_seq);
        Ok(())
    }

    fn fork(&mut self, from: &str, to: Option<&str>, point: &ForkPoint) -> Checked {
        let fork = forks::asked(to, point);
        let ought = self.oracle.forked(self.operation, from, to, point);
        if self.damage_there().is_some_and(|damage| damage.id == from)
            && self.store().conversation(from).is_err_and(|error| error.kind() == ErrorKind::Corrupt)
        {
            let kind = if to == Some("") { ErrorKind::InvalidInput } else { ErrorKind::Corrupt };
            return refused("a fork of what is damaged", self.store().fork(from, fork), kind);
        }
        match ought {
            Ok(batch) => self
                .append(batch, forks::told, |store, _| store.fork(from, fork).map(|receipt| vec![receipt])),
            Err(kind) => refused("a fork", self.store().fork(from, fork), kind),
        }
    }

    fn all_is_durable(&self) {
        self.promised.promise(self.oracle.last_seq, self.oracle.last_seq);
    }

    fn compact(&mut self) -> Checked {
        if matches!(self.home, Home::Memory | Home::Database(_)) {
            return refused("a compaction", self.store().compact(), ErrorKind::Unsupported);
        }
        let report = done("a compaction", self.store().compact())?;
        let damage = self.promised.damage();
        let held: Vec<_> = report.held.iter().filter_map(|file| file.conversation_id.clone()).collect();
        if held.iter().any(|id| self.damage_there().is_none_or(|damage| damage.id != *id)) {
            return Err(format!("held without a reason: {report:?}"));
        }
        if let Some(damage) = damage.filter(|_| held.is_empty() && self.damage_there().is_none()) {
            // It has been written, whatever had become of it.
            drop(damage);
            self.promised.set_damage(None);
        }
        same("the events that are covered", &report.covered_seq, &self.oracle.last_seq)?;
        self.all_is_durable();
        self.check_files()
    }

    /// Compares the files with the oracle, after a compaction.
    fn check_files(&self) -> Checked {
        let damage = self.promised.damage();
        let but = damage.as_ref().map(|damage| damage.id.as_str());
        match &self.home {
            Home::Memory | Home::Database(_) | Home::Bucket(_) => Ok(()),
            Home::Sim(fs) if fs.is_sealed() => files::nothing_plain(fs),
            Home::Sim(fs) => files::snapshot_beside(fs, Path::new(DIR), &self.oracle, but),
            Home::Real(dir) => files::snapshot(&aral_store::vfs::OsVfs, dir, &self.oracle),
        }
    }

    fn reopen(&mut self, tries_it_closed: bool) -> Checked {
        if matches!(self.home, Home::Memory) {
            return Ok(());
        }
        // A torn tail that a crash left is reported until something is written behind it.
        let began_at = std::mem::replace(&mut self.began_at, self.oracle.last_seq);
        let store = self.store.take().expect("it is open");
        let other = store.clone();
        match store.close() {
            // A compaction that could not write one conversation says so.
            Err(error) if self.damage_there().is_some() && error.kind() == ErrorKind::Corrupt => {}
            closed => done("closing", closed)?,
        }
        if tries_it_closed {
            check::closed(&other)?;
        }
        drop(other);
        if self.settings.compacts_on_close {
            self.check_files()?;
        }
        self.all_is_durable();
        self.open()?;
        let report = self.store().recovery();
        if let Some(torn) = report.torn.filter(|_| self.oracle.last_seq > began_at) {
            return Err(format!("an orderly close left a torn tail: {torn:?}"));
        }
        self.check()
    }

    /// Ends the run in good order.
    pub(crate) fn close(mut self) -> Checked {
        let damage = self.damage_there();
        match self.store.take().map_or(Ok(()), MessageStore::close) {
            Err(error) if damage.is_some() && error.kind() == ErrorKind::Corrupt => Ok(()),
            closed => done("closing", closed),
        }
    }

    /// A conversation's file that is damaged now.
    fn damage_there(&self) -> Option<Damage> {
        let Home::Sim(fs) = &self.home else { return None };
        self.promised.damage().filter(|damage| damage.is_there(fs))
    }

    /// Damages a file, unless one is damaged already.
    fn damage(&self, seed: u64) {
        let Home::Sim(fs) = &self.home else { return };
        if self.promised.damage().is_none() {
            self.promised.set_damage(Damage::happen(fs, Path::new(DIR), seed));
        }
    }

    /// Puts a damaged file back, and opens the store again.
    fn put_back(&mut self) -> Checked {
        let (Home::Sim(fs), Some(damage)) = (&self.home, self.damage_there()) else { return Ok(()) };
        damage.put_back(fs);
        self.reopen(false)
    }

    fn crash(&mut self, power_cut: Option<u64>) -> Checked {
        let Home::Sim(fs) = &self.home else { return Ok(()) };
        let survivor = match power_cut {
            Some(seed) => fs.crash(&mut SplitMix::new(seed)),
            None => fs.snapshot(),
        };
        // Order: the old process dies before its store is dropped. Reversed, it would close in good order.
        let survivor = if power_cut.is_some() {
            fs.kill();
            survivor
        } else {
            fs.kill()
        };
        self.home = Home::Sim(survivor);
        self.store = None;
        self.open()?;
        let least = if power_cut.is_some() { self.promised.durable() } else { self.promised.accepted() };
        self.settle(least)
    }

    /// Finds the state that the store came back in, which the run goes on from.
    fn settle(&mut self, least: u64) -> Checked {
        let last_seq = done("stats", self.store().stats())?.last_seq;
        if last_seq < least {
            return Err(format!("event {least} was promised, and {last_seq} is the last that is there"));
        }
        let Some(at) = self.history.iter().position(|state| state.last_seq == last_seq) else {
            return Err(format!("event {last_seq} is the last that is there, which ends no batch"));
        };
        self.history.truncate(at + 1);
        self.oracle = self.history[at].clone();
        // When an opening returns, what the store shows is durable.
        self.began_at = last_seq;
        self.all_is_durable();
        self.check()
    }

    /// Compares everything.
    pub(crate) fn check(&self) -> Checked {
        if let Some(damage) = self.damage_there() {
            check::beside(self.store(), &self.oracle, &damage.id)?;
        } else {
            check::state(self.store(), &self.oracle)?;
            check::keys(self.store(), &self.oracle)?;
        }
        if let Home::Database(_) | Home::Bucket(_) = &self.home {
            // What is kept for reading is what the events led to, whatever they were.
            let report = done("a verification", self.store().verify())?;
            same("damage in the database", &report.damaged, &Vec::new())?;
            let covered = done("stats", self.store().stats())?.covered_seq;
            same("the events of the database", &report.events, &(self.oracle.last_seq - covered))?;
        }
        // Now and then: each look reads the whole log.
        if self.operation % 4 == 0 && !matches!(self.home, Home::Memory | Home::Bucket(_)) {
            let damage = self.promised.damage();
            let but = damage.as_ref().map(|damage| damage.id.as_str());
            past::looking_back(self.store(), &self.history, self.operation, but)?;
        }
        if let Home::Sim(fs) = &self.home {
            same("files outside of the store", &fs.paths_outside(DIR), &Vec::new())?;
        }
        Ok(())
    }
}
