//! What was is found again, and what is gone back to is what was.
//!
//! Random programs on every engine that keeps events, each state noted as it was seen then.

use aral_store::{
    At, Change, Conversation, Edit, ErrorKind, Fork, Keep, MessageStore, Messages, Mutation, NewMessage,
    Operation, Retention, SyncPolicy, Timestamp,
};

use crate::support::driver::{self, Driver, Home};
use crate::support::ops::{self, CONVERSATIONS, Op, Settings};
use crate::support::past;
use crate::support::simfs::{self, SplitMix};
use crate::support::sources::Sources;
use crate::support::{buckets, databases};

const SETTINGS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

/// A home on every engine that keeps events, and that is no network away.
fn near_homes(dir: &std::path::Path) -> Vec<Home> {
    let files = Home::Sim(driver::fresh(simfs::Settings::default()));
    [files].into_iter().chain(databases::of(dir)).collect()
}

/// A home on every engine that keeps events.
fn homes(dir: &std::path::Path) -> Vec<Home> {
    near_homes(dir).into_iter().chain(buckets::of("past")).collect()
}

/// Carries random changes out, until there are so many states.
fn run(home: Home, seed: u64, states: usize, compacts: bool) -> Driver {
    let (mut driver, mut choice) = (Driver::new(home, SETTINGS).unwrap(), SplitMix::new(seed));
    while driver.history.len() < states {
        let op = ops::op(&mut choice);
        if matches!(op, Op::Append(_) | Op::Batch(_) | Op::Reopen) || compacts && matches!(op, Op::Compact) {
            driver.run(&op).unwrap();
        }
    }
    driver
}

#[test]
fn every_state_that_is_kept_is_found_again_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..2_u64 {
        for home in near_homes(&dir.path().join(seed.to_string())) {
            let driver = run(home, seed, 30, true);
            let now = driver.history.last().unwrap();
            let mut whole = 0;
            for then in &driver.history {
                for id in CONVERSATIONS {
                    past::at(driver.store(), id, then, now).unwrap();
                    whole += u64::from(driver.store().at(then.last_seq).conversation(id).is_ok());
                }
            }
            assert!(whole > 100, "something is kept: {whole}");
            if let Home::Database(_) = driver.home {
                assert_eq!(
                    driver.store().history("c1").unwrap().whole_from,
                    0,
                    "a database keeps everything"
                );
            }
            driver.close().unwrap();
        }
    }
}

#[test]
fn over_a_network_every_state_is_found_again_through_compactions_and_gone_back_to() {
    for (seed, home) in (20..).zip(buckets::of("states")) {
        let mut driver = run(home, seed, 12, true);
        driver.run(&Op::Compact).unwrap();
        let (store, now) = (driver.store(), driver.history.last().unwrap());
        for then in driver.history.iter().rev().step_by(2) {
            for id in CONVERSATIONS {
                past::at(store, id, then, now).unwrap();
                // Nothing of it is gone.
                drop(store.at(then.last_seq).conversation(id).unwrap());
            }
        }
        assert_eq!((store.kept_history().unwrap().from, store.kept_history().unwrap().missing), (1, None));
        let then = &driver.history[driver.history.len() / 2];
        for id in CONVERSATIONS {
            let (Some(was), Some(_)) =
                (store.at(then.last_seq).conversation(id).unwrap(), store.conversation(id).unwrap())
            else {
                continue;
            };
            drop(store.revert(id, then.last_seq).unwrap());
            assert_eq!(content(store.conversation(id).unwrap()), content(Some(was)), "{id:?}");
        }
        driver.close().unwrap();
    }
}

/// What a conversation holds, without the version, which only ever grows.
fn content(mut conversation: Option<Conversation>) -> Option<Conversation> {
    if let Some(conversation) = &mut conversation {
        conversation.version = 0;
    }
    conversation
}

