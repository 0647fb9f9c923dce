//! What is remembered of what is kept, from the command line.

use aral_store::{JsonObject, MessageStore, RetentionPolicy};

use super::Room;

#[test]
fn a_policy_that_cannot_be_understood_is_named_with_those_that_nothing_goes_of() {
    let room = Room::new();
    room.run(&["add", "c1", "one"]).fine();
    room.run(&["add", "c1", "two"]).fine();
    room.run(&["retention", "set", "--keep-last", "1"]).fine();
    let store = MessageStore::open(room.store()).unwrap();
    let newer = JsonObject::parse(r#"{"aral_store_retention":{"keep_last":1,"unless":"pinned"}}"#).unwrap();
    drop(store.set_metadata(RetentionPolicy::STORE_CONVERSATION, newer).unwrap());
    store.close().unwrap();
    for command in [&["prune", "--dry-run"][..], &["prune", "--yes"], &["retention", "show"]] {
        let said = room.run(command);
        assert_eq!(said.code, Some(5), "{said:?}");
        assert!(
            said.err.contains("nothing of conversations that have no policy of their own is pruned"),
            "{said:?}"
        );
    }
    assert_eq!(room.run(&["stats"]).code, Some(5));
    assert_eq!(room.texts("c1"), ["one", "two"]);
}

#[test]
fn where_no_policy_is_remembered_nothing_goes_and_what_to_say_is_told() {
    let room = Room::new();
    room.run(&["add", "c1", "one"]).fine();
    for command in [&["prune", "--dry-run"][..], &["prune", "--yes"], &["prune", "c1", "--yes"]] {
        let said = room.run(command).fails(2);
        assert!(said.contains("no policy is remembered by retention"), "{said}");
    }
    // What is wrong with something else is told as that.
    let said = room.run(&["prune", "nowhere", "--yes"]).fails(3);
    assert!(!said.contains("no policy"), "{said}");
}
