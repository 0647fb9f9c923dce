//! Copies of a store into another one: whatever keeps them, whatever was done before, between two copies, and meanwhile.

#![expect(clippy::disallowed_methods, reason = "databases and programs live on the real file system")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aral_store::{
    Batch, Change, ErrorKind, JsonObject, Logged, MessageStore, Messages, Mutation, NewAction,
    NewConversation, NewMessage, Operation, Order, Summary, SyncPolicy, Text, Tombstone,
};

use crate::support::databases;
use crate::support::forks;
use crate::support::ops::{self, Op};
use crate::support::simfs::{Choose, SplitMix};

/// A fresh place of each kind, by its name.
fn places(dir: &Path) -> Vec<String> {
    let directory = dir.join("data").to_str().unwrap().to_owned();
    std::iter::once(directory).chain(databases::urls(dir)).collect()
}

fn open(place: &str) -> MessageStore {
    MessageStore::options().compact_manually().connect(place).unwrap()
}

fn reading(place: &str) -> MessageStore {
    MessageStore::options().read_only().connect(place).unwrap()
}

/// What a copy has to keep of a list: everything but the numbers of events.
fn listed(store: &MessageStore, order: Order) -> Vec<Summary> {
    let mut all = store.conversations(order).unwrap();
    for summary in &mut all {
        summary.last_seq = 0;
    }
    all
}

fn removed(store: &MessageStore) -> Vec<(String, String)> {
    let gist =
        |Tombstone { id, removed_at, reason, .. }: Tombstone| (id, format!("{removed_at:?} {reason:?}"));
    let mut all: Vec<_> = store.tombstones().unwrap().into_iter().map(gist).collect();
    all.sort();
    all
}

/// Holds two stores to be the same, by what their callers see.
#[track_caller]
fn same(one: &MessageStore, other: &MessageStore, what: &str) {
    for order in [Order::Created, Order::Activity] {
        assert_eq!(listed(one, order), listed(other, order), "{what}: {order:?}");
    }
    for summary in listed(one, Order::Created) {
        let [one, other] = [one, other].map(|store| store.conversation(&summary.id).unwrap());
        assert_eq!(one, other, "{what}: {}", summary.id);
    }
    assert_eq!(removed(one), removed(other), "{what}");
}

#[track_caller]
fn copied(from: &str, to: &str, what: &str) -> u64 {
    let (from, to) = (reading(from), open(to));
    let report = from.copy_to(&to, |_| {}).unwrap_or_else(|error| panic!("{what}: {error}"));
    same(&from, &to, what);
    let stats = from.stats().unwrap();
    assert_eq!((report.seq, report.conversations), (stats.last_seq, stats.conversations), "{what}");
    assert_eq!((report.messages, report.actions), (stats.messages, stats.actions), "{what}");
    assert_eq!(to.verify().unwrap().damaged, [], "{what}");
    to.close().unwrap();
    report.events
}

fn key_of(id: &str) -> String {
    format!("k{}", id.chars().take(3).collect::<String>())
}

