//! An encrypted store: what its directory tells without the key, and what whoever comes without it is told.

use std::path::PathBuf;
use std::sync::Arc;

use aral_store::{
    Erasure, ErrorKind, Keep, Key, MessageStore, Messages, Mutation, NewAction, NewConversation, NewMessage,
    Options, Order, SyncPolicy,
};

use crate::support::driver::{self, DIR, Home};
use crate::support::files::nothing_plain;
use crate::support::ops::Settings;
use crate::support::simfs::{self, SimFs, SplitMix};
use crate::support::sources::Sources;

const SETTINGS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

fn fresh() -> SimFs {
    let sim = driver::fresh(simfs::Settings::default());
    sim.seal();
    sim
}

fn open(sim: &SimFs) -> MessageStore {
    driver::open(&Home::Sim(sim.clone()), SETTINGS, &Sources::default()).unwrap()
}

fn options(sim: &SimFs) -> Options {
    MessageStore::options().vfs(Arc::new(sim.clone()))
}

fn other_key() -> Key {
    Key::from_bytes([7; 32])
}

fn object(text: &str) -> aral_store::JsonObject {
    aral_store::JsonObject::parse(text).unwrap()
}

/// A life in which a text comes to be in ids, titles, contents, metadata, actions, keys and whatever is made of them.
fn live(store: &MessageStore) {
    store.keep_history(Keep::Everything).unwrap();
    drop(store.consumer("reader").unwrap());
    let new = NewConversation::new().title("PLAIN-7f3a as a title").metadata(object(r#"{"m":"PLAIN-7f3a"}"#));
    store.create_conversation_with_id("PLAIN-7f3a-id", new).unwrap();
    for round in 0..3 {
        for id in ["PLAIN-7f3a-id", "../PLAIN-7f3a", "c3"] {
            let message = NewMessage::new(format!("PLAIN-7f3a is what is said in round {round}"))
                .role("PLAIN-7f3a")
                .metadata(object(r#"{"who":"PLAIN-7f3a"}"#));
            let key = format!("PLAIN-7f3a-{round}-{id}");
            drop(store.append(Mutation::add_message(id, message).key(key)).unwrap());
            let action = NewAction::new("PLAIN-7f3a", object(r#"{"a":"PLAIN-7f3a"}"#));
            drop(store.append(Mutation::add_action(id, action)).unwrap());
        }
        store.compact().unwrap();
        drop(store.set_title("c3", format!("PLAIN-7f3a {round}")).unwrap());
    }
    drop(store.fork("c3", aral_store::Fork::default()).unwrap());
    drop(store.remove_conversation("../PLAIN-7f3a").unwrap());
    drop(store.add_message("c3", "long ".repeat(4000)).unwrap());
}

/// What can be seen of a store.
fn seen(store: &MessageStore) -> Vec<(String, usize, String)> {
    let list = store.conversations(Order::Created).unwrap();
    let one = |id: String| {
        let messages = store.messages(&id, Messages::all()).unwrap();
        let text = messages.iter().map(|m| m.content.to_string_lossy().into_owned()).collect::<String>();
        (id, messages.len(), text)
    };
    list.into_iter().map(|summary| one(summary.id)).collect()
}

#[test]
fn nothing_that_is_kept_is_plain_in_any_file_or_name_whatever_was_done() {
    let sim = fresh();
    let store = open(&sim);
    sim.on_op(Some(Box::new(|sim, _| nothing_plain(&sim.snapshot()).unwrap())));
    live(&store);
    drop(store.erase(&Erasure::conversation("PLAIN-7f3a-id")).unwrap());
    let before = seen(&store);
    store.close().unwrap();
    sim.on_op(None);
    nothing_plain(&sim).unwrap();
    let store = open(&sim);
    assert_eq!(seen(&store), before);
    assert!(store.verify().unwrap().is_sound());
    // It is in the log, the chapters and the files, and not merely nowhere.
    assert!(before.iter().any(|(_, _, text)| text.contains("PLAIN-7f3a")));
    let names: Vec<String> =
        sim.files().into_iter().map(|(path, _)| path.to_string_lossy().into_owned()).collect();
    for part in ["/conversations/", "/archive/", ".seg", "CHECKPOINT", "/consumers/", "/keys/", "/erasures/"]
    {
        assert!(names.iter().any(|name| name.contains(part)), "{part}: {names:?}");
    }
}

#[test]
fn whoever_comes_without_the_key_or_with_another_one_is_told_so_and_nothing_is_changed() {
    let sim = fresh();
    let store = open(&sim);
    live(&store);
    store.close().unwrap();
    let before = sim.fingerprint();
    for closed_in in [true, false] {
        if !closed_in {
            // Nothing but the files that a compaction leaves.
            let store = open(&sim);
            store.compact().unwrap();
            store.close().unwrap();
        }
        let before = if closed_in { before } else { sim.fingerprint() };
        for (key, word) in [(None, "no key was given"), (Some(other_key()), "not the key")] {
            let with = || key.clone().map_or_else(|| options(&sim), |key| options(&sim).key(key));
            for error in [
                with().open(DIR).unwrap_err(),
                with().read_only().open(DIR).unwrap_err(),
                with().rekey(DIR, &other_key()).unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::Key, "{error}");
                assert!(error.to_string().contains(word), "{error}");
            }
            match (&key, with().verify(DIR)) {
                // What its checksums tell can be said without a key.
                (None, verified) => assert!(verified.unwrap().is_sound()),
                (Some(_), verified) => assert_eq!(verified.unwrap_err().kind(), ErrorKind::Key),
            }
            assert_eq!(sim.fingerprint(), before);
        }
    }
}

#[test]
fn rot_and_torn_tails_are_told_without_the_key() {
    let sim = fresh();
    let store = open(&sim);
    live(&store);
    let calls = sim.record(|_| drop(store.add_message("c3", "long ".repeat(300)).unwrap()));
    // What a cut of power leaves is no damage, whatever it is.
    let mut torn = 0;
    for (at, (op, point)) in calls.into_iter().enumerate() {
        for seed in 0..16 {
            let image = point.crash(&mut SplitMix::new(seed));
            let report = options(&image).verify(DIR).unwrap();
            assert!(report.is_sound(), "call {at}, {op:?}, seed {seed}: {report:?}");
            torn += usize::from(report.torn.is_some());
        }
    }
    assert!(torn > 0);
    store.close().unwrap();
    let report = options(&sim).verify(DIR).unwrap();
    assert!(report.is_sound() && report.events > 0, "{report:?}");
    assert!(report.notes.iter().any(|note| note.starts_with("no key was given")), "{report:?}");
    let mut flips = 0;
    for (path, length) in sim.files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_a_hint =
            ["LOCK", "TURN", "CONTROL", ".aral-store"].contains(&&*name) || name.ends_with(".lock");
        for offset in (0..length).step_by(usize::try_from(length / 16 + 1).unwrap()) {
            // Behind the last frame of a segment there is nothing that could be damaged.
            let is_unused = name.ends_with(".seg") || name.ends_with(".unread");
            let bytes = sim.read(&path).unwrap();
            let at = usize::try_from(offset).unwrap();
            if is_a_hint || (is_unused && bytes[at..bytes.len().min(at + 64)].iter().all(|b| *b == 0)) {
                continue;
            }
            let damaged = sim.snapshot();
            damaged.flip_bit(&path, offset, 3);
            let report = options(&damaged).verify(DIR).unwrap();
            assert!(!report.is_sound(), "{path:?} at {offset}");
            assert_eq!(report.damaged[0].path, path, "{report:?}");
            flips += 1;
        }
    }
    assert!(flips > 50, "{flips}");
}

#[test]
fn a_store_that_is_not_encrypted_is_not_opened_with_a_key_and_its_bytes_are_what_they_were() {
    let sim = driver::fresh(simfs::Settings::default());
    let store = open(&sim);
    drop(store.add_message("c1", "as it is").unwrap());
    store.close().unwrap();
    let before = sim.fingerprint();
    for error in [
        options(&sim).key(other_key()).open(DIR).unwrap_err(),
        options(&sim).key(other_key()).read_only().open(DIR).unwrap_err(),
        options(&sim).key(other_key()).rekey(DIR, &other_key()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.message().contains("not encrypted"), "{error}");
    }
    assert_eq!(sim.fingerprint(), before);
    assert!(sim.read(format!("{DIR}/log/KEY")).is_none());
}

#[test]
fn places_that_are_not_directories_are_refused_with_a_key() {
    for url in ["memory:", "sqlite:/nowhere/x.db", "postgres://localhost/x"] {
        let error = MessageStore::options().key(other_key()).connect(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}: {error}");
        assert!(error.message().contains("only stores in directories are"), "{url}: {error}");
    }
}

#[test]
fn what_is_exported_is_as_it_is_in_the_originals_layout_and_nothing_else_is_written() {
    let sim = fresh();
    let store = open(&sim);
    live(&store);
    assert!(sim.paths_outside(DIR).is_empty());
    // What is asked for as it is, is written as it is, in the original's layout.
    store.export_aral("/home/export", None).unwrap();
    let plain = options(&sim).read_only().open("/home/export").unwrap();
    let by_id = |mut list: Vec<(String, usize, String)>| {
        list.sort();
        list
    };
    assert_eq!(by_id(seen(&plain)), by_id(seen(&store)));
}

#[test]
fn another_key_opens_the_store_once_it_was_given_that_and_nothing_else_is_written() {
    let sim = fresh();
    let store = open(&sim);
    live(&store);
    let before = seen(&store);
    let error = options(&sim).key(driver::key()).rekey(DIR, &other_key()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    store.close().unwrap();
    let files = |sim: &SimFs| -> Vec<(PathBuf, Vec<u8>)> {
        sim.files().into_iter().map(|(path, _)| (path.clone(), sim.read(&path).unwrap())).collect()
    };
    let old = files(&sim);
    // The power may go at each of its calls: one of the two keys opens the store.
    let copy = sim.snapshot().kill();
    let calls = copy.record(|sim| options(sim).key(driver::key()).rekey(DIR, &other_key()).unwrap());
    for (at, (op, point)) in calls.into_iter().enumerate() {
        for seed in 0..8 {
            let image = point.crash(&mut SplitMix::new(seed));
            let opens = |key: Key| options(&image).key(key).read_only().open(DIR).map(|store| seen(&store));
            let (one, other) = (opens(driver::key()), opens(other_key()));
            assert!(one.is_ok() != other.is_ok(), "call {at}, {op:?}: {one:?}, {other:?}");
            assert_eq!(one.or(other).unwrap(), before);
        }
    }
    options(&sim).key(driver::key()).rekey(DIR, &other_key()).unwrap();
    assert_eq!(options(&sim).key(driver::key()).open(DIR).unwrap_err().kind(), ErrorKind::Key);
    let changed: Vec<PathBuf> = files(&sim)
        .into_iter()
        .zip(old)
        .filter_map(|(new, old)| {
            assert_eq!(new.0, old.0);
            (new.1 != old.1).then_some(new.0)
        })
        .collect();
    assert_eq!(changed, [PathBuf::from(DIR).join("log/KEY")]);
    let store = options(&sim).key(other_key()).open(DIR).unwrap();
    assert_eq!(seen(&store), before);
}

#[test]
fn a_key_that_is_lost_damaged_or_another_stores_is_an_error_that_names_its_file() {
    let sim = fresh();
    let store = open(&sim);
    live(&store);
    store.close().unwrap();
    let other = fresh();
    open(&other).close().unwrap();
    let key_file = PathBuf::from(DIR).join("log/KEY");
    let open = |sim: &SimFs| options(sim).key(driver::key()).open(DIR);
    let whole = sim.read(&key_file).unwrap();
    for length in [0, 1, 32, 127] {
        let cut = sim.snapshot();
        cut.truncate(&key_file, length);
        let error = open(&cut).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert_eq!(error.place().unwrap().path, key_file);
    }
    for bit in 0..whole.len() * 8 {
        let damaged = sim.snapshot();
        damaged.flip_bit(&key_file, u64::try_from(bit / 8).unwrap(), u8::try_from(bit % 8).unwrap());
        assert_eq!(open(&damaged).unwrap_err().kind(), ErrorKind::Corrupt, "bit {bit}");
    }
    // The file of another store that has the same key.
    let foreign = sim.snapshot();
    foreign.put(&key_file, &other.read(&key_file).unwrap());
    let error = open(&foreign).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Key), "{error:?}");
    for key in [None, Some(driver::key())] {
        let gone = sim.snapshot();
        gone.delete(&key_file);
        let with = key.map_or_else(|| options(&gone), |key| options(&gone).key(key));
        let error = with.open(DIR).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.message().contains("key is missing"), "{error}");
    }
    // Of one conversation: what it sealed cannot be read, and that is said.
    for (path, _) in sim.files().into_iter().filter(|(path, _)| path.starts_with(format!("{DIR}/log/keys"))) {
        let gone = sim.snapshot();
        gone.delete(&path);
        match open(&gone) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
            // All of it is in its file.
            Ok(store) => drop(seen(&store)),
        }
    }
}

#[test]
fn a_bit_that_flips_anywhere_is_an_error_or_changes_nothing() {
    let sim = fresh();
    let store = open(&sim);
    live(&store);
    let before = seen(&store);
    store.close().unwrap();
    let mut told = 0;
    for (path, length) in sim.files() {
        for offset in (0..length).step_by(usize::try_from(length / 24 + 1).unwrap()) {
            let damaged = sim.snapshot();
            damaged.flip_bit(&path, offset, u8::try_from(offset % 8).unwrap());
            let read = || -> aral_store::Result<Vec<(String, usize, String)>> {
                let store = options(&damaged).key(driver::key()).read_only().open(DIR)?;
                let list = store.conversations(Order::Created)?;
                let mut all = Vec::new();
                for summary in list {
                    let messages = store.messages(&summary.id, Messages::all())?;
                    let text = messages.iter().map(|m| m.content.to_string_lossy().into_owned()).collect();
                    all.push((summary.id, messages.len(), text));
                }
                Ok(all)
            };
            match read() {
                Ok(all) => assert_eq!(all, before, "{path:?} at {offset}"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{path:?} at {offset}: {error}");
                    told += 1;
                }
            }
        }
    }
    assert!(told > 50, "{told} flips were told");
}

/// The files of the conversations' keys.
fn key_files(sim: &SimFs) -> Vec<PathBuf> {
    let paths = sim.files().into_iter().map(|(path, _)| path);
    paths.filter(|path| path.starts_with(format!("{DIR}/log/keys"))).collect()
}

#[test]
fn an_erasure_destroys_the_conversations_key_so_that_a_copy_of_the_log_from_before_is_of_no_use() {
    let sim = fresh();
    let store = open(&sim);
    drop(store.add_message("kept", "stays").unwrap());
    drop(store.add_message("gone", "goes").unwrap());
    let before = key_files(&sim);
    assert_eq!(before.len(), 2);
    let copy = sim.snapshot().kill();
    drop(store.erase(&Erasure::conversation("gone")).unwrap());
    // What begins again has another key.
    drop(store.add_message("gone", "and comes again").unwrap());
    store.close().unwrap();
    let after = key_files(&sim);
    let destroyed: Vec<&PathBuf> = before.iter().filter(|path| !after.contains(path)).collect();
    assert_eq!((destroyed.len(), after.len()), (1, 2));
    assert_eq!(seen(&open(&sim)).len(), 2);
    for path in destroyed {
        copy.delete(path);
    }
    let error = options(&copy).key(driver::key()).open(DIR).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.message().contains("key of a conversation is missing"), "{error}");
}

