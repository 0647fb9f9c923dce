//! Appends, edits and reads of one store beside its compactions and each other.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use aral_store::vfs::OsVfs;
use aral_store::{Batch, Edit, ErrorKind, MessageStore, Mutation, NewConversation, Operation, SyncPolicy};

use super::{added, compacted, fresh, on, on_shared, open, pause, texts};
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::hooks::Hooked;
use crate::support::simfs::errno::EIO;

fn edit(id: &str, text: &str) -> Mutation {
    let edit = Edit::content(text);
    Mutation::new("c1", Operation::EditMessage { message_id: id.into(), edit })
}

/// A batch looked up each of its edits by itself, and a removal between two looks made the second one change
/// another message than it meant: the log said so, and the store did not open again. All that a batch looks
/// for in a conversation is seen at one moment now.
#[test]
fn a_batch_sees_one_state() {
    let sim = compacted(3);
    let hooked = Hooked::over(sim.clone());
    let store = open(on_shared(&hooked));
    assert_eq!(texts(&store, "c1"), added(0..3));
    // What was kept open is let go of by a compaction, so that the batch has to open it.
    drop(store.add_message("c2", "said").unwrap());
    store.compact().unwrap();
    let other = store.clone();
    hooked.before(Call::Open, "c1.json", move || {
        drop(other.remove_message("c1", "id0").unwrap());
    });
    store.batch(Batch::new().push(edit("id1", "x1")).push(edit("id2", "x2"))).unwrap();
    assert!(hooked.has_begun());
    assert_eq!(texts(&store, "c1"), ["x1", "x2"]);
    store.close().unwrap();
    assert_eq!(texts(&open(on(sim)), "c1"), ["x1", "x2"]);
}

/// A batch of edits that looked up its messages while a compaction replaced their file answered that the
/// file was corrupt. A look that fails beside a compaction is taken again.
#[test]
fn a_batch_of_edits_beside_a_compaction_finds_no_damage() {
    let sim = compacted(3);
    let hooked = Hooked::over(sim.clone());
    let store = open(on_shared(&hooked));
    // More than are kept open.
    let others: Vec<String> = (0..64).map(|n| format!("other {n}")).collect();
    for id in &others {
        drop(store.add_message(id, "said").unwrap());
    }
    store.compact().unwrap();
    for n in 0..10 {
        // Every other time the conversation has changed since its file was written.
        if n % 2 == 0 {
            drop(store.edit_message("c1", "id0", Edit::content(format!("y{n}"))).unwrap());
            for id in &others {
                assert_eq!(texts(&store, id), ["said"]);
            }
        }
        let other = store.clone();
        hooked.before(Call::Open, "c1.json", move || {
            drop(other.edit_message("c1", "id0", Edit::content("z")).unwrap());
            other.compact().unwrap();
        });
        drop(store.batch(Batch::new().push(edit("id1", "x1")).push(edit("id2", "x2"))).unwrap());
        assert!(hooked.has_begun());
        store.compact().unwrap();
    }
    assert_eq!(texts(&store, "c1")[1..], ["x1", "x2"]);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                store.compact().unwrap();
            }
        });
        for n in 0..60 {
            let texts = (format!("a{n}"), format!("b{n}"));
            let wrong = store.batch(Batch::new().push(edit("id1", &texts.0)).push(edit("id2", &texts.1)));
            stop.store(wrong.is_err() || n == 59, Ordering::SeqCst);
            wrong.unwrap();
        }
    });
    assert_eq!(texts(&store, "c1")[1..], ["a59", "b59"]);
}

/// The list of segments was taken, changed and put back, so that a segment that came meanwhile was lost from
/// it and reads of it failed. It changes under one lock now.
#[test]
fn segments_come_and_go_and_everything_is_read() {
    let sim = fresh();
    let options = on(sim.clone()).segment_bytes(64 << 10).first_segment_bytes(8 << 10);
    let store = open(options.sync(SyncPolicy::Os));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for writer in 0..3 {
            let (store, stop) = (&store, &stop);
            scope.spawn(move || {
                let text = "x".repeat(3000);
                for n in 0.. {
                    let id = format!("c{writer}-{}", n / 40);
                    drop(store.add_message(&id, text.as_str()).unwrap());
                    if n % 5 == 4 {
                        assert_eq!(texts(store, &id).len(), n % 40 + 1);
                    }
                    if n % 40 == 39 {
                        drop(store.remove_conversation(&id).unwrap());
                    }
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                }
            });
        }
        let failed = (0..10).find_map(|_| store.compact().err());
        stop.store(true, Ordering::SeqCst);
        assert!(failed.is_none(), "{failed:?}");
    });
    assert!(store.verify().unwrap().is_sound());
}

