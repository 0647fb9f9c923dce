//! Whether one order explains what many processes were told.
//!
//! Owns the judgement. The numbers of the events are the order of what was carried out, so nothing has to be searched for: each
//! event must have been asked for once, have the number and the version that its caller was told, and stand behind whatever was
//! acknowledged before it was asked for. Each reading and each refusal must be right in a state that was possible at a
//! moment of the call: none older than what had been acknowledged or seen before it began, none newer than what had
//! been asked for before it ended. The oldest such state is taken, so that one is found for each if there is any choice at all.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use super::history::{Answer, Asked, Batch, Call, Happened, What};

/// How many of the last messages a state remembers: no reading asks for more.
pub(super) const REMEMBERED: usize = 10;

/// What was found to be in order.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Tally {
    pub(super) events: usize,
    pub(super) written: usize,
    pub(super) readings: usize,
    pub(super) refused: usize,
    pub(super) failed: usize,
    /// Calls whose outcome their caller never heard, and how many of them happened.
    pub(super) unknown: (usize, usize),
}

type Checked<T = ()> = Result<T, String>;

/// A conversation after the event of this number.
#[derive(Clone, Debug)]
struct State {
    seq: u64,
    version: u64,
    messages: u64,
    /// The last ids and texts.
    last: Vec<(String, String)>,
}

/// Where something happened.
#[derive(Clone, Debug)]
struct Place {
    /// The number and the version of each of its events.
    receipts: Vec<(u64, u64)>,
    /// The last number of the batch: the state in which it is seen.
    seen_at: u64,
}

/// The events in their order, and what they led to.
#[derive(Default)]
struct Order {
    states: HashMap<String, Vec<State>>,
    places: HashMap<String, Place>,
    /// When each message came and went, by the last numbers of the batches.
    lives: HashMap<String, (u64, Option<u64>)>,
    /// The last number of each batch, and a time before which it was not asked for, nor one before it.
    begun: Vec<(u64, u64)>,
}

/// Holds a history to what all promise together.
pub(super) fn judge(calls: &[Call], batches: &[Batch]) -> Checked<Tally> {
    let mut asked = HashMap::<&str, Vec<&Call>>::new();
    for call in calls {
        if let Some(token) = call.asked.token() {
            asked.entry(token).or_default().push(call);
        }
    }
    let mut order = Order::of(batches, &asked)?;
    let mut tally =
        Tally { events: batches.iter().map(|(_, events)| events.len()).sum(), ..Tally::default() };
    for (token, calls) in &asked {
        told_the_truth(token, calls, order.places.get(*token))?;
    }
    order.is_in_real_time(&asked, batches)?;
    let mut by_beginning: Vec<&Call> = calls.iter().collect();
    by_beginning.sort_by_key(|call| call.begun);
    let (mut least, mut ending) = (0, BinaryHeap::new());
    for call in by_beginning {
        while let Some(Reverse((ended, seen))) =
            ending.peek().copied().filter(|Reverse((ended, _))| *ended < call.begun)
        {
            let _: u64 = ended;
            least = least.max(seen);
            ending.pop();
        }
        let seen = order.explain(call, least)?;
        tally.count(call, &order);
        if let (Some(ended), Some(seen)) = (call.ended, seen) {
            ending.push(Reverse((ended, seen)));
        }
    }
    Ok(tally)
}

/// Holds what callers were told of something to whether it happened, and where.
fn told_the_truth(token: &str, calls: &[&Call], place: Option<&Place>) -> Checked {
    for call in calls {
        match (&call.answer, place) {
            (Some(Answer::Written(receipts)), Some(place)) if *receipts == place.receipts => {}
            (Some(Answer::Written(receipts)), place) => {
                let place = place.map(|place| &place.receipts);
                return Err(format!("{token} was acknowledged as {receipts:?} and is there as {place:?}"));
            }
            _ => {}
        }
    }
    let refused =
        |call: &&&Call| matches!(call.answer, Some(Answer::Conflict | Answer::NotFound | Answer::Failed(_)));
    if place.is_some() && calls.iter().all(|call| refused(&call)) {
        return Err(format!("{token} is there, and everybody was told that it failed: {calls:?}"));
    }
    Ok(())
}

