//! What events have touched, so that a document is written again only if it has changed.
//!
//! Owns the newest events' places, as many as are worth their memory. Whoever asks for older ones is told that they are not known.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::{Change, Seq, Summary};

/// How many events' places are kept.
const KEPT: usize = 65_536;

/// What an event changes of its conversation, beside title, counts and version, which each changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Touch {
    Head,
    Message(u64),
    Action(u64),
    /// All messages from this place on: those behind it have moved.
    MessagesFrom(u64),
    ActionsFrom(u64),
    Whole,
}

impl Touch {
    /// What an event touches of a conversation that was like this before; `at` is the place of what it edits or removes.
    pub(super) fn of(change: &Change, at: u64, before: &Summary) -> Self {
        match change {
            Change::AddMessage(_) => Self::Message(before.messages),
            Change::AddAction(_) => Self::Action(before.actions),
            Change::EditMessage(_) | Change::AppendText { .. } => Self::Message(at),
            Change::EditAction(_) => Self::Action(at),
            Change::RemoveMessage(_) => Self::MessagesFrom(at),
            Change::RemoveAction(_) => Self::ActionsFrom(at),
            Change::Create { .. } | Change::Reset { .. } | Change::Clear | Change::Remove { .. } => {
                Self::Whole
            }
            Change::SetTitle(_)
            | Change::SetMetadata(_)
            | Change::SetCreatedAt(_)
            | Change::SetExtra(_)
            | Change::SetVersion(_) => Self::Head,
        }
    }
}

/// Which of a conversation's messages, or actions, were touched.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Places {
    single: BTreeSet<u64>,
    /// Everything from here on.
    from: Option<u64>,
}

impl Places {
    fn all_from(&mut self, place: u64) {
        self.from = Some(self.from.map_or(place, |from| from.min(place)));
    }

    /// The touched ones among so many.
    pub(super) fn among(&self, len: u64) -> impl Iterator<Item = u64> {
        let from = self.from.unwrap_or(len);
        let single = self.single.iter().copied().filter(move |place| *place < from.min(len));
        single.chain(from..len)
    }
}

/// What was touched of a conversation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Touched {
    pub(super) messages: Places,
    pub(super) actions: Places,
}

impl Touched {
    /// All of it.
    pub(super) fn whole() -> Self {
        let mut touched = Self::default();
        touched.add(Touch::Whole);
        touched
    }

    /// Nothing that is there, but what may stand behind its end.
    pub(super) fn end() -> Self {
        let mut touched = Self::default();
        touched.add(Touch::MessagesFrom(u64::MAX));
        touched.add(Touch::ActionsFrom(u64::MAX));
        touched
    }

    /// That, and this beside.
    pub(super) fn join(&mut self, other: &Self) {
        for (own, others) in [(&mut self.messages, &other.messages), (&mut self.actions, &other.actions)] {
            own.single.extend(&others.single);
            if let Some(from) = others.from {
                own.all_from(from);
            }
        }
    }

    pub(super) fn add(&mut self, touch: Touch) {
        match touch {
            Touch::Head => {}
            Touch::Message(place) => drop(self.messages.single.insert(place)),
            Touch::Action(place) => drop(self.actions.single.insert(place)),
            Touch::MessagesFrom(place) => self.messages.all_from(place),
            Touch::ActionsFrom(place) => self.actions.all_from(place),
            Touch::Whole => {
                self.messages.all_from(0);
                self.actions.all_from(0);
            }
        }
    }

    /// Whether there may have been more than there is.
    pub(super) fn is_cut(&self) -> bool {
        self.messages.from.is_some() || self.actions.from.is_some()
    }
}

/// What the newest events touched.
#[derive(Clone, Debug)]
pub(super) struct Touches {
    /// Every event behind this one is here.
    behind: Seq,
    kept: VecDeque<(Seq, String, Touch)>,
}

impl Touches {
    /// None, from this event on.
    pub(super) fn behind(seq: Seq) -> Self {
        Self { behind: seq, kept: VecDeque::new() }
    }

    pub(super) fn note(&mut self, seq: Seq, id: &str, touch: Touch) {
        self.kept.push_back((seq, id.to_owned(), touch));
        if self.kept.len() > KEPT
            && let Some((oldest, ..)) = self.kept.pop_front()
        {
            self.behind = oldest;
        }
    }

    /// What was touched by the events behind this one, by conversation; `None` if that is not known any more.
    pub(super) fn since(&self, seq: Seq) -> Option<BTreeMap<String, Touched>> {
        if seq < self.behind {
            return None;
        }
        let mut touched: BTreeMap<String, Touched> = BTreeMap::new();
        let first = self.kept.partition_point(|(kept, ..)| *kept <= seq);
        for (_, id, touch) in self.kept.iter().skip(first) {
            match touched.get_mut(id) {
                Some(there) => there.add(*touch),
                None => touched.entry(id.clone()).or_default().add(*touch),
            }
        }
        Some(touched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_a_removal_has_moved_and_nothing_else_is_written_again() {
        let mut touches = Touches::behind(3);
        for (seq, touch) in
            (4..).zip([Touch::Message(2), Touch::Message(7), Touch::MessagesFrom(5), Touch::Message(6)])
        {
            touches.note(seq, "c", touch);
        }
        let touched = touches.since(3).unwrap();
        assert_eq!(touched["c"].messages.among(8).collect::<Vec<_>>(), [2, 5, 6, 7]);
        assert!(touched["c"].is_cut() && touched["c"].actions.among(8).next().is_none());
        let later = touches.since(6).unwrap();
        assert_eq!(later["c"].messages.among(8).collect::<Vec<_>>(), [6]);
        assert!(!later["c"].is_cut());
        assert_eq!((touches.since(2), touches.since(9)), (None, Some(BTreeMap::new())));
    }

    #[test]
    fn what_was_forgotten_is_said_not_to_be_known() {
        let mut touches = Touches::behind(0);
        (1..=70_000).for_each(|seq| touches.note(seq, "c", Touch::Head));
        let behind = 70_000 - 65_536;
        assert!(touches.since(behind - 1).is_none() && touches.since(behind).is_some());
    }
}