/// A store with everything that there can be.
fn furnish(store: &MessageStore) {
    let odd = JsonObject::parse(
        r#"{"b": NaN, "a": -Infinity, "n": 1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890, "f": 1.0, "i": 1, "nul": "\u0000", "half": "\ud800"}"#,
    )
    .unwrap();
    let half = Text::from_wtf8(vec![b'x', 0xed, 0xa0, 0x80, 0, b'y']).unwrap();
    let long = "é".repeat(500);
    for id in ["a", "A", "a ", "a\u{0}", &long, "../x"] {
        let mut new = NewConversation::new().title(half.clone()).metadata(odd.clone());
        new.created_at = Some("2020-01-02T03:04:05.000006".parse().unwrap());
        new.extra = odd.clone();
        let _ = store.create_conversation_with_id(id, new).unwrap();
        let mut message = NewMessage::new(half.clone()).role("röle").metadata(odd.clone()).id(half.clone());
        message.extra = odd.clone();
        message.created_at = Some("2021-01-02T03:04:05+05:30".parse().unwrap());
        let _ = store.append(Mutation::add_message(id, message).key(key_of(id))).unwrap();
        let _ = store.add_action(id, NewAction::new(half.clone(), odd.clone())).unwrap();
        let _ = store.add_message(id, NewMessage::new("again").id(half.clone())).unwrap();
        let _ = store.append(Mutation::new(id, Operation::SetVersion(1000))).unwrap();
    }
    let _ = store.add_message("begun by a message", "x").unwrap();
    let _ = store.add_action("begun by an action", NewAction::new("t", JsonObject::EMPTY)).unwrap();
    let _ = store.create_conversation_with_id("empty", NewConversation::new()).unwrap();
    for id in ["gone", "gone too", "and back"] {
        let _ = store.add_message(id, "soon gone").unwrap();
        let _ = store.remove_conversation(id).unwrap();
    }
    let _ = store.add_message("and back", "here again").unwrap();
    let _ = store.add_message("a", "moves it to the front").unwrap();
}

