//! Handles are given up one by one, and whoever gives up the last one hears how the store ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use aral_store::vfs::Vfs;
use aral_store::{Clock, ErrorKind, MessageStore, Messages, Order, SyncPolicy};

use crate::support::driver::{self, DIR};
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::paced::Paced;
use crate::support::simfs::errno::EIO;
use crate::support::simfs::{self, SimFs};

fn fresh() -> SimFs {
    driver::fresh(simfs::Settings::default())
}

/// Opens the directory as this process does it, which one file system stands for.
fn open(vfs: &Arc<dyn Vfs>) -> aral_store::Result<MessageStore> {
    let options = MessageStore::options().sync(SyncPolicy::Os).compact_manually();
    options.vfs(Arc::clone(vfs)).open(DIR)
}

#[test]
fn the_last_handle_that_is_given_up_ends_the_store() {
    let sim = fresh();
    let (ours, others): (Arc<dyn Vfs>, Arc<dyn Vfs>) = (Arc::new(sim.clone()), Arc::new(sim));
    let (first, second) = (open(&ours).unwrap(), open(&ours).unwrap());
    let clone = first.clone();
    first.release().unwrap();
    drop(clone.add_message("c1", "a clone goes on").unwrap());
    clone.release().unwrap();
    drop(second.add_message("c1", "and so does another opening").unwrap());
    assert_eq!(open(&others).unwrap_err().kind(), ErrorKind::Locked);
    second.release().unwrap();
    let after = open(&others).unwrap();
    assert_eq!(after.messages("c1", Messages::all()).unwrap().len(), 2);
    assert!(after.recovery().torn.is_none());
}

#[test]
fn whoever_gives_up_the_last_handle_hears_of_a_failing_end() {
    let faults = FaultFs::over_sim(&fresh(), Vec::new());
    let vfs: Arc<dyn Vfs> = Arc::new(faults.clone());
    let (first, last) = (open(&vfs).unwrap(), open(&vfs).unwrap());
    drop(last.add_message("c1", "not synced").unwrap());
    faults.replan(vec![Rule::new(Call::Sync, 1, Fault::Errno(EIO)).for_ever()]);
    first.release().unwrap();
    assert_eq!(last.release().unwrap_err().kind(), ErrorKind::Io);
    faults.replan(Vec::new());
    open(&vfs).unwrap().release().unwrap();
}

#[test]
fn a_store_that_was_ended_for_all_is_given_up_without_a_word() {
    let vfs: Arc<dyn Vfs> = Arc::new(fresh());
    let (first, second) = (open(&vfs).unwrap(), open(&vfs).unwrap());
    first.close().unwrap();
    let third = open(&vfs).unwrap();
    second.release().unwrap();
    drop(third.add_message("c1", "another store in the same place").unwrap());
}

/// Opening and giving up meet in every order: nobody is handed a store that is just ending.
#[test]
fn opening_beside_the_last_release_gives_a_store_that_works() {
    let vfs: Arc<dyn Vfs> = Arc::new(fresh());
    thread::scope(|scope| {
        for thread in 0..4 {
            let vfs = &vfs;
            scope.spawn(move || {
                for n in 0..40 {
                    let store = open(vfs).unwrap();
                    drop(store.add_message("c1", format!("{thread} {n}")).unwrap());
                    if n % 2 == 0 {
                        store.release().unwrap();
                    }
                }
            });
        }
    });
    let store = open(&vfs).unwrap();
    assert_eq!(store.summary("c1").unwrap().unwrap().messages, 160);
}

/// A clock that stands, so that nobody goes by how long ago it was that the lock's file was changed.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now_micros(&self) -> i64 {
        0
    }

    fn elapsed_micros(&self) -> i64 {
        0
    }
}

