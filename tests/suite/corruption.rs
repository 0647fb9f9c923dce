//! Bits that flip, blocks that go astray, files that end too soon, are gone or are another's: the answer is
//! right or it is an error that names the file, and never a wrong one or a shorter one without a word.
//!
//! `CORRUPTION_STEP` takes every so many-th bit, length and block only.

mod blocks;
pub(crate) mod damage;
mod diverged;
mod exchanges;
mod tails;

use std::path::{Path, PathBuf};

use aral_store::{
    Conversation, ErrorKind, JsonObject, MessageRef, MessageStore, Messages, Mutation, NewAction,
    NewConversation, NewMessage, Order, RecoveryReport, SyncPolicy,
};

use self::damage::Damage;
use crate::support::driver::{self, DIR, Driver, Home};
use crate::support::ops::{Op, Settings, Step};
use crate::support::oracle::Oracle;
use crate::support::simfs::{self, OpKind, SimFs};
use crate::support::sources::Sources;

pub(crate) const SETTINGS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

/// How a small store came to rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rest {
    Killed,
    Closed,
    /// Several segments, of which the next one, or a frame of their own, says where they end.
    Sealed,
    /// The power went while a compaction published its files: after that many of its steps.
    Publishing(usize),
    /// Compacted, then more was added.
    Compacted,
}

impl Rest {
    pub(crate) const ALL: [Self; 7] = [
        Self::Killed,
        Self::Closed,
        Self::Sealed,
        Self::Publishing(0),
        Self::Publishing(2),
        Self::Publishing(6),
        Self::Compacted,
    ];
}

/// A store at rest, with what it ought to say.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) rest: Rest,
    pub(crate) fs: SimFs,
    /// The same store some time before.
    pub(crate) older: SimFs,
    oracle: Oracle,
}

fn program(rest: Rest, flavour: &str) -> Vec<Op> {
    let say =
        |id: &str, text: &str| Op::Append(Step::of(Mutation::add_message(id, format!("{flavour}{text}"))));
    let data = JsonObject::parse(r#"{"a":[1,2,3]}"#).unwrap();
    let act = Mutation::add_action("c2", NewAction::new("call", data).id("a1"));
    let reply = NewMessage::new("in a batch").id("m1").role("assistant");
    let mut program = vec![
        say("c1", "the first of the messages"),
        say("../x", "grüezi"),
        Op::Batch(vec![Step::of(Mutation::add_message("c1", reply)), Step::of(act)]),
        say("c1", &"long ".repeat(60)),
    ];
    match rest {
        Rest::Killed | Rest::Closed => {}
        Rest::Sealed => {
            program.extend([
                Op::Kill,
                say("c1", "in the second segment"),
                Op::Reopen,
                say("c3", "in the third"),
            ]);
        }
        Rest::Publishing(_) => {
            program.extend([Op::Compact, say("c1", "since then"), say("c3", "begun since then")]);
            program
                .push(Op::Append(Step::of(Mutation::new("../x", aral_store::Operation::RemoveConversation))));
        }
        Rest::Compacted => {
            program.extend([Op::Compact, say("c1", "since then"), say("c3", "begun since then")]);
            program.push(Op::Batch(vec![
                Step::of(Mutation::reset_conversation("c2", NewConversation::new())),
                Step::of(Mutation::add_message("c2", format!("{flavour}anew"))),
            ]));
        }
    }
    if matches!(rest, Rest::Closed | Rest::Compacted) {
        program.push(Op::Reopen);
    }
    program
}

/// What is at rest: a state after a cut by which nothing happened to be lost.
fn at_rest(fs: &SimFs) -> SimFs {
    let killed = fs.kill();
    let contents =
        |fs: &SimFs| fs.files().into_iter().map(|(path, _)| (fs.read(&path), path)).collect::<Vec<_>>();
    let all = contents(&killed);
    let whole = (0..10_000)
        .map(|seed| killed.crash(&mut simfs::SplitMix::new(seed)))
        .find(|cut| contents(cut) == all);
    whole.expect("some cut loses nothing")
}

/// A store at rest; a flavour makes it another store, with other texts.
pub(crate) fn store_at_rest(rest: Rest, flavour: &str) -> Store {
    let mut fs = driver::fresh(simfs::Settings::default());
    let mut driver = Driver::new(Home::Sim(fs.clone()), SETTINGS).unwrap();
    let mut older = None;
    let program = program(rest, flavour);
    for (n, op) in program.iter().enumerate() {
        if n == program.len() / 2 {
            older = Some(fs.snapshot());
        }
        driver.run(op).unwrap();
        if let Home::Sim(now) = &driver.home {
            fs = now.clone();
        }
    }
    let oracle = driver.oracle.clone();
    let fs = match rest {
        Rest::Publishing(steps) => publishing(&fs, &mut driver, steps),
        Rest::Closed | Rest::Sealed => {
            driver.close().unwrap();
            fs
        }
        Rest::Killed | Rest::Compacted => fs,
    };
    Store { rest, fs: at_rest(&fs), older: older.expect("every program has a middle"), oracle }
}

/// The file system as it is so many steps after the commit of a compaction.
fn publishing(fs: &SimFs, driver: &mut Driver, steps: usize) -> SimFs {
    let points = fs.record(|_| driver.run(&Op::Compact).unwrap());
    let is_commit = |op: &simfs::Op| {
        op.kind == OpKind::Rename
            && op.to.as_ref().is_some_and(|to| to.to_string_lossy().contains("/CHECKPOINT-"))
    };
    let commit = points.iter().position(|(op, _)| is_commit(op)).expect("a compaction commits");
    let moves: Vec<_> = points.into_iter().skip(commit + 2).collect();
    assert!(moves.len() > steps + 1, "a publication has more steps than that: {}", moves.len());
    moves[steps].1.clone()
}

/// What came of a damaged store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// All is right, nothing is reported.
    Right,
    /// An error or a report names the place.
    Told,
}

