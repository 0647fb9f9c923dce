//! Which states a backup keeps, and how they are asked for.

use std::time::Duration;

use aral_store::{ErrorKind, Moment, NewConversation, Operation};

use super::{ALWAYS, Scene, TO, batch, hold, options, restored, say};
use crate::support::driver::DIR;
use crate::support::ops::Op;
use crate::support::sources;

#[test]
fn a_number_in_the_middle_of_a_batch_means_the_state_before_it() {
    let scene = Scene::new(ALWAYS);
    scene.run(&[say("c1", "one"), batch(1), say("c1", "two")]);
    scene.backup();
    let history = scene.history();
    for (asked, given) in [(1, 1), (2, 1), (3, 1), (4, 4), (5, 5), (0, 0)] {
        let (store, last_seq) = restored(&scene.backups, Moment::Seq(asked)).unwrap();
        assert_eq!(last_seq, given, "{asked}");
        hold(&store, &history, given, "a number");
    }
}

#[test]
fn a_part_of_the_log_that_was_dropped_before_it_was_copied_is_a_gap_that_is_named() {
    let scene = Scene::new(ALWAYS);
    scene.run(&[say("c1", "one")]);
    scene.backup();
    scene.run(&[say("c1", "two"), Op::Compact, say("c1", "three"), Op::Compact, say("c1", "four")]);
    let report = scene.backup();
    assert_eq!(report.kept, vec![(0, 1), (3, 4)]);
    let error = restored(&scene.backups, Moment::Seq(2)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("those after events 0 to 1, 3 to 4"), "{error}");
    let (_, last_seq) = restored(&scene.backups, Moment::Seq(3)).unwrap();
    assert_eq!(last_seq, 3);
}

#[test]
fn what_only_older_states_need_is_removed_and_every_state_that_is_kept_comes_back() {
    let scene = Scene::new(ALWAYS);
    // The clock of the sources says the same time throughout one operation, and compactions are by the system's: a span
    // of nothing keeps the newest checkpoint alone.
    let backup = || options(scene.mounts()).keep_states(Duration::ZERO).clock(Later).backup(DIR, TO).unwrap();
    for n in 0..30 {
        scene.run(&[say(&format!("c{n}"), "text ".repeat(100))]);
    }
    scene.run(&[Op::Compact]);
    let first = backup();
    let mut used = 0;
    for n in 0..12 {
        scene.run(&[
            say("c0", format!("{n}")),
            say("c1", "long ".repeat(300)),
            Op::Compact,
            say("c2", "behind it"),
        ]);
        if n % 3 == 2 {
            scene.run(&[
                super::change("c1", Operation::Clear),
                super::change("c9", Operation::RemoveConversation),
            ]);
            scene.run(&[say("c9", "again"), Op::Compact]);
        }
        let report = backup();
        assert_eq!(report.kept.len(), 1, "{report:?}");
        assert!(report.kept[0].0 > first.last_seq, "{report:?}");
        let history = scene.history();
        for state in history.iter().filter(|state| state.last_seq >= report.kept[0].0) {
            let (store, last_seq) = restored(&scene.backups, Moment::Seq(state.last_seq)).unwrap();
            hold(&store, &history, last_seq, "kept");
        }
        if n == 2 {
            used = scene.backups.used();
        }
    }
    assert!(scene.backups.used() < used * 2, "{} then, {} now", used, scene.backups.used());
    let error = restored(&scene.backups, Moment::Seq(first.last_seq)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// A conversation that comes back as it was has the same file, which is there already.
#[test]
fn a_file_that_only_a_later_one_of_the_kept_states_needs_stays() {
    let scene = Scene::new(ALWAYS);
    let new = || {
        let mut new = NewConversation::new().title("the same");
        new.created_at = Some(sources::time(1));
        super::change("x", Operation::CreateConversation(new))
    };
    scene.run(&[new(), say("c1", "one"), Op::Compact]);
    scene.backup();
    scene.run(&[super::change("x", Operation::RemoveConversation), say("c1", "two"), Op::Compact]);
    scene.backup();
    let between = super::system_time();
    scene.run(&[new(), say("c1", "three"), Op::Compact]);
    let kept = options(scene.mounts()).keep_states(Duration::ZERO).clock(At(between));
    let report = kept.backup(DIR, TO).unwrap();
    let oldest = report.kept[0].0;
    assert!(oldest > 2 && oldest < report.covered_seq, "{report:?}");
    let history = scene.history();
    let mut found = 0;
    for state in &history {
        let is_kept = report.kept.iter().any(|(first, last)| (*first..=*last).contains(&state.last_seq));
        match restored(&scene.backups, Moment::Seq(state.last_seq)) {
            Ok((store, last_seq)) => hold(&store, &history, last_seq, "kept"),
            Err(error) => assert!(!is_kept && error.kind() == ErrorKind::NotFound, "{error}: {report:?}"),
        }
        found += u64::from(is_kept);
    }
    assert!(found >= 2, "{report:?}");
}

/// A clock that is behind everything.
#[derive(Debug)]
struct Later;

impl aral_store::Clock for Later {
    fn now_micros(&self) -> i64 {
        i64::MAX / 2
    }
}

/// A clock that says what it is told.
#[derive(Clone, Debug)]
struct At(i64);

impl aral_store::Clock for At {
    fn now_micros(&self) -> i64 {
        self.0
    }
}

#[test]
fn a_time_means_the_newest_state_that_the_store_was_in_by_then() {
    let scene = Scene::new(ALWAYS);
    let time = |minute: u64| sources::time(minute).approximate_unix_micros();
    for minute in 1..6 {
        scene.run(&[say("c1", format!("minute {minute}"))]);
        if minute == 3 {
            scene.run(&[Op::Compact]);
        }
        let report = options(scene.mounts()).clock(At(time(minute))).backup(DIR, TO).unwrap();
        assert_eq!(report.kept_since, aral_store::Timestamp::from_unix_micros(time(1)));
    }
    let at = |micros: i64| Moment::Time(aral_store::Timestamp::from_unix_micros(micros).unwrap());
    for minute in 1..6 {
        for later in [0, 1] {
            if (minute, later) == (5, 1) {
                continue;
            }
            let (_, last_seq) = restored(&scene.backups, at(time(minute) + later)).unwrap();
            assert_eq!(last_seq, minute, "{later}");
        }
    }
    for micros in [time(1) - 1, time(5) + 1] {
        let error = restored(&scene.backups, at(micros)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let range = format!("times from {} to {}", said(time(1)), said(time(5)));
        assert!(error.to_string().contains(&range), "{error}");
    }
    assert!(options(scene.mounts()).restore(TO, "/home/other", Moment::Newest).is_ok());
}

fn said(micros: i64) -> String {
    aral_store::Timestamp::from_unix_micros(micros).unwrap().to_string()
}