impl Order {
    /// Replays the events.
    fn of(batches: &[Batch], asked: &HashMap<&str, Vec<&Call>>) -> Checked<Self> {
        let mut order = Self::default();
        let mut lists = BTreeMap::<&str, (u64, Vec<(&str, &str)>)>::new();
        let mut next = 1;
        for (first, events) in batches {
            if *first != next {
                return Err(format!("after event {} comes event {first}", next - 1));
            }
            let seen_at = next + to_u64(events.len()) - 1;
            let token = token_of(events)?;
            let calls = asked.get(token).ok_or_else(|| format!("nobody asked for {token}, event {next}"))?;
            if !is_what_was_asked(events, &calls[0].asked) {
                return Err(format!("asked for {:?}, there is {events:?}", calls[0].asked));
            }
            let mut receipts = Vec::new();
            for happened in events {
                let (version, list) = lists.entry(&happened.conversation).or_default();
                *version += 1;
                receipts.push((next, *version));
                order.apply(happened, list, seen_at)?;
                next += 1;
            }
            let conversation = &events[0].conversation;
            let (version, list) = &lists[conversation.as_str()];
            if let Asked::Add { expect: Some(expect), .. } = &calls[0].asked {
                if *version != expect + to_u64(events.len()) {
                    return Err(format!("{token} expected version {expect} and made {version}"));
                }
            }
            let own = |(id, text): &(&str, &str)| ((*id).to_owned(), (*text).to_owned());
            let last = list[list.len().saturating_sub(REMEMBERED)..].iter().map(own).collect();
            let state = State { seq: seen_at, version: *version, messages: to_u64(list.len()), last };
            order.states.entry(conversation.clone()).or_default().push(state);
            if order.places.insert(token.to_owned(), Place { receipts, seen_at }).is_some() {
                return Err(format!("{token} happened twice, the second time as event {first}"));
            }
        }
        Ok(order)
    }

    fn apply<'e>(
        &mut self,
        happened: &'e Happened,
        list: &mut Vec<(&'e str, &'e str)>,
        seen_at: u64,
    ) -> Checked {
        let place = |list: &[(&str, &str)], id: &str| {
            list.iter()
                .rposition(|(other, _)| *other == id)
                .ok_or_else(|| format!("{happened:?}, which is not there"))
        };
        match &happened.what {
            What::Added { id, text } => {
                list.push((id, text));
                self.lives.insert(id.clone(), (seen_at, None));
            }
            What::Edited { id, text } => {
                let at = place(list, id)?;
                list[at].1 = text;
            }
            What::Removed { id } => {
                let at = place(list, id)?;
                list.remove(at);
                if let Some(life) = self.lives.get_mut(id) {
                    life.1 = Some(seen_at);
                }
            }
        }
        Ok(())
    }

    /// Holds the order to the clock: what was acknowledged before something was asked for has the smaller number.
    fn is_in_real_time(&mut self, asked: &HashMap<&str, Vec<&Call>>, batches: &[Batch]) -> Checked {
        let mut latest = 0;
        for (first, events) in batches {
            let token = token_of(events)?;
            let Some(calls) = asked.get(token) else { continue };
            let is_refused = |call: &&&Call| {
                matches!(call.answer, Some(Answer::Conflict | Answer::NotFound | Answer::Failed(_)))
            };
            let begun = calls.iter().filter(|call| !is_refused(call)).map(|call| call.begun).min();
            let is_written = |call: &&&Call| matches!(call.answer, Some(Answer::Written(_)));
            let ended = calls.iter().filter(is_written).filter_map(|call| call.ended).min();
            if ended.is_some_and(|ended| ended < latest) {
                return Err(format!(
                    "{token} was acknowledged before something was asked for that has a smaller number than its {first}"
                ));
            }
            latest = latest.max(begun.unwrap_or(latest));
            self.begun.push((first + to_u64(events.len()) - 1, latest));
        }
        Ok(())
    }

    /// Finds the state that explains an answer; `None` if it says nothing of any.
    fn explain(&self, call: &Call, least: u64) -> Checked<Option<u64>> {
        let (Some(ended), Some(answer)) = (call.ended, &call.answer) else { return Ok(None) };
        if let Answer::Written(_) = answer {
            return Ok(call
                .asked
                .token()
                .and_then(|token| self.places.get(token))
                .map(|place| place.seen_at));
        }
        if let Answer::Failed(_) | Answer::Open(_) = answer {
            return Ok(None);
        }
        let possible = self.begun.partition_point(|(_, begun)| *begun < ended);
        let most = possible.checked_sub(1).map_or(0, |at| self.begun[at].0);
        let none = Vec::new();
        let states = self.states.get(call.asked.conversation()).unwrap_or(&none);
        let before = states.partition_point(|state| state.seq <= least);
        let later = states[before..].iter().take_while(|state| state.seq <= most).map(Some);
        for state in std::iter::once(before.checked_sub(1).map(|at| &states[at])).chain(later) {
            let seq = state.map_or(0, |state| state.seq).max(least);
            if self.is_right(&call.asked, answer, state, seq) {
                return Ok(Some(seq));
            }
        }
        Err(format!("no state from event {least} to {most} explains {call:?}"))
    }

    fn is_right(&self, asked: &Asked, answer: &Answer, state: Option<&State>, seq: u64) -> bool {
        match (asked, answer) {
            (Asked::Last { count, .. }, Answer::Messages(is)) => {
                state.is_some_and(|state| state.last[state.last.len().saturating_sub(*count)..] == is[..])
            }
            (Asked::Summary { .. }, Answer::Summary(is)) => {
                state.map(|state| (state.version, state.messages)) == *is
            }
            (Asked::Last { .. }, Answer::NotFound) => state.is_none(),
            (Asked::Add { expect: Some(expect), .. }, Answer::Conflict) => {
                state.map_or(0, |state| state.version) != *expect
            }
            (Asked::Edit { id, .. } | Asked::Remove { id, .. }, Answer::NotFound) => self
                .lives
                .get(id)
                .is_none_or(|(came, went)| seq < *came || went.is_some_and(|went| seq >= went)),
            _ => false,
        }
    }
}

