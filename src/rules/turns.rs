//! Windows of whole turns.
//!
//! Owns where a turn begins, and which turns a selection takes. A place is a beginning if the user speaks there and
//! no call before it is answered behind it. The messages are gone over from the end, because a window mostly lies
//! there, and only until the answer can no longer change: a result that waits for its call keeps every beginning behind
//! the call undecided.

use std::collections::HashMap;
use std::ops::Range;

use super::listed::Listed;
use super::tool_calls::Part;
use crate::error::Result;
use crate::model::{Messages, Text, TimeMatch, Timestamp};

/// The places of the turns that a selection takes within a range.
pub(super) fn select(listed: &dyn Listed, range: Range<usize>, selection: &Messages) -> Result<Vec<usize>> {
    let mut range = range;
    if selection.limit == Some(0) {
        return Ok(Vec::new());
    }
    loop {
        let mut window = Window::new(range.clone(), selection);
        window.look_back(listed)?;
        let (turns, unanswered) = window.into_turns();
        // Only a cursor ends a range before the conversation does.
        match answered_behind(listed, range.end, unanswered)? {
            Some(call) => range.end = call,
            None => return Ok(turns.into_iter().flatten().collect()),
        }
    }
}

/// Where a range has to end so that none of these calls in it, with their ids, is answered behind it.
fn answered_behind(listed: &dyn Listed, end: usize, mut calls: Vec<(usize, Text)>) -> Result<Option<usize>> {
    // Of results in a row, those that name no call are of the message before the row.
    let mut is_in_row = end > 0;
    for at in end..listed.count() {
        if calls.is_empty() && !is_in_row {
            break;
        }
        let (part, _) = look(listed, at)?;
        is_in_row &= part.is_result();
        if is_in_row && part.is_nameless_result {
            return Ok(Some(end - 1));
        }
        if let Some((call, _)) = calls.iter().find(|(_, id)| part.answers.contains(id)) {
            return Ok(Some(*call));
        }
        // What comes later answers this one.
        calls.retain(|(_, id)| !part.calls.contains(id));
    }
    Ok(None)
}

/// What a message is to its turn, and its time.
fn look(listed: &dyn Listed, at: usize) -> Result<(Part, Timestamp)> {
    let mut seen = (Part::default(), Timestamp::EPOCH);
    listed.look(at, &mut |message| seen = (Part::of(message), message.created_at))?;
    Ok(seen)
}

/// A place at which a window may begin.
#[derive(Clone, Copy, Debug)]
struct Cut {
    at: usize,
    /// Whether the user speaks there.
    is_turn: bool,
    time: TimeMatch,
}

/// A window that is being made out, from its end.
struct Window<'s> {
    range: Range<usize>,
    selection: &'s Messages,
    /// The last results that wait for their calls, by the calls' ids.
    waiting: HashMap<Text, usize>,
    /// The last of the results just gone over that do not name their call.
    nameless: Option<usize>,
    /// Cuts that are clean unless a call before them is answered by what waits.
    undecided: Vec<Cut>,
    /// Clean cuts, from the last to the first.
    clean: Vec<Cut>,
    /// Calls without an answer in the range, from the last to the first.
    unanswered: Vec<(usize, Text)>,
    taken: Taken,
}

/// The turns that are taken, in the order in which they were judged.
#[derive(Default)]
struct Taken {
    turns: Vec<Range<usize>>,
    /// How many messages the turns have whose times are surely meant.
    messages: usize,
    is_full: bool,
}

impl Taken {
    /// Takes a turn if its time is meant and there is room for it, or if it is the first. One whose time is in doubt
    /// takes no room.
    fn offer(&mut self, turn: Range<usize>, time: TimeMatch, limit: usize) {
        match time {
            TimeMatch::Out => return,
            TimeMatch::InDoubt => return self.turns.push(turn),
            TimeMatch::In => {}
        }
        let messages = self.messages.saturating_add(turn.len());
        self.is_full |= messages >= limit;
        if messages <= limit || self.messages == 0 {
            self.messages = messages;
            self.turns.push(turn);
        }
    }
}

