//! A reply that is written piece by piece is one message, on every engine.

use aral_store::{
    Edit, ErrorKind, JsonObject, MessageStore, Messages, Mutation, NewMessage, Operation, Text,
};

use crate::support::driver::{self, Home};
use crate::support::ops::{Op, Step};
use crate::support::sources::Sources;
use crate::support::{buckets, databases};

use super::{SETTINGS, append, change, everywhere, fresh, message};

fn begun(id: &str) -> Mutation {
    let metadata = JsonObject::parse(r#"{"model":"x","partial":true}"#).unwrap();
    Mutation::add_message("c1", NewMessage::new("").id(id).role("assistant").metadata(metadata))
}

fn piece(id: &str, offset: Option<u64>, text: &str) -> Operation {
    Operation::AppendText { message_id: id.into(), offset, text: text.into() }
}

fn finish(id: &str, length: Option<u64>, metadata: &str) -> Operation {
    let metadata = JsonObject::parse(metadata).unwrap();
    Operation::FinishMessage { message_id: id.into(), length, metadata }
}

fn edit(id: &str, edit: Edit) -> Operation {
    Operation::EditMessage { message_id: id.into(), edit }
}

#[test]
fn a_reply_grows_piece_by_piece_and_is_one_message_at_the_end() {
    everywhere(&[
        append(message("c1", "m1", "a question")),
        append(begun("m2")),
        change("c1", piece("m2", Some(0), "Hel")),
        change("c1", piece("m2", Some(3), "lo")),
        // Another one beside it, and something behind it.
        append(begun("m3")),
        change("c1", piece("m3", None, "second")),
        change("c1", piece("m2", None, ", wörld\0🦀")),
        append(message("c1", "m4", "not waiting")),
        change("c1", Operation::RemoveMessage("m1".into())),
        change("c1", piece("m2", None, "!")),
        change("c1", finish("m2", Some(18), r#"{"stop":"end","model":"y"}"#)),
        change("c1", finish("m3", None, "{}")),
    ]);
}

#[test]
fn what_does_not_go_on_where_a_reply_ended_is_refused() {
    everywhere(&[
        append(message("c1", "m1", "whole")),
        change("c1", piece("m1", None, "is no reply")),
        change("c1", piece("m2", None, "is not there")),
        change("c2", piece("m2", None, "nor is its conversation")),
        change("c1", finish("m1", None, "{}")),
        append(begun("m2")),
        change("c1", piece("m2", Some(1), "too far")),
        change("c1", piece("m2", Some(0), "one")),
        change("c1", piece("m2", Some(0), "twice")),
        change("c1", piece("m2", None, "")),
        change("c1", finish("m2", Some(0), "{}")),
        change("c1", finish("m2", None, r#"{"partial":false}"#)),
        // Of several with one id the last is meant.
        append(begun("m9")),
        change("c1", piece("m9", None, "first")),
        append(message("c1", "m9", "no reply")),
        change("c1", piece("m9", None, "refused")),
        append(begun("m9")),
        change("c1", piece("m9", Some(0), "third")),
        change("c1", Operation::RemoveMessage("m9".into())),
        change("c1", Operation::RemoveMessage("m9".into())),
        change("c1", piece("m9", Some(5), " goes on")),
        // Somebody else edits it, takes its mark, and takes it away.
        change("c1", edit("m2", Edit::content("another"))),
        change("c1", piece("m2", Some(3), "one goes on")),
        change("c1", piece("m2", Some(7), " goes on")),
        change("c1", finish("m2", None, "{}")),
        change("c1", finish("m2", None, "{}")),
        change("c1", piece("m2", None, "after the end")),
        append(begun("m3")),
        change("c1", edit("m3", Edit::default().metadata(JsonObject::EMPTY))),
        change("c1", piece("m3", None, "after its mark went")),
        append(begun("m4")),
        change("c1", piece("m4", None, "gone")),
        change("c1", Operation::RemoveMessage("m4".into())),
        change("c1", piece("m4", None, "in a moment")),
        append(begun("m5")),
        change("c1", piece("m5", None, "gone")),
        change("c1", Operation::Clear),
        change("c1", piece("m5", None, "with all others")),
        append(begun("m5")),
        change("c1", piece("m5", Some(0), "begun again")),
        change("c1", Operation::RemoveConversation),
        change("c1", piece("m5", None, "and gone for good")),
    ]);
}

#[test]
fn a_batch_may_write_a_reply_from_its_beginning_to_its_end() {
    let step = |operation| Step::of(Mutation::new("c1", operation));
    everywhere(&[
        Op::Batch(vec![
            Step::of(begun("m1")),
            step(piece("m1", Some(0), "one")),
            step(piece("m1", Some(3), " two\0")),
            Step::of(begun("m2")),
            step(edit("m1", Edit::default().role("critic"))),
            step(piece("m1", None, " three")),
            step(finish("m1", Some(14), "{}")),
        ]),
        Op::Batch(vec![
            step(piece("m2", None, "four")),
            step(piece("m2", Some(4), " five")),
            step(piece("m2", None, " six")),
        ]),
        // All of it or nothing.
        Op::Batch(vec![step(piece("m2", Some(13), "seven")), step(piece("m2", Some(13), "eight"))]),
        Op::Batch(vec![step(Operation::RemoveMessage("m2".into())), step(piece("m2", None, "nine"))]),
        Op::Batch(vec![
            step(piece("m2", None, "seven")),
            step(Operation::RemoveMessage("m1".into())),
            step(piece("m2", None, "eight")),
            step(finish("m2", None, "{}")),
        ]),
    ]);
}

/// A store of each kind.
fn each(mut law: impl FnMut(&MessageStore)) {
    let dir = tempfile::tempdir().unwrap();
    let mut homes = vec![Home::Memory, Home::Sim(fresh()), Home::Real(dir.path().join("data"))];
    homes.extend(databases::of(dir.path()));
    homes.extend(buckets::of("replies"));
    for home in homes {
        law(&driver::open(&home, SETTINGS, &Sources::default()).unwrap());
    }
}

#[test]
fn the_handle_of_a_reply_writes_what_it_is_given_and_no_more() {
    each(|store| {
        let mut reply = store.begin_message("c1", NewMessage::new("So").id("m1")).unwrap();
        let half = |bytes: &[u8]| Text::from_wtf8(bytes.to_vec()).unwrap();
        // Two halves of a character, as a stream that is cut anywhere brings them.
        assert!(reply.append(half(&[b':', b' ', 0xed, 0xa0, 0xbd])).unwrap().is_some());
        assert!(reply.append("").unwrap().is_none());
        assert_eq!(
            (reply.written(), store.message("c1", "m1").unwrap().unwrap().content),
            (4, "So: ".into())
        );
        assert!(reply.append(half(&[0xed, 0xb8, 0x80])).unwrap().is_some());
        let bad = reply.append(half(&[0xed, 0xb8, 0x80])).unwrap_err();
        assert_eq!(bad.kind(), ErrorKind::InvalidInput);
        assert!(store.message("c1", "m1").unwrap().unwrap().is_partial());
        assert_eq!(
            store.begin_message("c1", NewMessage::new("").id("m1")).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        // Dropped, it stays; whoever goes on with it takes it over.
        drop(reply);
        let mut first = store.resume_message("c1", "m1").unwrap();
        let mut second = store.resume_message("c1", "m1").unwrap();
        second.append("!").unwrap();
        assert_eq!(first.append("?").unwrap_err().kind(), ErrorKind::Conflict);
        drop(first);
        let receipt = second.finish_with(JsonObject::parse(r#"{"tokens":7}"#).unwrap()).unwrap();
        let message = store.message("c1", &receipt.id).unwrap().unwrap();
        assert_eq!((message.content.as_str(), message.is_partial()), (Some("So: 😀!"), false));
        assert_eq!(message.metadata.as_json(), r#"{"tokens":7}"#);
        assert_eq!(store.resume_message("c1", "m1").unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(store.resume_message("c1", "m9").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(store.resume_message("c9", "m1").unwrap_err().kind(), ErrorKind::NotFound);
        let abandoned = store.begin_message("c1", NewMessage::new("never mind").id("m2")).unwrap();
        abandoned.abandon().unwrap();
        assert_eq!(store.messages("c1", Messages::all()).unwrap().len(), 1);
    });
}

/// A reply that a crash left was found by nobody who did not know where it was.
#[test]
fn replies_that_nobody_has_finished_are_named_on_every_engine() {
    each(|store| {
        let named = |conversation: Option<&str>| -> Vec<(String, Text, u64)> {
            let open = match conversation {
                Some(id) => store.open_replies_in(id),
                None => store.open_replies(),
            };
            let open = open.unwrap().into_iter();
            open.map(|open| (open.conversation_id, open.message_id, open.bytes)).collect()
        };
        assert_eq!((named(None), named(Some("c9"))), (vec![], vec![]));
        // What only looks like the mark is none.
        let quoted = JsonObject::parse(r#"{"a":{"partial":true},"b":"\"partial\":true"}"#).unwrap();
        store.add_message("c1", NewMessage::new("whole").id("m0").metadata(quoted)).unwrap();
        let message = |id: &str| NewMessage::new("").id(id).role("assistant");
        let mut first = store.begin_message("c1", message("m1")).unwrap();
        let second = store.begin_message("c1", message("m2")).unwrap();
        let third = store.begin_message("c2", message("m3")).unwrap();
        drop(store.begin_message("c3", message("m4")).unwrap());
        first.append("wörld").unwrap();
        drop(first);
        let first = || ("c1".to_owned(), Text::from("m1"), 6);
        let open = |conversation: &str, id: &str| (conversation.to_owned(), Text::from(id), 0);
        let all = vec![first(), open("c1", "m2"), open("c2", "m3"), open("c3", "m4")];
        assert_eq!(named(None), all);
        assert_eq!(named(Some("c1")), all[..2]);
        // A compaction puts them into files, where there are any.
        drop(store.compact());
        assert_eq!(named(None), all);
        second.finish().unwrap();
        third.abandon().unwrap();
        store.remove_conversation("c3").unwrap();
        assert_eq!(named(None), [first()]);
        let begun = store.message("c1", "m1").unwrap().unwrap().created_at;
        assert_eq!(store.open_replies().unwrap()[0].begun_at, begun);
        store.resume_message("c1", "m1").unwrap().finish().unwrap();
        assert_eq!((named(None), named(Some("c1"))), (vec![], vec![]));
    });
}
