//! What a directory keeps of its history beyond the newest compaction.
//!
//! Owns what is read from the chapters that there are. A chapter holds what each conversation that changed was before,
//! and the events that a compaction covers; it is durable before the compaction's checkpoint is, which is when it begins to
//! count. Nothing of the present depends on it, and whoever keeps nothing pays nothing.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, RwLock};

use super::reads::ReadState;
use crate::codec::checkpoint::{Checkpoint, Hold};
use crate::error::{Error, ErrorKind, Result};
use crate::index::Index;
use crate::model::{Change, HistoryBase, PastEvent, RemovalReason, Seq, Tombstone};
use crate::snapshot::chapter::Chapter;
use crate::snapshot::chapter_list::{self, Named};
use crate::snapshot::file_cache::FileCache;
use crate::snapshot::layout::Layout;
use crate::vfs::Vfs;

/// A checkpoint's state, to be read from as any other.
pub(super) fn of_checkpoint(reads: &ReadState, checkpoint: &Checkpoint) -> ReadState {
    let (vfs, layout) = (Arc::clone(&reads.vfs), reads.layout.clone());
    ReadState {
        file_cache: FileCache::new(&*vfs),
        vfs,
        layout,
        index: RwLock::new(Index::new(checkpoint.clone())),
        segments: RwLock::default(),
        suspects: RwLock::new(HashMap::new()),
        has_suspects: AtomicBool::new(false),
    }
}

/// What a conversation was as of a checkpoint; `None` if it was not there.
pub(super) fn base_of(state: &ReadState, id: &str) -> Result<Option<HistoryBase>> {
    let Some(summary) = state.summary(id)? else { return Ok(None) };
    let conversation = state.conversation(id)?;
    Ok(conversation.map(|found| HistoryBase::new(found, summary.last_seq, summary.last_activity)))
}

pub(super) fn hold_of<'c>(checkpoint: &'c Checkpoint, id: &str) -> Option<&'c Hold> {
    checkpoint.held().of(checkpoint.find(id)?)
}

/// Whether chapters, which follow each other, say what a conversation was at their end.
pub(super) fn is_told_in(vfs: &dyn Vfs, before: &[Named], id: &str) -> bool {
    for named in before.iter().rev() {
        match Chapter::open(vfs, named).and_then(|chapter| chapter.entry(id)) {
            // It did not change, or nobody could read it then either: what is before that says what it was.
            Ok(None) => {}
            Ok(Some(entry)) if entry.is_lost => {}
            Ok(Some(_)) => return true,
            Err(_) => return false,
        }
    }
    false
}

/// What the chapters have of a conversation.
#[derive(Debug)]
pub(super) struct Archived {
    pub(super) base: Option<HistoryBase>,
    /// The removal behind which it begins, where there is no base for that.
    pub(super) removed: Option<Tombstone>,
    pub(super) events: Vec<PastEvent>,
    pub(super) whole_from: Seq,
}

impl Archived {
    /// The newest event that led to what it was; nothing if it was not there.
    fn end(&self) -> Option<Seq> {
        match self.events.last() {
            Some(PastEvent { event, .. }) if matches!(event.change, Change::Remove { .. }) => None,
            Some(last) => Some(last.seq),
            None => self.base.as_ref().map(|base| base.last_seq),
        }
    }

    /// What there is behind the newest erasure. What was before it is in no chapter any more.
    fn behind_an_erasure(mut self, id: &str) -> Self {
        let tombstone = |past: &PastEvent| {
            let Change::Remove { removed_at, reason } = past.event.change else { return None };
            let is_erasure = reason == RemovalReason::Erasure;
            is_erasure.then(|| Tombstone { id: id.to_owned(), seq: past.seq, removed_at, reason })
        };
        let mut newest = self.events.iter().enumerate().rev();
        let Some((at, erased)) = newest.find_map(|(at, past)| Some((at, tombstone(past)?))) else {
            return self;
        };
        let events = self.events.split_off(at + 1);
        Self { base: None, whole_from: erased.seq, removed: Some(erased), events }
    }
}

