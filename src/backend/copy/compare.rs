//! Comparing a copy with what it is a copy of.
//!
//! Owns what counts: every conversation with everything in it, both orders, and what is remembered of removals. Sequence
//! numbers are each store's own.

use std::collections::{HashMap, HashSet};

use super::pages::Pages;
use crate::backend::Backend;
use crate::codec::bytes::to_u64;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Conversations, CopyProgress, CopyStage, Order, Seq, Summary, Tombstone, activity_key};

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Everything.
    All,
    /// What has had no event behind this one; the rest has gone on since, and its events tell.
    Until(Seq),
}

impl Extent {
    fn has(self, seq: Seq) -> bool {
        match self {
            Self::All => true,
            Self::Until(last) => seq <= last,
        }
    }
}

/// Holds that the copy is what it should be.
pub(super) fn compare(
    from: &dyn Backend,
    to: &dyn Backend,
    extent: Extent,
    progress: super::Progress<'_>,
) -> Result<()> {
    let mut ours = from.list(&Conversations::by(Order::Created))?;
    ours.retain(|summary| extent.has(summary.last_seq));
    let theirs = to.list(&Conversations::by(Order::Created))?;
    same_orders(&ours, &theirs, extent)?;
    let known: HashMap<&str, &Summary> = theirs.iter().map(|summary| (&*summary.id, summary)).collect();
    let (total, mut done) = (to_u64(ours.len()), 0);
    for summary in &ours {
        let found = match difference(from, to, summary, known.get(&*summary.id).copied()) {
            Err(error) if error.kind() == ErrorKind::NotFound => Some("it is gone"),
            found => found?,
        };
        if let Some(what) = found {
            let now = from.summary(&summary.id)?;
            // One that has been changed while it was looked at is one of those whose events tell.
            if now.is_some_and(|now| extent.has(now.last_seq)) {
                return Err(differs(&format!("conversation {:?}: {what}", summary.id)));
            }
        }
        done += 1;
        progress(CopyProgress::new(CopyStage::Comparing, done, total));
    }
    same_removals(from, to, extent)
}

fn differs(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the copy differs: {what}"))
}

/// Holds that both list the same, in the same orders.
fn same_orders(ours: &[Summary], theirs: &[Summary], extent: Extent) -> Result<()> {
    let meant: HashSet<&str> = ours.iter().map(|summary| &*summary.id).collect();
    let mut common: Vec<&Summary> = theirs.iter().filter(|theirs| meant.contains(&*theirs.id)).collect();
    if extent == Extent::All && theirs.len() != common.len() {
        return Err(differs("it has more conversations"));
    }
    if !common.iter().map(|theirs| &theirs.id).eq(ours.iter().map(|ours| &ours.id)) {
        return Err(differs("its conversations are not the same, or were not created in the same order"));
    }
    let keys: HashMap<&str, (Seq, i64)> =
        ours.iter().map(|summary| (&*summary.id, activity_key(summary))).collect();
    common.sort_by_key(|summary| activity_key(summary));
    // One without an event, in the files of the original, may have come to be before others that its time puts it behind.
    let key = |theirs: &&Summary| keys.get(&*theirs.id).copied().filter(|(seq, _)| *seq > 0);
    if !common.iter().filter_map(key).is_sorted() {
        return Err(differs("its conversations were not active in the same order"));
    }
    Ok(())
}

/// What is not the same of a conversation.
fn difference(
    from: &dyn Backend,
    to: &dyn Backend,
    ours: &Summary,
    theirs: Option<&Summary>,
) -> Result<Option<&'static str>> {
    let Some(theirs) = theirs else { return Ok(Some("it is not there")) };
    let fields = [
        ("another title", ours.title == theirs.title),
        ("another time of creation", ours.created_at == theirs.created_at),
        ("another time of its last activity", ours.last_activity == theirs.last_activity),
        ("another number of messages", ours.messages == theirs.messages),
        ("another number of actions", ours.actions == theirs.actions),
        ("another version", ours.version == theirs.version),
    ];
    if let Some((what, _)) = fields.into_iter().find(|(_, is_same)| !is_same) {
        return Ok(Some(what));
    }
    let heads = [from, to].map(|store| store.conversation_without_messages(&ours.id));
    let [ours_head, theirs_head] = heads;
    if ours_head? != theirs_head? {
        return Ok(Some("other metadata, actions or fields without a name"));
    }
    let (mut one, mut other) =
        (Pages::of(from, &ours.id, 0..ours.messages), Pages::of(to, &ours.id, 0..ours.messages));
    for _ in 0..ours.messages {
        if one.next()? != other.next()? {
            return Ok(Some("another message"));
        }
    }
    Ok(None)
}

/// Holds that the copy remembers what the source does.
fn same_removals(from: &dyn Backend, to: &dyn Backend, extent: Extent) -> Result<()> {
    let of = |tombstone: &Tombstone| (tombstone.removed_at, tombstone.reason);
    let known: HashMap<String, _> =
        to.tombstones()?.into_iter().map(|tombstone| (tombstone.id.clone(), of(&tombstone))).collect();
    for tombstone in from.tombstones()? {
        if extent.has(tombstone.seq) && known.get(&tombstone.id) != Some(&of(&tombstone)) {
            return Err(differs(&format!("it does not remember the removal of {:?}", tombstone.id)));
        }
    }
    Ok(())
}