/// `events()` failed when a compaction dropped the segments that it was about to read, and `verify()` called
/// the store damaged. The one looks again now, and the other keeps compactions waiting.
#[test]
fn events_and_verify_run_beside_a_compaction() {
    let sim = fresh();
    let hooked = Hooked::over(sim.clone());
    let store = open(on_shared(&hooked));
    for (n, part) in ["CHECKPOINT", ".seg", "log"].into_iter().enumerate() {
        for call in [Call::Open, Call::ReadDir, Call::Metadata] {
            drop(store.add_message("c1", format!("m{n}")).unwrap());
            let other = store.clone();
            hooked.before(call, part, move || drop(other.compact().unwrap()));
            store.events(1).unwrap();
        }
    }
    hooked.before(Call::Lock, "never", || {});
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                drop(store.add_message("c1", "more").unwrap());
                store.compact().unwrap();
            }
        });
        let reports: Vec<_> = (0..5).map(|_| store.verify()).collect();
        stop.store(true, Ordering::SeqCst);
        for report in reports {
            let report = report.unwrap();
            assert!(report.is_sound(), "{report:?}");
        }
    });
}

/// A process that is being started has, for a moment, a copy of every open file, and with it of the lock: who
/// closed a store at that moment found it locked by somebody else at the next opening. The lock is let go of
/// explicitly now, which holds for all its copies.
#[test]
fn a_lock_is_let_go_of_beside_a_fork() {
    let dir = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    Command::new("true").status().unwrap();
                }
            });
        }
        let open_and_close = |_| {
            let store: MessageStore = on(OsVfs).sync(SyncPolicy::Os).open(dir.path())?;
            store.close()
        };
        let failed = (0..60).map(open_and_close).find_map(Result::err);
        stop.store(true, Ordering::SeqCst);
        assert!(failed.is_none(), "{failed:?}");
    });
}

/// Runs something beside a call that is under way, and gives it time to get as far as it can.
#[expect(clippy::disallowed_methods, reason = "it goes on after the call in which it was begun")]
fn meanwhile<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> mpsc::Receiver<T> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || drop(sender.send(work())));
    pause(30);
    receiver
}

/// Whoever lost a race for a conversation was told of a conflict while the winner was still being written, and
/// then found no conversation: what to do on a conflict, read and go on from there, failed. A refusal waits now
/// until what it was judged on can be read.
#[test]
fn who_is_told_of_a_conflict_finds_what_it_is_with() {
    let hooked = Hooked::over(fresh());
    let store = open(on_shared(&hooked));
    let other = store.clone();
    let (sender, receiver) = mpsc::channel();
    hooked.before(Call::Create, ".seg", move || {
        let answer = meanwhile(move || {
            let kind = other.create_conversation_with_id("c1", NewConversation::new()).map_err(|e| e.kind());
            (kind.map(|receipt| receipt.seq), other.conversation("c1").unwrap().map(|found| found.version))
        });
        sender.send(answer).unwrap();
    });
    drop(store.create_conversation_with_id("c1", NewConversation::new()).unwrap());
    assert_eq!(receiver.recv().unwrap().recv().unwrap(), (Err(ErrorKind::AlreadyExists), Some(1)));
}

/// The same when the winner is not written in the end: the conflict was with something that never was. The
/// loser is judged anew now.
#[test]
fn nobody_is_refused_for_what_never_came_to_be() {
    let faults = FaultFs::over_sim(&fresh(), vec![Rule::new(Call::Allocate, 1, Fault::Errno(EIO))]);
    let hooked = Hooked::over(faults);
    let store = open(on_shared(&hooked));
    let other = store.clone();
    let (sender, receiver) = mpsc::channel();
    hooked.before(Call::Create, ".seg", move || {
        let answer = meanwhile(move || {
            let receipt = other.append(Mutation::add_message("c1", "mine").expect(0));
            receipt.map(|receipt| receipt.seq).map_err(|error| error.kind())
        });
        sender.send(answer).unwrap();
    });
    let lost = store.append(Mutation::add_message("c1", "lost").expect(0)).unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Io);
    assert_eq!(receiver.recv().unwrap().recv().unwrap(), Ok(1));
    assert_eq!(texts(&store, "c1"), ["mine"]);
}
