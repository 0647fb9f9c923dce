//! Processes that open a store for one message and close it, one after the other.
//!
//! They leave as few files as one process that adds the same, and none of those that look at the store meanwhile misses
//! anything: a later process goes on with the last one's segment, in a file that takes its place.

use std::path::PathBuf;
use std::sync::Arc;

use aral_store::{ErrorKind, Logged, MessageStore, Messages, Moment, Options};

use crate::backups::{ALWAYS, Scene, restored, say};
use crate::support::driver::{self, DIR};
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::ops::Op;
use crate::support::simfs::{self, SimFs};

fn fresh() -> SimFs {
    driver::fresh(simfs::Settings::default())
}

fn on(fs: &SimFs) -> Options {
    MessageStore::options().vfs(Arc::new(fs.clone())).compact_manually()
}

/// A process that adds a message.
fn add(options: Options, text: &str) {
    let store = options.open(DIR).unwrap();
    assert!(store.add_message("c1", text).unwrap().is_durable());
    store.close().unwrap();
}

fn texts(store: &MessageStore) -> Vec<String> {
    let messages = store.messages("c1", Messages::all()).unwrap();
    messages.iter().map(|message| message.content.to_string()).collect()
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

fn segments(fs: &SimFs) -> Vec<(PathBuf, u64)> {
    let is_segment = |path: &PathBuf| path.to_string_lossy().ends_with(".seg");
    fs.files().into_iter().filter(|(path, _)| is_segment(path)).collect()
}

#[test]
fn three_hundred_processes_of_a_message_leave_a_file_or_two_and_each_opens_as_many_as_the_second() {
    let fs = fresh();
    let mut opened = Vec::new();
    for n in 0..300 {
        let counted = FaultFs::over_sim(&fs, Vec::new());
        add(MessageStore::options().vfs(Arc::new(counted.clone())).compact_manually(), &n.to_string());
        opened.push(counted.count(Call::Open));
    }
    let left = segments(&fs);
    assert!(left.len() <= 2, "{} segments", left.len());
    let bytes: u64 = left.iter().map(|(_, length)| length).sum();
    assert!(bytes <= 300 * 256, "{bytes} bytes for 300 messages");
    assert!(opened[1..].iter().all(|count| *count <= opened[1]), "{opened:?}");
    let store = on(&fs).open(DIR).unwrap();
    assert_eq!(texts(&store), numbers(300));
    assert!(store.verify().unwrap().is_sound());
}

#[test]
fn what_a_later_process_adds_is_seen_by_whoever_was_there_before() {
    let fs = fresh();
    add(on(&fs), "0");
    let reader = on(&fs).read_only().open(DIR).unwrap();
    let mut follower = reader.follow(1).unwrap();
    let mut next = 1;
    for count in 2..30 {
        add(on(&fs), &(count - 1).to_string());
        if count % 3 == 0 {
            // Whoever does not look for a while has more than one file to go over.
            continue;
        }
        reader.refresh().unwrap();
        assert_eq!(texts(&reader), numbers(count));
        while let Some(logged) = follower.next_logged().unwrap() {
            let Logged::Batch { seq, events } = logged else { panic!("{logged:?}") };
            assert_eq!((seq, events.len()), (next, 1));
            next += 1;
        }
        assert_eq!(usize::try_from(next).unwrap(), count + 1);
    }
    assert_eq!(segments(&fs).len(), 1);
}

#[test]
fn a_follower_whose_segment_was_gone_on_with_and_dropped_is_told_what_it_missed() {
    let fs = fresh();
    add(on(&fs), "0");
    let reader = on(&fs).read_only().open(DIR).unwrap();
    let mut follower = reader.follow(1).unwrap();
    assert!(matches!(follower.next_logged().unwrap(), Some(Logged::Batch { seq: 1, .. })));
    assert_eq!(follower.next_logged().unwrap(), None);
    let store = on(&fs).open(DIR).unwrap();
    for text in ["1", "2"] {
        drop(store.add_message("c1", text).unwrap());
    }
    store.compact().unwrap();
    drop(store.add_message("c1", "3").unwrap());
    assert_eq!(follower.next_logged().unwrap(), Some(Logged::Compacted { first: 2, last: 3 }));
    assert!(matches!(follower.next_logged().unwrap(), Some(Logged::Batch { seq: 4, .. })));
}

#[test]
fn a_backup_between_all_of_them_keeps_every_state() {
    keeps_every_state(&Scene::new(ALWAYS));
    #[cfg(feature = "encryption")]
    keeps_every_state(&Scene::encrypted(ALWAYS));
}

fn keeps_every_state(scene: &Scene) {
    let mut replica = crate::backups::options(scene.mounts()).replica(DIR, crate::backups::TO).unwrap();
    for n in 0..24 {
        scene.run(&[say("c1", n.to_string()), Op::Reopen]);
        if n % 8 == 7 {
            scene.run(&[Op::Compact, Op::Reopen]);
        }
        // One that stays open, and one that begins anew each time.
        let last_seq = if n % 2 == 0 { replica.pass().unwrap().last_seq } else { scene.last_seq() };
        if n % 5 == 4 {
            drop(replica);
            let report = scene.backup();
            assert!(report.damaged.is_empty() && report.mended.is_empty() && report.set_aside.is_empty());
            replica = crate::backups::options(scene.mounts()).replica(DIR, crate::backups::TO).unwrap();
        }
        assert_eq!(last_seq, scene.last_seq());
    }
    drop(replica.pass().unwrap());
    let history = scene.history();
    for state in &history {
        let (store, last_seq) = restored(&scene.backups, Moment::Seq(state.last_seq)).unwrap();
        crate::backups::hold(&store, &history, last_seq, "each state");
    }
}

#[test]
fn where_the_file_cannot_be_made_the_log_goes_on_in_a_segment_of_its_own() {
    for call in [Call::Create, Call::Allocate, Call::Write, Call::Rename] {
        let fs = fresh();
        add(on(&fs), "0");
        let faulty = FaultFs::over_sim(&fs, vec![Rule::new(call, 1, Fault::Errno(5)).on(".seg.tmp")]);
        add(MessageStore::options().vfs(Arc::new(faulty.clone())).compact_manually(), "1");
        assert!(faulty.all_fired(), "{call:?}");
        assert_eq!(segments(&fs).len(), 2, "{call:?}");
        let store = on(&fs).open(DIR).unwrap();
        assert_eq!(texts(&store), numbers(2), "{call:?}");
    }
}

#[test]
fn an_older_file_in_the_place_of_a_segment_that_was_gone_on_with_is_refused() {
    let fs = fresh();
    add(on(&fs), "0");
    let (path, _) = segments(&fs).remove(0);
    let older = fs.read(&path).unwrap();
    add(on(&fs), "1");
    assert_ne!(fs.read(&path).unwrap(), older);
    fs.put(&path, &older);
    let error = on(&fs).open(DIR).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("CONTROL"), "{error}");
}

#[test]
fn a_last_record_that_rots_where_a_segment_was_gone_on_with_is_no_torn_tail() {
    let fs = fresh();
    add(on(&fs), "0");
    let (path, short) = segments(&fs).remove(0);
    let states = fs.record(|fs| add(on(fs), "1"));
    // The first moment at which the later writer's file has the name.
    let is_gone_on_with = |state: &&SimFs| segments(state).iter().any(|(_, length)| *length > short);
    let state = states.iter().map(|(_, state)| state).find(is_gone_on_with).unwrap();
    let whole = state.kill();
    assert_eq!(texts(&on(&whole).open(DIR).unwrap()), numbers(2));
    let rotten = state.kill();
    rotten.flip_bit(&path, 4096 + 40, 1);
    // Nothing but the frames themselves says what was durable.
    rotten.delete(PathBuf::from(DIR).join("log/CONTROL"));
    let error = on(&rotten).open(DIR).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
