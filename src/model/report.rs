//! What an opening or a compaction found and did, as values.
//!
//! Owns the shapes in which the store says what other stores print or swallow.

use std::path::PathBuf;

use super::{ConsumerStatus, RetentionPolicy, Seq};

/// What opening a store found, and what it did about it.
///
/// An orderly opening of an orderly store gives the default: nothing to report but counts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// Whether there was no store before, and this opening has made it.
    pub made: bool,
    /// How many log segments were read.
    pub segments: usize,
    /// How many events were replayed.
    pub events: u64,
    /// The sequence number of the newest event; 0 if there never was one.
    pub last_seq: Seq,
    /// The tail of the log that had not reached the disk when the last writer died. Nothing in it had been
    /// acknowledged as durable.
    pub torn: Option<TornTail>,
    /// What writers wrote to the log that had been overtaken, and did not know it. It does not count.
    pub orphaned: Vec<OrphanedEvents>,
    /// The epoch of a compaction whose publication was interrupted and has been completed.
    pub completed_compaction: Option<u64>,
    /// Files that cannot be read; they are kept as they are, and their conversations answer with an error.
    pub damaged: Vec<DamagedFile>,
    /// Conversations whose files `message_store.json` does not list. They have been taken in.
    pub unlisted: Vec<PathBuf>,
    /// Those of the damaged files that can be read and are not the ones that the store wrote or read last: changed
    /// by hand, or exchanged for another one, which may hold less. They are not taken in, and their
    /// conversations answer with an error, until [`accept`](crate::MessageStore::accept) is called.
    pub changed: Vec<PathBuf>,
    /// Files that could not be read when the store first saw them, and now can. They have been taken in.
    pub mended: Vec<PathBuf>,
    /// Copies of files that stood in the way of a compaction being completed and were not the store's, and the lines
    /// of events that did not come to a file which was [accepted](crate::MessageStore::accept).
    pub quarantined: Vec<PathBuf>,
    /// Unfinished files of an interrupted write that were removed; nothing in them had been acknowledged.
    pub removed: Vec<PathBuf>,
    /// What a damaged store that was opened with [`salvage`](crate::Options::salvage) could not show, and what it is
    /// shown in spite of. None if the store is sound.
    pub salvage: Option<RepairReport>,
}

/// A torn tail: bytes that were on their way to the disk when the machine or the process died.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TornTail {
    /// The segment that it was in.
    pub path: PathBuf,
    /// Where in the segment it began.
    pub offset: u64,
    /// How long it was.
    pub bytes: u64,
    /// How many whole events stood in it behind the first gap, and do not count.
    pub discarded_events: u64,
    /// Where its bytes were copied to, if the opening was for writing.
    pub quarantine: Option<PathBuf>,
}

/// Events of a writer that was overtaken: another one opened the store while it was open, because the lock's file had
/// been removed or replaced, or locks do not hold on the file system.
///
/// They are whole, and lie behind the end that the next segment gives to theirs. Their numbers were given to others.
/// Whether the overtaken writer acknowledged them nobody can tell, so they are kept: where they are until a compaction
/// drops the segment, then in `log/quarantine/`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct OrphanedEvents {
    /// The segment that they are in.
    pub path: PathBuf,
    /// Where in the segment they begin.
    pub offset: u64,
    /// How many bytes they take.
    pub bytes: u64,
    /// The number of the first of them.
    pub first_seq: Seq,
    /// The number of the last of them.
    pub last_seq: Seq,
}

impl OrphanedEvents {
    /// The same as damage: they are whole, and yet not in the store, so that somebody has to decide.
    pub(crate) fn as_damage(&self) -> DamagedFile {
        DamagedFile {
            path: self.path.clone(),
            offset: Some(self.offset),
            conversation_id: None,
            reason: self.reason(),
            is_forbidden: false,
        }
    }

    /// What they are, in words.
    pub(crate) fn reason(&self) -> String {
        format!(
            "events {} to {} of a writer that was overtaken by another do not count; they stay here until a \
             compaction moves them to log/quarantine",
            self.first_seq, self.last_seq
        )
    }
}

/// A file that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DamagedFile {
    /// The file, or where it should be.
    pub path: PathBuf,
    /// The byte at which reading failed, where there is one.
    pub offset: Option<u64>,
    /// The conversation that it holds, or is listed for.
    pub conversation_id: Option<String>,
    /// Why.
    pub reason: String,
    /// Whether it is only that this user may not read it, so that nobody can say whether it is damaged.
    pub is_forbidden: bool,
}

