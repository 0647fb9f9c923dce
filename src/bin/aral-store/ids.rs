//! From what a person types to the id that is meant.
//!
//! Owns the rule for beginnings of ids: a whole id always wins, a beginning of four characters or more will
//! do where it fits one id only. Only for what is there already: nothing that is to be made is ever taken
//! for something else.

use aral_store::{Error, ErrorKind, MessageStore, Order, RemovalReason};

use crate::exit::Failure;
use crate::output::{note, one_line};
use crate::place;

/// How many characters of an id say enough to mean it.
const LEAST_CHARS: usize = 4;

/// How many ids an error names.
const NAMED: usize = 10;

/// The conversation that is meant for reading.
pub(crate) fn conversation(store: &MessageStore, given: &str) -> Result<String, Failure> {
    if exists(store, given)? {
        return Ok(given.to_owned());
    }
    let mut found = beginning_with(store, given)?;
    if found.len() > 1 {
        return Err(ambiguous(given, "conversation", &found));
    }
    found.pop().ok_or_else(|| no_conversation(store, given))
}

/// The conversation that is meant for changing; says so if it was not named in full.
pub(crate) fn conversation_to_change(store: &MessageStore, given: &str) -> Result<String, Failure> {
    let id = conversation(store, given)?;
    if id != given {
        note(&one_line(&format!("{given:?} is taken for {id:?}")));
    }
    Ok(id)
}

/// Whether there is such a conversation; a damaged one is there.
pub(crate) fn exists(store: &MessageStore, id: &str) -> Result<bool, Failure> {
    match store.summary(id) {
        Ok(summary) => Ok(summary.is_some()),
        Err(error) if place::is_unreadable(&error) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Every conversation whose id begins so, damaged ones too; none if the beginning is too short to mean one.
pub(crate) fn beginning_with(store: &MessageStore, beginning: &str) -> Result<Vec<String>, Failure> {
    if !is_enough(beginning) {
        return Ok(Vec::new());
    }
    let listed = store.conversations(Order::Created)?.into_iter().map(|summary| summary.id);
    let damaged = store.recovery().damaged.into_iter().filter_map(|file| file.conversation_id);
    let mut found: Vec<String> = listed.chain(damaged).filter(|id| id.starts_with(beginning)).collect();
    found.sort();
    found.dedup();
    Ok(found)
}

/// Whether so much of an id may stand for it.
pub(crate) fn is_enough(beginning: &str) -> bool {
    beginning.chars().count() >= LEAST_CHARS
}

/// The error for a beginning that fits several ids.
pub(crate) fn ambiguous(given: &str, what: &str, found: &[String]) -> Failure {
    let mut names: Vec<String> = found.iter().take(NAMED).map(|id| format!("{id:?}")).collect();
    let more = found.len().saturating_sub(NAMED);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    let names = names.join(", ");
    Failure::Usage(format!("{given:?} may mean more than one {what}: {names}; type more of the one you mean"))
}

/// The error for a conversation that was named and is not there.
pub(crate) fn no_conversation(store: &MessageStore, id: &str) -> Failure {
    let text = match store.removed(id) {
        Ok(Some(tombstone)) if tombstone.reason != RemovalReason::Asked => {
            let (when, seq) =
                (tombstone.removed_at.map(|time| format!(" at {time}")).unwrap_or_default(), tombstone.seq);
            if tombstone.reason == RemovalReason::Erasure {
                format!("there is no conversation {id:?} any more: it was erased{when}, by event {seq}")
            } else {
                format!(
                    "there is no conversation {id:?} any more: it was older than what is kept, and was pruned{when}, by event \
                     {seq}; `aral-store unremove` brings it back as far as its history is kept"
                )
            }
        }
        Ok(_) | Err(_) => format!("there is no conversation {id:?}; `aral-store ls` lists them"),
    };
    Error::new(ErrorKind::NotFound, text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(ids: &[&str]) -> MessageStore {
        let store = MessageStore::in_memory();
        for id in ids {
            drop(store.add_message(id, "x").unwrap());
        }
        store
    }

    #[test]
    fn a_whole_id_wins_and_a_beginning_must_fit_one_id_only() {
        let store = store(&["conv", "conv-1", "conv-10", "other"]);
        for (given, meant) in
            [("conv", "conv"), ("conv-1", "conv-1"), ("othe", "other"), ("conv-10", "conv-10")]
        {
            assert_eq!(conversation(&store, given).unwrap(), meant);
        }
        assert!(
            matches!(conversation(&store, "conv-"), Err(Failure::Usage(text)) if text.contains("\"conv-10\""))
        );
        for nobody in ["oth", "", "otherwise", "con"] {
            assert!(matches!(conversation(&store, nobody), Err(Failure::Store(_))), "{nobody:?}");
        }
    }

    #[test]
    fn characters_are_counted_and_not_bytes() {
        assert!(!is_enough("ééé") && is_enough("éééé"));
    }

    #[test]
    fn an_error_names_ten_ids_and_counts_the_others() {
        let ids: Vec<String> = (0..13).map(|n| format!("same{n}")).collect();
        let Failure::Usage(text) = ambiguous("same", "conversation", &ids) else { panic!("usage") };
        assert!(text.contains("\"same9\", 3 more;"), "{text}");
    }
}
