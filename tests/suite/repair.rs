//! Repairing damaged copies of small stores: the source stays as it is, the new store is sound, nothing in it
//! is made up, and what is not in it is in the report.
//!
//! `REPAIR_STEP` takes every so many-th bit only.

#[cfg(feature = "encryption")]
mod encrypted;

mod in_place;

mod proofs;

mod salvage;

mod segments;

mod unproven;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aral_store::{
    ActionEdit, Conversation, Edit, ErrorKind, JsonObject, Keep, Loss, MessageStore, Mutation, NewAction,
    NewConversation, NewMessage, Operation, Options, RepairReport, SyncPolicy, VerifyReport,
};

use crate::support::driver::{self, DIR, Driver, Home};
use crate::support::ops::{Op, Settings, Step};
use crate::support::oracle::Oracle;
use crate::support::simfs::{self, OpKind, SimFs};

const SETTINGS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

const NEW: &str = "/home/new";

/// How a small store came to rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rest {
    Killed,
    Closed,
    /// Compacted, then more was added, and killed.
    Compacted,
    /// Killed when a second compaction had committed and had published this many files.
    Publishing(usize),
}

const ALL: [Rest; 6] = [
    Rest::Killed,
    Rest::Closed,
    Rest::Compacted,
    Rest::Publishing(0),
    Rest::Publishing(1),
    Rest::Publishing(9),
];

/// A store, how it ought to be, and how its conversations ever were.
struct Sample {
    fs: SimFs,
    oracle: Oracle,
    ever: HashMap<String, Vec<Conversation>>,
}

fn say(id: &str, text: &str) -> Op {
    Op::Append(Step::of(Mutation::add_message(id, text)))
}

fn program(rest: Rest) -> Vec<Op> {
    let data = JsonObject::parse(r#"{"a":[1,2,3]}"#).unwrap();
    let of = |mutation: Mutation| Op::Append(Step::of(mutation));
    let mut program = vec![
        of(Mutation::create_conversation("c1", NewConversation::new().title("first").metadata(data.clone()))),
        of(Mutation::add_message("c1", NewMessage::new("the first of the messages").id("m1")).key("k1")),
        say("../x", "grüezi"),
        Op::Batch(vec![
            Step::of(Mutation::add_message("c1", NewMessage::new("in a batch").id("m2").role("assistant"))),
            Step::of(Mutation::add_action("c2", NewAction::new("call", data).id("a1"))),
        ]),
        Op::Reopen,
        of(Mutation::new(
            "c1",
            Operation::EditMessage { message_id: "m1".into(), edit: Edit::content("the first, edited") },
        )),
        say("c1", &"long ".repeat(60)),
        say("gone", "to be removed"),
        of(Mutation::new("gone", Operation::RemoveConversation)),
    ];
    if !matches!(rest, Rest::Killed | Rest::Closed) {
        program.extend([
            Op::Compact,
            say("c1", "since then"),
            of(Mutation::add_message("c3", "begun since then").key("k2")),
            of(Mutation::new("c1", Operation::RemoveMessage("m2".into()))),
            of(Mutation::new("c2", Operation::SetTitle("renamed".into()))),
            of(Mutation::new(
                "c2",
                Operation::EditAction {
                    action_id: "a1".into(),
                    edit: ActionEdit::default().action_type("b"),
                },
            )),
            of(Mutation::new("c3", Operation::SetCreatedAt("2025-03-13T15:11:33Z".parse().unwrap()))),
            Op::Batch(vec![
                Step::of(Mutation::reset_conversation("../x", NewConversation::new().title("anew"))),
                Step::of(Mutation::add_message("../x", NewMessage::new("instead").id("m3"))),
            ]),
            of(Mutation::new(
                "../x",
                Operation::EditMessage { message_id: "m3".into(), edit: Edit::default().role("tool") },
            )),
        ]);
    }
    if rest != Rest::Killed {
        program.push(Op::Reopen);
        program.push(say("c2", "the last of all"));
    }
    program
}

fn sample(rest: Rest) -> Sample {
    let fs = driver::fresh(simfs::Settings::default());
    let mut driver = Driver::new(Home::Sim(fs.clone()), SETTINGS).unwrap();
    // What a repair says of a history is said elsewhere; nothing here depends on it.
    assert_eq!(driver.store().keep_history(Keep::Nothing).unwrap().dropped, None);
    for op in &program(rest) {
        driver.run(op).unwrap();
    }
    let oracle = driver.oracle.clone();
    let mut ever: HashMap<String, Vec<Conversation>> = HashMap::new();
    for known in driver.history.iter().flat_map(|state| &state.conversations) {
        ever.entry(known.conversation.id.clone()).or_default().push(known.conversation.clone());
    }
    let fs = match rest {
        Rest::Closed => {
            driver.close().unwrap();
            fs.kill()
        }
        Rest::Publishing(count) => publishing(&fs, count, || driver.run(&Op::Compact).unwrap()),
        Rest::Killed | Rest::Compacted => fs.kill(),
    };
    Sample { fs, oracle, ever }
}

/// The state in which a compaction has committed and has put so many files in place.
fn publishing(fs: &SimFs, count: usize, compact: impl FnOnce()) -> SimFs {
    let history = fs.record(|_| compact());
    let is_checkpoint =
        |path: &Option<PathBuf>| path.as_ref().is_some_and(|to| to.to_string_lossy().contains("CHECKPOINT"));
    let committed = history.iter().position(|(op, _)| op.kind == OpKind::Rename && is_checkpoint(&op.to));
    let behind = &history[committed.expect("the compaction commits") + 1..];
    let puts: Vec<_> = behind.iter().filter(|(op, _)| op.kind == OpKind::Rename).collect();
    let removals = behind.iter().filter(|(op, _)| op.kind == OpKind::Remove);
    let (_, state) = puts.get(count).copied().or(removals.clone().next()).expect("there is such a state");
    state.kill()
}

fn options(fs: &SimFs) -> Options {
    MessageStore::options().compact_manually().vfs(Arc::new(fs.clone()))
}

fn repair(fs: &SimFs) -> aral_store::Result<RepairReport> {
    options(fs).repair(DIR, NEW)
}

/// All files below a directory with their bytes.
fn contents(fs: &SimFs, dir: &str) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let files = fs.files().into_iter().map(|(path, _)| path).filter(|path| path.starts_with(dir));
    files.map(|path| (path.clone(), fs.read(&path))).collect()
}

