//! Crashes at every call of the file system, in every way that can be thought of, and what is there afterwards.
//!
//! `CRASH_STATES` is the number of states that all workloads together aim at, `CRASH_SEED` where the samples
//! begin. A failure prints the workload, the call, the way and the seed, which `CRASH_REPLAY` takes again as
//! `workload:call:way:seed`.

use std::fmt::Write;

use aral_store::{
    ActionEdit, Edit, ForkPoint, JsonObject, Mutation, NewAction, NewConversation, NewMessage, Operation,
    SyncPolicy, Timestamp,
};

use crate::support::crashes::{End, Recording, Tally, record};
use crate::support::driver::{self, DIR};
use crate::support::ops::{self, Op, Settings, Step};
use crate::support::simfs::{self, Choose, Order, SimFs, SplitMix, Tear, Unwritten};

const ALWAYS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

const WAYS: [End; 6] = [
    End::Kill,
    End::PowerCut,
    End::KillThenCut,
    End::CutInRecovery,
    End::KillThenCutInRecovery,
    End::CutInRecoveryTwice,
];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn append(mutation: Mutation) -> Op {
    Op::Append(Step::of(mutation))
}

fn say(id: &str, content: impl Into<String>) -> Op {
    append(Mutation::add_message(id, content.into()))
}

fn change(id: &str, operation: Operation) -> Op {
    append(Mutation::new(id, operation))
}

/// Replaces a whole conversation.
fn anew(id: &str, title: &str) -> Op {
    let new = NewConversation::new().title(title);
    Op::Batch(vec![
        Step::of(Mutation::reset_conversation(id, new)),
        Step::of(Mutation::add_message(id, NewMessage::new("instead").id("m9"))),
        Step::of(Mutation::add_action(id, NewAction::new("a", JsonObject::EMPTY).id("a9"))),
    ])
}

/// All of a conversation, which may be more than a segment has room for.
fn fork(from: &str, to: &str) -> Op {
    Op::Fork { from: from.to_owned(), to: Some(to.to_owned()), point: ForkPoint::Now }
}

/// Appends, batches, and rolls to the next segment.
fn appending() -> Vec<Op> {
    let mut program: Vec<Op> = (0..4).map(|n| say("c1", format!("message {n}"))).collect();
    let part = |n: i32| Step::of(Mutation::add_message(format!("c{n}"), "in a batch"));
    program.push(Op::Batch((1..5).map(part).collect()));
    program.extend((0..5).map(|n| say("../x", "long ".repeat(500 + n))));
    program.push(fork("../x", "c9"));
    program.push(Op::Reopen);
    program.push(say("c1", "after it"));
    program
}

