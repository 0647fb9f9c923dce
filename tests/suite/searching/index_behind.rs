//! What the index beside the log is good for: what it knows is not read, and nothing that was erased stays in it.

#![expect(clippy::disallowed_methods, reason = "the index is a file of the real file system")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aral_store::{Edit, Erasure, ErrorKind, MessageStore, Mutation, NewMessage, Operation};
use rusqlite::Connection;

use super::index::{file, filled, index, options, places};

fn count(store: &MessageStore, query: &str) -> usize {
    store.search(query).unwrap().len()
}

fn fill(store: &MessageStore, id: &str, text: &str, many: usize) {
    let batch = (0..many).map(|number| Mutation::add_message(id, format!("{text} {number}")));
    drop(store.batch(batch.collect::<aral_store::Batch>()).unwrap());
}

/// The files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let (mut found, mut waiting) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { waiting.push(path) } else { found.push(path) }
        }
    }
    found
}

fn have(dir: &Path, text: &str) -> Vec<PathBuf> {
    let has = |path: &PathBuf| memchr::memmem::find(&fs::read(path).unwrap(), text.as_bytes()).is_some();
    files(dir).into_iter().filter(has).collect()
}

#[test]
fn what_the_index_knows_is_not_read() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let store = options().open(dir).unwrap();
    fill(&store, "c1", "rain", 20);
    fill(&store, "c2", "snow", 20);
    store.compact().unwrap();
    index(dir);
    drop(store);
    // Other bytes in a file that looks as it did.
    let path = dir.join("conversations/c2.json");
    let (modified, text) =
        (fs::metadata(&path).unwrap().modified().unwrap(), fs::read_to_string(&path).unwrap());
    fs::write(&path, text.replace("snow 7", "snow 8")).unwrap();
    fs::File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
    let store = options().read_only().open(dir).unwrap();
    assert_eq!(count(&store, "rain"), 20);
    assert_eq!(store.search("snow").unwrap_err().kind(), ErrorKind::Corrupt);
    MessageStore::options().drop_search_index(dir).unwrap();
    assert_eq!(
        store.search("rain").unwrap_err().kind(),
        ErrorKind::Corrupt,
        "nobody can say what the other one says"
    );
}

#[test]
fn what_is_erased_is_in_no_byte_of_the_index() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let store = options().open(dir).unwrap();
    fill(&store, "c1", "rain", 50);
    fill(&store, "c2", "xylophonequartz rain", 50);
    let single = NewMessage::new("the word zephyrjackdaw").id("m");
    drop(store.append(Mutation::add_message("c1", single)).unwrap());
    index(dir);
    // What was removed before, too.
    fill(&store, "c4", "gossamervixen", 3);
    index(dir);
    drop(store.append(Mutation::new("c4", Operation::RemoveConversation)).unwrap());
    index(dir);
    assert!(!have(dir, "xylophonequartz").is_empty() && !have(dir, "zephyrjackdaw").is_empty());
    store.erase(&Erasure::conversation("c2")).unwrap();
    assert_eq!(have(dir, "xylophonequartz"), <Vec<PathBuf>>::new());
    store.erase(&Erasure::message("c1", "m")).unwrap();
    assert_eq!(have(dir, "zephyrjackdaw"), <Vec<PathBuf>>::new());
    store.erase(&Erasure::conversation("c4")).unwrap();
    assert_eq!(have(dir, "gossamervixen"), <Vec<PathBuf>>::new());
    for _ in 0..2 {
        assert_eq!((count(&store, "rain"), count(&store, "xylo*")), (50, 0));
        index(dir);
    }
    assert_eq!(have(dir, "xylophonequartz"), <Vec<PathBuf>>::new());
}

#[test]
fn of_a_conversation_that_has_grown_only_what_is_new_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 30);
    index(dir.path());
    // What an index lacks that says that it is whole is not found, unless the conversation is read as a whole.
    let lose = || {
        let file = Connection::open(file(dir.path())).unwrap();
        let sql = "DELETE FROM message WHERE place < 4 AND conversation IN \
                   (SELECT number FROM conversation WHERE id = CAST('c0' AS BLOB))";
        file.execute(sql, ()).unwrap();
    };
    let count = |query: &str| count(&store, query);
    lose();
    store.add_message("c0", "rain grown").unwrap();
    assert_eq!((count("rain"), count("grown")), (27, 1));
    index(dir.path());
    assert_eq!((count("rain"), count("grown")), (27, 1));
    // A title changes no message.
    store.set_title("c0", "another").unwrap();
    assert_eq!(count("rain"), 27);
    let first = store.messages("c0", aral_store::Messages::first(1)).unwrap().remove(0).id;
    store.edit_message("c0", &first, Edit::content("snow")).unwrap();
    store.add_message("c0", "rain grown").unwrap();
    for _ in 0..2 {
        assert_eq!((count("rain"), count("snow"), count("grown")), (31, 1, 2));
        index(dir.path());
    }
    // A compaction moves what it writes, and who has something added then is read anew.
    store.compact().unwrap();
    lose();
    assert_eq!(count("rain"), 28);
    store.add_message("c0", "rain grown").unwrap();
    for _ in 0..2 {
        assert_eq!((count("rain"), count("snow"), count("grown")), (32, 1, 3));
        index(dir.path());
    }
}

#[test]
fn text_that_is_put_behind_what_the_index_knows_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 3);
    let mut reply = store.begin_message("c0", NewMessage::new("the begin").role("assistant")).unwrap();
    index(dir.path());
    for (piece, word) in [("ning snow", "beginning"), (" hail", "hail")] {
        drop(reply.append(piece).unwrap());
        drop(reply.flush().unwrap());
        assert_eq!(places(&store, word), [("c0".to_owned(), 3)], "{piece}");
        index(dir.path());
        assert_eq!(places(&store, word), [("c0".to_owned(), 3)], "{piece}");
    }
    assert_eq!(places(&store, "begin"), []);
}

#[test]
fn an_index_is_not_taken_away_from_whoever_is_writing_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 30);
    let is_over = AtomicBool::new(false);
    let removals: [&dyn Fn(); 2] =
        [&|| assert!(MessageStore::options().drop_search_index(dir.path()).unwrap()), &|| {
            drop(store.erase(&Erasure::conversation("c1")).unwrap());
        }];
    for remove in removals {
        index(dir.path());
        is_over.store(false, Ordering::SeqCst);
        let writing = Connection::open(file(dir.path())).unwrap();
        writing.execute_batch("BEGIN IMMEDIATE; DELETE FROM message").unwrap();
        std::thread::scope(|scope| {
            let is_over = &is_over;
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(300));
                is_over.store(true, Ordering::SeqCst);
                writing.execute_batch("COMMIT").unwrap();
                drop(writing);
            });
            remove();
            assert!(is_over.load(Ordering::SeqCst), "its journal would be left for the next one");
        });
        assert!(!file(dir.path()).exists() && !dir.path().join("log/SEARCH-journal").exists());
    }
}
