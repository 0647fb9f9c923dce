//! Applying a selection to a list of messages.
//!
//! Owns the meaning of [`Messages`], for every backend. Looks for an id's place and at a message only
//! where the selection needs them.

use std::ops::Range;

use super::listed::Listed;
use super::turns;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Cursor, Messages, Text, TimeMatch};

/// The places, oldest first, that a selection means.
pub(crate) fn select(listed: &dyn Listed, selection: &Messages) -> Result<Vec<usize>> {
    let range = range_of(listed, selection)?;
    if selection.is_by_turns {
        if selection.role.is_some() {
            return Err(Error::invalid("whole turns have messages of every role; ask for one or the other"));
        }
        return turns::select(listed, range, selection);
    }
    let limit = selection.limit.unwrap_or(usize::MAX);
    if selection.is_by_place() {
        let cut = range.len().saturating_sub(limit);
        let kept =
            if selection.takes_last() { range.start + cut..range.end } else { range.start..range.end - cut };
        return Ok(kept.collect());
    }
    let (mut kept, mut sure) = (Vec::new(), 0);
    let mut places: Box<dyn Iterator<Item = usize>> =
        if selection.takes_last() { Box::new(range.rev()) } else { Box::new(range) };
    while sure < limit {
        let Some(at) = places.next() else { break };
        let mut found = TimeMatch::Out;
        listed.look(at, &mut |message| {
            if selection.role.as_ref().is_none_or(|role| message.role == *role) {
                found = selection.time_match(message.created_at);
            }
        })?;
        if found != TimeMatch::Out {
            kept.push(at);
        }
        sure += usize::from(found == TimeMatch::In);
    }
    if selection.takes_last() {
        kept.reverse();
    }
    Ok(kept)
}

/// The places among which a selection's cursor leaves the choice.
fn range_of(listed: &dyn Listed, selection: &Messages) -> Result<Range<usize>> {
    let count = listed.count();
    let place = |id: &Text| {
        let missing = || format!("there is no message {:?} in the conversation", id.to_string_lossy());
        listed.find(id)?.ok_or_else(|| Error::new(ErrorKind::NotFound, missing()))
    };
    Ok(match &selection.cursor {
        None => 0..count,
        Some(Cursor::Before(id)) => 0..place(id)?,
        Some(Cursor::After(id)) => place(id)? + 1..count,
        Some(Cursor::BeforePlace(place)) => 0..within(*place, count),
        Some(Cursor::FromPlace(place)) => within(*place, count)..count,
    })
}

/// A place in a list of so many, or its end.
fn within(place: u64, count: usize) -> usize {
    usize::try_from(place).map_or(count, |place| place.min(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Message, MessageRef, Timestamp};

    /// Ten messages whose ids are their places, of every hour of a day and of two roles.
    struct Ten(Vec<Message>);

    impl Listed for Ten {
        fn count(&self) -> usize {
            self.0.len()
        }

        fn find(&self, id: &Text) -> Result<Option<usize>> {
            Ok(self.0.iter().position(|message| message.id == *id))
        }

        fn look(&self, at: usize, look: &mut dyn FnMut(MessageRef<'_>)) -> Result<()> {
            look(MessageRef::from(&self.0[at]));
            Ok(())
        }
    }

    fn hour(hour: usize) -> Timestamp {
        format!("2025-03-13T{hour:02}:00:00").parse().unwrap()
    }

    fn ten() -> Ten {
        let message = |at: usize| {
            let role = if at.is_multiple_of(3) { "user" } else { "assistant" };
            Message::new(at.to_string(), "", role, hour(at))
        };
        Ten((0..10).map(message).collect())
    }

    fn places(selection: &Messages) -> Vec<usize> {
        select(&ten(), selection).unwrap()
    }

    #[test]
    fn a_selection_means_what_it_says() {
        assert_eq!(places(&Messages::all()), (0..10).collect::<Vec<_>>());
        assert_eq!(places(&Messages::last(3)), [7, 8, 9]);
        assert_eq!(places(&Messages::first(2)), [0, 1]);
        assert_eq!(places(&Messages::last(20)).len(), 10);
        assert_eq!(places(&Messages::last(0)), [0; 0]);
        assert_eq!(places(&Messages::last(2).before("5")), [3, 4]);
        assert_eq!(places(&Messages::first(2).after("5")), [6, 7]);
        assert_eq!(places(&Messages::all().after("9")), [0; 0]);
        assert_eq!(places(&Messages::last(2).role("user")), [6, 9]);
        assert_eq!(places(&Messages::first(2).role("user").after("0")), [3, 6]);
        assert_eq!(places(&Messages::last(2).before_place(5)), [3, 4]);
        assert_eq!(places(&Messages::first(2).from_place(5)), [5, 6]);
        assert_eq!(places(&Messages::first(2).from_place(9).role("user")), [9]);
        assert_eq!(places(&Messages::all().from_place(10)), [0; 0]);
        assert_eq!(places(&Messages::last(1).before_place(u64::MAX)), [9]);
        assert_eq!(places(&Messages::all().before_place(0)), [0; 0]);
        let missing = select(&ten(), &Messages::all().before("x"));
        assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn what_is_in_doubt_takes_no_place_from_what_is_surely_meant() {
        // Of the afternoon, by a clock that may be anywhere; then of the morning, by UTC, and before it by a clock again.
        let times =
            ["2025-03-13T00:30:00", "2025-03-13T08:00:00Z", "2025-03-13T09:00:00Z", "2025-03-13T20:00:00"];
        for turns in [false, true] {
            let message =
                |(at, time): (usize, &&str)| Message::new(at.to_string(), "", "user", time.parse().unwrap());
            let listed = Ten(times.iter().enumerate().map(message).collect());
            let places = |selection: Messages| {
                let selection = if turns { selection.whole_turns() } else { selection };
                select(&listed, &selection).unwrap()
            };
            let noon: Timestamp = "2025-03-13T12:00:00Z".parse().unwrap();
            assert_eq!(places(Messages::last(2).until(noon)), [1, 2, 3], "{turns}");
            let night: Timestamp = "2025-03-13T05:00:00Z".parse().unwrap();
            assert_eq!(places(Messages::first(1).since(night)), [0, 1], "{turns}");
        }
    }

    #[test]
    fn times_are_from_the_first_and_before_the_second() {
        assert_eq!(places(&Messages::all().since(hour(3)).until(hour(5))), [3, 4]);
        assert_eq!(places(&Messages::last(1).until(hour(5))), [4]);
        assert_eq!(places(&Messages::first(1).since(hour(5))), [5]);
        assert_eq!(places(&Messages::last(2).since(hour(1)).until(hour(8)).role("user")), [3, 6]);
        assert_eq!(places(&Messages::all().since(hour(2)).before("4")), [2, 3]);
        // A stored time without an offset counts wherever it may be meant: from 12 hours behind UTC to 14 ahead.
        let utc = |text: &str| -> Timestamp { text.parse().unwrap() };
        assert_eq!(places(&Messages::all().since(utc("2025-03-13T17:00:00Z"))), [5, 6, 7, 8, 9]);
        assert_eq!(places(&Messages::all().since(utc("2025-03-13T19:00:00+02:00"))), [5, 6, 7, 8, 9]);
        assert_eq!(places(&Messages::all().until(utc("2025-03-12T13:00:00Z"))), [0, 1, 2]);
        assert_eq!(places(&Messages::all().since(hour(10))), [0; 0]);
    }
}
