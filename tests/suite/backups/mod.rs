//! Backups of a store that is written meanwhile, stopped at every step, and what comes back of them.
//!
//! Owns the scene: a store with its oracle on one file system, its backups on another, and the law that each backup is held
//! to. It is a state that the store has been in, no older than what the last one that returned said, and each state that
//! it keeps comes back whole.

mod disagreeing;
#[cfg(feature = "encryption")]
mod encrypted;
mod going_on;
mod keeping;
mod mending;
mod refusing;
mod stopping;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use aral_store::{
    BackupReport, ErrorKind, MessageStore, Moment, Mutation, NewMessage, Operation, Options, SyncPolicy,
};

use crate::support::check;
use crate::support::driver::{self, DIR, Driver, Home};
use crate::support::files;
use crate::support::mounts::{self, Mounts};
use crate::support::ops::{Op, Settings, Step};
use crate::support::oracle::Oracle;
use crate::support::simfs::{self, SimFs};
use crate::support::sources::Sources;

pub(crate) const TO: &str = "/backups/b";

pub(crate) const ALWAYS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

/// A store that is written to, and where its backups are.
pub(crate) struct Scene {
    pub(crate) driver: Arc<Mutex<Driver>>,
    pub(crate) store: SimFs,
    pub(crate) backups: SimFs,
}

pub(crate) fn say(id: &str, content: impl Into<String>) -> Op {
    Op::Append(Step::of(Mutation::add_message(id, content.into())))
}

pub(crate) fn change(id: &str, operation: Operation) -> Op {
    Op::Append(Step::of(Mutation::new(id, operation)))
}

pub(crate) fn batch(n: usize) -> Op {
    let message = |m: usize| NewMessage::new(format!("{n} {m}"));
    Op::Batch((0..3).map(|m| Step::of(Mutation::add_message(format!("c{m}"), message(m)))).collect())
}

/// Appends, batches, edits and compactions; some of each come before each backup.
pub(crate) fn program() -> Vec<Vec<Op>> {
    vec![
        vec![say("c1", "one"), batch(1), say("../x", "long ".repeat(500))],
        vec![Op::Compact, say("c1", "two")],
        vec![change("c2", Operation::RemoveConversation), Op::Compact, say("c1", "three"), Op::Compact],
        vec![batch(2), Op::Reopen, say("c0", "long ".repeat(900)), say("c0", "long ".repeat(900))],
        vec![say("c2", "another life"), Op::Compact, change("c1", Operation::Clear), Op::Reopen],
    ]
}

impl Scene {
    pub(crate) fn new(settings: Settings) -> Self {
        let store = driver::fresh(simfs::Settings::default());
        Self::on(store, settings)
    }

    /// The same with a store that is encrypted.
    #[cfg(feature = "encryption")]
    pub(crate) fn encrypted(settings: Settings) -> Self {
        let store = driver::fresh(simfs::Settings::default());
        store.seal();
        let scene = Self::on(store, settings);
        scene.backups.seal();
        scene
    }

    fn on(store: SimFs, settings: Settings) -> Self {
        let driver = Driver::new(Home::Sim(store.clone()), settings).unwrap();
        Self { driver: Arc::new(Mutex::new(driver)), store, backups: mounts::empty() }
    }

    pub(crate) fn run(&self, ops: &[Op]) {
        run(&self.driver, ops);
    }

    /// Every state that the store has been in.
    pub(crate) fn history(&self) -> Vec<Oracle> {
        self.driver.lock().unwrap_or_else(PoisonError::into_inner).history.clone()
    }

    pub(crate) fn last_seq(&self) -> u64 {
        self.driver.lock().unwrap_or_else(PoisonError::into_inner).oracle.last_seq
    }

    pub(crate) fn mounts(&self) -> Mounts {
        Mounts::new(&self.store, &self.backups)
    }

    pub(crate) fn backup(&self) -> BackupReport {
        options(self.mounts()).backup(DIR, TO).unwrap()
    }
}

/// The time that the checkpoints of compactions have.
#[expect(clippy::disallowed_methods, reason = "compactions are by the system's clock")]
pub(crate) fn system_time() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}

pub(crate) fn run(driver: &Mutex<Driver>, ops: &[Op]) {
    let mut driver = driver.lock().unwrap_or_else(PoisonError::into_inner);
    for op in ops {
        driver.run(op).unwrap();
    }
}

pub(crate) fn options(mounts: Mounts) -> Options {
    let options = MessageStore::options().clock(Sources::default()).compact_manually();
    #[cfg(feature = "encryption")]
    let options = if mounts.backups.is_sealed() { options.key(driver::key()) } else { options };
    options.vfs(Arc::new(mounts))
}

/// Restores a state of a backup to a machine of its own, and opens it.
pub(crate) fn restored(backups: &SimFs, moment: Moment) -> aral_store::Result<(MessageStore, u64)> {
    let home = driver::fresh(simfs::Settings::default());
    if backups.is_sealed() {
        home.seal();
        files::nothing_plain(backups).unwrap();
    }
    let mounts = Mounts::new(&home, backups);
    let report = options(mounts).restore(TO, DIR, moment)?;
    files::whole(&home, Path::new(DIR)).unwrap();
    let store = driver::open(&Home::Sim(home), ALWAYS, &Sources::default())?;
    assert_eq!(store.recovery().damaged, Vec::new(), "the restored store is sound");
    Ok((store, report.last_seq))
}

/// Holds the newest state of a backup to the law, and says which it is. `None` if there was none to be expected yet.
pub(crate) fn judge(backups: &SimFs, history: &[Oracle], least: u64, told: &str) -> Option<u64> {
    let (store, last_seq) = match restored(&backups.snapshot(), Moment::Newest) {
        Err(error) if least == 0 => {
            assert!(
                [ErrorKind::NotFound, ErrorKind::InvalidInput].contains(&error.kind()),
                "{error:?}, {told}"
            );
            return None;
        }
        restored => restored.unwrap_or_else(|error| panic!("{told}: {error:?}")),
    };
    assert!(last_seq >= least, "{told}: a backup said {least}, and {last_seq} is there");
    hold(&store, history, last_seq, told);
    Some(last_seq)
}

/// Compares a store with the state that it must be in.
pub(crate) fn hold(store: &MessageStore, history: &[Oracle], last_seq: u64, told: &str) {
    let ought = history.iter().find(|state| state.last_seq == last_seq);
    let ought = ought.unwrap_or_else(|| panic!("{told}: event {last_seq} ends no batch"));
    check::state(store, ought)
        .and_then(|()| check::keys(store, ought))
        .unwrap_or_else(|wrong| panic!("{told}: {wrong}"));
}
