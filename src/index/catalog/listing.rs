//! What a list of conversations shows, and in which order.
//!
//! Owns the order of activity, which is never sorted for a caller: conversations with events since the
//! checkpoint are kept in it, and those without cannot change theirs before the next checkpoint.

use std::cmp::Reverse;

use super::{Found, Index};
use crate::codec::checkpoint::{Entry, FileState};
use crate::index::slot::Slot;
use crate::model::{Conversations, Order, Summary, activity_key};

/// What a checkpoint says of activity, which is put in order once.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity {
    /// The places of those that can be read, by their newest events, newest first.
    pub(super) order: Vec<usize>,
    /// The places of the others.
    #[cfg_attr(
        not(feature = "sqlite"),
        expect(dead_code, reason = "only who asks what has changed asks for them")
    )]
    pub(super) damaged: Vec<usize>,
}

impl Index {
    pub(super) fn activity(&self) -> &Activity {
        self.activity.get_or_init(|| self.checkpoint_by_activity())
    }

    /// The conversations in the order of their newest events, newest first.
    pub(super) fn by_activity(&self) -> impl Iterator<Item = Found<'_>> {
        let recent = self.recent.iter().filter_map(|at| self.slots.get(at)).map(Found::Slot);
        let covered = self.checkpoint.head().covered_seq;
        let is_recent = move |slot: &Slot| slot.summary.last_seq > covered;
        let rest = self.activity().order.iter();
        recent.chain(rest.filter_map(move |ordinal| {
            let entry = self.checkpoint.entry(*ordinal)?;
            match self.by_id.get(entry.id.as_bytes()).and_then(|at| self.slots.get(*at)) {
                Some(slot) if slot.ordinal != Some(*ordinal) || is_recent(slot) => None,
                Some(slot) if slot.exists => Some(Found::Slot(slot)),
                _ => Some(Found::Checkpoint(entry, *ordinal)),
            }
        }))
    }

    fn checkpoint_by_activity(&self) -> Activity {
        let mut damaged = Vec::new();
        let entries = self.checkpoint.entries().enumerate();
        let intact = entries.filter(|(ordinal, entry)| {
            let is_intact = entry.state == FileState::Intact;
            if !is_intact {
                damaged.push(*ordinal);
            }
            is_intact
        });
        let held = |ordinal: usize, entry: &Entry<'_>| {
            // Few are held, and mostly none: nobody else need be looked for.
            self.checkpoint.held().of(ordinal)?;
            match self.find(entry.id) {
                Found::Slot(slot) => Some(slot.summary.clone()),
                Found::Checkpoint(..) | Found::Damaged(_) | Found::Nothing => None,
            }
        };
        let key = |ordinal, entry: &Entry<'_>| {
            activity_key(&held(ordinal, entry).unwrap_or_else(|| entry.summary()))
        };
        let mut keyed: Vec<_> =
            intact.map(|(ordinal, entry)| (Reverse(key(ordinal, &entry)), ordinal)).collect();
        keyed.sort_unstable();
        Activity { order: keyed.into_iter().map(|(_, ordinal)| ordinal).collect(), damaged }
    }

    /// What a list shows behind a place in it, damaged ones left out; nothing if there is no such place.
    pub(crate) fn summaries_after(&self, selection: &Conversations) -> Option<Vec<Summary>> {
        let Some(after) = &selection.after else {
            return Some(self.summaries(selection.order, selection.limit));
        };
        let limit = selection.limit.unwrap_or(usize::MAX);
        let is_it = |found: &Found<'_>| id_of(found) == Some(after.id.as_str());
        if selection.order == Order::Created {
            let mut rest = self.order();
            rest.find(is_it)?;
            return Some(rest.filter_map(summary).take(limit).collect());
        }
        let now = || summary(self.find(&after.id)).as_ref().map(activity_key);
        let seen = after.seen.or_else(now)?;
        // An event is one conversation's; what has had none may be of the same time as others, and is in their order then.
        let place = self.checkpoint.find(&after.id);
        let is_behind = |found: &Found<'_>| {
            let key = match found {
                Found::Slot(slot) => activity_key(&slot.summary),
                Found::Checkpoint(entry, _) => activity_key(&entry.summary()),
                Found::Damaged(_) | Found::Nothing => return false,
            };
            key < seen
                || key == seen && seen.0 == 0 && place.is_none_or(|place| ordinal_of(found) > Some(place))
        };
        Some(self.most_active(limit, Some(&is_behind)))
    }

    /// So many of the most active, from the first of which this holds on. In one place: what is inlined here is most
    /// of what a list takes.
    fn most_active(&self, limit: usize, is_behind: Option<&dyn Fn(&Found<'_>) -> bool>) -> Vec<Summary> {
        let most = self.checkpoint.len() + self.slots.len();
        let mut summaries = Vec::with_capacity(limit.min(most));
        let is_before = |found: &Found<'_>| is_behind.is_some_and(|is_behind| !is_behind(found));
        summaries.extend(self.by_activity().skip_while(is_before).filter_map(summary).take(limit));
        summaries
    }

    /// What a list shows: so many in this order, damaged ones left out.
    pub(crate) fn summaries(&self, order: Order, limit: Option<usize>) -> Vec<Summary> {
        let most = self.checkpoint.len() + self.slots.len();
        let limit = limit.map_or(most, |limit| limit.min(most));
        if order == Order::Activity {
            return self.most_active(limit, None);
        }
        let mut summaries = Vec::with_capacity(limit);
        summaries.extend(self.order().filter_map(summary).take(limit));
        summaries
    }
}

#[inline]
fn summary(found: Found<'_>) -> Option<Summary> {
    match found {
        Found::Slot(slot) => Some(slot.summary.clone()),
        Found::Checkpoint(entry, _) => Some(entry.summary()),
        Found::Damaged(_) | Found::Nothing => None,
    }
}

fn id_of<'f>(found: &'f Found<'_>) -> Option<&'f str> {
    match found {
        Found::Slot(slot) => Some(&slot.summary.id),
        Found::Checkpoint(entry, _) | Found::Damaged(entry) => Some(entry.id),
        Found::Nothing => None,
    }
}

fn ordinal_of(found: &Found<'_>) -> Option<usize> {
    match found {
        Found::Slot(slot) => slot.ordinal,
        Found::Checkpoint(_, ordinal) => Some(*ordinal),
        Found::Damaged(_) | Found::Nothing => None,
    }
}
