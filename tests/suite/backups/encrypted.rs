//! Backups of an encrypted store: they are as encrypted as it is, and what comes back of them opens with its key alone.

use std::path::PathBuf;
use std::sync::Arc;

use aral_store::{ErrorKind, Key, MessageStore, Moment, Operation, Options};

use super::{ALWAYS, Scene, TO, batch, change, hold, options, program, restored, say};
use crate::support::driver::{self, DIR, Home};
use crate::support::files::nothing_plain;
use crate::support::mounts::Mounts;
use crate::support::ops::Op;
use crate::support::simfs::{self, SimFs, SplitMix};
use crate::support::sources::Sources;

fn other_key() -> Key {
    Key::from_bytes([7; 32])
}

/// A store with everything in it, and its backup.
fn backed_up() -> Scene {
    let scene = Scene::encrypted(ALWAYS);
    for ops in program() {
        scene.run(&ops);
        drop(scene.backup());
    }
    scene.run(&[say("c1", "PLAIN-7f3a"), Op::Compact, say("PLAIN-7f3a", "PLAIN-7f3a in the log")]);
    drop(scene.backup());
    scene
}

fn without_key(mounts: Mounts) -> Options {
    MessageStore::options().vfs(Arc::new(mounts)).clock(Sources::default()).compact_manually()
}

fn in_backup(backups: &SimFs, part: &str) -> Vec<PathBuf> {
    let paths = backups.files().into_iter().map(|(path, _)| path);
    paths.filter(|path| path.to_string_lossy().contains(part)).collect()
}

#[test]
fn every_state_comes_back_encrypted_and_opens_with_the_stores_key_and_with_no_other() {
    let scene = backed_up();
    nothing_plain(&scene.backups).unwrap();
    let report = scene.backup();
    let history = scene.history();
    let mut came = 0;
    for state in &history {
        if report.kept.iter().any(|(first, last)| (*first..=*last).contains(&state.last_seq)) {
            let (store, last_seq) = restored(&scene.backups, Moment::Seq(state.last_seq)).unwrap();
            hold(&store, &history, last_seq, "restored");
            came += 1;
        }
    }
    assert!(came > 5, "{came}");
    // It is written to and backed up again as the old one was.
    let home = driver::fresh(simfs::Settings::default());
    home.seal();
    let mounts = Mounts::new(&home, &scene.backups);
    drop(options(mounts.clone()).restore(TO, DIR, Moment::Newest).unwrap());
    nothing_plain(&home).unwrap();
    for (key, kind) in [(None, ErrorKind::Key), (Some(other_key()), ErrorKind::Key)] {
        let with = without_key(mounts.clone());
        let with = key.map_or_else(|| with.clone(), |key| with.clone().key(key));
        assert_eq!(with.open(DIR).unwrap_err().kind(), kind);
    }
    let store = driver::open(&Home::Sim(home.clone()), ALWAYS, &Sources::default()).unwrap();
    drop(store.add_message("c1", "PLAIN-7f3a goes on").unwrap());
    drop(store.add_message("begins there", "PLAIN-7f3a goes on").unwrap());
    store.close().unwrap();
    let again = options(mounts).backup(DIR, TO).unwrap();
    assert_eq!(again.last_seq, report.last_seq + 2);
    drop(restored(&scene.backups, Moment::Newest).unwrap());
}

#[test]
fn without_the_key_or_with_another_one_nothing_is_backed_up_or_restored_and_that_is_said() {
    let scene = backed_up();
    let home = driver::fresh(simfs::Settings::default());
    let (before, store, empty) = (scene.backups.fingerprint(), scene.store.fingerprint(), home.fingerprint());
    for (key, word) in [(None, "no key was given"), (Some(other_key()), "not the key")] {
        let with = |mounts: Mounts| {
            key.clone()
                .map_or_else(|| without_key(mounts.clone()), |key| without_key(mounts.clone()).key(key))
        };
        for error in [
            with(scene.mounts()).backup(DIR, TO).unwrap_err(),
            with(scene.mounts()).backup(DIR, "/backups/new").unwrap_err(),
            with(Mounts::new(&home, &scene.backups)).restore(TO, DIR, Moment::Newest).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Key, "{error}");
            assert!(error.to_string().contains(word), "{error}");
        }
    }
    let plain = Scene::new(ALWAYS);
    plain.run(&[say("c1", "one")]);
    drop(plain.backup());
    let error = without_key(Mounts::new(&home, &plain.backups)).key(other_key());
    let error = error.restore(TO, DIR, Moment::Newest).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    let after = (scene.backups.fingerprint(), scene.store.fingerprint(), home.fingerprint());
    assert_eq!(after, (before, store, empty));
}

#[test]
fn a_restore_that_is_cut_at_any_step_leaves_no_store_or_the_whole_one_and_nothing_plain() {
    let scene = backed_up();
    let history = scene.history();
    let home = driver::fresh(simfs::Settings::default());
    home.seal();
    let steps = home.record(|home| {
        let mounts = Mounts::new(home, &scene.backups);
        drop(options(mounts).restore(TO, DIR, Moment::Newest).unwrap());
    });
    let mut whole = 0;
    for (step, (op, point)) in steps.iter().enumerate() {
        for seed in 0..4 {
            let image =
                if seed == 0 { point.snapshot().kill() } else { point.crash(&mut SplitMix::new(seed)) };
            nothing_plain(&image).unwrap();
            if image.files().iter().any(|(path, _)| path.starts_with(DIR)) {
                let store = driver::open(&Home::Sim(image), ALWAYS, &Sources::default())
                    .unwrap_or_else(|error| panic!("step {step}, {op:?}, seed {seed}: {error}"));
                hold(&store, &history, scene.last_seq(), &format!("step {step}, {op:?}, seed {seed}"));
                whole += 1;
            }
        }
    }
    assert!(steps.len() > 30 && whole > 0, "{}, {whole}", steps.len());
}

