//! Kinds 47 to 50: time, threads, and other writers.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aral_store::{Clock, ErrorKind, MessageStore, Messages, NewMessage, SyncPolicy};

use super::Seen;
use crate::support::check;
use crate::support::driver::{self, DIR, Home, adopted};
use crate::support::faultfs::Call;
use crate::support::meeting::{Locks, Meeting, Removals};
use crate::support::ops::Settings;
use crate::support::paced::Paced;
use crate::support::simfs::{self, Choose, SimFs, SplitMix};
use crate::support::sources::Sources;
use crate::support::witness::Witness;

const SETTINGS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

/// A clock that somebody keeps setting.
#[derive(Clone, Debug, Default)]
struct Jumping {
    calls: Arc<AtomicUsize>,
    jumps_back: Arc<AtomicU64>,
    last: Arc<Mutex<i64>>,
}

/// Now, earlier, far in the future, before the epoch, at the epoch, and a little before now.
const TIMES: [i64; 7] = [
    1_767_225_600_000_000,
    1_700_000_000_000_000,
    4_000_000_000_000_000,
    -86_400_000_000,
    0,
    1,
    1_767_225_599_000_000,
];

impl Clock for Jumping {
    fn now_micros(&self) -> i64 {
        let now = TIMES[self.calls.fetch_add(1, Ordering::SeqCst) % TIMES.len()];
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        self.jumps_back.fetch_add(u64::from(now < *last), Ordering::SeqCst);
        *last = now;
        now
    }
}

pub(super) fn clock() -> Seen {
    let clock = Jumping::default();
    let fs = driver::fresh(simfs::Settings::default());
    let open = |fs: &SimFs| {
        let options = driver::options(&Home::Sim(fs.clone()), SETTINGS, &Sources::default());
        options.clock(clock.clone()).open(DIR).unwrap()
    };
    let store = open(&fs);
    for n in 0..40_u64 {
        let receipt = store.add_message("c1", NewMessage::new("x").id(format!("m{n}"))).unwrap();
        assert_eq!((receipt.seq, receipt.is_durable()), (n + 1, true));
        if n % 15 == 7 {
            drop(store.compact().unwrap());
        }
    }
    let ought = adopted(&store).unwrap();
    let in_order = |store: &MessageStore| {
        let messages = store.messages("c1", Messages::all()).unwrap();
        messages.iter().enumerate().all(|(n, message)| message.id.as_str() == Some(&format!("m{n}")))
    };
    assert!(in_order(&store));
    let cut = fs.crash(&mut SplitMix::new(5));
    fs.kill();
    drop(store);
    let store = open(&cut);
    check::gist(&store, &ought).unwrap();
    assert!(in_order(&store));
    let fired = clock.jumps_back.load(Ordering::SeqCst);
    Seen { fired, answer: "the order of acceptance, whatever the times".to_owned() }
}

fn open(vfs: Paced) -> MessageStore {
    let options = driver::options(&Home::Memory, SETTINGS, &Sources::default());
    options.vfs(Arc::new(vfs)).open(DIR).unwrap()
}

/// Every thread says so many things, each of which the witness confirms at its receipt.
fn everybody_writes(store: &MessageStore, witness: &Witness, threads: usize, messages: usize) {
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for n in 0..messages {
                    let id = format!("<{thread}-{n}>");
                    let said = store.add_message("c1", NewMessage::new("x").id(&id)).unwrap();
                    assert!(said.is_durable(), "{id}");
                    witness.prove(&id).unwrap();
                    // Whoever was told can see it.
                    assert!(ids(store).contains(&id), "{id}");
                }
            });
        }
    });
}

fn ids(store: &MessageStore) -> Vec<String> {
    let all = store.messages("c1", Messages::all()).unwrap();
    all.iter().map(|message| message.id.to_string()).collect()
}