fn open(fs: &SimFs, is_for_reading: bool) -> aral_store::Result<MessageStore> {
    let options = driver::options(&Home::Sim(fs.clone()), SETTINGS, &Sources::default());
    if is_for_reading { options.read_only().open(DIR) } else { options.open(DIR) }
}

/// Whether an error is of the right kind and says where: the file, or the directory that it is missing from,
/// and the byte.
fn names_a_place(error: &aral_store::Error, damaged: &[PathBuf]) -> Result<(), String> {
    let Some(place) = error.place().filter(|place| place.path.starts_with(DIR)) else {
        return Err(format!("no place: {error:?}"));
    };
    // Where two files do not fit each other, the one that is looked at second is named, and what it lacks.
    let by_its_neighbour = ["is missing", "is gone", "another store", "does not follow", "its successor"];
    let is_right = damaged.iter().any(|path| path.starts_with(&place.path))
        // Without the checkpoint that it belongs to, it is a conversation's file that is not as it should be.
        || damaged.iter().any(|path| path.to_string_lossy().contains("/CHECKPOINT-"))
        || by_its_neighbour.iter().any(|words| error.message().contains(words));
    match place.offset {
        Some(_) if error.kind() == ErrorKind::Corrupt && is_right => Ok(()),
        _ => Err(format!("another kind or place than {damaged:?}: {error:?}")),
    }
}

/// Whether a report says of one of the damaged files that it is not what the store left there.
fn is_reported(report: &RecoveryReport, damaged: &[PathBuf]) -> bool {
    let lists = [&report.changed, &report.unlisted, &report.quarantined];
    let said = report.damaged.iter().map(|file| &file.path).chain(lists.into_iter().flatten());
    said.into_iter().any(|path| damaged.contains(path))
}

/// The conversations that the damaged files are about, as the undamaged store has them.
fn ids_in(fs: &SimFs, damaged: &[PathBuf]) -> Vec<String> {
    let parse = |path| serde_json::from_slice::<serde_json::Value>(&fs.read(path).unwrap_or_default()).ok();
    let id = |value: serde_json::Value| value["id"].as_str().map(str::to_owned);
    damaged.iter().filter_map(parse).filter_map(id).collect()
}

