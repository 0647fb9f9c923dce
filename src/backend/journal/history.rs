//! The past of one conversation, as far as it is kept.
//!
//! Owns the putting together: what the chapters have or, without them, what the newest checkpoint's document holds, then the events of the log
//! behind it. A compaction that comes meanwhile is a reason to begin again.

use std::sync::Arc;

use super::chapters;
use super::documents::Recorded;
use super::events::Source;
use super::reads::Reads;
use super::state::damaged;
use crate::codec::checkpoint::{Checkpoint, FileState, TombstoneEntry};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Event, History, HistoryBase, Logged, PastEvent, Seq, Tombstone};
use crate::snapshot::chapter_list;
use crate::snapshot::gathering::{Archived, Gathering, Part, part_of};

/// How often it is begun again because a compaction has come meanwhile.
const CHASES: u32 = 100;

/// How often it is begun again because a chapter is not there that was listed. A list that lags may show one for longer that was dropped.
const LISTS: u32 = 3;

/// What is kept of a conversation's past. Everything that was acknowledged when the call began is in it.
pub(super) fn history(reads: &Reads, id: &str) -> Result<History> {
    let (mut missed, mut lists): (Option<Recorded>, u32) = (None, 0);
    for _ in 0..CHASES {
        let begun = begun(reads, id);
        let Some((older, damage)) = archived(reads, &begun, id, lists)? else {
            lists += 1;
            reads.journal.reload()?;
            continue;
        };
        let mut history = match older {
            Some(Archived { base, removed, events, whole_from }) => {
                let mut history = History::new(id, whole_from);
                (history.base, history.removed, history.events) = (base, removed, events);
                history
            }
            None => match begun.with_document(reads, id)? {
                Ok(history) => history,
                Err(recorded) if missed.as_ref() == Some(&recorded) => return Err(reads.gone(&recorded)),
                Err(recorded) => {
                    missed = Some(*recorded);
                    reads.journal.reload()?;
                    continue;
                }
            },
        };
        history.damage = damage;
        if let Some(events) = events_behind(reads, id, begun.covered())? {
            history.events.extend(events);
            return Ok(history);
        }
    }
    let reason = "compactions follow each other faster than they can be read";
    Err(Error::new(ErrorKind::Conflict, reason).at(reads.journal.objects.place(), None))
}

/// What the checkpoint says.
struct Begun {
    checkpoint: Checkpoint,
    /// Its document, or why that cannot be read.
    recorded: Option<Result<Recorded>>,
    removed: Option<Tombstone>,
}

fn begun(reads: &Reads, id: &str) -> Begun {
    let checkpoint = reads.journal.state().checkpoint.clone();
    let removed = checkpoint.tombstones().find(|removed| removed.id == id).map(TombstoneEntry::to_tombstone);
    let entry = checkpoint.find(id).and_then(|ordinal| checkpoint.entry(ordinal));
    let recorded = entry.map(|entry| match entry.state {
        FileState::Intact => Ok(Recorded::of(&entry)),
        FileState::Damaged | FileState::Missing => Err(damaged(&entry)),
    });
    Begun { checkpoint, recorded, removed }
}

impl Begun {
    fn covered(&self) -> Seq {
        self.checkpoint.head().covered_seq
    }

    /// Without the chapters: what the document holds as the beginning, or the document if it is not there.
    fn with_document(&self, reads: &Reads, id: &str) -> Result<Result<History, Box<Recorded>>> {
        let whole_from = self.removed.as_ref().map_or(self.covered(), |removed| removed.seq);
        let mut history = History::new(id, whole_from);
        history.removed.clone_from(&self.removed);
        match &self.recorded {
            None => {}
            Some(Err(error)) => return Err(error.clone()),
            Some(Ok(recorded)) => {
                let Some(document) = reads.document(recorded)? else {
                    return Ok(Err(Box::new(recorded.clone())));
                };
                let conversation = document.conversation.clone();
                history.whole_from = recorded.last_seq;
                history.base =
                    Some(HistoryBase::new(conversation, recorded.last_seq, recorded.last_activity));
            }
        }
        Ok(Ok(history))
    }
}

/// What the chapters that lead up to a checkpoint have of a conversation, and what is wrong with those before, as a directory's reader has it; nothing
/// if one was not there that was listed, as long as it may be that another one has it by now.
fn archived(
    reads: &Reads,
    begun: &Begun,
    id: &str,
    lists: u32,
) -> Result<Option<(Option<Archived>, Option<String>)>> {
    let (objects, head) = (&*reads.journal.objects, begun.checkpoint.head());
    let all = chapters::list(objects)?;
    let gap = chapter_list::gap(&all, head.covered_seq);
    let damage = gap.map(|gap| chapter_list::gap_in_words(gap, &chapters::place(objects)));
    let chain = chapter_list::chain(all, head.covered_seq);
    let mut gathering = Gathering::begin(&chain, head.covered_seq, damage);
    for named in &chain {
        let part: Result<Part> =
            chapters::open(objects, named).and_then(|chapter| part_of(&chapter, head, id));
        let is_gone = part.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound);
        if is_gone && lists < LISTS {
            return Ok(None);
        }
        gathering.add(named, part)?;
    }
    let Gathering { found, floor, damage, .. } = gathering;
    let found = match found {
        Some(found) => found.behind_an_erasure(id),
        // What is in none of them has not changed; what is not there now was not there all along.
        None if begun.recorded.is_none() => Archived::absent(begun.removed.clone(), floor),
        None => return Ok(Some((None, damage))),
    };
    let is_so = match &begun.recorded {
        None => found.end().is_none(),
        Some(Ok(recorded)) => found.end() == Some(recorded.last_seq),
        // It cannot be read, and is not needed.
        Some(Err(_)) => true,
    };
    Ok(Some((is_so.then_some(found), damage)))
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
