//! Backups of a store in a directory, as callers make them.
//!
//! Owns the public way to them, and what is promised of each.

use std::path::{Path, PathBuf};
#[cfg(feature = "journal")]
use std::sync::Arc;
use std::time::Duration;

use super::location::check_directory;
use super::options::Options;
use crate::backend::directory;
#[cfg(feature = "journal")]
use crate::backend::journal::files::ObjectFiles;
#[cfg(feature = "journal")]
use crate::backend::settings::Settings;
use crate::error::{Error, Result};
use crate::model::{BackupReport, Moment, RestoreReport};
use crate::vfs::Vfs;

/// What whoever names a database is told.
const OF_DIRECTORIES: &str = "backups are of stores in directories, to directories or buckets; `aral-store copy FROM TO` copies a \
                              store from any engine to any other";

/// A backup that goes on with its store; see [`Options::replica`].
#[derive(Debug)]
pub struct Replica {
    /// Absent after a failure: nobody knows how far it came.
    opened: Option<directory::Replica>,
    options: Options,
    from: PathBuf,
    to: PathBuf,
    /// The identity of the store, once a state of it has been in the backup.
    state_of: Option<[u8; 16]>,
    /// What a look that failed had put right before.
    untold: BackupReport,
}

impl Replica {
    /// Copies what is new in the store. When this returns, the backup holds everything that the store had acknowledged before the
    /// call, durably, and [`BackupReport::last_seq`] is the event that it ends with. If it does not return, the backup is in
    /// the state that it was in before, or in one that the store has been in since.
    ///
    /// The ranges in [`BackupReport::kept`] are not looked up here, and what of the store is damaged and not needed is not
    /// looked for; [`Options::backup`] does both.
    ///
    /// # Errors
    ///
    /// `Corrupt` if bytes of the store are damaged that the backup does not have yet; `Conflict` if the store was put back to
    /// an earlier state than the backup's; `NotFound` if the store or the backup is not there any more; `ReadOnly`, `NoSpace` and
    /// `Io` as the system says. The backup is as it was then, and the next call opens it anew and tries again: where a disk
    /// is not mounted or a bucket was emptied, no other backup is begun.
    pub fn pass(&mut self) -> Result<BackupReport> {
        let mut opened = self.opened.take().map_or_else(|| self.open(), Ok)?;
        let passed = opened.pass();
        self.state_of = opened.state_of().or(self.state_of);
        match passed {
            Ok(mut report) => {
                let untold = std::mem::take(&mut self.untold);
                report.mended.splice(0..0, untold.mended);
                report.set_aside.splice(0..0, untold.set_aside);
                self.opened = Some(opened);
                Ok(report)
            }
            Err(error) => {
                let untold = opened.untold();
                self.untold.mended.extend(untold.mended);
                self.untold.set_aside.extend(untold.set_aside);
                Err(error)
            }
        }
    }

    fn open(&self) -> Result<directory::Replica> {
        let told = |error: Error| error.with_remedy(OF_DIRECTORIES);
        let (from, to, options) = (&self.from, &self.to, self.options.clone());
        check_directory(from).map_err(told)?;
        let keep = options.keep_states.map(|span| i64::try_from(span.as_micros()).unwrap_or(i64::MAX));
        #[cfg(feature = "journal")]
        if let Some(files) = elsewhere(to, &options.settings)? {
            let settings = Settings { vfs: files.clone(), ..options.settings };
            self.must_still_be_there(&*settings.vfs, files.root())?;
            let replica = directory::Replica::open(from, files.root(), settings, keep)?;
            files.must_keep_conditions(directory::MANIFEST)?;
            return Ok(replica);
        }
        check_directory(to).map_err(told)?;
        self.must_still_be_there(&*options.settings.vfs, to)?;
        directory::Replica::open(from, to, options.settings, keep)
    }

    fn must_still_be_there(&self, vfs: &dyn Vfs, to: &Path) -> Result<()> {
        self.state_of.map_or(Ok(()), |store_id| directory::must_still_be_there(vfs, to, store_id))
    }
}

impl Options {
    /// For how long a backup keeps the states that newer ones have replaced, by the times of the store's compactions: what
    /// is needed for older ones only is removed from it. For ever if nobody says.
    pub fn keep_states(mut self, span: Duration) -> Self {
        self.keep_states = Some(span);
        self
    }

