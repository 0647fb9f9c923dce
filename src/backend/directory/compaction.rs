//! Compaction: from the log to the JSON files.
//!
//! Owns the sequence: roll the log, take the state, stage, commit, go over to the new checkpoint, publish,
//! drop. Appends and reads go on at every step; only the roll takes the appenders' turn.

use super::commit::{abandon, commit};
use super::covering;
use super::engine::{Compaction, Engine};
use super::keep;
use super::sync_pool::with_sync_pool;
use super::unread;
use crate::backend::locked::locked;
use crate::clock::now_micros;
use crate::codec::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::index::Captured;
use crate::log::claim::Right;
use crate::model::{CompactionReport, Seq};
use crate::rules::{KEPT_KEYS, KeyRecord};
use crate::snapshot::rewrite::Erased;
use crate::snapshot::stage::Plan;
use crate::snapshot::{layout, publish};

/// Where the log was cut for a compaction.
struct Cut {
    captured: Captured,
    first_segment: u64,
    covered_seq: Seq,
}

/// Whether a key was used for what is being erased.
fn is_use_of(used: &KeyRecord, erased: &Erased) -> bool {
    let is_meant = erased.message.as_ref().is_none_or(|id| *id.as_wtf8() == *used.id);
    used.seq <= erased.through && *used.conversation_id == *erased.conversation && is_meant
}

impl Engine {
    /// Compacts, unless there is nothing to do.
    pub(super) fn run_compaction(&self) -> Result<CompactionReport> {
        let mut state = locked(&self.compaction);
        // A store that was closed while this waited may belong to another process by now.
        self.check_open()?;
        let result = self.compact_with(&mut state);
        *locked(&self.compaction_error) = result.as_ref().err().map(ToString::to_string);
        result
    }

    /// Compacts if short processes have left many small segments. Nobody has asked for it: what keeps it from being
    /// done keeps the log and is told by `stats`, and the next opening or closing tries again.
    pub(super) fn compact_small_segments(&self, state: &mut Compaction) {
        if self.has_many_small_segments() {
            let compacted = self.compact_with(state);
            *locked(&self.compaction_error) = compacted.err().map(|error| error.to_string());
        }
    }

    /// Compacts, for whoever holds the right to.
    pub(super) fn compact_with(&self, state: &mut Compaction) -> Result<CompactionReport> {
        self.compact_without(state, None)
    }

    /// The same, whether there is anything to do or not, without the keys of what is being erased.
    pub(super) fn compact_without(
        &self,
        state: &mut Compaction,
        erased: Option<&Erased>,
    ) -> Result<CompactionReport> {
        // What another writer has made of the files since it has the store is no damage.
        self.compact_own(state, erased).map_err(|error| self.claim.check().err().unwrap_or(error))
    }

