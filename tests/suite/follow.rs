//! A follower gives every event once, in order, or says which ones are gone.
//!
//! The writer appends, compacts and is opened anew beside it, on a simulated file system; two handles over
//! one simulator stand for two processes.

use std::path::PathBuf;
use std::sync::Arc;

use aral_store::{
    Batch, Change, ErrorKind, Event, Follower, Logged, MessageStore, Mutation, NewMessage, Options,
};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proptest::{collection, prelude::*};

use crate::support::driver::{self, DIR};
use crate::support::faultfs::Call;
use crate::support::hooks::Hooked;
use crate::support::simfs::{self, SimFs};

fn on(sim: &SimFs) -> Options {
    // The smallest segments there are, so that a few messages fill one.
    let options = MessageStore::options().vfs(Arc::new(sim.clone())).compact_manually();
    options.first_segment_bytes(8 << 10).segment_bytes(64 << 10)
}

fn fresh() -> SimFs {
    driver::fresh(simfs::Settings::default())
}

fn add(store: &MessageStore, text: &str) {
    assert!(store.add_message("c1", text).unwrap().is_durable());
}

/// What a follower has given so far.
#[derive(Debug)]
struct Seen {
    follower: Follower,
    next: u64,
    gaps: Vec<(u64, u64)>,
    events: Vec<Event>,
}

impl Seen {
    fn new(store: &MessageStore) -> Self {
        Self { follower: store.follow(1).unwrap(), next: 1, gaps: Vec::new(), events: Vec::new() }
    }

    /// Takes all there is; nothing may be passed over or given twice.
    #[track_caller]
    fn take(&mut self) -> &mut Self {
        while let Some(logged) = self.follower.next_logged().unwrap() {
            match logged {
                Logged::Batch { seq, events } => {
                    assert_eq!(seq, self.next, "no event is passed over or given twice");
                    self.next += u64::try_from(events.len()).unwrap();
                    self.events.extend(events);
                }
                Logged::Compacted { first, last } => {
                    assert_eq!(first, self.next, "a gap begins where the events end");
                    assert!(last >= first);
                    self.gaps.push((first, last));
                    self.next = last + 1;
                }
                other => panic!("{other:?}"),
            }
        }
        self
    }

    fn texts(&self) -> Vec<String> {
        let text = |event: &Event| {
            let Change::AddMessage(message) = &event.change else { panic!("{event:?}") };
            message.content.to_string()
        };
        self.events.iter().map(text).collect()
    }
}

#[test]
fn a_reader_sees_what_is_appended_after_its_opening() {
    let sim = fresh();
    let store = on(&sim).open(DIR).unwrap();
    add(&store, "one");
    let mut seen = Seen::new(&on(&sim).read_only().open(DIR).unwrap());
    assert_eq!(seen.take().texts(), ["one"]);
    add(&store, "two");
    drop(store.batch(Batch::new().add_message("c1", "three").add_message("c2", "four")).unwrap());
    assert_eq!(seen.take().texts(), ["one", "two", "three", "four"]);
    store.close().unwrap();
    let store = on(&sim).open(DIR).unwrap();
    add(&store, "five");
    assert_eq!(seen.take().texts().last().unwrap(), "five");
}

#[test]
fn what_a_compaction_has_dropped_is_said_with_its_range() {
    let sim = fresh();
    let store = on(&sim).open(DIR).unwrap();
    let mut slow = Seen::new(&on(&sim).read_only().open(DIR).unwrap_or_else(|_| store.clone()));
    add(&store, "one");
    slow.take();
    for text in ["two", "three"] {
        add(&store, text);
        store.compact().unwrap();
    }
    add(&store, "four");
    let viewer = on(&sim).read_only().open(DIR).unwrap();
    for from in [1, 2, 3, 4, 5] {
        let mut seen = Seen { next: from, ..Seen::new(&viewer) };
        seen.follower = viewer.follow(from).unwrap();
        seen.take();
        let gap = (from <= 3).then_some((from, 3));
        assert_eq!(seen.gaps, Vec::from_iter(gap), "from {from}");
        assert_eq!(seen.texts().len(), usize::from(from <= 4), "from {from}");
    }
    // One that had its segment open reads it to its end all the same.
    assert_eq!(slow.take().next, 5);
    assert!(slow.gaps.iter().all(|(first, _)| *first > 2), "{:?}", slow.gaps);
}