fn covers(report: &RepairReport, id: &str) -> bool {
    report.torn.is_some()
        || report.lost.iter().any(|loss| loss.conversation_id.as_deref().is_none_or(|lost| lost == id))
}

/// Holds a repair of a damaged copy to what is promised of it.
fn judge(sample: &Sample, fs: &SimFs) -> Result<RepairReport, String> {
    let before = contents(fs, DIR);
    let report = repair(fs).map_err(|error| format!("no repair: {error:?}"))?;
    if contents(fs, DIR) != before {
        return Err("the source was written to".to_owned());
    }
    let verdict = options(fs).verify(NEW).map_err(|error| format!("no verdict: {error:?}"))?;
    if !verdict.is_sound() || verdict.torn.is_some() {
        return Err(format!("the new store is not sound: {verdict:?}"));
    }
    let store = options(fs).open(NEW).map_err(|error| format!("it does not open: {error:?}"))?;
    let recovery = store.recovery();
    if !recovery.damaged.is_empty() || !recovery.unlisted.is_empty() || !recovery.changed.is_empty() {
        return Err(format!("opening it finds something: {recovery:?}"));
    }
    let mut found = HashMap::new();
    for summary in store.conversations(aral_store::Order::Created).unwrap() {
        let conversation = store.conversation(&summary.id).unwrap().unwrap();
        nothing_is_made_up(sample, &conversation)?;
        found.insert(summary.id, conversation);
    }
    let is_whole = report.is_complete() && report.torn.is_none();
    for known in &sample.oracle.conversations {
        let ought = &known.conversation;
        let is = found.remove(&ought.id);
        if is.as_ref() != Some(ought) && (is_whole || !covers(&report, &ought.id)) {
            return Err(format!("{is:?} for {ought:?}, and the report says {report:?}"));
        }
    }
    if let Some(id) = found.keys().find(|id| is_whole || !covers(&report, id)) {
        return Err(format!("{id:?} came back without a word: {report:?}"));
    }
    Ok(report)
}

fn nothing_is_made_up(sample: &Sample, is: &Conversation) -> Result<(), String> {
    let ever = sample.ever.get(&is.id).ok_or(format!("a conversation that never was: {is:?}"))?;
    let known = |test: &dyn Fn(&Conversation) -> bool| ever.iter().any(test);
    if let Some(message) = is.messages.iter().find(|m| !known(&|c| c.messages.contains(m))) {
        return Err(format!("a message that never was: {message:?}"));
    }
    if let Some(action) = is.actions.iter().find(|a| !known(&|c| c.actions.contains(a))) {
        return Err(format!("an action that never was: {action:?}"));
    }
    let ids = |c: &Conversation| c.messages.iter().map(|m| m.id.clone()).collect::<Vec<_>>();
    let (mut once, all) = (ids(is), is.messages.len());
    once.sort_by(|one, other| one.as_wtf8().cmp(other.as_wtf8()));
    once.dedup();
    if once.len() != all {
        return Err(format!("a message twice: {is:?}"));
    }
    Ok(())
}

