//! What a store may hold after calls of the file system have failed.
//!
//! Owns the bookkeeping of what an error leaves open, and the judgement over a store that is opened again on a
//! sound file system. Knows nothing of which calls failed.

use std::sync::Arc;

use aral_store::{ErrorKind, MessageStore, Mutation, Receipt, SyncPolicy};

use super::check::{self, done};
use super::driver::{self, DIR, Home};
use super::faultfs::{Call, Fault, FaultFs};
use super::ops::Settings;
use super::oracle::{Expected, Oracle};
use super::simfs::errno::{EACCES, EDQUOT, EFBIG, EINTR, EIO, EMFILE, ENOSPC, EROFS};
use super::simfs::{SimFs, SplitMix};
use super::sources::Sources;

pub(crate) const SETTINGS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

/// The states that a store may be in, given what it said.
#[derive(Debug)]
pub(crate) struct Suspects {
    pub(crate) candidates: Vec<Oracle>,
    /// States that may come to light when the store is opened again: a write that was said to have failed is
    /// not seen until then, and never if something was written after it.
    ghosts: Vec<Oracle>,
    pub(crate) operation: u64,
    /// The errors that callers were given.
    pub(crate) heard: Vec<ErrorKind>,
}

/// Whether an error can come from the file system rather than from the rules.
fn is_of_the_system(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Io | ErrorKind::NoSpace | ErrorKind::Failed | ErrorKind::ReadOnly)
}

impl Suspects {
    pub(crate) fn new() -> Self {
        Self { candidates: vec![Oracle::default()], ghosts: Vec::new(), operation: 0, heard: Vec::new() }
    }

    pub(crate) fn said(
        &mut self,
        batch: &[Mutation],
        answer: &aral_store::Result<Vec<Receipt>>,
    ) -> Result<(), String> {
        let mut next = Vec::new();
        for candidate in self.candidates.drain(..) {
            let mut after = candidate.clone();
            let ought = after.apply(self.operation, batch);
            match answer {
                Ok(_) if check::answer(answer, &ought).is_ok() => next.push(after),
                Err(error) if is_of_the_system(error.kind()) => {
                    next.push(candidate);
                    self.ghosts.push(after);
                }
                Err(error) if ought == Err::<Vec<Expected>, _>(error.kind()) => next.push(candidate),
                Ok(_) | Err(_) => {}
            }
        }
        if next.is_empty() {
            return Err(format!("{answer:?} fits no state that the store may be in"));
        }
        if answer.is_ok() {
            self.ghosts.clear();
        }
        self.candidates = next;
        Ok(())
    }

    /// An error of a call that the file system let fail must not be called damage.
    pub(crate) fn hear(&mut self, error: &aral_store::Error) -> Result<(), String> {
        self.heard.push(error.kind());
        typed(error)
    }

    /// The store is opened again.
    pub(crate) fn reopened(&mut self) {
        self.candidates.append(&mut self.ghosts);
    }
}

/// Opens a store on a failing file system.
pub(crate) fn open(fs: &FaultFs, sources: &Sources) -> aral_store::Result<MessageStore> {
    let options = driver::options(&Home::Memory, SETTINGS, sources);
    #[cfg(feature = "encryption")]
    let options = if fs.is_sealed() { options.key(driver::key()) } else { options };
    options.vfs(Arc::new(fs.clone())).open(DIR)
}

/// An error of a call that the file system let fail must not be called damage.
pub(crate) fn typed(error: &aral_store::Error) -> Result<(), String> {
    let wrong =
        [ErrorKind::Corrupt, ErrorKind::UnsupportedFormat, ErrorKind::InvalidInput, ErrorKind::Closed];
    if wrong.contains(&error.kind()) {
        return Err(format!("a failing file system is taken for something else: {error:?}"));
    }
    Ok(())
}

/// Opens the store on a sound file system after a kill and after a cut of power, and finds one of the
/// candidates.
pub(crate) fn settle(sim: &SimFs, suspects: &Suspects) -> Result<(), String> {
    let cut = sim.crash(&mut SplitMix::new(suspects.operation));
    find(&sim.kill(), suspects).map_err(|wrong| format!("after a kill: {wrong}"))?;
    find(&cut, suspects).map_err(|wrong| format!("after a cut: {wrong}"))
}

fn find(sound: &SimFs, suspects: &Suspects) -> Result<(), String> {
    let sources = Sources::default();
    sources.begin(1000);
    let store = done("opening again", driver::open(&Home::Sim(sound.clone()), SETTINGS, &sources))?;
    let report = store.recovery();
    if !report.damaged.is_empty() {
        return Err(format!("a false report of damage: {report:?}"));
    }
    let fits = |candidate: &&Oracle| check::gist(&store, candidate).is_ok();
    let Some(is) = suspects.candidates.iter().find(fits) else {
        let near = suspects.candidates.iter().map(|candidate| check::gist(&store, candidate));
        return Err(format!("in none of the states that it may be in: {:?}", near.collect::<Vec<_>>()));
    };
    // What an opening shows is durable, even if an earlier sync of it had failed.
    let cut = sound.crash(&mut SplitMix::new(1));
    sound.kill();
    drop(store);
    let store = done("opening after one more cut", driver::open(&Home::Sim(cut), SETTINGS, &sources))?;
    check::gist(&store, is).map_err(|wrong| format!("after one more cut: {wrong}"))
}

/// What can go wrong with a call of a kind.
pub(crate) fn faults(call: Call) -> Vec<Fault> {
    let errors = |numbers: &[i32]| numbers.iter().map(|number| Fault::Errno(*number)).collect::<Vec<_>>();
    match call {
        Call::Open | Call::ReadDir => errors(&[EIO, EMFILE, EACCES]),
        Call::Create | Call::CreateDir => {
            [errors(&[ENOSPC, EROFS, EMFILE, EACCES, EDQUOT]), vec![Fault::DoneButErrno(EIO)]].concat()
        }
        Call::Read => [errors(&[EIO, EINTR]), vec![Fault::ShortRead(1), Fault::ShortRead(100)]].concat(),
        Call::Write => {
            let parts = vec![
                Fault::ShortWrite(1),
                Fault::PartThenErrno(7, EIO),
                Fault::PartThenErrno(600, EIO),
                Fault::PartThenErrno(40, ENOSPC),
                Fault::DoneButErrno(EIO),
            ];
            [errors(&[EIO, ENOSPC, EINTR, EDQUOT, EFBIG, EROFS]), parts].concat()
        }
        Call::Allocate => [errors(&[ENOSPC, EFBIG, EDQUOT, EIO]), vec![Fault::DoneButErrno(EIO)]].concat(),
        Call::Sync => vec![
            Fault::SyncDropsPages(EIO),
            Fault::Errno(EIO),
            Fault::Errno(ENOSPC),
            Fault::Errno(EDQUOT),
            Fault::DoneButErrno(EIO),
        ],
        Call::SyncDir => vec![Fault::Errno(EIO), Fault::Errno(ENOSPC), Fault::DoneButErrno(EIO)],
        Call::Rename => [errors(&[EIO, ENOSPC, EROFS, EACCES]), vec![Fault::DoneButErrno(EIO)]].concat(),
        Call::Remove | Call::RemoveDir | Call::SetLen => {
            [errors(&[EIO, EACCES, EROFS]), vec![Fault::DoneButErrno(EIO)]].concat()
        }
        Call::Lock => vec![Fault::Errno(EIO), Fault::Errno(EACCES), Fault::LockHeld],
        Call::Metadata | Call::Canonical | Call::Map => errors(&[EIO, EACCES]),
    }
}
