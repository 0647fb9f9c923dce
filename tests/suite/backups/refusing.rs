//! What is no place for a backup, and what is damaged.

use aral_store::{ErrorKind, Moment};

use super::{ALWAYS, Scene, TO, batch, hold, judge, options, restored, say};
use crate::support::driver::DIR;
use crate::support::mounts::{self, Mounts};
use crate::support::ops::Op;
use crate::support::simfs::SimFs;

fn fails(scene: &Scene, to: &str, kind: ErrorKind, says: &str) {
    let before = (scene.store.fingerprint(), scene.backups.fingerprint());
    let error = options(scene.mounts()).backup(DIR, to).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(says), "{error}");
    assert_eq!(
        (scene.store.fingerprint(), scene.backups.fingerprint()),
        before,
        "nothing is touched: {error}"
    );
}

fn some() -> Scene {
    let scene = Scene::new(ALWAYS);
    scene.run(&[say("c1", "one"), batch(1), Op::Compact, say("c1", "two")]);
    scene
}

#[test]
fn a_directory_with_anything_else_in_it_is_refused_and_stays_as_it_is() {
    let scene = some();
    scene.backups.put("/backups/notes/todo.txt", b"mine");
    fails(&scene, "/backups/notes", ErrorKind::InvalidInput, "is not empty, and holds no backup");
    scene.backups.put("/backups/s/message_store.json", b"{}");
    fails(&scene, "/backups/s", ErrorKind::InvalidInput, "there is a store in this directory");
    for to in [DIR.to_owned(), format!("{DIR}/backup"), format!("{DIR}/log/x"), "/home".to_owned()] {
        fails(&scene, &to, ErrorKind::InvalidInput, "must not lie in the directory");
    }
    fails(&scene, "sqlite:x.db", ErrorKind::InvalidInput, "aral-store copy FROM TO");
}

#[test]
fn the_backup_of_another_store_is_refused_and_stays_as_it_is() {
    let (one, other) = (some(), some());
    one.backup();
    let both = Scene { backups: one.backups.clone(), ..other };
    // The lock's file is looked at, which changes nothing.
    fails(&both, TO, ErrorKind::InvalidInput, "the backup of another store");
    judge(&one.backups, &one.history(), one.last_seq(), "refused");
}

#[test]
fn one_backup_is_made_at_a_time() {
    let scene = some();
    let replica = options(scene.mounts()).replica(DIR, TO).unwrap();
    let error = options(scene.mounts()).backup(DIR, TO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    drop(replica);
    scene.backup();
}

#[test]
fn a_backup_is_not_opened_as_a_store() {
    let scene = some();
    scene.backup();
    for options in [options(scene.mounts()), options(scene.mounts()).read_only()] {
        let error = options.open(TO).unwrap_err();
        assert!(error.to_string().contains("this directory holds a backup"), "{error}");
    }
    judge(&scene.backups, &scene.history(), scene.last_seq(), "not opened");
}

#[test]
fn a_restore_overwrites_nothing_and_says_which_states_there_are() {
    let scene = some();
    let last = scene.backup().last_seq;
    let error = options(scene.mounts()).restore(TO, DIR, Moment::Newest).unwrap_err();
    assert!(error.to_string().contains("is not empty"), "{error}");
    let error = restored(&scene.backups, Moment::Seq(last + 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains(&format!("it has those after events 4 to {last}")), "{error}");
    let error = options(scene.mounts()).restore(DIR, "/home/new", Moment::Newest).unwrap_err();
    assert!(error.to_string().contains("holds no backup"), "{error}");
}

/// The files of a file system below a directory, with their lengths.
fn files(fs: &SimFs, dir: &str) -> Vec<(std::path::PathBuf, u64)> {
    fs.files().into_iter().filter(|(path, len)| path.starts_with(dir) && *len > 0).collect()
}

/// Whatever is damaged, a restore gives back a state of the store or says so, and the next backup mends what is
/// needed or says so.
#[test]
fn no_damage_to_a_backup_passes_for_a_state_of_the_store() {
    let scene = some();
    scene.backup();
    scene.run(&[say("c2", "x"), Op::Compact, say("c1", "three")]);
    let last = scene.backup().last_seq;
    let history = scene.history();
    let (mut refused, mut mended) = (0, 0);
    for (path, len) in files(&scene.backups, TO) {
        for offset in [0, 17, len / 2, len - 1] {
            let damaged = scene.backups.snapshot();
            damaged.flip_bit(&path, offset.min(len - 1), 3);
            let told = format!("{} at {offset}", path.display());
            match restored(&damaged, Moment::Newest) {
                Ok((store, last_seq)) => hold(&store, &history, last_seq, &told),
                Err(error) => {
                    let kinds = [ErrorKind::Corrupt, ErrorKind::UnsupportedFormat, ErrorKind::InvalidInput];
                    assert!(kinds.contains(&error.kind()), "{told}: {error:?}");
                    refused += 1;
                }
            }
            match options(Mounts::new(&scene.store, &damaged)).backup(DIR, TO) {
                Ok(report) => {
                    mended += usize::from(!report.mended.is_empty());
                    assert_eq!(report.mended.is_empty(), report.set_aside.is_empty(), "{told}");
                    judge(&damaged, &history, last, &format!("{told}, and another backup"));
                }
                Err(error) => assert!(!error.message().is_empty(), "{told}"),
            }
        }
    }
    assert!(refused > 10 && mended > 5, "{refused} {mended}");
}

/// Whatever of the store is damaged, what the backup had is there afterwards, and what it has now is what the store
/// had acknowledged.
#[test]
fn no_damage_to_the_store_comes_into_a_backup_or_takes_from_it() {
    let scene = some();
    let least = scene.backup().last_seq;
    scene.run(&[say("c2", "x"), Op::Compact, say("c1", "three")]);
    let history = scene.history();
    let mut refused = 0;
    for (path, len) in files(&scene.store, DIR) {
        for offset in [0, 100, 4_100, len / 2, len - 1] {
            let (store, backups) = (scene.store.snapshot(), scene.backups.snapshot());
            store.flip_bit(&path, offset.min(len - 1), 5);
            let told = format!("{} at {offset}", path.display());
            match options(Mounts::new(&store, &backups)).backup(DIR, TO) {
                Ok(report) => {
                    judge(&backups, &history, report.last_seq, &told);
                }
                Err(error) => {
                    assert!(
                        [ErrorKind::Corrupt, ErrorKind::UnsupportedFormat].contains(&error.kind()),
                        "{told}: {error:?}"
                    );
                    refused += 1;
                }
            }
            judge(&backups, &history, least, &told);
        }
    }
    assert!(refused > 5, "{refused}");
}

#[test]
fn a_copy_of_a_store_that_lacks_the_end_of_its_log_is_not_backed_up() {
    let scene = some();
    let segment =
        scene.store.files().into_iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "seg"));
    let (newest, _) = segment.max().unwrap();
    let copy = crate::support::driver::fresh(crate::support::simfs::Settings::default());
    (0..64).for_each(|n| copy.put(format!("/home/other-{n}"), b""));
    for (path, _) in scene.store.files().into_iter().filter(|(path, _)| *path != newest) {
        copy.put(&path, &scene.store.read(&path).unwrap());
    }
    let error = options(Mounts::new(&copy, &mounts::empty())).backup(DIR, TO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[test]
fn a_directory_without_a_store_is_not_backed_up() {
    let home = crate::support::driver::fresh(crate::support::simfs::Settings::default());
    home.put_dir(DIR);
    let error = options(Mounts::new(&home, &mounts::empty())).backup(DIR, TO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}