/// Where the repair found something, verify tells it too, and names the place.
fn verify_tells(verdict: &VerifyReport, report: &RepairReport, damaged: &Path) -> Result<(), String> {
    let is_told = |path: &Path| {
        let is_near = |told: &Path| path.starts_with(told) || told.starts_with(path);
        verdict.damaged.iter().any(|found| is_near(&found.path))
            || verdict.notes.iter().any(|note| note.contains(&*path.to_string_lossy()))
    };
    // An event that does not fit is sound by itself, and its segment may be.
    let is_misfit = |loss: &Loss| loss.conversation_id.is_some() && loss.first_seq.is_some();
    let is_silent = |loss: &Loss| !is_told(&loss.path) && !is_misfit(loss);
    let has_unnamed = !report.notes.is_empty() && report.lost.is_empty() && !is_told(damaged);
    if verdict.torn.is_none() && (report.lost.iter().any(is_silent) || (has_unnamed && verdict.is_sound())) {
        return Err(format!("verify is silent: {verdict:?}, and the repair says {report:?}"));
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip(u64, u8),
    Truncate(u64),
    Zero(u64),
    Delete,
}

impl Damage {
    fn inflict(self, fs: &SimFs, path: &Path) {
        let length = fs.read(path).map_or(0, |bytes| crate::support::oracle::count(bytes.len()));
        match self {
            Self::Flip(offset, bit) => fs.flip_bit(path, offset, bit),
            Self::Truncate(length) => fs.truncate(path, length),
            Self::Zero(offset) => fs.zero_range(path, offset, (length - offset).min(64)),
            Self::Delete => fs.delete(path),
        }
    }
}

#[derive(Debug, Default)]
struct Tally {
    whole: usize,
    told: usize,
    wrong: Vec<String>,
}

/// Damages a copy of each file in each way and repairs it.
#[expect(clippy::print_stdout, reason = "a run says how much it has seen")]
fn sweep(rest: Rest, damages: &dyn Fn(u64) -> Vec<Damage>) {
    let sample = sample(rest);
    let mut tally = Tally::default();
    for (path, length) in sample.fs.files() {
        for damage in damages(length) {
            let copy = sample.fs.snapshot();
            damage.inflict(&copy, &path);
            let verdict = options(&copy).verify(DIR).unwrap();
            let judged = judge(&sample, &copy).and_then(|report| {
                verify_tells(&verdict, &report, &path)?;
                Ok(report)
            });
            match judged {
                Ok(report) if report.is_complete() => tally.whole += 1,
                Ok(_) => tally.told += 1,
                Err(wrong) => tally.wrong.push(format!("{} {damage:?}: {wrong}", path.display())),
            }
        }
    }
    println!("{rest:?}: {} saved whole, {} with losses told", tally.whole, tally.told);
    let shown = tally.wrong.iter().take(5).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(tally.wrong.is_empty(), "{rest:?}: {} wrong\n{shown}", tally.wrong.len());
    assert!(tally.whole > 0);
}

/// Prime, so that all bits of a byte and all bytes of a field come up.
fn step() -> usize {
    std::env::var("REPAIR_STEP").ok().and_then(|step| step.parse().ok()).unwrap_or(97)
}

#[test]
fn a_sound_store_is_repaired_into_an_equal_one() {
    for rest in ALL {
        let sample = sample(rest);
        let report = judge(&sample, &sample.fs).unwrap();
        assert_eq!((&report.lost, &report.notes), (&Vec::new(), &Vec::new()), "{rest:?}");
        let export = |from: &str, to: &str| {
            let store = options(&sample.fs).read_only().open(from).unwrap();
            store.export_aral(to, None).unwrap();
            let files = contents(&sample.fs, to).into_iter();
            files.map(|(path, bytes)| (path.strip_prefix(to).unwrap().to_owned(), bytes)).collect::<Vec<_>>()
        };
        assert_eq!(export(DIR, "/home/one"), export(NEW, "/home/other"), "{rest:?}");
        assert!(options(&sample.fs).verify(DIR).unwrap().is_sound(), "{rest:?}");
        // A key that was used before means the same in the new store.
        let store = options(&sample.fs).open(NEW).unwrap();
        let again = store.append(Mutation::add_message("c1", "the first of the messages").key("k1")).unwrap();
        assert_eq!(again.id.as_str(), Some("m1"));
        assert_eq!(store.stats().unwrap().last_seq, sample.oracle.last_seq, "{rest:?}");
    }
}

#[test]
fn a_flipped_bit_costs_at_most_what_the_report_says() {
    for rest in ALL {
        sweep(rest, &|length| {
            let bits = (0..length * 8).step_by(step());
            bits.map(|bit| Damage::Flip(bit / 8, u8::try_from(bit % 8).unwrap())).collect()
        });
    }
}

#[test]
fn a_file_that_ends_too_soon_costs_at_most_what_the_report_says() {
    for rest in ALL {
        sweep(rest, &|length| {
            (0..length).step_by(step()).map(Damage::Truncate).chain([Damage::Delete]).collect()
        });
    }
}

#[test]
fn zeros_in_a_file_cost_at_most_what_the_report_says() {
    for rest in ALL {
        sweep(rest, &|length| (0..length).step_by(step()).map(Damage::Zero).collect());
    }
}

#[test]
fn files_that_have_changed_places_are_told_apart() {
    for rest in ALL {
        let sample = sample(rest);
        let mut wrong = Vec::new();
        let files: Vec<PathBuf> = sample.fs.files().into_iter().map(|(path, _)| path).collect();
        for (at, one) in files.iter().enumerate() {
            for other in &files[at + 1..] {
                let copy = sample.fs.snapshot();
                copy.exchange(one, other);
                let judged = judge(&sample, &copy);
                if let Err(reason) = judged {
                    wrong.push(format!("{} and {}: {reason}", one.display(), other.display()));
                }
            }
        }
        let shown = wrong.iter().take(5).map(String::as_str).collect::<Vec<_>>().join("\n");
        assert!(wrong.is_empty(), "{rest:?}: {} wrong\n{shown}", wrong.len());
    }
}

fn segment(fs: &SimFs, at: usize) -> PathBuf {
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "seg");
    fs.files().into_iter().map(|(path, _)| path).filter(is_segment).nth(at).unwrap()
}

