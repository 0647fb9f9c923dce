//! Comparing a store with what it ought to be.
//!
//! Owns the questions that are asked of a store, and reports the first answer that is wrong. Changes nothing,
//! except where a name says so.

use std::fmt::Debug;

use aral_store::{
    ErrorKind, Message, MessageRef, MessageStore, Messages, Order, Receipt, Result as StoreResult, Summary,
    Tombstone,
};

use super::oracle::{Expected, Known, Oracle, UsedKey, count};

/// The first thing that is wrong, in words.
pub(crate) type Checked<T = ()> = Result<T, String>;

/// Reports a difference.
pub(crate) fn same<T: PartialEq + Debug>(what: &str, is: &T, ought: &T) -> Checked {
    if is == ought { Ok(()) } else { Err(format!("{what}\n  is    {is:?}\n  ought {ought:?}")) }
}

/// Unwraps what ought to have succeeded.
pub(crate) fn done<T>(what: &str, result: StoreResult<T>) -> Checked<T> {
    result.map_err(|error| format!("{what}: {error:?}"))
}

/// Reports anything but an error of this kind.
pub(crate) fn refused<T: Debug>(what: &str, result: StoreResult<T>, kind: ErrorKind) -> Checked {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        other => Err(format!("{what}: {other:?} where {kind:?} was due")),
    }
}

/// Compares what a store said to a batch with what it ought to say.
pub(crate) fn answer(is: &StoreResult<Vec<Receipt>>, ought: &Result<Vec<Expected>, ErrorKind>) -> Checked {
    let plain = |receipt: &Receipt| Expected {
        seq: receipt.seq,
        conversation_id: receipt.conversation_id.clone(),
        id: receipt.id.clone(),
        version: receipt.version,
    };
    match (is, ought) {
        (Ok(receipts), Ok(expected)) => {
            same("the receipts", &receipts.iter().map(plain).collect::<Vec<_>>(), expected)
        }
        (Err(error), Err(kind)) if error.kind() == *kind => Ok(()),
        (is, ought) => Err(format!("the answer\n  is    {is:?}\n  ought {ought:?}")),
    }
}

/// Every conversation in full, and the lists; what a crash state is compared by, for speed.
pub(crate) fn gist(store: &MessageStore, oracle: &Oracle) -> Checked {
    same("the list", &done("a list", store.conversations(Order::Created))?, &oracle.list(Order::Created))?;
    for known in &oracle.conversations {
        let is = done("a conversation", store.conversation(&known.conversation.id))?;
        same("a conversation", &is.as_ref(), &Some(&known.conversation))?;
    }
    removed(store, oracle)?;
    let stats = done("stats", store.stats())?;
    same("the last event and the damage", &(stats.last_seq, stats.damaged), &(oracle.last_seq, 0))
}

/// Every conversation in full, and the lists, but for one whose file is damaged: that one answers so, or as it ought.
pub(crate) fn beside(store: &MessageStore, oracle: &Oracle, damaged: &str) -> Checked {
    for order in [Order::Created, Order::Activity] {
        let others = |list: Vec<Summary>| -> Vec<Summary> {
            list.into_iter().filter(|summary| summary.id != damaged).collect()
        };
        same(
            "the others' list",
            &others(done("a list", store.conversations(order))?),
            &others(oracle.list(order)),
        )?;
    }
    for known in &oracle.conversations {
        let id = &known.conversation.id;
        match store.conversation(id) {
            Err(error) if id == damaged && error.kind() == ErrorKind::Corrupt => {}
            is => {
                let is = done("a conversation beside a damaged one", is)?;
                same("a conversation beside a damaged one", &is.as_ref(), &Some(&known.conversation))?;
            }
        }
    }
    same("the last event", &done("stats", store.stats())?.last_seq, &oracle.last_seq)
}

/// Everything that can be asked.
pub(crate) fn state(store: &MessageStore, oracle: &Oracle) -> Checked {
    lists(store, oracle)?;
    removed(store, oracle)?;
    for known in &oracle.conversations {
        conversation(store, known)?;
        same("a tombstone", &done("a tombstone", store.removed(&known.conversation.id))?, &None)?;
    }
    absent(store, oracle)
}

