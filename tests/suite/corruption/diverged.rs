//! Segments of a copy that went its own way, and headers that say something else with checksums that are right.
//!
//! Such a segment has the store's own id, the name that is expected and frames that check, so only what its
//! neighbours know of it gives it away.

use std::path::Path;

use aral_store::{Edit, ErrorKind, MessageStore, Messages, Mutation, NewMessage, Operation};

use crate::regressions::{add, added, files_with, fresh, inside, on, open, texts};
use crate::support::driver::DIR;
use crate::support::simfs::SimFs;

/// Adds messages in a session of their own, which ends in order.
fn session(sim: &SimFs, numbers: std::ops::Range<usize>) {
    let store = open(on(sim.clone()));
    add(&store, "c1", numbers);
    store.close().unwrap();
}

/// The segment with this number.
fn segment(sim: &SimFs, number: u64) -> String {
    files_with(sim, &format!("log/{number:016x}-")).remove(0)
}

/// Both ways of opening refuse a store at this place, and leave the log as it is.
fn is_refused(sim: &SimFs, path: &str, offset: Option<u64>, reason: &str) {
    let log =
        |sim: &SimFs| files_with(sim, ".seg").into_iter().map(|name| sim.read(name)).collect::<Vec<_>>();
    let before = log(sim);
    for options in [on(sim.clone()).read_only(), on(sim.clone())] {
        let error = options.open(DIR).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.message().contains(reason), "{error}");
        let place = error.place().unwrap();
        assert_eq!(place.path, Path::new(path), "{error}");
        assert!(offset.is_none_or(|offset| place.offset == Some(offset)), "{error}");
    }
    assert_eq!(log(sim), before);
}

#[test]
fn a_segment_of_a_copy_that_went_its_own_way_is_not_the_one_that_was_sealed() {
    let sim = fresh();
    session(&sim, 0..1);
    let copy = sim.snapshot();
    session(&sim, 1..3);
    session(&sim, 3..4);
    // The same place, the same count, the same lengths.
    session(&copy, 6..8);
    let path = segment(&sim, 2);
    assert_eq!(path, segment(&copy, 2));
    let (own, others) = (sim.read(&path).unwrap(), copy.read(&path).unwrap());
    assert_eq!(own.len(), others.len());
    sim.edit(&path, |bytes| *bytes = others);
    is_refused(&sim, &path, None, "not the one that its successor sealed");
    sim.edit(&path, |bytes| *bytes = own);
    assert_eq!(texts(&open(on(sim)), "c1"), added(0..4));
}

#[test]
fn a_segment_that_was_sealed_sooner_is_not_the_one_that_was_sealed() {
    let sim = fresh();
    session(&sim, 0..1);
    let copy = sim.snapshot();
    session(&sim, 1..3);
    session(&sim, 3..4);
    session(&copy, 6..7);
    let path = segment(&sim, 2);
    let (own, mut others) = (sim.read(&path).unwrap(), copy.read(&path).unwrap());
    let sealed_at = u64::try_from(others.len()).unwrap();
    // The space that was reserved need not have been given back.
    others.resize(own.len(), 0);
    sim.edit(&path, |bytes| *bytes = others);
    is_refused(&sim, &path, Some(sealed_at), "records follow a seal");
}

#[test]
fn a_segment_that_names_another_before_it_is_refused() {
    let sim = fresh();
    session(&sim, 0..1);
    session(&sim, 1..2);
    let path = segment(&sim, 2);
    sim.edit(&path, |bytes| {
        bytes[80..88].copy_from_slice(&7_u64.to_le_bytes());
        let sum = crc32fast::hash(&bytes[..124]).to_le_bytes();
        bytes[124..128].copy_from_slice(&sum);
    });
    is_refused(&sim, &path, Some(80), "does not follow the one before it");
}

/// Two copies of one store that hold different files, and a log that fits only one of them.
#[test]
fn events_about_what_a_file_does_not_hold_are_an_error_for_its_conversation_alone() {
    let sim = fresh();
    session(&sim, 0..1);
    let copy = sim.snapshot();
    let diverge = |sim: &SimFs, id: &str| {
        let store = open(on(sim.clone()));
        drop(store.add_message("c1", NewMessage::new("only here").id(id)).unwrap());
        drop(store.add_message("c2", "in both").unwrap());
        store.compact().unwrap();
        let edit = Operation::EditMessage { message_id: id.into(), edit: Edit::content("edited") };
        drop(store.append(Mutation::new("c1", edit)).unwrap());
        store.close().unwrap();
    };
    diverge(&sim, "ours");
    diverge(&copy, "theirs");
    let path = files_with(&sim, ".seg").remove(0);
    let others = copy.read(&path).unwrap();
    sim.edit(&path, |bytes| *bytes = others);
    let store = open(on(sim.clone()));
    let file = inside("conversations/c1.json");
    let is_refused = |store: &MessageStore| {
        for error in [
            store.messages("c1", Messages::all()).unwrap_err(),
            store.conversation("c1").unwrap_err(),
            store.add_message("c1", "to what cannot be read").unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert_eq!(error.place().unwrap().path, file, "{error}");
        }
        assert_eq!(store.messages("c2", Messages::all()).unwrap()[0].content, "in both");
        assert_eq!(files_with(&sim, ".seg")[0], path, "the log is kept");
    };
    for _ in 0..2 {
        let report = store.compact().unwrap();
        let held: Vec<_> =
            report.held.iter().map(|held| (held.conversation_id.as_deref(), &held.path)).collect();
        assert_eq!(held, [(Some("c1"), &file)]);
        is_refused(&store);
    }
    store.close().unwrap();
    let store = open(on(sim.clone()));
    assert_eq!(store.compact().unwrap().held.len(), 1);
    is_refused(&store);
}