impl<'s> Window<'s> {
    fn new(range: Range<usize>, selection: &'s Messages) -> Self {
        Self {
            range,
            selection,
            waiting: HashMap::new(),
            nameless: None,
            undecided: Vec::new(),
            clean: Vec::new(),
            unanswered: Vec::new(),
            taken: Taken::default(),
        }
    }

    fn limit(&self) -> usize {
        self.selection.limit.unwrap_or(usize::MAX)
    }

    /// Goes over the messages from the end until the turns are known.
    fn look_back(&mut self, listed: &dyn Listed) -> Result<()> {
        // Of what is known to be clean, how much has been judged, and where the turn ends that is judged next.
        let (mut judged, mut end) = (0, self.range.end);
        let limit = self.limit();
        let is_by_time = self.selection.since.is_some() || self.selection.until.is_some();
        for at in (0..self.range.end).rev() {
            let is_settled = self.waiting.is_empty() && self.nameless.is_none();
            if is_settled && at < self.range.start {
                break;
            }
            let (part, time) = look(listed, at)?;
            self.step(at, &part, self.selection.time_match(time));
            if !self.selection.takes_last() || !self.waiting.is_empty() || self.nameless.is_some() {
                continue;
            }
            for cut in self.clean.get(judged..).unwrap_or_default() {
                if cut.is_turn && !self.taken.is_full {
                    let turn = cut.at..std::mem::replace(&mut end, cut.at);
                    self.taken.offer(turn, cut.time, limit);
                }
            }
            judged = self.clean.len();
            let next_is_too_long =
                !self.taken.turns.is_empty() && self.taken.messages.saturating_add(end - at) > limit;
            if self.taken.is_full || next_is_too_long && !is_by_time {
                self.taken.is_full = true;
                return Ok(());
            }
        }
        // What still waits is answered by nothing: its call is nowhere.
        self.clean.append(&mut self.undecided);
        self.clean.sort_unstable_by_key(|cut| std::cmp::Reverse(cut.at));
        Ok(())
    }

    /// Takes in what stands at a place, all behind it being known.
    fn step(&mut self, at: usize, part: &Part, time: TimeMatch) {
        for id in &part.answers {
            self.waiting.entry(id.clone()).or_insert(at);
        }
        if part.is_nameless_result {
            self.nameless.get_or_insert(at);
        }
        for id in &part.calls {
            match self.waiting.remove(id) {
                Some(answer) => self.undecided.retain(|cut| cut.at > answer),
                None => self.unanswered.push((at, id.clone())),
            }
        }
        if part.is_result() {
            return;
        }
        // A result that names no call is that of the message which the results stand behind.
        if let Some(answer) = self.nameless.take() {
            self.undecided.retain(|cut| cut.at > answer);
        }
        if at >= self.range.start {
            let cut = Cut { at, is_turn: part.is_user, time };
            if self.waiting.is_empty() { self.clean.push(cut) } else { self.undecided.push(cut) }
        }
    }

    /// The turns that are taken, oldest first, and the calls in them, with their ids, that nothing in the range answers.
    fn into_turns(mut self) -> (Vec<Range<usize>>, Vec<(usize, Text)>) {
        if !self.taken.is_full {
            self.judge_all();
        }
        let mut turns = self.taken.turns;
        turns.sort_unstable_by_key(|turn| turn.start);
        let mut unanswered = self.unanswered;
        unanswered.retain(|(at, _)| turns.iter().any(|turn| turn.contains(at)));
        (turns, unanswered)
    }

    /// Judges every turn, all of them being known.
    fn judge_all(&mut self) {
        let has_turns = self.clean.iter().any(|cut| cut.is_turn);
        let cuts = self.clean.iter().filter(|cut| cut.is_turn || !has_turns);
        let mut end = self.range.end;
        let mut turns: Vec<_> =
            cuts.map(|cut| (cut.at..std::mem::replace(&mut end, cut.at), cut.time)).collect();
        if !self.selection.takes_last() {
            turns.reverse();
        }
        let limit = self.limit();
        self.taken = Taken::default();
        for (turn, time) in turns {
            if !self.taken.is_full {
                self.taken.offer(turn, time, limit);
            }
        }
    }
}

#[cfg(test)]
mod tests;
