//! Nothing is written among the files of a store that is not its own.

use std::fs;
use std::path::PathBuf;

use super::{Room, files};

fn contents(room: &Room) -> Vec<(PathBuf, Vec<u8>)> {
    let read = |file: PathBuf| {
        let bytes = fs::read(room.store().join(&file)).unwrap();
        (file, bytes)
    };
    files(&room.store()).into_iter().map(read).collect()
}

/// An export into the store's own directory was taken for conversations of it, and a store in there for its log.
#[test]
fn a_store_is_no_place_for_exports_and_other_stores() {
    let room = Room::new();
    room.run(&["add", "p", "x"]).fine();
    room.run(&["compact"]).fine();
    room.run(&["add", "p", "y"]).fine();
    fs::create_dir(room.store().join("mine")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("store/conversations", room.path("link")).unwrap();
    let before = contents(&room);
    for args in [
        &["export", "--to", "aral", "-o", "store/conversations"][..],
        &["export", "--to", "aral", "-o", "store/conversations/new"],
        &["export", "--to", "aral", "-o", "link/new"],
        &["export", "--to", "aral", "-o", "store/mine"],
        &["export", "--to", "aral", "-o", "store"],
        &["export", "-o", "store/conversations/all.json"],
        &["export", "-o", "store/log/all.jsonl"],
        &["export", "-o", "store/message_store.json"],
        &["-d", "store/conversations", "add", "p", "x"],
        &["-d", "store/conversations/deeper", "new"],
        &["-d", "store/log", "add", "p", "x"],
        &["-d", "store/log/quarantine", "add", "p", "x"],
        &["repair", "--to", "store/conversations/new"],
    ] {
        let said = room.run(args);
        assert_eq!((said.code, said.made.as_deref()), (Some(2), None), "{args:?}: {said:?}");
        assert!(contents(&room) == before, "{args:?}");
    }
    // Of another store than the one that is exported.
    room.run(&["-d", "other", "add", "q", "x"]).fine();
    room.run(&["-d", "other", "export", "--to", "aral", "-o", "store/conversations/new"]).fails(2);
    room.run(&["-d", "other", "repair", "--to", "store/log/new"]).fails(2);
    assert!(contents(&room) == before);
    let verified = room.run(&["verify"]);
    assert!(verified.code == Some(0) && verified.out.contains("sound"), "{verified:?}");
}

/// The names alone make no store.
#[test]
fn a_directory_may_be_called_as_a_part_of_a_store_is() {
    let room = Room::new();
    for dir in ["conversations", "log", "a/log", "b/log/conversations"] {
        room.run(&["-d", dir, "add", "p", "x"]).fine();
        room.run(&["-d", dir, "verify"]).fine();
    }
}
