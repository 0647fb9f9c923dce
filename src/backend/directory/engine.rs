//! The parts of a directory that is open for writing, and what they share.
//!
//! Owns the log, the claim and the flags of its life. What is done with them is in `append.rs`, `compaction.rs`,
//! `accept.rs` and `writer.rs`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use super::apply::Applier;
use super::background::Background;
use super::completeness::{remove_marker, write_marker};
use super::external_changes::ExternalChanges;
use super::reads::ReadState;
use crate::backend::closed;
use crate::backend::locked::locked;
use crate::backend::settings::Settings;
use crate::codec::bytes::to_u64;
use crate::codec::checkpoint::{Checkpoint, Entry};
use crate::codec::marker::Marker;
use crate::error::{Error, ErrorKind, Result};
use crate::log::Log;
use crate::log::claim::{Claim, Right};
use crate::rules::Request;
use crate::vfs::EventSeal;

/// How many small segments an opening or a closing leaves at most. Each is a file that an opening opens, in some twenty
/// microseconds; a compaction takes some milliseconds, for which one opening in so many pays.
const SMALL_SEGMENTS: usize = 64;

/// What one compaction leaves for the next.
#[derive(Debug, Default)]
pub(super) struct Compaction {
    /// The checkpoint before the current one, if the current one's files are not all in place yet.
    pub(super) unpublished: Option<Checkpoint>,
}

impl Compaction {
    /// Whether all files of the newest checkpoint are in place.
    pub(super) fn is_published(&self) -> bool {
        self.unpublished.is_none()
    }
}

/// A store in a directory, open for writing.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(super) settings: Settings,
    /// What events are sealed with before they are written, if they are.
    pub(super) seal: Option<Arc<dyn EventSeal>>,
    /// Held for reading from the sealing of events until they are in the log, so that whoever takes it for writing knows
    /// that none is under way.
    pub(super) sealing: RwLock<()>,
    pub(super) log: Log<Applier>,
    pub(super) compaction: Mutex<Compaction>,
    /// Why the last compaction failed.
    pub(super) compaction_error: Mutex<Option<String>>,
    pub(super) background: Arc<Background>,
    pub(super) external_changes: ExternalChanges,
    /// Whether there is a marker; the lock is for whoever makes it.
    pub(super) is_marked: AtomicBool,
    pub(super) marking: Mutex<()>,
    pub(super) claim: Arc<Claim>,
    pub(super) is_closed: AtomicBool,
    /// How many openings share it.
    pub(super) openings: Mutex<usize>,
    /// Whose it is. A process that was forked off has a copy, with none of its threads and somebody else's lock.
    pub(super) process: u32,
}

impl Engine {
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    pub(super) fn reads(&self) -> &ReadState {
        &self.log.client().reads
    }

    pub(super) fn check_open(&self) -> Result<()> {
        if self.is_closed() { Err(closed()) } else { Ok(()) }
    }

    /// Counts another opening; `false` if the store has ended, for which this waits if it is about to.
    pub(crate) fn enter(&self) -> bool {
        let mut openings = locked(&self.openings);
        if self.is_closed() {
            return false;
        }
        *openings += 1;
        true
    }

    /// Whether this is still the store of its directory. One that was removed and made anew since has another store, and
    /// whoever opens the path means that one.
    pub(crate) fn is_in_place(&self) -> bool {
        self.claim.check().is_ok()
    }

    /// Makes sure that the marker says that there is a log to the JSON files, before it holds more than they do.
    pub(super) fn mark(&self) -> Result<()> {
        if self.is_marked.load(Ordering::Acquire) {
            return Ok(());
        }
        let _marking = locked(&self.marking);
        if self.is_marked.load(Ordering::Acquire) {
            return Ok(());
        }
        let reads = self.reads();
        let marker = {
            let index = reads.index();
            let (store_id, checkpoint_epoch) =
                (index.checkpoint().head().store_id, index.checkpoint().head().epoch);
            Marker { store_id, checkpoint_epoch, last_seq: index.next_seq() - 1 }
        };
        write_marker(&*reads.vfs, &reads.layout, &marker)?;
        self.is_marked.store(true, Ordering::Release);
        Ok(())
    }

    /// Takes the marker away if the JSON files are all there is.
    pub(super) fn unmark(&self) {
        let reads = self.reads();
        let is_all_in_files = {
            let index = reads.index();
            index.dirty_count() == 0 && index.checkpoint().head().covered_seq + 1 == index.next_seq()
        };
        if is_all_in_files && self.is_marked.load(Ordering::Acquire) {
            // One that stays is right, too, as long as the log is there.
            remove_marker(&*reads.vfs, &reads.layout).ok();
        }
    }

    /// Refuses what only the process that opened the store may do.
    pub(super) fn check_process(&self) -> Result<()> {
        if self.process == std::process::id() {
            return Ok(());
        }
        let reason = "the store is that of the process that this one was forked off from";
        Err(Error::new(ErrorKind::Failed, reason))
    }

    /// Makes sure that a conversation's file is as recorded, before the conversation is read.
    pub(super) fn check_file(&self, id: &str) -> Result<()> {
        self.external_changes.check(&self.log, id)
    }

    /// Makes sure of the same for every conversation of a batch, before anything is added to them.
    pub(super) fn check_files_of(&self, batch: &[Request]) -> Result<()> {
        self.external_changes.check_all_of(&self.log, batch)
    }

    /// Makes sure that all files are as recorded.
    pub(super) fn settle(&self) -> Result<()> {
        self.external_changes.settle(&self.log)
    }

    /// Asks for a compaction if the log has grown enough.
    pub(super) fn wake_compaction(&self) {
        let applier = self.log.client();
        let grown = applier.bytes_to_compact();
        let floor = applier.compaction_floor.load(Ordering::Relaxed);
        if self.settings.compact_above.is_some_and(|above| grown > above.max(floor)) {
            self.background.ask_for_compaction();
        }
    }

    /// Whether short openings have left so many segments that the next ones would take long for it.
    pub(super) fn has_many_small_segments(&self) -> bool {
        if self.settings.compact_above.is_none() || self.log.has_ended() {
            return false;
        }
        let first = self.reads().index().checkpoint().head().first_segment;
        let own = self.reads().segments().iter().filter(|s| s.header.number >= first).count();
        let bytes = self.log.client().log_bytes.load(Ordering::Relaxed);
        own > SMALL_SEGMENTS && bytes / to_u64(own) < self.settings.first_segment_bytes
    }

    /// How long the log may grow before it is longer than the snapshot; `None` if it is by now.
    pub(super) fn log_outgrows_snapshot(&self) -> Option<u64> {
        let log = self.log.client().log_bytes.load(Ordering::Relaxed);
        let checkpoint = self.reads().index().checkpoint().clone();
        let snapshot: u64 = checkpoint.entries().map(|entry: Entry<'_>| entry.file.len).sum();
        let limit = snapshot.max(self.settings.compact_above.unwrap_or(u64::MAX));
        (log <= limit).then_some(limit)
    }
}
