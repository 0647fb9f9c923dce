//! What becomes of a reply that is written piece by piece, wherever else it is looked at, gone on with, copied or erased.
//!
//! What a piece is and what it may not be is in `contract/replies.rs`.

use std::path::Path;
use std::time::Duration;

use aral_store::{
    Change, Edit, Erasure, ErrorKind, ExportLine, Fork, JsonObject, Keep, Logged, MessageStore, Messages,
    Mutation, NewMessage, Operation, Order, Search, SyncPolicy,
};

use crate::support::databases;
use crate::support::driver::{self, DIR, Home};
use crate::support::ops::Settings;
use crate::support::simfs::{self, SimFs};
use crate::support::sources::Sources;

const SETTINGS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

fn fresh() -> SimFs {
    driver::fresh(simfs::Settings::default())
}

fn open(home: &Home) -> MessageStore {
    driver::open(home, SETTINGS, &Sources::default()).unwrap()
}

/// A home on every engine that keeps events.
fn homes(dir: &Path) -> Vec<Home> {
    [Home::Sim(fresh())].into_iter().chain(databases::of(dir)).collect()
}

fn said(store: &MessageStore, id: &str) -> (String, bool) {
    let message = store.message("c1", id).unwrap().unwrap();
    (message.content.to_string_lossy().into_owned(), message.is_partial())
}

fn begun(id: &str) -> NewMessage {
    NewMessage::new("").role("assistant").id(id)
}

/// Two pieces, and two more behind a finish that is still to come.
fn half_written(store: &MessageStore) -> aral_store::Reply {
    store.add_message("c1", NewMessage::new("a question").id("m1")).unwrap();
    let mut reply = store.begin_message("c1", begun("m2")).unwrap();
    reply.append("One").unwrap();
    reply.append(" two").unwrap();
    reply
}

#[test]
fn whoever_follows_sees_the_beginning_each_piece_and_the_end() {
    let dir = tempfile::tempdir().unwrap();
    for home in homes(dir.path()) {
        let store = open(&home);
        half_written(&store).finish().unwrap();
        let mut follower = store.follow(1).unwrap();
        let mut seen = Vec::new();
        while let Some(logged) = follower.next_logged().unwrap() {
            let Logged::Batch { events, .. } = logged else { panic!("nothing was compacted") };
            #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is done")]
            seen.extend(events.into_iter().map(|event| match event.change {
                Change::AddMessage(message) => format!("begin {} {}", message.id, message.is_partial()),
                Change::AppendText { message_id, offset, text } => format!("{message_id} {offset} {text}"),
                Change::EditMessage(message) => format!("end {} {}", message.content, message.is_partial()),
                other => panic!("{other:?}"),
            }));
        }
        assert_eq!(seen, ["begin m1 false", "begin m2 true", "m2 0 One", "m2 3  two", "end One two false"]);
    }
}

#[test]
fn what_a_reply_was_is_looked_back_at_and_gone_back_to_piece_by_piece() {
    let dir = tempfile::tempdir().unwrap();
    for home in homes(dir.path()) {
        let store = open(&home);
        if matches!(home, Home::Sim(_)) {
            store.keep_history(Keep::Everything).unwrap();
        }
        let mut reply = half_written(&store);
        if matches!(home, Home::Sim(_)) {
            drop(store.compact().unwrap());
        }
        reply.append(" three").unwrap();
        reply.finish().unwrap();
        let then = |seq: u64| {
            let messages = store.at(seq).messages("c1", Messages::last(1)).unwrap();
            (messages[0].content.to_string_lossy().into_owned(), messages[0].is_partial())
        };
        let states: Vec<_> = (2..=6).map(then).collect();
        let ought =
            [("", true), ("One", true), ("One two", true), ("One two three", true), ("One two three", false)];
        assert_eq!(states, ought.map(|(text, is_partial)| (text.to_owned(), is_partial)));
        store.undo("c1", 2).unwrap();
        assert_eq!(said(&store, "m2"), ("One two".to_owned(), true));
        // It is open again, and goes on from there.
        let mut again = store.resume_message("c1", "m2").unwrap();
        again.append(" four").unwrap();
        again.finish().unwrap();
        assert_eq!(said(&store, "m2"), ("One two four".to_owned(), false));
        store.revert("c1", 1).unwrap();
        assert_eq!(store.summary("c1").unwrap().unwrap().messages, 1);
    }
}

