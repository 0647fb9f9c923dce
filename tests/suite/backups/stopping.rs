//! Backups that are stopped at each of their steps, by a kill and by a cut of power of either machine.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{ALWAYS, Scene, TO, batch, judge, options, program, say};
use crate::support::driver::DIR;
use crate::support::mounts::Mounts;
use crate::support::ops::{Op, Settings};
use crate::support::oracle::Oracle;
use crate::support::simfs::{SimFs, SplitMix};
use aral_store::SyncPolicy;

/// Holds what a stopped backup left to the law, and so what the next one makes of it.
fn examine(scene: &Scene, left: &SimFs, history: &[Oracle], least: u64, told: &str) {
    judge(left, history, least, told);
    let report = options(Mounts::new(&scene.store, left))
        .backup(DIR, TO)
        .unwrap_or_else(|error| panic!("{told}: {error:?}"));
    assert_eq!(report.last_seq, scene.last_seq(), "{told}: {report:?}");
    assert!(report.mended.is_empty() && report.set_aside.is_empty(), "{told}: {report:?}");
    judge(left, history, report.last_seq, &format!("{told}, and another backup"));
}

/// Stops each backup of the program at each of its steps, or at every so many-th.
fn stopped_everywhere(scene: &Scene, every: usize, stop: &dyn Fn(&SimFs, u64) -> SimFs) -> u64 {
    let (mut stops, mut least) = (0, 0);
    for (n, ops) in program().iter().enumerate() {
        scene.run(ops);
        let steps = scene.backups.record(|_| drop(scene.backup()));
        let history = scene.history();
        for (step, (op, state)) in steps.iter().enumerate().step_by(every) {
            let told = format!("backup {n}, stopped before step {step}, {op:?}");
            examine(scene, &stop(state, stops), &history, least, &told);
            stops += 1;
        }
        least = scene.last_seq();
    }
    stops
}

#[test]
fn a_backup_that_is_killed_at_any_step_is_a_state_of_the_store_and_is_gone_on_with() {
    assert!(stopped_everywhere(&Scene::new(ALWAYS), 1, &|state, _| state.snapshot().kill()) > 100);
}

#[test]
fn a_backup_whose_power_is_cut_at_any_step_is_a_state_of_the_store_and_is_gone_on_with() {
    assert!(
        stopped_everywhere(&Scene::new(ALWAYS), 1, &|state, seed| state.crash(&mut SplitMix::new(seed)))
            > 100
    );
}

#[cfg(feature = "encryption")]
#[test]
fn a_backup_of_an_encrypted_store_that_is_stopped_is_a_state_of_it_and_has_nothing_plain() {
    let stop = |state: &SimFs, seed: u64| match seed % 3 {
        0 => state.snapshot().kill(),
        _ => state.crash(&mut SplitMix::new(seed)),
    };
    assert!(stopped_everywhere(&Scene::encrypted(ALWAYS), 4, &stop) > 50);
}

#[test]
fn a_backup_that_is_killed_while_the_store_is_compacted_leaves_nothing_that_misleads_the_next_one() {
    let mut stops = 0;
    for at in (0..200).step_by(3) {
        let scene = Scene::new(ALWAYS);
        scene.run(&[say("c1", "one"), batch(1), Op::Compact, say("c1", "two")]);
        let least = scene.backup().last_seq;
        scene.run(&[say("c1", "three"), Op::Compact, say("c2", "x")]);
        let driver = std::sync::Arc::clone(&scene.driver);
        let left = scene.backups.snapshot();
        left.freeze_at(left.op_count() + 1 + at / 3);
        // The writer adds a message and takes it away again, so that files come back that were there before.
        let undo =
            [say("c1", "four"), Op::Compact, super::change("c1", aral_store::Operation::Clear), Op::Compact];
        let mounts = Mounts::new(&scene.store, &left).between(move |call| {
            if call == at {
                super::run(&driver, &undo);
            }
        });
        let done = catch_unwind(AssertUnwindSafe(|| options(mounts).backup(DIR, TO).is_ok())).unwrap();
        stops += u64::from(!done);
        examine(&scene, &left.kill(), &scene.history(), least, &format!("call {at}"));
    }
    assert!(stops > 20, "{stops}");
}

#[test]
fn what_a_killed_backup_left_of_a_checkpoint_that_never_counted_is_removed() {
    for at in 1..40 {
        let scene = Scene::new(ALWAYS);
        scene.run(&[say("c1", "one"), batch(1), Op::Compact]);
        let left = scene.backups.snapshot();
        left.freeze_at(left.op_count() + at);
        drop(options(Mounts::new(&scene.store, &left)).backup(DIR, TO));
        let left = left.kill();
        scene.run(&[say("c1", "two"), Op::Compact]);
        for _ in 0..2 {
            options(Mounts::new(&scene.store, &left)).backup(DIR, TO).unwrap();
        }
        must_have_nothing_unfinished(&left, at);
        judge(&left, &scene.history(), scene.last_seq(), &format!("step {at}"));
    }
}

/// Each checkpoint's directory has its checkpoint, or says that its files count without it.
fn must_have_nothing_unfinished(backups: &SimFs, at: u64) {
    let files: Vec<_> = backups.files().into_iter().map(|(path, _)| path).collect();
    for path in files.iter().filter(|path| path.starts_with(format!("{TO}/checkpoints"))) {
        let is_sign =
            |name: &str| name.starts_with("CHECKPOINT-") && !name.ends_with(".tmp") || name == "dropped";
        let dir: std::path::PathBuf = path.iter().take(5).collect();
        let mut beside = files.iter().filter(|other| other.parent() == Some(&dir));
        let has_sign =
            beside.any(|other| other.file_name().is_some_and(|name| is_sign(&name.to_string_lossy())));
        assert!(has_sign, "call {at}: {} was left", path.display());
    }
}

/// A store that is not synced loses events that its backup has: they are set aside, and what the store is now is what
/// the backup is then.
#[test]
fn events_that_the_store_lost_in_a_cut_of_power_are_set_aside_and_the_backup_follows_the_store() {
    let mut lost = 0;
    for seed in 0..40 {
        let scene = Scene::new(Settings { sync: SyncPolicy::Os, ..ALWAYS });
        scene.run(&[say("c1", "one"), Op::Sync, batch(1), say("c1", "two")]);
        let before = scene.backup();
        assert_eq!(before.last_seq, scene.last_seq());
        let cut = scene.store.crash(&mut SplitMix::new(seed));
        scene.store.kill();
        let driver =
            crate::support::driver::Driver::new(crate::support::driver::Home::Sim(cut.clone()), ALWAYS)
                .unwrap();
        let after =
            Scene { driver: std::sync::Arc::new(driver.into()), store: cut, backups: scene.backups.clone() };
        let is_lost = after.last_seq() < before.last_seq;
        after.run(&[say("c3", "another"), say("c3", "and another")]);
        let report = after.backup();
        assert_eq!(
            (report.last_seq, !report.set_aside.is_empty()),
            (after.last_seq(), is_lost),
            "seed {seed}"
        );
        judge(&after.backups, &after.history(), report.last_seq, &format!("seed {seed}"));
        lost += u64::from(is_lost);
        for path in report.set_aside {
            assert!(after.backups.read(&path).is_some_and(|bytes| bytes.len() > 4096), "{path:?}");
        }
    }
    assert!(lost > 5, "{lost}");
}
