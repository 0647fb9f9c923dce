//! Searches that stop early: what they do not look at is nothing that they should have found, whatever the order of times is.

#![expect(clippy::disallowed_methods, reason = "the index is a file of the real file system")]

use std::fs;
use std::path::Path;

use aral_store::{
    Edit, ErrorKind, Found, MessageStore, Mutation, NewMessage, Operation, Search, SearchOrder, Timestamp,
};
use rusqlite::Connection;

use super::index::{file, index, options};
use crate::support::simfs::{Choose, SplitMix};

/// Has the index put so few messages into a block that a test has many.
pub(super) fn shrink(dir: &Path, block: i64) {
    index(dir);
    let file = Connection::open(file(dir)).unwrap();
    file.execute_batch(&format!(
        "BEGIN; UPDATE about SET block = {block}; DELETE FROM block; \
         INSERT INTO block SELECT number / {block}, MIN(micros), MAX(micros), zeroblob({block}) FROM message GROUP BY 1; COMMIT"
    ))
    .unwrap();
}

fn minute(number: usize) -> Timestamp {
    Timestamp::from_unix_micros(1_700_000_000_000_000 + i64::try_from(number).unwrap() * 60_000_000).unwrap()
}

/// A text in which a few words are often, and now and then one stands many times.
fn text(choice: &mut SplitMix) -> String {
    const WORDS: [&str; 8] = ["rain", "snow", "rains", "hail", "東京", "京", "a", "b"];
    let mut text = String::new();
    for _ in 0..=choice.pick(12) {
        let word = WORDS[choice.pick(8).min(choice.pick(8))];
        let times = if choice.pick(6) == 0 { 1 + choice.pick(12) } else { 1 };
        text += &[word, " "].concat().repeat(times);
    }
    text
}

fn search(choice: &mut SplitMix, times: usize) -> Search {
    const QUERIES: [&str; 11] = [
        "rain",
        "snow",
        "hail",
        "rain snow",
        "\"rain snow\"",
        "rai*",
        "東京",
        "京",
        "a b",
        "\"rain rain\" snow",
        "rain*",
    ];
    let mut search = Search::new(QUERIES[choice.pick(11)]).limit([0, 1, 2, 5, 10, 30][choice.pick(6)]);
    if choice.pick(2) == 0 {
        search = search.order(SearchOrder::Best);
    }
    match choice.pick(5) {
        0 => search = search.since(minute(choice.pick(times))),
        1 => search = search.until(minute(choice.pick(times))),
        2 => search = search.conversation(format!("c{}", choice.pick(6))),
        _ => {}
    }
    search
}

/// A batch of new messages and edits. The times go on, or are old ones as an import brings, or all the same.
fn batch(choice: &mut SplitMix, (now, number): (&mut usize, &mut usize)) -> Vec<Mutation> {
    let (kind, mut batch) = (choice.pick(4), Vec::new());
    for _ in 0..choice.pick(120) {
        let at = match kind {
            0 => choice.pick(*now + 1),
            1 => *now / 2,
            _ => {
                *now += choice.pick(3);
                *now
            }
        };
        let id = format!("c{}", choice.pick(6));
        *number += 1;
        let message = NewMessage::new(text(choice)).id(format!("m{number}")).created_at(minute(at));
        batch.push(Mutation::add_message(id, message));
    }
    batch
}

fn change(choice: &mut SplitMix, stores: [&MessageStore; 2]) {
    let id = format!("c{}", choice.pick(6));
    let Ok(messages) = stores[0].messages(&id, aral_store::Messages::all()) else { return };
    if messages.is_empty() {
        return;
    }
    let message_id = messages[choice.pick(messages.len())].id.clone();
    let mutation = match choice.pick(8) {
        0 => Mutation::new(id, Operation::RemoveConversation),
        1 => Mutation::new(id, Operation::RemoveMessage(message_id)),
        _ => {
            let edit = Edit::content(text(choice));
            Mutation::new(id, Operation::EditMessage { message_id, edit })
        }
    };
    for store in stores {
        drop(store.append(mutation.clone()).unwrap());
    }
}

