//! Which conversations have changed since an event, and which of two began first.
//!
//! Owns finding both without going over all of them: they are kept in the order of activity, and their places tell when they began.

use super::{Found, Index};
use crate::codec::bytes::to_u64;
use crate::model::Seq;

impl Index {
    /// The conversations with events behind this one, and those that have no event at all, in no order; `None` if one of all cannot be read.
    pub(crate) fn changed_since(&self, seq: Seq) -> Option<Vec<&str>> {
        let mut changed = Vec::new();
        for found in self.by_activity() {
            let (id, last_seq) = found.newest()?;
            if last_seq <= seq {
                break;
            }
            changed.push(id);
        }
        let activity = self.activity();
        // Those without an event are the last in the order of the checkpoint.
        for ordinal in activity.order.iter().rev() {
            let entry = self.checkpoint.entry(*ordinal)?;
            let now = match self.at_its_place(entry.id, *ordinal) {
                Some(found) => Some(found.newest()?.1),
                None => None,
            };
            match now {
                Some(0) => changed.push(entry.id),
                // One that had none then, and has been removed or written to since.
                _ if entry.last_seq == 0 => {}
                Some(_) | None => break,
            }
        }
        for ordinal in &activity.damaged {
            let id = self.checkpoint.entry(*ordinal)?.id;
            let Some(found) = self.at_its_place(id, *ordinal) else { continue };
            // Whatever has been done to it since, it is not in the order that was gone through.
            let (id, last_seq) = found.newest()?;
            if (last_seq == 0 || last_seq > seq) && !changed.contains(&id) {
                changed.push(id);
            }
        }
        Some(changed)
    }

    /// A number that is greater for a conversation that began later; `None` if there is none of this id.
    pub(crate) fn beginning(&self, id: &str) -> Option<u64> {
        match self.find(id) {
            Found::Slot(slot) => Some(match slot.ordinal {
                Some(ordinal) => to_u64(ordinal),
                None => to_u64(self.checkpoint.len()).saturating_add(slot.born),
            }),
            Found::Checkpoint(_, ordinal) => Some(to_u64(ordinal)),
            Found::Damaged(entry) => self.checkpoint.find(entry.id).map(to_u64),
            Found::Nothing => None,
        }
    }

    /// What stands for the conversation that the checkpoint has at a place; `None` if it is not there any more, or is another one.
    fn at_its_place(&self, id: &str, ordinal: usize) -> Option<Found<'_>> {
        match self.find(id) {
            Found::Slot(slot) if slot.ordinal != Some(ordinal) => None,
            Found::Nothing => None,
            found @ (Found::Slot(_) | Found::Checkpoint(..) | Found::Damaged(_)) => Some(found),
        }
    }
}