/// What a batch has in common with what asked for it.
fn token_of(events: &[Happened]) -> Checked<&str> {
    let first = events.first().ok_or("a batch of no events")?;
    match (&first.what, &first.key) {
        (What::Added { id, .. }, _) => Ok(id),
        (What::Edited { text, .. }, _) => Ok(text),
        (What::Removed { .. }, Some(key)) => Ok(key),
        (What::Removed { .. }, None) => Err(format!("{first:?} has no key, and all removals had one")),
    }
}

/// Whether events are what a call asked for, all of it and nothing else.
fn is_what_was_asked(events: &[Happened], asked: &Asked) -> bool {
    let same = |happened: &Happened, key: &Option<String>, what: &What| {
        happened.conversation == asked.conversation() && happened.key == *key && happened.what == *what
    };
    match asked {
        Asked::Add { ids, key, .. } => {
            ids.len() == events.len()
                && ids
                    .iter()
                    .zip(events)
                    .all(|(id, event)| same(event, key, &What::Added { id: id.clone(), text: id.clone() }))
        }
        Asked::Edit { id, text, .. } => {
            events.len() == 1 && same(&events[0], &None, &What::Edited { id: id.clone(), text: text.clone() })
        }
        Asked::Remove { id, key, .. } => {
            events.len() == 1 && same(&events[0], &Some(key.clone()), &What::Removed { id: id.clone() })
        }
        Asked::Last { .. } | Asked::Summary { .. } => false,
    }
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

impl Tally {
    fn count(&mut self, call: &Call, order: &Order) {
        match &call.answer {
            Some(Answer::Written(_)) => self.written += 1,
            Some(Answer::Messages(_) | Answer::Summary(_)) => self.readings += 1,
            Some(Answer::Conflict | Answer::NotFound) => self.refused += 1,
            Some(Answer::Failed(_)) => self.failed += 1,
            Some(Answer::Open(_)) | None => {
                let Some(token) = call.asked.token() else { return };
                self.unknown.0 += 1;
                self.unknown.1 += usize::from(order.places.contains_key(token));
            }
        }
    }
}
