//! A fork at a point in the past has what was there then, for good.
//!
//! Random programs on every engine that keeps events, each state noted as it was seen then.

use aral_store::{
    At, Conversation, ErrorKind, Fork, JsonObject, Keep, MessageStore, Messages, Mutation, NewMessage,
    Operation, SyncPolicy,
};

use crate::support::databases;
use crate::support::driver::{self, Driver, Home};
use crate::support::ops::{self, CONVERSATIONS, Op, Settings};
use crate::support::simfs::{self, SplitMix};
use crate::support::sources::Sources;

const SETTINGS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

fn homes(dir: &std::path::Path) -> Vec<Home> {
    let files = Home::Sim(driver::fresh(simfs::Settings::default()));
    [files].into_iter().chain(databases::of(dir)).collect()
}

/// What is shared: all but the names, the version and what says where it comes from.
fn shared(mut conversation: Conversation) -> Conversation {
    conversation.id = String::new();
    (conversation.version, conversation.title) = (0, "".into());
    conversation.created_at = aral_store::Timestamp::EPOCH;
    conversation.metadata = JsonObject::EMPTY;
    conversation
}

#[test]
fn a_fork_at_any_state_that_is_kept_has_what_was_there_then_whatever_becomes_of_its_parent() {
    let dir = tempfile::tempdir().unwrap();
    for seed in 20..22_u64 {
        for home in homes(&dir.path().join(seed.to_string())) {
            let (mut driver, mut choice) = (Driver::new(home, SETTINGS).unwrap(), SplitMix::new(seed));
            while driver.history.len() < 20 {
                let op = ops::op(&mut choice);
                if matches!(op, Op::Append(_) | Op::Batch(_) | Op::Fork { .. } | Op::Compact) {
                    driver.run(&op).unwrap();
                }
            }
            let (store, states) = (driver.store(), driver.history.clone());
            let mut forks = Vec::new();
            for then in &states {
                for id in CONVERSATIONS {
                    let was = store.at(then.last_seq).conversation(id);
                    let name = format!("fork {}", forks.len());
                    let fork = store.fork(id, Fork::at(then.last_seq).id(&name));
                    match was {
                        Ok(Some(was)) => {
                            let receipt = fork.unwrap();
                            let is = store.conversation(&name).unwrap().unwrap();
                            let from = is.forked_from().unwrap();
                            assert_eq!((from.conversation_id.as_str(), from.version), (id, was.version));
                            assert_eq!(receipt.version, is.version);
                            assert_eq!(store.summary(&name).unwrap().unwrap().last_seq, receipt.seq);
                            forks.push((name, shared(was)));
                        }
                        Ok(None) => assert_eq!(fork.unwrap_err().kind(), ErrorKind::NotFound),
                        Err(error) => assert_eq!(fork.unwrap_err().kind(), error.kind(), "{error}"),
                    }
                }
            }
            assert!(forks.len() > 20, "{}", forks.len());
            for id in CONVERSATIONS {
                drop(store.append(Mutation::new(id, Operation::RemoveConversation)));
            }
            if let Home::Sim(_) = &driver.home {
                drop(store.compact().unwrap());
            }
            let (home, store) = (driver.home.clone(), store.clone());
            store.close().unwrap();
            let store = driver::open(&home, SETTINGS, &Sources::default()).unwrap();
            for (name, was) in forks {
                assert_eq!(shared(store.conversation(&name).unwrap().unwrap()), was, "{name}");
            }
        }
    }
}

#[test]
fn what_cannot_be_forked_says_what_can() {
    let dir = tempfile::tempdir().unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    assert_eq!(store.keep_history(Keep::Nothing).unwrap().keep, Keep::Nothing);
    for id in ["m1", "m2"] {
        drop(store.add_message("c1", NewMessage::new(id).id(id)).unwrap());
    }
    drop(store.compact().unwrap());
    drop(store.add_message("c1", "3").unwrap());
    let says = |conversation: &str, fork: Fork, kind, words: &str| {
        let error = store.fork(conversation, fork).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    let missing = ErrorKind::NotFound;
    says("c2", Fork::new(), missing, r#"there is no conversation "c2""#);
    says("c1", Fork::through("m9"), missing, r#"there is no message "m9" in conversation "c1""#);
    says("c1", Fork::at(1), missing, "is no longer kept: its history is whole from event 2 on");
    says("c1", Fork::at(At::Version(9)), missing, "has had no version 9; its newest is 3");
    says("c1", Fork::new().id("c1"), ErrorKind::AlreadyExists, r#""c1""#);
    drop(store.remove_conversation("c1").unwrap());
    says("c1", Fork::new(), missing, "by event 4; fork what it was then, at event 3");
    says("c1", Fork::at(4), missing, r#"there was no conversation "c1" then"#);
    // As that says, so it is.
    let fork = store.fork("c1", Fork::at(3)).unwrap().conversation_id;
    assert_eq!(store.messages(&fork, Messages::all()).unwrap().len(), 3);
    let memory = MessageStore::in_memory();
    drop(memory.add_message("c1", "1").unwrap());
    drop(memory.add_message("c1", "2").unwrap());
    assert_eq!(memory.fork("c1", Fork::at(1)).unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(memory.fork("c1", Fork::at(2)).is_ok(), "that is what it is now");
}

#[test]
fn a_store_that_is_only_read_takes_no_fork() {
    let dir = tempfile::tempdir().unwrap();
    let store = MessageStore::open(dir.path()).unwrap();
    drop(store.add_message("c1", "1").unwrap());
    let reader = MessageStore::options().read_only().open(dir.path()).unwrap();
    assert_eq!(reader.fork("c1", Fork::new()).unwrap_err().kind(), ErrorKind::ReadOnly);
}