    /// Makes a backup of the store in the directory `from` in the directory `to`, or brings the one there up to date: only what is
    /// new is copied. Works beside a process that writes to the store, without its lock, and writes nothing to the store.
    ///
    /// When this returns, the backup holds everything that had been acknowledged before the call, durably.
    /// Whatever stops it, the backup is in the state that it was in before, or in a newer one that the store has been in.
    /// Everything that the newest state consists of has been read and held against its checksum, what was
    /// there before included. [`restore`](Self::restore) makes a store of it. Of an encrypted store it needs the key, and is encrypted with
    /// the store's own keys, which go along.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no store; `InvalidInput` if there is something else at `to`, or the backup of another store;
    /// `Key` if the store is encrypted and its key was not given; `Locked` if another process writes to the backup; those of [`Replica::pass`]; `Corrupt` for a backup that is damaged
    /// where the store does not have any more what was there.
    ///
    /// ```
    /// # let home = tempfile::tempdir().unwrap();
    /// # let (dir, backup, new) = (home.path().join("data"), home.path().join("backup"), home.path().join("restored"));
    /// use aral_store::{MessageStore, Moment};
    /// let store = MessageStore::open(&dir)?;
    /// store.add_message("c1", "kept")?;
    /// let report = MessageStore::options().backup(&dir, &backup)?;
    /// assert_eq!((report.last_seq, report.kept), (1, vec![(0, 1)]));
    /// store.add_message("c1", "later")?;
    /// assert_eq!(MessageStore::options().backup(&dir, &backup)?.last_seq, 2);
    /// MessageStore::options().restore(&backup, &new, Moment::Seq(1))?;
    /// assert_eq!(MessageStore::open(&new)?.messages("c1", aral_store::Messages::all())?.len(), 1);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn backup(self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<BackupReport> {
        let mut replica = self.replica(from, to)?;
        let mut report = replica.pass()?;
        if let Some(opened) = &replica.opened {
            opened.tell_kept(&mut report)?;
            opened.tell_amiss(&mut report)?;
        }
        Ok(report)
    }

    /// Opens a backup for more than one look, each of which is a [`pass`](Replica::pass): what has been read once is not read
    /// again, and a segment that a compaction drops between two looks is still copied to its end. The backup is held
    /// until this is dropped; the store is not. It keeps the files' names and checksums in memory, and no content.
    ///
    /// # Errors
    ///
    /// Those of [`backup`](Self::backup).
    ///
    /// ```
    /// # let home = tempfile::tempdir().unwrap();
    /// # let (dir, backup) = (home.path().join("data"), home.path().join("backup"));
    /// use aral_store::MessageStore;
    /// let store = MessageStore::open(&dir)?;
    /// let mut replica = MessageStore::options().replica(&dir, &backup)?;
    /// store.add_message("c1", "Hi!")?;
    /// assert_eq!(replica.pass()?.last_seq, 1);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn replica(self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<Replica> {
        let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
        let untold = BackupReport::default();
        let mut replica = Replica { opened: None, options: self, from, to, state_of: None, untold };
        replica.opened = Some(replica.open()?);
        Ok(replica)
    }

    /// Makes a store in the directory `to` of a backup: of its newest state, of that after an event, or of the newest one that the
    /// store is known to have been in by some time.
    ///
    /// `to` must not exist, or be empty. The new store is built beside it, under a name that ends in `.partial`, and has
    /// its own only once it is complete and durable and all of it has been read and found sound. It has the identity of the
    /// old one, and is to take its place: a backup of the old one is not gone on with from a state that the new one has left behind.
    /// Of an encrypted store it needs the key; the new store opens with that one and with no other.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no backup, or it does not have the state that is asked for, naming those that it has;
    /// `InvalidInput` if something is in the way at `to`; `Key` if it is of an encrypted store and its key was not given; `Corrupt` if
    /// the backup is damaged; `ReadOnly`, `NoSpace` and `Io` as the
    /// system says.
    pub fn restore(
        self,
        from: impl AsRef<Path>,
        to: impl AsRef<Path>,
        moment: Moment,
    ) -> Result<RestoreReport> {
        let told = |error: Error| error.with_remedy(OF_DIRECTORIES);
        check_directory(to.as_ref()).map_err(told)?;
        #[cfg(feature = "journal")]
        if let Some(files) = elsewhere(from.as_ref(), &self.settings)? {
            let settings = Settings { vfs: files.clone(), ..self.settings };
            return directory::restore(files.root(), to.as_ref(), moment, settings);
        }
        check_directory(from.as_ref()).map_err(told)?;
        directory::restore(from.as_ref(), to.as_ref(), moment, self.settings)
    }
}

/// The file system in which a URL's objects are a backup's place; `None` for the name of anything else.
#[cfg(feature = "journal")]
fn elsewhere(name: &Path, settings: &Settings) -> Result<Option<Arc<ObjectFiles>>> {
    let told = |error: Error| error.with_remedy(OF_DIRECTORIES);
    let objects = super::connect::objects(name).map_err(told)?;
    Ok(objects.map(|objects| Arc::new(ObjectFiles::new(objects, Arc::clone(&settings.vfs)))))
}
