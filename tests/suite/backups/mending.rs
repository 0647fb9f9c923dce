//! What is wrong with a part of a backup, or with a file that it could not have, does not take the rest from whoever restores.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use aral_store::{ErrorKind, Moment, Timestamp};

use super::{ALWAYS, Scene, TO, batch, hold, judge, options, restored, say};
use crate::support::driver::{self, DIR, Driver, Home};
use crate::support::mounts::Mounts;
use crate::support::ops::{Op, Settings};
use crate::support::simfs::{self, SimFs, SplitMix};
use crate::support::sources;

/// A clock that says what it is told.
#[derive(Clone, Debug)]
struct At(i64);

impl aral_store::Clock for At {
    fn now_micros(&self) -> i64 {
        self.0
    }
}

fn minute(minute: u64) -> i64 {
    sources::time(minute).approximate_unix_micros()
}

fn at(micros: i64) -> Moment {
    Moment::Time(Timestamp::from_unix_micros(micros).unwrap())
}

/// The checkpoints of a backup, oldest first.
fn checkpoints(backups: &SimFs) -> Vec<std::path::PathBuf> {
    let is_one = |path: &std::path::PathBuf| path.to_string_lossy().contains("/CHECKPOINT-");
    let mut all: Vec<_> = backups.files().into_iter().map(|(path, _)| path).filter(is_one).collect();
    all.sort();
    all
}

/// Three checkpoints, with every state between them.
fn three() -> Scene {
    let scene = Scene::new(ALWAYS);
    let mut replica = options(scene.mounts()).replica(DIR, TO).unwrap();
    for text in ["one", "two", "three"] {
        for ops in [vec![say("c1", text), batch(1)], vec![Op::Compact], vec![say("c2", text)]] {
            scene.run(&ops);
            drop(replica.pass().unwrap());
        }
    }
    scene
}

#[test]
fn a_damaged_checkpoint_takes_from_a_backup_what_needs_it_and_nothing_else() {
    let scene = three();
    let history = scene.history();
    let all = checkpoints(&scene.backups);
    assert!(all.len() >= 3, "{all:?}");
    for (offset, damaged) in
        [20, 130].into_iter().flat_map(|offset| all.iter().map(move |path| (offset, path)))
    {
        let backups = scene.backups.snapshot();
        backups.flip_bit(damaged, offset, 1);
        let told = format!("{} at {offset}", damaged.display());
        for state in &history {
            match restored(&backups, Moment::Seq(state.last_seq)) {
                Ok((store, last_seq)) => {
                    assert_eq!(last_seq, state.last_seq, "{told}");
                    hold(&store, &history, last_seq, &told);
                }
                Err(error) => {
                    assert!(state.last_seq < scene.last_seq(), "the newest state is there, {told}: {error}");
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{told}: {error}");
                    let name = damaged.file_name().unwrap().to_string_lossy();
                    assert!(error.to_string().contains(&*name), "{told}: {error}");
                }
            }
        }
        if Some(damaged) == all.last() {
            continue;
        }
        // A backup says so, and lets go of nothing that the damaged one may need, as long as that is to be kept.
        let report = options(Mounts::new(&scene.store, &backups)).backup(DIR, TO).unwrap();
        assert!(report.damaged.iter().any(|file| file.path == *damaged), "{told}: {report:?}");
    }
}

#[test]
fn a_damaged_checkpoint_that_the_store_still_has_is_copied_anew() {
    let scene = three();
    scene.run(&[Op::Compact]);
    scene.backup();
    let newest = checkpoints(&scene.backups).pop().unwrap();
    for offset in [20, 130] {
        scene.backups.flip_bit(&newest, offset, 1);
        let report = options(scene.mounts()).backup(DIR, TO).unwrap();
        assert_eq!(report.mended, std::slice::from_ref(&newest), "{report:?}");
        assert_eq!((report.set_aside.len(), report.damaged.len()), (1, 0), "{report:?}");
        judge(&scene.backups, &scene.history(), report.last_seq, "mended");
    }
    // What the store has no more cannot be copied anew: that is said, and what to do.
    scene.run(&[say("c1", "more"), Op::Compact]);
    scene.backups.flip_bit(&newest, 20, 1);
    let error = options(scene.mounts()).backup(DIR, TO).unwrap_err();
    assert!(
        error.kind() == ErrorKind::Corrupt && error.to_string().contains("back up to another"),
        "{error}"
    );
}