/// What is remembered of the conversations that were removed.
fn removed(store: &MessageStore, oracle: &Oracle) -> Checked {
    let plain = |tombstone: Tombstone| (tombstone.id, tombstone.seq, tombstone.removed_at, tombstone.reason);
    let all: Vec<_> = done("the tombstones", store.tombstones())?.into_iter().map(plain).collect();
    same("the tombstones", &all, &oracle.removed)?;
    for tombstone in &oracle.removed {
        let is = done("a tombstone", store.removed(&tombstone.0))?.map(plain);
        same("a tombstone", &is.as_ref(), &Some(tombstone))?;
    }
    Ok(())
}

/// The counts and the lists, in every order and length.
pub(crate) fn lists(store: &MessageStore, oracle: &Oracle) -> Checked {
    let stats = done("stats", store.stats())?;
    let total = |of: fn(&Known) -> usize| count(oracle.conversations.iter().map(of).sum());
    let ought = (
        count(oracle.conversations.len()),
        total(|known| known.conversation.messages.len()),
        total(|known| known.conversation.actions.len()),
        oracle.last_seq,
        0,
    );
    let is = (stats.conversations, stats.messages, stats.actions, stats.last_seq, stats.damaged);
    same("conversations, messages, actions, last event and damage", &is, &ought)?;
    for order in [Order::Created, Order::Activity] {
        let ought = oracle.list(order);
        same("the list", &done("a list", store.conversations(order))?, &ought)?;
        for length in [0, 1, ought.len(), ought.len() + 1] {
            let first = done("a short list", store.first_conversations(order, length))?;
            same("a short list", &first, &ought[..length.min(ought.len())].to_vec())?;
        }
    }
    Ok(())
}

fn conversation(store: &MessageStore, known: &Known) -> Checked {
    let ought = &known.conversation;
    let id = &ought.id;
    same("a summary", &done("a summary", store.summary(id))?, &Some(known.summary()))?;
    selections(store, id, &ought.messages)?;
    same("the actions", &done("the actions", store.actions(id))?, &ought.actions)?;
    same("a conversation", &done("a conversation", store.conversation(id))?, &Some(ought.clone()))
}

/// Pages, last ones, those of a role, and what stands beside a message.
fn selections(store: &MessageStore, id: &str, all: &[Message]) -> Checked {
    let ask = |selection: Messages, ought: &[Message]| {
        let what = format!("{selection:?} of {id:?}");
        same(&what, &done(&what, store.messages(id, selection))?, &ought.to_vec())
    };
    let lend = |selection: Messages, ought: &[Message]| {
        let (what, mut lent) = (format!("{selection:?} of {id:?}, lent"), Vec::new());
        let each = |message: MessageRef<'_>| lent.push(message.to_message());
        done(&what, store.for_each_message(id, selection, each))?;
        same(&what, &lent, &ought.to_vec())
    };
    let n = all.len();
    ask(Messages::all(), all)?;
    lend(Messages::all(), all)?;
    lend(Messages::last(3), &all[n.saturating_sub(3)..])?;
    for length in [0, 1, 3, n + 1] {
        ask(Messages::last(length), &all[n.saturating_sub(length)..])?;
        ask(Messages::first(length), &all[..length.min(n)])?;
    }
    for role in ["user", "assistant", "nobody"] {
        let of_role: Vec<Message> = all.iter().filter(|message| message.role == role).cloned().collect();
        ask(Messages::all().role(role), &of_role)?;
        ask(Messages::last(2).role(role), &of_role[of_role.len().saturating_sub(2)..])?;
        lend(Messages::last(2).role(role), &of_role[of_role.len().saturating_sub(2)..])?;
        ask(Messages::first(2).role(role), &of_role[..of_role.len().min(2)])?;
    }
    // Beside the first, the last and one in the middle; an id that occurs twice means its last message.
    for at in [0, n / 2, n.saturating_sub(1)] {
        let Some(target) = all.get(at) else { continue };
        let at = all.iter().rposition(|message| message.id == target.id).unwrap_or(at);
        let (before, after) = (&all[..at], &all[at + 1..]);
        same("a message", &done("a message", store.message(id, &target.id))?, &Some(all[at].clone()))?;
        lend(Messages::all().after(&target.id), after)?;
        ask(Messages::all().before(&target.id), before)?;
        ask(Messages::last(2).before(&target.id), &before[before.len().saturating_sub(2)..])?;
        ask(Messages::all().after(&target.id), after)?;
        ask(Messages::first(2).after(&target.id), &after[..after.len().min(2)])?;
    }
    // A place means the same wherever ids occur twice, and one behind the end is the end.
    for at in [0, n / 2, n, n + 1] {
        let (place, at) = (count(at), at.min(n));
        ask(Messages::all().before_place(place), &all[..at])?;
        ask(Messages::last(2).before_place(place), &all[at.saturating_sub(2)..at])?;
        ask(Messages::first(2).from_place(place), &all[at..n.min(at + 2)])?;
    }
    same("an absent message", &done("an absent message", store.message(id, "there is no such"))?, &None)?;
    let nowhere = Messages::all().before("there is no such message");
    let lent = store.for_each_message(id, nowhere.clone(), |_| {});
    refused("a page before nothing, lent", lent, ErrorKind::NotFound)?;
    refused("a page before nothing", store.messages(id, nowhere), ErrorKind::NotFound)
}

