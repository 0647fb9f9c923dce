//! Repairs of encrypted stores: what they save is encrypted with the same keys, and nothing of it is plain anywhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aral_store::{ErrorKind, Key, MessageStore, Messages, Options, Order};

use super::{NEW, SETTINGS, contents};
use crate::support::driver::{self, DIR, Home};
use crate::support::files::nothing_plain;
use crate::support::simfs::{self, SimFs, SplitMix};
use crate::support::sources::Sources;

/// The texts of each conversation.
type Texts = Vec<(String, Vec<String>)>;

fn add(store: &MessageStore, id: &str, text: &str) {
    drop(store.add_message(id, text).unwrap());
}

/// A store with what is in files, what is in the log alone, and what is in both.
fn encrypted() -> (SimFs, Texts) {
    let fs = driver::fresh(simfs::Settings::default());
    fs.seal();
    let store = driver::open(&Home::Sim(fs.clone()), SETTINGS, &Sources::default()).unwrap();
    for id in ["c1", "PLAIN-7f3a", "../x"] {
        add(&store, id, "PLAIN-7f3a in a file");
        add(&store, id, &"long ".repeat(300));
    }
    store.compact().unwrap();
    for id in ["c1", "new"] {
        add(&store, id, "PLAIN-7f3a in the log");
        add(&store, id, "and one more");
    }
    let all = texts(&store);
    store.close().unwrap();
    (fs, all)
}

fn texts(store: &MessageStore) -> Texts {
    let list = store.conversations(Order::Created).unwrap();
    let one = |id: String| {
        let messages = store.messages(&id, Messages::all());
        let all = messages.map(|all| all.iter().map(|m| m.content.to_string_lossy().into_owned()).collect());
        (id, all.unwrap_or_default())
    };
    let mut all: Texts = list.into_iter().map(|summary| one(summary.id)).collect();
    all.sort();
    all
}

fn without_key(fs: &SimFs) -> Options {
    MessageStore::options().vfs(Arc::new(fs.clone())).compact_manually()
}

fn options(fs: &SimFs) -> Options {
    without_key(fs).key(driver::key())
}

fn other_key() -> Key {
    Key::from_bytes([7; 32])
}

fn sorted(mut texts: Texts) -> Texts {
    texts.sort();
    texts
}

/// Nothing is in it that was not said.
fn must_be_part_of(found: &Texts, all: &Texts, told: &str) {
    for (id, texts) in found {
        let said = all.iter().find(|(known, _)| known == id).map(|(_, texts)| texts);
        let said = said.unwrap_or_else(|| panic!("{told}: {id} is made up"));
        assert!(texts.iter().all(|text| said.contains(text)), "{told}: {texts:?}");
    }
}

#[test]
fn what_a_repair_makes_opens_with_the_stores_key_and_no_other_and_nothing_is_plain_meanwhile() {
    let (fs, all) = encrypted();
    let (all, before) = (sorted(all), contents(&fs, DIR));
    let mut calls = 0;
    fs.on_op(Some(Box::new(move |fs, _| {
        calls += 1;
        // Each look reads every file.
        if calls % 16 == 0 {
            nothing_plain(&fs.snapshot()).unwrap();
        }
    })));
    let report = options(&fs).repair(DIR, NEW).unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert!(contents(&fs, DIR) == before, "the source stays as it is");
    let salvaged = options(&fs).read_only().salvage().open(DIR).unwrap();
    assert_eq!(texts(&salvaged), all);
    let kept = options(&fs).repair_in_place(DIR).unwrap().kept.unwrap();
    fs.on_op(None);
    nothing_plain(&fs).unwrap();
    for dir in [Path::new(NEW), Path::new(DIR), &kept] {
        for key in [None, Some(other_key())] {
            let with = key.map_or_else(|| without_key(&fs), |key| without_key(&fs).key(key));
            assert_eq!(with.open(dir).unwrap_err().kind(), ErrorKind::Key);
        }
        let store = options(&fs).open(dir).unwrap();
        assert_eq!(texts(&store), all, "{}", dir.display());
        assert!(store.verify().unwrap().is_sound());
        add(&store, "c1", "PLAIN-7f3a goes on");
        add(&store, "begins there", "PLAIN-7f3a goes on");
        store.compact().unwrap();
        store.close().unwrap();
        drop(options(&fs).open(dir).unwrap());
    }
    nothing_plain(&fs).unwrap();
}

