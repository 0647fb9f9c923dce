//! A consumer is given every event at least once, in order, whoever dies and whatever is compacted; what it has acknowledged is not
//! given again; and what is gone before it has read it is told by its range.
//!
//! Two handles over one simulated file system stand for two processes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use aral_store::vfs::{OpenMode, Vfs, read_all, write_all_at};
use aral_store::{Begin, Clock, Consumer, Error, ErrorKind, MessageStore, Options, SyncPolicy};

use crate::support::buckets;
use crate::support::databases;
use crate::support::driver::{self, DIR, Home};
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::ops::Settings;
use crate::support::simfs::errno::EIO;
use crate::support::simfs::{self, SimFs, SplitMix};
use crate::support::sources::Sources;

const SETTINGS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

fn on(sim: &SimFs) -> Options {
    // The smallest segments there are.
    let options = MessageStore::options().vfs(Arc::new(sim.clone())).compact_manually();
    options.first_segment_bytes(8 << 10).segment_bytes(64 << 10)
}

fn fresh() -> SimFs {
    driver::fresh(simfs::Settings::default())
}

fn open(sim: &SimFs) -> MessageStore {
    on(sim).open(DIR).unwrap()
}

fn read(sim: &SimFs) -> MessageStore {
    on(sim).read_only().open(DIR).unwrap()
}

fn add(store: &MessageStore, count: u64) {
    for n in 0..count {
        drop(store.add_message(if n % 2 == 0 { "c1" } else { "c2" }, format!("message {n}")).unwrap());
    }
}

fn compact(store: &MessageStore) {
    drop(store.compact().unwrap());
}

/// The numbers of all that there is.
fn numbers(consumer: &mut Consumer) -> Vec<u64> {
    let mut found = Vec::new();
    loop {
        let batch = consumer.next_batch(3).unwrap();
        if batch.is_empty() {
            return found;
        }
        found.extend(batch.iter().map(|(seq, _)| *seq));
    }
}

fn file(name: &str) -> PathBuf {
    Path::new(DIR).join("log/consumers").join(name)
}

/// The segments that are kept for consumers alone, and their lengths.
fn unread(sim: &SimFs) -> Vec<(PathBuf, u64)> {
    let is_unread = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "unread");
    sim.files().into_iter().filter(|(path, _)| is_unread(path)).collect()
}

#[test]
fn what_is_acknowledged_is_not_given_again_and_the_rest_is_through_compactions_and_openings() {
    let sim = fresh();
    let store = open(&sim);
    add(&store, 4);
    let beside = read(&sim);
    let mut consumer = beside.consumer("indexer").unwrap();
    let batch = consumer.next_batch(2).unwrap();
    assert_eq!(batch.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 2]);
    consumer.acknowledge(1).unwrap();
    compact(&store);
    add(&store, 2);
    compact(&store);
    // It goes on although all of it is compacted by now, and so does the next one under its name.
    assert_eq!(numbers(&mut consumer), [3, 4, 5, 6]);
    drop(consumer);
    let mut again = store.consumer("indexer").unwrap();
    assert_eq!((again.acknowledged(), numbers(&mut again)), (1, vec![2, 3, 4, 5, 6]));
    again.acknowledge(6).unwrap();
    drop(again);
    store.close().unwrap();
    let store = open(&sim);
    assert_eq!(numbers(&mut store.consumer("indexer").unwrap()), Vec::<u64>::new());
    add(&store, 1);
    assert_eq!(numbers(&mut store.consumer("indexer").unwrap()), [7]);
}

#[test]
fn what_is_kept_for_consumers_goes_once_all_have_read_it_or_are_removed() {
    let sim = fresh();
    let store = open(&sim);
    add(&store, 1);
    let [mut one, other] = ["one", "other"].map(|name| store.consumer(name).unwrap());
    compact(&store);
    assert_eq!(unread(&sim).len(), 1);
    assert!(store.verify().unwrap().is_sound());
    assert_eq!(numbers(&mut one), [1]);
    one.acknowledge(1).unwrap();
    compact(&store);
    assert_eq!(unread(&sim).len(), 1, "the other one has not read it");
    let stats = store.stats().unwrap();
    let lags: Vec<_> = stats.consumers.iter().map(|c| (c.name.as_str(), c.acknowledged, c.lag)).collect();
    assert_eq!(lags, [("one", 1, 0), ("other", 0, 1)]);
    drop(other);
    store.remove_consumer("other").unwrap();
    compact(&store);
    assert_eq!(unread(&sim).len(), 0);
    assert_eq!(store.remove_consumer("other").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.consumers().unwrap().len(), 1);
}

