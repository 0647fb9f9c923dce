//! What a policy names goes, nothing else, and what is remembered says why.

use aral_store::{
    ErrorKind, JsonObject, MessageStore, Messages, Mutation, NewAction, NewMessage, Operation, Order,
    RemovalReason, Retention, SyncPolicy, Timestamp,
};

use crate::support::databases;
use crate::support::driver::{self, Driver, Home};
use crate::support::ops::Settings;
use crate::support::{buckets, simfs};

const SETTINGS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

/// Does the same with a store on every engine.
fn everywhere(name: &str, law: impl Fn(&str, &MessageStore)) {
    let dir = tempfile::tempdir().unwrap();
    let mut homes = vec![Home::Memory, Home::Sim(driver::fresh(simfs::Settings::default()))];
    homes.extend(databases::of(dir.path()));
    homes.extend(buckets::of(name));
    for home in homes {
        let engine = format!("{home:?}");
        let driver = Driver::new(home, SETTINGS).unwrap();
        law(&engine, driver.store());
        driver.close().unwrap();
    }
}

fn day(day: u8) -> Timestamp {
    format!("2025-03-{day:02}T12:00:00Z").parse().unwrap()
}

/// A message of each of some days.
fn talk(store: &MessageStore, id: &str, days: impl IntoIterator<Item = u8>) {
    for at in days {
        let message = NewMessage::new(format!("{id} on day {at}")).id(format!("m{at}")).created_at(day(at));
        store.add_message(id, message).unwrap();
    }
}

fn ids(store: &MessageStore, conversation: &str) -> Vec<String> {
    let messages = store.messages(conversation, Messages::all()).unwrap();
    messages.into_iter().map(|message| message.id.to_string_lossy().into_owned()).collect()
}

