//! The index beside the log: whatever has become of it, a search finds what a look at every message finds.

#![expect(clippy::disallowed_methods, reason = "the index is a file of the real file system")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use aral_store::{
    Edit, Erasure, ErrorKind, MessageStore, Mutation, NewMessage, Options, Search, SearchIndex, SyncPolicy,
};
use rusqlite::Connection;

use super::index_stops::shrink;
use super::oracle::Oracle;
use super::{change, hold};
use crate::support::simfs::{Choose, SplitMix};

pub(super) fn options() -> Options {
    MessageStore::options().sync(SyncPolicy::Os).compact_manually()
}

pub(super) fn index(dir: &Path) -> SearchIndex {
    MessageStore::options().index_search(dir).unwrap()
}

pub(super) fn file(dir: &Path) -> PathBuf {
    dir.join("log/SEARCH")
}

/// A store of `count` messages in conversations of ten, each with a word of its own.
pub(super) fn filled(dir: &Path, count: usize) -> MessageStore {
    let store = options().open(dir).unwrap();
    for number in 0..count {
        let text = format!("rain w{number}x and so on");
        store.add_message(&format!("c{}", number / 10), text.as_str()).unwrap();
    }
    store
}

pub(super) fn places(store: &MessageStore, query: &str) -> Vec<(String, u64)> {
    let found = store.search(query).unwrap();
    found.into_iter().map(|hit| (hit.conversation_id, hit.place)).collect()
}

#[test]
fn with_an_index_everything_is_found_that_is_found_without_one() {
    let programs = std::env::var("SEARCH_PROGRAMS").ok().and_then(|count| count.parse().ok()).unwrap_or(4);
    for program in 100..100 + programs {
        let dir = tempfile::tempdir().unwrap();
        let (mut oracle, mut choice) = (Oracle::default(), SplitMix::new(program));
        let open = || options().open(dir.path()).unwrap();
        let mut store = open();
        shrink(dir.path(), 3);
        for number in 0..350 {
            drop(store.append(change(&mut choice, &mut oracle, number)).unwrap());
            match choice.pick(40) {
                0 => assert_eq!(index(dir.path()).last_seq, store.stats().unwrap().last_seq),
                1 => drop(store.compact().unwrap()),
                2 => {
                    store.close().unwrap();
                    store = open();
                }
                3..=6 => {
                    let reader = options().read_only().open(dir.path()).unwrap();
                    let both = [(store, Some(reader))];
                    hold(&both, &oracle, &mut choice);
                    [(store, _)] = both;
                }
                _ => {}
            }
        }
        index(dir.path());
        let stores = [(store, Some(options().read_only().open(dir.path()).unwrap()))];
        for _ in 0..40 {
            hold(&stores, &oracle, &mut choice);
        }
        assert_eq!(stores[0].0.verify().unwrap().notes, [""; 0]);
    }
}

#[test]
fn a_search_asks_the_index_and_reads_itself_what_is_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 100);
    assert_eq!(MessageStore::options().search_index(dir.path()).unwrap(), None);
    let made = index(dir.path());
    assert_eq!(MessageStore::options().search_index(dir.path()).unwrap(), Some(made));
    assert_eq!((made.last_seq, made.bytes), (100, std::fs::metadata(file(dir.path())).unwrap().len()));
    // What an index lacks that says that it is whole is not found: so it was asked.
    Connection::open(file(dir.path()))
        .unwrap()
        .execute("DELETE FROM message WHERE number <= 50", ())
        .unwrap();
    assert_eq!(places(&store, "rain").len(), 50);
    assert_eq!(places(&store, "w7x"), []);
    store
        .edit_message(
            "c0",
            &store.messages("c0", aral_store::Messages::first(1)).unwrap()[0].id,
            Edit::content("snow"),
        )
        .unwrap();
    assert_eq!(places(&store, "rain").len(), 59);
    assert_eq!(places(&store, "snow"), [("c0".to_owned(), 0)]);
    let note = store.verify().unwrap().notes.concat();
    assert!(note.contains("is 1 event behind"), "{note}");
    assert!(MessageStore::options().drop_search_index(dir.path()).unwrap());
    assert!(!MessageStore::options().drop_search_index(dir.path()).unwrap());
    assert_eq!(places(&store, "rain").len(), 99);
}

