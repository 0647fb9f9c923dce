//! What a backup and a restore found and did, as values.

use std::path::PathBuf;

use super::{DamagedFile, Seq, Timestamp};

/// What a backup has come to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct BackupReport {
    /// The number of the newest event that is in the backup, durably; 0 if the store never had one.
    pub last_seq: Seq,
    /// Every event up to this one is in the backup's newest checkpoint.
    pub covered_seq: Seq,
    /// The newest checkpoint's epoch.
    pub epoch: u64,
    /// When the store was in the state that the backup holds now; absent from a backup that has none yet.
    pub current_to: Option<Timestamp>,
    /// How many conversations' files were copied this time.
    pub files: u64,
    /// How many bytes were copied this time, those of the log included.
    pub bytes: u64,
    /// From which event to which any state can be restored, in order. There is more than one range where the store had
    /// dropped a part of its log before it was copied.
    pub kept: Vec<(Seq, Seq)>,
    /// The time of the oldest state that can be asked for by a time.
    pub kept_since: Option<Timestamp>,
    /// Files of the store that cannot be read, or that it has not taken in. The backup has what the store wrote there, if it
    /// ever saw that. Older checkpoints of the backup that are damaged, too: the states that begin with one are lost.
    pub damaged: Vec<DamagedFile>,
    /// Files of the backup that had been damaged, and were copied anew. What was there is in `set_aside`.
    pub mended: Vec<PathBuf>,
    /// Where that is which was in the backup and does not belong to the store's history any more: damaged files, and events
    /// that the store had not made durable and lost in a cut of power.
    pub set_aside: Vec<PathBuf>,
}

/// What was restored.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct RestoreReport {
    /// The number of the last event that is in the new store. It is lower than what was asked for where that is in
    /// the middle of a batch, which is restored whole or not at all.
    pub last_seq: Seq,
    /// How many conversations' files were restored; what has no file yet is in the log.
    pub files: u64,
    /// How many bytes were restored.
    pub bytes: u64,
    /// What the backup does not have as the store wrote it, and the new store can do without.
    pub damaged: Vec<DamagedFile>,
}

/// Which state of a backup is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Moment {
    /// The newest one.
    #[default]
    Newest,
    /// That after an event.
    Seq(Seq),
    /// The newest one that the store is known to have been in by then. Times are those of the machine that made the backup.
    Time(Timestamp),
}