/// What a compaction did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct CompactionReport {
    /// The epoch of the new checkpoint; the old one's if there was nothing to do.
    pub epoch: u64,
    /// Every event up to this one is in the JSON files now.
    pub covered_seq: Seq,
    /// How many conversations were written.
    pub written: usize,
    /// How many bytes of JSON that was.
    pub written_bytes: u64,
    /// How many conversations' files were removed, their conversations having been removed.
    pub removed: usize,
    /// How many log segments were dropped.
    pub dropped_segments: usize,
    /// Files that stood in the way of new ones and were not the store's: moved here, not overwritten.
    pub quarantined: Vec<PathBuf>,
    /// Conversations that could not be written, because their files, to which the log adds, cannot be read. All
    /// others were written. The events of these are kept in the log, and nothing is added to them, until the file
    /// is as it was or the conversation is removed.
    pub held: Vec<DamagedFile>,
    /// Conversations of which no history [that is kept](super::Keep) says any more what they were before: their files could not be
    /// read, or are too long for it. What has happened to them since is kept.
    pub unkept: Vec<DamagedFile>,
    /// The events whose history was dropped because of how much the store is [to keep](super::Keep).
    pub dropped_history: Option<(Seq, Seq)>,
}

/// What is wrong with a store.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// How many files were read.
    pub files: u64,
    /// How many bytes of them.
    pub bytes: u64,
    /// How many conversations' files were read through; what is in the log alone counts as events.
    pub conversations: u64,
    /// How many events the log holds.
    pub events: u64,
    /// What cannot be read.
    pub damaged: Vec<DamagedFile>,
    /// The torn tail of a log whose writer died, if it has one. It is no damage.
    pub torn: Option<TornTail>,
    /// What is in order but worth knowing.
    pub notes: Vec<String>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty()
    }
}

/// What a repair saved, and what it could not.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct RepairReport {
    /// How many conversations the new store has.
    pub conversations: u64,
    /// Their messages.
    pub messages: u64,
    /// Their actions.
    pub actions: u64,
    /// How many events of the log were carried out again.
    pub events: u64,
    /// What is not in the new store, or not as it was. Empty after the repair of a sound store.
    pub lost: Vec<Loss>,
    /// The torn tail of a log whose writer died, if it had one. It is no loss: nothing in it had been
    /// acknowledged as durable.
    pub torn: Option<TornTail>,
    /// What was put right, or is in order but worth knowing.
    pub notes: Vec<String>,
    /// Copies, in the new store, of conversations' files that could not be read.
    pub quarantined: Vec<PathBuf>,
    /// Where the damaged store is now, if the new one has taken its place. The paths above are those in it.
    pub kept: Option<PathBuf>,
}

impl RepairReport {
    /// Whether everything was saved.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.lost.is_empty()
    }
}

/// Something that a repair could not save.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Loss {
    /// The damaged file, or where the missing one should be.
    pub path: PathBuf,
    /// The byte at which the damage begins, where there is one.
    pub offset: Option<u64>,
    /// The conversation that it concerns; none if it may concern any.
    pub conversation_id: Option<String>,
    /// The first of the events that are lost; none if what is lost is no event of the log.
    pub first_seq: Option<Seq>,
    /// The last of them; none if nobody can say how many there were, if any.
    pub last_seq: Option<Seq>,
    /// What is lost, and why.
    pub reason: String,
    /// Conversations that the damaged bytes name. Nothing proves them: the damage may be in a name.
    pub named: Vec<String>,
    /// Conversations of the records before and behind the damage, a few at most.
    pub near: Vec<String>,
}

/// What an export wrote.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct ExportReport {
    /// How many conversations.
    pub conversations: u64,
    /// How many bytes.
    pub bytes: u64,
    /// What could not be read and is therefore not in the export.
    pub damaged: Vec<DamagedFile>,
}

/// How large a store is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Conversations that can be read.
    pub conversations: u64,
    /// Their messages.
    pub messages: u64,
    /// Their actions.
    pub actions: u64,
    /// Conversations whose files cannot be read.
    pub damaged: u64,
    /// Conversations whose files could not be read when a compaction was to write them. Their events since are kept
    /// in the log.
    pub held: u64,
    /// The sequence number of the newest event.
    pub last_seq: Seq,
    /// Every event up to this one is in the JSON files.
    pub covered_seq: Seq,
    /// Conversations that have changed since.
    pub dirty_conversations: u64,
    /// Log segments.
    pub segments: u64,
    /// Bytes that the log takes on disk.
    pub log_bytes: u64,
    /// Bytes of the JSON files.
    pub snapshot_bytes: u64,
    /// The newest checkpoint's epoch; 0 before the first.
    pub epoch: u64,
    /// Bytes of memory that the lists of messages and actions take.
    pub index_bytes: u64,
    /// Why the last compaction in the background failed, if it did.
    pub compaction_error: Option<String>,
    /// Every event up to this one is in the documents that people query, where the store keeps any.
    pub documents_seq: Option<Seq>,
    /// Why they could not be brought further when that was tried last, if it failed.
    pub documents_error: Option<String>,
    /// The consumers of the log, and how far each has come.
    pub consumers: Vec<ConsumerStatus>,
    /// The [policy](crate::MessageStore::set_retention) of all conversations that have none of their own, if the store keeps one.
    pub retention: Option<RetentionPolicy>,
    /// Why that cannot be read or understood, if it cannot.
    pub retention_error: Option<String>,
}
