//! The right to write, and the looking whether one still has it.
//!
//! Owns the lock, the claim that is written into its file, and the file system through which whoever has lost it
//! can do no harm. Locks do not hold everywhere: the file can be removed under its holder, and some file systems
//! give one lock to two. So each writer writes a random claim into LOCK before it reads the log, and looks whether
//! it is still there behind each group that it wrote, before it says so, and before each name that it makes, moves
//! or removes. Either the writer before has written in time for the next one to find it, or it finds the claim of
//! the next one; it cannot miss both.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::codec::claim::{CLAIM_LEN, encode_claim};
use crate::error::{Error, ErrorKind, Overtaken, Result};
use crate::vfs::{self, DirEntry, EventSeal, Lock, Metadata, OpenMode, Vfs, VfsFile};

/// How often the file may be replaced while it is being locked before that is an error.
const ATTEMPTS: usize = 10;

/// The right to write to a log, as those see it who write.
pub(crate) trait Right: Send + Sync + std::fmt::Debug {
    /// Makes sure that nobody else has it by now.
    ///
    /// # Errors
    ///
    /// `Locked` if somebody has, for ever; I/O errors if that cannot be found out.
    fn check(&self) -> Result<()>;
}

/// Where the time comes from: microseconds that go on from one call to the next.
pub(crate) type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A lock that is held, and the claim in its file.
pub(crate) struct Claim {
    path: PathBuf,
    file: Arc<dyn VfsFile>,
    bytes: [u8; CLAIM_LEN],
    lock: Mutex<Option<Held>>,
    is_lost: AtomicBool,
    now: Now,
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The lock, and since when its file has not been changed.
struct Held {
    lock: Box<dyn Lock>,
    last: LastChange,
}

/// For how long a file must have stayed as it is before another change is sure to show in its time: longer than
/// the file system's resolution, which is that of the kernel's tick where there are parts of a second, and else up to
/// two seconds.
fn resolution_micros(at: i128) -> i64 {
    if at % 1_000_000_000 == 0 { 3_000_000 } else { 100_000 }
}

/// When the file of the lock was last changed, and whether every later change is sure to show in that time.
#[derive(Debug, Default)]
struct LastChange {
    at: Option<i128>,
    /// When it was first seen.
    seen: i64,
    shows_changes: bool,
}

impl LastChange {
    /// Whether a file that was changed at this time is as it was when the claim was last read.
    fn proves(&self, at: i128) -> bool {
        self.shows_changes && self.at == Some(at)
    }

    /// Takes note of a file's time that was looked at behind a reading of the own claim, which began at `now`.
    fn note(&mut self, at: i128, now: i64) {
        if self.at != Some(at) {
            *self = Self { at: Some(at), seen: now, shows_changes: false };
        } else if at != 0 && now.saturating_sub(self.seen) >= resolution_micros(at) {
            // Whoever changes the file after that reading does so long after the change that gave it this time.
            self.shows_changes = true;
        }
    }
}

impl Claim {
    /// Takes the lock and writes the claim; `None` if somebody else holds the lock.
    ///
    /// When this returns, every other writer finds out before it does anything more that counts.
    ///
    /// # Errors
    ///
    /// I/O errors.
    pub(crate) fn take(vfs: &dyn Vfs, path: &Path, nonce: [u8; 16], now: &Now) -> Result<Option<Self>> {
        for _ in 0..ATTEMPTS {
            let taken = vfs.try_lock(path).map_err(|e| Error::io("lock", path, e))?;
            let Some(lock) = taken else { return Ok(None) };
            if let ControlFlow::Break(claim) = Self::write(vfs, path, nonce, (lock, now))? {
                return Ok(Some(claim));
            }
        }
        let reason = "the file of the lock is replaced again and again; find out who does that";
        Err(Error::new(ErrorKind::Locked, reason).at(path, None))
    }