#[test]
fn past_the_bound_a_consumer_is_told_what_it_has_missed_and_goes_on_where_it_is_put() {
    let sim = fresh();
    let store = open(&sim);
    drop(store.consumer("slow").unwrap());
    add(&store, 2);
    compact(&store);
    for _ in 0..3 {
        add(&store, 2);
        compact(&store);
    }
    // All of it is there still, and goes but for the newest two.
    let kept = unread(&sim);
    let newest: u64 = kept.iter().rev().take(2).map(|(_, bytes)| bytes).sum();
    assert_eq!(kept.len(), 4);
    store.close().unwrap();
    let store = on(&sim).keep_unread(newest).open(DIR).unwrap();
    assert_eq!(unread(&sim).len(), 4, "an opening drops nothing");
    compact(&store);
    let status = store.stats().unwrap().consumers.remove(0);
    let Some((1, last)) = status.missed else { panic!("{status:?}") };
    assert!((2..8).contains(&last) && status.lag == 8, "{status:?}");
    let report = store.verify().unwrap();
    let note = format!("has missed events 1 to {last}");
    assert!(report.is_sound() && report.notes.iter().any(|text| text.contains(&note)), "{report:?}");
    let mut slow = store.consumer("slow").unwrap();
    let error = slow.next_batch(10).unwrap_err();
    assert!(
        error.kind() == ErrorKind::Missed && error.message().contains(&format!("events 1 to {last}")),
        "{error}"
    );
    assert_eq!(slow.missed(), Some((1, last)));
    assert_eq!(
        slow.next_batch(10).unwrap_err().kind(),
        ErrorKind::Missed,
        "it is not passed over by asking again"
    );
    assert_eq!(store.reset_consumer("slow", Begin::At(last + 1)).unwrap_err().kind(), ErrorKind::Locked);
    drop(slow);
    assert_eq!(store.reset_consumer("slow", Begin::At(last)).unwrap_err().kind(), ErrorKind::Missed);
    assert_eq!(store.reset_consumer("slow", Begin::At(last + 1)).unwrap(), last);
    assert_eq!(numbers(&mut store.consumer("slow").unwrap()), (last + 1..=8).collect::<Vec<_>>());
    assert_eq!(store.reset_consumer("slow", Begin::Now).unwrap(), 8);
    assert_eq!(store.reset_consumer("slow", Begin::Start).unwrap(), last);
}

#[test]
fn one_reads_under_a_name_at_a_time_and_the_other_is_told_who() {
    let sim = fresh();
    let (store, beside) = {
        let store = open(&sim);
        add(&store, 2);
        (store, read(&sim))
    };
    let mut first = store.consumer("indexer").unwrap();
    let error = beside.consumer("indexer").unwrap_err();
    let holder = format!("process {}", std::process::id());
    assert!(error.kind() == ErrorKind::Locked && error.message().contains(&holder), "{error}");
    assert_eq!(store.consumers().unwrap()[0].holder.as_deref(), Some(&*holder));
    assert_eq!(store.remove_consumer("indexer").unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(numbers(&mut first), [1, 2]);
    // Somebody removes the file of the lock, and the next one takes another.
    simfs_remove(&sim, &file("indexer.lock"));
    let mut second = beside.consumer("indexer").unwrap();
    let error = first.acknowledge(2).unwrap_err();
    assert!(error.kind() == ErrorKind::Locked && error.message().contains(&holder), "{error}");
    assert_eq!((numbers(&mut second), first.acknowledged()), (vec![1, 2], 0));
    second.acknowledge(2).unwrap();
    drop((first, second));
    assert_eq!(store.consumers().unwrap()[0].holder, None);
}

fn simfs_remove(sim: &SimFs, path: &Path) {
    Vfs::remove_file(sim, path).unwrap();
}

#[test]
fn events_of_other_conversations_and_kinds_are_passed_over_and_hold_nothing_up() {
    let sim = fresh();
    let store = open(&sim);
    add(&store, 4);
    store.set_title("c2", "a title").unwrap();
    let mut consumer = store.consumer("titles").unwrap().conversations(["c2"]).kinds(["set_title"]).unwrap();
    assert_eq!(numbers(&mut consumer), [5]);
    consumer.acknowledge(5).unwrap();
    add(&store, 2);
    assert_eq!(numbers(&mut consumer), Vec::<u64>::new());
    assert_eq!(consumer.acknowledged(), 7);
    let error = store.consumer("other").unwrap().kinds(["speak"]).unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.message().contains("add_message"), "{error}");
    drop(consumer);
    drop(store.consumer("titles").unwrap().kinds(["speak"]).unwrap_err());
    let names: Vec<String> = store.consumers().unwrap().into_iter().map(|status| status.name).collect();
    assert_eq!(names, ["titles"], "what was refused has begun nothing, and ended nothing");
}

