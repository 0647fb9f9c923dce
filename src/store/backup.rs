//! Backups of a store in a directory, as callers make them.
//!
//! Owns the public way to them, and what is promised of each.

use std::path::Path;
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

/// What whoever names a database is told.
const OF_DIRECTORIES: &str = "backups are of stores in directories, to directories or buckets; `aral-store copy FROM TO` copies a \
                              store from any engine to any other";

/// A backup that goes on with its store; see [`Options::replica`].
#[derive(Debug)]
pub struct Replica(directory::Replica);

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
    /// an earlier state than the backup's; `ReadOnly`, `NoSpace` and `Io` as the system says. The backup is as it was then,
    /// and the next call tries again.
    pub fn pass(&mut self) -> Result<BackupReport> {
        self.0.pass()
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
    /// there before included. [`restore`](Self::restore) makes a store of it.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no store; `InvalidInput` if there is something else at `to`, or the backup of another store;
    /// `Locked` if another process writes to the backup; those of [`Replica::pass`]; `Corrupt` for a backup that is damaged
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
        let mut report = replica.0.pass()?;
        replica.0.tell_kept(&mut report)?;
        replica.0.tell_amiss(&mut report)?;
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
        let told = |error: Error| error.with_remedy(OF_DIRECTORIES);
        check_directory(from.as_ref()).map_err(told)?;
        let keep = self.keep_states.map(|span| i64::try_from(span.as_micros()).unwrap_or(i64::MAX));
        #[cfg(feature = "journal")]
        if let Some(files) = elsewhere(to.as_ref(), &self.settings)? {
            let settings = Settings { vfs: files.clone(), ..self.settings };
            let replica = directory::Replica::open(from.as_ref(), files.root(), settings, keep)?;
            files.must_keep_conditions(directory::MANIFEST)?;
            return Ok(Replica(replica));
        }
        check_directory(to.as_ref()).map_err(told)?;
        directory::Replica::open(from.as_ref(), to.as_ref(), self.settings, keep).map(Replica)
    }

    /// Makes a store in the directory `to` of a backup: of its newest state, of that after an event, or of the newest one that the
    /// store is known to have been in by some time.
    ///
    /// `to` must not exist, or be empty. The new store is built beside it, under a name that ends in `.partial`, and has
    /// its own only once it is complete and durable and all of it has been read and found sound. It has the identity of the
    /// old one, and is to take its place: a backup of the old one is not gone on with from a state that the new one has left behind.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no backup, or it does not have the state that is asked for, naming those that it has;
    /// `InvalidInput` if something is in the way at `to`; `Corrupt` if the backup is damaged; `ReadOnly`, `NoSpace` and `Io` as the
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
