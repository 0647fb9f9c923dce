//! The past of one conversation, as far as the log has it.
//!
//! Owns the putting together: what the newest checkpoint's document holds, then the events of the log behind it. A compaction that
//! comes meanwhile is a reason to begin again.

use std::sync::Arc;

use super::documents::Recorded;
use super::events::Source;
use super::reads::Reads;
use super::state::damaged;
use crate::codec::checkpoint::{FileState, TombstoneEntry};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Event, History, HistoryBase, Keep, Logged, PastEvent, Seq};

/// How often it is begun again because a compaction has come meanwhile.
const CHASES: u32 = 100;

/// What is kept of a conversation's past. Everything that was acknowledged when the call began is in it.
pub(super) fn history(reads: &Reads, id: &str) -> Result<History> {
    let mut missed: Option<Recorded> = None;
    for _ in 0..CHASES {
        let (mut history, covered, recorded) = begun(reads, id)?;
        if let Some(recorded) = recorded {
            let Some(document) = reads.document(&recorded)? else {
                if missed.as_ref() == Some(&recorded) {
                    return Err(reads.gone(&recorded));
                }
                missed = Some(recorded);
                reads.journal.reload()?;
                continue;
            };
            let conversation = document.conversation.clone();
            history.whole_from = recorded.last_seq;
            history.base = Some(HistoryBase::new(conversation, recorded.last_seq, recorded.last_activity));
        }
        if let Some(events) = events_behind(reads, id, covered)? {
            history.events = events;
            return Ok(history);
        }
    }
    let reason = "compactions follow each other faster than they can be read";
    Err(Error::new(ErrorKind::Conflict, reason).at(reads.journal.objects.place(), None))
}

/// What the checkpoint says: from where on the past is known, what it covers, and the document if there is one.
fn begun(reads: &Reads, id: &str) -> Result<(History, Seq, Option<Recorded>)> {
    let state = reads.journal.state();
    let checkpoint = &state.checkpoint;
    let covered = checkpoint.head().covered_seq;
    let removed = checkpoint.tombstones().find(|removed| removed.id == id);
    let mut history = History::new(id, removed.as_ref().map_or(covered, |removed| removed.seq));
    history.removed = removed.map(TombstoneEntry::to_tombstone);
    let entry = checkpoint.find(id).and_then(|ordinal| checkpoint.entry(ordinal));
    match entry {
        Some(entry) if entry.state != FileState::Intact => Err(damaged(&entry)),
        entry => Ok((history, covered, entry.map(|entry| Recorded::of(&entry)))),
    }
}

/// The conversation's events behind what a checkpoint covers; `None` if some of them are in a newer checkpoint by now.
fn events_behind(reads: &Reads, id: &str, covered: Seq) -> Result<Option<Vec<PastEvent>>> {
    let mut source = Source::new(Arc::clone(&reads.journal), covered + 1);
    let mut past = Vec::new();
    while let Some(logged) = source.next()? {
        match logged {
            Logged::Batch { seq: batch, events } => {
                let is_meant = |(_, event): &(Seq, Event)| event.conversation_id == id;
                let events = (batch..).zip(events).filter(is_meant);
                past.extend(events.map(|(seq, event)| PastEvent::new(seq, batch, event)));
            }
            Logged::Compacted { .. } => return Ok(None),
        }
    }
    Ok(Some(past))
}

/// The error for history that is to be kept beyond a compaction.
pub(super) fn not_kept(keep: Keep) -> Error {
    let reason = format!(
        "this store keeps the events since its newest compaction, and no more can be asked for ({keep}); copy the store into a \
         directory with `keep everything`, or into PostgreSQL or SQLite"
    );
    Error::new(ErrorKind::Unsupported, reason)
}