    /// Writes the claim, unless the file that was locked is no longer the one of that name.
    fn write(
        vfs: &dyn Vfs,
        path: &Path,
        nonce: [u8; 16],
        (lock, now): (Box<dyn Lock>, &Now),
    ) -> Result<ControlFlow<Self>> {
        let file = match vfs.open(path, OpenMode::ReadWrite) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ControlFlow::Continue(())),
            opened => opened.map_err(|e| Error::io("open", path, e))?,
        };
        if lock.changed_nanos().map_err(|e| Error::io("look at", path, e))?.is_none() {
            return Ok(ControlFlow::Continue(()));
        }
        let bytes = encode_claim(nonce);
        vfs::write_all_at(&*file, &bytes, 0).map_err(|e| Error::io("write", path, e))?;
        // On a share of the network the others see it once the server has it.
        file.sync().map_err(|e| Error::io("sync", path, e))?;
        let held = Held { lock, last: LastChange::default() };
        Ok(ControlFlow::Break(Self {
            path: path.to_owned(),
            file,
            bytes,
            lock: Mutex::new(Some(held)),
            is_lost: AtomicBool::new(false),
            now: Arc::clone(now),
        }))
    }

    /// Lets go of the lock. The claim stays, until the next one writes its own.
    pub(crate) fn release(&self) {
        drop(self.held().take());
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the file of the lock is the one that was locked, and the claim in it the own one.
    fn look(&self) -> io::Result<bool> {
        let mut held = self.held();
        let Some(Held { lock, last }) = &mut *held else { return Ok(false) };
        if last.shows_changes {
            // One call of the system: it is made behind each group, while the caller waits.
            match lock.changed_nanos()? {
                Some(at) if last.proves(at) => return Ok(true),
                Some(_) => {}
                None => return Ok(false),
            }
        }
        // Order: the time before the reading. Taken behind it, the thread could have slept in between, and somebody
        // else have come within the resolution of the file's time.
        let now = (self.now)();
        if !self.is_own()? {
            return Ok(false);
        }
        // Order: the name last. Whoever exchanges the directory is found as late as can be.
        let Some(at) = lock.changed_nanos()? else { return Ok(false) };
        last.note(at, now);
        Ok(true)
    }

    /// Whether the claim in the file is the own one.
    fn is_own(&self) -> io::Result<bool> {
        let mut found = [0; CLAIM_LEN];
        if self.file.read_at(&mut found, 0)? < CLAIM_LEN {
            // A read may be short for no reason, or because somebody has cut the file.
            match vfs::read_exact_at(&*self.file, &mut found, 0) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                read => read?,
            }
        }
        Ok(found == self.bytes)
    }

    /// Says that the right is lost, as an error of the file system.
    fn ask(&self) -> io::Result<()> {
        let is_lost = self.is_lost.load(Ordering::Relaxed);
        if !is_lost && matches!(self.look(), Ok(true)) { Ok(()) } else { self.ask_again(is_lost) }
    }

    #[cold]
    fn ask_again(&self, is_lost: bool) -> io::Result<()> {
        // A look that fails once may fail for no reason; one that fails twice tells nothing, and whoever asked stops.
        if !is_lost && self.look()? {
            return Ok(());
        }
        // What is lost stays lost, even if the file comes back: others may have written meanwhile.
        self.is_lost.store(true, Ordering::Relaxed);
        Err(io::Error::other(Overtaken { lock: self.path.clone() }))
    }
}

impl Right for Claim {
    fn check(&self) -> Result<()> {
        self.ask().map_err(|e| Error::io("look at", &self.path, e))
    }
}

/// A file system in which whoever has lost the claim makes, moves and removes nothing more below a directory.
///
/// Only names are guarded. What is written to a file that is open already is found out by who says that it was
/// written.
#[derive(Debug)]
pub(crate) struct Fenced {
    inner: Arc<dyn Vfs>,
    root: PathBuf,
    claim: Arc<Claim>,
}

impl Fenced {
    pub(crate) fn new(inner: Arc<dyn Vfs>, root: &Path, claim: Arc<Claim>) -> Self {
        Self { inner, root: root.to_owned(), claim }
    }

    /// Changes a name, unless the right to is lost.
    fn change<T>(&self, path: &Path, act: impl FnOnce(&dyn Vfs) -> io::Result<T>) -> io::Result<T> {
        if path.starts_with(&self.root) {
            self.claim.ask()?;
        }
        act(&*self.inner).map_err(|error| self.explained(path, error))
    }

    /// What another writer has moved or removed is not the system's failure.
    fn explained(&self, path: &Path, error: io::Error) -> io::Error {
        let lost = if path.starts_with(&self.root) { self.claim.ask().err() } else { None };
        lost.unwrap_or(error)
    }
}

impl Vfs for Fenced {
    fn open(&self, path: &Path, how: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        match how {
            OpenMode::Read | OpenMode::ReadWrite => {
                self.inner.open(path, how).map_err(|error| self.explained(path, error))
            }
            OpenMode::CreateNew => self.change(path, |inner| inner.open(path, how)),
        }
    }

    fn open_files_limit(&self) -> usize {
        self.inner.open_files_limit()
    }

    fn sealing(&self) -> Option<Arc<dyn EventSeal>> {
        self.inner.sealing()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(to, |inner| inner.rename(from, to))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(to, |inner| inner.rename_new(from, to))
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.change(one, |inner| inner.exchange(one, other))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change(path, |inner| inner.remove_file(path))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.change(path, |inner| inner.create_dir(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.change(path, |inner| inner.remove_dir(path))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.read_dir(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.inner.metadata(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_dir(path)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.inner.try_lock(path)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.inner.canonical(path)
    }

    fn is_the_only_one(&self) -> bool {
        self.inner.is_the_only_one()
    }
}

#[cfg(test)]
mod tests;