#[test]
fn an_index_is_smaller_than_the_texts_and_has_no_empty_pages() {
    let dir = tempfile::tempdir().unwrap();
    let store = options().open(dir.path()).unwrap();
    let (mut choice, mut bytes) = (SplitMix::new(1), 0);
    for number in 0..300 {
        let one = |choice: &mut SplitMix| {
            // As in a language, most words are of few.
            let most = 1 << choice.pick(12);
            let words: Vec<String> = (0..50).map(|_| format!("word{}", choice.pick(most))).collect();
            words.join(" ")
        };
        let texts: Vec<String> = (0..20).map(|_| one(&mut choice)).collect();
        bytes += texts.iter().map(String::len).sum::<usize>();
        let add = |text| Mutation::add_message(format!("c{number}"), NewMessage::new(text));
        drop(store.batch(texts.into_iter().map(add).collect::<aral_store::Batch>()).unwrap());
    }
    let empty = || {
        let index = Connection::open(file(dir.path())).unwrap();
        index.query_row("PRAGMA freelist_count", (), |row| row.get::<_, i64>(0)).unwrap()
    };
    let made = index(dir.path());
    assert!(made.bytes * 10 <= u64::try_from(bytes).unwrap() * 6, "{} of {bytes}", made.bytes);
    assert_eq!(empty(), 0);
    for number in 0..200 {
        store.remove_conversation(&format!("c{number}")).unwrap();
    }
    assert!(index(dir.path()).bytes <= made.bytes);
    assert_eq!(empty(), 0);
}

#[test]
fn a_reader_of_an_older_state_does_not_ask_a_newer_index() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 30);
    let reader = options().read_only().open(dir.path()).unwrap();
    store.remove_conversation("c1").unwrap();
    store.add_message("c0", "rain again").unwrap();
    index(dir.path());
    assert_eq!(places(&reader, "rain").len(), 30);
    assert_eq!(places(&store, "rain").len(), 21);
    reader.refresh().unwrap();
    assert_eq!(places(&reader, "rain").len(), 21);
}

#[test]
fn an_index_that_is_damaged_of_another_store_or_not_finished_hides_nothing() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = filled(dir.path(), 60);
    let spoil: [&dyn Fn(&Path); 5] = [
        &|path| std::fs::write(path, b"").unwrap(),
        &|path| {
            std::fs::write(
                path,
                b"not a database, and longer than a header of one would be: 100 bytes and some more of them",
            )
            .unwrap();
        },
        &|path| {
            let mut bytes = std::fs::read(path).unwrap();
            bytes[4096..].fill(0xff);
            std::fs::write(path, bytes).unwrap();
        },
        &|path| {
            drop(filled(other.path(), 0));
            drop(options().open(other.path()).unwrap().add_message("c0", "elsewhere").unwrap());
            index(other.path());
            std::fs::copy(file(other.path()), path).unwrap();
        },
        &|path| {
            let index = Connection::open(path).unwrap();
            index.execute_batch("UPDATE about SET is_whole = 0; DELETE FROM conversation WHERE number > 3; DELETE FROM message").unwrap();
        },
    ];
    for (number, spoil) in spoil.iter().enumerate() {
        index(dir.path());
        spoil(&file(dir.path()));
        assert_eq!(places(&store, "rain").len(), 60, "{number}");
        assert_eq!(store.verify().unwrap().damaged, [], "{number}");
        assert_eq!(store.verify().unwrap().notes.len(), 1, "{number}");
        if number < 4 {
            index(dir.path());
            assert_eq!(
                (places(&store, "rain").len(), store.verify().unwrap().notes.len()),
                (60, 0),
                "{number}"
            );
        }
    }
}

