//! A backup that goes on with its store, one look after the other.
//!
//! Owns the order of a look: the segments that the backup is in, then the newest checkpoint and the log behind it, then the
//! manifest, with which all of it counts at once. Whatever is stopped in between leaves the state before.

use std::path::Path;
use std::sync::Arc;

use super::extent::{Copy, Limit, ends_as, start_of, walk};
use super::files::{Files, Have, copy_checkpoint, remove_unfinished};
use super::history::History;
use super::log_copy::{Came, LogCopy};
use super::look::Look;
use super::moments;
use super::place::Place;
use crate::backend::directory::checkpoint_file::read_checkpoint;
use crate::backend::directory::encrypted::{self, Keys};
use crate::backend::directory::root::existing_dir;
use crate::backend::settings::Settings;
use crate::codec::backup::{Extent, Manifest};
use crate::codec::checkpoint::Checkpoint;
use crate::codec::segment::StoreId;
use crate::error::{Error, ErrorKind, Result};
use crate::log::inventory::{Inventory, LogEnd};
use crate::log::segment::Segment;
use crate::model::{BackupReport, Seq, Timestamp};
use crate::snapshot::layout::{self, Layout};
use crate::vfs::{Lock, Vfs};

/// How often the same error is believed to be one of the moment.
const ATTEMPTS: usize = 3;
/// How often a look is taken again at most, however the errors differ.
const MOST_ATTEMPTS: usize = 50;

/// A backup that is being made.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(super) settings: Settings,
    source: Layout,
    pub(super) place: Place,
    _lock: Box<dyn Lock>,
    pub(super) manifest: Manifest,
    /// The backup's newest checkpoint.
    pub(super) base: Option<Checkpoint>,
    have: Have,
    /// The segment of the store that was copied last.
    kept_open: Option<Segment>,
    /// The checkpoint that was being taken when a compaction published the next one: some of its files are there.
    unfinished: Option<u64>,
    /// Whether all that the newest state relies on has been read by this process.
    is_checked: bool,
    /// What the opening has put right, until a look tells it.
    opened: BackupReport,
    /// The event of the moment that was listed last by this process.
    told: Option<Seq>,
    /// For how long states are kept that newer ones have replaced; for ever if nobody says.
    keep_micros: Option<i64>,
    /// The keys of an encrypted store that are in the backup.
    keys: Keys,
}

impl Replica {
    /// Opens a backup to go on with, or begins one.
    pub(crate) fn open(from: &Path, to: &Path, settings: Settings, keep_micros: Option<i64>) -> Result<Self> {
        let outside = Arc::clone(&settings.vfs);
        let source = Layout::new(&existing_dir(&*outside, from)?);
        let settings = encrypted::for_reading(settings, &source)?;
        // Order: there is a store to copy before anything is made.
        let look = retried(|| Look::take(&*settings.vfs, &source))?;
        let (place, lock) = Place::claim(&*outside, &source, to)?;
        let settings = encrypted::and_backup(settings, place.root());
        let vfs = Arc::clone(&settings.vfs);
        let vfs = &*vfs;
        let manifest = place.manifest_for(vfs, look.checkpoint.head().store_id)?;
        let mut opened = BackupReport::default();
        let base = match manifest.epoch {
            0 => None,
            epoch => Some(Self::base_of(&settings, (&source, &look), (&place, epoch), &mut opened)?),
        };
        remove_unfinished(vfs, &place, manifest.epoch)?;
        let have = Have::read(vfs, &place, u64::MAX)?;
        Ok(Self {
            settings,
            source,
            place,
            _lock: lock,
            manifest,
            base,
            have,
            kept_open: None,
            unfinished: None,
            is_checked: false,
            opened,
            told: None,
            keep_micros,
            keys: Keys::default(),
        })
    }

    /// Copies what has come since the last look. When this returns, the backup holds everything that had been acknowledged
    /// before it was called, durably.
    pub(crate) fn pass(&mut self) -> Result<BackupReport> {
        let mut report = std::mem::take(&mut self.opened);
        if let Err(error) = self.look(&mut report) {
            self.opened = report;
            return Err(error);
        }
        Ok(report)
    }

