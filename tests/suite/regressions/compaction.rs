//! Compactions that fail, are closed upon, or find that others have been there.

use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use aral_store::ErrorKind;

use super::{
    add, added, compacted, eventually, files_with, fresh, inside, on, on_shared, open, pause, texts,
};
use crate::faults::in_time;
use crate::support::driver::DIR;
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::hooks::Hooked;
use crate::support::paced::Paced;
use crate::support::simfs::SplitMix;
use crate::support::simfs::errno::{EIO, EMFILE};

/// A compaction whose checkpoint had its name, and whose sync of the directory failed, removed the files that
/// it had staged. The checkpoint named them all the same, and the next opening dropped the log for it. The
/// staged files are kept now unless the checkpoint surely has no name, and the store ends.
#[test]
fn a_commit_that_is_said_to_have_failed_keeps_what_it_names() {
    for fails_in_rename in [true, false] {
        let sim = fresh();
        let faults = FaultFs::over_sim(&sim, Vec::new());
        let hooked = Hooked::over(faults.clone());
        let store = open(on_shared(&hooked));
        add(&store, "c1", 0..5);
        let planned = faults.clone();
        hooked.before(Call::Rename, "CHECKPOINT-", move || {
            planned.replan(vec![if fails_in_rename {
                Rule::new(Call::Rename, 1, Fault::DoneButErrno(EIO))
            } else {
                Rule::new(Call::SyncDir, 1, Fault::Errno(EIO)).on("log")
            }]);
        });
        store.compact().unwrap_err();
        assert!(hooked.has_begun() && faults.all_fired());
        assert_eq!(store.add_message("c1", "more").unwrap_err().kind(), ErrorKind::Failed);
        drop(store.close());
        for seed in 0..20 {
            let store = open(on(sim.crash(&mut SplitMix::new(seed))));
            assert_eq!(texts(&store, "c1"), added(0..5), "seed {seed}");
        }
        let store = open(on(sim));
        assert!(store.recovery().damaged.is_empty(), "{:?}", store.recovery());
        assert_eq!(texts(&store, "c1"), added(0..5));
    }
}

/// After a crash behind a commit, an opening took a staged file that was not there for one that had been moved
/// into place, as a backup without dot files has it, and dropped the log. Now what should be in place is
/// looked at, and if it is not, opening is an error that changes nothing.
#[test]
fn a_staged_file_that_is_gone_drops_no_log() {
    for compacted_before in [false, true] {
        let sim = fresh();
        let hooked = Hooked::over(sim.clone());
        let store = open(on_shared(&hooked));
        add(&store, "c1", 0..2);
        if compacted_before {
            // Then there is an older file in the place of the one that is gone.
            store.compact().unwrap();
        }
        add(&store, "c1", 2..5);
        let (sender, receiver) = mpsc::channel();
        let at_crash = sim.clone();
        hooked.before(Call::Rename, "c1.json", move || {
            sender.send(at_crash.crash(&mut SplitMix::new(1))).unwrap();
        });
        store.compact().unwrap();
        let copy = receiver.recv().unwrap();
        let sound = copy.snapshot();
        for path in files_with(&copy, ".staged") {
            copy.delete(path);
        }
        let log = files_with(&copy, ".seg");
        assert!(!log.is_empty());
        for _ in 0..2 {
            assert_eq!(on(copy.clone()).open(DIR).unwrap_err().kind(), ErrorKind::Corrupt);
            assert_eq!(files_with(&copy, ".seg"), log);
        }
        let store = open(on(sound));
        assert!(store.recovery().completed_compaction.is_some());
        assert_eq!(texts(&store, "c1"), added(0..5));
    }
}

/// An opening that went on with a compaction took a staged file in which a bit had flipped since for the right
/// one, because its length and time were. It moved it over the sound file that stood there and dropped the log
/// that could have made it again. Now all that is staged is held against its checksum before anything is moved.
#[test]
fn a_staged_file_that_has_rotted_drops_no_log() {
    let sim = fresh();
    let hooked = Hooked::over(sim.clone());
    let store = open(on_shared(&hooked));
    add(&store, "c1", 0..5);
    store.compact().unwrap();
    add(&store, "c1", 5..8);
    let (sender, receiver) = mpsc::channel();
    let at_kill = sim.clone();
    hooked.before(Call::Rename, "c1.json", move || sender.send(at_kill.snapshot()).unwrap());
    store.compact().unwrap();
    let copy = receiver.recv().unwrap().kill();
    let staged = files_with(&copy, ".staged").remove(0);
    let before = copy.read(inside("conversations/c1.json"));
    let log = files_with(&copy, ".seg");
    copy.flip_bit(&staged, 40, 2);
    for _ in 0..2 {
        let error = on(copy.clone()).open(DIR).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let place = error.place().unwrap();
        assert_eq!((place.path.to_str(), place.offset), (Some(&*staged), Some(40)));
        assert_eq!(files_with(&copy, ".seg"), log);
        assert_eq!(copy.read(inside("conversations/c1.json")), before);
    }
    copy.flip_bit(&staged, 40, 2);
    assert_eq!(texts(&open(on(copy)), "c1"), added(0..8));
}

