//! The list of conversations by pages, in both orders, while others append.

use aral_store::{Conversations, ErrorKind, MessageStore, Mutation, NewConversation, Order, Summary};

/// Memory; a log; JSON files with a log behind them; files without a log, all of one time; and what a reader sees.
fn stores(home: &std::path::Path) -> Vec<MessageStore> {
    let memory = MessageStore::in_memory();
    let log = MessageStore::open(home.join("log")).unwrap();
    let files = MessageStore::open(home.join("files")).unwrap();
    let time = "2025-03-13T15:11:33".parse().unwrap();
    for store in [&memory, &log, &files] {
        for n in 0..10 {
            let new = NewConversation::new().created_at(time);
            store.create_conversation_with_id(&format!("c{n}"), new).unwrap();
        }
    }
    files.export_aral(home.join("adopted"), None).unwrap();
    let adopted = MessageStore::open(home.join("adopted")).unwrap();
    files.compact().unwrap();
    for store in [&memory, &log, &files, &adopted] {
        store.add_message("c3", "newest").unwrap();
    }
    let viewer = MessageStore::options().read_only().open(home.join("files")).unwrap();
    vec![memory, log, files, adopted, viewer]
}

fn ids(summaries: &[Summary]) -> Vec<&str> {
    summaries.iter().map(|summary| summary.id.as_str()).collect()
}

/// Every page of so many, and between two pages whatever is done then.
fn paged(
    store: &MessageStore,
    order: Order,
    count: usize,
    mut between: impl FnMut(&[Summary]),
) -> Vec<Summary> {
    let mut listed: Vec<Summary> = Vec::new();
    loop {
        let mut selection = Conversations::by(order).first(count);
        if let Some(last) = listed.last() {
            selection = selection.after(last);
        }
        let page = store.conversations(selection).unwrap();
        assert!(page.len() <= count && listed.len() <= 20, "{listed:?}");
        if page.is_empty() {
            return listed;
        }
        listed.extend(page);
        between(&listed);
    }
}

#[test]
fn the_pages_are_the_list() {
    let home = tempfile::tempdir().unwrap();
    for store in stores(home.path()) {
        for order in [Order::Created, Order::Activity] {
            let whole = store.conversations(order).unwrap();
            assert_eq!(whole.len(), 10);
            for count in [1, 3, 10, 11] {
                assert_eq!(ids(&paged(&store, order, count, |_| {})), ids(&whole), "{order:?} by {count}");
            }
            // By an id it is the place that the conversation has now.
            for (n, summary) in whole.iter().enumerate() {
                let rest = store.conversations(Conversations::by(order).after(&summary.id)).unwrap();
                assert_eq!(ids(&rest), ids(&whole[n + 1..]));
            }
        }
    }
}

#[test]
fn what_changes_meanwhile_is_not_listed_twice() {
    let home = tempfile::tempdir().unwrap();
    for store in stores(home.path()).into_iter().take(4) {
        let whole = store.conversations(Order::Activity).unwrap();
        let unseen = whole.last().unwrap().id.clone();
        let listed = paged(&store, Order::Activity, 2, |listed| {
            // What is listed already, what is not yet, and one that begins.
            store.add_message(&listed[0].id, "again").unwrap();
            store.add_message(&listed.last().unwrap().id, "again").unwrap();
            store.add_message(&unseen, "to the front").unwrap();
            store.add_message(&format!("new{}", listed.len()), "begins").unwrap();
        });
        assert_eq!(ids(&listed), ids(&whole[..9]), "the last one is at the front by now");
        let front = store.conversations(Conversations::by(Order::Activity).first(2)).unwrap();
        assert!(ids(&front).contains(&unseen.as_str()));
    }
}

#[test]
fn what_begins_meanwhile_is_on_the_last_page_of_those_in_order_of_creation() {
    let home = tempfile::tempdir().unwrap();
    for store in stores(home.path()).into_iter().take(4) {
        let listed = paged(&store, Order::Created, 4, |listed| {
            if listed.len() == 4 {
                store.add_message("new", "begins").unwrap();
                store.add_message("c0", "changes").unwrap();
                store.compact().ok();
            }
        });
        let whole: Vec<String> = (0..10).map(|n| format!("c{n}")).chain(["new".to_owned()]).collect();
        assert_eq!(ids(&listed), whole);
    }
}

#[test]
fn behind_what_is_gone_there_is_no_page() {
    let home = tempfile::tempdir().unwrap();
    for store in stores(home.path()).into_iter().take(4) {
        let gone = store.summary("c4").unwrap().unwrap();
        store.append(Mutation::new("c4", aral_store::Operation::RemoveConversation)).unwrap();
        for selection in [
            Conversations::by(Order::Created).after(&gone),
            Conversations::by(Order::Created).after("c4"),
            Conversations::by(Order::Activity).after("c4"),
        ] {
            assert_eq!(store.conversations(selection).unwrap_err().kind(), ErrorKind::NotFound);
        }
        // Where it stood among the others is known all the same, if it was seen there.
        let seen = store.summary("c7").unwrap().unwrap();
        store.append(Mutation::new("c7", aral_store::Operation::RemoveConversation)).unwrap();
        let rest = store.conversations(Conversations::by(Order::Activity).after(&seen)).unwrap();
        assert!(!ids(&rest).is_empty() && !ids(&rest).contains(&"c3"));
    }
}