#[test]
fn a_search_that_stops_early_finds_what_one_finds_that_looks_at_everything() {
    let programs = std::env::var("SEARCH_PROGRAMS").ok().and_then(|count| count.parse().ok()).unwrap_or(2);
    for program in 0..programs {
        let dir = tempfile::tempdir().unwrap();
        let store = options().open(dir.path()).unwrap();
        let (plain, mut choice) = (MessageStore::in_memory(), SplitMix::new(program));
        let (mut now, mut number) = (100, 0);
        shrink(dir.path(), [1, 3, 8, 40][choice.pick(4)]);
        for _ in 0..16 {
            let batch = batch(&mut choice, (&mut now, &mut number));
            if !batch.is_empty() {
                for store in [&plain, &store] {
                    drop(store.batch(batch.iter().cloned().collect::<aral_store::Batch>()).unwrap());
                }
            }
            if choice.pick(3) == 0 {
                change(&mut choice, [&plain, &store]);
            }
            if choice.pick(8) == 0 {
                drop(store.compact().unwrap());
            }
            if choice.pick(3) > 0 {
                index(dir.path());
            }
            for _ in 0..12 {
                let search = search(&mut choice, now);
                let of = |store: &MessageStore| store.search(search.clone()).map_err(|error| error.kind());
                let (ought, found): (Result<Vec<Found>, _>, _) = (of(&plain), of(&store));
                assert_eq!(found, ought, "program {program}: {search:?}");
            }
        }
        assert_eq!(store.verify().unwrap().damaged, []);
        let notes = store.verify().unwrap().notes.concat();
        assert!(!notes.contains("damaged"), "{notes}");
    }
}

/// A store with a message a minute, of which those of the first conversation cannot be read.
fn with_a_damaged_one(dir: &Path, texts: impl Fn(usize) -> String) -> MessageStore {
    let store = options().open(dir).unwrap();
    shrink(dir, 16);
    for number in 0..400 {
        let message = NewMessage::new(texts(number)).created_at(minute(number));
        drop(store.append(Mutation::add_message(format!("c{}", number / 100), message)).unwrap());
    }
    drop(store.compact().unwrap());
    index(dir);
    drop(store);
    let path = dir.join("conversations/c0.json");
    let (modified, text) =
        (fs::metadata(&path).unwrap().modified().unwrap(), fs::read_to_string(&path).unwrap());
    fs::write(&path, text.replace("rain", "hail")).unwrap();
    fs::File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
    options().read_only().open(dir).unwrap()
}

#[test]
fn what_is_older_or_answers_worse_than_what_was_found_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_a_damaged_one(dir.path(), |number| {
        let words = if number < 100 { 60 } else { 20 };
        format!("rain {}", "on ".repeat(words))
    });
    let of = |order, limit| Search::new("rain").order(order).limit(limit);
    for order in [SearchOrder::Newest, SearchOrder::Best] {
        let found = store.search(of(order, 300)).unwrap();
        assert!(found.len() == 300 && found.iter().all(|hit| hit.conversation_id != "c0"));
        assert_eq!(found[0].created_at, minute(399));
        assert_eq!(store.search(of(order, 301)).unwrap_err().kind(), ErrorKind::Corrupt);
    }
    // Neither is what is of another time.
    let since = Search::new("rain").since(minute(3000));
    assert_eq!(store.search(since).unwrap(), []);
}

#[test]
fn what_stands_more_often_is_found_first_however_it_is_spread() {
    let dir = tempfile::tempdir().unwrap();
    // The more often, the longer ago.
    let store = with_a_damaged_one(dir.path(), |number| match number {
        0..100 => "rain".to_owned() + &" on".repeat(90),
        _ => "rain ".repeat(1 + (400 - number) / 30) + &"on ".repeat(10),
    });
    let best = store.search(Search::new("rain").order(SearchOrder::Best).limit(30)).unwrap();
    assert!(best.iter().all(|hit| hit.conversation_id == "c1"));
    assert!(best.is_sorted_by(|one, other| (one.score, one.created_at.approximate_unix_micros())
        > (other.score, other.created_at.approximate_unix_micros())));
}

#[test]
fn an_index_of_an_older_version_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = super::index::filled(dir.path(), 30);
    index(dir.path());
    let old = "ALTER TABLE about DROP COLUMN block; DROP TABLE block; UPDATE about SET format = 2";
    Connection::open(file(dir.path())).unwrap().execute_batch(old).unwrap();
    assert_eq!(super::index::places(&store, "rain").len(), 30);
    let note = store.verify().unwrap().notes.concat();
    assert!(note.contains("made by other software"), "{note}");
    assert_eq!(index(dir.path()).last_seq, 30);
    assert_eq!((super::index::places(&store, "rain").len(), store.verify().unwrap().notes.len()), (30, 0));
}

#[test]
fn an_index_whose_blocks_are_of_other_times_is_found_by_verifying() {
    let dir = tempfile::tempdir().unwrap();
    let store = super::index::filled(dir.path(), 30);
    for harm in
        ["UPDATE block SET newest = newest - 1", "UPDATE block SET oldest = newest", "DELETE FROM block"]
    {
        index(dir.path());
        Connection::open(file(dir.path())).unwrap().execute_batch(harm).unwrap();
        let note = store.verify().unwrap().notes.concat();
        assert!(note.contains("damaged"), "{harm}: {note}");
        MessageStore::options().drop_search_index(dir.path()).unwrap();
    }
}