#[test]
fn what_is_gone_back_to_is_what_was_and_an_undo_takes_that_back() {
    let dir = tempfile::tempdir().unwrap();
    for seed in 10..12_u64 {
        for home in near_homes(&dir.path().join(seed.to_string())) {
            let driver = run(home, seed, 25, false);
            let (store, mut reverted) = (driver.store(), 0);
            for then in &driver.history {
                for id in CONVERSATIONS {
                    let before = store.conversation(id).unwrap();
                    let Ok(Some(was)) = store.at(then.last_seq).conversation(id) else { continue };
                    if was.title.is_empty() {
                        continue;
                    }
                    let receipts = store.revert(id, then.last_seq).unwrap();
                    assert_eq!(content(store.conversation(id).unwrap()), content(Some(was)), "{id:?}");
                    if receipts.is_empty() || before.is_none() {
                        assert!(
                            before.is_none() || content(before) == content(store.conversation(id).unwrap())
                        );
                        continue;
                    }
                    reverted += 1;
                    drop(store.undo(id, 1).unwrap());
                    assert_eq!(content(store.conversation(id).unwrap()), content(before), "{id:?}");
                }
            }
            assert!(reverted > 10, "{reverted}");
            driver.close().unwrap();
        }
    }
}

/// A store on every engine that keeps events, with a clock that a test can set.
fn each_store(test: impl Fn(&MessageStore, &Sources)) {
    let dir = tempfile::tempdir().unwrap();
    for home in homes(dir.path()) {
        let sources = Sources::default();
        let store = driver::open(&home, SETTINGS, &sources).unwrap();
        test(&store, &sources);
        store.close().unwrap();
    }
}

fn say(store: &MessageStore, id: &str) -> u64 {
    store.add_message("c1", NewMessage::new(format!("said as {id}")).id(id)).unwrap().seq
}

fn ids(store: &MessageStore) -> Vec<String> {
    let messages = store.messages("c1", Messages::all()).unwrap();
    messages.into_iter().map(|message| message.id.to_string()).collect()
}

fn remove(store: &MessageStore, operation: Operation) {
    drop(store.append(Mutation::new("c1", operation)).unwrap());
}

#[test]
fn forks_and_what_was_pruned_are_found_behind_compactions() {
    each_store(|store, _| {
        let compact = || match store.compact() {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
            Ok(report) => assert!(report.unkept.is_empty()),
        };
        let ids_at = |seq, id: &str| -> Vec<String> {
            let messages = store.at(seq).messages(id, Messages::all()).unwrap();
            messages.into_iter().map(|message| message.id.to_string()).collect()
        };
        let (_, then) = (say(store, "m1"), say(store, "m2"));
        compact();
        remove(store, Operation::RemoveMessage("m1".into()));
        compact();
        let forked = store.fork("c1", Fork::at(then).id("fork")).unwrap().seq;
        compact();
        let (_, full) = (say(store, "m3"), say(store, "m4"));
        let pruned = store.prune(&Retention::new().keep_last(1).only(["c1"])).unwrap().pruned;
        drop(store.append(Mutation::new("fork", Operation::RemoveConversation)).unwrap());
        compact();
        assert_eq!((pruned.len(), ids(store)), (1, vec!["m4".to_owned()]));
        assert_eq!(ids_at(full, "c1"), ["m2", "m3", "m4"]);
        assert_eq!(
            (ids_at(forked, "fork"), ids_at(then, "c1")),
            (vec!["m1".into(), "m2".into()], vec!["m1".into(), "m2".into()])
        );
        drop(store.unremove("fork").unwrap());
        drop(store.undo("c1", 1).unwrap());
        compact();
        assert_eq!(store.messages("fork", Messages::all()).unwrap().len(), 2);
        assert_eq!(ids(store), ["m2", "m3", "m4"]);
    });
}

#[test]
fn a_message_that_was_removed_comes_back_where_it_stood() {
    each_store(|store, _| {
        for id in ["m1", "m2", "m3"] {
            say(store, id);
        }
        remove(store, Operation::RemoveMessage("m2".into()));
        say(store, "m4");
        remove(store, Operation::RemoveMessage("m1".into()));
        assert_eq!(ids(store), ["m3", "m4"]);
        drop(store.unremove_item("c1", "m2").unwrap());
        drop(store.unremove_item("c1", "m1").unwrap());
        assert_eq!(ids(store), ["m1", "m2", "m3", "m4"]);
        let error = store.unremove_item("c1", "m1").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(store.unremove_item("c1", "m5").unwrap_err().kind(), ErrorKind::NotFound);
        remove(store, Operation::Clear);
        drop(store.unremove_item("c1", "m3").unwrap());
        assert_eq!(ids(store), ["m3"], "what went with all others comes back too");
    });
}

