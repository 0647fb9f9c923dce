//! How a store is opened.
//!
//! Owns the settings, their defaults and their limits. Settings are data; the file system, the clock and
//! the source of ids are parts that can be put in beside them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::clock::{Clock, IdSource, IdVersion, SystemClock};
use super::file;
use super::handle::MessageStore;
use super::location::check_directory;
use crate::error::Result;
use crate::model::{RepairReport, UniqueIds, VerifyReport};
use crate::vfs::{OsVfs, Vfs};

/// When an accepted mutation is synced to the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum SyncPolicy {
    /// Before the call returns; callers at the same time share a sync.
    #[default]
    Always,
    /// Within this time, by a thread of its own. A power cut loses at most what was accepted since; a kill
    /// of the process loses nothing.
    Interval(Duration),
    /// When the operating system likes, or when [`sync`](crate::MessageStore::sync) is called. A power cut
    /// loses what was not synced; a kill of the process loses nothing.
    Os,
}

/// What a store is opened with.
///
/// ```
/// use aral_store::{IdVersion, MessageStore, SyncPolicy};
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path();
/// let store = MessageStore::options().sync(SyncPolicy::Os).ids(IdVersion::V7).compact_on_close().open(path)?;
/// store.close()?;
/// # Ok::<(), aral_store::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until a store is opened with them"]
pub struct Options {
    pub(crate) sync: SyncPolicy,
    pub(crate) segment_bytes: u64,
    pub(crate) first_segment_bytes: u64,
    pub(crate) compact_above: Option<u64>,
    pub(crate) compacts_on_close: bool,
    pub(crate) wait: Duration,
    pub(crate) is_read_only: bool,
    pub(crate) salvages: bool,
    pub(crate) unique_ids: UniqueIds,
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sync: SyncPolicy::Always,
            segment_bytes: 16 << 20,
            first_segment_bytes: 256 << 10,
            compact_above: Some(64 << 20),
            compacts_on_close: false,
            wait: Duration::ZERO,
            is_read_only: false,
            salvages: false,
            unique_ids: UniqueIds::Off,
            vfs: Arc::new(OsVfs),
            clock: Arc::new(SystemClock),
            ids: Arc::new(IdVersion::V4),
        }
    }
}

impl Options {
    /// When mutations are synced; [`SyncPolicy::Always`] by default.
    pub fn sync(mut self, policy: SyncPolicy) -> Self {
        self.sync = policy;
        self
    }