/// Opens a damaged copy of a store and compares all that it says with what it ought to say.
fn judge(fs: &SimFs, store: &Store, damaged: &[PathBuf], is_for_reading: bool) -> Result<Outcome, String> {
    let opened = match open(fs, is_for_reading) {
        Ok(opened) => opened,
        Err(error) => return names_a_place(&error, damaged).map(|()| Outcome::Told),
    };
    let oracle = &store.oracle;
    let report = opened.recovery();
    let last_seq = opened.stats().map_err(|error| format!("{error:?}"))?.last_seq;
    // Everything was durable, so nothing may be missing for whatever reason: no damage is a torn tail. Save
    // where the only two that vouch for the last group are hit together, which docs/durability.md admits.
    let is_hint_lost = damaged.len() > 1 && damaged.iter().any(|path| path.ends_with("CONTROL"));
    if is_hint_lost && report.torn.is_some() && last_seq + 2 >= oracle.last_seq {
        return Ok(Outcome::Told);
    }
    if last_seq != oracle.last_seq {
        return Err(format!("event {last_seq} is the last without a word: {report:?}"));
    }
    let listed = opened.conversations(Order::Created).map_err(|error| format!("{error:?}"))?;
    let is_listed = |id: &str| report.damaged.iter().any(|file| file.conversation_id.as_deref() == Some(id));
    let is_taken_in = |id: &str| {
        is_reported(&report, damaged)
            && [&store.fs, fs].iter().any(|fs| ids_in(fs, damaged).iter().any(|other| other == id))
    };
    let mut outcome = if report.damaged.is_empty() { Outcome::Right } else { Outcome::Told };
    for known in &oracle.conversations {
        let ought = &known.conversation;
        let is_shown = listed.contains(&known.summary());
        match opened.conversation(&ought.id) {
            Ok(Some(is)) if is == *ought && is_shown => {}
            Ok(is) if is_listed(&ought.id) && is.is_none() => outcome = Outcome::Told,
            // An intact document that was put there from elsewhere counts as an edit, and is reported as one.
            Ok(_) if is_taken_in(&ought.id) => outcome = Outcome::Told,
            Err(error) => {
                // A file that is staged still is named by the place that it was made for.
                let is_staged = ids_in(&store.fs, damaged).contains(&ought.id);
                if !is_staged || error.kind() != ErrorKind::Corrupt {
                    names_a_place(&error, damaged)?;
                }
                outcome = Outcome::Told;
            }
            Ok(is) => return Err(format!("{is:?} (in the list: {is_shown}) for {ought:?}, {report:?}")),
        }
        if !is_taken_in(&ought.id) {
            lent_or_told(&opened, ought)?;
        }
    }
    let mut strangers = listed.iter().filter(|summary| oracle.find(&summary.id).is_none());
    if let Some(more) = strangers.find(|summary| !is_taken_in(&summary.id)) {
        return Err(format!("a conversation that never was: {more:?}, {report:?}"));
    }
    Ok(outcome)
}

/// What is lent is what was written, up to where an error says that it ends; so is what is found by its id.
fn lent_or_told(store: &MessageStore, ought: &Conversation) -> Result<(), String> {
    let mut lent = Vec::new();
    let each = |message: MessageRef<'_>| lent.push(message.to_message());
    let whole = store.for_each_message(&ought.id, Messages::all(), each);
    let count = if whole.is_ok() { ought.messages.len() } else { lent.len() };
    if ought.messages.get(..count) != Some(&*lent) {
        return Err(format!("{lent:?} was lent ({whole:?}) of {ought:?}"));
    }
    if let Some(message) = ought.messages.last() {
        match store.message(&ought.id, &message.id) {
            Ok(Some(is)) if is == *message => {}
            Err(_) => {}
            // Its conversation is listed as damaged, and shows as none at all.
            Ok(None) if whole.is_err() => {}
            Ok(is) => return Err(format!("{is:?} was found for {message:?}")),
        }
    }
    Ok(())
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) right: usize,
    pub(crate) told: usize,
    /// How often the bytes were no longer what they had been.
    pub(crate) fired: u64,
    pub(crate) failures: Vec<String>,
}

impl Tally {
    fn add(&mut self, what: impl FnOnce() -> String, outcome: Result<Outcome, String>) {
        match outcome {
            Ok(Outcome::Right) => self.right += 1,
            Ok(Outcome::Told) => self.told += 1,
            Err(wrong) => self.failures.push(format!("{}: {wrong}", what())),
        }
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.right += other.right;
        self.told += other.told;
        self.fired += other.fired;
        self.failures.extend(other.failures);
    }

