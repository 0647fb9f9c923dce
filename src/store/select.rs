//! Applying a selection to a list of messages.
//!
//! Owns the meaning of [`Messages`], for every backend. Asks for an id's place and for a message's role only
//! where the selection needs them.

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Cursor, Messages, Text};

/// The places, oldest first, that a selection means in a list of so many messages.
pub(crate) fn select(
    count: usize,
    selection: &Messages,
    find: &dyn Fn(&Text) -> Result<Option<usize>>,
    role: &dyn Fn(usize) -> Result<Option<Text>>,
) -> Result<Vec<usize>> {
    let place = |id: &Text| {
        let missing = || format!("there is no message {:?} in the conversation", id.to_string_lossy());
        find(id)?.ok_or_else(|| Error::new(ErrorKind::NotFound, missing()))
    };
    let range = match &selection.cursor {
        None => 0..count,
        Some(Cursor::Before(id)) => 0..place(id)?,
        Some(Cursor::After(id)) => place(id)? + 1..count,
        Some(Cursor::BeforePlace(place)) => 0..within(*place, count),
        Some(Cursor::FromPlace(place)) => within(*place, count)..count,
    };
    let limit = selection.limit.unwrap_or(usize::MAX);
    let Some(wanted) = &selection.role else {
        let cut = range.len().saturating_sub(limit);
        let kept =
            if selection.takes_last() { range.start + cut..range.end } else { range.start..range.end - cut };
        return Ok(kept.collect());
    };
    let mut kept = Vec::new();
    let mut places: Box<dyn Iterator<Item = usize>> =
        if selection.takes_last() { Box::new(range.rev()) } else { Box::new(range) };
    while kept.len() < limit {
        let Some(at) = places.next() else { break };
        if role(at)?.as_ref() == Some(wanted) {
            kept.push(at);
        }
    }
    if selection.takes_last() {
        kept.reverse();
    }
    Ok(kept)
}

/// A place in a list of so many, or its end.
fn within(place: u64, count: usize) -> usize {
    usize::try_from(place).map_or(count, |place| place.min(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(selection: &Messages) -> Vec<usize> {
        let find = |id: &Text| Ok(id.as_str().and_then(|id| id.parse().ok()).filter(|at| *at < 10));
        let role = |at: usize| Ok(Some(Text::from(if at % 3 == 0 { "user" } else { "assistant" })));
        select(10, selection, &find, &role).unwrap()
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
        let missing = select(1, &Messages::all().before("x"), &|_| Ok(None), &|_| Ok(None));
        assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
    }
}
