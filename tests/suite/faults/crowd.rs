//! Many threads on a file system that fails: nobody waits for ever, and nobody was told an untruth.

use aral_store::{ErrorKind, MessageStore, Messages, Mutation, NewMessage};

use super::in_time;
use crate::support::driver::{self, DIR, Home};
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::simfs::errno::{EACCES, EIO, ENOSPC, EROFS};
use crate::support::simfs::{self, SimFs, SplitMix};
use crate::support::sources::Sources;
use crate::support::suspects::{SETTINGS, open, typed};
use crate::support::witness::Witness;

const THREADS: usize = 4;
const MESSAGES: usize = 8;

/// Everybody writes; the answers are the ids of what was acknowledged.
fn everybody_writes(store: &MessageStore, witness: &Witness) -> Vec<String> {
    std::thread::scope(|scope| {
        let writer = |thread: usize| {
            let store = store.clone();
            move || {
                let mut acknowledged = Vec::new();
                for n in 0..MESSAGES {
                    let id = format!("<t{thread}-{n}>");
                    let text = "x".repeat(300 * thread + n);
                    let mutation = Mutation::add_message("c1", NewMessage::new(text).id(&id));
                    match store.append(mutation) {
                        Ok(receipt) if receipt.is_durable() => {
                            witness.prove(&id).unwrap();
                            acknowledged.push(id);
                        }
                        Ok(receipt) => panic!("not durable: {receipt:?}"),
                        Err(error) => typed(&error).unwrap(),
                    }
                    if n == MESSAGES / 2
                        && thread == 0
                        && let Err(error) = store.compact()
                    {
                        typed(&error).unwrap();
                    }
                }
                acknowledged
            }
        };
        let writers: Vec<_> = (0..THREADS).map(|thread| scope.spawn(writer(thread))).collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    })
}

/// What was acknowledged is there, once, and in order.
fn find(sound: SimFs, acknowledged: &[String]) {
    let store = driver::open(&Home::Sim(sound), SETTINGS, &Sources::default()).unwrap();
    let all = store.messages("c1", Messages::all()).unwrap_or_default();
    let ids: Vec<String> = all.iter().map(|message| message.id.to_string()).collect();
    for id in acknowledged {
        assert_eq!(ids.iter().filter(|is| *is == id).count(), 1, "{id} was acknowledged");
    }
    for thread in 0..THREADS {
        let of_thread: Vec<usize> = (0..MESSAGES)
            .filter_map(|n| ids.iter().position(|id| *id == format!("<t{thread}-{n}>")))
            .collect();
        assert!(of_thread.is_sorted(), "the messages of one thread changed their order");
    }
}

/// Runs everybody with a fault and says whether it took place.
fn attempt(rule: Rule) -> bool {
    let sim = driver::fresh(simfs::Settings::default());
    // Between the faults and the simulator, so that it sees only what has really been done.
    let witness = Witness::over(sim.clone());
    let fs = FaultFs::over_sim_through(&sim, std::sync::Arc::new(witness.clone()), vec![rule]);
    let Ok(store) = open(&fs, &Sources::default()) else { return fs.all_fired() };
    let acknowledged = everybody_writes(&store, &witness);
    let cut = sim.crash(&mut SplitMix::new(3));
    let killed = sim.kill();
    drop(store);
    find(cut, &acknowledged);
    find(killed, &acknowledged);
    fs.all_fired()
}

/// Every so many-th call of a kind that a crowd makes fails, until there are no more.
fn sweep(call: Call, fault: Fault) -> usize {
    let mut runs = 0;
    for nth in 1.. {
        for rule in [Rule::new(call, nth, fault), Rule::new(call, nth, fault).for_ever()] {
            runs += 1;
            let what = format!("{rule:?}");
            // How many calls there are depends on the threads, so the first that is too many ends it.
            if !in_time(&what, move || attempt(rule)) {
                return runs;
            }
        }
    }
    runs
}

#[test]
fn nobody_hangs_and_nobody_is_lied_to_when_a_sync_fails() {
    let faults = [
        (Call::Sync, Fault::SyncDropsPages(EIO)),
        (Call::Sync, Fault::Errno(ENOSPC)),
        (Call::Sync, Fault::DoneButErrno(EIO)),
        (Call::SyncDir, Fault::Errno(EIO)),
        (Call::SyncDir, Fault::DoneButErrno(EIO)),
    ];
    let runs: usize = faults.into_iter().map(|(call, fault)| sweep(call, fault)).sum();
    println!("{runs} failed syncs under a crowd");
    assert!(runs > 100, "{runs}");
}

#[test]
fn nobody_hangs_and_nobody_is_lied_to_when_a_write_fails() {
    let faults = [
        (Call::Write, Fault::Errno(EIO)),
        (Call::Write, Fault::Errno(ENOSPC)),
        (Call::Write, Fault::PartThenErrno(100, EIO)),
        (Call::Write, Fault::DoneButErrno(EIO)),
        (Call::Allocate, Fault::Errno(ENOSPC)),
        (Call::SetLen, Fault::Errno(EIO)),
    ];
    let runs: usize = faults.into_iter().map(|(call, fault)| sweep(call, fault)).sum();
    println!("{runs} failed writes under a crowd");
    assert!(runs > 100, "{runs}");
}

#[test]
fn nobody_hangs_and_nobody_is_lied_to_when_another_call_fails() {
    let faults = [
        (Call::Open, Fault::Errno(EIO)),
        (Call::Create, Fault::Errno(ENOSPC)),
        (Call::Read, Fault::Errno(EIO)),
        (Call::Rename, Fault::Errno(EIO)),
        (Call::Rename, Fault::DoneButErrno(EIO)),
        (Call::Remove, Fault::Errno(EACCES)),
        (Call::CreateDir, Fault::Errno(EROFS)),
        (Call::ReadDir, Fault::Errno(EIO)),
        (Call::Metadata, Fault::Errno(EIO)),
        (Call::Lock, Fault::Errno(EIO)),
        (Call::Canonical, Fault::Errno(EIO)),
        (Call::Map, Fault::Errno(EIO)),
    ];
    let runs: usize = faults.into_iter().map(|(call, fault)| sweep(call, fault)).sum();
    println!("{runs} other failures under a crowd");
    assert!(runs > 100, "{runs}");
}

#[test]
fn a_disk_that_is_full_for_everybody_stops_nobody_for_good() {
    for room in [0, 500, 3_000, 9_000, 20_000] {
        in_time(&format!("{room} bytes of room"), move || {
            let sim = driver::fresh(simfs::Settings::default());
            let witness = Witness::over(sim.clone());
            let options = driver::options(&Home::Memory, SETTINGS, &Sources::default());
            let store = options.vfs(std::sync::Arc::new(witness.clone())).open(DIR).unwrap();
            drop(store.add_message("c1", "first").unwrap());
            sim.set_quota(Some(sim.used() + room));
            let acknowledged = everybody_writes(&store, &witness);
            let full = (0..99).find_map(|_| store.add_message("c1", "x".repeat(3_000)).err());
            assert_eq!(full.map(|error| error.kind()), Some(ErrorKind::NoSpace), "{room}");
            sim.set_quota(None);
            std::thread::scope(|scope| {
                for thread in 0..THREADS {
                    let store = &store;
                    scope.spawn(move || {
                        let said = store.add_message("c1", format!("there is room for {thread}"));
                        assert!(said.unwrap().is_durable(), "{room}");
                    });
                }
            });
            let cut = sim.crash(&mut SplitMix::new(room));
            sim.kill();
            drop(store);
            find(cut, &acknowledged);
        });
    }
}
