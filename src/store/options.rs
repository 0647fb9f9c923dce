//! How a store is opened.
//!
//! Owns the settings as callers give them, and their limits. Knows no backend; `connect.rs` opens one with them.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::settings::{OwnEvents, Settings, SyncPolicy};
use crate::clock::{Clock, IdSource};
#[cfg(feature = "encryption")]
use crate::error::Result;
use crate::model::{Keep, UniqueIds};
#[cfg(feature = "encryption")]
use crate::sealed::{Key, KeySource};
use crate::vfs::Vfs;

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
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until a store is opened with them"]
pub struct Options {
    pub(super) settings: Settings,
    pub(super) unique_ids: UniqueIds,
    /// How much of its history the store is to keep; what it was told before if nothing is said.
    pub(super) keep: Option<Keep>,
    /// For how long a backup keeps states that newer ones have replaced.
    pub(super) keep_states: Option<Duration>,
}

impl Options {
    /// When mutations are synced; [`SyncPolicy::Always`] by default.
    pub fn sync(mut self, policy: SyncPolicy) -> Self {
        self.settings.sync = policy;
        self
    }

    /// How many bytes a log segment is made for; 16 MiB by default, 64 KiB at least, 1 GiB at most. One
    /// batch that is larger gets a segment of its own size.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.settings.segment_bytes = bytes.clamp(64 << 10, 1 << 30);
        self.settings.first_segment_bytes =
            self.settings.first_segment_bytes.min(self.settings.segment_bytes);
        self
    }

    /// How many bytes the first segment of an opening is made for, so that short openings take little
    /// space; 256 KiB by default, 8 KiB at least. Each next segment is four times as long.
    pub fn first_segment_bytes(mut self, bytes: u64) -> Self {
        self.settings.first_segment_bytes = bytes.clamp(8 << 10, self.settings.segment_bytes);
        self
    }

    /// Compacts in the background once the log has more bytes than this and than the JSON files have;
    /// 64 MiB by default. So does an opening or a closing that would leave more than 64 small segments, as programs do that open the
    /// store for a message each. In a bucket, whatever lies behind the last compaction counts, and 512 objects are enough.
    pub fn compact_above(mut self, bytes: u64) -> Self {
        self.settings.compact_above = Some(bytes);
        self
    }

    /// Never compacts but when told to.
    pub fn compact_manually(mut self) -> Self {
        self.settings.compact_above = None;
        self
    }

    /// Leaves what is appended through this opening for a later one to compact, as for much that is added at once: it would be written
    /// several times over while it comes in. What is due already when the store is opened is compacted as always. In a bucket
    /// this changes nothing, for an opening there reads what lies behind the last compaction object by object.
    pub fn compact_later(mut self) -> Self {
        self.settings.own_events = OwnEvents::LeftForLater;
        self
    }

    /// Compacts when the store is closed, so that the JSON files are complete afterwards.
    pub fn compact_on_close(mut self) -> Self {
        self.settings.compacts_on_close = true;
        self
    }

    /// How many bytes of the log are kept at most that compactions cover and [consumers](crate::MessageStore::consumer) have not read;
    /// 1 GiB by default. A consumer that lags further behind is told which events it has missed. A database of SQL keeps every event, whatever is said here.
    pub fn keep_unread(mut self, bytes: u64) -> Self {
        self.settings.unread_bytes = bytes;
        self
    }

    /// Waits as long as this for another process that has the store open for writing; not at all by default, because
    /// a program may have something better to do than to stand still in a call that opens a file.
    ///
    /// Those who wait get the store one after the other, and nobody who comes later gets it before the one that is next.
    pub fn wait(mut self, patience: Duration) -> Self {
        self.settings.wait = patience;
        self
    }

    /// Opens for reading only: takes no lock, writes nothing, and works beside a writing process and on a
    /// read-only file system. It shows the store as it is at the opening, and what came later
    /// after a [`refresh`](crate::MessageStore::refresh); where a compaction has taken a file away from under it, it goes over to the newest state by itself.
    /// [`follow`](crate::MessageStore::follow) gives later events one by one.
    pub fn read_only(mut self) -> Self {
        self.settings.is_read_only = true;
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
        self.settings.salvages = true;
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

    /// Chooses at the opening how much of its history the store keeps, as
    /// [`keep_history`](crate::MessageStore::keep_history) does afterwards. The choice stays with the store, for openings
    /// that say nothing too. One that was made before gives way to this one, and what is not to be kept any more is dropped at once.
    ///
    /// An opening for reading chooses nothing, and is refused with `ReadOnly` unless the store keeps just that much;
    /// a backend without a choice refuses what it does not do anyway with `Unsupported`.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// use aral_store::{Keep, MessageStore};
    /// use std::time::Duration;
    /// let keep = Keep::ForOrBytes(Duration::from_secs(90 * 86_400), 1 << 30);
    /// MessageStore::options().keep(keep).open(dir.path())?.close()?;
    /// assert_eq!(MessageStore::open(dir.path())?.kept_history()?.keep, keep);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = Some(keep);
        self
    }

    /// Encrypts a new store in a directory, and opens one that is encrypted; see
    /// [`Key`](crate::Key) for what a key is. Without its key an encrypted store is not opened, for reading neither, and with
    /// one a store that is not encrypted is refused, as are databases and buckets, which this does not encrypt.
    ///
    /// ```
    /// # let home = tempfile::tempdir().unwrap();
    /// # let dir = home.path().join("data");
    /// use aral_store::{ErrorKind, Key, MessageStore};
    /// let key = Key::generate()?;
    /// let store = MessageStore::options().key(key.clone()).open(&dir)?;
    /// store.add_message("c1", "between us")?;
    /// store.close()?;
    /// assert_eq!(MessageStore::open(&dir).unwrap_err().kind(), ErrorKind::Key);
    /// let store = MessageStore::options().key(key).open(&dir)?;
    /// assert_eq!(store.messages("c1", aral_store::Messages::all())?.len(), 1);
    /// # Ok::<(), aral_store::Error>(())
    /// ```
    #[cfg(feature = "encryption")]
    pub fn key(self, key: Key) -> Self {
        self.key_from(move || Ok(key.clone()))
    }

    /// The same with a key that is asked for when a store is opened, such as from a service that keeps secrets.
    #[cfg(feature = "encryption")]
    pub fn key_from(mut self, ask: impl Fn() -> Result<Key> + Send + Sync + 'static) -> Self {
        self.settings.key = Some(KeySource::new(ask));
        self
    }

    /// Which UUIDs are made up where a caller gives no id; [`IdVersion::V4`](crate::IdVersion::V4) by default.
    pub fn ids(mut self, ids: impl IdSource + 'static) -> Self {
        self.settings.ids = Arc::new(ids);
        self
    }

    /// Where times come from; the system's clock by default.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.settings.clock = Arc::new(clock);
        self
    }

    /// Which file system is used; the operating system's by default.
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.settings.vfs = vfs;
        self
    }
}
