//! A copy of one store is not gone on with from another one.

use aral_store::{ErrorKind, MessageStore, Order};

/// Stores of which nothing tells one from the other are told apart by what they hold.
#[test]
fn another_store_does_not_pass_for_the_one_that_was_copied_whatever_is_known_of_either() {
    let dir = tempfile::tempdir().unwrap();
    let original = |name: &str| {
        let place = dir.path().join(name);
        let store = MessageStore::in_memory();
        drop(store.add_message(name, "x").unwrap());
        store.export_aral(&place, None).unwrap();
        MessageStore::options().read_only().open(&place).unwrap()
    };
    let in_memory = |name: &str| {
        let store = MessageStore::in_memory();
        drop(store.add_message(name, "x").unwrap());
        store
    };
    let pairs =
        [("in memory", [in_memory("a"), in_memory("b")]), ("original", [original("c"), original("d")])];
    for (kind, [one, other]) in pairs {
        let to = MessageStore::open(dir.path().join(format!("to {kind}"))).unwrap();
        one.copy_to(&to, |_| {}).unwrap();
        assert_eq!(one.copy_to(&to, |_| {}).unwrap().events, 0, "{kind}");
        let (list, last) = (to.conversations(Order::Created).unwrap(), to.stats().unwrap().last_seq);
        let refused = other.copy_to(&to, |_| {}).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{kind}: {refused}");
        assert_eq!(
            (to.conversations(Order::Created).unwrap(), to.stats().unwrap().last_seq),
            (list, last),
            "{kind}"
        );
    }
}
