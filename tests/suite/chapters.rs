//! What a store keeps of its history is whole, whatever happens to it, and nothing of the present depends on it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aral_store::{
    Conversation, DamagedFile, Edit, ErrorKind, Keep, MessageStore, Mutation, NewMessage, Operation,
    SyncPolicy,
};

use crate::support::databases;
use crate::support::driver::{self, DIR, Driver, Home};
use crate::support::ops::{self, CONVERSATIONS, Op, Settings};
use crate::support::past;
use crate::support::simfs::{self, SimFs, SplitMix};
use crate::support::sources::Sources;

const SETTINGS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

/// Keeps everything, each compaction in a chapter of its own.
const EACH: Keep = Keep::ForOrBytes(Duration::from_secs(100_000_000_000), 0);

fn fresh() -> SimFs {
    driver::fresh(simfs::Settings::default())
}

fn open(sim: &SimFs) -> MessageStore {
    driver::open(&Home::Sim(sim.clone()), SETTINGS, &Sources::default()).unwrap()
}

fn read(sim: &SimFs) -> aral_store::Result<MessageStore> {
    MessageStore::options().vfs(Arc::new(sim.clone())).read_only().open(DIR)
}

/// The chapters of a store, oldest first.
fn chapters(sim: &SimFs) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = sim.files().into_iter().map(|(path, _)| path).collect();
    found.retain(|path| path.extension().is_some_and(|ending| ending == "chapter"));
    found.sort();
    found
}

#[test]
fn with_everything_kept_every_state_is_found_again_through_compactions_kills_and_cuts_of_power() {
    for seed in 0..4_u64 {
        let mut driver = Driver::new(Home::Sim(fresh()), SETTINGS).unwrap();
        let keep = if seed % 2 == 0 { EACH } else { Keep::Everything };
        assert_eq!(driver.store().keep_history(keep).unwrap().dropped, None);
        let mut choice = SplitMix::new(seed);
        while driver.history.len() < 40 {
            let op = ops::op(&mut choice);
            if !matches!(op, Op::Damage(_) | Op::PutBack) {
                driver.run(&op).unwrap();
            }
        }
        driver.run(&Op::Compact).unwrap();
        let Home::Sim(sim) = &driver.home else { panic!("the home is a simulated one") };
        assert_eq!(
            chapters(sim).len() > 2,
            keep == EACH,
            "there were compactions, and what is short is put together"
        );
        let now = driver.history.last().unwrap();
        for then in &driver.history {
            for id in CONVERSATIONS {
                past::at(driver.store(), id, then, now).unwrap();
                assert!(
                    driver.store().at(then.last_seq).conversation(id).is_ok(),
                    "{id:?} after {}",
                    then.last_seq
                );
            }
        }
        let report = driver.store().verify().unwrap();
        assert!(report.is_sound(), "{report:?}");
        assert_eq!(driver.store().kept_history().unwrap().from, 1);
        driver.close().unwrap();
    }
}

/// What a store showed after some event.
type Seen = (u64, [Option<Conversation>; 2]);

fn look(store: &MessageStore) -> Seen {
    let last = store.stats().unwrap().last_seq;
    (last, ["c1", "c2"].map(|id| store.conversation(id).unwrap()))
}

fn say(store: &MessageStore, conversation: &str, id: &str) {
    drop(store.add_message(conversation, NewMessage::new(format!("said as {id}")).id(id)).unwrap());
}

/// A life with compactions in it; what was seen is noted after each step.
fn live(store: &MessageStore, seen: &mut Vec<Seen>) {
    let steps: [&dyn Fn(); 12] = [
        &|| say(store, "c1", "m1"),
        &|| say(store, "c2", "m2"),
        &|| drop(store.compact().unwrap()),
        &|| drop(store.edit_message("c1", "m1", Edit::content("edited")).unwrap()),
        &|| say(store, "c1", "m3"),
        &|| drop(store.compact().unwrap()),
        &|| drop(store.append(Mutation::new("c2", Operation::RemoveConversation)).unwrap()),
        &|| drop(store.compact().unwrap()),
        &|| say(store, "c2", "m4"),
        &|| drop(store.unremove_item("c2", "m2").unwrap()),
        &|| drop(store.compact().unwrap()),
        &|| say(store, "c1", "m5"),
    ];
    for step in steps {
        step();
        seen.push(look(store));
    }
}

