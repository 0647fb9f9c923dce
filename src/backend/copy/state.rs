//! Copying a store by the state that it is in: each conversation with as many events as it has had.
//!
//! Owns the order of the events. Conversations are listed in the order of their first events and in that of their last
//! ones, so both come in the source's order: the last ones one after the other, and before each the first ones that it follows.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::keys::Keys;
use super::pages::Pages;
use super::plan::{Ending, Plan, There, Wanted, moved, passing, passing_conversation};
use super::survey::Survey;
use super::target::{Target, leave_mark};
use crate::backend::Backend;
use crate::codec::bytes::{MAX_NUMBER, to_u64};
use crate::error::Result;
use crate::model::{
    Action, Change, Conversations, CopyMark, CopyProgress, CopyStage, Event, Message, Order, RemovalReason,
    Summary, Text, Timestamp, Tombstone, Version,
};

/// After how many events a mark is left, so that little of a copy that is cut off is taken for somebody else's.
const MARKED: u64 = 20_000;

/// Carries over what the target lacks of the state that the source is in.
pub(super) fn carry_over(
    from: &dyn Backend,
    target: &mut Target<'_>,
    (mark, source): (Option<&CopyMark>, &str),
    progress: super::Progress<'_>,
) -> Result<()> {
    let listed = from.list(&Conversations::by(Order::Created))?;
    let mut active = from.list(&Conversations::by(Order::Activity))?;
    active.reverse();
    let survey = Survey::take(from, target.store(), mark, &listed)?;
    let keys = Keys::since(from, mark.map_or(0, |mark| mark.from_seq))?;
    let mut carrier = Carrier { from, target, keys, there: survey.there, begun: HashSet::new() };
    carrier.removals(survey.ended, &survey.tombstones)?;
    let total = to_u64(listed.len() - survey.same.len());
    let (mut firsts, mut done, mut marked_at) = (listed.iter(), 0, 0);
    for summary in active.iter().filter(|summary| !survey.same.contains(&summary.id)) {
        if !carrier.there.contains(&summary.id) {
            for first in firsts.by_ref() {
                if first.id == summary.id {
                    break;
                }
                carrier.begin(first)?;
            }
        }
        carrier.complete(summary)?;
        if carrier.target.written() >= marked_at + MARKED {
            carrier.target.flush()?;
            marked_at = carrier.target.written();
            let from_seq = mark.map_or(0, |mark| mark.from_seq);
            leave_mark(carrier.target, &CopyMark::new(source, from_seq, carrier.target.last_seq()))?;
        }
        done += 1;
        progress(CopyProgress::new(CopyStage::Conversations, done, total));
    }
    carrier.target.flush()
}

struct Carrier<'c, 't> {
    from: &'c dyn Backend,
    target: &'c mut Target<'t>,
    keys: Keys,
    /// The conversations that the target has.
    there: HashSet<String>,
    /// Those of them that have begun in this run, and may wait to be written.
    begun: HashSet<String>,
}

impl Carrier<'_, '_> {
    /// Ends what the source has removed, in its order, and remembers what it remembers.
    fn removals(&mut self, mut ended: HashSet<String>, known: &HashMap<String, Tombstone>) -> Result<()> {
        for tombstone in self.from.tombstones()?.into_iter().rev() {
            let id = &tombstone.id;
            let removed = Change::Remove { removed_at: tombstone.removed_at, reason: tombstone.reason };
            if ended.remove(id) {
                self.target.take(vec![Event::new(id, removed)])?;
            } else if known.get(id).is_none_or(|known| {
                (known.removed_at, known.reason) != (tombstone.removed_at, tombstone.reason)
            }) {
                let begun = passing_conversation(id, tombstone.removed_at.unwrap_or(Timestamp::EPOCH));
                self.target.take(vec![Event::new(id, begun), Event::new(id, removed)])?;
            }
        }
        let mut ended: Vec<String> = ended.into_iter().collect();
        ended.sort_unstable();
        for id in ended {
            self.target.take(vec![Event::new(
                id,
                Change::Remove { removed_at: None, reason: RemovalReason::Asked },
            )])?;
        }
        Ok(())
    }

    /// Begins a conversation that is not there yet.
    fn begin(&mut self, summary: &Summary) -> Result<()> {
        if self.there.contains(&summary.id) {
            return Ok(());
        }
        let first = Wanted::read(self.from, summary)?.begin()?;
        self.begin_with(summary, first)
    }

