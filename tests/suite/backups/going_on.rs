//! Backups one after the other, and a store that is written while they are made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aral_store::{ErrorKind, MessageStore, Moment};

use super::{ALWAYS, Scene, TO, batch, hold, judge, options, program, restored, run, say};
use crate::support::driver::DIR;
use crate::support::ops::Op;

#[test]
fn a_backup_is_the_store_as_it_was_and_every_state_that_it_keeps_comes_back() {
    let scene = Scene::new(ALWAYS);
    for (n, ops) in program().iter().enumerate() {
        scene.run(ops);
        let report = scene.backup();
        assert_eq!(report.last_seq, scene.last_seq(), "backup {n}");
        assert!(
            report.damaged.is_empty() && report.mended.is_empty() && report.set_aside.is_empty(),
            "{report:?}"
        );
        let history = scene.history();
        judge(&scene.backups, &history, report.last_seq, "the newest state");
        let mut seen = 0;
        for (first, last) in report.kept {
            for state in history.iter().filter(|state| first <= state.last_seq && state.last_seq <= last) {
                let (store, last_seq) = restored(&scene.backups, Moment::Seq(state.last_seq)).unwrap();
                assert_eq!(last_seq, state.last_seq);
                hold(&store, &history, last_seq, "an older state");
                seen += 1;
            }
        }
        assert!(seen > n, "{seen} states");
    }
}

#[test]
fn a_replica_that_looks_between_all_compactions_keeps_every_state() {
    let scene = Scene::new(ALWAYS);
    let mut replica = options(scene.mounts()).replica(DIR, TO).unwrap();
    for op in program().concat() {
        scene.run(&[op]);
        assert_eq!(replica.pass().unwrap().last_seq, scene.last_seq());
    }
    drop(replica);
    let report = scene.backup();
    assert_eq!(report.kept, vec![(0, scene.last_seq())]);
    let history = scene.history();
    for state in &history {
        let (store, last_seq) = restored(&scene.backups, Moment::Seq(state.last_seq)).unwrap();
        hold(&store, &history, last_seq, "each state");
    }
}

#[test]
fn only_what_is_new_is_copied() {
    let scene = Scene::new(ALWAYS);
    for n in 0..20 {
        scene.run(&[say(&format!("c{n}"), "text ".repeat(50))]);
    }
    scene.run(&[Op::Compact]);
    assert_eq!(scene.backup().files, 20);
    let operations = scene.backups.op_count();
    let report = scene.backup();
    assert_eq!((report.files, report.bytes), (0, 0));
    // The manifest, and the names of the directories.
    assert!(scene.backups.op_count() - operations < 20, "{}", scene.backups.op_count() - operations);
    scene.run(&[say("c3", "more"), Op::Compact]);
    assert_eq!(scene.backup().files, 1);
    let mut replica = options(scene.mounts()).replica(DIR, TO).unwrap();
    drop(replica.pass().unwrap());
    let operations = scene.backups.op_count();
    drop(replica.pass().unwrap());
    assert_eq!(scene.backups.op_count(), operations, "a look at a store that did not change writes nothing");
}

/// Something comes in between two calls of a backup, at every call.
fn in_between(what: &str, before: &[Op], meanwhile: &[Op]) {
    let mut calls = 0;
    for at in 0.. {
        let scene = Scene::new(ALWAYS);
        scene.run(before);
        let acknowledged = scene.last_seq();
        let (driver, ops) = (Arc::clone(&scene.driver), meanwhile.to_vec());
        let mounts = scene.mounts().between(move |call| {
            if call == at {
                run(&driver, &ops);
            }
        });
        let report =
            options(mounts.clone()).backup(DIR, TO).unwrap_or_else(|error| panic!("{what} {at}: {error:?}"));
        let told = format!("{what} before call {at}");
        assert!(
            report.last_seq >= acknowledged,
            "{told}: {acknowledged} was acknowledged before: {report:?}"
        );
        assert!(report.damaged.is_empty() && report.set_aside.is_empty(), "{told}: {report:?}");
        assert_eq!(
            judge(&scene.backups, &scene.history(), acknowledged, &told),
            Some(report.last_seq),
            "{told}"
        );
        let again = scene.backup();
        assert_eq!(again.last_seq, scene.last_seq(), "{told}");
        judge(&scene.backups, &scene.history(), again.last_seq, &format!("{told}, and another backup"));
        calls = mounts.calls();
        if at >= calls {
            break;
        }
    }
    assert!(calls > 30, "{what}: {calls} calls");
}