    /// How many bytes a log segment is made for; 16 MiB by default, 64 KiB at least, 1 GiB at most. One
    /// batch that is larger gets a segment of its own size.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes.clamp(64 << 10, 1 << 30);
        self.first_segment_bytes = self.first_segment_bytes.min(self.segment_bytes);
        self
    }

    /// How many bytes the first segment of an opening is made for, so that short openings take little
    /// space; 256 KiB by default, 8 KiB at least. Each next segment is four times as long.
    pub fn first_segment_bytes(mut self, bytes: u64) -> Self {
        self.first_segment_bytes = bytes.clamp(8 << 10, self.segment_bytes);
        self
    }

    /// Compacts in the background once the log has more bytes than this and than the JSON files have;
    /// 64 MiB by default. So does a closing that would leave more than 64 small segments, as programs do that open the
    /// store for a message each.
    pub fn compact_above(mut self, bytes: u64) -> Self {
        self.compact_above = Some(bytes);
        self
    }

    /// Never compacts but when told to.
    pub fn compact_manually(mut self) -> Self {
        self.compact_above = None;
        self
    }

    /// Compacts when the store is closed, so that the JSON files are complete afterwards.
    pub fn compact_on_close(mut self) -> Self {
        self.compacts_on_close = true;
        self
    }

    /// Waits as long as this for another process that has the store open for writing; not at all by default, because
    /// a program may have something better to do than to stand still in a call that opens a file.
    ///
    /// Those who wait get the store one after the other, and nobody who comes later gets it before the one that is next.
    pub fn wait(mut self, patience: Duration) -> Self {
        self.wait = patience;
        self
    }

    /// Opens for reading only: takes no lock, writes nothing, and works beside a writing process and on a
    /// read-only file system. It shows the store as it is at the opening, and what came later
    /// after a [`refresh`](MessageStore::refresh); where a compaction has taken a file away from under it, it goes over to the newest state by itself.
    /// [`follow`](MessageStore::follow) gives later events one by one.
    pub fn read_only(mut self) -> Self {
        self.is_read_only = true;
        self
    }

    /// Opens for reading only, also a store that is damaged: what is shown then is what a
    /// [`repair`](Self::repair) would save, made in memory, with the log's own numbers; what could not be saved is in
    /// [`RecoveryReport::salvage`](crate::RecoveryReport). A sound store is shown as it is.
    ///
    /// It writes nothing, takes no lock, and of a damaged store keeps everything in memory. A follower of such a
    /// store ends where its log does.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # drop(aral_store::MessageStore::open(dir.path())?.add_message("c1", "Hi!")?);
    /// use aral_store::MessageStore;
    /// let store = MessageStore::options().salvage().open(dir.path())?;
    /// if let Some(report) = store.recovery().salvage {
    ///     eprintln!("damaged: {} losses", report.lost.len());
    /// }
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn salvage(mut self) -> Self {
        self.salvages = true;
        self.read_only()
    }

    /// Holds messages and actions that are added through this handle, and come with ids, to ids of their own;
    /// [`UniqueIds::Off`] by default. Messages are held against messages, and actions against actions, of their conversation.
    ///
    /// It is a rule of the handle and its clones, and not kept with the store: what is there stays, whatever ids it has, and other openings
    /// add by their own rule. No two additions get past it at the same time, in one batch or
    /// in two threads. Each such addition goes over the checksums of the conversation's ids, which takes a
    /// nanosecond or less for each of its messages, reads those that are the same, and waits for the additions to that conversation before it to be
    /// written, with which it otherwise would have shared a sync. Additions without an id cost nothing more.
    ///
    /// ```
    /// use aral_store::{MessageStore, NewMessage, UniqueIds};
    /// # let dir = tempfile::tempdir().unwrap();
    /// let store = MessageStore::options().unique_ids(UniqueIds::Existing).open(dir.path())?;
    /// let answer = || NewMessage::new("42").role("assistant").id("answer-1");
    /// store.add_message("c1", answer())?;
    /// let retry = store.add_message("c1", answer())?;
    /// assert_eq!((retry.id, retry.version), ("answer-1".into(), 1));
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn unique_ids(mut self, unique_ids: UniqueIds) -> Self {
        self.unique_ids = unique_ids;
        self
    }

    /// Which UUIDs are made up where a caller gives no id; [`IdVersion::V4`] by default.
    pub fn ids(mut self, ids: impl IdSource + 'static) -> Self {
        self.ids = Arc::new(ids);
        self
    }

    /// Where times come from; the system's clock by default.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Which file system is used; the operating system's by default.
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.vfs = vfs;
        self
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
        let unique_ids = self.unique_ids;
        file::open(dir.as_ref(), self).map(|backend| MessageStore::with_rule(backend, unique_ids))
    }

    /// Reads every byte of a store in a directory and says what is wrong with it, even if it cannot be opened.
    /// Writes nothing.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no directory; I/O errors on directories. Damage is in the report.
    pub fn verify(self, dir: impl AsRef<Path>) -> Result<VerifyReport> {
        check_directory(dir.as_ref())?;
        file::verify_dir(dir.as_ref(), &self)
    }

    /// Saves what can be saved of the store in `from` into a new store in `to`, and says what could not.
    ///
    /// Everything that a checksum proves is taken over: files, checkpoints, and every event of the log, also
    /// behind damage. One flipped bit of a file or a checkpoint is turned back where its checksum tells which
    /// one it is. An event whose predecessors are lost is carried out as far as that makes sense: a message
    /// goes into its conversation even if nothing else of that is left. Events are numbered anew where some
    /// are lost. The repair of a sound store gives an equal one.
    ///
    /// Nothing is written to `from`. `to` must not exist, or be empty; while the repair runs, the new store is
    /// in a directory beside it whose name ends in `.partial`, which a repair that is stopped leaves behind.
    /// When this returns, the new store is complete, durable and closed.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no directory; `InvalidInput` if something is in the way at `to`; `Locked` if
    /// `from` is open for writing, in this process or another; `UnsupportedFormat` for a newer format;
    /// `ReadOnly`, `NoSpace` and `Io` as the system says of `to`. Damage is in the report.
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
        check_directory(from.as_ref())?;
        check_directory(to.as_ref())?;
        file::repair(from.as_ref(), to.as_ref(), self)
    }

    /// Saves what can be saved of the store in a directory into a new store that takes the directory's place; the
    /// damaged one is kept beside it, under the name in [`RepairReport::kept`].
    ///
    /// The two exchange their names at once where the file system can do that. Elsewhere the damaged one is renamed
    /// first; whoever opens the store if the repair was stopped between the two is told where both are. Of a symbolic
    /// link, what it leads to is replaced, and the link stays.
    ///
    /// # Errors
    ///
    /// Those of [`repair`](Self::repair), and those of the system where a directory may not be renamed, as the root
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
        check_directory(dir.as_ref())?;
        file::repair_in_place(dir.as_ref(), self)
    }

    /// Makes an empty store in memory, with these options' clock and ids.
    #[must_use]
    pub fn in_memory(self) -> MessageStore {
        let unique_ids = self.unique_ids;
        MessageStore::with_rule(Arc::new(super::memory::Memory::new(self)), unique_ids)
    }
}
