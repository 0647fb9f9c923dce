//! What a policy names goes, nothing else, and what is remembered says why.

use std::time::Duration;

use aral_store::{
    ErrorKind, Fork, JsonObject, MessageStore, Messages, Moment, Mutation, NewAction, NewConversation,
    NewMessage, Operation, Order, RemovalReason, Retention, RetentionPolicy, SyncPolicy, Timestamp,
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

const DAY: Duration = Duration::from_secs(86_400);

/// A message of long ago and one that is never old.
fn old_and_new(store: &MessageStore, id: &str) {
    for (message, time) in [("old", "2020-01-01T00:00:00Z"), ("new", "2100-01-01T00:00:00Z")] {
        let message = NewMessage::new(message).id(message).created_at(time.parse().unwrap());
        store.add_message(id, message).unwrap();
    }
}

#[test]
fn what_a_store_remembers_of_what_is_kept_is_gone_by_when_that_is_asked_for_and_not_before() {
    everywhere("prunestored", |engine, store| {
        for id in ["old", "held", "short"] {
            talk(store, id, 1..4);
        }
        old_and_new(store, "new");
        let none = store.prune_as_stored(&[]).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::InvalidInput, "{engine}: {none}");
        assert_eq!(
            (store.stats().unwrap().retention, store.retention().unwrap().store),
            (None, None),
            "{engine}"
        );
        let (aged, last) = (RetentionPolicy::new().older_than(90 * DAY), RetentionPolicy::new().keep_last(1));
        assert!(store.set_retention(None, &aged).is_ok(), "{engine}");
        assert!(store.set_retention(Some("held"), &RetentionPolicy::everything()).is_ok(), "{engine}");
        assert!(store.set_retention(Some("short"), &last).is_ok(), "{engine}");
        let kept = store.retention().unwrap();
        assert_eq!((kept.store, kept.conversations.len(), kept.unread.len()), (Some(aged), 2, 0), "{engine}");
        assert_eq!(store.stats().unwrap().retention, Some(aged), "{engine}");
        assert_eq!(store.conversations(Order::Created).unwrap().len(), 5, "nothing goes by that: {engine}");
        let planned = store.prunable_as_stored(&[]).unwrap();
        let names = |pruned: &[aral_store::Pruned]| {
            pruned.iter().map(|gone| gone.conversation_id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&planned.pruned), ["old", "short"], "{engine}");
        assert_eq!(ids(store, "short").len(), 3, "{engine}");
        let of_one = store.prune_as_stored(&["short".to_owned()]).unwrap();
        assert_eq!(
            (names(&of_one.pruned), ids(store, "short")),
            (vec!["short".to_owned()], vec!["m3".to_owned()])
        );
        let report = store.prune_as_stored(&[]).unwrap();
        assert_eq!(names(&report.pruned), ["old"], "{engine}");
        assert_eq!((ids(store, "held").len(), ids(store, "new").len()), (3, 2), "{engine}");
        assert!(store.prune_as_stored(&[]).unwrap().pruned.is_empty(), "once is enough: {engine}");
        // What is asked for by name and by word means what it says; that which has the policy is no old conversation.
        let asked =
            store.prune(&Retention::new().older_than("2090-01-01T00:00:00Z".parse().unwrap())).unwrap();
        assert_eq!(names(&asked.pruned), ["held", "short"], "{engine}");
        assert_eq!(store.retention().unwrap().store, Some(aged), "{engine}");
        assert!(store.clear_retention(None).unwrap().is_some(), "{engine}");
        assert!(store.clear_retention(None).unwrap().is_none(), "{engine}");
        assert_eq!(store.prune_as_stored(&[]).unwrap_err().kind(), ErrorKind::InvalidInput, "{engine}");
        assert_eq!(store.conversations(Order::Created).unwrap().len(), 1, "{engine}");
        assert!(store.set_retention(None, &last).is_ok(), "it begins again: {engine}");
        assert_eq!(store.retention().unwrap().store, Some(last), "{engine}");
    });
}

