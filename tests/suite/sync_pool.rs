//! Compactions and exports of so many files that threads sync them.

use std::sync::Arc;

use aral_store::vfs::Vfs;
use aral_store::{MessageStore, Messages, Mutation, NewMessage, Order};

use crate::support::driver::{self, DIR};
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::simfs::{self, SimFs, errno::EIO};

/// More than are synced one after the other.
const FILES: usize = 100;

fn open(vfs: &Arc<dyn Vfs>) -> MessageStore {
    MessageStore::options().vfs(Arc::clone(vfs)).compact_manually().open(DIR).unwrap()
}

fn on(sim: &SimFs) -> Arc<dyn Vfs> {
    Arc::new(sim.clone())
}

fn say_in_all(store: &MessageStore) {
    let say = |n| Mutation::add_message(format!("c{n}"), NewMessage::new(format!("said in {n}")));
    drop(store.batch((0..FILES).map(say).collect::<Vec<_>>()).unwrap());
}

/// A store with one more message in each conversation.
fn grown(vfs: &Arc<dyn Vfs>) -> MessageStore {
    let store = open(vfs);
    say_in_all(&store);
    store
}

fn holds(store: &MessageStore, messages: usize) {
    assert_eq!(store.conversations(Order::Created).unwrap().len(), FILES);
    for n in 0..FILES {
        let found = store.messages(&format!("c{n}"), Messages::all()).unwrap();
        assert!(
            found.len() == messages
                && found.iter().all(|message| message.content == format!("said in {n}").as_str())
        );
    }
}

#[test]
fn many_files_are_durable_when_a_compaction_returns() {
    for seed in 0..20 {
        let sim = driver::fresh(simfs::Settings::default());
        let store = grown(&on(&sim));
        assert_eq!(store.compact().unwrap().written, FILES);
        let cut = sim.crash(&mut simfs::SplitMix::new(seed));
        holds(&open(&on(&cut)), 1);
        assert!(open(&on(&cut)).verify().unwrap().is_sound());
    }
}

#[test]
fn a_sync_that_fails_among_many_fails_the_compaction_and_loses_nothing() {
    for nth in [1, 2, 37, 99, 100] {
        let sim = driver::fresh(simfs::Settings::default());
        let failing = FaultFs::over_sim(&sim, Vec::new());
        let vfs: Arc<dyn Vfs> = Arc::new(failing.clone());
        let store = grown(&vfs);
        drop(store.compact().unwrap());
        drop(store);
        let store = grown(&vfs);
        failing.replan(vec![Rule::new(Call::Sync, nth, Fault::Errno(EIO)).on("/conversations/.staged-")]);
        store.compact().unwrap_err();
        assert!(failing.all_fired(), "the {nth}th sync");
        holds(&store, 2);
        drop(store.compact().unwrap());
        holds(&store, 2);
        drop(store);
        for seed in 0..3 {
            holds(&open(&on(&sim.crash(&mut simfs::SplitMix::new(seed)))), 2);
        }
    }
}

#[test]
fn a_sync_that_fails_among_many_fails_an_export() {
    let sim = driver::fresh(simfs::Settings::default());
    let failing = FaultFs::over_sim(&sim, Vec::new());
    let vfs: Arc<dyn Vfs> = Arc::new(failing.clone());
    let store = grown(&vfs);
    failing.replan(vec![Rule::new(Call::Sync, 50, Fault::Errno(EIO)).on("/exported/conversations/")]);
    let to = |name: &str| std::path::Path::new(DIR).with_file_name(name);
    store.export_aral(to("exported"), None).unwrap_err();
    assert!(failing.all_fired());
    let report = store.export_aral(to("again"), None).unwrap();
    assert_eq!((report.conversations, report.damaged.len()), (u64::try_from(FILES).unwrap(), 0));
}

#[test]
fn others_write_and_read_while_many_files_are_synced_on_a_real_disk() {
    const ROUNDS: usize = 3;
    let dir = tempfile::tempdir().unwrap();
    let store = MessageStore::options().compact_manually().open(dir.path().join("store")).unwrap();
    for round in 0..ROUNDS {
        say_in_all(&store);
        std::thread::scope(|scope| {
            let compaction = scope.spawn(|| store.compact().unwrap().written);
            scope.spawn(|| {
                for n in 0..FILES {
                    let found = store.messages(&format!("c{n}"), Messages::all()).unwrap();
                    assert_eq!(found.iter().filter(|message| message.content != "beside").count(), round + 1);
                }
            });
            for n in 0..10 {
                drop(store.add_message(&format!("c{n}"), "beside").unwrap());
            }
            let to = dir.path().join(format!("exported {round}"));
            assert_eq!(store.export_aral(to, None).unwrap().conversations, u64::try_from(FILES).unwrap());
            assert_eq!(compaction.join().unwrap(), FILES);
        });
    }
    store.close().unwrap();
    let store = MessageStore::open(dir.path().join("store")).unwrap();
    assert!(store.verify().unwrap().is_sound());
    for n in 0..FILES {
        let expected = ROUNDS + if n < 10 { ROUNDS } else { 0 };
        assert_eq!(store.messages(&format!("c{n}"), Messages::all()).unwrap().len(), expected);
    }
}