#[test]
fn a_flipped_bit_costs_what_the_report_says_and_a_view_of_it_shows_what_is_saved() {
    let (fs, all) = encrypted();
    let all = sorted(all);
    let mut lost = 0;
    for (path, length) in fs.files() {
        for offset in (0..length).step_by(usize::try_from(length / 7 + 1).unwrap()) {
            let told = format!("{} at {offset}", path.display());
            let fs = fs.snapshot();
            fs.flip_bit(&path, offset, u8::try_from(offset % 8).unwrap());
            let report = match options(&fs).repair(DIR, NEW) {
                Ok(report) => report,
                Err(error) => {
                    assert!(path.ends_with("log/KEY"), "{told}: {error}");
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{told}: {error}");
                    assert!(contents(&fs, NEW).is_empty(), "{told}");
                    continue;
                }
            };
            nothing_plain(&fs).unwrap();
            let store = options(&fs).open(NEW).unwrap_or_else(|error| panic!("{told}: {error}"));
            let saved = texts(&store);
            must_be_part_of(&saved, &all, &told);
            assert!(saved == all || !report.lost.is_empty(), "{told}: {report:?}");
            lost += usize::from(saved != all);
            let view = options(&fs).read_only().salvage().open(DIR).unwrap();
            assert_eq!(texts(&view), saved, "{told}");
        }
    }
    assert!(lost > 5, "{lost}");
}

#[test]
fn keys_that_are_gone_cut_or_anothers_cost_what_they_sealed_and_the_rest_is_saved() {
    let (fs, all) = encrypted();
    let (other, _) = encrypted();
    let all = sorted(all);
    let keys = |fs: &SimFs| -> Vec<PathBuf> {
        let paths = fs.files().into_iter().map(|(path, _)| path);
        paths.filter(|path| path.starts_with(format!("{DIR}/log/keys"))).collect()
    };
    let mut lost = 0;
    for path in keys(&fs) {
        for change in ["gone", "cut", "another's"] {
            let fs = fs.snapshot();
            match change {
                "gone" => fs.delete(&path),
                "cut" => fs.truncate(&path, 100),
                _ => fs.put(&path, &other.read(&keys(&other)[0]).unwrap()),
            }
            let report = options(&fs).repair(DIR, NEW).unwrap();
            let saved = texts(&options(&fs).open(NEW).unwrap());
            must_be_part_of(&saved, &all, change);
            // What is in files has keys of their own.
            assert!(saved.iter().any(|(id, texts)| id == "../x" && texts.len() == 2), "{saved:?}");
            assert!(saved == all || !report.lost.is_empty(), "{change}: {report:?}");
            lost += usize::from(saved != all);
        }
    }
    assert!(lost > 2, "{lost}");
    let strange = fs.snapshot();
    let segment = |fs: &SimFs| {
        let mut paths = fs.files().into_iter().map(|(path, _)| path);
        paths.rfind(|path| path.extension().is_some_and(|end| end == "seg")).unwrap()
    };
    strange.put(segment(&fs), &other.read(segment(&other)).unwrap());
    let report = options(&strange).repair(DIR, NEW).unwrap();
    assert!(!report.lost.is_empty(), "the frames of another store");
    let saved = texts(&options(&strange).open(NEW).unwrap());
    assert!(saved.iter().all(|(_, texts)| !texts.iter().any(|text| text == "and one more")), "{saved:?}");
}

#[test]
fn without_the_key_or_with_another_one_nothing_is_repaired_and_what_can_be_done_is_said() {
    let (fs, _) = encrypted();
    let before = fs.fingerprint();
    for (key, word) in [(None, "aral-store verify"), (Some(other_key()), "not the key")] {
        let with = || key.clone().map_or_else(|| without_key(&fs), |key| without_key(&fs).key(key));
        for error in [
            with().repair(DIR, NEW).unwrap_err(),
            with().repair_in_place(DIR).unwrap_err(),
            with().read_only().salvage().open(DIR).map(drop).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Key, "{error}");
        }
        assert!(with().repair(DIR, NEW).unwrap_err().to_string().contains(word));
    }
    assert_eq!(fs.fingerprint(), before);
}

#[test]
fn a_repair_in_place_that_is_cut_at_any_call_leaves_a_store_that_opens_with_the_key() {
    let (fs, all) = encrypted();
    let all = sorted(all);
    let steps = fs.record(|fs| drop(options(fs).repair_in_place(DIR).unwrap()));
    let mut opened = 0;
    for (step, (op, point)) in steps.iter().enumerate().step_by(2) {
        let seed = u64::try_from(step).unwrap();
        for image in [point.snapshot().kill(), point.crash(&mut SplitMix::new(seed))] {
            nothing_plain(&image).unwrap();
            let store = options(&image).read_only().open(DIR);
            let store = store.unwrap_or_else(|error| panic!("step {step}, {op:?}: {error}"));
            assert_eq!(texts(&store), all, "step {step}, {op:?}");
            opened += 1;
        }
    }
    assert!(opened > 40, "{opened}");
}