#[test]
fn events_behind_damage_are_saved_and_the_lost_ones_are_numbered() {
    let sample = sample(Rest::Closed);
    // The second frame, which holds event 2, follows a frame of one event.
    let path = segment(&sample.fs, 0);
    let bytes = sample.fs.read(&path).unwrap();
    let second = 4096 + 32 + usize::from(bytes[4096 + 4]).div_ceil(32) * 32;
    sample.fs.flip_bit(&path, crate::support::oracle::count(second) + 40, 3);
    let report = judge(&sample, &sample.fs).unwrap();
    let lost: Vec<_> = report.lost.iter().map(|loss| (loss.first_seq, loss.last_seq, loss.offset)).collect();
    let offset = Some(crate::support::oracle::count(second));
    // Event 6 edits the message of event 2, and brings it back.
    assert_eq!(lost, [(Some(2), Some(2), offset), (Some(6), Some(6), report.lost[1].offset)]);
    let store = options(&sample.fs).open(NEW).unwrap();
    let messages = store.conversation("c1").unwrap().unwrap().messages;
    assert!(messages.iter().any(|message| message.content == "the first, edited"), "{messages:?}");
}

#[test]
fn a_segment_without_a_header_gives_its_events_up() {
    let sample = sample(Rest::Closed);
    sample.fs.zero_range(segment(&sample.fs, 0), 0, 4096);
    let report = judge(&sample, &sample.fs).unwrap();
    assert!(report.is_complete() && report.notes.len() == 1, "{report:?}");
}

#[test]
fn a_lost_file_leaves_its_title_and_what_came_later() {
    let sample = sample(Rest::Compacted);
    sample.fs.delete(format!("{DIR}/conversations/c1.json"));
    let report = judge(&sample, &sample.fs).unwrap();
    assert!(report.lost.iter().all(|loss| loss.conversation_id.as_deref() == Some("c1")), "{report:?}");
    let found = options(&sample.fs).open(NEW).unwrap().conversation("c1").unwrap().unwrap();
    assert_eq!(found.title, "first");
    assert_eq!(found.messages.iter().map(|m| m.content.to_string()).collect::<Vec<_>>(), ["since then"]);
}

#[test]
fn a_store_without_its_checkpoint_gives_up_files_and_log() {
    for rest in [Rest::Compacted, Rest::Publishing(1)] {
        let sample = sample(rest);
        let is_checkpoint = |path: &Path| path.to_string_lossy().contains("CHECKPOINT");
        for (path, _) in sample.fs.files().into_iter().filter(|(path, _)| is_checkpoint(path)) {
            sample.fs.delete(path);
        }
        judge(&sample, &sample.fs).unwrap();
        let store = options(&sample.fs).open(NEW).unwrap();
        for known in &sample.oracle.conversations {
            let found = store.conversation(&known.conversation.id).unwrap().unwrap();
            assert_eq!(found.messages, known.conversation.messages, "{rest:?}");
        }
    }
}

