//! How a log ends while others wait for their turn: in a panic, in a commit that failed, in a failed sync.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use aral_store::vfs::Vfs;
use aral_store::{ErrorKind, MessageStore, Messages, SyncPolicy};

use super::in_time;
use crate::regressions::{eventually, fresh, on, on_shared, open, pause};
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::hooks::Hooked;
use crate::support::paced::Paced;
use crate::support::simfs::SimFs;
use crate::support::simfs::errno::EIO;

/// Lets the syncs of files wait, and lets one of them panic.
#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    opens: Condvar,
}

#[derive(Default)]
struct GateState {
    is_shut: bool,
    /// How many have come to the gate since it was shut.
    came: u64,
    /// Which of them panics.
    panics: Option<u64>,
}

impl Gate {
    /// A file system whose syncs go through the gate.
    fn before(self: &Arc<Self>, sim: &SimFs) -> Paced {
        let gate = Arc::clone(self);
        Paced::over(sim.clone(), move |call| {
            if call == Call::Sync {
                gate.pass();
            }
        })
    }

    fn state(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shut(&self, panics: Option<u64>) {
        *self.state() = GateState { is_shut: true, came: 0, panics };
    }

    fn open(&self) {
        self.state().is_shut = false;
        self.opens.notify_all();
    }

    fn came(&self) -> u64 {
        self.state().came
    }

    fn pass(&self) {
        let mut state = self.state();
        state.came += 1;
        let is_last = state.panics == Some(state.came);
        while state.is_shut {
            state = self.opens.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        assert!(!is_last, "the file system panics");
    }
}

/// The texts of the one conversation.
fn said(store: &MessageStore) -> Vec<String> {
    let messages = store.messages("c1", Messages::all()).unwrap_or_default();
    messages.into_iter().map(|message| message.content.to_string()).collect()
}

/// What became of a message that one thread adds.
#[derive(Debug, PartialEq)]
enum Fate {
    Durable,
    Told(ErrorKind, String),
    Panicked,
}

fn say(store: &MessageStore, text: String) -> Fate {
    match catch_unwind(AssertUnwindSafe(|| store.add_message("c1", text))) {
        Ok(Ok(receipt)) => {
            assert!(receipt.is_durable());
            Fate::Durable
        }
        Ok(Err(error)) => Fate::Told(error.kind(), error.message().to_owned()),
        Err(_) => Fate::Panicked,
    }
}

/// Lets one message wait in its sync, and others, which form the next group, behind it; then opens the gate.
fn crowd(
    store: &MessageStore,
    gate: &Gate,
    first: &str,
    others: &[String],
    event: impl FnOnce(),
) -> (Fate, Vec<Fate>) {
    thread::scope(|scope| {
        let leader = scope.spawn(|| say(store, first.to_owned()));
        eventually("in its sync", || gate.came() > 0);
        let others: Vec<_> = others
            .iter()
            .map(|text| {
                let other = scope.spawn(|| say(store, text.clone()));
                pause(150);
                other
            })
            .collect();
        event();
        gate.open();
        let fates = others.into_iter().map(|other| other.join().unwrap()).collect();
        (leader.join().unwrap(), fates)
    })
}

#[test]
fn a_leader_that_panics_leaves_nobody_waiting() {
    in_time("a panic in a sync", || {
        let sim = fresh();
        let gate = Arc::new(Gate::default());
        let store = open(on(gate.before(&sim)));
        drop(store.add_message("c1", "before").unwrap());
        gate.shut(Some(2));
        let others = ["second".to_owned(), "third".to_owned(), "fourth".to_owned()];
        let (first, fates) = crowd(&store, &gate, "first", &others, || {});
        assert_eq!(first, Fate::Durable);
        let (panicked, told): (Vec<_>, Vec<_>) = fates.iter().partition(|fate| **fate == Fate::Panicked);
        assert_eq!((panicked.len(), told.len()), (1, 2), "{fates:?}");
        for fate in told {
            let Fate::Told(ErrorKind::Failed, message) = fate else { panic!("{fate:?}") };
            assert!(message.contains("panicked"), "{message}");
        }
        let Fate::Told(ErrorKind::Failed, _) = say(&store, "later".to_owned()) else {
            panic!("the log ended")
        };
        assert_eq!(store.sync().unwrap_err().kind(), ErrorKind::Failed);
        // What is there can be read, and closing lets go of the lock.
        assert_eq!(said(&store), ["before", "first"]);
        store.close().unwrap_err();
        let store = open(on(sim));
        // The group had been written; whether it counts was left open to its members.
        let said = said(&store);
        assert_eq!(said[..2], ["before", "first"]);
        assert!(said[2..].iter().all(|text| others.contains(text)), "{said:?}");
    });
}

#[test]
fn whoever_waits_behind_a_group_when_a_commit_fails_is_told() {
    in_time("a commit that fails beside a group", || {
        let sim = fresh();
        let gate = Arc::new(Gate::default());
        let below: Arc<dyn Vfs> = Arc::new(gate.before(&sim));
        let fails = Rule::new(Call::Rename, 1, Fault::DoneButErrno(EIO)).on("CHECKPOINT-");
        let faults = FaultFs::over_sim_through(&sim, below, Vec::new());
        let hooked = Hooked::over(faults.clone());
        let store = open(on_shared(&hooked));
        drop(store.add_message("c1", "before").unwrap());
        let (sender, receiver) = std::sync::mpsc::channel();
        let (go_on, wait) = std::sync::mpsc::channel();
        let planned = faults.clone();
        hooked.before(Call::Rename, "CHECKPOINT-", move || {
            planned.replan(vec![fails]);
            sender.send(()).unwrap();
            wait.recv().unwrap();
        });
        thread::scope(|scope| {
            let compaction = scope.spawn(|| store.compact());
            receiver.recv().unwrap();
            gate.shut(None);
            let (first, fates) = crowd(&store, &gate, "first", &["second".to_owned()], || {
                go_on.send(()).unwrap();
                compaction.join().unwrap().unwrap_err();
            });
            // The first was written before the end, and its sync has returned since.
            assert_eq!(first, Fate::Durable);
            let [Fate::Told(ErrorKind::Failed, message)] = &fates[..] else { panic!("{fates:?}") };
            assert!(message.contains("failed at its commit"), "{message}");
        });
        assert!(faults.all_fired());
        drop(store);
        assert_eq!(said(&open(on(sim))), ["before", "first"]);
    });
}

#[test]
fn a_group_that_is_full_is_waited_for_and_loses_nobody() {
    in_time("a full group", || {
        let sim = fresh();
        let gate = Arc::new(Gate::default());
        let store = open(on(gate.before(&sim)));
        drop(store.add_message("c1", "before").unwrap());
        gate.shut(None);
        // Over the four mebibytes at which a group takes no more.
        let others = ["x".repeat(5 << 20), "second".to_owned(), "third".to_owned()];
        let (first, fates) = crowd(&store, &gate, "first", &others, || {
            // Whoever comes to a full group cannot join it, and cannot be told anything yet.
            assert_eq!(gate.came(), 1);
        });
        assert_eq!((first, &fates[..]), (Fate::Durable, &[Fate::Durable, Fate::Durable, Fate::Durable][..]));
        let ought: Vec<_> =
            ["before", "first"].into_iter().map(str::to_owned).chain(others.clone()).collect();
        assert!(said(&store).iter().all(|text| ought.contains(text)) && said(&store).len() == ought.len());
        store.close().unwrap();
        assert_eq!(said(&open(on(sim))).len(), 5);
    });
}

/// After a failed sync nothing may be synced again, by the thread neither that syncs at intervals.
#[test]
fn a_failed_sync_ends_the_syncs_at_intervals() {
    let sim = fresh();
    let faults = FaultFs::over_sim(&sim, Vec::new());
    let options = on(faults.clone()).sync(SyncPolicy::Interval(Duration::from_millis(400)));
    let store = open(options);
    drop(store.add_message("c1", "not synced").unwrap());
    faults.replan(vec![Rule::new(Call::Sync, 1, Fault::SyncDropsPages(EIO))]);
    store.sync().unwrap_err();
    assert!(faults.all_fired());
    let syncs = faults.count(Call::Sync);
    pause(1_000);
    assert_eq!(faults.count(Call::Sync), syncs);
    assert_eq!(store.add_message("c1", "more").unwrap_err().kind(), ErrorKind::Failed);
}

/// A handle that is printed, as programs that log their state do, prints no message.
#[test]
fn the_debug_form_of_a_handle_shows_no_message() {
    let sim = fresh();
    let store = open(on(sim.clone()));
    drop(store.add_message("c1", "<secret>").unwrap());
    store.compact().unwrap();
    drop(store.add_message("c1", "<secret>").unwrap());
    let viewer = open(on(sim).read_only());
    for handle in [&store, &viewer] {
        assert_eq!(handle.messages("c1", Messages::all()).unwrap().len(), 2);
        let shown = format!("{handle:?}");
        assert!(shown.contains("MessageStore") && !shown.contains("secret"), "{shown}");
    }
}
