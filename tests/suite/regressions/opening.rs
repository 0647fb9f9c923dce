//! Opening a directory in which something is not as it should be.

use std::path::PathBuf;

use aral_store::{ErrorKind, Order};

use super::{add, added, compacted, files_with, fresh, inside, on, open, texts};
use crate::support::driver::DIR;
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::simfs::SimFs;
use crate::support::simfs::errno::{EACCES, EIO, EMFILE};

fn damaged(store: &aral_store::MessageStore) -> Vec<PathBuf> {
    store.recovery().damaged.into_iter().map(|file| file.path).collect()
}

fn list_of(ids: &[&str]) -> Vec<u8> {
    let ids: Vec<String> = ids.iter().map(|id| format!("\n    \"{id}\"")).collect();
    format!("{{\n  \"conversation_ids\": [{}\n  ]\n}}", ids.join(",")).into_bytes()
}

fn document(id: &str) -> Vec<u8> {
    let lists = "\"metadata\": {},\n  \"messages\": [],\n  \"actions\": []";
    format!(
        "{{\n  \"id\": \"{id}\",\n  \"title\": \"t\",\n  \"created_at\": \"2025-01-01T00:00:00\",\n  {lists}\n}}"
    )
    .into_bytes()
}

/// The list of conversations named one whose file name no file system takes. Removing it and compacting
/// committed a checkpoint after which the store did not open again, because the file that was to go could not
/// even be looked for. An entry without a file has nothing to remove.
#[test]
fn a_listed_id_that_no_file_can_have_is_removed() {
    let sim = fresh();
    let id = "x".repeat(300);
    sim.put(inside("message_store.json"), &list_of(&[id.as_str()]));
    let store = open(on(sim.clone()));
    assert_eq!(store.recovery().damaged.len(), 1);
    add(&store, "ok", 0..1);
    drop(store.remove_conversation(&id).unwrap());
    store.compact().unwrap();
    store.close().unwrap();
    let store = open(on(sim));
    assert!(damaged(&store).is_empty());
    assert_eq!(texts(&store, "ok"), added(0..1));
}

/// A file that could not be opened for a moment, for want of file descriptors, was written down as damaged for
/// good. What cannot be read now may be read next time, so nothing is written down of it.
#[test]
fn a_failure_that_passes_is_not_written_down() {
    let faults =
        [Rule::new(Call::Open, 1, Fault::Errno(EMFILE)), Rule::new(Call::Metadata, 1, Fault::Errno(EIO))];
    for fault in faults {
        let sim = compacted(3);
        let file = inside("conversations/c1.json");
        // As a copy that was put back: only the time differs.
        sim.put(&file, &sim.read(&file).unwrap());
        let failing = FaultFs::over_sim(&sim, vec![fault.clone().on("c1.json")]);
        let store = open(on(failing.clone()));
        drop(store.recovery());
        store.close().unwrap();
        assert!(failing.all_fired());
        for _ in 0..2 {
            let store = open(on(sim.clone()));
            assert!(damaged(&store).is_empty() && store.recovery().changed.is_empty(), "after {fault:?}");
            assert_eq!(texts(&store, "c1"), added(0..3));
            assert_eq!(store.summary("c1").unwrap().unwrap().version, 3, "after {fault:?}");
            store.close().unwrap();
        }
    }
}

/// A file in the place of the conversations' directory was refused as such by an opening for writing. One for
/// reading said that the system had failed to list it, which sends its reader to look at the disk: it listed
/// before it looked. Now both look first.
#[test]
fn a_file_for_a_directory_is_no_failure_of_the_system() {
    let sim = fresh();
    let file = inside("conversations");
    sim.put(&file, b"mine");
    for options in [on(sim.clone()), on(sim.clone()).read_only()] {
        let error = options.open(DIR).unwrap_err();
        assert_eq!((error.kind(), &error.place().unwrap().path), (ErrorKind::InvalidInput, &file), "{error}");
    }
    assert_eq!(sim.read(&file).as_deref(), Some(&b"mine"[..]));
}

fn holds_and_goes_on(sim: &SimFs) {
    let store = open(on(sim.clone()));
    assert_eq!(damaged(&store), [inside("message_store.json")]);
    assert_eq!(texts(&store, "c1"), added(0..1));
    add(&store, "c1", 1..2);
    store.close().unwrap();
    assert_eq!(texts(&open(on(sim.clone())), "c1"), added(0..2));
}

/// A directory in the place of the list of conversations kept the whole store from opening. The list is a copy
/// of what the checkpoint knows, so its loss is reported and nothing more.
#[test]
fn a_directory_for_a_list_is_reported() {
    let sim = compacted(1);
    sim.delete(inside("message_store.json"));
    sim.put_dir(inside("message_store.json"));
    holds_and_goes_on(&sim);
}