#[test]
fn a_reply_goes_on_behind_copies_forks_exports_and_compactions() {
    let dir = tempfile::tempdir().unwrap();
    let all = || {
        let mut homes = homes(dir.path());
        homes.push(Home::Memory);
        homes.push(Home::Real(dir.path().join("data")));
        homes
    };
    let (from, onto) = (all(), homes(&dir.path().join("copies")));
    for (n, home) in from.iter().enumerate() {
        let store = open(home);
        let mut reply = half_written(&store);
        if let Home::Real(_) | Home::Sim(_) = home {
            drop(store.compact().unwrap());
            reply.append(", three").unwrap();
            drop(store.compact().unwrap());
            assert_eq!(said(&store, "m2"), ("One two, three".to_owned(), true));
        } else {
            reply.append(", three").unwrap();
        }
        // A fork has what had come, and is a reply of its own.
        drop(store.fork("c1", Fork::new().id("c2")).unwrap());
        let mut forked = store.resume_message("c2", "m2").unwrap();
        forked.append(", and so on").unwrap();
        forked.finish().unwrap();
        assert_eq!(said(&store, "m2").0, "One two, three");
        // So has a copy, which a second one brings further.
        // Two databases of this suite have the same identity, and one of them is no copy of the other.
        if !matches!(home, Home::Memory) && n != 1 {
            let other = open(&onto[(n + 1) % onto.len()]);
            if other.stats().unwrap().last_seq == 0 {
                store.copy_to(&other, |_| {}).unwrap();
                assert_eq!(said(&other, "m2"), ("One two, three".to_owned(), true));
                reply.append(", four").unwrap();
                store.copy_to(&other, |_| {}).unwrap();
                assert_eq!(said(&other, "m2"), ("One two, three, four".to_owned(), true));
            }
        }
        // Lines of an export are one message with its mark, and make a reply that goes on.
        let whole = store.message("c1", "m2").unwrap().unwrap();
        let line = whole.to_json_line(Some("c1"));
        let Ok(ExportLine::Message { message, .. }) = ExportLine::from_json_line(line.as_bytes()) else {
            panic!("{line}");
        };
        let again = MessageStore::in_memory();
        let new =
            NewMessage::new(message.content).id(message.id).role(message.role).metadata(message.metadata);
        again.add_message("c1", new).unwrap();
        let mut resumed = again.resume_message("c1", "m2").unwrap();
        resumed.append("!").unwrap();
        resumed.finish().unwrap();
        assert_eq!(said(&again, "m2"), (format!("{}!", whole.content), false));
        reply.finish().unwrap();
    }
}

#[test]
fn readers_and_searches_find_what_has_come() {
    let dir = tempfile::tempdir().unwrap();
    for home in homes(dir.path()) {
        let store = open(&home);
        let mut reply = half_written(&store);
        let find = |word: &str| store.search(Search::new(word)).unwrap().len();
        assert_eq!((find("two"), find("umbrella")), (1, 0));
        reply.append(" umbrella").unwrap();
        assert_eq!(find("umbrella"), 1);
        if let Home::Sim(sim) = &home {
            let viewer =
                MessageStore::options().vfs(std::sync::Arc::new(sim.clone())).read_only().open(DIR).unwrap();
            assert_eq!(said(&viewer, "m2"), ("One two umbrella".to_owned(), true));
            reply.append("s").unwrap();
            viewer.refresh().unwrap();
            assert_eq!(said(&viewer, "m2"), ("One two umbrellas".to_owned(), true));
        }
    }
}

#[test]
fn what_is_gathered_is_one_event_and_the_rest_is_written_at_the_end() {
    let store = open(&Home::Sim(fresh()));
    let reply = store.begin_message("c1", begun("m1")).unwrap();
    let mut reply = reply.gather(10, Duration::from_secs(3600));
    for piece in ["four", "more", "then"] {
        reply.append(piece).unwrap();
    }
    reply.append("rest").unwrap();
    assert_eq!((store.stats().unwrap().last_seq, said(&store, "m1").0.as_str()), (2, "fourmorethen"));
    drop(reply);
    assert_eq!(
        (store.stats().unwrap().last_seq, said(&store, "m1")),
        (3, ("fourmorethenrest".to_owned(), true))
    );
}