#[test]
fn a_batch_that_holds_the_first_event_is_given_whole_and_long_ones_too() {
    let sim = fresh();
    let store = on(&sim).open(DIR).unwrap();
    let long = "x".repeat(700_000);
    drop(store.batch(Batch::new().add_message("c1", "a").add_message("c1", long.as_str())).unwrap());
    add(&store, "b");
    let viewer = on(&sim).read_only().open(DIR).unwrap();
    let mut follower = viewer.follow(2).unwrap();
    let Some(Logged::Batch { seq: 1, events }) = follower.next_logged().unwrap() else {
        panic!("the batch");
    };
    assert_eq!(events.len(), 2);
    assert!(matches!(follower.next_logged().unwrap(), Some(Logged::Batch { seq: 3, .. })));
    assert_eq!(follower.next_logged().unwrap(), None);
}

#[test]
fn a_store_without_events_of_its_own_has_none_to_follow() {
    let error = MessageStore::in_memory().follow(1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn a_compaction_between_two_calls_of_a_follower_hides_nothing() {
    for call in [Call::ReadDir, Call::Open] {
        for part in ["log", "CHECKPOINT", ".seg"] {
            let sim = fresh();
            let store = on(&sim).open(DIR).unwrap();
            add(&store, "one");
            let hooked = Hooked::over(sim.clone());
            let options = MessageStore::options().vfs(Arc::<Hooked>::clone(&hooked)).read_only();
            let viewer = options.open(DIR).unwrap();
            let mut seen = Seen::new(&viewer);
            let writer = store.clone();
            hooked.before(call, part, move || {
                add(&writer, "two");
                drop(writer.compact().unwrap());
                add(&writer, "three");
            });
            seen.take().take();
            if hooked.has_begun() {
                assert_eq!(seen.next, 4, "before {call:?} on {part}");
            }
        }
    }
}

#[test]
fn durable_bytes_that_are_gone_are_an_error_and_not_the_end() {
    let sim = fresh();
    let store = on(&sim).open(DIR).unwrap();
    for n in 0..40 {
        add(&store, &format!("{n}{}", "x".repeat(1000)));
    }
    let viewer = on(&sim).read_only().open(DIR).unwrap();
    let is_first = |path: &PathBuf| path.to_string_lossy().ends_with("0000000000000001.seg");
    let first = sim.files().into_iter().map(|(path, _)| path).find(is_first).unwrap();
    sim.edit(&first, |bytes| bytes[5000] ^= 1);
    let mut follower = viewer.follow(1).unwrap();
    let error = loop {
        match follower.next_logged() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the damage was taken for the end"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(error.place().unwrap().path, first);
}

#[derive(Clone, Debug)]
enum Step {
    Add(usize),
    Batch(usize),
    Compact,
    Reopen,
    Look(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_000_usize).prop_map(Step::Add),
        2 => (1..5_usize).prop_map(Step::Batch),
        1 => Just(Step::Compact),
        1 => Just(Step::Reopen),
        3 => (0..3_usize).prop_map(Step::Look),
    ]
}

/// The first follower looks after every step, and so nothing is gone before it has seen it.
fn run(steps: &[Step]) {
    let sim = fresh();
    let mut store = on(&sim).open(DIR).unwrap();
    let viewer = on(&sim).read_only().open(DIR).unwrap();
    let mut followers: Vec<Seen> = (0..3).map(|_| Seen::new(&viewer)).collect();
    for (n, step) in steps.iter().enumerate() {
        match step {
            Step::Add(length) => add(&store, &format!("{n}{}", "x".repeat(*length))),
            Step::Batch(count) => {
                let text = |at: usize| NewMessage::new(format!("{n}.{at}"));
                let batch: Vec<_> = (0..*count).map(|at| Mutation::add_message("c2", text(at))).collect();
                drop(store.batch(batch).unwrap());
            }
            Step::Compact => drop(store.compact().unwrap()),
            Step::Reopen => {
                store.close().unwrap();
                store = on(&sim).open(DIR).unwrap();
            }
            Step::Look(which) => {
                followers[*which].take();
            }
        }
        followers[0].take();
    }
    let end = store.stats().unwrap().last_seq + 1;
    let mut own = Seen::new(&store);
    own.take();
    for seen in followers.iter_mut().map(Seen::take).chain([&mut own]) {
        assert_eq!(seen.next, end, "every event is given or said to be gone");
    }
    assert_eq!(followers[0].gaps, [], "whoever keeps up misses nothing");
}

#[test]
fn followers_beside_random_work_give_everything_or_say_what_is_gone() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let config = Config { cases: 150, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let result = runner.run(&collection::vec(step(), 1..60), |steps| {
        run(&steps);
        Ok(())
    });
    result.unwrap();
}