#[test]
fn what_a_damaged_checkpoint_that_is_kept_may_need_is_not_let_go_of() {
    let scene = Scene::new(ALWAYS);
    scene.run(&[say("c1", "one"), Op::Compact]);
    scene.backup();
    scene.run(&[say("c2", "two"), Op::Compact]);
    scene.backup();
    let between = super::system_time();
    scene.run(&[say("c1", "three"), Op::Compact]);
    scene.backup();
    scene.run(&[say("c3", "four"), Op::Compact]);
    let whole = checkpoints(&scene.backups);
    let third = whole.last().unwrap();
    scene.backups.flip_bit(third, 20, 1);
    let before: Vec<_> = scene.backups.files();
    // Nothing is damaged in those that come before and behind it.
    let report = options(scene.mounts()).keep_states(Duration::ZERO).clock(At(between));
    // The newest checkpoint of the backup is the damaged one: it is not gone on with, and stays as it is.
    let error = report.backup(DIR, TO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(scene.backups.files(), before);
    scene.backups.flip_bit(third, 20, 1);
    scene.backup();
    scene.run(&[say("c3", "five"), Op::Compact]);
    scene.backups.flip_bit(third, 20, 1);
    let report = options(scene.mounts()).keep_states(Duration::ZERO).clock(At(between));
    drop(report.backup(DIR, TO).unwrap());
    scene.backups.flip_bit(third, 20, 1);
    let history = scene.history();
    for state in history.iter().filter(|state| state.last_seq >= 2) {
        let (store, last_seq) = restored(&scene.backups, Moment::Seq(state.last_seq)).unwrap();
        hold(&store, &history, last_seq, "kept");
    }
}

#[test]
fn a_backup_without_the_list_of_conversations_is_restored_and_says_so() {
    let scene = Scene::new(ALWAYS);
    scene.run(&[say("c1", "one"), Op::Compact]);
    scene.backup();
    scene.run(&[say("c2", "another"), Op::Compact, say("c1", "two")]);
    let list = format!("{DIR}/message_store.json");
    scene.store.put(&list, b"{\"conversation_ids\": []}");
    let report = scene.backup();
    assert_eq!(report.damaged.len(), 1, "{report:?}");
    let home = driver::fresh(simfs::Settings::default());
    let report = options(Mounts::new(&home, &scene.backups)).restore(TO, DIR, Moment::Newest).unwrap();
    assert_eq!(report.last_seq, scene.last_seq());
    let store = driver::open(&Home::Sim(home), ALWAYS, &sources::Sources::default()).unwrap();
    hold(&store, &scene.history(), report.last_seq, "without the list");
}

/// A compaction comes before every call, so that no look ever succeeds.
#[test]
fn a_look_that_fails_in_another_way_each_time_is_an_error() {
    let scene = Scene::new(ALWAYS);
    scene.run(&[say("c1", "one"), Op::Compact]);
    let (is_on, driver) = (Arc::new(AtomicBool::new(false)), Arc::clone(&scene.driver));
    let switch = Arc::clone(&is_on);
    let mounts = scene.mounts().between(move |_| {
        if switch.load(Ordering::SeqCst) {
            super::run(&driver, &[say("c1", "more"), Op::Compact]);
        }
    });
    let mut replica = options(mounts).replica(DIR, TO).unwrap();
    is_on.store(true, Ordering::SeqCst);
    let report = replica.pass();
    is_on.store(false, Ordering::SeqCst);
    if let Ok(report) = report {
        judge(&scene.backups, &scene.history(), 1, &format!("{report:?}"));
        panic!("nothing was copied, and it says: {report:?}");
    }
    let report = replica.pass().unwrap();
    judge(&scene.backups, &scene.history(), report.last_seq, "the next look");
}

/// What a look tells is told once, however often it was begun again.
#[test]
fn a_look_that_is_begun_again_tells_each_file_once() {
    let mut tried = 0;
    for at in 0..80 {
        let scene = Scene::new(ALWAYS);
        scene.run(&[say("c1", "one"), batch(1), Op::Compact]);
        scene.backup();
        scene.run(&[say("c2", "x"), say("c3", "new"), Op::Compact]);
        scene.store.put(format!("{DIR}/message_store.json"), b"{\"conversation_ids\": []}");
        let checkpoint = checkpoints(&scene.store).pop().unwrap();
        let (store, calls) = (scene.store.clone(), Arc::new(AtomicU64::new(0)));
        // The checkpoint cannot be read for a moment.
        let mounts = scene.mounts().between(move |call| {
            if call == at || call == at + 1 {
                store.flip_bit(&checkpoint, 200, 1);
            }
            calls.store(call, Ordering::SeqCst);
        });
        let Ok(report) = options(mounts).backup(DIR, TO) else { continue };
        let lists = report.damaged.iter().filter(|file| file.path.ends_with("message_store.json"));
        assert_eq!(lists.count(), 1, "{at}: {report:?}");
        tried += 1;
    }
    assert!(tried > 20, "{tried}");
}

/// Each moment can be asked for, whatever stopped the backup that came to it.
fn moments_stay(stop: &dyn Fn(&SimFs, u64) -> SimFs) {
    let scene = Scene::new(ALWAYS);
    let backup = |backups: &SimFs, time: u64| {
        options(Mounts::new(&scene.store, backups)).clock(At(minute(time))).backup(DIR, TO).unwrap()
    };
    let mut stops = 0;
    for time in 1..4 {
        scene.run(&[say("c1", "text"), Op::Compact, say("c1", "more")]);
        let ought = scene.last_seq();
        let steps = scene.backups.record(|backups| drop(backup(backups, time)));
        for (op, state) in steps {
            stops += 1;
            let left = stop(&state, stops);
            let reached = restored(&left, Moment::Newest).map_or(0, |(_, last_seq)| last_seq);
            scene.run(&[say("c1", "behind it")]);
            backup(&left, time + 10);
            if reached == ought {
                let (_, last_seq) = restored(&left, at(minute(time)))
                    .unwrap_or_else(|error| panic!("minute {time}, before {op:?}: {error}"));
                assert_eq!(last_seq, ought, "minute {time}, before {op:?}");
            }
        }
        assert!(scene.backup().last_seq > ought);
    }
}

#[test]
fn a_kill_between_a_state_and_its_moment_does_not_lose_the_moment() {
    moments_stay(&|state, _| state.snapshot().kill());
}

#[test]
fn a_cut_of_power_does_not_take_the_moments_of_a_backup_that_was_made() {
    moments_stay(&|state, seed| state.crash(&mut SplitMix::new(seed)));
    let scene = Scene::new(ALWAYS);
    scene.run(&[say("c1", "one")]);
    drop(options(scene.mounts()).clock(At(minute(1))).backup(DIR, TO).unwrap());
    for seed in 0..20 {
        let left = scene.backups.crash(&mut SplitMix::new(seed));
        assert_eq!(restored(&left, at(minute(1))).unwrap().1, 1, "seed {seed}");
    }
}

/// The segments of a backup by their numbers.
fn segments(backups: &SimFs) -> Vec<String> {
    let all = backups.files().into_iter().map(|(path, _)| path);
    let all = all.filter(|path| path.starts_with(format!("{TO}/segments")));
    all.map(|path| path.file_name().unwrap().to_string_lossy().chars().take(16).collect()).collect()
}

/// A backup steps back behind a segment that the store has lost, and is stopped at each step of that.
#[test]
fn no_stop_of_a_backup_that_steps_back_leaves_a_segment_in_the_way_or_loses_what_was_in_it() {
    let mut stepped = 0;
    for seed in 0..12 {
        let scene = Scene::new(Settings { sync: aral_store::SyncPolicy::Os, ..ALWAYS });
        scene.run(&[say("c1", "one"), Op::Sync]);
        for _ in 0..3 {
            scene.run(&[say("c1", "long ".repeat(900))]);
        }
        scene.backup();
        let cut = scene.store.crash(&mut SplitMix::new(seed));
        scene.store.kill();
        let driver = Driver::new(Home::Sim(cut.clone()), ALWAYS).unwrap();
        let after = Scene { driver: Arc::new(driver.into()), store: cut, backups: scene.backups.clone() };
        for _ in 0..3 {
            after.run(&[say("c3", "another ".repeat(700))]);
        }
        let mut steps = after.backups.record(|_| drop(after.backup()));
        let is_set_aside = |backups: &SimFs| {
            backups.files().iter().any(|(path, _)| path.starts_with(format!("{TO}/set-aside")))
        };
        if !is_set_aside(&after.backups) {
            continue;
        }
        stepped += 1;
        for (op, state) in steps.drain(..) {
            let left = state.snapshot().kill();
            let report = options(Mounts::new(&after.store, &left)).backup(DIR, TO).unwrap();
            let told = format!("seed {seed}, before {op:?}: {:?}", segments(&left));
            let mut unique = segments(&left);
            unique.dedup();
            assert_eq!(unique, segments(&left), "{told}");
            assert!(is_set_aside(&left), "{told}");
            judge(&left, &after.history(), report.last_seq, &told);
        }
    }
    assert!(stepped > 3, "{stepped}");
}