/// So did a list that may not be read.
#[test]
fn a_list_that_cannot_be_read_is_reported() {
    let sim = compacted(1);
    let file = inside("message_store.json");
    sim.put(&file, &sim.read(&file).unwrap());
    let refused = Rule::new(Call::Open, 1, Fault::Errno(EACCES)).on("message_store.json").for_ever();
    let faults = FaultFs::over_sim(&sim, vec![refused]);
    let store = open(on(faults.clone()));
    assert_eq!(damaged(&store), [file]);
    assert_eq!(texts(&store, "c1"), added(0..1));
    add(&store, "c1", 1..2);
    store.close().unwrap();
    faults.replan(Vec::new());
    let store = open(on(faults));
    assert!(damaged(&store).is_empty());
    assert_eq!(texts(&store, "c1"), added(0..2));
}

/// Nor may a compaction commit to a list that it cannot put where the directory is, because no opening could
/// complete it. It fails before its commit, and the log is kept.
#[test]
fn a_directory_for_a_list_outlives_a_compaction() {
    let sim = compacted(1);
    sim.delete(inside("message_store.json"));
    sim.put_dir(inside("message_store.json"));
    let store = open(on(sim.clone()));
    add(&store, "c2", 0..1);
    store.compact().unwrap_err();
    store.close().unwrap();
    let store = open(on(sim));
    assert_eq!(store.recovery().completed_compaction, None);
    assert_eq!((texts(&store, "c1"), texts(&store, "c2")), (added(0..1), added(0..1)));
}

/// A listed file whose name is not its conversation's id was taken in under the id; when the list changed, a
/// second conversation by the file's name appeared beside it and counted as missing. A file that an entry
/// stands for is no other conversation's.
#[test]
fn a_file_named_otherwise_is_one_conversation() {
    let sim = fresh();
    sim.put(inside("conversations/a.json"), &document("b"));
    sim.put(inside("message_store.json"), &list_of(&["a"]));
    let ids = |store: &aral_store::MessageStore| -> Vec<String> {
        store.conversations(Order::Created).unwrap().into_iter().map(|summary| summary.id).collect()
    };
    let store = open(on(sim.clone()));
    assert_eq!((ids(&store), damaged(&store)), (vec!["b".to_owned()], vec![]));
    store.close().unwrap();
    sim.put(inside("conversations/n.json"), &document("n"));
    sim.put(inside("message_store.json"), &list_of(&["a", "n"]));
    let store = open(on(sim.clone()));
    let mut found = ids(&store);
    found.sort();
    assert_eq!((found, damaged(&store)), (vec!["b".to_owned(), "n".to_owned()], vec![]));
    assert_eq!(files_with(&sim, "/conversations/").len(), 2);
    assert!(store.verify().unwrap().is_sound());
    assert!(on(sim).verify(DIR).unwrap().is_sound());
}

/// Two conversations whose files had changed places were each taken in with the other's messages, as edits
/// from outside, and the next compaction made it final. A file that names another conversation is no edit: it
/// is left as it is, and its owner can put it back.
#[test]
fn files_that_have_changed_places_are_not_each_others_conversations() {
    let sim = fresh();
    let store = open(on(sim.clone()));
    add(&store, "c1", 0..1);
    add(&store, "c2", 5..9);
    store.compact().unwrap();
    store.close().unwrap();
    let files = ["conversations/c1.json", "conversations/c2.json"].map(inside);
    sim.exchange(&files[0], &files[1]);
    let store = open(on(sim.clone()));
    assert_eq!(damaged(&store), files);
    assert!(store.recovery().changed.is_empty());
    assert_eq!(store.conversation("c1").unwrap_err().kind(), ErrorKind::Corrupt);
    store.close().unwrap();
    sim.exchange(&files[0], &files[1]);
    let store = open(on(sim));
    assert!(damaged(&store).is_empty());
    assert_eq!((texts(&store, "c1"), texts(&store, "c2")), (added(0..1), added(5..9)));
}

/// A CONTROL whose checksum was right and whose epoch was the highest number there is made the next opening
/// panic, or begin again at epoch 0 where overflow is not checked. A statement with an impossible number is no
/// statement now, and the store opens without it, as it does without CONTROL.
#[test]
fn a_control_with_an_impossible_epoch_is_no_hint() {
    for at in [8, 16, 40] {
        let sim = compacted(3);
        sim.edit(inside("log/CONTROL"), |bytes| {
            for slot in bytes.chunks_mut(64) {
                slot[at..at + 8].fill(0xff);
                let crc = crc32fast::hash(&slot[..60]);
                slot[60..].copy_from_slice(&crc.to_le_bytes());
            }
        });
        let store = open(on(sim));
        add(&store, "c1", 3..4);
        assert_eq!(texts(&store, "c1"), added(0..4), "the field at {at}");
    }
}
