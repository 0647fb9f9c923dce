//! What somebody does to the files that a compaction stages.

use std::path::PathBuf;

use aral_store::ErrorKind;

use crate::regressions::{add, added, compacted, files_with, inside, on, on_shared, open, texts};
use crate::support::driver::DIR;
use crate::support::faultfs::Call;
use crate::support::hooks::Hooked;

#[test]
fn a_staged_file_that_changes_before_it_is_moved_replaces_nothing() {
    let sim = compacted(2);
    let place = inside("conversations/c1.json");
    let old = sim.read(&place).unwrap();
    let hooked = Hooked::over(sim.clone());
    let store = open(on_shared(&hooked));
    add(&store, "c1", 2..4);
    let medium = sim.clone();
    hooked.before(Call::Metadata, "conversations/.staged-", move || {
        let staged = files_with(&medium, "conversations/.staged-").remove(0);
        let longer = [medium.read(&staged).unwrap(), b" ".to_vec()].concat();
        medium.put(&staged, &longer);
    });
    let error = store.compact().unwrap_err();
    assert!(hooked.has_begun());
    let staged = PathBuf::from(files_with(&sim, ".staged-").remove(0));
    assert_eq!((error.kind(), &error.place().unwrap().path), (ErrorKind::Corrupt, &staged), "{error}");
    assert_eq!(sim.read(&place), Some(old), "the older file stays");
    drop(store);
    // No opening goes on with it, and the log, which has it all, is kept for a repair.
    for _ in 0..2 {
        let error = on(sim.clone()).open(DIR).unwrap_err();
        assert_eq!((error.kind(), &error.place().unwrap().path), (ErrorKind::Corrupt, &staged), "{error}");
    }
    on(sim.clone()).repair(DIR, "/home/new").unwrap();
    assert_eq!(texts(&on(sim).open("/home/new").unwrap(), "c1"), added(0..4));
}

#[test]
fn a_staged_file_that_comes_back_is_removed_in_the_end() {
    let sim = compacted(2);
    let place = inside("conversations/c1.json");
    let epoch =
        files_with(&sim, "CHECKPOINT-").remove(0).split_off(inside("log/CHECKPOINT-").as_os_str().len());
    let staged = inside(&format!("conversations/.staged-{epoch}-0"));
    sim.put(&staged, &sim.read(&place).unwrap());
    for options in [on(sim.clone()).read_only(), on(sim.clone())] {
        let store = open(options);
        assert!(store.recovery().damaged.is_empty(), "{:?}", store.recovery());
        assert_eq!(texts(&store, "c1"), added(0..2));
        store.close().unwrap();
    }
    let store = open(on(sim.clone()));
    add(&store, "c1", 2..3);
    store.compact().unwrap();
    store.close().unwrap();
    let store = open(on(sim.clone()));
    assert_eq!(texts(&store, "c1"), added(0..3));
    // The report is about all files, so they are looked at by now.
    assert_eq!(store.recovery().removed.len(), 1);
    assert_eq!(files_with(&sim, ".staged-"), [""; 0]);
}