/// A directory in the middle of a publication lost its older checkpoint, and with it all that says that something
/// is left to do. The opening took the files that were still the old ones for edits, and dropped the log and
/// the staged files that had what came after: acknowledged messages were gone, and `recovery().changed` was all
/// that spoke of it. Now staged files of the newest checkpoint that are not in place are an error.
#[test]
fn a_publication_that_lost_its_older_checkpoint_is_refused() {
    let sim = fresh();
    let hooked = Hooked::over(sim.clone());
    let store = open(on_shared(&hooked));
    add(&store, "c1", 0..5);
    store.compact().unwrap();
    add(&store, "c1", 5..8);
    let (sender, receiver) = mpsc::channel();
    let at_kill = sim.clone();
    hooked.before(Call::Rename, "c1.json", move || sender.send(at_kill.snapshot()).unwrap());
    store.compact().unwrap();
    let copy = receiver.recv().unwrap().kill();
    let older = files_with(&copy, "CHECKPOINT-").remove(0);
    let bytes = copy.read(&older).unwrap();
    copy.delete(&older);
    let all = copy.files();
    for options in [on(copy.clone()), on(copy.clone()).read_only()] {
        let error = options.open(DIR).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(error.place().unwrap().path.to_str(), Some(&*older));
        assert_eq!(copy.files(), all);
    }
    copy.put(&older, &bytes);
    assert_eq!(texts(&open(on(copy)), "c1"), added(0..8));
}

/// `close()` let go of the lock while a compaction was under way, which then went on to drop the log of
/// whoever had opened the store meanwhile. Now closing waits for the compaction.
#[test]
fn closing_waits_for_a_compaction() {
    let sim = fresh();
    let hooked = Hooked::over(sim.clone());
    let store = open(on_shared(&hooked));
    add(&store, "c1", 0..5);
    let (reached, at_commit) = mpsc::channel();
    let (go, may_go) = mpsc::channel();
    hooked.before(Call::Create, "CHECKPOINT-", move || {
        reached.send(()).unwrap();
        may_go.recv().unwrap();
    });
    let (closed, has_closed) = mpsc::channel();
    thread::scope(|scope| {
        // Dropped when this fails, so that the compaction does not wait for ever.
        let go = go;
        let compacting = store.clone();
        let compacting = scope.spawn(move || compacting.compact());
        at_commit.recv().unwrap();
        scope.spawn(move || closed.send(store.close()).unwrap());
        has_closed.recv_timeout(Duration::from_millis(30)).unwrap_err();
        assert_eq!(on(sim.clone()).open(DIR).unwrap_err().kind(), ErrorKind::Locked);
        go.send(()).unwrap();
        compacting.join().unwrap().unwrap();
    });
    has_closed.recv().unwrap().unwrap();
    for last in 5..8 {
        let store = open(on(sim.clone()));
        assert_eq!(texts(&store, "c1"), added(0..last));
        add(&store, "c1", last..last + 1);
        store.close().unwrap();
    }
}

/// When the rename of a new segment took place and was said to have failed, the next segment got the same
/// number under another name, and the store with its acknowledged messages did not open again. Such a
/// failure ends the log now, unless the name is surely not there.
#[test]
fn a_segment_that_is_there_after_all_is_not_made_twice() {
    let sim = fresh();
    let faults = FaultFs::over_sim(&sim, Vec::new());
    let store = open(on(faults.clone()));
    add(&store, "c1", 0..1);
    faults.replan(vec![Rule::new(Call::Rename, 1, Fault::DoneButErrno(EIO)).on(".seg")]);
    store.compact().unwrap_err();
    assert!(faults.all_fired());
    let accepted = (1..5).filter(|n| store.add_message("c1", format!("m{n}")).is_ok()).count();
    assert_eq!(accepted, 0, "the log has ended");
    let store = open(on(sim.kill()));
    assert_eq!(texts(&store, "c1"), added(0..1));
}

/// A compaction that failed whenever it was tried began a new segment every time, so that a directory filled
/// with empty segments. A segment to which nothing was written is used again now.
#[test]
fn a_compaction_that_fails_makes_no_segment_each_time() {
    let sim = fresh();
    let faults = FaultFs::over_sim(&sim, Vec::new());
    let store = open(on(faults.clone()));
    add(&store, "c1", 0..3);
    faults.replan(vec![Rule::new(Call::Create, 1, Fault::Errno(EIO)).on(".staged").for_ever()]);
    for _ in 0..10 {
        store.compact().unwrap_err();
    }
    assert_eq!(files_with(&sim, ".seg").len(), 2);
    faults.replan(Vec::new());
    store.compact().unwrap();
    assert_eq!(texts(&store, "c1"), added(0..3));
    store.close().unwrap();
    assert_eq!(texts(&open(on(sim)), "c1"), added(0..3));
}