#[test]
fn the_list_of_consumers_looks_at_each_cursor_and_its_lock_once() {
    let sim = fresh();
    let fs = FaultFs::over_sim(&sim, Vec::new());
    let store = MessageStore::options().vfs(Arc::new(fs.clone())).compact_manually().open(DIR).unwrap();
    add(&store, 1);
    drop(store.consumer("c").unwrap());
    fs.replan(vec![Rule::new(Call::Open, 3, Fault::Errno(EIO)).on("consumers/c")]);
    assert_eq!((store.consumers().unwrap().len(), fs.fired()), (1, vec![0]));
}

#[test]
fn only_what_was_given_can_be_acknowledged() {
    let sim = fresh();
    let store = open(&sim);
    add(&store, 3);
    let mut consumer = store.consumer("c").unwrap();
    assert_eq!(consumer.acknowledge(1).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(consumer.next_batch(2).unwrap().len(), 2);
    assert_eq!(consumer.acknowledge(3).unwrap_err().kind(), ErrorKind::InvalidInput);
    consumer.acknowledge(2).unwrap();
    consumer.acknowledge(1).unwrap();
    assert_eq!(consumer.acknowledged(), 2);
}

#[test]
fn a_name_that_is_none_and_a_beginning_that_is_not_there_are_refused() {
    let store = open(&fresh());
    let long = "x".repeat(65);
    for name in ["", "../x", "A", "x.y", "-x", "é", &long] {
        assert_eq!(store.consumer(name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name}");
    }
    add(&store, 2);
    assert_eq!(store.consumer_from("c", Begin::At(4)).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(store.consumers().unwrap(), [], "nothing was begun");
    assert_eq!(store.consumer_from("c", Begin::At(3)).unwrap().acknowledged(), 2);
    compact(&store);
    let error = store.consumer_from("d", Begin::At(1)).unwrap_err();
    assert!(
        error.kind() == ErrorKind::Missed && error.message().contains("the oldest that the log has is 3"),
        "{error}"
    );
    let mut start = store.consumer("e").unwrap();
    add(&store, 1);
    assert_eq!(numbers(&mut start), [3]);
    assert_eq!(MessageStore::in_memory().consumer("c").unwrap_err().kind(), ErrorKind::Unsupported);
}

/// Puts the log back as it was, and leaves the cursors.
fn put_back(sim: &SimFs, older: &SimFs) -> SimFs {
    let back = older.kill();
    let cursor = Vfs::open(sim, &file("indexer"), OpenMode::Read).unwrap();
    let cursor = read_all(&*cursor, 1024).unwrap();
    if back.files().iter().any(|(path, _)| *path == file("indexer")) {
        simfs_remove(&back, &file("indexer"));
    }
    let made = Vfs::open(&back, &file("indexer"), OpenMode::CreateNew).unwrap();
    write_all_at(&*made, &cursor, 0).unwrap();
    back
}

#[test]
fn a_cursor_ahead_of_a_log_that_was_put_back_is_told_and_never_goes_on_by_itself() {
    let sim = fresh();
    let store = open(&sim);
    add(&store, 2);
    let mut consumer = store.consumer("indexer").unwrap();
    let older = sim.snapshot();
    add(&store, 2);
    assert_eq!(numbers(&mut consumer), [1, 2, 3, 4]);
    consumer.acknowledge(4).unwrap();
    let back = put_back(&sim, &older);
    let store = open(&back);
    let told = |error: &Error, part: &str| {
        assert!(error.kind() == ErrorKind::Conflict && error.message().contains(part), "{error}");
        assert!(error.message().contains("aral-store consumers --reset indexer"), "{error}");
    };
    let listed = store.consumers().unwrap().remove(0).error.unwrap();
    assert!(listed.contains("ahead of the log, whose newest event is 2"), "{listed}");
    told(&store.consumer("indexer").unwrap_err(), "acknowledged event 4, and the newest of the log is 2");
    // Nor once the log has come that far again, with other events.
    add(&store, 1);
    drop(store.add_message("c9", "another one").unwrap());
    told(&store.consumer("indexer").unwrap_err(), "another event 4");
    assert_eq!(store.reset_consumer("indexer", Begin::At(3)).unwrap(), 2);
    assert_eq!(numbers(&mut store.consumer("indexer").unwrap()), [3, 4]);
}

#[test]
fn a_damaged_cursor_is_told_and_keeps_what_may_be_unread() {
    let sim = fresh();
    let store = open(&sim);
    drop(store.consumer("indexer").unwrap());
    add(&store, 2);
    simfs_remove(&sim, &file("indexer"));
    drop(Vfs::open(&sim, &file("indexer"), OpenMode::CreateNew).unwrap());
    compact(&store);
    let error = store.consumer("indexer").unwrap_err();
    assert!(error.kind() == ErrorKind::Corrupt && error.message().contains("--reset NAME"), "{error}");
    assert!(!store.verify().unwrap().is_sound());
    assert!(store.stats().unwrap().consumers[0].error.is_some());
    assert_eq!(store.reset_consumer("indexer", Begin::At(1)).unwrap(), 0);
    assert_eq!(numbers(&mut store.consumer("indexer").unwrap()), [1, 2]);
}

/// What was promised to a consumer at some moment.
struct Moment {
    state: SimFs,
    acknowledged: u64,
    what: String,
}

/// A consumer that reads, acknowledges, ends and comes back, with compactions between. What was acknowledged is noted.
fn live(sim: &SimFs, policy: SyncPolicy, promised: &AtomicU64) {
    let store = on(sim).sync(policy).open(DIR).unwrap();
    let beside = read(sim);
    let mut consumer = beside.consumer("indexer").unwrap();
    for round in 0..3 {
        add(&store, 3);
        let batch = consumer.next_batch(2).unwrap();
        let (seq, _) = batch.last().unwrap();
        if round % 2 == 0 {
            compact(&store);
        }
        consumer.acknowledge(*seq).unwrap();
        promised.fetch_max(*seq, Ordering::SeqCst);
        if round == 1 {
            drop(consumer);
            consumer = store.consumer("indexer").unwrap();
        }
        compact(&store);
    }
}

/// Nothing unread is passed over, and nothing acknowledged comes again.
fn all_is_kept(store: &MessageStore, moment: &Moment, place: &str) {
    let last = store.stats().unwrap().last_seq;
    let mut consumer = store.consumer("indexer").unwrap_or_else(|error| panic!("{place}: {error}"));
    let acknowledged = consumer.acknowledged();
    assert!(acknowledged >= moment.acknowledged, "{place}: {acknowledged} of {}", moment.acknowledged);
    let mut given = Vec::new();
    loop {
        let batch = consumer.next_batch(3).unwrap_or_else(|error| panic!("{place}: {error}"));
        if batch.is_empty() {
            break;
        }
        given.extend(batch.iter().map(|(seq, _)| *seq));
    }
    assert_eq!(given, (acknowledged + 1..=last).collect::<Vec<_>>(), "{place}");
}

#[test]
fn a_crash_at_any_call_passes_over_nothing_unread_and_takes_back_nothing_acknowledged() {
    for policy in [SyncPolicy::Always, SyncPolicy::Os] {
        let sim = fresh();
        let store = open(&sim);
        drop(store.consumer("indexer").unwrap());
        store.close().unwrap();
        let (promised, moments) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (counted, noted) = (Arc::clone(&promised), Arc::clone(&moments));
        sim.on_op(Some(Box::new(move |fs, op| {
            let (state, acknowledged) = (fs.snapshot(), counted.load(Ordering::SeqCst));
            let moment = Moment { state, acknowledged, what: format!("{op:?}") };
            noted.lock().unwrap_or_else(PoisonError::into_inner).push(moment);
        })));
        live(&sim, policy, &promised);
        sim.on_op(None);
        let moments = std::mem::take(&mut *moments.lock().unwrap());
        assert!(moments.len() > 100 && promised.load(Ordering::SeqCst) > 3, "{}", moments.len());
        for (call, moment) in (0_u64..).zip(&moments) {
            let mut choice = SplitMix::new(call);
            for survivor in [moment.state.kill(), moment.state.crash(&mut choice)] {
                let place = format!("{policy:?}, call {call}, {}", moment.what);
                let store = open(&survivor);
                all_is_kept(&store, moment, &place);
                compact(&store);
                all_is_kept(&store, moment, &place);
                store.close().unwrap();
                let store = open(&survivor);
                all_is_kept(&store, moment, &place);
                let report = store.verify().unwrap();
                assert!(report.is_sound(), "{place}: {report:?}");
                store.close().unwrap();
            }
        }
    }
}

/// A clock that is ahead of the system's.
#[derive(Debug)]
struct Ahead(i64);

impl Clock for Ahead {
    fn now_micros(&self) -> i64 {
        self.0
    }
}

/// A URL of each database, and of each bucket and what else keeps objects.
fn urls(name: &str, dir: &Path) -> Vec<String> {
    let bucket = |home| if let Home::Bucket(url) = home { Some(url) } else { None };
    databases::urls(dir).into_iter().chain(buckets::of(name).into_iter().filter_map(bucket)).collect()
}

#[test]
fn on_every_engine_what_is_unread_is_given_once_and_in_order_through_compactions_and_openings() {
    let dir = tempfile::tempdir().unwrap();
    let mut homes = vec![Home::Sim(fresh()), Home::Real(dir.path().join("data"))];
    homes.extend(databases::of(dir.path()).into_iter().chain(buckets::of("unread")));
    for home in homes {
        let open = || driver::open(&home, SETTINGS, &Sources::default()).unwrap();
        let (mut store, mut given, mut newest) = (open(), Vec::new(), 3);
        add(&store, 3);
        for round in 0..4_u64 {
            let mut consumer = store.consumer("indexer").unwrap();
            // Less than there is, so that a compaction finds it behind.
            let batch: Vec<u64> = consumer.next_batch(2).unwrap().into_iter().map(|(seq, _)| seq).collect();
            consumer.acknowledge(batch[1]).unwrap();
            given.extend(batch);
            drop(consumer);
            add(&store, 3);
            newest += 3;
            match store.compact() {
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{home:?}: {error}"),
                Ok(_) => assert!(store.verify().unwrap().is_sound(), "{home:?}"),
            }
            if round % 2 == 0 {
                store.close().unwrap();
                store = open();
            }
            let status = &store.stats().unwrap().consumers[0];
            assert_eq!((status.lag, status.missed), (newest - 2 * (round + 1), None), "{home:?}");
        }
        given.extend(numbers(&mut store.consumer("indexer").unwrap()));
        assert_eq!(given, (1..=newest).collect::<Vec<_>>(), "{home:?}");
        store.close().unwrap();
    }
}

#[test]
fn a_database_or_a_bucket_keeps_cursors_for_many_processes_and_gives_each_to_one_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    for url in urls("held", dir.path()) {
        let [one, other] = [(); 2].map(|()| MessageStore::options().connect(&url).unwrap());
        assert_eq!(one.consumers().unwrap(), [], "{url}");
        add(&one, 4);
        let mut consumer = one.consumer("indexer").unwrap();
        assert_eq!(consumer.next_batch(2).unwrap().len(), 2);
        consumer.acknowledge(1).unwrap();
        let error = other.consumer("indexer").unwrap_err();
        let holder = format!("process {}", std::process::id());
        assert!(error.kind() == ErrorKind::Locked && error.message().contains(&holder), "{error}");
        assert_eq!(other.consumers().unwrap()[0].holder.as_deref(), Some(&*holder));
        drop(consumer);
        let mut again = other.consumer("indexer").unwrap();
        assert_eq!((again.acknowledged(), numbers(&mut again)), (1, vec![2, 3, 4]));
        again.acknowledge(4).unwrap();
        drop(again);
        let reader = MessageStore::options().read_only().connect(&url).unwrap();
        let status = reader.stats().unwrap().consumers.remove(0);
        assert_eq!((status.acknowledged, status.lag, status.holder), (4, 0, None));
        assert_eq!(reader.consumer("indexer").unwrap_err().kind(), ErrorKind::ReadOnly);
        assert_eq!(other.reset_consumer("indexer", Begin::At(3)).unwrap(), 2);
        assert_eq!(numbers(&mut one.consumer("indexer").unwrap()), [3, 4]);
        assert!(one.verify().unwrap().is_sound());
        one.remove_consumer("indexer").unwrap();
        assert_eq!(one.remove_consumer("indexer").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(other.consumers().unwrap(), []);
    }
}

#[test]
fn in_a_database_or_a_bucket_one_that_has_died_is_overtaken_and_acknowledges_nothing_if_it_has_not() {
    let dir = tempfile::tempdir().unwrap();
    for url in urls("overtaken", dir.path()) {
        let at =
            |seconds: i64| MessageStore::options().clock(Ahead(seconds * 1_000_000)).connect(&url).unwrap();
        let (one, early, late) = (at(1_000), at(1_029), at(1_031));
        add(&one, 2);
        let mut first = one.consumer("indexer").unwrap();
        assert_eq!(numbers(&mut first), [1, 2]);
        assert_eq!(early.consumer("indexer").unwrap_err().kind(), ErrorKind::Locked, "{url}");
        let mut second = late.consumer("indexer").unwrap();
        let error = first.acknowledge(2).unwrap_err();
        assert!(
            error.kind() == ErrorKind::Locked && error.message().contains("taken over by process"),
            "{error}"
        );
        // Nor does it take the lease from the other one when it goes.
        drop(first);
        assert_eq!(early.consumer("indexer").unwrap_err().kind(), ErrorKind::Locked);
        assert_eq!(numbers(&mut second), [1, 2]);
        second.acknowledge(2).unwrap();
        assert_eq!(late.consumers().unwrap()[0].acknowledged, 2);
    }
}

#[test]
fn what_a_killed_process_leaves_of_a_database_has_every_event_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let url = format!("sqlite:{}", path.display());
    let Ok(store) = MessageStore::options().connect(&url) else { return };
    add(&store, 3);
    let mut consumer = store.consumer("indexer").unwrap();
    assert_eq!(numbers(&mut consumer), [1, 2, 3]);
    for seq in 1..=3 {
        consumer.acknowledge(seq).unwrap();
        // What a process leaves that dies now: its files as they are, with what is in them and not yet in the database's own.
        let left = dir.path().join(format!("left{seq}"));
        copied(dir.path(), &left);
        let late = MessageStore::options().clock(Ahead(i64::MAX / 4));
        let left = late.connect(format!("sqlite:{}", left.join("store.db").display())).unwrap();
        let mut next = left.consumer("indexer").unwrap();
        assert_eq!((next.acknowledged(), numbers(&mut next)), (seq, (seq + 1..=3).collect::<Vec<_>>()));
    }
}

#[expect(clippy::disallowed_methods, reason = "databases live on the real file system")]
fn copied(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for name in ["store.db", "store.db-wal"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

#[test]
fn memory_has_no_consumers_and_says_what_to_do() {
    let store = MessageStore::in_memory();
    add(&store, 1);
    let error = store.consumer("indexer").unwrap_err();
    assert!(error.kind() == ErrorKind::Unsupported && error.message().contains("copy the store"), "{error}");
    assert_eq!(store.stats().unwrap().consumers, []);
}

#[test]
fn a_call_that_fails_moves_no_cursor_back_and_passes_over_nothing() {
    let calls = [
        (Call::Open, ""),
        (Call::Create, "consumers"),
        (Call::Read, ""),
        (Call::Write, "consumers"),
        (Call::SetLen, "consumers"),
        (Call::Sync, ""),
        (Call::SyncDir, ""),
        (Call::Rename, ""),
        (Call::Remove, ""),
        (Call::Lock, "consumers"),
        (Call::ReadDir, ""),
        (Call::Metadata, ""),
        (Call::CreateDir, "consumers"),
    ];
    let base = fresh();
    let store = open(&base);
    add(&store, 3);
    store.close().unwrap();
    let mut failed = 0;
    for (call, part) in calls {
        for fault in [Fault::Errno(EIO), Fault::DoneButErrno(EIO)] {
            for n in
                (1..).step_by(if matches!(call, Call::Open | Call::Read | Call::Metadata) { 3 } else { 1 })
            {
                let sim = base.snapshot();
                let faults = FaultFs::over_sim(&sim, Vec::new());
                let options = MessageStore::options().vfs(Arc::new(faults.clone())).compact_manually();
                let Ok(store) = options.first_segment_bytes(8 << 10).open(DIR) else {
                    panic!("nothing has failed yet")
                };
                faults.replan(vec![Rule::new(call, n, fault).on(part)]);
                let mut acknowledged = 0;
                let tried = || -> aral_store::Result<()> {
                    let mut consumer = store.consumer("indexer")?;
                    let given: Vec<_> = consumer.next_batch(2)?.iter().map(|(seq, _)| *seq).collect();
                    assert_eq!(given, [1, 2]);
                    consumer.acknowledge(1)?;
                    acknowledged = 1;
                    store.compact()?;
                    consumer.acknowledge(2)?;
                    acknowledged = 2;
                    Ok(())
                };
                let tried = { tried }();
                if faults.fired() != [1] {
                    tried.unwrap();
                    break;
                }
                failed += u32::from(tried.is_err());
                drop(store);
                let (moment, place) = (
                    Moment { state: sim.clone(), acknowledged, what: String::new() },
                    format!("{call:?} {n}, {fault:?}, {tried:?}"),
                );
                let store = open(&sim);
                all_is_kept(&store, &moment, &place);
                drop(store.compact().unwrap());
                all_is_kept(&store, &moment, &place);
            }
        }
    }
    assert!(failed > 30, "{failed}");
}

#[test]
fn a_bit_that_rots_in_what_is_kept_for_a_consumer_is_told_and_gives_it_nothing_else() {
    let sim = fresh();
    let store = open(&sim);
    drop(store.consumer("indexer").unwrap());
    add(&store, 3);
    compact(&store);
    let whole = store.consumer("indexer").unwrap().next_batch(10).unwrap();
    store.close().unwrap();
    let (path, _) = unread(&sim).remove(0);
    let mut told = 0;
    for offset in (0..5_000).step_by(97) {
        let rotten = sim.snapshot();
        let file = Vfs::open(&rotten, &path, OpenMode::ReadWrite).unwrap();
        let mut byte = [0];
        assert_eq!(file.read_at(&mut byte, offset).unwrap(), 1);
        write_all_at(&*file, &[byte[0] ^ 4], offset).unwrap();
        let store = open(&rotten);
        match store.consumer("indexer").unwrap().next_batch(10) {
            Ok(batch) => assert_eq!(batch, whole, "byte {offset}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {offset}: {error}");
                assert!(!store.verify().unwrap().is_sound(), "byte {offset}");
                told += 1;
            }
        }
        // Nothing else depends on it.
        assert_eq!(store.stats().unwrap().messages, 3);
    }
    assert!(told > 3, "{told}");
}

/// Whatever a compaction cannot read of them, it keeps what may be unread, and goes on.
#[test]
fn cursors_that_cannot_be_read_at_all_stop_no_compaction_and_no_opening() {
    let sim = fresh();
    let store = open(&sim);
    add(&store, 2);
    sim.put(format!("{DIR}/log/consumers"), b"no directory");
    compact(&store);
    add(&store, 1);
    assert_eq!(store.stats().unwrap().consumers, []);
    assert!(!store.verify().unwrap().is_sound(), "it is told");
    store.close().unwrap();
    assert_eq!(open(&sim).stats().unwrap().messages, 3);
}
