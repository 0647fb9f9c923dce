//! Compaction: from the log to the JSON files.
//!
//! Owns the sequence: roll the log, take the state, stage, commit, go over to the new checkpoint, publish,
//! drop. Appends and reads go on at every step; only the roll takes the appenders' turn.

use std::sync::atomic::Ordering;

use super::crew::with_crew;
use super::engine::{Engine, locked};
use super::open::read_checkpoint;
use crate::codec::checkpoint::Checkpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Captured, KEPT_KEYS};
use crate::log::claim::Right;
use crate::model::{CompactionReport, Seq};
use crate::snapshot::stage::Plan;
use crate::snapshot::{layout, publish, stage};
use crate::store::clock::now_micros;

/// What one compaction leaves for the next.
#[derive(Debug, Default)]
pub(crate) struct Compaction {
    /// The checkpoint before the current one, if the current one's files are not all in place yet.
    unpublished: Option<Checkpoint>,
}

impl Compaction {
    /// Whether all files of the newest checkpoint are in place.
    pub(super) fn is_published(&self) -> bool {
        self.unpublished.is_none()
    }
}

/// Where the log was cut for a compaction.
struct Cut {
    captured: Captured,
    first_segment: u64,
    covered_seq: Seq,
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

    /// Compacts, for whoever holds the right to.
    pub(super) fn compact_with(&self, state: &mut Compaction) -> Result<CompactionReport> {
        // What another writer has made of the files since it has the store is no damage.
        self.compact_own(state).map_err(|error| self.claim.check().err().unwrap_or(error))
    }

    fn compact_own(&self, state: &mut Compaction) -> Result<CompactionReport> {
        let mut report = CompactionReport::default();
        // Order: look at all files before any is replaced. Reversed, what somebody has made of one since the
        // store was closed would be overwritten unseen. From here on no other epoch than a compaction's is made.
        self.settle()?;
        // Order: finish the last publication before staging anew. Reversed, files of two epochs would be
        // under way at once, and a crash would leave the older ones unexplained.
        self.publish(state, &mut report)?;
        let library = self.library();
        report.held = library.look_at_held();
        let Some(cut) = self.cut()? else {
            let index = library.index();
            report.epoch = index.checkpoint().head().epoch;
            report.covered_seq = index.checkpoint().head().covered_seq;
            return Ok(report);
        };
        let epoch = cut.captured.checkpoint.head().epoch + 1;
        let made = self.stage_and_commit(&cut, epoch, &mut report);
        let checkpoint = match made {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                library.index_mut().abandon_capture();
                self.give_up(epoch, &error);
                return Err(error);
            }
        };
        // Order: go over to the new checkpoint before its files are moved into place. A reader that comes
        // between finds them where they are staged; reversed, it would find files that no checkpoint knows.
        library.index_mut().rebase(checkpoint);
        // Some of them are about to be replaced, and would take room on the disk for as long as they are open.
        library.kept.let_go();
        state.unpublished = Some(cut.captured.checkpoint);
        (report.epoch, report.covered_seq) = (epoch, cut.covered_seq);
        self.publish(state, &mut report)?;
        // The same for those that a reader has opened where they were until now.
        library.kept.let_go();
        self.log.client().log_bytes.store(0, Ordering::Relaxed);
        Ok(report)
    }

    /// Ends the current segment and takes the state there; `None` if everything is in the files already.
    fn cut(&self) -> Result<Option<Cut>> {
        let library = self.library();
        self.log.exclusively(None, |active, next_seq| {
            {
                let index = library.index();
                let head = index.checkpoint().head();
                let is_clean = index.dirty_count() == 0 && head.covered_seq + 1 == next_seq;
                if is_clean && head.index_file.is_some() {
                    return Ok(None);
                }
            }
            let segment = active.roll(next_seq)?;
            library.know_segment(&segment);
            let captured = library.index_mut().capture(KEPT_KEYS);
            Ok(Some(Cut { captured, first_segment: segment.header.number, covered_seq: next_seq - 1 }))
        })
    }

    fn stage_and_commit(&self, cut: &Cut, epoch: u64, report: &mut CompactionReport) -> Result<Checkpoint> {
        let library = self.library();
        let bytes = with_crew(cut.captured.dirty.len(), |crew| {
            let plan = Plan {
                vfs: &*library.vfs,
                layout: &library.layout,
                captured: &cut.captured,
                segments: &library.segments(),
                first_segment: cut.first_segment,
                covered_seq: cut.covered_seq,
                created_unix_micros: now_micros(),
                syncs: crew,
            };
            plan.stage(report)
        })?;
        publish::commit(&*library.vfs, &library.layout, epoch, &bytes)?;
        read_checkpoint(&*library.vfs, &library.layout.checkpoint(epoch))
    }

    /// Cleans up after a compaction that failed on its way to its commit, or in it.
    pub(super) fn give_up(&self, epoch: u64, error: &Error) {
        if error.kind() == ErrorKind::Locked {
            // Another writer has taken the store over. What is there is that writer's.
            return self.log.end(error.clone());
        }
        let (vfs, layout) = (&*self.library().vfs, &self.library().layout);
        // Order: see that the checkpoint has no name before the staged files go. Reversed, a commit that
        // took place and was said to have failed would name files that nobody has any more.
        if matches!(layout::probe(vfs, &layout.checkpoint(epoch)), Ok(None)) {
            // What was staged is worth nothing now; the next opening would remove it too.
            stage::remove_strays(vfs, layout, 0).ok();
            return;
        }
        // Whether the checkpoint survives a crash is unknown now, so whether the log that it covers may be
        // added to is unknown too. Only an opening can tell.
        let reason =
            format!("a checkpoint failed at its commit ({error}); close the store and open it again");
        self.log.end(Error::new(ErrorKind::Failed, reason));
    }

    /// Moves committed files into place and drops what they cover, if that has not been done.
    fn publish(&self, state: &mut Compaction, report: &mut CompactionReport) -> Result<()> {
        let Some(old) = &state.unpublished else { return Ok(()) };
        let library = self.library();
        let (vfs, layout) = (&*library.vfs, &library.layout);
        let new = library.index().checkpoint().clone();
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
        let before = library.segments();
        let dropped = library.drop_segments(&new);
        let all: Vec<_> = before.iter().map(|s| (s.header.number, s.path.as_path())).collect();
        let is_dropped = |number| dropped.iter().any(|segment| segment.header.number == number);
        report.quarantined.extend(publish::drop_segments(vfs, layout, &all, &is_dropped)?);
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
