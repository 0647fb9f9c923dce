//! Searching on a server: by who may not read the index, by many at once, and after somebody has dropped it.

use std::thread;

use aral_store::{Batch, MessageStore, Mutation};

use crate::support::server;

fn fill(store: &MessageStore, count: usize) {
    let all = (0..count).map(|number| Mutation::add_message("c1", format!("rain {number}")));
    drop(store.batch(all.collect::<Batch>()).unwrap());
}

fn count(store: &MessageStore) -> usize {
    store.search("rain").unwrap().len()
}

#[test]
fn who_may_not_read_the_index_finds_the_same() {
    let Some(server) = server::shared() else { return };
    let store = MessageStore::connect(server.url("unseen")).unwrap();
    fill(&store, 200);
    assert_eq!(count(&store), 200);
    server.sql(
        "CREATE ROLE blinkered LOGIN; GRANT USAGE ON SCHEMA unseen TO blinkered; \
         GRANT SELECT ON ALL TABLES IN SCHEMA unseen TO blinkered; \
         REVOKE ALL ON unseen.aral_search, unseen.aral_search_stale, unseen.aral_search_index FROM blinkered",
    );
    let url = server.url("unseen").replace("app@", "blinkered@");
    assert_eq!(count(&MessageStore::options().read_only().connect(&url).unwrap()), 200);
    // Also if it opens the store to write, and is told that it may not only then.
    assert_eq!(count(&MessageStore::connect(&url).unwrap()), 200);
}

#[test]
fn an_index_that_somebody_drops_hides_nothing_and_is_made_anew_when_it_is_there_again() {
    let Some(server) = server::shared() else { return };
    let store = MessageStore::connect(server.url("dropped")).unwrap();
    fill(&store, 200);
    assert_eq!(count(&store), 200);
    server.sql("DELETE FROM dropped.aral_search_index WHERE seq = 7");
    let found = store.verify().unwrap().damaged;
    assert!(found.len() == 1 && found[0].reason.contains("DELETE FROM aral_search"), "{found:?}");
    server.sql("DELETE FROM dropped.aral_search");
    assert_eq!(count(&store), 200);
    assert_eq!(store.verify().unwrap().damaged, []);
    server.sql("DROP TABLE dropped.aral_search_index");
    assert_eq!(count(&store), 200);
    fill(&store, 200);
    assert_eq!(count(&store), 400);
}

#[test]
fn stores_that_search_and_append_at_once_do_one_another_no_harm() {
    let Some(server) = server::shared() else { return };
    let url = server.url("searched");
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let store = MessageStore::connect(&url).unwrap();
                for round in 1..=4 {
                    fill(&store, 150);
                    assert!(count(&store) >= round * 150);
                }
            });
        }
    });
    let store = MessageStore::connect(&url).unwrap();
    assert_eq!(count(&store), 1800);
    assert_eq!(store.verify().unwrap().damaged, []);
    assert_eq!(server.sql("SELECT COUNT(*) > 1600 FROM searched.aral_search_index"), "t");
}
