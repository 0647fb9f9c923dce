//! What a directory keeps of its history beyond the newest compaction.
//!
//! Owns what is read from the chapters that there are. A chapter holds what each conversation that changed was before,
//! and the events that a compaction covers; it is durable before the compaction's checkpoint is, which is when it begins to
//! count. Nothing of the present depends on it, and whoever keeps nothing pays nothing.

use std::collections::HashMap;
use std::sync::Arc;

use super::reads::ReadState;
use crate::codec::checkpoint::{Checkpoint, Hold};
use crate::error::{Error, ErrorKind, Result};
use crate::index::Index;
use crate::model::{HistoryBase, Seq};
use crate::snapshot::chapter::Chapter;
use crate::snapshot::chapter_list::{self, Named};
use crate::snapshot::gathering::{self, Archived, Gathering, Part, lost_in_words, must_be_of, part_of};
use crate::snapshot::layout::Layout;
use crate::vfs::Vfs;

/// A checkpoint's state, to be read from as any other.
pub(super) fn of_checkpoint(reads: &ReadState, checkpoint: &Checkpoint) -> ReadState {
    let place = (Arc::clone(&reads.vfs), reads.layout.clone());
    ReadState::of(place, (Index::new(checkpoint.clone()), Arc::default()), HashMap::new())
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
    gathering::is_told_in(before, id, &|named| Chapter::open(vfs, named))
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
    let damage = chapter_list::gap(&all, head.covered_seq)
        .map(|gap| chapter_list::gap_in_words(gap, &reads.layout.archive()));
    let chain = chapter_list::chain(all, head.covered_seq);
    let mut gathering = Gathering::begin(&chain, head.covered_seq, damage);
    for named in &chain {
        gathering.add(named, part(reads, checkpoint, named, id))?;
    }
    let Gathering { found, floor, damage, .. } = gathering;
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

/// What there is of a conversation that is in no chapter and not there now.
fn absent(state: &ReadState, id: &str, floor: Seq) -> Archived {
    let tombstone = state.index().tombstone(id);
    Archived::absent(tombstone, floor)
}

/// Whether a chapter is a part of another one by now.
fn is_gone_on_with(reads: &ReadState, named: &Named) -> Result<bool> {
    let all = chapter_list::list(&*reads.vfs, &reads.layout)?;
    Ok(all.iter().any(|other| other.first <= named.first && named.last < other.last))
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
    part_of(&chapter, checkpoint.head(), id)
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
        chapter_list::gap_in_words(gap, &layout.archive())
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
            checkpoint.map_or(Ok(()), |checkpoint| must_be_of(&chapter, &checkpoint.head().store_id))?;
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