#[test]
fn a_policy_leaves_other_metadata_alone_and_goes_with_a_fork() {
    let store = MessageStore::in_memory();
    let metadata = JsonObject::parse(r#"{"user":"anna","n":NaN}"#).unwrap();
    store.create_conversation_with_id("c1", NewConversation::new().metadata(metadata.clone())).unwrap();
    let policy = RetentionPolicy::new().older_than(DAY).keep_last(7);
    store.set_retention(Some("c1"), &policy).unwrap();
    store.fork("c1", Fork::new().id("c2")).unwrap();
    assert_eq!(
        store.retention().unwrap().conversations.into_iter().collect::<Vec<_>>(),
        [("c1".to_owned(), policy), ("c2".to_owned(), policy)]
    );
    store.clear_retention(Some("c1")).unwrap();
    assert_eq!(store.conversation("c1").unwrap().unwrap().metadata, metadata);
    assert!(store.clear_retention(Some("c1")).unwrap().is_none());
    for error in [
        store.set_retention(Some("never"), &policy).unwrap_err(),
        store.clear_retention(Some("never")).unwrap_err(),
        store.prune_as_stored(&["never".to_owned()]).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
    for wrong in [RetentionPolicy::new().keep_last(0), RetentionPolicy::new().older_than(Duration::ZERO)] {
        assert_eq!(store.set_retention(None, &wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(store.stats().unwrap().retention, None);
}

#[test]
fn a_policy_that_cannot_be_understood_takes_nothing_and_is_named() {
    let store = MessageStore::in_memory();
    for id in ["a", "b", "c"] {
        talk(&store, id, 1..4);
    }
    let strange = JsonObject::parse(r#"{"aral_store_retention":{"keep_last":1,"unless":"pinned"}}"#).unwrap();
    store.set_retention(None, &RetentionPolicy::new().older_than(DAY)).unwrap();
    store.set_metadata("b", strange.clone()).unwrap();
    let report = store.prune_as_stored(&[]).unwrap();
    assert_eq!(
        (report.pruned.len(), report.unread.keys().cloned().collect::<Vec<_>>()),
        (2, vec!["b".to_owned()])
    );
    assert_eq!(ids(&store, "b").len(), 3);
    // Where it is that of the store, all that have none of their own stay.
    talk(&store, "a", 1..4);
    store.set_retention(Some("b"), &RetentionPolicy::new().keep_last(1)).unwrap();
    store.set_metadata(RetentionPolicy::STORE_CONVERSATION, strange).unwrap();
    let report = store.prune_as_stored(&[]).unwrap();
    assert_eq!((report.pruned.len(), report.unread.len()), (1, 1));
    assert_eq!((ids(&store, "a").len(), ids(&store, "b").len()), (3, 1));
    let stats = store.stats().unwrap();
    assert!(stats.retention.is_none() && stats.retention_error.is_some(), "{stats:?}");
    assert_eq!(store.retention().unwrap().unread.len(), 1);
}

#[test]
fn a_policy_survives_a_compaction_a_copy_a_backup_and_an_export() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let store = MessageStore::open(path("data")).unwrap();
    talk(&store, "c1", 1..4);
    let (all, one) = (RetentionPolicy::new().older_than(DAY), RetentionPolicy::new().keep_last(2));
    store.set_retention(None, &all).unwrap();
    store.set_retention(Some("c1"), &one).unwrap();
    let kept = store.retention().unwrap();
    store.compact().unwrap();
    let copies: Vec<_> =
        databases::of(&path("")).into_iter().map(|home| Driver::new(home, SETTINGS).unwrap()).collect();
    for copy in &copies {
        store.copy_to(copy.store(), |_| {}).unwrap();
        assert_eq!(copy.store().retention().unwrap(), kept);
    }
    store.export_aral(path("exported"), None).unwrap();
    store.close().unwrap();
    MessageStore::options().backup(path("data"), path("backup")).unwrap();
    MessageStore::options().restore(path("backup"), path("restored"), Moment::Newest).unwrap();
    for place in ["data", "exported", "restored"] {
        let store = MessageStore::open(path(place)).unwrap();
        assert_eq!(store.retention().unwrap(), kept, "{place}");
        store.close().unwrap();
    }
}