#[test]
fn an_erasure_takes_the_index_away_and_the_next_one_knows_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 30);
    store.add_message("gone", NewMessage::new("the unspeakableword of somebody").id("m1")).unwrap();
    index(dir.path());
    let has = |word: &[u8]| {
        let read = |path: PathBuf| std::fs::read(path).unwrap_or_default();
        read(file(dir.path())).windows(word.len()).any(|at| at == word)
    };
    assert!(has(b"unspeakableword"));
    std::fs::write(dir.path().join("log/SEARCH-journal"), b"unspeakableword").unwrap();
    let planned = store.erasable(&Erasure::conversation("gone")).unwrap();
    assert!(planned.files.contains(&file(dir.path())));
    let done = store.erase(&Erasure::conversation("gone")).unwrap();
    assert!(done.files.contains(&file(dir.path())) && done.not_erased.is_empty(), "{done:?}");
    assert!(!file(dir.path()).exists() && !dir.path().join("log/SEARCH-journal").exists());
    index(dir.path());
    assert!(!has(b"unspeakableword"));
    assert_eq!((places(&store, "unspeakableword"), places(&store, "rain").len()), (vec![], 30));
}

#[test]
fn what_is_no_store_to_index_gets_no_index() {
    let dir = tempfile::tempdir().unwrap();
    let of = |dir: &Path| MessageStore::options().index_search(dir).unwrap_err().kind();
    assert_eq!(of(&dir.path().join("nowhere")), ErrorKind::NotFound);
    assert_eq!(of(dir.path()), ErrorKind::NotFound);
    assert_eq!(of(Path::new("sqlite:x")), ErrorKind::InvalidInput);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[cfg(feature = "encryption")]
#[test]
fn an_encrypted_store_has_no_index() {
    let dir = tempfile::tempdir().unwrap();
    let key = || aral_store::Key::from_bytes([7; 32]);
    let store = options().key(key()).open(dir.path()).unwrap();
    store.add_message("c1", "rain").unwrap();
    for options in [options().key(key()), options()] {
        assert_eq!(options.index_search(dir.path()).unwrap_err().kind(), ErrorKind::Unsupported);
    }
    assert!(!file(dir.path()).exists());
    assert_eq!(places(&store, "rain").len(), 1);
}

#[test]
fn several_may_make_it_and_search_it_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 200);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (store, dir) = (&store, dir.path());
            scope.spawn(move || {
                for round in 0..10 {
                    store.add_message(&format!("d{number}"), "snow").unwrap();
                    match MessageStore::options().index_search(dir) {
                        Ok(_) => {}
                        Err(error) => {
                            assert!(
                                matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Locked),
                                "{error}"
                            );
                        }
                    }
                    assert_eq!(places(store, "rain").len(), 200);
                    let own = Search::new("snow").conversation(format!("d{number}"));
                    assert_eq!(store.search(own).unwrap().len(), round + 1);
                }
            });
        }
    });
    index(dir.path());
    assert_eq!((places(&store, "snow").len(), places(&store, "rain").len()), (40, 200));
}

#[test]
fn whoever_is_killed_in_the_middle_leaves_an_index_that_the_next_one_finishes() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 3000);
    let long = "words of a text that is long enough to fill a page of the index ".repeat(20);
    for number in 0..600 {
        store
            .add_message(&format!("long{}", number / 20), format!("{long} v{number}x {number}").as_str())
            .unwrap();
    }
    store.sync().unwrap();
    for wait in [5, 15, 30, 60, 120, 240] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_aral-store"))
            .args(["-d", dir.path().to_str().unwrap(), "index"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(places(&store, "v599x").len(), 1);
        assert_eq!(places(&store, "rain").len(), 3000);
    }
    index(dir.path());
    assert_eq!((places(&store, "v599x").len(), places(&store, "rain").len()), (1, 3000));
    assert_eq!(store.verify().unwrap().notes, [""; 0]);
}

#[test]
fn a_beginning_of_one_character_finds_those_with_marks() {
    let dir = tempfile::tempdir().unwrap();
    let store = options().open(dir.path()).unwrap();
    store.add_message("c1", "ดื่มน้ำ").unwrap();
    store.add_message("c1", "กิน").unwrap();
    for _ in 0..2 {
        for (query, found) in [("น*", vec![1, 0]), ("ก*", vec![1]), ("มน*", vec![0]), ("ม*", vec![0])]
        {
            let places: Vec<u64> = places(&store, query).into_iter().map(|(_, place)| place).collect();
            assert_eq!(places, found, "{query}");
        }
        index(dir.path());
    }
}
