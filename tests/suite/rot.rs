//! Bits that flip, files that end too soon, files that are gone: the answer is right or it is an error that
//! names the file, and never a wrong one or a shorter one without a word.
//!
//! `ROT_STEP` takes every so many-th bit only.

use std::path::{Path, PathBuf};

use aral_store::{ErrorKind, JsonObject, MessageStore, Mutation, NewAction, NewMessage, Order, SyncPolicy};

use crate::support::driver::{self, DIR, Driver, Home};
use crate::support::ops::{Op, Settings, Step};
use crate::support::oracle::Oracle;
use crate::support::simfs::{self, SimFs};
use crate::support::sources::Sources;

const SETTINGS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

/// How a small store came to rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rest {
    Killed,
    Closed,
    /// Compacted, then more was added.
    Compacted,
}

fn store_at_rest(rest: Rest) -> (SimFs, Oracle) {
    let say = |id: &str, text: &str| Op::Append(Step::of(Mutation::add_message(id, text)));
    let data = JsonObject::parse(r#"{"a":[1,2,3]}"#).unwrap();
    let act = Mutation::add_action("c2", NewAction::new("call", data).id("a1"));
    let mut program = vec![
        say("c1", "the first of the messages"),
        say("../x", "grüezi"),
        Op::Batch(vec![
            Step::of(Mutation::add_message("c1", NewMessage::new("in a batch").id("m1").role("assistant"))),
            Step::of(act),
        ]),
        say("c1", &"long ".repeat(60)),
    ];
    if rest == Rest::Compacted {
        program.extend([Op::Compact, say("c1", "since then"), say("c3", "begun since then")]);
    }
    if rest != Rest::Killed {
        program.push(Op::Reopen);
    }
    let fs = driver::fresh(simfs::Settings::default());
    let mut driver = Driver::new(Home::Sim(fs.clone()), SETTINGS).unwrap();
    for op in &program {
        driver.run(op).unwrap();
    }
    let oracle = driver.oracle.clone();
    if rest == Rest::Closed {
        driver.close().unwrap();
    }
    // Damage is done to what is at rest: to a state after a cut by which nothing happened to be lost.
    let killed = fs.kill();
    let contents = |fs: &SimFs| fs.files().iter().map(|(path, _)| fs.read(path)).collect::<Vec<_>>();
    let all = contents(&killed);
    let at_rest = (0..10_000)
        .map(|seed| killed.crash(&mut simfs::SplitMix::new(seed)))
        .find(|cut| contents(cut) == all);
    (at_rest.expect("some cut loses nothing"), oracle)
}

/// What came of a damaged store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// All is right, nothing is reported.
    Right,
    /// An error or a report names the place.
    Told,
    /// A tail is reported as torn, and the last batch is gone with it.
    Torn,
}

fn open(fs: &SimFs, is_for_reading: bool) -> aral_store::Result<MessageStore> {
    let options = driver::options(&Home::Sim(fs.clone()), SETTINGS, &Sources::default());
    if is_for_reading { options.read_only().open(DIR) } else { options.open(DIR) }
}

/// Whether an error is of the right kind and says where: the file, or the directory that it is missing from.
fn names_a_place(error: &aral_store::Error, damaged: &Path) -> Result<(), String> {
    let is_right =
        |place: &aral_store::Place| damaged.starts_with(&place.path) && place.path.starts_with(DIR);
    match error.place() {
        Some(place) if error.kind() == ErrorKind::Corrupt && is_right(place) => Ok(()),
        _ => Err(format!("another kind or place: {error:?}")),
    }
}

fn judge(fs: &SimFs, oracle: &Oracle, damaged: &Path, is_for_reading: bool) -> Result<Outcome, String> {
    let store = match open(fs, is_for_reading) {
        Ok(store) => store,
        Err(error) => return names_a_place(&error, damaged).map(|()| Outcome::Told),
    };
    let report = store.recovery();
    let last_seq = store.stats().map_err(|error| format!("{error:?}"))?.last_seq;
    let is_listed = |id: &str| report.damaged.iter().any(|file| file.conversation_id.as_deref() == Some(id));
    let listed = store.conversations(Order::Created).map_err(|error| format!("{error:?}"))?;
    let mut outcome = if report.damaged.is_empty() { Outcome::Right } else { Outcome::Told };
    if last_seq != oracle.last_seq {
        if report.torn.is_some() && last_seq + 2 >= oracle.last_seq {
            return Ok(Outcome::Torn);
        }
        return Err(format!("event {last_seq} is the last without a word: {report:?}"));
    }
    for known in &oracle.conversations {
        let ought = &known.conversation;
        let is_shown = listed.contains(&known.summary());
        match store.conversation(&ought.id) {
            Ok(Some(is)) if is == *ought && is_shown => {}
            Ok(is) if is_listed(&ought.id) && is.is_none() => outcome = Outcome::Told,
            Err(error) => {
                names_a_place(&error, damaged)?;
                outcome = Outcome::Told;
            }
            Ok(is) => return Err(format!("{is:?} (in the list: {is_shown}) for {ought:?}, {report:?}")),
        }
    }
    if let Some(more) = listed.iter().find(|summary| oracle.find(&summary.id).is_none()) {
        return Err(format!("a conversation that never was: {more:?}"));
    }
    Ok(outcome)
}