#[test]
fn a_repair_keeps_away_from_what_is_there() {
    let sample = sample(Rest::Closed);
    let fs = &sample.fs;
    let refused = |to: &str| options(fs).repair(DIR, to).unwrap_err().kind();
    assert_eq!(refused("/home/data"), ErrorKind::InvalidInput);
    assert_eq!(refused("/home/data/inside"), ErrorKind::InvalidInput);
    assert_eq!(refused("/nowhere/new"), ErrorKind::NotFound);
    fs.put("/home/full/file", b"mine");
    assert_eq!(refused("/home/full"), ErrorKind::InvalidInput);
    assert_eq!(fs.read("/home/full/file").as_deref(), Some(&b"mine"[..]));
    fs.put_dir("/home/new.partial");
    assert_eq!(refused(NEW), ErrorKind::InvalidInput);
    assert_eq!(options(fs).repair("/home/none", "/home/other").unwrap_err().kind(), ErrorKind::NotFound);
    let writer = options(fs).open(DIR).unwrap();
    assert_eq!(refused("/home/other"), ErrorKind::Locked);
    writer.close().unwrap();
    fs.put_dir("/home/other");
    assert!(options(fs).repair(DIR, "/home/other").unwrap().is_complete(), "an empty directory will do");
}

#[test]
fn a_repair_that_is_stopped_leaves_nothing_that_looks_finished() {
    let sample = sample(Rest::Compacted);
    let history = sample.fs.snapshot().record(|fs| drop(repair(fs).unwrap()));
    let mut unfinished = 0;
    for (n, (_, before)) in history.iter().enumerate() {
        let cuts = [before.kill(), before.crash(&mut simfs::SplitMix::new(crate::support::oracle::count(n)))];
        for cut in cuts {
            if contents(&cut, NEW).is_empty() {
                unfinished += 1;
                continue;
            }
            let store = options(&cut).open(NEW).unwrap();
            for known in &sample.oracle.conversations {
                assert_eq!(
                    store.conversation(&known.conversation.id).unwrap().as_ref(),
                    Some(&known.conversation)
                );
            }
        }
    }
    assert!(unfinished > history.len(), "most of the states are unfinished");
}

#[test]
fn verify_tells_everything_that_is_wrong_at_once() {
    let sample = sample(Rest::Compacted);
    let fs = &sample.fs;
    let files: Vec<PathBuf> = fs.files().into_iter().map(|(path, _)| path).collect();
    let named = |part: &str| files.iter().find(|path| path.to_string_lossy().contains(part)).unwrap().clone();
    let damaged = [named("CHECKPOINT"), segment(fs, 0), segment(fs, 1), named("c1.json"), named("c2.json")];
    for path in &damaged {
        let offset = if path.extension().is_some_and(|extension| extension == "seg") { 4100 } else { 0 };
        fs.zero_range(path, offset, 20);
    }
    let verdict = options(fs).verify(DIR).unwrap();
    for path in &damaged {
        assert!(verdict.damaged.iter().any(|found| found.path == *path), "{}: {verdict:?}", path.display());
    }
}

/// A loss is a value that callers take apart.
#[test]
fn a_loss_says_what_and_where() {
    let sample = sample(Rest::Compacted);
    let path = format!("{DIR}/conversations/c2.json");
    sample.fs.zero_range(&path, 10, 30);
    let report = judge(&sample, &sample.fs).unwrap();
    let [Loss { path: lost, conversation_id, first_seq: None, .. }, edit] = &report.lost[..] else {
        panic!("{report:?}")
    };
    assert_eq!((lost.as_path(), conversation_id.as_deref()), (Path::new(&path), Some("c2")));
    // The action was in the file, and the log changes it: what it is after the change is all that is left of it.
    assert_eq!((edit.conversation_id.as_deref(), edit.first_seq), (Some("c2"), edit.last_seq));
    let actions = options(&sample.fs).open(NEW).unwrap().actions("c2").unwrap();
    let [action] = &actions[..] else { panic!("{actions:?}") };
    assert!(action.id == "a1" && action.action_type == "b", "{action:?}");
    let [copy] = &report.quarantined[..] else { panic!("{report:?}") };
    assert_eq!(sample.fs.read(copy), sample.fs.read(&path), "the bytes are kept");
}