/// What the chapters that lead up to a checkpoint have of a conversation; `None` if it is in none of them, or if they do not
/// lead to what the checkpoint has. And what is wrong with those before, if that is why there is no more.
pub(super) fn archived(
    reads: &ReadState,
    checkpoint: &Checkpoint,
    id: &str,
) -> Result<(Option<Archived>, Option<String>)> {
    let head = checkpoint.head();
    let all = chapter_list::list(&*reads.vfs, &reads.layout)?;
    let mut damage =
        chapter_list::gap(&all, head.covered_seq).map(|gap| chapter_list::gap_in_words(gap, &reads.layout));
    let chain = chapter_list::chain(all, head.covered_seq);
    let mut floor = chain.first().map_or(head.covered_seq, |named| named.first - 1);
    let mut found: Option<Archived> = None;
    for named in &chain {
        let (base, events) = match part(reads, checkpoint, named, id) {
            Ok(Part::Nothing) => continue,
            Ok(Part::Of(base, events)) => (base.map(|base| *base), events),
            // Its file could not be read when this was written. It was what the chapters before lead to, if they have it.
            Ok(Part::Lost(events)) => {
                match found.as_mut().filter(|found| found.end().is_some()) {
                    Some(found) => found.events.extend(events),
                    None => {
                        (found, floor) = (None, named.last.min(head.covered_seq));
                        damage = Some(lost_in_words(named));
                    }
                }
                continue;
            }
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => {
                (found, floor) = (None, named.last.min(head.covered_seq));
                // What is not there any more was dropped since the list was read.
                damage = (error.kind() == ErrorKind::Corrupt).then(|| error.to_string());
                continue;
            }
            Err(error) => return Err(error),
        };
        let goes_on =
            found.as_ref().is_some_and(|found| found.end() == base.as_ref().map(|base| base.last_seq));
        match &mut found {
            Some(found) if goes_on => found.events.extend(events),
            // Something else than events has changed it in between, such as a file that was put there.
            Some(_) => found = Some(Archived { base, removed: None, events, whole_from: named.first - 1 }),
            None => {
                let whole_from = base.as_ref().map_or(floor, |base| base.last_seq);
                found = Some(Archived { base, removed: None, events, whole_from });
            }
        }
    }
    let state = of_checkpoint(reads, checkpoint);
    let found = match found {
        Some(found) => found.behind_an_erasure(id),
        // What is in none of them has not changed; what is not there now was not there all along.
        None if checkpoint.find(id).is_none() => absent(&state, id, floor),
        None => return Ok((None, damage)),
    };
    let is_so = match state.summary(id) {
        _ if hold_of(checkpoint, id).is_some_and(|hold| found.end() == Some(hold.through)) => true,
        Ok(summary) => found.end() == summary.map(|summary| summary.last_seq),
        // Its file cannot be read, and is not needed.
        Err(error) => error.kind() == ErrorKind::Corrupt,
    };
    Ok((is_so.then_some(found), damage))
}

/// From which event on the past of a removed conversation is known, if nothing is kept from before the floor.
fn known_from(tombstone: &Tombstone, floor: Seq) -> Seq {
    match tombstone.reason {
        // What it was before is gone from the chapters, too.
        RemovalReason::Erasure => tombstone.seq,
        RemovalReason::Asked | RemovalReason::Retention => floor.min(tombstone.seq),
    }
}

/// What there is of a conversation that is in no chapter and not there now.
fn absent(state: &ReadState, id: &str, floor: Seq) -> Archived {
    let tombstone = state.index().tombstone(id);
    let whole_from = tombstone.as_ref().map_or(floor, |tombstone| known_from(tombstone, floor));
    // A removal that the chapters have is an event of theirs.
    let removed = tombstone.filter(|tombstone| tombstone.seq <= whole_from);
    Archived { base: None, removed, events: Vec::new(), whole_from }
}

