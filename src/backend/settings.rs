//! What a backend is opened with.
//!
//! Owns the settings as data, with their defaults, and the parts that can be put in beside them: the file system,
//! the clock and the source of ids. The public way to set them is `store/options.rs`.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, IdSource, IdVersion, SystemClock};
#[cfg(feature = "encryption")]
use crate::sealed::{KeySource, SealedFiles};
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

/// What becomes of what an opening appends, as far as it may compact by itself at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OwnEvents {
    CompactedWhenDue,
    /// A later opening compacts it.
    LeftForLater,
}

/// The settings of one opening.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) sync: SyncPolicy,
    pub(crate) segment_bytes: u64,
    pub(crate) first_segment_bytes: u64,
    pub(crate) compact_above: Option<u64>,
    pub(crate) own_events: OwnEvents,
    pub(crate) compacts_on_close: bool,
    /// How much of what compactions cover is kept for consumers that have not read it.
    pub(crate) unread_bytes: u64,
    pub(crate) wait: Duration,
    pub(crate) is_read_only: bool,
    pub(crate) salvages: bool,
    pub(crate) vfs: Arc<dyn Vfs>,
    /// The file system below, where `vfs` is one in which the store is sealed.
    pub(crate) outside: Option<Arc<dyn Vfs>>,
    /// The same file system as `vfs`, where it is one in which the store is sealed.
    #[cfg(feature = "encryption")]
    pub(crate) sealed: Option<Arc<SealedFiles>>,
    /// Where the key comes from, if the store is to be encrypted.
    #[cfg(feature = "encryption")]
    pub(crate) key: Option<KeySource>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sync: SyncPolicy::Always,
            segment_bytes: 16 << 20,
            first_segment_bytes: 256 << 10,
            compact_above: Some(64 << 20),
            own_events: OwnEvents::CompactedWhenDue,
            compacts_on_close: false,
            unread_bytes: 1 << 30,
            wait: Duration::ZERO,
            is_read_only: false,
            salvages: false,
            vfs: Arc::new(OsVfs),
            outside: None,
            #[cfg(feature = "encryption")]
            sealed: None,
            #[cfg(feature = "encryption")]
            key: None,
            clock: Arc::new(SystemClock),
            ids: Arc::new(IdVersion::V4),
        }
    }
}