/// Conversations that do not exist.
fn absent(store: &MessageStore, oracle: &Oracle) -> Checked {
    for id in super::ops::CONVERSATIONS.iter().chain(&["nobody", ""]) {
        if oracle.find(id).is_some() {
            continue;
        }
        same("an absent conversation", &done("an absent conversation", store.conversation(id))?, &None)?;
        same("an absent summary", &done("an absent summary", store.summary(id))?, &None)?;
        same("an absent message", &done("an absent message", store.message(id, "m1"))?, &None)?;
        let tombstone = done("no tombstone", store.removed(id))?;
        let is_known = oracle.removed.iter().any(|(removed, ..)| removed == id);
        same("whether there is a tombstone", &tombstone.is_some(), &is_known)?;
        refused("absent messages", store.messages(id, Messages::all()), ErrorKind::NotFound)?;
        let lent = store.for_each_message(id, Messages::all(), |_| {});
        refused("absent messages, lent", lent, ErrorKind::NotFound)?;
        refused("absent actions", store.actions(id), ErrorKind::NotFound)?;
    }
    Ok(())
}

/// Uses every key again, which must change nothing.
pub(crate) fn keys(store: &MessageStore, oracle: &Oracle) -> Checked {
    for UsedKey { mutation, expected, .. } in &oracle.keys {
        let again = store.append(mutation.clone()).map(|receipt| vec![receipt]);
        answer(&again, &Ok(vec![expected.clone()])).map_err(|wrong| format!("a key again: {wrong}"))?;
    }
    let stats = done("stats", store.stats())?;
    same("the last event", &stats.last_seq, &oracle.last_seq)
}

/// A closed store refuses everything in the same way.
pub(crate) fn closed(store: &MessageStore) -> Checked {
    let kind = ErrorKind::Closed;
    refused("an append", store.add_message("c1", "x"), kind)?;
    refused("a conversation", store.conversation("c1"), kind)?;
    refused("a summary", store.summary("c1"), kind)?;
    refused("messages", store.messages("c1", Messages::all()), kind)?;
    refused("messages, lent", store.for_each_message("c1", Messages::all(), |_| {}), kind)?;
    refused("a message", store.message("c1", "m1"), kind)?;
    refused("actions", store.actions("c1"), kind)?;
    refused("a list", store.conversations(Order::Created), kind)?;
    refused("a tombstone", store.removed("c1"), kind)?;
    refused("the tombstones", store.tombstones(), kind)?;
    refused("stats", store.stats(), kind)?;
    refused("a sync", store.sync(), kind)
}