/// Two nights' copies that overlap, say: one may have to stop, and nothing is there twice.
#[test]
fn two_copies_into_one_place_at_once_double_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let from = places(dir.path()).swap_remove(1);
    let to = databases::urls(&dir.path().join("to"));
    for (round, to) in (0..2).flat_map(|round| to.iter().map(move |to| (round, to))) {
        let store = open(&from);
        for _ in 0..4 {
            drop(
                store.batch((0..900).map(|_| Mutation::add_message("c1", "x")).collect::<Vec<_>>()).unwrap(),
            );
        }
        let start = Barrier::new(2);
        let copies: Vec<_> = std::thread::scope(|scope| {
            let copy = || {
                let (from, to) = (reading(&from), open(to));
                start.wait();
                from.copy_to(&to, |_| {}).map(drop)
            };
            let threads: Vec<_> = (0..2).map(|_| scope.spawn(copy)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for error in copies.into_iter().filter_map(Result::err) {
            assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        }
        copied(&from, to, &format!("round {round}"));
    }
}

/// Any engine to any engine, with everything that there can be: what comes back is what went, and the keys work.
#[test]
fn a_copy_has_everything_whatever_the_engines() {
    let dir = tempfile::tempdir().unwrap();
    let kinds = places(&dir.path().join("kinds")).len();
    for (one, other) in (0..kinds).flat_map(|one| (0..kinds).map(move |other| (one, other))) {
        let what = format!("{one} to {other}");
        let from = places(&dir.path().join(format!("from {what}"))).swap_remove(one);
        let to = places(&dir.path().join(format!("to {what}"))).swap_remove(other);
        let store = open(&from);
        furnish(&store);
        store.close().unwrap();
        copied(&from, &to, &what);
        assert_eq!(copied(&from, &to, &what), 0, "{what}: nothing is copied twice");
        // A retry of what was done before the move does nothing after it.
        let moved = open(&to);
        let before = moved.stats().unwrap().messages;
        let half = Text::from_wtf8(vec![b'x', 0xed, 0xa0, 0x80, 0, b'y']).unwrap();
        let original = reading(&from).messages("a", Messages::first(1)).unwrap().remove(0);
        let mut message = NewMessage::new(half).role("röle").metadata(original.metadata).id(original.id);
        message.extra = original.extra;
        message.created_at = Some(original.created_at);
        let again = moved.append(Mutation::add_message("a", message).key("ka")).unwrap();
        assert_eq!(again.conversation_id, "a", "{what}");
        assert_eq!(moved.stats().unwrap().messages, before, "{what}");
        let other_use = moved.append(Mutation::add_message("a", "else").key("ka")).unwrap_err();
        assert_eq!(other_use.kind(), ErrorKind::Conflict, "{what}");
    }
}

/// Anything that can be done, done by chance, with a copy every now and then; of a directory also after compactions,
/// when nothing but the state is left.
#[test]
fn what_was_done_since_a_copy_comes_over_whatever_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let kinds = places(&dir.path().join("kinds")).len();
    let rounds: u64 = std::env::var("COPY_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(9);
    for seed in 0..rounds {
        let choice = &mut SplitMix::new(seed);
        let one = if seed % 3 == 0 { choice.pick(kinds) } else { 0 };
        let other = choice.pick(kinds);
        let pick = |name: &str, at: usize| places(&dir.path().join(format!("{name} {seed}"))).swap_remove(at);
        let (from, to) = (pick("from", one), pick("to", other));
        for round in 0..8 {
            let what = format!("seed {seed}, copy {round}, {one} to {other}");
            let store = open(&from);
            for _ in 0..choice.pick(40) {
                match ops::op(choice) {
                    Op::Append(step) => drop(store.append(step.mutation)),
                    Op::Batch(steps) => {
                        let batch = steps.into_iter().map(|step| step.mutation).collect::<Vec<_>>();
                        drop(store.batch(batch));
                    }
                    Op::Fork { from, to, point } => {
                        drop(store.fork(&from, forks::asked(to.as_deref(), &point)));
                    }
                    Op::Reopen
                    | Op::Close
                    | Op::Compact
                    | Op::Keep
                    | Op::Sync
                    | Op::Kill
                    | Op::PowerCut(_)
                    | Op::Damage(_)
                    | Op::PutBack => {}
                }
            }
            if one == 0 && choice.pick(2) == 0 {
                store.compact().unwrap();
            }
            store.close().unwrap();
            copied(&from, &to, &what);
            if other == 0 && choice.pick(3) == 0 {
                let copy = open(&to);
                copy.compact().unwrap();
                copy.close().unwrap();
            }
        }
    }
}

/// Something that is done to a store.
type Doing = fn(&MessageStore);

/// What somebody has put into the copy stays there, and what is no copy is none.
#[test]
fn what_is_no_copy_or_was_changed_since_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let kinds = places(&dir.path().join("kinds")).len();
    let changes: [(&str, Doing); 5] = [
        ("a message", |store| drop(store.add_message("c1", "mine").unwrap())),
        ("a conversation", |store| drop(store.add_message("other", "mine").unwrap())),
        ("a removal", |store| drop(store.remove_conversation("c1").unwrap())),
        ("an edit", |store| drop(store.set_title("c2", "Mine").unwrap())),
        ("a removal of a message", |store| {
            let id = store.messages("c1", Messages::last(1)).unwrap().remove(0).id;
            drop(store.remove_message("c1", id).unwrap());
        }),
    ];
    for (one, other) in (0..kinds).flat_map(|one| (0..kinds).map(move |other| (one, other))) {
        for (name, change) in changes {
            // What was never a copy is none whatever is changed in it.
            for is_copied_before in [true, false].into_iter().take(if name == "a message" { 2 } else { 1 }) {
                let what = format!("{name} {is_copied_before} {one} {other}");
                let from = places(&dir.path().join(format!("from {what}"))).swap_remove(one);
                let to = places(&dir.path().join(format!("to {what}"))).swap_remove(other);
                let store = open(&from);
                for text in ["one", "two"] {
                    drop(store.add_message("c1", text).unwrap());
                }
                drop(store.create_conversation_with_id("c2", NewConversation::new()).unwrap());
                if is_copied_before {
                    copied(&from, &to, &what);
                } else {
                    let foreign = open(&to);
                    drop(
                        foreign
                            .batch(Batch::new().add_message("c1", "theirs").add_message("c2", "theirs"))
                            .unwrap(),
                    );
                    foreign.close().unwrap();
                }
                let changed = open(&to);
                change(&changed);
                // The source goes on.
                for text in ["three", "four", "five"] {
                    drop(store.add_message("c1", text).unwrap());
                }
                if one == 0 {
                    store.compact().unwrap();
                }
                let (list, last) = (listed(&changed, Order::Activity), changed.stats().unwrap().last_seq);
                let refused = reading(&from).copy_to(&changed, |_| {}).unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::Conflict, "{what}: {refused}");
                assert!(refused.to_string().contains("nothing was written"), "{what}: {refused}");
                assert_eq!(listed(&changed, Order::Activity), list, "{what}");
                assert_eq!(changed.stats().unwrap().last_seq, last, "{what}");
                drop(store);
            }
        }
    }
}

