//! Messages that are lent: what the function that is lent them may do, and what compactions beside it do to it.

use aral_store::{Edit, ErrorKind, MessageRef, MessageStore, Messages, NewMessage, Options};

use crate::regressions::{add, added, fresh, on, on_shared, open, texts};
use crate::support::driver::DIR;
use crate::support::faultfs::Call;
use crate::support::hooks::Hooked;

fn lent(store: &MessageStore, id: &str) -> aral_store::Result<Vec<String>> {
    let mut texts = Vec::new();
    let each = |message: MessageRef<'_>| texts.push(message.content.as_str().unwrap().to_owned());
    store.for_each_message(id, Messages::all(), each).map(|()| texts)
}

#[test]
fn whoever_is_lent_a_message_may_use_the_store() {
    for options in [None, Some(on(fresh()))] {
        let store = options.map_or_else(MessageStore::in_memory, open);
        let add = |n| {
            let message = NewMessage::new(format!("m{n}")).id(format!("id{n}"));
            drop(store.add_message("c1", message).unwrap());
        };
        (0..3).for_each(add);
        let is_in_files = store.compact().is_ok();
        (3..5).for_each(add);
        let mut seen = Vec::new();
        let lending = store.for_each_message("c1", Messages::all(), |message| {
            // What is written meanwhile is not among what is lent, and what is lent stays what it was.
            drop(store.add_message("c2", message.content.as_str().unwrap()).unwrap());
            drop(store.edit_message("c1", "id4", Edit::content("edited")).unwrap());
            drop(store.add_message("c1", "later").unwrap());
            assert_eq!(store.compact().is_ok(), is_in_files);
            assert_eq!(store.message("c1", message.id).unwrap().unwrap().id, message.id.to_text());
            seen.push(message.content.to_string());
        });
        lending.unwrap();
        assert_eq!((seen, texts(&store, "c2")), (added(0..5), added(0..5)));
        assert_eq!(texts(&store, "c1").len(), 10);
    }
}

#[test]
fn a_panic_of_whoever_is_lent_a_message_leaves_the_store_as_it_was() {
    let store = open(on(fresh()));
    add(&store, "c1", 0..3);
    let lending = std::panic::AssertUnwindSafe(|| {
        store.for_each_message("c1", Messages::all(), |message| assert_ne!(message.id, "id1"))
    });
    std::panic::catch_unwind(lending).unwrap_err();
    add(&store, "c1", 3..4);
    assert_eq!(lent(&store, "c1").unwrap(), added(0..4));
}

/// A store whose `c1` has been read from its file, and the file system that it is on.
fn read_once() -> (std::sync::Arc<Hooked>, MessageStore) {
    let hooked = Hooked::over(fresh());
    let store = open(on_shared(&hooked));
    add(&store, "c1", 0..6);
    drop(store.compact().unwrap());
    assert_eq!(texts(&store, "c1"), added(0..6));
    let_go(&store);
    (hooked, store)
}

/// Lets the store open anew what it reads from: a compaction of something else lets go of what is kept open, and
/// leaves what is known of a conversation.
fn let_go(store: &MessageStore) {
    add(store, "c2", 0..1);
    store.compact().unwrap();
}

#[test]
fn lending_goes_on_where_it_was_when_a_compaction_has_moved_the_rest() {
    let (hooked, store) = read_once();
    // More than are kept open. Read after the edit, which has looked into the file, they take its place.
    let others: Vec<String> = (0..64).map(|n| format!("other {n}")).collect();
    for id in &others {
        add(&store, id, 0..1);
    }
    store.compact().unwrap();
    drop(store.edit_message("c1", "id2", Edit::content("longer than it was")).unwrap());
    for id in &others {
        assert_eq!(texts(&store, id), added(0..1));
    }
    let writer = store.clone();
    hooked.before(Call::Open, "c1.json", move || drop(writer.compact().unwrap()));
    let mut ought = added(0..6);
    ought[2] = "longer than it was".to_owned();
    assert_eq!(lent(&store, "c1").unwrap(), ought);
    assert!(hooked.has_begun());
}

#[test]
fn lending_ends_where_the_rest_may_be_something_else() {
    let (hooked, store) = read_once();
    let writer = store.clone();
    hooked.before(Call::Open, "c1.json", move || {
        drop(writer.edit_message("c1", "id2", Edit::content("longer than it was")).unwrap());
        drop(writer.compact().unwrap());
    });
    let mut count = 0;
    let error = store.for_each_message("c1", Messages::all(), |_| count += 1).unwrap_err();
    assert_eq!((error.kind(), count), (ErrorKind::Conflict, 2));
    assert!(hooked.has_begun());
    assert_eq!(lent(&store, "c1").unwrap().len(), 6);
}

#[test]
fn lending_does_not_go_on_in_another_conversation_of_the_same_id_and_version() {
    let (hooked, store) = read_once();
    let before = store.summary("c1").unwrap().unwrap().version;
    let (writer, first) = (store.clone(), store.messages("c1", Messages::first(2)).unwrap());
    let_go(&store);
    hooked.before(Call::Open, "c1.json", move || {
        drop(writer.remove_conversation("c1").unwrap());
        // The first two of its file are what they were, so that the reader takes them for its own.
        for message in first {
            let same = NewMessage::new(message.content).id(message.id).created_at(message.created_at);
            drop(writer.add_message("c1", same).unwrap());
        }
        (2..before).for_each(|n| drop(writer.add_message("c1", format!("of the other one, {n}")).unwrap()));
        drop(writer.compact().unwrap());
    });
    let mut count = 0;
    let error = store.for_each_message("c1", Messages::all(), |_| count += 1).unwrap_err();
    assert_eq!((error.kind(), count), (ErrorKind::Conflict, 2));
    assert_eq!(store.summary("c1").unwrap().unwrap().version, before);
    assert!(hooked.has_begun());
}

#[test]
fn a_reader_lends_on_from_the_newer_state() {
    let sim = fresh();
    let store = open(on(sim.clone()));
    add(&store, "c1", 0..3);
    drop(store.compact().unwrap());
    let viewer = open(on(sim).read_only());
    assert_eq!(lent(&viewer, "c1").unwrap(), added(0..3));
    add(&store, "c1", 3..5);
    drop(store.set_title("c1", "A title that moves all messages").unwrap());
    drop(store.compact().unwrap());
    let seen = lent(&viewer, "c1").unwrap();
    assert_eq!(seen, added(0..seen.len()));
    assert_eq!(viewer.message("c1", "id1").unwrap().unwrap().content, "m1");
}

#[test]
fn of_messages_with_the_same_id_the_last_is_found_wherever_they_lie() {
    let check = |store: &MessageStore, ought: Option<&str>| {
        let found = store.message("c1", "id1").unwrap();
        assert_eq!(found.as_ref().and_then(|message| message.content.as_str()), ought);
        assert_eq!(store.message("c1", "id").unwrap(), None);
        assert_eq!(store.message("c2", "id1").unwrap(), None);
    };
    let sim = fresh();
    let options = || -> Options { on(sim.clone()) };
    let store = open(options());
    add(&store, "c1", 0..3);
    add(&store, "c1", 1..2);
    check(&store, Some("m1"));
    drop(store.edit_message("c1", "id1", Edit::content("edited")).unwrap());
    check(&store, Some("edited"));
    drop(store.compact().unwrap());
    check(&store, Some("edited"));
    check(&options().read_only().open(DIR).unwrap(), Some("edited"));
    drop(store.remove_message("c1", "id1").unwrap());
    check(&store, Some("m1"));
    drop(store.remove_message("c1", "id1").unwrap());
    check(&store, None);
}