#[test]
fn a_conversation_that_was_removed_comes_back_and_one_that_is_there_does_not() {
    each_store(|store, _| {
        say(store, "m1");
        drop(store.set_title("c1", "Plans").unwrap());
        assert_eq!(store.unremove("c1").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(store.unremove("c2").unwrap_err().kind(), ErrorKind::NotFound);
        let was = store.conversation("c1").unwrap();
        remove(store, Operation::RemoveConversation);
        drop(store.unremove("c1").unwrap());
        assert_eq!(content(store.conversation("c1").unwrap()), content(was.clone()));
        assert_eq!(store.removed("c1").unwrap(), None);
        // A second life is no hindrance to looking at the first, and a version of both is neither.
        assert_eq!(store.at(2).conversation("c1").unwrap(), was);
        let last = store.history("c1").unwrap().events.last().unwrap().seq;
        for error in [
            store.at(At::Version(2)).conversation("c1").unwrap_err(),
            store.revert("c1", At::Version(2)).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.to_string().contains(&format!("after each of the events 2, {last}")), "{error}");
        }
        say(store, "m9");
        assert!(store.at(At::Version(3)).conversation("c1").unwrap().is_some(), "one life had it");
        assert_eq!(store.history("c1").unwrap().versions().unwrap()[..3], [1, 2, 0]);
    });
}

#[test]
fn undo_takes_batches_back_as_one_and_never_ends_a_conversation() {
    each_store(|store, _| {
        say(store, "m1");
        let two = [
            Mutation::add_message("c1", NewMessage::new("a").id("m2")),
            Mutation::add_message("c2", "of another one"),
            Mutation::add_message("c1", NewMessage::new("b").id("m3")),
        ];
        drop(store.batch(two.to_vec()).unwrap());
        drop(store.undo("c1", 1).unwrap());
        assert_eq!(ids(store), ["m1"]);
        assert!(store.conversation("c2").unwrap().is_some(), "only this conversation's part");
        drop(store.undo("c1", 1).unwrap());
        assert_eq!(ids(store), ["m1", "m2", "m3"]);
        let all = store.undo("c1", 4).unwrap_err();
        assert_eq!(all.kind(), ErrorKind::InvalidInput, "{all}");
        let more = store.undo("c1", 5).unwrap_err();
        assert_eq!(more.kind(), ErrorKind::NotFound, "{more}");
        assert_eq!(ids(store), ["m1", "m2", "m3"]);
    });
}

#[test]
fn an_id_that_is_used_twice_means_the_later_one_in_the_past_too() {
    each_store(|store, _| {
        say(store, "m1");
        say(store, "m1");
        say(store, "m2");
        let before = store.conversation("c1").unwrap();
        drop(store.edit_message("c1", "m1", Edit::content("the later one")).unwrap());
        let edited = store.conversation("c1").unwrap();
        remove(store, Operation::RemoveMessage("m1".into()));
        let removed = store.conversation("c1").unwrap();
        assert_eq!(store.at(3).conversation("c1").unwrap(), before);
        assert_eq!(store.at(4).conversation("c1").unwrap(), edited);
        assert_eq!(store.at(5).conversation("c1").unwrap(), removed);
        drop(store.revert("c1", 4).unwrap());
        assert_eq!(content(store.conversation("c1").unwrap()), content(edited));
        drop(store.revert("c1", 3).unwrap());
        assert_eq!(content(store.conversation("c1").unwrap()), content(before));
        drop(store.revert("c1", 1).unwrap());
        assert_eq!(ids(store), ["m1"]);
    });
}

#[test]
fn nothing_that_others_did_meanwhile_is_undone_unseen() {
    each_store(|store, _| {
        let first = say(store, "m1");
        say(store, "m2");
        // What a look at the past leads to holds only for the version that it was made for.
        let receipts = store.revert("c1", first).unwrap();
        assert_eq!(receipts.len(), 1);
        let events = store.history("c1").unwrap().events;
        assert!(matches!(&events.last().unwrap().event.change, Change::RemoveMessage(id) if *id == "m2"));
        assert!(store.revert("c1", first).unwrap().is_empty(), "it is so already");
    });
}

