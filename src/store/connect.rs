//! From a place and options to an open store.
//!
//! Owns the choice of the backend: the only file that knows them all.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use super::handle::{MessageStore, Own};
use super::location::check_directory;
use super::options::Options;
#[cfg(feature = "cloud")]
use super::repair::no_repair_of_a_bucket;
use super::url::StoreUrl;
use crate::backend::Backend;
#[cfg(feature = "cloud")]
use crate::backend::cloud;
use crate::backend::directory;
#[cfg(feature = "firestore")]
use crate::backend::firestore;
#[cfg(feature = "journal")]
use crate::backend::journal::{self, objects::Objects};
use crate::backend::memory::Memory;
#[cfg(feature = "mongodb")]
use crate::backend::mongodb;
#[cfg(feature = "postgres")]
use crate::backend::postgres;
#[cfg(feature = "sqlite")]
use crate::backend::sqlite;
use crate::clock::enter_process;
use crate::error::{Error, ErrorKind, Result};
#[cfg(feature = "sqlite")]
use crate::model::SearchIndex;
use crate::model::{Keep, RepairReport, VerifyReport};
#[cfg(feature = "encryption")]
use crate::sealed::Key;

/// The objects that a URL means, if it means a place of objects; anything else is `None`.
#[cfg(feature = "journal")]
pub(super) fn objects(name: &Path) -> Result<Option<Arc<dyn Objects>>> {
    match StoreUrl::of(name)? {
        #[cfg(feature = "cloud")]
        StoreUrl::Cloud(target) => cloud::objects(&target).map(Some),
        #[cfg(feature = "firestore")]
        StoreUrl::Firestore(target) => firestore::objects(&target).map(Some),
        #[cfg(feature = "mongodb")]
        StoreUrl::Mongodb(target) => mongodb::objects(&target).map(Some),
        _ => Ok(None),
    }
}

impl MessageStore {
    /// An empty store that lives in memory and ends with the process.
    ///
    /// ```
    /// let store = aral_store::MessageStore::in_memory();
    /// assert!(store.conversations(aral_store::Order::Created)?.is_empty());
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    #[must_use]
    pub fn in_memory() -> Self {
        Options::default().in_memory()
    }

    /// Opens the store in a directory with the default options, making the directory if there is none; see
    /// [`Options::open`] for what that means and how it can fail.
    ///
    /// # Errors
    ///
    /// Those of [`Options::open`].
    ///
    /// ```
    /// # let home = tempfile::tempdir().unwrap();
    /// # let dir = home.path().join("data");
    /// let store = aral_store::MessageStore::open(&dir)?;
    /// assert_eq!(store.recovery().last_seq, 0);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Options::default().open(dir)
    }

    /// Opens a store by its URL with the default options; see [`Options::connect`].
    ///
    /// # Errors
    ///
    /// Those of [`Options::connect`].
    ///
    /// ```
    /// # let home = tempfile::tempdir().unwrap();
    /// # let url = home.path().join("data");
    /// let store = aral_store::MessageStore::connect(&url)?;
    /// assert!(aral_store::MessageStore::connect("redis://cache").is_err());
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn connect(url: impl AsRef<OsStr>) -> Result<Self> {
        Options::default().connect(url)
    }

    /// The options to open a store with.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::{MessageStore, SyncPolicy};
    /// let store = MessageStore::options().sync(SyncPolicy::Os).open(dir.path())?;
    /// // The segment of the log is made durably, with what it begins with.
    /// assert!(store.add_message("c1", "first")?.is_durable());
    /// assert!(!store.add_message("c1", "quick")?.is_durable());
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn options() -> Options {
        Options::default()
    }
}

/// What of the options an engine does not know.
struct Handing {
    own: Own,
    keep: Option<Keep>,
}

impl Handing {
    /// A handle to a store that is open.
    fn over(self, backend: Arc<dyn Backend>) -> Result<MessageStore> {
        let store = MessageStore::opened(backend, self.own);
        let Some(keep) = self.keep else { return Ok(store) };
        match store.kept_history() {
            Ok(kept) if kept.keep == keep => {}
            Err(error) if error.kind() != ErrorKind::Corrupt => return Err(error),
            // A choice that cannot be read is made anew too.
            Ok(_) | Err(_) => drop(store.keep_history(keep)?),
        }
        Ok(store)
    }
}

impl Options {
    fn handing(&self) -> Handing {
        Handing { own: self.own(), keep: self.keep }
    }

    /// What is the handle's, and not the backend's.
    fn own(&self) -> Own {
        enter_process();
        Own { unique_ids: self.unique_ids, ids: Arc::clone(&self.settings.ids) }
    }