/// Everything that was seen up to the last event that is there is found again.
fn all_is_found(store: &MessageStore, seen: &[Seen], place: &str) {
    let last = store.stats().unwrap().last_seq;
    for (seq, were) in seen.iter().filter(|(seq, _)| *seq <= last) {
        for (id, was) in ["c1", "c2"].into_iter().zip(were) {
            let is = store.at(*seq).conversation(id).unwrap_or_else(|error| panic!("{place}: {error}"));
            assert_eq!(is, *was, "{place}: {id} after event {seq}");
        }
    }
}

#[test]
fn a_crash_at_any_call_leaves_the_history_whole_and_the_next_compaction_goes_on_with_it() {
    for keep in [EACH, Keep::Everything] {
        crashes(keep);
    }
}

fn crashes(keep: Keep) {
    let sim = fresh();
    let store = open(&sim);
    assert_eq!(store.keep_history(keep).unwrap().dropped, None);
    let mut seen = Vec::new();
    let recorded = sim.record(|_| live(&store, &mut seen));
    assert!(recorded.len() > 100, "{}", recorded.len());
    for (call, (op, state)) in (0_u64..).zip(&recorded) {
        let mut choice = SplitMix::new(call);
        for survivor in [state.kill(), state.crash(&mut choice)] {
            let place = format!("call {call}, {op:?}");
            let store = open(&survivor);
            all_is_found(&store, &seen, &place);
            drop(store.compact().unwrap());
            all_is_found(&store, &seen, &place);
            let report = store.verify().unwrap();
            assert!(report.is_sound(), "{place}: {report:?}");
            store.close().unwrap();
        }
    }
}

#[test]
fn damage_to_the_history_is_told_by_its_range_and_touches_nothing_of_the_present() {
    let sim = fresh();
    let store = open(&sim);
    assert_eq!(store.keep_history(EACH).unwrap().dropped, None);
    let mut seen = Vec::new();
    live(&store, &mut seen);
    store.close().unwrap();
    let present = look(&read(&sim).unwrap());
    let step = std::env::var("ROT_STEP").ok().and_then(|step| step.parse().ok()).unwrap_or(5);
    for path in chapters(&sim) {
        let length = sim.read(&path).unwrap().len();
        for (offset, bit) in (0_u64..).zip((0_u8..8).cycle()).take(length).step_by(step) {
            let rotten = sim.snapshot();
            rotten.flip_bit(&path, offset, bit);
            let store = read(&rotten).unwrap();
            let place = format!("{path:?}, byte {offset}");
            assert_eq!(look(&store), present, "{place}");
            for (seq, were) in &seen {
                for (id, was) in ["c1", "c2"].into_iter().zip(were) {
                    match store.at(*seq).conversation(id) {
                        Ok(is) => assert_eq!(is, *was, "{place}: {id} after event {seq}"),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Corrupt, "{place}: {error}");
                            let said = error.to_string();
                            let name = path.file_name().unwrap().to_str().unwrap();
                            assert!(said.contains(name) && said.contains("`verify`"), "{place}: {said}");
                        }
                    }
                }
            }
            let report = store.verify().unwrap();
            let told = report.damaged.iter().find(|damage| damage.path == path);
            assert!(
                told.is_some_and(|damage| damage.reason.contains("history of events")),
                "{place}: {report:?}"
            );
        }
    }
    for (number, path) in chapters(&sim).into_iter().enumerate() {
        let gone = sim.snapshot();
        gone.delete(&path);
        let store = open(&gone);
        assert_eq!(look(&store), present);
        let kept = store.kept_history().unwrap();
        assert!(kept.from > 1, "without chapter {number}");
        // That the oldest is gone looks as if it had been dropped.
        assert_eq!(kept.missing.is_some(), number > 0, "without chapter {number}");
        let archive = PathBuf::from(DIR).join("log/archive");
        let told = || {
            let damaged = store.verify().unwrap().damaged;
            let is_gap = |damage: &DamagedFile| {
                damage.path == archive && damage.reason.contains("the history of events")
            };
            assert!(damaged.iter().all(is_gap), "without chapter {number}: {damaged:?}");
            damaged.len()
        };
        assert_eq!(told(), usize::from(number > 0), "without chapter {number}");
        let error = store.at(1).conversation("c2").unwrap_err();
        let kind = if number > 0 { ErrorKind::Corrupt } else { ErrorKind::NotFound };
        assert_eq!(error.kind(), kind, "without chapter {number}: {error}");
        say(&store, "c1", "m6");
        drop(store.compact().unwrap());
        assert_eq!(told(), usize::from(number > 0), "without chapter {number}, and compacted since");
        assert_eq!(store.keep_history(Keep::Nothing).unwrap().missing, None);
        assert_eq!(told(), 0, "without chapter {number}, and all are dropped");
        store.close().unwrap();
    }
}

