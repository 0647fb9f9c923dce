//! Ids of one's own that are held to be unique: in every backend, in batches, and by many threads at once.

use std::sync::Arc;

use aral_store::{
    Batch, Edit, ErrorKind, JsonObject, MessageStore, Messages, Mutation, NewAction, NewConversation,
    NewMessage, Operation, UniqueIds,
};

use crate::support::driver::{self, DIR};
use crate::support::simfs;

/// A store in memory, and one in files, whose handle asks for this.
fn stores(rule: UniqueIds) -> [MessageStore; 2] {
    let fs = driver::fresh(simfs::Settings::default());
    let options = || MessageStore::options().unique_ids(rule);
    [options().in_memory(), options().vfs(Arc::new(fs)).open(DIR).unwrap()]
}

fn message(id: &str, content: &str) -> NewMessage {
    NewMessage::new(content).id(id)
}

fn action(id: &str) -> NewAction {
    NewAction::new("call", JsonObject::EMPTY).id(id)
}

fn ids(store: &MessageStore) -> Vec<String> {
    store.messages("c1", Messages::all()).unwrap().iter().map(|message| message.id.to_string()).collect()
}

fn exists<T: std::fmt::Debug>(result: aral_store::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[test]
fn an_id_that_is_taken_is_refused_if_asked_so() {
    for store in stores(UniqueIds::Refuse) {
        store.add_message("c1", message("m1", "one")).unwrap();
        // Before and behind a compaction, which memory has none of.
        for _ in 0..2 {
            exists(store.add_message("c1", message("m1", "one")));
            store.compact().ok();
        }
        // Another conversation, an action, and an id that the store makes up are other things.
        store.add_message("c2", message("m1", "one")).unwrap();
        store.add_action("c1", action("m1")).unwrap();
        exists(store.add_action("c1", action("m1")));
        store.add_message("c1", "any").unwrap();
        assert_eq!(ids(&store).len(), 2);
        // What was taken away leaves its id to others.
        store.remove_message("c1", "m1").unwrap();
        store.add_message("c1", message("m1", "two")).unwrap();
        store.clear("c1").unwrap();
        store.add_message("c1", message("m1", "three")).unwrap();
        store.remove_conversation("c1").unwrap();
        store.add_message("c1", message("m1", "four")).unwrap();
        exists(store.add_message("c1", message("m1", "five")));
    }
}

#[test]
fn without_asking_both_are_kept_and_the_later_one_is_meant() {
    for store in stores(UniqueIds::Off) {
        store.add_message("c1", message("m1", "one")).unwrap();
        store.add_message("c1", message("m1", "two")).unwrap();
        store.edit_message("c1", "m1", Edit::content("edited")).unwrap();
        let texts: Vec<_> =
            store.messages("c1", Messages::all()).unwrap().into_iter().map(|m| m.content).collect();
        assert_eq!(texts, ["one", "edited"]);
        // A mutation may ask by itself.
        exists(
            store.append(Mutation::add_message("c1", message("m1", "three")).unique_ids(UniqueIds::Refuse)),
        );
    }
}

#[test]
fn a_batch_is_held_to_it_as_a_whole() {
    for store in stores(UniqueIds::Refuse) {
        exists(
            store.batch(
                Batch::new().add_message("c1", message("m1", "a")).add_message("c1", message("m1", "b")),
            ),
        );
        assert!(store.conversation("c1").unwrap().is_none());
        store.add_message("c1", message("m1", "one")).unwrap();
        exists(
            store.batch(
                Batch::new().add_message("c1", message("m2", "a")).add_message("c1", message("m1", "b")),
            ),
        );
        assert_eq!(ids(&store), ["m1"]);
        // Within a batch an id is free again once what had it is gone.
        let anew = Batch::new()
            .reset_conversation("c1", NewConversation::new())
            .add_message("c1", message("m1", "two"))
            .remove_message("c1", "m1")
            .add_message("c1", message("m1", "three"));
        store.batch(anew).unwrap();
        assert_eq!(store.message("c1", "m1").unwrap().unwrap().content, "three");
    }
}

#[test]
fn what_is_there_already_counts_if_it_is_the_same() {
    for store in stores(UniqueIds::Existing) {
        let first = store.add_message("c1", message("m1", "one")).unwrap();
        assert_eq!(store.add_message("c1", message("m1", "one")).unwrap(), first);
        store.add_action("c1", action("a1")).unwrap();
        let again = store.add_message("c1", message("m1", "one")).unwrap();
        // What is told of it is what holds by now.
        assert_eq!((again.id.clone(), again.seq, again.version), (first.id, 2, 2));
        store.compact().ok();
        assert_eq!(store.add_message("c1", message("m1", "one")).unwrap(), again);
        assert_eq!(store.add_action("c1", action("a1")).unwrap().id, "a1");
        exists(store.add_message("c1", message("m1", "another")));
        exists(store.add_message("c1", message("m1", "one").role("assistant")));
        let both = || Batch::new().add_message("c1", message("m1", "one")).add_action("c1", action("a1"));
        assert_eq!(store.batch(both()).unwrap().len(), 2);
        exists(store.batch(both().add_message("c1", message("m2", "new"))));
        exists(store.batch(both().push(Mutation::new("c1", Operation::Clear))));
        assert_eq!(store.summary("c1").unwrap().unwrap().version, 2);
    }
}

#[test]
fn of_many_threads_one_adds_and_the_others_hear_of_it() {
    for rule in [UniqueIds::Refuse, UniqueIds::Existing] {
        for store in stores(rule) {
            let results: Vec<_> = std::thread::scope(|scope| {
                let add = |_| {
                    scope.spawn(|| {
                        (0..20)
                            .map(|n| store.add_message("c1", message(&format!("m{n}"), "x")))
                            .collect::<Vec<_>>()
                    })
                };
                let threads: Vec<_> = (0..4).map(add).collect();
                threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
            });
            let refused = results.iter().filter(|result| result.is_err()).count();
            assert_eq!(refused, if rule == UniqueIds::Refuse { 60 } else { 0 });
            results.into_iter().filter(Result::is_err).for_each(exists);
            let mut ids = ids(&store);
            ids.sort();
            ids.dedup();
            assert_eq!((ids.len(), store.summary("c1").unwrap().unwrap().messages), (20, 20));
        }
    }
}

#[test]
fn the_rule_is_that_of_the_handle() {
    let dir = tempfile::tempdir().unwrap();
    let open = |rule| MessageStore::options().unique_ids(rule).open(dir.path()).unwrap();
    let (free, strict) = (open(UniqueIds::Off), open(UniqueIds::Refuse));
    free.add_message("c1", message("m1", "one")).unwrap();
    free.add_message("c1", message("m1", "two")).unwrap();
    exists(strict.add_message("c1", message("m1", "three")));
    exists(strict.clone().add_message("c1", message("m1", "three")));
    assert_eq!(ids(&free), ["m1", "m1"]);
}