    /// What was put right and no look has told.
    pub(crate) fn untold(&mut self) -> BackupReport {
        std::mem::take(&mut self.opened)
    }

    /// The store of whose state this is the backup; `None` while it has none.
    pub(crate) fn state_of(&self) -> Option<StoreId> {
        (self.manifest.epoch > 0).then_some(self.manifest.store_id)
    }

    fn look(&mut self, report: &mut BackupReport) -> Result<()> {
        let now = self.settings.clock.now_micros();
        let before = self.manifest;
        // Order: the moment of the state before, which a stop may have left out, comes before that of a newer one.
        self.keep_moment()?;
        let (mut last, mut same, mut attempts) = (String::new(), 0, 0);
        while let Err(error) = self.try_pass(now, report) {
            // A compaction moves and removes what it has published while it is looked at.
            let text = error.to_string();
            same = if text == last { same + 1 } else { 1 };
            attempts += 1;
            if !passes(&error) || same == ATTEMPTS || attempts == MOST_ATTEMPTS {
                return Err(error);
            }
            last = text;
        }
        // The store's key may have been wrapped anew, with nothing else changed.
        self.keep_keys()?;
        self.keep_moment()?;
        if let Some(keep) = self.keep_micros.filter(|_| before.epoch != self.manifest.epoch) {
            self.place.must_be_own(&*self.settings.vfs, &self.manifest)?;
            let mut have = std::mem::take(&mut self.have);
            let dropped =
                self.history().and_then(|history| history.drop_before(now.saturating_sub(keep), &mut have));
            self.have = have;
            dropped?;
        }
        report.last_seq = self.manifest.last_seq();
        report.epoch = self.manifest.epoch;
        report.covered_seq = self.base.as_ref().map_or(0, |base| base.head().covered_seq);
        report.current_to = Timestamp::from_unix_micros(now);
        Ok(())
    }

    /// Lists the moment of the newest state, if it is not listed.
    fn keep_moment(&mut self) -> Result<()> {
        let reached = Some(self.manifest.last_seq());
        if self.told != reached {
            moments::keep(&*self.settings.vfs, &self.place.moments(), &self.manifest)?;
            self.told = reached;
        }
        Ok(())
    }

    /// Copies the keys that the store has and the backup has not, if it is encrypted.
    fn keep_keys(&mut self) -> Result<()> {
        self.keys.copy(&self.settings, &self.source.log(), self.place.root())
    }

    /// Says which states the backup keeps, and which it has lost.
    pub(crate) fn tell_kept(&self, report: &mut BackupReport) -> Result<()> {
        let mut history = self.history()?;
        report.damaged.extend(history.tell_damaged()?);
        report.kept = history.ranges()?;
        let from = report.kept.first().map_or(0, |(first, _)| *first);
        let found = moments::find(&*self.settings.vfs, &self.place.moments(), from, i64::MAX)?;
        report.kept_since = found.first.and_then(|moment| Timestamp::from_unix_micros(moment.at_micros));
        Ok(())
    }

    /// The files of the store that cannot be read, or that it has not taken in.
    pub(crate) fn tell_amiss(&self, report: &mut BackupReport) -> Result<()> {
        let vfs = &*self.settings.vfs;
        let look = retried(|| Look::take(vfs, &self.source))?;
        let amiss = self.files(&look.checkpoint).amiss()?;
        // While a compaction is published the files are as neither of two checkpoints says.
        let after = Inventory::take(vfs, &self.source.log())?;
        let is_still = after.checkpoints == look.inventory.checkpoints && after.checkpoints.len() == 1;
        report.damaged.extend(if is_still { amiss } else { Vec::new() });
        Ok(())
    }