#[test]
fn a_conversation_that_could_not_be_kept_is_told_by_the_compaction_and_by_verify_unless_it_is_known_from_before()
 {
    for is_known in [false, true] {
        let sim = fresh();
        let store = open(&sim);
        let keep = if is_known { Keep::Everything } else { Keep::Nothing };
        assert_eq!(store.keep_history(keep).unwrap().dropped, None);
        say(&store, "c1", "m1");
        drop(store.compact().unwrap());
        assert_eq!(store.keep_history(Keep::Everything).unwrap().dropped, None);
        sim.put(PathBuf::from(DIR).join("conversations/c1.json"), b"{ no JSON");
        drop(store.append(Mutation::new("c1", Operation::RemoveConversation)).unwrap());
        let report = store.compact().unwrap();
        let verified = store.verify().unwrap();
        let ids: Vec<_> = report.unkept.iter().map(|lost| lost.conversation_id.as_deref()).collect();
        let notes: Vec<_> = verified.notes.iter().filter(|note| note.contains("\"c1\"")).collect();
        assert_eq!(verified.damaged, []);
        if is_known {
            assert_eq!((ids, notes), (vec![], vec![]));
            assert_eq!(store.at(1).conversation("c1").unwrap().unwrap().messages.len(), 1);
        } else {
            assert_eq!(ids, [Some("c1")]);
            assert!(report.unkept[0].path.ends_with("c1.json"), "{report:?}");
            assert!(notes.len() == 1 && notes[0].contains("events 2 to 2"), "{verified:?}");
            assert_eq!(store.at(1).conversation("c1").unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}

#[test]
fn what_is_not_to_be_kept_is_dropped_oldest_first_and_said_by_its_range() {
    let (sim, sources) = (fresh(), Sources::default());
    let store = driver::open(&Home::Sim(sim.clone()), SETTINGS, &sources).unwrap();
    assert_eq!(store.keep_history(Keep::Nothing).unwrap().dropped, None);
    say(&store, "c1", "m0");
    drop(store.compact().unwrap());
    assert!(chapters(&sim).is_empty() && store.kept_history().unwrap().from == 2, "nothing is kept");
    // The clock of the tests goes on by a second with each operation.
    let keep = Keep::For(Duration::from_secs(10));
    assert_eq!(store.keep_history(keep).unwrap().from, 2);
    let mut dropped = None;
    for operation in 1..=4 {
        sources.begin(operation * 6);
        say(&store, "c1", &format!("m{operation}"));
        dropped = store.compact().unwrap().dropped_history.or(dropped);
    }
    assert_eq!(dropped, Some((3, 3)), "what was covered twelve seconds ago, and before");
    assert_eq!((store.kept_history().unwrap().from, chapters(&sim).len()), (4, 2));
    let count =
        |seq: u64| store.at(seq).conversation("c1").map(|was| was.map_or(0, |was| was.messages.len()));
    assert_eq!((count(3).unwrap(), count(4).unwrap(), count(5).unwrap()), (3, 4, 5));
    let error = count(2).unwrap_err();
    assert!(error.to_string().contains("whole from event 3 on"), "{error}");
    let bytes = store.kept_history().unwrap().bytes;
    let kept = store.keep_history(Keep::Bytes(bytes - 1)).unwrap();
    assert_eq!((kept.dropped, kept.from, chapters(&sim).len()), (Some((4, 4)), 5, 1));
    store.close().unwrap();
    let store = open(&sim);
    assert_eq!(store.kept_history().unwrap().keep, Keep::Bytes(bytes - 1), "the choice is the store's");
    let kept = store.keep_history(Keep::Nothing).unwrap();
    assert_eq!((kept.dropped, kept.from, chapters(&sim).len()), (Some((5, 5)), 6, 0));
    say(&store, "c1", "m7");
    drop(store.compact().unwrap());
    assert!(chapters(&sim).is_empty());
    assert_eq!(store.verify().unwrap().damaged, []);
}

#[test]
fn a_store_that_was_told_nothing_keeps_30_days_or_256_mib_whichever_is_more_and_writes_no_choice() {
    let (sim, sources) = (fresh(), Sources::default());
    let store = driver::open(&Home::Sim(sim.clone()), SETTINGS, &sources).unwrap();
    assert_eq!(store.kept_history().unwrap().keep.to_string(), "30d,256MiB");
    for day in [0, 29, 31, 400] {
        sources.begin(day * 86_400);
        say(&store, "c1", &format!("m{day}"));
        assert_eq!(store.compact().unwrap().dropped_history, None, "on day {day}");
    }
    assert_eq!(store.kept_history().unwrap().from, 1);
    let count = |seq| store.at(seq).conversation("c1").unwrap().map(|was| was.messages.len());
    assert_eq!([1, 2, 3, 4].map(count), [Some(1), Some(2), Some(3), Some(4)]);
    assert!(sim.files().iter().all(|(path, _)| !path.ends_with("KEEP")));
    // The choice that it never made is no other than the same one made.
    let kept = store.keep_history(Keep::DEFAULT).unwrap();
    assert_eq!((kept.dropped, kept.from), (None, 1));
    // With room for nothing the span alone decides.
    let span = Keep::ForOrBytes(Duration::from_secs(30 * 86_400), 0);
    assert_eq!(store.keep_history(span).unwrap().from, 4);
}

#[test]
fn of_a_span_and_a_size_whichever_keeps_more_is_what_is_kept() {
    let (sim, sources) = (fresh(), Sources::default());
    let store = driver::open(&Home::Sim(sim.clone()), SETTINGS, &sources).unwrap();
    assert_eq!(store.keep_history(EACH).unwrap().dropped, None);
    for operation in 1..=4 {
        sources.begin(operation * 6);
        say(&store, "c1", &format!("m{operation}"));
        drop(store.compact().unwrap());
    }
    assert_eq!((store.kept_history().unwrap().from, chapters(&sim).len()), (1, 4));
    let newest = chapters(&sim).last().map(|path| sim.read(path).unwrap().len()).unwrap();
    let both = |seconds, bytes| Keep::ForOrBytes(Duration::from_secs(seconds), bytes);
    let all = store.kept_history().unwrap().bytes;
    let kept = |keep| {
        let copy = driver::open(&Home::Sim(sim.kill()), SETTINGS, &sources).unwrap();
        copy.keep_history(keep).unwrap()
    };
    // The clock of the tests stands at the last compaction; the others were six seconds before each other.
    assert_eq!(kept(both(7, 0)).dropped, Some((1, 2)), "the span alone keeps two");
    assert_eq!(
        kept(both(0, u64::try_from(newest).unwrap())).dropped,
        Some((1, 3)),
        "the size alone keeps one"
    );
    assert_eq!(kept(both(7, all)).dropped, None, "the size keeps all");
    assert_eq!(kept(both(1_000, 0)).dropped, None, "the span keeps all");
    assert_eq!(kept(both(7, u64::try_from(newest).unwrap())).from, 3, "the span keeps more");
}

#[test]
fn what_an_opening_is_told_to_keep_is_chosen_for_good_and_drops_what_is_not_to_be_kept() {
    let sim = fresh();
    let with = |keep| MessageStore::options().vfs(Arc::new(sim.clone())).keep(keep);
    let both = Keep::ForOrBytes(Duration::from_secs(3_600), 1 << 20);
    let store = with(both).open(DIR).unwrap();
    say(&store, "c1", "m1");
    drop(store.compact().unwrap());
    store.close().unwrap();
    let store = open(&sim);
    assert_eq!((store.kept_history().unwrap().keep, store.kept_history().unwrap().from), (both, 1));
    store.close().unwrap();
    let reader = |keep| with(keep).read_only().open(DIR);
    assert_eq!(reader(both).unwrap().kept_history().unwrap().keep, both);
    assert_eq!(reader(Keep::Everything).unwrap_err().kind(), ErrorKind::ReadOnly);
    let store = with(Keep::Nothing).open(DIR).unwrap();
    assert_eq!((store.kept_history().unwrap().from, chapters(&sim).len()), (2, 0));
    store.close().unwrap();
    assert_eq!(open(&sim).kept_history().unwrap().keep, Keep::Nothing);
    // A choice that nobody can read is made anew.
    sim.flip_bit(PathBuf::from(DIR).join("log/archive/KEEP"), 20, 1);
    let store = with(Keep::Nothing).open(DIR).unwrap();
    assert_eq!(store.kept_history().unwrap().keep, Keep::Nothing);
}

#[test]
fn a_compaction_without_room_for_the_history_fails_and_loses_nothing() {
    let sim = fresh();
    let store = open(&sim);
    assert_eq!(store.keep_history(EACH).unwrap().dropped, None);
    let mut seen = Vec::new();
    live(&store, &mut seen);
    let before = chapters(&sim).len();
    // What there is room for grows until there is enough; what fails on the way is tried again with more.
    let mut failures = 0;
    for room in (0..).map(|n| n * 512) {
        sim.set_quota(Some(sim.used() + room));
        match store.compact() {
            Ok(_) => break,
            Err(error) => assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}"),
        }
        failures += 1;
        assert!(failures < 200, "there is room in the end");
    }
    sim.set_quota(None);
    assert!(failures > 0);
    drop(store.compact().unwrap());
    assert_eq!(chapters(&sim).len(), before + 1);
    all_is_found(&store, &seen, "at the end");
    assert_eq!(store.verify().unwrap().damaged, []);
    let left: Vec<_> = sim.files().into_iter().map(|(path, _)| path).collect();
    assert!(left.iter().all(|path| path.extension().is_none_or(|ending| ending != "tmp")), "{left:?}");
}

#[test]
fn a_choice_that_nobody_can_read_drops_nothing_and_is_told() {
    let sim = fresh();
    let store = open(&sim);
    assert_eq!(store.keep_history(Keep::Bytes(0)).unwrap().dropped, None);
    say(&store, "c1", "m1");
    store.close().unwrap();
    let keep = PathBuf::from(DIR).join("log/archive/KEEP");
    sim.flip_bit(&keep, 20, 1);
    let store = open(&sim);
    assert_eq!(store.kept_history().unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(store.verify().unwrap().damaged[0].path, keep);
    drop(store.compact().unwrap());
    assert_eq!(chapters(&sim).len(), 1);
    assert_eq!(store.keep_history(Keep::Everything).unwrap().dropped, None);
    assert_eq!(store.kept_history().unwrap().from, 1);
}

#[test]
fn many_short_compactions_leave_few_chapters_and_the_growing_conversation_once_in_each() {
    let (sim, count) = (fresh(), 60);
    let store = open(&sim);
    assert_eq!(store.keep_history(Keep::Everything).unwrap().dropped, None);
    let text = "word ".repeat(200);
    for number in 0..count {
        drop(store.add_message("c1", NewMessage::new(text.as_str()).id(format!("m{number}"))).unwrap());
        drop(store.compact().unwrap());
    }
    let kept = store.kept_history().unwrap();
    assert_eq!((chapters(&sim).len(), kept.from, kept.missing), (1, 1, None));
    // Each text once, and less for what is around it.
    let bytes = u64::try_from(text.len()).unwrap() * count;
    assert!(bytes < kept.bytes && kept.bytes < bytes * 2, "{} of {bytes}", kept.bytes);
    for seq in 1..=count {
        let was = store.at(seq).conversation("c1").unwrap().unwrap();
        assert_eq!(u64::try_from(was.messages.len()).unwrap(), seq);
    }
    let report = store.verify().unwrap();
    assert!(report.is_sound(), "{report:?}");
}

#[test]
fn a_reader_of_an_older_checkpoint_finds_the_past_in_a_chapter_that_has_gone_on() {
    let sim = fresh();
    let store = open(&sim);
    assert_eq!(store.keep_history(Keep::Everything).unwrap().dropped, None);
    say(&store, "c1", "m1");
    drop(store.compact().unwrap());
    say(&store, "c1", "m2");
    drop(store.compact().unwrap());
    let reader = read(&sim).unwrap();
    say(&store, "c1", "m3");
    drop(store.compact().unwrap());
    assert_eq!(chapters(&sim).len(), 1);
    let kept = reader.kept_history().unwrap();
    assert_eq!((kept.from, kept.missing), (1, None));
    for seq in 1..=2 {
        assert_eq!(
            reader.at(seq).conversation("c1").unwrap().unwrap().messages.len(),
            usize::try_from(seq).unwrap()
        );
    }
}

#[test]
fn a_chapter_that_is_damaged_or_does_not_say_what_a_conversation_became_is_not_gone_on_with() {
    let sim = fresh();
    let store = open(&sim);
    assert_eq!(store.keep_history(Keep::Nothing).unwrap().dropped, None);
    say(&store, "c1", "m1");
    drop(store.compact().unwrap());
    assert_eq!(store.keep_history(Keep::Everything).unwrap().dropped, None);
    sim.put(PathBuf::from(DIR).join("conversations/c1.json"), b"{ no JSON");
    drop(store.append(Mutation::new("c1", Operation::RemoveConversation)).unwrap());
    assert_eq!(store.compact().unwrap().unkept.len(), 1);
    say(&store, "c1", "m2");
    drop(store.compact().unwrap());
    assert_eq!(chapters(&sim).len(), 2, "what it was before is lost, and what it is now is not");
    say(&store, "c1", "m3");
    drop(store.compact().unwrap());
    assert_eq!(chapters(&sim).len(), 2);
    let count = |seq| store.at(seq).conversation("c1").map(|was| was.map_or(0, |was| was.messages.len()));
    assert_eq!((count(3).unwrap(), count(4).unwrap()), (1, 2));
    let newest = chapters(&sim).pop().unwrap();
    sim.flip_bit(&newest, 100, 1);
    say(&store, "c1", "m4");
    drop(store.compact().unwrap());
    assert_eq!(chapters(&sim).len(), 3, "one that is damaged stays as it is");
    let report = store.verify().unwrap();
    assert!(report.damaged.len() == 1 && report.damaged[0].path == newest, "{report:?}");
    assert_eq!((count(5).unwrap(), count(4).unwrap()), (3, 2));
    assert_eq!(count(3).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn engines_without_a_choice_say_what_they_keep() {
    let dir = tempfile::tempdir().unwrap();
    for home in databases::of(dir.path()) {
        let store = driver::open(&home, SETTINGS, &Sources::default()).unwrap();
        let kept = store.kept_history().unwrap();
        assert_eq!((kept.keep, kept.from), (Keep::Everything, 1));
        assert_eq!(store.keep_history(Keep::Nothing).unwrap_err().kind(), ErrorKind::Unsupported);
    }
    let memory = |keep| MessageStore::options().keep(keep).connect("memory:");
    assert_eq!(memory(Keep::Everything).unwrap_err().kind(), ErrorKind::Unsupported);
    let memory = MessageStore::in_memory();
    assert_eq!(memory.kept_history().unwrap_err().kind(), ErrorKind::Unsupported);
}
