//! Conversations' files that are kept open: what that saves, and that nobody is told anything else because of it.

#![expect(clippy::disallowed_methods, reason = "somebody else works on the real file system")]

use std::fs;

use aral_store::{ErrorKind, MessageStore, Messages};

use crate::regressions::{add, added, fresh, on, open, texts};
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::simfs::errno::{EIO, EMFILE};

/// The names of `count` conversations of one message each.
fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("c{n}")).collect()
}

#[test]
fn a_file_is_opened_once_for_many_reads() {
    let faults = FaultFs::over_sim(&fresh(), Vec::new());
    let store = open(on(faults.clone()));
    add(&store, "c1", 0..3);
    store.compact().unwrap();
    let opened_in = |read: &dyn Fn()| {
        let before = faults.count(Call::Open);
        read();
        faults.count(Call::Open) - before
    };
    // Once to look for what somebody else may have made of it, and once to read from it.
    assert_eq!(opened_in(&|| assert_eq!(texts(&store, "c1"), added(0..3))), 2);
    let read_often = || {
        for _ in 0..5 {
            assert_eq!(texts(&store, "c1"), added(0..3));
            assert_eq!(store.message("c1", "id1").unwrap().unwrap().content, "m1");
            assert_eq!(store.messages("c1", Messages::last(1)).unwrap()[0].content, "m2");
        }
    };
    assert_eq!(opened_in(&read_often), 0);
    // What a compaction has replaced is let go of.
    add(&store, "c1", 3..4);
    store.compact().unwrap();
    assert_eq!(opened_in(&|| assert_eq!(texts(&store, "c1"), added(0..4))), 2);
    drop(store.remove_conversation("c1").unwrap());
    add(&store, "c1", 7..9);
    assert_eq!(texts(&store, "c1"), added(7..9));
    store.compact().unwrap();
    assert_eq!(texts(&store, "c1"), added(7..9));
}

#[test]
fn a_file_that_fails_is_opened_anew_by_the_next_read() {
    let faults = FaultFs::over_sim(&fresh(), Vec::new());
    let store = open(on(faults.clone()));
    add(&store, "c1", 0..3);
    store.compact().unwrap();
    assert_eq!(texts(&store, "c1"), added(0..3));
    faults.replan(vec![Rule::new(Call::Read, 1, Fault::Errno(EIO)).on("c1.json")]);
    assert_eq!(store.messages("c1", Messages::all()).unwrap_err().kind(), ErrorKind::Io);
    let before = faults.count(Call::Open);
    assert_eq!(texts(&store, "c1"), added(0..3));
    assert_eq!((faults.count(Call::Open), faults.fired()), (before + 1, vec![1]));
}

#[test]
fn files_are_given_up_when_the_process_has_too_many_open() {
    let faults = FaultFs::over_sim(&fresh(), Vec::new());
    let store = open(on(faults.clone()));
    // More than are kept where nobody says how many a process may open.
    let ids = ids(65);
    for id in &ids {
        add(&store, id, 0..1);
    }
    store.compact().unwrap();
    for id in &ids {
        assert_eq!(texts(&store, id), added(0..1));
    }
    let before = faults.count(Call::Open);
    assert_eq!(texts(&store, &ids[64]), added(0..1));
    assert_eq!(faults.count(Call::Open), before);
    // The first one is not kept any more. Others are let go of, so that it can be opened.
    faults.replan(vec![Rule::new(Call::Open, 1, Fault::Errno(EMFILE)).on("c0.json")]);
    assert_eq!(texts(&store, &ids[0]), added(0..1));
    assert_eq!((faults.count(Call::Open), faults.fired()), (before + 2, vec![1]));
    assert_eq!(texts(&store, &ids[64]), added(0..1));
    assert_eq!(faults.count(Call::Open), before + 3);
    // If there is nothing to let go of, the caller hears of it.
    store.compact().unwrap();
    drop(store.add_message(&ids[0], "more").unwrap());
    store.compact().unwrap();
    faults.replan(vec![Rule::new(Call::Open, 1, Fault::Errno(EMFILE)).on("c0.json").for_ever()]);
    assert_eq!(store.messages(&ids[0], Messages::all()).unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn what_others_do_to_an_open_file_is_an_error_or_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    add(&store, "c1", 0..3);
    store.compact().unwrap();
    assert_eq!(texts(&store, "c1"), added(0..3));
    let path = dir.path().join("conversations/c1.json");
    let whole = fs::read_to_string(&path).unwrap();
    // Written in its place: the file is the same one, and its bytes are others.
    for damage in [whole.replace("m1", "mX"), whole.chars().take(200).collect()] {
        fs::write(&path, damage).unwrap();
        let error = store.messages("c1", Messages::all()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(error.place().unwrap().path, fs::canonicalize(&path).unwrap());
        fs::write(&path, &whole).unwrap();
        assert_eq!(texts(&store, "c1"), added(0..3));
    }
    // Another one in its place: what is open is what the store wrote.
    let other = dir.path().join("other");
    fs::write(&other, whole.replace("m1", "mX")).unwrap();
    fs::rename(&other, &path).unwrap();
    assert_eq!(texts(&store, "c1"), added(0..3));
    // Whoever verifies looks at what is there.
    assert!(!store.verify().unwrap().is_sound());
}