    fn history(&self) -> Result<History<'_>> {
        History::read(&*self.settings.vfs, &self.place, self.manifest)
    }

    fn files<'f>(&'f self, checkpoint: &'f Checkpoint) -> Files<'f> {
        let base = self.base.as_ref();
        Files { vfs: &*self.settings.vfs, source: &self.source, place: &self.place, checkpoint, base }
    }

    fn try_pass(&mut self, now: i64, report: &mut BackupReport) -> Result<()> {
        let vfs = Arc::clone(&self.settings.vfs);
        let look = Look::take(&*vfs, &self.source)?;
        let head = *look.checkpoint.head();
        if head.store_id != self.manifest.store_id {
            let reason = "another store has taken the place of the one that this is a backup of";
            return Err(Error::new(ErrorKind::InvalidInput, reason).at(self.source.root(), None));
        }
        if head.epoch < self.manifest.epoch {
            return Err(self.is_further_on());
        }
        // Before what they have sealed as well: an erasure that comes meanwhile destroys keys.
        self.keep_keys()?;
        if !self.is_checked {
            self.remove_strays(&look)?;
        }
        if self.manifest.epoch > 0 {
            if !self.is_checked {
                self.check_log(&look, report)?;
            }
            let end = self.grown(&look, self.manifest.end, report)?;
            if end != self.manifest.end {
                self.go_over_to(Manifest { end, at_micros: now, ..self.manifest })?;
            }
        }
        if head.epoch > self.manifest.epoch || !self.is_checked {
            self.take_checkpoint(look, now, report)?;
        }
        Ok(())
    }

    pub(super) fn go_over_to(&mut self, manifest: Manifest) -> Result<()> {
        // A disk that is not mounted any more leaves an empty directory, in which a manifest would vouch for what is not there.
        self.place.must_be_own(&*self.settings.vfs, &self.manifest)?;
        // Order: the keys before the manifest. Reversed, it would vouch for events that nothing opens.
        self.keep_keys()?;
        self.place.write_manifest(&*self.settings.vfs, &manifest)?;
        self.manifest = manifest;
        Ok(())
    }

    /// The error for a store that lacks what its backup has.
    pub(super) fn is_further_on(&self) -> Error {
        let reason = format!(
            "the backup holds all up to event {}, and not as this store has it: either the store was put back to an earlier state and has \
             gone on from there, or another copy of it has been backed up here since; back up to another directory",
            self.manifest.last_seq()
        );
        Error::new(ErrorKind::Conflict, reason).at(self.place.root(), None)
    }

    pub(super) fn log_copy<'c>(&'c self, vfs: &'c dyn Vfs, look: &'c Look) -> LogCopy<'c> {
        LogCopy {
            vfs,
            place: &self.place,
            store_id: self.manifest.store_id,
            inventory: &look.inventory,
            control: look.control.as_ref(),
        }
    }

    /// Copies what follows a place of the log, and says where it ends.
    fn grown(&mut self, look: &Look, from: Extent, report: &mut BackupReport) -> Result<Extent> {
        let vfs = Arc::clone(&self.settings.vfs);
        let mut at = from;
        if at.segment == 0 {
            at = self.begun(look, look.checkpoint.head().first_segment)?;
            if at.segment == 0 {
                return Ok(at);
            }
        }
        loop {
            let mut kept_open = self.kept_open.take();
            let came = self.log_copy(&*vfs, look).advance(at, &mut kept_open);
            self.kept_open = kept_open;
            at = match came? {
                Came::To(end, bytes) => {
                    report.bytes += bytes;
                    return Ok(end);
                }
                Came::Beyond(at, seal) => self.cut_back(at, seal, report)?,
                Came::Unknown(at) => self.step_back(at, report)?,
            };
        }
    }

    /// Begins the copy of a segment; the extent of none if the store does not have it yet.
    pub(super) fn begun(&self, look: &Look, number: u64) -> Result<Extent> {
        let vfs = &*self.settings.vfs;
        let Some(segment) = self.log_copy(vfs, look).segment(number)? else {
            if number > 1 || !look.inventory.segments.is_empty() {
                let reason = format!("segment {number} is missing: the checkpoint names it");
                return Err(Error::corrupt(&self.source.log(), 0, reason));
            }
            return Ok(Extent { next_seq: look.checkpoint.head().covered_seq + 1, ..Extent::default() });
        };
        let start = start_of(&segment.header);
        Copy::open(vfs, &self.place.segment(number, start.first_seq), &segment)?.sync()?;
        layout::sync_dir(vfs, &self.place.segments())?;
        Ok(start)
    }

    /// Goes over to the store's newest checkpoint.
    fn take_checkpoint(&mut self, look: Look, now: i64, report: &mut BackupReport) -> Result<()> {
        let vfs = Arc::clone(&self.settings.vfs);
        let head = *look.checkpoint.head();
        self.take_files(&look.checkpoint, report)?;
        self.take_held(&look, report)?;
        let is_linked = self.manifest.epoch > 0 && self.manifest.end.segment >= head.first_segment;
        if !is_linked && head.covered_seq < self.manifest.last_seq() {
            // Everything that the dropped segments held is in the checkpoint.
            return Err(self.is_further_on());
        }
        let from = if is_linked { self.manifest.end } else { self.begun(&look, head.first_segment)? };
        let end = self.grown(&look, from, report)?;
        if !self.is_checked {
            let log_end = LogEnd {
                checkpoint_epoch: head.epoch,
                segment: end.segment.max(head.first_segment.saturating_sub(1)),
                writer_epoch: self.kept_open.as_ref().map_or(0, |segment| segment.header.writer_epoch),
                offset: end.length,
            };
            let last_seq = end.next_seq.saturating_sub(1);
            if let Some(missing) = look.witnesses.of_end(&self.source, &head, last_seq, &log_end) {
                return Err(missing);
            }
        }
        let path = self.place.checkpoint(head.epoch);
        if self.manifest.epoch != head.epoch {
            copy_checkpoint(&*vfs, &self.source.checkpoint(head.epoch), &path)?;
        }
        self.go_over_to(Manifest { epoch: head.epoch, end, at_micros: now, ..self.manifest })?;
        self.base = Some(read_checkpoint(&*vfs, &path)?);
        (self.is_checked, self.unfinished) = (true, None);
        Ok(())
    }

    /// Copies the files of a checkpoint.
    fn take_files(&mut self, checkpoint: &Checkpoint, report: &mut BackupReport) -> Result<()> {
        let vfs = Arc::clone(&self.settings.vfs);
        let epoch = checkpoint.head().epoch;
        if let Some(unfinished) = self.unfinished.filter(|unfinished| *unfinished != epoch) {
            // What was copied for it need not be copied again.
            self.place.drop_checkpoint(&*vfs, unfinished)?;
        }
        self.unfinished = Some(epoch);
        let mut have = std::mem::take(&mut self.have);
        let taken = self.files(checkpoint).take(&mut have, report);
        self.have = have;
        if let Err(error) = &taken
            && !matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound)
        {
            // After a failed sync nobody knows what of it is durable.
            self.unfinished = None;
            self.have = Have::read(&*vfs, &self.place, u64::MAX)?;
        }
        taken
    }

    /// Copies the segments that are kept for conversations which a compaction could not write.
    fn take_held(&self, look: &Look, report: &mut BackupReport) -> Result<()> {
        let vfs = &*self.settings.vfs;
        for held in &look.checkpoint.held().segments {
            let (number, seal) = (held.end.number, held.end);
            let path = self.place.segment(number, held.first_seq);
            if let Ok(own) = Segment::open(vfs, &path, (number, held.first_seq)) {
                let walked =
                    walk(&own, start_of(&own.header), Limit::at(seal.valid_len), &mut |_, _| Ok(()))?;
                if ends_as(&walked.end, &seal) {
                    continue;
                }
            }
            let Some(segment) = self.log_copy(vfs, look).segment(number)? else {
                let reason = format!("segment {number} is missing: the checkpoint holds events in it");
                return Err(Error::corrupt(&self.source.log(), 0, reason));
            };
            let copy = Copy::open(vfs, &path, &segment)?;
            let take = &mut |bytes: &[u8], offset: u64| copy.write(bytes, offset);
            let walked = walk(&segment, start_of(&segment.header), Limit::at(seal.valid_len), take)?;
            copy.sync()?;
            report.bytes += walked.end.length;
            if !ends_as(&walked.end, &seal) {
                let reason = "the segment is not as the checkpoint says that it was";
                return Err(Error::corrupt(&segment.path, walked.end.length, reason));
            }
        }
        layout::sync_dir(vfs, &self.place.segments())
    }
}

/// Whether an error may be about a moment at which a compaction moved or removed something.
fn passes(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Io | ErrorKind::Conflict)
}

fn retried<T>(look: impl Fn() -> Result<T>) -> Result<T> {
    crate::backend::directory::steady::steady(look)
}
