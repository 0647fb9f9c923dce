//! Many threads on a file system that fails: nobody waits for ever, and nobody was told an untruth.

use std::sync::mpsc;
use std::time::Duration;

use aral_store::{MessageStore, Messages, Mutation, NewMessage};

use crate::support::driver::{self, Home};
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::simfs::errno::{EIO, ENOSPC};
use crate::support::simfs::{self, SplitMix};
use crate::support::sources::Sources;
use crate::support::suspects::{SETTINGS, open, typed};

const THREADS: usize = 4;

/// Long past any time that an honest run needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs something on a thread of its own and gives up on it when it takes too long.
fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    #[expect(clippy::disallowed_methods, reason = "a thread that hangs can be left behind only this way")]
    std::thread::spawn(move || {
        // Whoever has given up does not listen any more.
        drop(sender.send(work()));
    });
    receiver.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// Everybody writes; the answers are the ids of what was acknowledged.
fn everybody_writes(store: &MessageStore) -> Vec<String> {
    std::thread::scope(|scope| {
        let writer = |thread: usize| {
            let store = store.clone();
            move || {
                let mut acknowledged = Vec::new();
                for n in 0..12 {
                    let id = format!("t{thread}-{n}");
                    let text = "x".repeat(200 * thread + n);
                    let mutation = Mutation::add_message("c1", NewMessage::new(text).id(&id));
                    match store.append(mutation) {
                        Ok(receipt) if receipt.is_durable() => acknowledged.push(id),
                        Ok(receipt) => panic!("not durable: {receipt:?}"),
                        Err(error) => typed(&error).unwrap(),
                    }
                    if n == 6
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

fn attempt(rule: Rule) {
    let sim = driver::fresh(simfs::Settings::default());
    let fs = FaultFs::over_sim(&sim, vec![rule]);
    let Ok(store) = open(&fs, &Sources::default()) else { return };
    let acknowledged = everybody_writes(&store);
    let cut = sim.crash(&mut SplitMix::new(3));
    sim.kill();
    drop(store);
    let store = driver::open(&Home::Sim(cut), SETTINGS, &Sources::default()).unwrap();
    let all = store.messages("c1", Messages::all()).unwrap_or_default();
    let ids: Vec<String> = all.iter().map(|message| message.id.to_string()).collect();
    for id in &acknowledged {
        assert_eq!(ids.iter().filter(|is| *is == id).count(), 1, "{id} was acknowledged");
    }
    for thread in 0..THREADS {
        let of_thread: Vec<usize> =
            (0..12).filter_map(|n| ids.iter().position(|id| *id == format!("t{thread}-{n}"))).collect();
        assert!(of_thread.is_sorted(), "the messages of one thread changed their order");
    }
}

#[test]
fn nobody_hangs_and_nobody_is_lied_to_when_a_call_fails() {
    let faults = [
        (Call::Sync, Fault::SyncDropsPages(EIO)),
        (Call::Sync, Fault::Errno(ENOSPC)),
        (Call::Write, Fault::Errno(EIO)),
        (Call::Write, Fault::Errno(ENOSPC)),
        (Call::Write, Fault::PartThenErrno(100, EIO)),
        (Call::Allocate, Fault::Errno(ENOSPC)),
        (Call::Rename, Fault::Errno(EIO)),
        (Call::SyncDir, Fault::Errno(EIO)),
        (Call::Create, Fault::Errno(ENOSPC)),
    ];
    for (call, fault) in faults {
        for nth in 1..24 {
            for rule in [Rule::new(call, nth, fault), Rule::new(call, nth, fault).for_ever()] {
                let what = format!("{rule:?}");
                in_time(&what, move || attempt(rule));
            }
        }
    }
}
