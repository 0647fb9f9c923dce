//! What is too large for an index of some database is found all the same.

use aral_store::{Batch, MessageStore, Mutation, NewMessage, Operation, Search};

use super::stores;

/// More messages than are left to be read without the index.
fn fill(store: &MessageStore) {
    let filler = |number| Mutation::add_message("filler", format!("filler number {number}"));
    drop(store.batch((0..150).map(filler).collect::<Batch>()).unwrap());
}

#[test]
fn very_long_messages_and_words_are_found_and_stop_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let words = (0..160_000).map(|number| format!("w{number}")).collect::<Vec<_>>().join(" ");
    let marks = format!("e{}", "\u{301}".repeat(3000));
    let texts = [
        // More than a MiB of words.
        format!("{words} needle"),
        // A word over what PostgreSQL takes, and one that differs at its end.
        format!("{} needle", "x".repeat(5000)),
        format!("{}y needle", "x".repeat(5000)),
        // More words than it counts places.
        format!("{} needle", "again ".repeat(20_000)),
        format!("{marks} needle"),
        "'needle' \\ \" ' & | ! ( ) : * <-> \u{b6}".to_owned(),
    ];
    // Of those without an index one will do.
    let databases =
        stores(dir.path()).into_iter().filter(|(_, reader)| reader.is_some()).map(|(store, _)| store);
    for store in databases.chain([MessageStore::in_memory()]) {
        for text in &texts {
            drop(store.add_message("c1", NewMessage::new(text.as_str())).unwrap());
        }
        fill(&store);
        for _ in 0..2 {
            assert_eq!(store.search("needle").unwrap().len(), texts.len());
            assert_eq!(store.search("w159999 needle").unwrap().len(), 1);
            assert_eq!(store.search("w160000").unwrap().len(), 0);
            assert_eq!(store.search("x".repeat(5000)).unwrap().len(), 1);
            assert_eq!(store.search(format!("{}*", "x".repeat(4999))).unwrap().len(), 2);
            assert_eq!(store.search(marks.as_str()).unwrap().len(), 1);
            assert_eq!(store.search("\"again needle\"").unwrap()[0].place, 3);
            assert_eq!(store.search(Search::new("fill* 149").limit(5)).unwrap().len(), 1);
            fill(&store);
            drop(store.append(Mutation::new("filler", Operation::Clear)).unwrap());
            fill(&store);
        }
    }
}