/// Whoever finds the store in its place just before it ends waits for the end, and has a store of its own.
#[test]
fn whoever_opens_while_the_last_handle_is_given_up_has_another_store() {
    const NOT_YET: u8 = 0;
    const ENDS: u8 = 1;
    const IS_ENDING: u8 = 2;
    const IS_LOOKED_AT: u8 = 3;
    let step = Arc::new(AtomicU8::new(NOT_YET));
    let await_step = |step: &AtomicU8, least: u8| {
        while step.load(Ordering::SeqCst) < least {
            thread::yield_now();
        }
    };
    let move_on = |step: &AtomicU8, from: u8| {
        step.compare_exchange(from, from + 1, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    };
    let shared = Arc::clone(&step);
    let pace = move |call| {
        // The end syncs what was added; the other one reads the claim, to see whether the store is in its place.
        if call == Call::Sync && move_on(&shared, ENDS) {
            await_step(&shared, IS_LOOKED_AT);
        } else if call == Call::Read {
            move_on(&shared, IS_ENDING);
        }
    };
    let vfs: Arc<dyn Vfs> = Arc::new(Paced::over(fresh(), pace));
    let open = || {
        let options = MessageStore::options().sync(SyncPolicy::Os).compact_manually().clock(Still);
        options.vfs(Arc::clone(&vfs)).open(DIR).unwrap()
    };
    let store = open();
    drop(store.add_message("c1", "one").unwrap());
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            await_step(&step, IS_ENDING);
            open()
        });
        move_on(&step, NOT_YET);
        store.release().unwrap();
        let other = other.join().unwrap();
        drop(other.add_message("c1", "two").unwrap());
        assert_eq!(other.messages("c1", Messages::all()).unwrap().len(), 2);
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "somebody takes the directory away behind the store's back")]
fn a_directory_that_was_removed_and_made_anew_has_a_store_of_its_own() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("data");
    let first = MessageStore::open(&dir).unwrap();
    drop(first.add_message("c1", "gone with its directory").unwrap());
    std::fs::remove_dir_all(&dir).unwrap();
    let second = MessageStore::open(&dir).unwrap();
    assert_eq!(second.conversations(Order::Created).unwrap(), []);
    drop(second.add_message("c2", "of the new one").unwrap());
    drop(MessageStore::open(&dir).unwrap().add_message("c2", "by a second handle").unwrap());
    assert!(first.add_message("c1", "late").is_err());
    drop(first);
    second.release().unwrap();
    let again = MessageStore::open(&dir).unwrap();
    assert_eq!(again.messages("c2", Messages::all()).unwrap().len(), 2);
    assert!(again.summary("c1").unwrap().is_none() && again.verify().unwrap().is_sound());
}

/// Space that is reserved ahead is the open store's alone: a compaction leaves the next segment of it, and a close
/// gives it back.
#[expect(clippy::disallowed_methods, reason = "what a file takes is the real file system's to say")]
#[test]
fn a_closed_store_takes_no_room_that_nothing_was_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let store = MessageStore::options().compact_manually().open(dir.path()).unwrap();
    let text = "x".repeat(1_000_000);
    for _ in 0..20 {
        drop(store.add_message("c1", text.as_str()).unwrap());
    }
    let log = || -> u64 {
        let files = std::fs::read_dir(dir.path().join("log")).unwrap();
        let looks = files.map(|entry| entry.unwrap().metadata().unwrap());
        // Of a directory in it, such as the one of the history, that is no room for the log.
        looks.filter(std::fs::Metadata::is_file).map(|look| look.len()).sum()
    };
    let of_text = 20_000_000;
    let reserved = 16 << 20;
    assert!((of_text..of_text + reserved).contains(&log()), "{}", log());
    drop(store.compact().unwrap());
    assert!((reserved..reserved + 4096).contains(&log()), "the next segment is there already: {}", log());
    store.close().unwrap();
    assert!(log() < 8192, "{}", log());
    let store = MessageStore::options().compact_manually().open(dir.path()).unwrap();
    for _ in 0..20 {
        drop(store.add_message("c1", text.as_str()).unwrap());
    }
    store.close().unwrap();
    // What is left is behind segments that the next message did not fit into.
    assert!(log() < of_text + of_text / 50, "{}", log());
}