    #[expect(clippy::print_stdout, reason = "a run says how much it has seen")]
    pub(crate) fn finish(&self, what: &str) {
        let (right, told, wrong) = (self.right, self.told, self.failures.len());
        println!("{what}: {right} right, {told} told");
        let shown = self.failures.iter().take(10).map(String::as_str).collect::<Vec<_>>().join("\n");
        assert!(self.failures.is_empty(), "{what}: {wrong} wrong\n{shown}");
        assert!(told > 0, "{what}: damage that nobody sees proves nothing");
    }
}

pub(crate) fn step() -> usize {
    std::env::var("CORRUPTION_STEP").ok().and_then(|step| step.parse().ok()).unwrap_or(1)
}

/// Damages a copy of each file in each way, looks at what comes of it, and says how often what.
pub(crate) fn sweep(store: &Store, damage: &dyn Fn(&Store, &Path, u64) -> Vec<Damage>) -> Tally {
    let sound = judge(&store.fs.snapshot(), store, &[PathBuf::from("/none")], true);
    assert_eq!(sound, Ok(Outcome::Right), "{:?}", store.rest);
    let mut tally = Tally::default();
    for (path, length) in store.fs.files() {
        for (n, damage) in damage(store, &path, length).into_iter().enumerate() {
            // A store that is opened for writing must not take damage for a reason to cut either.
            for is_for_reading in if n % 8 == 0 { vec![true, false] } else { vec![true] } {
                let copy = store.fs.snapshot();
                let damaged = damage.inflict(&copy, &path);
                let is_changed = damaged.iter().any(|path| copy.read(path) != store.fs.read(path));
                tally.fired += u64::from(is_changed);
                let judged = std::panic::catch_unwind(|| judge(&copy, store, &damaged, is_for_reading));
                let outcome = judged.unwrap_or_else(|_| Err("a panic".to_owned()));
                let what = || format!("{:?} {}, {damage:?}, {is_for_reading}", store.rest, path.display());
                tally.add(what, outcome);
            }
        }
    }
    tally
}

/// The same for stores that came to rest in several ways.
fn sweep_all(what: &str, rests: &[Rest], damage: &dyn Fn(&Store, &Path, u64) -> Vec<Damage>) {
    let mut tally = Tally::default();
    for rest in rests {
        tally.extend(sweep(&store_at_rest(*rest, ""), damage));
    }
    tally.finish(what);
}

/// Every bit, or every so many-th where a store has many like it.
fn flips(every: usize) -> impl Fn(&Store, &Path, u64) -> Vec<Damage> {
    move |_, _, length| {
        let all = (0..length * 8).map(|bit| Damage::Flip(bit / 8, u8::try_from(bit % 8).unwrap_or(0)));
        all.step_by(every * step()).collect()
    }
}

#[test]
fn a_flipped_bit_of_a_killed_store_is_never_believed() {
    sweep_all("bits of a killed store", &[Rest::Killed], &flips(1));
}

#[test]
fn a_flipped_bit_of_a_closed_store_is_never_believed() {
    sweep_all("bits of a closed store", &[Rest::Closed], &flips(1));
}

#[test]
fn a_flipped_bit_of_a_compacted_store_is_never_believed() {
    sweep_all("bits of a compacted store", &[Rest::Compacted], &flips(1));
}

#[test]
fn a_flipped_bit_of_a_sealed_segment_is_never_believed() {
    sweep_all("bits of sealed segments", &[Rest::Sealed], &flips(3));
}

#[test]
fn a_flipped_bit_of_a_store_in_the_middle_of_a_compaction_is_never_believed() {
    let rests = [Rest::Publishing(0), Rest::Publishing(2), Rest::Publishing(6)];
    sweep_all("bits in the middle of a compaction", &rests, &flips(7));
}

#[test]
fn a_file_that_ends_too_soon_is_never_believed() {
    let lengths = |_: &Store, _: &Path, length: u64| {
        (0..length).step_by(step()).map(Damage::Truncate).collect::<Vec<_>>()
    };
    sweep_all("lengths", &[Rest::Killed, Rest::Closed, Rest::Compacted], &lengths);
    let fewer = |store: &Store, path: &Path, length: u64| {
        lengths(store, path, length).into_iter().step_by(5).collect()
    };
    sweep_all("lengths of more files", &[Rest::Sealed, Rest::Publishing(0), Rest::Publishing(6)], &fewer);
}

#[test]
fn a_file_that_is_gone_is_missed() {
    sweep_all("files that are gone", &Rest::ALL, &|_, _, _| vec![Damage::Delete]);
}
