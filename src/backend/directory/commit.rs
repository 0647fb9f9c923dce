//! The commit of a checkpoint, and what is left of one that failed.

use super::apply::Applier;
use super::checkpoint_file::read_checkpoint;
use crate::codec::checkpoint::Checkpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::log::Log;
use crate::snapshot::layout::{self, Layout};
use crate::snapshot::{publish, stage};
use crate::vfs::Vfs;

/// Commits a checkpoint, and gives it as it is read from its file.
///
/// When this returns, it is durable under its name.
pub(super) fn commit(vfs: &dyn Vfs, layout: &Layout, epoch: u64, bytes: &[u8]) -> Result<Checkpoint> {
    publish::commit(vfs, layout, epoch, bytes)?;
    read_checkpoint(vfs, &layout.checkpoint(epoch))
}

/// Cleans up after a checkpoint that failed on its way to its commit, or in it.
pub(super) fn abandon(log: &Log<Applier>, epoch: u64, error: &Error) {
    if error.kind() == ErrorKind::Locked {
        // Another writer has taken the store over. What is there is that writer's.
        return log.end(error.clone());
    }
    let reads = &log.client().reads;
    let (vfs, layout) = (&*reads.vfs, &reads.layout);
    // Order: see that the checkpoint has no name before the staged files go. Reversed, a commit that
    // took place and was said to have failed would name files that nobody has any more.
    if matches!(layout::probe(vfs, &layout.checkpoint(epoch)), Ok(None)) {
        // What was staged is worth nothing now; the next opening would remove it too.
        stage::remove_strays(vfs, layout, 0).ok();
        return;
    }
    // Whether the checkpoint survives a crash is unknown now, so whether the log that it covers may be
    // added to is unknown too. Only an opening can tell.
    let reason = format!("a checkpoint failed at its commit ({error}); close the store and open it again");
    log.end(Error::new(ErrorKind::Failed, reason));
}
