//! What a person means by a point in the past, and by the conversation whose past it is.
//!
//! Owns the reading of both, and what is said where the past does not say everything.

use aral_store::{At, Conversation, Error, ErrorKind, History, MessageStore};

use crate::exit::Failure;
use crate::ids;
use crate::moment;
use crate::output::{note, one_line};

/// Reads an event's number, a version such as v3, a time, a date or a span before now.
pub(crate) fn point(option: &str, text: &str) -> Result<At, Failure> {
    if let Ok(seq) = text.parse() {
        return Ok(At::Seq(seq));
    }
    if let Some(version) = text.strip_prefix('v').and_then(|number| number.parse().ok()) {
        return Ok(At::Version(version));
    }
    moment::read(option, text).map(At::Time).map_err(|_| {
        let forms =
            "12 (an event's number), v3 (a version), 2025-03-13T15:11:33Z, 2025-03-13, 7d and 24h are";
        Failure::Usage(format!("{option} {text:?} is no point in the past; {forms}"))
    })
}

/// Refuses the number of an event that has not happened yet: whoever gives one means another.
pub(crate) fn must_have_happened(store: &MessageStore, at: At) -> Result<(), Failure> {
    let newest = store.recovery().last_seq;
    if let At::Seq(seq) = at
        && seq > newest
    {
        let text = format!("there is no event {seq}: the newest of the store is {newest}");
        return Err(Error::new(ErrorKind::NotFound, text).into());
    }
    Ok(())
}

/// The past of the conversation that is meant, which may have been removed.
pub(crate) fn history(store: &MessageStore, given: &str) -> Result<History, Failure> {
    let whole = store.history(given)?;
    if !whole.is_empty() || store.removed(given)?.is_some() {
        return Ok(whole);
    }
    let removed = store.tombstones()?.into_iter().map(|tombstone| tombstone.id);
    let mut found: Vec<String> =
        removed.filter(|id| ids::is_enough(given) && id.starts_with(given)).collect();
    found.extend(ids::beginning_with(store, given)?);
    if found.len() > 1 {
        return Err(ids::ambiguous(given, "conversation", &found));
    }
    let id = found.pop().ok_or_else(|| ids::no_conversation(store, given))?;
    Ok(store.history(&id)?)
}

/// The same to change what it is by now; says so if it was not named in full.
pub(crate) fn history_to_change(store: &MessageStore, given: &str) -> Result<History, Failure> {
    let history = history(store, given)?;
    if history.conversation_id != given {
        note(&one_line(&format!("{given:?} is taken for {:?}", history.conversation_id)));
    }
    Ok(history)
}

/// What a conversation was, with a word on what nothing says.
pub(crate) fn then(history: &History, at: At) -> Result<Conversation, Failure> {
    let found = history.at(at)?.ok_or_else(|| {
        let text = format!("there was no conversation {:?} then", history.conversation_id);
        Error::new(ErrorKind::NotFound, text)
    })?;
    tell_doubt(history, at)?;
    Ok(found)
}

/// Says which events may have happened later than the time that is asked for.
pub(crate) fn tell_doubt(history: &History, at: At) -> Result<(), Failure> {
    let Some(first) = history.unsure_from(at)? else { return Ok(()) };
    let last = history.last_seq_at(at)?;
    let which = if first == last { format!("event {first}") } else { format!("events {first} to {last}") };
    note(&format!(
        "nothing says when {which} happened; what came of it is shown, and may be of a later time"
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_versions_and_times_are_told_apart() {
        assert_eq!(point("--at", "12").unwrap(), At::Seq(12));
        assert_eq!(point("--at", "v12").unwrap(), At::Version(12));
        assert!(matches!(point("--at", "2025-03-13"), Ok(At::Time(_))));
        assert!(matches!(point("--at", "7d"), Ok(At::Time(_))));
        for text in ["", "v", "vx", "-1", "then"] {
            assert!(
                matches!(point("--at", text), Err(Failure::Usage(said)) if said.contains("v3")),
                "{text}"
            );
        }
    }
}