#[test]
fn two_replies_are_written_into_one_conversation_at_once() {
    let dir = tempfile::tempdir().unwrap();
    for home in homes(dir.path()) {
        let store = open(&home);
        std::thread::scope(|scope| {
            for id in ["m1", "m2", "m3"] {
                let store = &store;
                scope.spawn(move || {
                    let mut reply = store.begin_message("c1", begun(id)).unwrap();
                    for n in 0..20 {
                        reply.append(format!("{n} ")).unwrap();
                    }
                    reply.finish().unwrap();
                });
            }
        });
        let pieces: Vec<String> = (0..20).map(|n| format!("{n} ")).collect();
        let ought = pieces.concat();
        for id in ["m1", "m2", "m3"] {
            assert_eq!(said(&store, id), (ought.clone(), false));
        }
    }
}

#[test]
fn a_reply_that_was_erased_is_in_no_file() {
    let sim = fresh();
    let store = open(&Home::Sim(sim.clone()));
    store.keep_history(Keep::Everything).unwrap();
    let mut reply = half_written(&store);
    reply.append(" SECRET-7f3a and").unwrap();
    drop(store.compact().unwrap());
    reply.append(" SECRET-7f3b").unwrap();
    let report = store.erase(&Erasure::message("c1", "m2")).unwrap();
    assert_eq!(report.messages, 1);
    let kept = sim.snapshot();
    for (path, _) in kept.files() {
        let bytes = kept.read(&path).unwrap();
        assert!(!bytes.windows(10).any(|window| window.starts_with(b"SECRET-7f3")), "{}", path.display());
    }
    assert_eq!(reply.append(" more").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.messages("c1", Messages::all()).unwrap().len(), 1);
    assert!(store.verify().unwrap().is_sound());
}

/// Events of a reply whose beginning is lost are put together as far as they go, and told.
#[test]
fn a_repair_keeps_the_pieces_whose_beginning_is_lost() {
    let sim = fresh();
    let store = open(&Home::Sim(sim.clone()));
    store.add_message("c1", NewMessage::new("first").id("m1")).unwrap();
    let mut reply = store.begin_message("c1", begun("m2")).unwrap();
    reply.append("One").unwrap();
    for n in 2..=4 {
        reply.append(format!(" {n}")).unwrap();
    }
    drop(store);
    drop(reply);
    let damaged = sim.kill();
    let (path, _) =
        damaged.files().into_iter().find(|(path, _)| path.extension().is_some_and(|e| e == "seg")).unwrap();
    let bytes = damaged.read(&path).unwrap();
    // The frame that begins the reply.
    let at = bytes.windows(14).position(|window| window == b"{\"partial\":tru").unwrap();
    damaged.flip_bit(&path, u64::try_from(at).unwrap(), 0);
    let vfs: std::sync::Arc<dyn aral_store::vfs::Vfs> = std::sync::Arc::new(damaged.clone());
    let report = MessageStore::options().vfs(vfs.clone()).repair(DIR, "/home/mended").unwrap();
    assert!(!report.lost.is_empty());
    let store = MessageStore::options().vfs(vfs).open("/home/mended").unwrap();
    assert_eq!(said(&store, "m2"), ("One 2 3 4".to_owned(), true));
    assert_eq!(store.conversations(Order::Created).unwrap().len(), 1);
}

#[test]
fn an_edit_of_a_reply_leaves_it_open_unless_it_takes_the_mark() {
    let store = open(&Home::Sim(fresh()));
    let mut reply = half_written(&store);
    store.edit_message("c1", "m2", Edit::default().role("critic")).unwrap();
    reply.append(" three").unwrap();
    assert_eq!(said(&store, "m2"), ("One two three".to_owned(), true));
    let unmarked =
        Operation::EditMessage { message_id: "m2".into(), edit: Edit::default().metadata(JsonObject::EMPTY) };
    store.append(Mutation::new("c1", unmarked)).unwrap();
    assert_eq!(reply.append(" four").unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(reply.finish().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(said(&store, "m2"), ("One two three".to_owned(), false));
}