#[test]
fn keys_or_frames_of_another_store_and_keys_that_are_cut_or_missing_give_an_error_and_no_store() {
    let scene = backed_up();
    let other = backed_up();
    let top = PathBuf::from(TO).join("KEY");
    let refused = |backups: &SimFs, told: &str| {
        let error = restored(backups, Moment::Newest).map(|(_, seq)| seq).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Key), "{told}: {error}");
    };
    let swapped = scene.backups.snapshot();
    swapped.put(&top, &other.backups.read(&top).unwrap());
    refused(&swapped, "the key file of another store that has the same key");
    // The next backup does not write into what it cannot tell.
    let error = options(Mounts::new(&scene.store, &swapped)).backup(DIR, TO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    for length in [0, 1, 32, 127] {
        let cut = scene.backups.snapshot();
        cut.truncate(&top, length);
        refused(&cut, "a key file that is cut");
        // The store has it whole.
        drop(options(Mounts::new(&scene.store, &cut)).backup(DIR, TO).unwrap());
        drop(restored(&cut, Moment::Newest).unwrap());
    }
    let gone = scene.backups.snapshot();
    gone.delete(&top);
    refused(&gone, "no key file");
    let keys = in_backup(&scene.backups, "/keys/");
    assert!(keys.len() > 3, "{keys:?}");
    let newest = &Moment::Newest;
    let mut told = 0;
    for path in &keys {
        for change in ["missing", "cut", "another's"] {
            let backups = scene.backups.snapshot();
            match change {
                "missing" => backups.delete(path),
                "cut" => backups.truncate(path, 100),
                _ => backups.put(path, &other.backups.read(&in_backup(&other.backups, "/keys/")[0]).unwrap()),
            }
            // What it sealed may be in files alone, which have keys of their own.
            match restored(&backups, *newest) {
                Ok((store, last_seq)) => hold(&store, &scene.history(), last_seq, change),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{change}: {error}");
                    told += 1;
                }
            }
            drop(options(Mounts::new(&scene.store, &backups)).backup(DIR, TO).unwrap());
        }
    }
    assert!(told > 3, "{told}");
    let segments = in_backup(&scene.backups, "/segments/");
    let last = segments.last().unwrap();
    let strange = scene.backups.snapshot();
    strange.put(last, &other.backups.read(in_backup(&other.backups, "/segments/").last().unwrap()).unwrap());
    refused(&strange, "the frames of another store");
}

#[test]
fn a_bit_that_flips_anywhere_in_a_backup_is_an_error_or_the_store_comes_back_as_it_was() {
    let scene = Scene::encrypted(ALWAYS);
    scene.run(&[say("c1", "one"), batch(1), Op::Compact, change("c2", Operation::Clear), say("c1", "two")]);
    drop(scene.backup());
    let (history, mut told) = (scene.history(), 0);
    for (path, length) in scene.backups.files() {
        for offset in (0..length).step_by(usize::try_from(length / 12 + 1).unwrap()) {
            let damaged = scene.backups.snapshot();
            damaged.flip_bit(&path, offset, u8::try_from(offset % 8).unwrap());
            match restored(&damaged, Moment::Newest) {
                Ok((store, seq)) => hold(&store, &history, seq, &format!("{} at {offset}", path.display())),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{} at {offset}: {error}", path.display());
                    told += 1;
                }
            }
            // And the next backup has all of it again, or says that it has not.
            if let Ok(report) = options(Mounts::new(&scene.store, &damaged)).backup(DIR, TO) {
                assert_eq!(report.last_seq, scene.last_seq());
                let (store, seq) = restored(&damaged, Moment::Newest).unwrap();
                hold(&store, &history, seq, &format!("{} at {offset}, and another backup", path.display()));
            }
        }
    }
    assert!(told > 20, "{told}");
}

#[test]
fn once_the_store_has_another_key_the_next_backup_opens_with_that_one_in_all_its_states() {
    let scene = backed_up();
    let first = scene.history()[1].last_seq;
    let old = scene.backups.snapshot();
    let store = scene.store.snapshot().kill();
    let mounts = |backups: &SimFs| Mounts::new(&store, backups);
    without_key(mounts(&scene.backups)).key(driver::key()).rekey(DIR, &other_key()).unwrap();
    // Nothing else is new in it.
    drop(without_key(mounts(&scene.backups)).key(other_key()).backup(DIR, TO).unwrap());
    for moment in [Moment::Newest, Moment::Seq(first)] {
        let opened = |backups: &SimFs, key: Key| {
            let home = driver::fresh(simfs::Settings::default());
            without_key(Mounts::new(&home, backups)).key(key).restore(TO, DIR, moment).map(drop)
        };
        opened(&old, driver::key()).unwrap();
        opened(&scene.backups, other_key()).unwrap();
        assert_eq!(opened(&scene.backups, driver::key()).unwrap_err().kind(), ErrorKind::Key);
    }
}