    /// Opens the store in a directory, making the directory if there is none.
    ///
    /// A directory that the Python original wrote is opened as it is. In one process every opening of the
    /// same directory for writing shares one store, which has the first one's options.
    ///
    /// When this returns, what the store shows is durable; see
    /// [`recovery`](crate::MessageStore::recovery) for what was found. Opening for writing takes time for what is
    /// in the log, and little for what is in the JSON files: whether somebody has changed one since the store was
    /// closed is looked at when its conversation is first touched, and of all of them before the first list,
    /// report or compaction.
    ///
    /// Files that are read from stay open for the next who reads: at most 4,096, and one in ten of as many as the
    /// process may have open. All of its stores together keep one in eight; one that comes when these are taken keeps
    /// up to 8, as long as all together keep no more than one in four.
    ///
    /// # Errors
    ///
    /// `Locked` if another process writes to it, and goes on for longer than [`wait`](Options::wait) says; `Corrupt` if durable bytes of the log or the checkpoint
    /// are damaged or missing (nothing has been changed then); `UnsupportedFormat` for a newer format;
    /// `ReadOnly`, `NoSpace` and `Io` as the system says. For reading, `NotFound` if there is no directory.
    /// `InvalidInput` for a URL, see [`location`](crate::location), and for a new store among the files of another one.
    /// A damaged conversation file is no error here.
    pub fn open(self, dir: impl AsRef<Path>) -> Result<MessageStore> {
        check_directory(dir.as_ref())?;
        let handing = self.handing();
        directory::open(dir.as_ref(), self.settings).and_then(|backend| handing.over(backend))
    }

    /// Opens a store by its URL: `memory:`, `sqlite:PATH` and `postgres://…` where they are built in (cargo features `sqlite` and
    /// `postgres`), or the path of a directory; see [`StoreUrl`]. Which engine keeps the store makes no other difference.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a URL that no engine here can open; those of [`open`](Self::open). For a database, `Locked` if
    /// others do not let it be used within 30 seconds, or what [`wait`](Self::wait) says if that is more; `NotFound`
    /// if there is no such file, and it is opened for reading or its directory is not there.
    ///
    /// ```
    /// let store = aral_store::MessageStore::options().connect("memory:")?;
    /// store.add_message("c1", "Hi!")?;
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn connect(self, url: impl AsRef<OsStr>) -> Result<MessageStore> {
        let handing = self.handing();
        let place = StoreUrl::of(url)?;
        if !matches!(place, StoreUrl::Directory(_)) {
            directory::must_have_no_key(&self.settings, "this store")?;
        }
        match place {
            StoreUrl::Directory(dir) => self.open(dir),
            StoreUrl::Memory => handing.over(Arc::new(Memory::new(self.settings))),
            #[cfg(feature = "sqlite")]
            StoreUrl::Sqlite(path) => {
                let backend = sqlite::open(&path, self.settings)?;
                handing.over(backend)
            }
            #[cfg(feature = "postgres")]
            StoreUrl::Postgres(target) => {
                let backend = postgres::open(target, self.settings)?;
                handing.over(backend)
            }
            #[cfg(feature = "cloud")]
            StoreUrl::Cloud(target) => {
                let backend = cloud::open(&target, self.settings)?;
                handing.over(backend)
            }
            #[cfg(feature = "firestore")]
            StoreUrl::Firestore(target) => {
                let backend = firestore::open(&target, self.settings)?;
                handing.over(backend)
            }
            #[cfg(feature = "mongodb")]
            StoreUrl::Mongodb(target) => {
                let backend = mongodb::open(&target, self.settings)?;
                handing.over(backend)
            }
        }
    }

    /// Reads every byte of a store in a directory and says what is wrong with it, even if it cannot be opened.
    /// Writes nothing. By its URL a store that is kept as objects is read: in a bucket, in `MongoDB`, in Firestore.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no directory; I/O errors on directories. Damage is in the report.
    pub fn verify(self, dir: impl AsRef<Path>) -> Result<VerifyReport> {
        #[cfg(feature = "journal")]
        if check_directory(dir.as_ref()).is_err()
            && directory::must_have_no_key(&self.settings, "this store").is_ok()
            && let Some(objects) = objects(dir.as_ref())?
        {
            return journal::verify(&objects);
        }
        check_directory(dir.as_ref())?;
        directory::verify_dir(dir.as_ref(), &self.settings)
    }

    /// Brings the index for searching of the store in a directory up to its newest event, making one if there is none: `log/SEARCH`, a file
    /// that is derived, and that may be removed at any time. Searches use it as soon as there is one, and read themselves what has changed
    /// since. It takes no lock, so that the store may be open meanwhile, here and elsewhere.
    ///
    /// # Errors
    ///
    /// `Unsupported` for an encrypted store, whose words would stand in it; `InvalidInput` for a damaged store; `Conflict` if another
    /// process does the same at the moment, or erases something; `Locked`; I/O errors.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::MessageStore;
    /// let store = MessageStore::open(dir.path())?;
    /// store.add_message("c1", "Will it rain?")?;
    /// let index = MessageStore::options().index_search(dir.path())?;
    /// assert_eq!(index.last_seq, 1);
    /// assert_eq!(store.search("rain")?.len(), 1);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    #[cfg(feature = "sqlite")]
    pub fn index_search(self, dir: impl AsRef<Path>) -> Result<SearchIndex> {
        check_directory(dir.as_ref())?;
        directory::make_search_index(dir.as_ref(), self.settings)
    }