    fn begin_with(&mut self, summary: &Summary, first: Change) -> Result<()> {
        let event = self.keys.put(Event::new(&summary.id, first));
        self.there.insert(summary.id.clone());
        self.begun.insert(summary.id.clone());
        self.target.take(vec![event])
    }

    /// Makes a conversation what it is in the source.
    fn complete(&mut self, summary: &Summary) -> Result<()> {
        let wanted = Wanted::read(self.from, summary)?;
        let store = self.target.store();
        let there = if self.there.contains(&summary.id) {
            if self.begun.contains(&summary.id) {
                self.target.flush()?;
            }
            There::in_store(store, &summary.id)?
        } else {
            let first = wanted.begin()?;
            let there = There::begun_by(store, &summary.id, &first);
            self.begin_with(summary, first)?;
            there
        };
        let plan = wanted.plan(&there.ok_or_else(|| moved(summary))?)?;
        if !plan.fits {
            return Err(moved(summary));
        }
        self.carry_out(&wanted, plan)
    }

    fn carry_out(&mut self, wanted: &Wanted<'_>, plan: Plan) -> Result<()> {
        let (id, last_activity) = (&wanted.summary.id, wanted.summary.last_activity);
        let Plan { changes, messages, actions, ending, raise, .. } = plan;
        self.take(id, changes)?;
        match ending {
            Ending::Messages | Ending::EditedMessage => {
                self.actions(wanted, actions, None)?;
                let late = (ending == Ending::EditedMessage).then_some(last_activity);
                self.messages(wanted, messages, late)?;
            }
            Ending::Actions | Ending::EditedAction => {
                self.messages(wanted, messages, None)?;
                self.actions(wanted, actions, (ending == Ending::EditedAction).then_some(last_activity))?;
            }
            Ending::Passing => {
                let message = passing(last_activity);
                let gone = Change::RemoveMessage(message.id.clone());
                self.take(id, vec![Change::AddMessage(message), gone])?;
            }
            Ending::Nothing => {}
        }
        self.take(id, raised(&wanted.head.title, raise))
    }

    /// Adds the messages from this place on; the last one with another time at first, if that is given.
    fn messages(&mut self, wanted: &Wanted<'_>, from: u64, late: Option<Timestamp>) -> Result<()> {
        let (id, end) = (&wanted.summary.id, wanted.summary.messages);
        let mut pages = Pages::of(wanted.from, id, from..end);
        for place in from..end {
            let message = pages.next()?.ok_or_else(|| moved(wanted.summary))?;
            let changes = match late.filter(|_| place + 1 == end) {
                Some(created_at) => {
                    let first = Message { created_at, ..message.clone() };
                    vec![Change::AddMessage(first), Change::EditMessage(message)]
                }
                None => vec![Change::AddMessage(message)],
            };
            self.take(id, changes)?;
        }
        Ok(())
    }

    /// The same for actions.
    fn actions(&mut self, wanted: &Wanted<'_>, from: usize, late: Option<Timestamp>) -> Result<()> {
        let all = &wanted.head.actions;
        for (place, action) in all.iter().enumerate().skip(from) {
            let changes = match late.filter(|_| place + 1 == all.len()) {
                Some(created_at) => {
                    let first = Action { created_at, ..action.clone() };
                    vec![Change::AddAction(first), Change::EditAction(action.clone())]
                }
                None => vec![Change::AddAction(action.clone())],
            };
            self.take(&wanted.summary.id, changes)?;
        }
        Ok(())
    }

    /// Hands on what belongs together.
    fn take(&mut self, id: &str, changes: Vec<Change>) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let keys = &mut self.keys;
        let events = changes.into_iter().map(|change| keys.put(Event::new(id, change))).collect();
        self.target.take(events)
    }
}

/// What raises a version. One over the limit of what can be asked for is reached event by event, with changes that change
/// nothing.
fn raised(title: &Text, Range { start, end }: Range<Version>) -> Vec<Change> {
    let asked = MAX_NUMBER.min(end);
    let beyond = (start.max(asked)..end).map(|_| Change::SetTitle(title.clone()));
    (start < asked).then_some(Change::SetVersion(asked)).into_iter().chain(beyond).collect()
}
