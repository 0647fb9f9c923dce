//! The index beside the log stays open between searches, and is in nobody's way there.

#![expect(clippy::disallowed_methods, reason = "the index is a file of the real file system")]

use std::path::Path;
use std::time::Duration;

use aral_store::{Erasure, MessageStore};
use rusqlite::Connection;

use super::index::{file, filled, index, options, places};

/// How often this process has the index of a store open, removed or not.
fn opened(dir: &Path) -> usize {
    let links = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
    let name = file(dir).to_str().unwrap().to_owned();
    links.filter(|link| link.to_str().is_some_and(|link| link.starts_with(&name))).count()
}

#[test]
fn the_index_is_opened_once_for_many_searches_and_is_in_nobodys_way_between_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 30);
    index(dir.path());
    for store in [&store, &options().read_only().open(dir.path()).unwrap()] {
        let before = opened(dir.path());
        for _ in 0..5 {
            assert_eq!(places(store, "rain").len(), 30);
            assert_eq!(opened(dir.path()), before + 1);
            let other = Connection::open(file(dir.path())).unwrap();
            other.busy_timeout(Duration::ZERO).unwrap();
            other.execute_batch("BEGIN EXCLUSIVE; ROLLBACK").unwrap();
        }
    }
    // Both see what is written to it then.
    store.add_message("c0", "snow").unwrap();
    index(dir.path());
    assert_eq!(places(&store, "snow"), [("c0".to_owned(), 10)]);
    drop(store);
    assert_eq!(opened(dir.path()), 0);
}

#[test]
fn an_index_that_was_removed_is_not_kept_open() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 30);
    let removals: [&dyn Fn(); 3] = [
        &|| assert!(MessageStore::options().drop_search_index(dir.path()).unwrap()),
        &|| std::fs::remove_file(file(dir.path())).unwrap(),
        // Another one is in its place, of the same length.
        &|| {
            let other = dir.path().join("other");
            std::fs::copy(file(dir.path()), &other).unwrap();
            std::fs::rename(other, file(dir.path())).unwrap();
        },
    ];
    for remove in removals {
        index(dir.path());
        assert_eq!((places(&store, "rain").len(), opened(dir.path())), (30, 1));
        remove();
        assert_eq!(places(&store, "rain").len(), 30);
        assert_eq!(opened(dir.path()), usize::from(file(dir.path()).exists()));
    }
    index(dir.path());
    assert_eq!((places(&store, "rain").len(), opened(dir.path())), (30, 1));
    // What was erased is nowhere then, without another search.
    store.erase(&Erasure::conversation("c1")).unwrap();
    assert_eq!(opened(dir.path()), 0);
    assert_eq!(places(&store, "rain").len(), 20);
}