#[test]
fn an_erasure_that_is_cut_at_any_call_is_finished_and_what_is_kept_can_be_read() {
    let sim = fresh();
    let store = open(&sim);
    drop(store.add_message("kept", "stays").unwrap());
    drop(store.add_message("gone", "goes").unwrap());
    drop(store.add_message("kept", "too").unwrap());
    let calls = sim.record(|_| {
        drop(store.erase(&Erasure::conversation("gone")).unwrap());
        drop(store.add_message("gone", "and comes again").unwrap());
    });
    store.close().unwrap();
    for (at, (op, point)) in calls.into_iter().enumerate() {
        for seed in 0..6 {
            let image = point.crash(&mut SplitMix::new(seed));
            nothing_plain(&image).unwrap();
            for round in 0..2 {
                let store = driver::open(&Home::Sim(image.clone()), SETTINGS, &Sources::default())
                    .unwrap_or_else(|error| panic!("call {at}, {op:?}, seed {seed}, {round}: {error}"));
                let kept = seen(&store).into_iter().find(|(id, ..)| id == "kept").unwrap();
                assert_eq!(kept.2, "staystoo", "call {at}, {op:?}, seed {seed}");
                assert!(store.verify().unwrap().is_sound(), "call {at}, {op:?}, seed {seed}");
                drop(store.add_message("gone", "more").unwrap());
                store.close().unwrap();
            }
        }
    }
}