/// Every mutation, before and after compactions.
fn changing() -> Vec<Op> {
    let object = JsonObject::parse(r#"{"a":[1,2,3]}"#).unwrap_or_default();
    let message = |id: &str| append(Mutation::add_message("c1", NewMessage::new("text").id(id)));
    vec![
        append(Mutation::create_conversation("c1", NewConversation::new().title("T"))),
        message("m1"),
        message("m2"),
        append(Mutation::add_action("c2", NewAction::new("call", object.clone()).id("a1"))),
        Op::Compact,
        change("c1", Operation::EditMessage { message_id: "m1".into(), edit: Edit::content("edited") }),
        change("c1", Operation::RemoveMessage("m2".into())),
        change("c1", Operation::SetMetadata(object)),
        append(Mutation::add_message("c3", "keyed").key("k1")),
        change("c2", Operation::RemoveAction("a1".into())),
        Op::Compact,
        change("c2", Operation::RemoveConversation),
        change("c1", Operation::Clear),
        change("c1", Operation::SetTitle("".into())),
        anew("c3", "begun anew"),
        // From its file, and from the log.
        fork("c1", "c4"),
        fork("c3", "c5"),
        Op::Compact,
        change("c3", Operation::EditMessage { message_id: "m9".into(), edit: Edit::default().role("tool") }),
        change("c3", Operation::SetCreatedAt("2025-03-13T15:11:33Z".parse().unwrap_or(Timestamp::EPOCH))),
        anew("c1", "and anew from its file"),
        Op::Reopen,
        change("c1", Operation::SetExtra(JsonObject::parse(r#"{"x":1}"#).unwrap_or_default())),
        change(
            "c1",
            Operation::EditAction { action_id: "a9".into(), edit: ActionEdit::default().action_type("b") },
        ),
        Op::Compact,
        append(Mutation::add_message("c3", "keyed").key("k1")),
        say("c2", "another life"),
        change("c3", Operation::RemoveConversation),
        change("c1", Operation::SetVersion(100)),
        Op::Compact,
        change("c2", Operation::RemoveConversation),
        Op::Close,
        say("c1", "last"),
    ]
}

/// Replies that are written piece by piece, across compactions and openings, finished, left and taken away.
fn replying() -> Vec<Op> {
    let metadata = JsonObject::parse(r#"{"partial":true}"#).unwrap_or_default();
    let begun = |id: &str| NewMessage::new("so").id(id).role("assistant").metadata(metadata.clone());
    let begin = |id: &str| append(Mutation::add_message("c1", begun(id)));
    let piece = |id: &str, text: &str| {
        change("c1", Operation::AppendText { message_id: id.into(), offset: None, text: text.into() })
    };
    let finish = |id: &str| {
        let metadata = JsonObject::parse(r#"{"stop":"end"}"#).unwrap_or_default();
        change("c1", Operation::FinishMessage { message_id: id.into(), length: None, metadata })
    };
    vec![
        begin("m1"),
        piece("m1", " far"),
        Op::Compact,
        piece("m1", &" so good".repeat(300)),
        begin("m2"),
        piece("m2", " what"),
        piece("m1", "."),
        Op::Reopen,
        piece("m1", " More."),
        finish("m1"),
        Op::Compact,
        piece("m2", "?"),
        change(
            "c1",
            Operation::EditMessage { message_id: "m2".into(), edit: Edit::default().role("critic") },
        ),
        piece("m2", "!"),
        begin("m3"),
        piece("m3", " it goes"),
        change("c1", Operation::RemoveMessage("m3".into())),
        Op::Compact,
        piece("m2", "?"),
        Op::Close,
        finish("m2"),
        say("c1", "last"),
    ]
}

/// A store that syncs when it is told to.
fn lazy() -> Vec<Op> {
    let mut program: Vec<Op> = (0..3).map(|n| say("c1", format!("message {n}"))).collect();
    program.push(Op::Sync);
    program.extend((0..4).map(|n| say("c2", "long ".repeat(600 + n))));
    program.extend([
        Op::Compact,
        say("c1", "more"),
        Op::Sync,
        say("c1", "and more"),
        Op::Reopen,
        say("c3", "x"),
    ]);
    program
}

fn original(fixture: &str) -> SimFs {
    let fs = driver::fresh(simfs::Settings::default());
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/aral").join(fixture);
    for folder in [root.clone(), root.join("conversations")] {
        #[expect(clippy::disallowed_methods, reason = "the fixtures are in the real file system")]
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                fs.put(std::path::Path::new(DIR).join(path.strip_prefix(&root).unwrap()), &bytes);
            }
        }
    }
    fs
}

/// Taking over a directory of the original's, and changing what is in it.
fn adopting() -> Vec<Op> {
    vec![
        say("a", "to what was there"),
        change("test-conv-1", Operation::RemoveConversation),
        say("new", "beside it"),
        Op::Compact,
        say("a", "after it"),
    ]
}

/// The same with all of the history kept.
fn keeping(mut program: Vec<Op>) -> Vec<Op> {
    program.insert(0, Op::Keep);
    program
}

/// Files that are damaged while the log has newer events for them, compacted over, and put back.
fn damaging() -> Vec<Op> {
    let mut program: Vec<Op> = ["c1", "c2", "c3"].into_iter().map(|id| say(id, "in its file")).collect();
    program.push(Op::Compact);
    program.extend(["c1", "c2", "c3"].into_iter().map(|id| say(id, "newer")));
    program.extend([
        change("c2", Operation::SetTitle("Renamed".into())),
        Op::Damage(1),
        Op::Compact,
        say("c1", "beside it"),
        say("c2", "perhaps refused"),
        Op::Compact,
        Op::Reopen,
        say("c3", "beside it"),
        Op::Compact,
        Op::PutBack,
        say("c2", "goes on"),
        Op::Compact,
        say("c3", "newer again"),
        Op::Damage(2),
        Op::Compact,
        change("c3", Operation::RemoveConversation),
        say("c3", "another life"),
        Op::Compact,
        say("c1", "last"),
    ]);
    program
}

/// A workload by its number; the first ones are composed, the others drawn.
fn workload(number: usize) -> (SimFs, Settings, Vec<Op>) {
    let plain = driver::fresh(simfs::Settings::default());
    match number {
        0 => (plain, ALWAYS, appending()),
        1 => (plain, ALWAYS, changing()),
        2 => (plain, Settings { sync: SyncPolicy::Os, ..ALWAYS }, lazy()),
        3 => (original("bare"), ALWAYS, adopting()),
        4 => (plain, Settings { compacts_on_close: true, ..ALWAYS }, appending()),
        5 => (plain, ALWAYS, damaging()),
        6 => (plain, Settings { compacts_on_close: true, ..ALWAYS }, damaging()),
        7 => (plain, ALWAYS, keeping(changing())),
        8 => (plain, ALWAYS, keeping(damaging())),
        9 => (plain, ALWAYS, keeping(replying())),
        _ => {
            let choice = &mut SplitMix::new(u64::try_from(number).unwrap_or(0));
            let torn = simfs::Settings {
                tear: Tear::Sometimes,
                unwritten: Unwritten::Garbage,
                order: if number % 2 == 0 { Order::Strict } else { Order::Journal },
                ..simfs::Settings::default()
            };
            let ends = |op: &Op| matches!(op, Op::Kill | Op::PowerCut(_));
            let settings = ops::settings(choice);
            let length = 5 + choice.pick(20);
            let mut program: Vec<Op> = (0..length).map(|_| ops::op(choice)).filter(|op| !ends(op)).collect();
            program.insert(0, say("c1", "so that something is written"));
            (driver::fresh(torn), settings, program)
        }
    }
}

/// How many workloads are composed by hand; any number above is drawn.
const COMPOSED: usize = 9;

/// What plain `cargo test` has the time for.
const DEFAULT_STATES: u64 = 200_000;

fn way(n: u64) -> End {
    // Most states are plain cuts; every seventh is cut again in the recovery.
    match n % 40 {
        0 => End::Kill,
        1 => End::KillThenCut,
        2..=4 => End::CutInRecovery,
        5..=6 => End::KillThenCutInRecovery,
        7 => End::CutInRecoveryTwice,
        _ => End::PowerCut,
    }
}

/// After how many states a run of hours says where it is.
const PROGRESS: usize = 250_000;

/// How often the calls of a workload are gone through before the next workload says more.
const ROUNDS: u64 = 12;

#[expect(clippy::print_stderr, reason = "a run of hours says where it is")]
fn say_progress(total: &Tally) {
    eprintln!("{} crash states so far, {} tried", total.distinct(), total.tried);
}

/// Samples the crash states of every other workload until there are enough.
fn sample(first: usize) -> Tally {
    let target = number("CRASH_STATES", DEFAULT_STATES) / 2;
    let first_seed = number("CRASH_SEED", 0);
    let mut total = Tally::default();
    let mut failures = String::new();
    for number in (first..).step_by(2) {
        if number >= COMPOSED && u64::try_from(total.distinct()).unwrap() >= target {
            break;
        }
        let (fs, settings, program) = workload(number);
        let recording =
            record(&fs, settings, &program).unwrap_or_else(|wrong| panic!("workload {number}: {wrong}"));
        // Two workloads may leave the same bytes behind after different promises, so each counts its own.
        let mut tally = Tally::default();
        'samples: for round in 0..ROUNDS {
            for at in 0..recording.points.len() {
                let end = way(round + u64::try_from(at).unwrap());
                if let Err(wrong) = recording.end(at, end, first_seed + round, &mut tally) {
                    writeln!(failures, "workload {number}, {wrong}").unwrap();
                    break 'samples;
                }
            }
        }
        let before = total.distinct();
        total.extend(tally);
        if before / PROGRESS < total.distinct() / PROGRESS {
            say_progress(&total);
        }
        assert!(failures.lines().count() < 20, "{failures}");
    }
    assert!(failures.is_empty(), "{failures}");
    total
}

#[test]
fn every_crash_state_of_even_workloads_is_recovered() {
    let tally = sample(0);
    println!("{} crash states, {} tried", tally.distinct(), tally.tried);
}

#[test]
fn every_crash_state_of_odd_workloads_is_recovered() {
    let tally = sample(1);
    println!("{} crash states, {} tried", tally.distinct(), tally.tried);
}

/// The workloads that do not begin with files of somebody else's.
#[cfg(feature = "encryption")]
const OWN: [usize; 8] = [0, 1, 2, 4, 7, 9, 10, 11];

#[cfg(feature = "encryption")]
#[test]
fn every_crash_state_of_an_encrypted_store_is_recovered_and_nothing_in_it_is_plain() {
    let target = number("CRASH_STATES", DEFAULT_STATES) / 8;
    let mut total = Tally::default();
    for (round, number) in (0..ROUNDS).flat_map(|round| OWN.map(|number| (round, number))) {
        let (fs, settings, program) = workload(number);
        fs.seal();
        let recording =
            record(&fs, settings, &program).unwrap_or_else(|wrong| panic!("workload {number}: {wrong}"));
        for at in 0..recording.points.len() {
            let end = way(round + u64::try_from(at).unwrap());
            recording
                .end(at, end, round, &mut total)
                .unwrap_or_else(|wrong| panic!("workload {number}, encrypted, {wrong}"));
        }
        if round > 0 && u64::try_from(total.distinct()).unwrap() >= target {
            break;
        }
    }
    println!("{} crash states, {} tried", total.distinct(), total.tried);
}

#[test]
fn a_crash_that_is_asked_for_is_played_again() {
    let Ok(wanted) = std::env::var("CRASH_REPLAY") else { return };
    let parts: Vec<&str> = wanted.split(':').collect();
    let [number, at, end, seed] = parts[..] else { panic!("workload:call:way:seed, not {wanted}") };
    let end = *WAYS.iter().find(|way| format!("{way:?}") == end).expect("one of the ways");
    let (fs, settings, program) = workload(number.parse().unwrap());
    let recording = record(&fs, settings, &program).unwrap();
    recording.end(at.parse().unwrap(), end, seed.parse().unwrap(), &mut Tally::default()).unwrap();
}

/// The operations of the small scope.
fn small_scope() -> Vec<Op> {
    let part = |n: &str| Step::of(Mutation::add_message(n, "in a batch"));
    vec![
        say("c1", "one"),
        say("c2", "more than a sector holds ".repeat(40)),
        Op::Batch(vec![part("c1"), part("c2")]),
        change("c1", Operation::RemoveConversation),
        anew("c1", "another"),
        Op::Compact,
        Op::Reopen,
        Op::Sync,
    ]
}

/// Every workload of one, two or three of them.
fn short_workloads() -> Vec<Vec<Op>> {
    let one: Vec<Vec<Op>> = small_scope().into_iter().map(|op| vec![op]).collect();
    let longer = |shorter: &[Vec<Op>]| -> Vec<Vec<Op>> {
        let with_each = |program: &Vec<Op>| {
            let program = program.clone();
            small_scope().into_iter().map(move |op| [program.clone(), vec![op]].concat())
        };
        shorter.iter().flat_map(with_each).collect()
    };
    let two = longer(&one);
    let three = longer(&two);
    [one, two, three].concat()
}

/// Every state of every call of a workload, as far as the budget goes; those with more are sampled.
fn exhaust(recording: &Recording, most: u64, tally: &mut Tally) -> Result<usize, String> {
    let mut cut_short = 0;
    for at in 0..recording.points.len() {
        for end in [End::Kill, End::KillThenCut, End::CutInRecovery] {
            recording.end(at, end, 0, tally)?;
        }
        if !recording.end_in_every_way(at, most, tally)? {
            cut_short += 1;
            for seed in 0..8 {
                recording.end(at, End::PowerCut, seed, tally)?;
            }
        }
    }
    Ok(cut_short)
}

#[test]
fn every_subset_of_every_short_workload_is_recovered() {
    let most = number("CRASH_SUBSETS", 16_384);
    let mut total = Tally::default();
    let (mut workloads, mut points, mut cut_short) = (0, 0, 0);
    for sync in [SyncPolicy::Always, SyncPolicy::Os] {
        for program in short_workloads() {
            let fs = driver::fresh(simfs::Settings::default());
            let settings = Settings { sync, ..ALWAYS };
            let recording =
                record(&fs, settings, &program).unwrap_or_else(|wrong| panic!("{program:?}: {wrong}"));
            workloads += 1;
            points += recording.points.len();
            // Two workloads may leave the same bytes behind after different promises.
            let mut tally = Tally::default();
            cut_short +=
                exhaust(&recording, most, &mut tally).unwrap_or_else(|wrong| panic!("{program:?}: {wrong}"));
            total.extend(tally);
        }
    }
    println!(
        "{} crash states of {workloads} workloads, {cut_short} of {points} calls not in every way",
        total.distinct()
    );
    assert!(cut_short == 0 || most < 16_384, "{cut_short} calls have more than {most} ways");
}

/// A compaction over a damaged file, the one that writes it once it is back, and what comes between: cut at every call,
/// and looked at with the damage and without it.
#[test]
fn every_crash_state_beside_a_damaged_file_is_recovered() {
    let mut total = Tally::default();
    let mut points = 0;
    for sync in [SyncPolicy::Always, SyncPolicy::Os] {
        for between in small_scope() {
            let program = [
                say("c1", "in its file"),
                say("c2", "in its file"),
                Op::Compact,
                say("c1", "newer"),
                say("c2", "newer"),
                Op::Damage(0),
                Op::Compact,
                between,
                Op::Compact,
                Op::PutBack,
                Op::Compact,
            ];
            let settings = Settings { sync, ..ALWAYS };
            let fs = driver::fresh(simfs::Settings::default());
            let recording =
                record(&fs, settings, &program).unwrap_or_else(|wrong| panic!("{program:?}: {wrong}"));
            points += recording.points.len();
            let mut tally = Tally::default();
            exhaust(&recording, number("CRASH_SUBSETS", 16_384).min(64), &mut tally)
                .unwrap_or_else(|wrong| panic!("{program:?}: {wrong}"));
            total.extend(tally);
        }
    }
    println!("{} crash states of {points} calls beside a damaged file", total.distinct());
}

/// What a killed process left in the cache is believed by the next opening, which must make it durable before
/// it builds anything on it: the power goes at each of its calls.
#[test]
fn every_cut_in_every_recovery_of_a_killed_compaction_is_recovered() {
    let mut total = Tally::default();
    let (mut workloads, mut cut_short) = (0, 0);
    for sync in [SyncPolicy::Always, SyncPolicy::Os] {
        for first in small_scope() {
            let program = [say("c1", "before"), first, Op::Compact];
            let fs = driver::fresh(simfs::Settings::default());
            let settings = Settings { sync, ..ALWAYS };
            let recording =
                record(&fs, settings, &program).unwrap_or_else(|wrong| panic!("{program:?}: {wrong}"));
            workloads += 1;
            let mut tally = Tally::default();
            for at in 0..recording.points.len() {
                cut_short += recording
                    .end_in_every_recovery(at, 256, &mut tally)
                    .unwrap_or_else(|wrong| panic!("{program:?}: {wrong}"));
            }
            total.extend(tally);
        }
    }
    println!(
        "{} crash states of {workloads} killed workloads, {cut_short} calls not in every way",
        total.distinct()
    );
}
