//! Which conversations had the newest events.
//!
//! Owns a list of slots by their newest event, newest first, as links between places: an event puts its slot
//! in front, whatever the length of the list. Knows no conversations.

/// Slots by their newest event.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    links: Vec<Link>,
    newest: Option<usize>,
}

/// A slot's neighbours.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    newer: Option<u32>,
    older: Option<u32>,
    is_listed: bool,
}

fn place(at: Option<u32>) -> Option<usize> {
    at.and_then(|at| usize::try_from(at).ok())
}

fn short(at: Option<usize>) -> Option<u32> {
    at.and_then(|at| u32::try_from(at).ok())
}

impl Recent {
    /// Puts a slot in front.
    pub(super) fn put_first(&mut self, slot: usize) {
        if self.newest == Some(slot) {
            return;
        }
        self.remove(slot);
        if self.links.len() <= slot {
            self.links.resize(slot + 1, Link::default());
        }
        let before = self.newest.replace(slot);
        if let Some(link) = before.and_then(|before| self.links.get_mut(before)) {
            link.newer = short(Some(slot));
        }
        if let Some(link) = self.links.get_mut(slot) {
            *link = Link { newer: None, older: short(before), is_listed: true };
        }
    }

    /// Takes a slot out, if it is in.
    pub(super) fn remove(&mut self, slot: usize) {
        let Some(link) = self.links.get_mut(slot).filter(|link| link.is_listed).map(std::mem::take) else {
            return;
        };
        match place(link.newer) {
            Some(newer) => {
                if let Some(newer) = self.links.get_mut(newer) {
                    newer.older = link.older;
                }
            }
            None => self.newest = place(link.older),
        }
        if let Some(older) = place(link.older).and_then(|older| self.links.get_mut(older)) {
            older.newer = link.newer;
        }
    }

    /// The slots, newest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        std::iter::successors(self.newest, |slot| place(self.links.get(*slot)?.older))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_list_is_that_of_a_plain_one(steps in vec((0_usize..12, 0..4), 0..200)) {
            let (mut recent, mut plain) = (Recent::default(), Vec::new());
            for (slot, step) in steps {
                plain.retain(|other| *other != slot);
                if step == 0 {
                    recent.remove(slot);
                } else {
                    recent.put_first(slot);
                    plain.insert(0, slot);
                }
                prop_assert_eq!(recent.iter().collect::<Vec<_>>(), plain.clone());
            }
        }
    }
}