/// In the background such a compaction was tried again at every append. Now the next try waits until the
/// log is twice as long.
#[test]
fn a_compaction_that_fails_in_the_background_backs_off() {
    let sim = fresh();
    let fails = Rule::new(Call::Create, 1, Fault::Errno(EIO)).on(".staged").for_ever();
    let faults = FaultFs::over_sim(&sim, vec![fails]);
    let store = open(on(faults.clone()).compact_above(300));
    add(&store, "c1", 0..30);
    eventually("failed", || store.stats().unwrap().compaction_error.is_some());
    let before = faults.fired()[0];
    for n in 30..130 {
        add(&store, "c1", n..n + 1);
        thread::yield_now();
    }
    let tries = faults.fired()[0] - before;
    assert!(tries <= 6, "{tries} tries");
    assert!(files_with(&sim, ".seg").len() <= 10);
    assert_eq!(texts(&store, "c1"), added(0..130));
}

/// When the checkpoint could not be read back right after its commit, the staged files were removed and the
/// store went on, appending to a log that a checkpoint covered which nobody followed. Now the store ends, and
/// the next opening completes the compaction.
#[test]
fn a_checkpoint_that_cannot_be_read_back_ends_the_store() {
    let sim = fresh();
    let faults = FaultFs::over_sim(&sim, Vec::new());
    let store = open(on(faults.clone()));
    add(&store, "c1", 0..3);
    faults.replan(vec![Rule::new(Call::Open, 1, Fault::Errno(EMFILE)).on("CHECKPOINT")]);
    store.compact().unwrap_err();
    assert!(faults.all_fired());
    assert_eq!(store.add_message("c1", "after").unwrap_err().kind(), ErrorKind::Failed);
    store.compact().unwrap_err();
    let store = open(on(sim.kill()));
    assert!(store.recovery().damaged.is_empty(), "{:?}", store.recovery());
    assert_eq!(texts(&store, "c1"), added(0..3));
    store.compact().unwrap();
    assert!(store.verify().unwrap().is_sound());
}

/// Nothing had changed since the last compaction, so `compact()` did nothing, although the list of
/// conversations had been deleted meanwhile, and the original showed an empty store. A list that is not there
/// counts as a change now.
#[test]
fn a_deleted_list_of_conversations_is_written_again() {
    let sim = compacted(2);
    let list = inside("message_store.json");
    let before = sim.read(&list).unwrap();
    sim.delete(&list);
    let store = open(on(sim.clone()));
    store.compact().unwrap();
    assert_eq!(sim.read(&list).unwrap(), before);
    store.close().unwrap();
    assert_eq!(texts(&open(on(sim)), "c1"), added(0..2));
}

/// When the sync of one of many staged files ended in a panic, whoever compacted or exported waited for it for
/// ever. And with none of the threads left, what stood in line would have been waited for too. Now such a panic
/// is a failure like any other: the thread counts its sync out whatever way it leaves, and nothing is waited
/// for after a failure.
#[test]
fn a_sync_among_many_that_panics_leaves_nobody_waiting() {
    const DISARMED: usize = 1_000;
    for panicking in [0..1, 0..DISARMED, 93..DISARMED] {
        in_time("a panic among many syncs", move || {
            let sim = fresh();
            let (seen, caller) = (Arc::new(AtomicUsize::new(DISARMED)), thread::current().id());
            let (counted, panics) = (Arc::clone(&seen), panicking.clone());
            let store = open(on(Paced::over(sim.clone(), move |call| {
                // Only the files that others than the caller sync are many.
                if call == Call::Sync && thread::current().id() != caller {
                    if panics.contains(&counted.fetch_add(1, SeqCst)) {
                        // Long enough for the last files to stand in line behind those that panic.
                        pause(50);
                        // Without a word: several at once would write to one place of the test harness.
                        resume_unwind(Box::new("the file system panics"));
                    }
                }
            })));
            let ids: Vec<String> = (0..100).map(|n| format!("c{n}")).collect();
            for id in &ids {
                add(&store, id, 0..1);
            }
            let export = |name: &str| store.export_aral(Path::new(DIR).with_file_name(name), None);
            seen.store(0, SeqCst);
            assert_eq!(store.compact().unwrap_err().kind(), ErrorKind::Failed, "{panicking:?}");
            assert!(files_with(&sim, ".staged-").is_empty(), "{panicking:?}");
            seen.store(0, SeqCst);
            assert_eq!(export("exported").unwrap_err().kind(), ErrorKind::Failed, "{panicking:?}");
            seen.store(DISARMED, SeqCst);
            // The store goes on, and the next compaction writes what this one did not.
            add(&store, "c0", 1..2);
            assert_eq!(store.compact().unwrap().written, 100);
            assert_eq!(export("again").unwrap().conversations, 100);
            drop(store);
            let store = open(on(sim.crash(&mut SplitMix::new(1))));
            assert_eq!(texts(&store, "c0"), added(0..2));
            assert!(ids[1..].iter().all(|id| texts(&store, id) == added(0..1)), "{panicking:?}");
        });
    }
}