    /// The index for searching of the store in a directory; `None` if there is none that can be used.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no directory; what the index cannot be read for.
    #[cfg(feature = "sqlite")]
    pub fn search_index(self, dir: impl AsRef<Path>) -> Result<Option<SearchIndex>> {
        check_directory(dir.as_ref())?;
        directory::search_index(dir.as_ref(), &self.settings)
    }

    /// Removes that index. Whether there was one.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no directory; I/O errors.
    #[cfg(feature = "sqlite")]
    pub fn drop_search_index(self, dir: impl AsRef<Path>) -> Result<bool> {
        check_directory(dir.as_ref())?;
        directory::drop_search_index(dir.as_ref(), &self.settings)
    }

    /// Saves what can be saved of the store in a directory into a new store that takes the directory's place; the
    /// damaged one is kept beside it, under the name in [`RepairReport::kept`].
    ///
    /// The two exchange their names at once where the file system can do that. Elsewhere the damaged one is renamed
    /// first; whoever opens the store if the repair was stopped between the two is told where both are. Of a symbolic
    /// link, what it leads to is replaced, and the link stays.
    ///
    /// By its URL a store in a database is repaired: its tables are rebuilt from its events, in one transaction. What stood there and no
    /// event explains is kept in the table `aral_quarantine`; the notes say how much that is. Other processes may have the store open.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a database whose events are damaged or missing; nothing is changed then. Those of [`repair`](Self::repair), and those of the system where a directory may not be renamed, as the root
    /// of a file system may not.
    ///
    /// ```
    /// # let home = tempfile::tempdir().unwrap();
    /// # let dir = home.path().join("data");
    /// use aral_store::MessageStore;
    /// let store = MessageStore::open(&dir)?;
    /// drop(store.add_message("c1", "kept")?);
    /// store.close()?;
    /// let report = MessageStore::options().repair_in_place(&dir)?;
    /// assert!(report.kept.is_some_and(|old| old.is_dir()));
    /// assert_eq!(MessageStore::open(&dir)?.messages("c1", aral_store::Messages::all())?.len(), 1);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn repair_in_place(self, dir: impl AsRef<Path>) -> Result<RepairReport> {
        enter_process();
        let place = StoreUrl::of(dir.as_ref())?;
        if !matches!(place, StoreUrl::Directory(_)) {
            directory::must_have_no_key(&self.settings, "this store")?;
        }
        match place {
            StoreUrl::Directory(dir) => directory::repair_in_place(&dir, self.settings),
            StoreUrl::Memory => Err(Error::new(
                ErrorKind::Unsupported,
                "a store in memory ends with its process, and is not repaired",
            )),
            #[cfg(feature = "sqlite")]
            StoreUrl::Sqlite(path) => sqlite::repair_in_place(&path, &self.settings),
            #[cfg(feature = "postgres")]
            StoreUrl::Postgres(target) => postgres::repair_in_place(target, &self.settings),
            #[cfg(feature = "firestore")]
            StoreUrl::Firestore(target) => firestore::repair_in_place(&target, self.settings),
            #[cfg(feature = "mongodb")]
            StoreUrl::Mongodb(target) => mongodb::repair_in_place(&target, self.settings),
            #[cfg(feature = "cloud")]
            StoreUrl::Cloud(_) => Err(no_repair_of_a_bucket()),
        }
    }

    /// Gives an encrypted store in a directory another key: these options' key opens it, and afterwards only `new` does. The keys of
    /// its conversations are wrapped by a key of the store's own, which alone is wrapped anew, so that nothing else is written.
    ///
    /// # Errors
    ///
    /// `Key` if this is not the store's key; `InvalidInput` if it is not encrypted; `Locked` if it is open for writing.
    #[cfg(feature = "encryption")]
    pub fn rekey(self, dir: impl AsRef<Path>, new: &Key) -> Result<()> {
        check_directory(dir.as_ref())?;
        directory::rekey(&self.settings, dir.as_ref(), new)
    }

    /// Makes an empty store in memory, with these options' clock and ids. It keeps no history, whatever they say of that.
    #[must_use]
    pub fn in_memory(self) -> MessageStore {
        let own = self.own();
        MessageStore::opened(Arc::new(Memory::new(self.settings)), own)
    }
}