pub(super) fn slow_sync() -> Seen {
    const THREADS: usize = 8;
    const MESSAGES: usize = 20;
    let witness = Witness::over(driver::fresh(simfs::Settings::default()));
    let slow = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&slow);
    let store = open(Paced::over(witness.clone(), move |call| {
        if call == Call::Sync {
            counter.fetch_add(1, Ordering::SeqCst);
            #[expect(clippy::disallowed_methods, reason = "a slow device is slow in real time")]
            std::thread::sleep(Duration::from_millis(2));
        }
    }));
    let before = witness.syncs();
    everybody_writes(&store, &witness, THREADS, MESSAGES);
    let syncs = witness.syncs() - before;
    let all = THREADS * MESSAGES;
    assert!(syncs * 2 < u64::try_from(all).unwrap(), "{syncs} syncs for {all} messages are not shared");
    let fired = slow.load(Ordering::SeqCst);
    Seen { fired, answer: format!("{syncs} syncs for {all} messages, each covered at its receipt") }
}

/// One run with a schedule that a seed chooses; gives the order in which the messages came.
fn scheduled(seed: u64) -> Vec<String> {
    let sim = driver::fresh(simfs::Settings::default());
    let witness = Witness::over(sim.clone());
    let choice = Mutex::new(SplitMix::new(seed));
    let store = open(Paced::over(witness.clone(), move |_| {
        let pick = choice.lock().unwrap_or_else(PoisonError::into_inner).pick(8);
        match pick {
            0..4 => {}
            #[expect(clippy::disallowed_methods, reason = "a sleep is what lets others overtake")]
            7 => std::thread::sleep(Duration::from_micros(50)),
            more => (4..=more).for_each(|_| std::thread::yield_now()),
        }
    }));
    std::thread::scope(|scope| {
        scope.spawn(|| (0..3).for_each(|_| drop(store.compact().unwrap())));
        scope.spawn(|| (0..5).for_each(|_| store.sync().unwrap()));
        everybody_writes(&store, &witness, 3, 6);
    });
    let said = ids(&store);
    assert_eq!(said.len(), 18);
    for thread in 0..3 {
        let of_thread = (0..6).map(|n| said.iter().position(|id| *id == format!("<{thread}-{n}>")));
        let places: Vec<usize> = of_thread.map(Option::unwrap).collect();
        assert!(places.is_sorted(), "{said:?}");
    }
    let ought = adopted(&store).unwrap();
    let cut = sim.crash(&mut SplitMix::new(seed));
    sim.kill();
    drop(store);
    let store = driver::open(&Home::Sim(cut), SETTINGS, &Sources::default()).unwrap();
    check::gist(&store, &ought).unwrap();
    said
}

pub(super) fn interleavings() -> Seen {
    const SEEDS: u64 = 60;
    let orders: BTreeSet<Vec<String>> = (0..SEEDS).map(scheduled).collect();
    assert!(orders.len() > 10, "only {} orders in {SEEDS} runs", orders.len());
    let fired = u64::try_from(orders.len()).unwrap();
    Seen { fired, answer: format!("one order for all, in {SEEDS} runs; all of it survives a cut") }
}

pub(super) fn second_writer() -> Seen {
    let mut fired = 0;
    for removes_the_lock in [true, false] {
        let sim = driver::fresh(simfs::Settings::default());
        let locks = if removes_the_lock { Locks::Hold } else { Locks::AreForEverybody };
        let open = || {
            let fs = Meeting::over(&sim, locks, Removals::AreCalls);
            driver::options(&Home::Memory, SETTINGS, &Sources::default()).vfs(Arc::new(fs)).open(DIR).unwrap()
        };
        let first = open();
        drop(first.add_message("c1", "of the first").unwrap());
        if removes_the_lock {
            sim.delete(format!("{DIR}/log/LOCK"));
        }
        let second = open();
        fired += u64::from(second.add_message("c1", "of the second").is_ok());
        assert_eq!(first.add_message("c1", "too late").unwrap_err().kind(), ErrorKind::Locked);
        assert_eq!(first.sync().unwrap_err().kind(), ErrorKind::Locked);
        assert_eq!(first.compact().unwrap_err().kind(), ErrorKind::Locked);
        assert_eq!(first.close().unwrap_err().kind(), ErrorKind::Locked);
        assert_eq!(second.messages("c1", Messages::all()).unwrap().len(), 2);
        assert!(second.recovery().orphaned.is_empty());
    }
    Seen { fired, answer: "Locked for the first; all that was durable is there".to_owned() }
}
