//! Saving what can be saved of a damaged store into a new one, as callers have it.
//!
//! Owns which engine reads what is damaged, and what the new store may be.

use std::path::Path;

use super::location::check_directory;
use super::options::Options;
use super::url::StoreUrl;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::backend::Backend;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::backend::copy;
use crate::backend::directory;
#[cfg(feature = "postgres")]
use crate::backend::postgres;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::backend::sql::Salvaged;
#[cfg(feature = "sqlite")]
use crate::backend::sqlite;
use crate::error::Result;
#[cfg(any(
    feature = "cloud",
    feature = "firestore",
    feature = "mongodb",
    feature = "sqlite",
    feature = "postgres"
))]
use crate::error::{Error, ErrorKind};
use crate::model::RepairReport;

impl Options {
    /// Saves what can be saved of the store in `from` into a new store in `to`, and says what could not.
    ///
    /// Everything that a checksum proves is taken over: files, checkpoints, and every event of the log, also
    /// behind damage. One flipped bit of a file or a checkpoint is turned back where its checksum tells which
    /// one it is. An event whose predecessors are lost is carried out as far as that makes sense: a message
    /// goes into its conversation even if nothing else of that is left. Events are numbered anew where some
    /// are lost. The repair of a sound store gives an equal one. Of an encrypted store it needs the key, which opens the new one too.
    ///
    /// Nothing is written to `from`. `to` must not exist, or be empty; while the repair runs, the new store is
    /// in a directory beside it whose name ends in `.partial`, which a repair that is stopped leaves behind.
    /// When this returns, the new store is complete, durable and closed.
    ///
    /// By its URL, `from` may also be a store in `SQLite` or `PostgreSQL`, whose tables are read row by row. A conversation is as its events say
    /// if they are whole, and as its rows say if some may be lost; no checksum proves a row, so the notes name each such conversation.
    /// Each event and row that cannot be read is among what is lost. `to` is then a directory, or the URL of any store that does not exist or is empty;
    /// what is no directory is not whole if the repair is stopped. The new store has the conversations, what is remembered of those that were removed, and keys; the
    /// history of what they were stays with the old one.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a bucket, `MongoDB` and Firestore; `NotFound` if there is no directory, or no store in the database; `InvalidInput` if something is in the way at `to`; `Locked` if
    /// `from` is a directory and open for writing, in this process or another; `Corrupt` if a database does not even say which tables it has;
    /// `UnsupportedFormat` for a newer format; `ReadOnly`, `NoSpace` and `Io` as the system says of `to`. Damage is in the report.
    ///
    /// ```
    /// # let home = tempfile::tempdir().unwrap();
    /// # let (dir, new) = (home.path().join("data"), home.path().join("repaired"));
    /// use aral_store::MessageStore;
    /// let store = MessageStore::open(&dir)?;
    /// store.add_message("c1", "kept")?;
    /// store.close()?;
    /// let report = MessageStore::options().repair(&dir, &new)?;
    /// assert!(report.is_complete());
    /// assert_eq!(MessageStore::open(&new)?.messages("c1", aral_store::Messages::all())?.len(), 1);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn repair(self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<RepairReport> {
        let (from, to) = (from.as_ref(), to.as_ref());
        match StoreUrl::of(from)? {
            #[cfg(feature = "sqlite")]
            StoreUrl::Sqlite(file) => {
                self.repair_database(from, to, |options| sqlite::salvage(&file, &options.settings))
            }
            #[cfg(feature = "postgres")]
            StoreUrl::Postgres(target) => {
                self.repair_database(from, to, |options| postgres::salvage(target, &options.settings))
            }
            #[cfg(feature = "cloud")]
            StoreUrl::Cloud(_) => Err(no_repair_of_a_bucket()),
            #[cfg(feature = "firestore")]
            StoreUrl::Firestore(_) => Err(no_repair_of_a_log_in_documents()),
            #[cfg(feature = "mongodb")]
            StoreUrl::Mongodb(_) => Err(no_repair_of_a_log_in_documents()),
            _ => {
                check_directory(from)?;
                check_directory(to)?;
                directory::repair(from, to, self.settings)
            }
        }
    }
}

/// What there is instead of a repair of a store in a bucket.
#[cfg(feature = "cloud")]
pub(super) fn no_repair_of_a_bucket() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "a store in a bucket is not repaired where it is: copy its objects into a directory with the bucket's own tools, such as \
         `aws s3 sync`, `gcloud storage rsync` or `azcopy`, not with `aral-store copy`, and repair that directory",
    )
}

/// What there is instead of a repaired copy of a store whose log is in documents.
#[cfg(any(feature = "firestore", feature = "mongodb"))]
fn no_repair_of_a_log_in_documents() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "`repair --in-place` makes the documents to query of this store anew; its log is not repaired: put the database's own backup \
         back, or copy what can be read elsewhere with `aral-store copy`",
    )
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl Options {
    /// Saves a store in a database into a directory, or by another URL.
    fn repair_database(
        self,
        from: &Path,
        to: &Path,
        salvage: impl FnOnce(Self) -> Result<Salvaged>,
    ) -> Result<RepairReport> {
        directory::must_have_no_key(&self.settings, "this store")?;
        let place = StoreUrl::of(to)?;
        if place == StoreUrl::of(from)? {
            return Err(Error::invalid("the new store must be another one than the damaged one"));
        }
        let salvaged = salvage(self.clone().read_only())?;
        if let StoreUrl::Directory(dir) = &place {
            check_directory(dir)?;
            return directory::repair_into(from, dir, self.settings, |new| save(&salvaged, new));
        }
        self.must_be_new(to)?;
        let store = self.connect(to)?;
        let report = save(&salvaged, store.backend()).map_err(|error| {
            let reason = format!("{}; the new store is not whole: remove it", error.message());
            Error::new(error.kind(), reason)
        })?;
        store.close()?;
        Ok(report)
    }

    /// Holds that there is no store that holds anything. Whoever connects for writing would bring a damaged one up to date.
    fn must_be_new(&self, to: &Path) -> Result<()> {
        let stats = match self.clone().read_only().connect(to) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            store => store?.stats()?,
        };
        if stats.last_seq == 0 && stats.conversations == 0 {
            return Ok(());
        }
        Err(Error::invalid("the store to repair to is not empty; name a new one"))
    }
}

/// Puts what can be read into a new store.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn save(salvaged: &Salvaged, new: &dyn Backend) -> Result<RepairReport> {
    let copied = copy::copy(salvaged, new, &mut |_| {})?;
    let mut report = salvaged.report();
    (report.conversations, report.messages, report.actions) =
        (copied.conversations, copied.messages, copied.actions);
    Ok(report)
}