/// Whether a chapter is a part of another one by now.
fn is_gone_on_with(reads: &ReadState, named: &Named) -> Result<bool> {
    let all = chapter_list::list(&*reads.vfs, &reads.layout)?;
    Ok(all.iter().any(|other| other.first <= named.first && named.last < other.last))
}

/// Why nobody knows what a conversation was before a chapter.
fn lost_in_words(named: &Named) -> String {
    format!(
        "its file could not be read, or was too long to keep, when events {} to {} were covered, and nothing before them says what it was, in {}",
        named.first,
        named.last,
        named.path.display()
    )
}

/// What one chapter has of a conversation.
enum Part {
    Nothing,
    /// It changed, and this does not say from what.
    Lost(Vec<PastEvent>),
    Of(Option<Box<HistoryBase>>, Vec<PastEvent>),
}

/// # Errors
///
/// `Conflict` if it is a part of another one by now.
fn part(reads: &ReadState, checkpoint: &Checkpoint, named: &Named, id: &str) -> Result<Part> {
    let chapter = match Chapter::open(&*reads.vfs, named) {
        Err(error) if error.kind() == ErrorKind::NotFound && is_gone_on_with(reads, named)? => {
            let reason = "the history was put together anew while it was read";
            return Err(Error::new(ErrorKind::Conflict, reason));
        }
        opened => opened?,
    };
    must_be_of(&chapter, checkpoint, named)?;
    let Some(entry) = chapter.entry(id)? else { return Ok(Part::Nothing) };
    let mut events = chapter.events(&entry)?;
    // Of one that a newer compaction has gone on with; whoever looks at an older checkpoint has the log for those.
    events.retain(|past| past.seq <= checkpoint.head().covered_seq);
    if entry.is_lost {
        return Ok(Part::Lost(events));
    }
    let base = entry.base.map(|offset| chapter.base(offset)).transpose()?;
    Ok(Part::Of(base.map(Box::new), events))
}

fn must_be_of(chapter: &Chapter, checkpoint: &Checkpoint, named: &Named) -> Result<()> {
    if chapter.head.store_id == checkpoint.head().store_id {
        return Ok(());
    }
    Err(Error::corrupt(&named.path, 12, "the chapter belongs to another store"))
}

/// Says which events' history is missing although that of older ones is there.
///
/// # Errors
///
/// `Corrupt` if there are such events.
pub(super) fn must_have_no_gap(vfs: &dyn Vfs, layout: &Layout, covered: Seq) -> Result<()> {
    let Some(gap) = chapter_list::gap(&chapter_list::list(vfs, layout)?, covered) else { return Ok(()) };
    let reason = format!(
        "{}; nothing of the present depends on it, and `aral-store keep nothing --yes` drops what is left of it",
        chapter_list::gap_in_words(gap, layout)
    );
    Err(Error::new(ErrorKind::Corrupt, reason).at(&layout.archive(), None))
}

/// Reads all chapters, and gives what is wrong with each, and what none of those before it says of conversations in it.
pub(super) fn check(
    vfs: &dyn Vfs,
    layout: &Layout,
    checkpoint: Option<&Checkpoint>,
    mut each: impl FnMut(&Named, Result<Vec<String>>),
) -> Result<()> {
    let all = chapter_list::list(vfs, layout)?;
    for named in &all {
        let checked = Chapter::open(vfs, named).and_then(|chapter| {
            checkpoint.map_or(Ok(()), |checkpoint| must_be_of(&chapter, checkpoint, named))?;
            let mut lost = chapter.check()?;
            if !lost.is_empty() {
                let before = chapter_list::chain(all.clone(), named.first - 1);
                lost.retain(|id| !is_told_in(vfs, &before, id));
            }
            let told = lost.into_iter().map(|id| format!("conversation {id:?}: {}", lost_in_words(named)));
            Ok(told.collect())
        });
        each(named, checked);
    }
    Ok(())
}