    fn compact_own(&self, state: &mut Compaction, erased: Option<&Erased>) -> Result<CompactionReport> {
        let mut report = CompactionReport::default();
        // Order: look at all files before any is replaced. Reversed, what somebody has made of one since the
        // store was closed would be overwritten unseen. From here on no other epoch than a compaction's is made.
        self.settle()?;
        // Order: finish the last publication before staging anew. Reversed, files of two epochs would be
        // under way at once, and a crash would leave the older ones unexplained.
        self.publish(state, &mut report)?;
        let reads = self.reads();
        report.held = reads.look_at_held();
        let Some(cut) = self.cut(erased)? else {
            let index = reads.index();
            report.epoch = index.checkpoint().head().epoch;
            report.covered_seq = index.checkpoint().head().covered_seq;
            let checkpoint = index.checkpoint().clone();
            drop(index);
            let unread = self.unread_from(&checkpoint)?;
            unread::drop_read(&*reads.vfs, &reads.layout, unread)?;
            return Ok(report);
        };
        let epoch = cut.captured.checkpoint.head().epoch + 1;
        let made = self.stage_and_commit(&cut, epoch, &mut report);
        let checkpoint = match made {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                reads.index_mut().abandon_capture();
                abandon(&self.log, epoch, &error);
                return Err(error);
            }
        };
        // Order: go over to the new checkpoint before its files are moved into place. A reader that comes
        // between finds them where they are staged; reversed, it would find files that no checkpoint knows.
        reads.index_mut().rebase(checkpoint);
        // Some of them are about to be replaced, and would take room on the disk for as long as they are open.
        reads.file_cache.let_go();
        state.unpublished = Some(cut.captured.checkpoint);
        (report.epoch, report.covered_seq) = (epoch, cut.covered_seq);
        self.publish(state, &mut report)?;
        // The same for those that a reader has opened where they were until now.
        reads.file_cache.let_go();
        self.log.client().compacted();
        report.dropped_history = keep::trim(reads, self.settings.clock.now_micros())?.dropped;
        Ok(report)
    }

    /// Ends the current segment and takes the state there; `None` if everything is in the files already.
    fn cut(&self, erased: Option<&Erased>) -> Result<Option<Cut>> {
        let reads = self.reads();
        self.log.exclusively(None, |active, next_seq| {
            {
                let index = reads.index();
                let head = index.checkpoint().head();
                let is_clean = index.dirty_count() == 0 && head.covered_seq + 1 == next_seq;
                if is_clean && head.index_file.is_some() && erased.is_none() {
                    return Ok(None);
                }
            }
            let segment = active.roll(next_seq)?;
            reads.know_segment(&segment);
            let mut captured = reads.index_mut().capture(KEPT_KEYS);
            captured.keys.retain(|(_, used)| !erased.is_some_and(|erased| is_use_of(used, erased)));
            Ok(Some(Cut { captured, first_segment: segment.header.number, covered_seq: next_seq - 1 }))
        })
    }

    fn stage_and_commit(&self, cut: &Cut, epoch: u64, report: &mut CompactionReport) -> Result<Checkpoint> {
        let reads = self.reads();
        let bytes = with_sync_pool(cut.captured.dirty.len(), |pool| {
            let plan = Plan {
                vfs: &*reads.vfs,
                layout: &reads.layout,
                captured: &cut.captured,
                segments: &reads.segments(),
                first_segment: cut.first_segment,
                covered_seq: cut.covered_seq,
                created_unix_micros: now_micros(),
                syncs: pool,
            };
            plan.stage(report)
        })?;
        // Order: what is kept of the past before the checkpoint that covers it. Reversed, a crash would leave a gap.
        let now = self.settings.clock.now_micros();
        let covered = (cut.first_segment, cut.covered_seq);
        report.unkept = covering::cover(reads, &cut.captured, covered, now)?;
        commit(&*reads.vfs, &reads.layout, epoch, &bytes)
    }

    /// From which segment on what the checkpoint covers is kept for consumers.
    fn unread_from(&self, checkpoint: &Checkpoint) -> Result<Option<u64>> {
        let reads = self.reads();
        unread::kept_from(&*reads.vfs, &reads.layout, checkpoint, self.settings.unread_bytes)
    }

    /// Moves committed files into place and drops what they cover, if that has not been done.
    fn publish(&self, state: &mut Compaction, report: &mut CompactionReport) -> Result<()> {
        let Some(old) = &state.unpublished else { return Ok(()) };
        let reads = self.reads();
        let (vfs, layout) = (&*reads.vfs, &reads.layout);
        let new = reads.index().checkpoint().clone();
        let replaced = publish::roll_forward(vfs, layout, old, &new, report)?;
        if let Some(entry) = replaced.first().and_then(|ordinal| new.entry(*ordinal)) {
            let reason = format!(
                "the file of conversation {:?} was replaced while a compaction put it in place; put back what the \
                 store wrote, or close the store and open it again, which holds the conversation's events in the log",
                entry.id
            );
            return Err(Error::corrupt(&layout.conversation(entry.file_name), 0, reason));
        }
        // Order: drop the log only now that everything it held is in place, durably.
        // Order: the cursors are looked at behind the commit, and before anything is dropped.
        let unread = self.unread_from(&new)?;
        let before = reads.segments();
        let dropped = reads.drop_segments(&new);
        let all: Vec<_> = before.iter().map(|s| (s.header.number, s.path.as_path())).collect();
        let is_dropped = |number| dropped.iter().any(|segment| segment.header.number == number);
        report.quarantined.extend(publish::drop_segments(vfs, layout, &all, &is_dropped, unread)?);
        unread::drop_read(vfs, layout, unread)?;
        report.dropped_segments += dropped.len();
        self.log.exclusively(None, |active, _| {
            active.set_checkpoint(new.head().epoch);
            Ok(())
        })?;
        // Order: the old checkpoint goes last. Its presence tells an opening that something may be left to do.
        layout::remove_file(vfs, &layout.checkpoint(old.head().epoch))?;
        layout::sync_dir(vfs, &layout.log())?;
        state.unpublished = None;
        Ok(())
    }
}