#[test]
fn a_time_means_what_had_happened_by_then_and_what_says_no_time_is_told() {
    each_store(|store, sources| {
        let time = |operation: u64| -> Timestamp { crate::support::sources::time(operation) };
        sources.begin(10);
        say(store, "m1");
        sources.begin(20);
        drop(store.edit_message("c1", "m1", Edit::content("edited")).unwrap());
        sources.begin(30);
        say(store, "m2");
        let texts = |at: At| -> Vec<String> {
            let messages = store.at(at).messages("c1", Messages::all()).unwrap();
            messages.into_iter().map(|message| message.content.to_string()).collect()
        };
        assert_eq!(store.at(At::Time(time(9))).conversation("c1").unwrap(), None);
        assert_eq!(texts(At::Time(time(10))), ["edited"]);
        let history = store.history("c1").unwrap();
        assert_eq!(history.unsure_from(At::Time(time(10))).unwrap(), Some(2));
        assert_eq!(history.unsure_from(At::Time(time(30))).unwrap(), None);
        assert_eq!(texts(At::Time(time(30))).len(), 2);
        assert_eq!(texts(At::Version(1)), ["said as m1"]);
        assert_eq!(store.at(At::Version(4)).conversation("c1").unwrap_err().kind(), ErrorKind::NotFound);
    });
}

/// It was said not to have been there, and was left out of the store as it was.
#[test]
fn a_time_at_which_a_conversation_was_there_is_refused_once_nothing_knows_what_it_was() {
    each_store(|store, sources| {
        let time = |operation: u64| -> Timestamp { crate::support::sources::time(operation) };
        sources.begin(10);
        say(store, "m1");
        drop(store.append(Mutation::new("c1", Operation::RemoveConversationAt(time(30)))).unwrap());
        let there = |at: u64| store.at(At::Time(time(at))).conversation("c1");
        assert_eq!(there(20).unwrap().unwrap().messages.len(), 1);
        if store.compact().is_err() {
            return; // A database keeps every event.
        }
        assert_eq!(store.keep_history(Keep::Nothing).unwrap().missing, None);
        assert_eq!(there(20).unwrap_err().kind(), ErrorKind::NotFound);
        let all = store.at(At::Time(time(20))).conversations();
        assert_eq!(all.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(there(40).unwrap(), None);
        assert_eq!(store.at(At::Time(time(40))).conversations().unwrap(), []);
    });
}

#[test]
fn what_a_compaction_has_dropped_is_refused_by_the_event_from_which_on_history_is_whole() {
    let home = Home::Sim(driver::fresh(simfs::Settings::default()));
    let store = driver::open(&home, SETTINGS, &Sources::default()).unwrap();
    assert_eq!(store.keep_history(Keep::Nothing).unwrap().dropped, None);
    let first = say(&store, "m1");
    let second = say(&store, "m2");
    drop(store.add_message("c2", "hi").unwrap());
    drop(store.compact().unwrap());
    let third = say(&store, "m3");
    remove(&store, Operation::RemoveConversation);
    let error = store.at(first).conversation("c1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("whole from event 2 on"), "{error}");
    let count =
        |seq| store.at(seq).conversation("c1").unwrap().map(|conversation| conversation.messages.len());
    assert_eq!(
        (count(second), count(second + 1), count(third), count(third + 1)),
        (Some(2), Some(2), Some(3), None)
    );
    drop(store.unremove("c1").unwrap());
    assert_eq!(ids(&store), ["m1", "m2", "m3"]);
    remove(&store, Operation::RemoveConversation);
    drop(store.compact().unwrap());
    let error = store.unremove("c1").unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains("no longer kept"), "{error}");
}

#[test]
fn engines_that_keep_no_events_say_so() {
    let store = MessageStore::in_memory();
    drop(store.add_message("c1", "hi").unwrap());
    assert_eq!(store.history("c1").unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(store.undo("c1", 1).unwrap_err().kind(), ErrorKind::Unsupported);
    // What has not changed since is there all the same.
    assert!(store.at(1).conversation("c1").unwrap().is_some());
}
