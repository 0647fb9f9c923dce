//! A fork is a conversation with the past of another one, on every engine.

use aral_store::{
    ActionEdit, Edit, ErrorKind, Fork, ForkPoint, JsonObject, MAX_BATCH_EVENTS, MessageStore, Messages,
    Mutation, NewAction, NewConversation, NewMessage, Operation, UniqueIds,
};

use crate::support::ops::Op;

use super::{append, change, everywhere, message};

fn fork(from: &str, to: &str, point: ForkPoint) -> Op {
    Op::Fork { from: from.to_owned(), to: Some(to.to_owned()), point }
}

fn through(id: &str) -> ForkPoint {
    ForkPoint::Through(id.into())
}

fn before(id: &str) -> ForkPoint {
    ForkPoint::Before(id.into())
}

#[test]
fn a_fork_has_the_past_of_its_parent_and_a_future_of_its_own() {
    let time = |text: &str| text.parse().ok();
    let (data, unnamed) = (r#"{"nan":NaN,"half":"\ud83d"}"#, r#"{"x-flag":[true]}"#);
    let (data, unnamed) = (JsonObject::parse(data).unwrap(), JsonObject::parse(unnamed).unwrap());
    let mut naive = NewMessage::new("naive").id("m2").metadata(data.clone());
    naive.created_at = time("2025-03-13T15:11:33.5");
    let mut early = NewAction::new("call", data.clone()).id("a1");
    early.created_at = time("1999-12-31T23:59:59+05:30");
    let edit = |id: &str, edit| Operation::EditMessage { message_id: id.into(), edit };
    let edit_action =
        Operation::EditAction { action_id: "a2".into(), edit: ActionEdit::default().extra(unnamed.clone()) };
    everywhere(&[
        append(Mutation::create_conversation("c1", NewConversation::new().title("T").metadata(data))),
        append(message("c1", "m1", "one")),
        append(Mutation::add_action("c1", early)),
        append(Mutation::add_message("c1", naive)),
        append(Mutation::add_action("c1", NewAction::new("call", JsonObject::EMPTY).id("a2"))),
        append(message("c1", "m3", "three")),
        change("c1", edit("m1", Edit::content("edited before").extra(unnamed.clone()))),
        change("c1", edit_action),
        change("c1", Operation::SetExtra(unnamed)),
        fork("c1", "whole", ForkPoint::Now),
        fork("c1", "regenerated", through("m2")),
        fork("c1", "asked anew", before("m1")),
        Op::Fork { from: "c1".into(), to: None, point: before("m3") },
        // What becomes of one is not seen in the other.
        change("c1", edit("m2", Edit::content("edited behind"))),
        append(message("regenerated", "m3", "another three")),
        change("c1", Operation::RemoveMessage("m1".into())),
        fork("whole", "of a fork", through("m1")),
        change("whole", Operation::Clear),
        change("c1", Operation::RemoveConversation),
        fork("regenerated", "without its parent", ForkPoint::Now),
        append(message("c1", "m1", "another life")),
    ]);
}

#[test]
fn a_fork_of_what_is_not_there_or_to_what_is_there_changes_nothing() {
    everywhere(&[
        fork("c1", "c2", ForkPoint::Now),
        append(message("c1", "m1", "one")),
        append(message("c2", "m1", "there already")),
        fork("c1", "c2", ForkPoint::Now),
        fork("c1", "c1", ForkPoint::Now),
        fork("c1", "c3", through("m9")),
        fork("c1", "", ForkPoint::Now),
        fork("c1", &"l".repeat(1025), ForkPoint::Now),
        change("c1", Operation::RemoveConversation),
        fork("c1", "c3", ForkPoint::Now),
        fork("c2", "c1", ForkPoint::Now),
    ]);
}

#[test]
fn an_id_that_occurs_twice_is_forked_as_it_is_and_means_the_last_one() {
    everywhere(&[
        append(message("c1", "m", "first")),
        append(message("c1", "x", "between")),
        append(message("c1", "m", "second")),
        append(message("c1", "y", "last")),
        fork("c1", "c2", through("m")),
        fork("c1", "c3", before("m")),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    for _ in 0..2 {
        drop(store.add_message("c1", NewMessage::new("twice").id("m")).unwrap());
    }
    store.close().unwrap();
    let strict = MessageStore::options().unique_ids(UniqueIds::Refuse).open(dir.path()).unwrap();
    drop(strict.fork("c1", Fork::new().id("c2")).unwrap());
    assert_eq!(strict.messages("c2", Messages::all()).unwrap().len(), 2);
}

#[test]
fn a_fork_of_more_than_a_batch_takes_is_refused_in_words_and_changes_nothing() {
    let store = MessageStore::in_memory();
    drop(store.batch(vec![Mutation::add_message("c1", ""); MAX_BATCH_EVENTS]).unwrap());
    let error = store.fork("c1", Fork::new().id("c2")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("it takes 100001 changes"), "{error}");
    assert_eq!(store.summary("c2").unwrap(), None);
}