#[test]
fn a_compaction_between_any_two_calls_of_a_backup_takes_nothing_from_it() {
    let before = [say("c1", "one"), batch(1), Op::Compact, say("c1", "two"), say("c2", "x")];
    in_between("a compaction", &before, &[Op::Compact]);
}

#[test]
fn appends_and_two_compactions_between_any_two_calls_take_nothing_from_a_backup() {
    let before = [say("c1", "one"), batch(1), Op::Compact, say("c1", "two")];
    let meanwhile = [
        say("c1", "three"),
        Op::Compact,
        say("c1", "long ".repeat(2_000)),
        batch(2),
        Op::Compact,
        say("c3", "y"),
    ];
    in_between("two compactions", &before, &meanwhile);
}

#[test]
fn a_writer_that_is_begun_again_between_any_two_calls_takes_nothing_from_a_backup() {
    in_between("a new writer", &[say("c1", "one")], &[Op::Reopen, say("c1", "two"), Op::Reopen, batch(1)]);
}

/// A backup is made at every step of a compaction, of the files as they are at that moment.
#[test]
fn a_backup_at_every_step_of_a_compaction_is_the_store_as_it_was() {
    let scene = Scene::new(ALWAYS);
    scene.run(&[say("c1", "one"), batch(1), Op::Compact, say("c1", "two"), say("c2", "x")]);
    let acknowledged = scene.last_seq();
    let steps = scene.store.record(|_| scene.run(&[Op::Compact, say("c1", "three"), Op::Compact]));
    let history = scene.history();
    let made = AtomicU64::new(0);
    for (op, state) in &steps {
        let snapshot =
            Scene { driver: Arc::clone(&scene.driver), store: state.clone(), backups: scene.backups.clone() };
        let report = snapshot.backup();
        assert!(report.last_seq >= acknowledged && report.damaged.is_empty(), "{op:?}: {report:?}");
        judge(&scene.backups, &history, report.last_seq, &format!("at {op:?}"));
        made.fetch_add(1, Ordering::Relaxed);
    }
    assert!(made.into_inner() > 30);
}

/// A disk that is not mounted any more leaves an empty directory where the backup was.
#[test]
#[expect(clippy::disallowed_methods, reason = "a directory is put elsewhere behind the software's back")]
fn a_backup_that_is_away_is_waited_for_and_no_other_one_is_begun() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let store = MessageStore::open(at("data")).unwrap();
    store.add_message("c1", "one").unwrap();
    let mut replica = MessageStore::options().replica(at("data"), at("backup")).unwrap();
    assert_eq!(replica.pass().unwrap().last_seq, 1);
    std::fs::rename(at("backup"), at("away")).unwrap();
    std::fs::create_dir(at("backup")).unwrap();
    for n in 2..4 {
        store.add_message("c1", "more").unwrap();
        let error = replica.pass().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Io), "{n}: {error}");
        assert!(!at("backup/aral-backup").exists(), "no other backup is begun");
    }
    std::fs::remove_dir_all(at("backup")).unwrap();
    std::fs::rename(at("away"), at("backup")).unwrap();
    assert_eq!(replica.pass().unwrap().last_seq, 3);
    drop(replica);
    MessageStore::options().restore(at("backup"), at("new"), Moment::Newest).unwrap();
    assert_eq!(MessageStore::open(at("new")).unwrap().stats().unwrap().messages, 3);
}
