//! Directories that the Python original wrote: opened, appended to, compacted, exported, byte for byte.

#![expect(clippy::disallowed_methods, reason = "the fixtures are on the real file system")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use aral_store::{JsonObject, MessageStore, Messages, NewAction, NewMessage, Order};

fn fixtures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/aral");
    let mut dirs: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    dirs.sort();
    assert_eq!(dirs.len(), 7, "a fixture is missing");
    dirs
}

/// Every file below a directory that is not the log's, by its path in it.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(at) = pending.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                if name != "log" {
                    pending.push(path);
                }
            } else if name != ".aral-store" {
                // The marker is there as long as the log may hold more than the files do.
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("conversations")).unwrap();
    for (name, bytes) in files(from) {
        fs::write(to.join(name), bytes).unwrap();
    }
}

#[test]
fn opening_compacting_and_closing_leave_every_byte_of_the_original() {
    for fixture in fixtures() {
        let dir = tempfile::tempdir().unwrap();
        copy(&fixture, dir.path());
        let store = MessageStore::open(dir.path()).unwrap();
        assert!(store.recovery().damaged.is_empty(), "{:?}", store.recovery());
        assert!(store.recovery().unlisted.is_empty(), "{:?}", store.recovery());
        for summary in store.conversations(Order::Created).unwrap() {
            let conversation = store.conversation(&summary.id).unwrap().unwrap();
            assert_eq!(u64::try_from(conversation.messages.len()).unwrap(), summary.messages);
        }
        drop(store.compact().unwrap());
        let beside = tempfile::tempdir().unwrap();
        let target = beside.path().join("export");
        store.export_aral(&target, None).unwrap();
        store.close().unwrap();
        assert_eq!(files(dir.path()), files(&fixture), "{}", fixture.display());
        assert_eq!(files(&target), files(&fixture), "{}", fixture.display());
    }
}

#[test]
fn rewriting_every_conversation_gives_back_every_byte() {
    for fixture in fixtures() {
        let dir = tempfile::tempdir().unwrap();
        copy(&fixture, dir.path());
        let store = MessageStore::open(dir.path()).unwrap();
        // Each conversation is made dirty twice over, by what is taken back again, so that all are rewritten.
        for _ in 0..2 {
            for summary in store.conversations(Order::Created).unwrap() {
                let message = store.add_message(&summary.id, NewMessage::new("x").role("tool")).unwrap();
                let action = store.add_action(&summary.id, NewAction::new("t", JsonObject::EMPTY)).unwrap();
                drop(store.remove_message(&summary.id, message.id).unwrap());
                drop(store.remove_action(&summary.id, action.id).unwrap());
            }
            let report = store.compact().unwrap();
            assert_eq!(report.written, store.conversations(Order::Created).unwrap().len());
            assert_eq!(files(dir.path()), files(&fixture), "{}", fixture.display());
        }
        // With content in the log, and through a reopening.
        for summary in store.conversations(Order::Created).unwrap() {
            drop(store.add_message(&summary.id, "kept").unwrap());
        }
        store.close().unwrap();
        let store = MessageStore::open(dir.path()).unwrap();
        for summary in store.conversations(Order::Created).unwrap() {
            let last = store.messages(&summary.id, Messages::last(1)).unwrap();
            assert_eq!(last[0].content, "kept");
            drop(store.remove_message(&summary.id, &last[0].id).unwrap());
        }
        drop(store.compact().unwrap());
        store.close().unwrap();
        assert_eq!(files(dir.path()), files(&fixture), "{}", fixture.display());
    }
}