#[test]
fn a_store_is_not_copied_into_itself_nor_a_damaged_one_at_all() {
    let dir = tempfile::tempdir().unwrap();
    for place in places(dir.path()) {
        let store = open(&place);
        drop(store.add_message("c1", "x").unwrap());
        let refused = store.copy_to(&open(&place), |_| {}).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{place}: {refused}");
    }
    let data = dir.path().join("data");
    let store = open(data.to_str().unwrap());
    store.compact().unwrap();
    store.close().unwrap();
    std::fs::write(data.join("conversations/c1.json"), "{}").unwrap();
    let to = MessageStore::in_memory();
    let refused = reading(data.to_str().unwrap()).copy_to(&to, |_| {}).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(refused.to_string().contains("repair"), "{refused}");
    assert_eq!(to.stats().unwrap().last_seq, 0);
}

/// A database keeps its events, so that its copy has the same ones under the same numbers.
#[test]
fn a_copy_of_a_database_has_its_events() {
    let dir = tempfile::tempdir().unwrap();
    let froms = places(&dir.path().join("from"));
    for (number, from) in froms.iter().enumerate().skip(1) {
        let store = open(from);
        furnish(&store);
        for to in places(&dir.path().join(format!("to {number}"))) {
            copied(from, &to, &to);
            let events = |store: &MessageStore| {
                let (mut follower, mut all) = (store.follow(1).unwrap(), Vec::new());
                while let Some(Logged::Batch { events, .. }) = follower.next_logged().unwrap() {
                    all.extend(events);
                }
                all
            };
            let copy = reading(&to);
            assert_eq!(events(&copy), events(&store), "{to}");
            assert!(events(&copy).iter().any(|event| matches!(event.change, Change::Remove { .. })));
        }
    }
}

const BINARY: &str = env!("CARGO_BIN_EXE_aral-store");

/// A copy that is killed goes on; what is written to the source meanwhile is in it or in the next one.
#[test]
fn a_copy_that_is_killed_at_any_moment_goes_on_while_the_source_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let kinds = places(&dir.path().join("kinds")).len();
    let choice = &mut SplitMix::new(1);
    for (one, other) in (0..kinds).flat_map(|one| (0..kinds).map(move |other| (one, other))) {
        let what = format!("killed {one} to {other}");
        let from = places(&dir.path().join(format!("from {what}"))).swap_remove(one);
        let to = places(&dir.path().join(format!("to {what}"))).swap_remove(other);
        let store = MessageStore::options().sync(SyncPolicy::Os).compact_manually().connect(&from).unwrap();
        for number in 0..40 {
            let mut batch = Batch::new();
            for text in 0..50 {
                batch = batch.add_message(format!("c{number}"), format!("text {text}"));
            }
            drop(store.batch(batch).unwrap());
        }
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut count = 0_u64;
                while !is_over.load(Ordering::SeqCst) {
                    count += 1;
                    drop(store.add_message(&format!("c{}", count % 60), "meanwhile").unwrap());
                    if one == 0 && count % 40 == 0 {
                        store.compact().unwrap();
                    }
                    std::thread::sleep(Duration::from_millis(3));
                }
            });
            for kill in 0..5 {
                let mut child = Command::new(BINARY)
                    .args(["copy", &from, &to])
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                let millis = (15 << kill) + choice.pick(15 << kill);
                std::thread::sleep(Duration::from_millis(millis.try_into().unwrap()));
                child.kill().unwrap();
                child.wait().unwrap();
            }
            let done = Command::new(BINARY).args(["copy", &from, &to]).output().unwrap();
            is_over.store(true, Ordering::SeqCst);
            assert!(done.status.success(), "{what}: {done:?}");
        });
        copied(&from, &to, &what);
        store.close().unwrap();
    }
}