#[test]
fn old_conversations_go_as_a_whole_and_the_error_says_why() {
    everywhere("prunewhole", |engine, store| {
        talk(store, "old", 1..4);
        talk(store, "new", 1..20);
        talk(store, "asked", 1..2);
        store.remove_conversation("asked").unwrap();
        let policy = Retention::new().older_than(day(10));
        let planned = store.prunable(&policy).unwrap();
        assert_eq!(planned.len(), 1, "{engine}");
        assert!(planned[0].is_whole && planned[0].messages == 3 && planned[0].events.is_none(), "{engine}");
        assert_eq!(store.conversations(Order::Created).unwrap().len(), 2, "a plan changes nothing: {engine}");
        let report = store.prune(&policy).unwrap();
        let (went, seq) = (&report.pruned[0], store.stats().unwrap().last_seq);
        assert_eq!((went.conversation_id.as_str(), went.events), ("old", Some((seq, seq))), "{engine}");
        assert_eq!(ids(store, "new").len(), 19, "{engine}");
        let why = |id: &str| store.removed(id).unwrap().map(|tombstone| tombstone.reason);
        assert_eq!(why("old"), Some(RemovalReason::Retention), "{engine}");
        assert_eq!((why("asked"), why("never")), (Some(RemovalReason::Asked), None), "{engine}");
        let listed: Vec<_> =
            store.tombstones().unwrap().into_iter().map(|gone| (gone.id, gone.reason)).collect();
        let asked = ("asked".to_owned(), RemovalReason::Asked);
        assert_eq!(listed, [("old".to_owned(), RemovalReason::Retention), asked], "{engine}");
        for (id, says) in [("old", "older than what is kept"), ("asked", "was removed"), ("never", "")] {
            let error = store.messages(id, Messages::all()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{engine}");
            assert!(error.message().contains(says), "{engine}: {error}");
            assert_eq!(says.is_empty(), error.message().ends_with('"'), "{engine}: {error}");
            assert_eq!(store.actions(id).unwrap_err().message(), error.message(), "{engine}");
        }
        assert!(store.prune(&policy).unwrap().pruned.is_empty(), "once is enough: {engine}");
    });
}

#[test]
fn the_newest_messages_stay_with_all_actions_and_no_turn_is_cut_through() {
    everywhere("prunelast", |engine, store| {
        talk(store, "c1", 1..8);
        let call = JsonObject::parse(r#"{"tool_calls": [{"id": "call_1"}]}"#).unwrap();
        let answer = JsonObject::parse(r#"{"tool_call_id": "call_1"}"#).unwrap();
        let calling = NewMessage::new("").id("call").role("assistant").metadata(call).created_at(day(8));
        store.add_message("c1", calling).unwrap();
        store
            .add_action("c1", NewAction::new("click", JsonObject::EMPTY).id("a1").created_at(day(1)))
            .unwrap();
        let result = NewMessage::new("rain").id("answer").role("tool").metadata(answer).created_at(day(9));
        store.add_message("c1", result).unwrap();
        talk(store, "short", 1..3);
        let report = store.prune(&Retention::new().keep_last(2)).unwrap();
        assert_eq!(report.pruned.len(), 1, "{engine}");
        let went = &report.pruned[0];
        assert_eq!((went.is_whole, went.messages, went.actions), (false, 6, 0), "{engine}");
        assert_eq!(went.range, Some(("m1".into(), "m6".into())), "{engine}");
        assert_eq!(ids(store, "c1"), ["m7", "call", "answer"], "the call and its turn stay: {engine}");
        assert_eq!(store.actions("c1").unwrap().len(), 1, "{engine}");
        assert_eq!(ids(store, "short"), ["m1", "m2"], "{engine}");
    });
}

#[test]
fn an_id_that_is_used_twice_is_not_mistaken_for_the_one_that_stays() {
    everywhere("prunetwice", |engine, store| {
        talk(store, "c1", [1, 2, 3]);
        store.add_message("c1", NewMessage::new("again").id("m1").created_at(day(4))).unwrap();
        let report = store.prune(&Retention::new().older_than(day(9)).keep_last(2)).unwrap();
        assert_eq!(report.pruned[0].messages, 2, "{engine}");
        assert_eq!(ids(store, "c1"), ["m3", "m1"], "{engine}");
        assert_eq!(store.messages("c1", Messages::last(1)).unwrap()[0].content, "again", "{engine}");
    });
}

#[test]
fn a_policy_that_says_nothing_or_too_much_is_refused_and_nothing_goes() {
    let store = MessageStore::in_memory();
    talk(&store, "c1", 1..3);
    for policy in [Retention::new(), Retention::new().older_than(day(9)).keep_last(0)] {
        assert_eq!(store.prune(&policy).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let unknown = Retention::new().older_than(day(9)).only(["c1", "c2"]);
    assert_eq!(store.prune(&unknown).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(ids(&store, "c1").len(), 2);
    let of_one = Retention::new().keep_last(1).only(["c1"]);
    talk(&store, "c2", 1..3);
    assert_eq!(store.prune(&of_one).unwrap().pruned.len(), 1);
    assert_eq!((ids(&store, "c1").len(), ids(&store, "c2").len()), (1, 2));
}

#[test]
fn a_time_that_may_be_later_is_no_reason_to_take_anything_away() {
    let store = MessageStore::in_memory();
    let naive: Timestamp = "2025-03-10T11:00:00".parse().unwrap();
    store.add_message("c1", NewMessage::new("somewhere").created_at(naive)).unwrap();
    assert!(store.prune(&Retention::new().older_than(day(10))).unwrap().pruned.is_empty());
    assert_eq!(store.prune(&Retention::new().older_than(day(12))).unwrap().pruned.len(), 1);
}

#[test]
fn what_was_pruned_is_brought_back_as_far_as_that_is_kept_and_a_compaction_forgets_no_reason() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let store = MessageStore::open(&path).unwrap();
    talk(&store, "c1", 1..5);
    store.prune(&Retention::new().older_than(day(9))).unwrap();
    store.unremove("c1").unwrap();
    assert_eq!(ids(&store, "c1").len(), 4);
    store.prune(&Retention::new().keep_last(1)).unwrap();
    store.undo("c1", 1).unwrap();
    assert_eq!(ids(&store, "c1").len(), 4);
    store.append(Mutation::new("c1", Operation::PruneConversation(None))).unwrap();
    store.compact().unwrap();
    store.close().unwrap();
    let store = MessageStore::open(&path).unwrap();
    assert_eq!(store.removed("c1").unwrap().unwrap().reason, RemovalReason::Retention);
    assert_eq!(store.tombstones().unwrap()[0].reason, RemovalReason::Retention);
}