#[derive(Debug, Default)]
struct Tally {
    right: usize,
    told: usize,
    torn: usize,
    failures: Vec<String>,
}

impl Tally {
    fn add(&mut self, what: impl FnOnce() -> String, outcome: Result<Outcome, String>) {
        match outcome {
            Ok(Outcome::Right) => self.right += 1,
            Ok(Outcome::Told) => self.told += 1,
            Ok(Outcome::Torn) => self.torn += 1,
            Err(wrong) => self.failures.push(format!("{}: {wrong}", what())),
        }
    }

    #[expect(clippy::print_stdout, reason = "a run says how much it has seen")]
    fn finish(&self, what: &str) {
        let (right, told, torn, wrong) = (self.right, self.told, self.torn, self.failures.len());
        println!("{what}: {right} right, {told} told, {torn} torn");
        let shown = self.failures.iter().take(10).map(String::as_str).collect::<Vec<_>>().join("\n");
        assert!(self.failures.is_empty(), "{what}: {wrong} wrong\n{shown}");
    }
}

fn step() -> usize {
    std::env::var("ROT_STEP").ok().and_then(|step| step.parse().ok()).unwrap_or(1)
}

/// Damages a copy of each file in each way, looks at what comes of it, and says how often what.
fn sweep(rest: Rest, damage: &dyn Fn(&Path, u64) -> Vec<Damage>) -> Tally {
    let (fs, oracle) = store_at_rest(rest);
    assert_eq!(judge(&fs.snapshot(), &oracle, Path::new("/none"), true), Ok(Outcome::Right));
    let mut tally = Tally::default();
    for (path, length) in fs.files() {
        for (n, damage) in damage(&path, length).into_iter().enumerate() {
            // A store that is opened for writing must not take damage for a reason to cut either.
            for is_for_reading in if n % 8 == 0 { vec![true, false] } else { vec![true] } {
                let copy = fs.snapshot();
                damage.inflict(&copy, &path);
                let judged = std::panic::catch_unwind(|| judge(&copy, &oracle, &path, is_for_reading));
                let outcome = judged.unwrap_or_else(|_| Err("a panic".to_owned()));
                tally.add(|| format!("{rest:?} {}, {damage:?}, {is_for_reading}", path.display()), outcome);
            }
        }
    }
    tally
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip(u64, u8),
    Truncate(u64),
    Delete,
    Zero(u64),
}

impl Damage {
    fn inflict(self, fs: &SimFs, path: &PathBuf) {
        match self {
            Self::Flip(offset, bit) => fs.flip_bit(path, offset, bit),
            Self::Truncate(length) => fs.truncate(path, length),
            Self::Delete => fs.delete(path),
            Self::Zero(offset) => {
                let length = fs.read(path).map_or(0, |bytes| bytes.len());
                let left = u64::try_from(length).unwrap_or(0).saturating_sub(offset);
                fs.zero_range(path, offset, left.min(64));
            }
        }
    }
}

fn flips(_: &Path, length: u64) -> Vec<Damage> {
    let all = (0..length * 8).map(|bit| Damage::Flip(bit / 8, u8::try_from(bit % 8).unwrap_or(0)));
    all.step_by(step()).collect()
}

#[test]
fn a_flipped_bit_of_a_killed_store_is_never_believed() {
    sweep(Rest::Killed, &flips).finish("bits of a killed store");
}

#[test]
fn a_flipped_bit_of_a_closed_store_is_never_believed() {
    sweep(Rest::Closed, &flips).finish("bits of a closed store");
}

#[test]
fn a_flipped_bit_of_a_compacted_store_is_never_believed() {
    sweep(Rest::Compacted, &flips).finish("bits of a compacted store");
}

#[test]
fn a_file_that_ends_too_soon_is_never_believed() {
    let lengths = |_: &Path, length: u64| (0..length).step_by(step()).map(Damage::Truncate).collect();
    for rest in [Rest::Killed, Rest::Closed, Rest::Compacted] {
        sweep(rest, &lengths).finish(&format!("lengths of a store, {rest:?}"));
    }
}

#[test]
fn a_file_that_is_gone_is_missed() {
    for rest in [Rest::Killed, Rest::Closed, Rest::Compacted] {
        sweep(rest, &|_, _| vec![Damage::Delete]).finish(&format!("files of a store, {rest:?}"));
    }
}

#[test]
fn zeros_in_a_file_are_never_believed() {
    let zeros = |_: &Path, length: u64| (0..length).step_by(8 * step()).map(Damage::Zero).collect();
    for rest in [Rest::Killed, Rest::Closed, Rest::Compacted] {
        sweep(rest, &zeros).finish(&format!("zeros in a store, {rest:?}"));
    }
}
