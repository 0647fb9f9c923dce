//! A store that is not what its backup knows it as.

use std::sync::Arc;

use aral_store::{ErrorKind, Moment};

use super::{ALWAYS, Scene, TO, batch, judge, options, say};
use crate::support::driver::{self, DIR, Driver, Home};
use crate::support::mounts::Mounts;
use crate::support::ops::Op;
use crate::support::simfs;

/// A scene that goes on from a restored state, with the backup that it was restored from.
fn put_back(scene: &Scene, moment: Moment) -> Scene {
    let store = driver::fresh(simfs::Settings::default());
    options(Mounts::new(&store, &scene.backups)).restore(TO, DIR, moment).unwrap();
    let driver = Driver::new(Home::Sim(store.clone()), ALWAYS).unwrap();
    Scene { driver: Arc::new(driver.into()), store, backups: scene.backups.clone() }
}

#[test]
fn a_store_that_was_put_back_to_an_earlier_state_does_not_take_the_later_ones_from_the_backup() {
    for more in 0..6 {
        let scene = Scene::new(ALWAYS);
        scene.run(&[say("c1", "one"), batch(1), Op::Compact, say("c1", "two"), say("c1", "three")]);
        let last = scene.backup().last_seq;
        let back = put_back(&scene, Moment::Seq(4));
        // What a compaction has dropped cannot be compared any more; its number tells.
        match more {
            4 => back.run(&[Op::Compact]),
            5 => back.run(&[say("c2", "0"), Op::Compact, Op::Reopen]),
            _ => (0..more).for_each(|n| back.run(&[say("c2", format!("{n}"))])),
        }
        let error = options(back.mounts()).backup(DIR, TO).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{more}: {error}");
        assert!(error.to_string().contains("back up to another directory"), "{error}");
        judge(&scene.backups, &scene.history(), last, "refused");
    }
}

#[test]
fn a_store_that_was_restored_whole_goes_on_with_its_backup() {
    let scene = Scene::new(ALWAYS);
    scene.run(&[say("c1", "one"), batch(1), Op::Compact, say("c1", "two")]);
    let last = scene.backup().last_seq;
    let back = put_back(&scene, Moment::Newest);
    back.run(&[say("c1", "three"), Op::Compact, say("c1", "four")]);
    let report = back.backup();
    assert!(report.last_seq == last + 2 && report.set_aside.is_empty(), "{report:?}");
    judge(&back.backups, &back.history(), last + 2, "gone on");
}

/// A conversation whose file is damaged is backed up as it was, and what the log holds of it comes with it.
#[test]
fn a_file_that_is_damaged_in_the_store_and_whole_in_the_backup_is_whole_in_what_is_restored() {
    let scene = Scene::new(ALWAYS);
    scene.run(&[say("c1", "one"), say("c2", "x"), Op::Compact, say("c1", "two"), say("c2", "y")]);
    scene.backup();
    // The compaction cannot write the damaged conversation, and holds its events in the log.
    scene.run(&[Op::Damage(0), Op::Compact, say("c3", "beside it")]);
    let report = scene.backup();
    assert_eq!(report.last_seq, scene.last_seq());
    assert_eq!(report.damaged.len(), 1, "{report:?}");
    judge(&scene.backups, &scene.history(), scene.last_seq(), "held");
    let elsewhere = options(Mounts::new(&scene.store, &crate::support::mounts::empty())).backup(DIR, TO);
    assert_eq!(elsewhere.unwrap_err().kind(), ErrorKind::Corrupt, "nobody has what it was");
}

#[test]
fn a_file_that_was_edited_by_hand_is_told_and_does_not_come_into_the_backup() {
    let scene = Scene::new(ALWAYS);
    scene.run(&[say("c1", "one"), say("c2", "x"), Op::Compact, say("c1", "two")]);
    scene.backup();
    let path = format!("{DIR}/conversations/c2.json");
    scene.store.put(&path, b"{}");
    scene.store.put(format!("{DIR}/conversations/found.json"), b"{}");
    let report = scene.backup();
    let told: Vec<_> = report.damaged.iter().map(|file| file.path.display().to_string()).collect();
    assert_eq!(told, [path, format!("{DIR}/conversations/found.json")]);
    judge(&scene.backups, &scene.history(), scene.last_seq(), "edited");
}
