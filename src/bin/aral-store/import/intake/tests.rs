//! What is added, and what is not added again.

use aral_store::{Message, Messages};

use super::*;
use crate::exit::Exit;

fn piece(id: &str, messages: &[&str]) -> Piece {
    let time = Timestamp::EPOCH;
    let mut conversation = Conversation::new(id, time);
    conversation.messages = messages.iter().map(|text| Message::new(*text, *text, "user", time)).collect();
    Piece::of_conversation(conversation)
}

#[test]
fn an_import_that_is_run_again_adds_only_what_is_new() {
    let store = MessageStore::in_memory();
    for (messages, added, already_there) in
        [(&["a", "b"][..], 2, 0), (&["a", "b"], 0, 1), (&["a", "b", "c"], 1, 0), (&["a"], 0, 1)]
    {
        let mut intake = Intake::new(&store, Purpose::Add, Stop::default());
        intake.take(piece("c", messages)).unwrap();
        assert_eq!((intake.counts.messages, intake.counts.already_there), (added, already_there));
        assert_eq!(intake.counts.exit(), Exit::Done);
    }
    assert_eq!(store.messages("c", Messages::all()).unwrap().len(), 3);
}

#[test]
fn what_has_no_time_of_its_own_is_the_same_whenever_it_comes() {
    let store = MessageStore::in_memory();
    for (messages, added) in [(&["a"][..], 1), (&["a"], 0), (&["a", "b"], 1)] {
        let mut intake = Intake::new(&store, Purpose::Add, Stop::default());
        let now = intake.now;
        let mut piece = Piece { undated: Some(now), ..piece("c", messages) };
        piece.messages.iter_mut().for_each(|message| message.created_at = now);
        piece.head.as_mut().unwrap().created_at = now;
        intake.take(piece).unwrap();
        assert_eq!((intake.counts.messages, intake.counts.conflicts), (added, 0));
    }
}

#[test]
fn a_try_counts_what_would_be_added_and_adds_nothing() {
    let store = MessageStore::in_memory();
    let mut intake = Intake::new(&store, Purpose::Try, Stop::default());
    intake.take(piece("c", &["a", "b"])).unwrap();
    intake.take(piece("", &["a"])).unwrap();
    intake.take(piece("c", &["a", "b"])).unwrap();
    let counts = intake.counts;
    assert_eq!((counts.conversations, counts.messages, counts.refused, counts.conflicts), (1, 2, 1, 1));
    assert!(store.conversation("c").unwrap().is_none());
}

#[test]
fn what_was_removed_comes_back_only_if_it_is_asked_for() {
    let store = MessageStore::in_memory();
    for removed in [Removed::KeepOut, Removed::Revive] {
        drop(store.add_message("c", "secret").unwrap());
        drop(store.remove_conversation("c").unwrap());
        for purpose in [Purpose::Try, Purpose::Add] {
            let mut intake = Intake::new(&store, purpose, Stop::default()).with(removed);
            intake.take(piece("c", &["secret"])).unwrap();
            intake.take(Piece { head: None, ..piece("c", &["more of it"]) }).unwrap();
            intake.take(piece("other", &[])).unwrap();
            let (kept, exit) = match removed {
                Removed::KeepOut => (1, Exit::Conflict),
                Removed::Revive => (0, Exit::Done),
            };
            assert_eq!((intake.counts.removed, intake.counts.exit()), (kept, exit), "{purpose:?}");
        }
        assert_eq!(store.conversation("c").unwrap().is_some(), removed == Removed::Revive);
    }
}

#[test]
fn a_conversation_that_is_another_one_is_kept_out_and_the_others_go_in() {
    let store = MessageStore::in_memory();
    drop(store.add_message("mine", "mine").unwrap());
    let mut intake = Intake::new(&store, Purpose::Add, Stop::default());
    intake.take(piece("mine", &["theirs"])).unwrap();
    intake.take(piece("mine", &["more"])).unwrap();
    intake.take(piece("other", &["x"])).unwrap();
    assert_eq!((intake.counts.conflicts, intake.counts.conversations), (1, 1));
    assert_eq!(intake.counts.exit(), Exit::Conflict);
    assert_eq!(store.messages("mine", Messages::all()).unwrap().len(), 1);
}
