//! Comparing what a store says of its past with what was seen then.
//!
//! Owns the law: what is whole is right, and what is no longer kept is refused, with the event from which on it is whole.

use aral_store::{At, ErrorKind, MessageStore};

use super::check::{Checked, done, same};
use super::ops::CONVERSATIONS;
use super::oracle::Oracle;

/// Looks back at one of the states that a store was in, at a few conversations; the one that is damaged aside.
pub(crate) fn looking_back(
    store: &MessageStore,
    states: &[Oracle],
    choice: u64,
    damaged: Option<&str>,
) -> Checked {
    let pick = |n: usize, salt: u64| {
        let mixed = choice.wrapping_add(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        usize::try_from(mixed).unwrap_or(0) % n.max(1)
    };
    let (Some(then), Some(now)) = (states.get(pick(states.len(), 0)), states.last()) else { return Ok(()) };
    let known = |state: &Oracle, salt| {
        let known = state.conversations.get(pick(state.conversations.len(), salt));
        known.map(|known| known.conversation.id.clone())
    };
    let ids = [known(then, 1), known(now, 2), Some(CONVERSATIONS[pick(CONVERSATIONS.len(), 3)].to_owned())];
    for id in ids.into_iter().flatten().filter(|id| Some(id.as_str()) != damaged) {
        at(store, &id, then, now)?;
    }
    Ok(())
}

/// Compares what a conversation is said to have been in a state with what it was.
pub(crate) fn at(store: &MessageStore, id: &str, then: &Oracle, now: &Oracle) -> Checked {
    let history = done("a history", store.history(id))?;
    if history.whole_from > now.last_seq {
        return Err(format!("{id:?}: the history is whole from {} on only", history.whole_from));
    }
    let ought = |state: &Oracle| state.find(id).map(|known| known.conversation.clone());
    let newest = done("the end of a history", history.at(At::Seq(u64::MAX)))?;
    same("what all events of a conversation lead to", &newest, &ought(now))?;
    let is = store.at(then.last_seq).conversation(id);
    if then.last_seq >= history.whole_from {
        let what = format!("what {id:?} was after event {}", then.last_seq);
        return same(&what, &done("a look back", is)?, &ought(then));
    }
    match is {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let named = format!("whole from event {} on", history.whole_from);
            same("that the error names what is kept", &error.to_string().contains(&named), &true)
        }
        other => Err(format!("what is no longer kept of {id:?} was not refused: {other:?}")),
    }
}
