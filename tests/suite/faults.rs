//! Every call of the file system fails once, and from then on: no call panics or hangs, every error has a kind,
//! and what was acknowledged is there when the store is opened on a sound file system again.
//!
//! After an error that leaves open whether a mutation took place, both ways of going on are followed.
//! `FAULT_STEP` takes only every so many-th call.

mod crowd;
mod drawn;
mod endings;
mod pairs;

use std::sync::mpsc;
use std::time::Duration;

use aral_store::{
    ActionEdit, Edit, ErrorKind, MessageStore, Mutation, NewAction, NewConversation, NewMessage, Operation,
};

use crate::support::check;
use crate::support::driver::{self, Home, adopted};
use crate::support::faultfs::{Call, Fault, FaultFs, Rule};
use crate::support::simfs::errno::{EDQUOT, EFBIG, EINTR, EIO, ENOSPC};
use crate::support::simfs::{self, SimFs, SplitMix};
use crate::support::sources::Sources;
use crate::support::suspects::{SETTINGS, Suspects, faults, open, settle};

enum Act {
    Append(Vec<Mutation>),
    Compact,
    Sync,
    Read,
    Reopen,
}

/// A bit of everything.
fn workload() -> Vec<Act> {
    let say = |id: &str, text: String| Act::Append(vec![Mutation::add_message(id, text)]);
    let change = |id: &str, operation| Act::Append(vec![Mutation::new(id, operation)]);
    let edit = Operation::EditMessage { message_id: "m1".into(), edit: Edit::content("edited") };
    let metadata = aral_store::JsonObject::parse(r#"{"partial":true}"#).unwrap();
    let begun = NewMessage::new("the beginning").id("m1").metadata(metadata);
    let piece =
        |text: String| Operation::AppendText { message_id: "m1".into(), offset: None, text: text.into() };
    let finish = Operation::FinishMessage {
        message_id: "m1".into(),
        length: None,
        metadata: aral_store::JsonObject::EMPTY,
    };
    vec![
        Act::Append(vec![Mutation::add_message("c1", NewMessage::new("one").id("m1"))]),
        Act::Append(vec![
            Mutation::add_message("c2", "in a batch"),
            Mutation::add_action("c2", NewAction::new("call", aral_store::JsonObject::EMPTY)),
        ]),
        say("c1", "long ".repeat(900)),
        say("a/b", "long ".repeat(900)),
        Act::Read,
        Act::Compact,
        change("c1", edit),
        change("a/b", Operation::RemoveConversation),
        Act::Append(vec![
            Mutation::reset_conversation("c2", NewConversation::new().title("anew")),
            Mutation::add_message("c2", "instead of all that was there"),
            Mutation::add_action("c2", NewAction::new("call", aral_store::JsonObject::EMPTY).id("a1")),
        ]),
        change(
            "c2",
            Operation::EditAction {
                action_id: "a1".into(),
                edit: ActionEdit::default().action_type("other"),
            },
        ),
        Act::Append(vec![Mutation::add_message("c3", begun)]),
        change("c3", piece(" of a reply".into())),
        Act::Sync,
        Act::Compact,
        change("c3", piece(" that goes on".repeat(200))),
        say("c3", "after".into()),
        Act::Reopen,
        say("c1", "at the end".into()),
        Act::Read,
        change("c2", Operation::Clear),
        change("c3", piece(" and on".into())),
        change("c3", finish),
    ]
}

/// What a run with faults came to.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// How often each rule let a call fail.
    pub(crate) fired: Vec<u64>,
    pub(crate) heard: Vec<ErrorKind>,
}

/// Long past any time that an honest run needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs something on a thread of its own and gives up on it when it takes too long.
pub(crate) fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    #[expect(clippy::disallowed_methods, reason = "a thread that hangs can be left behind only this way")]
    std::thread::spawn(move || {
        // Whoever has given up does not listen any more.
        drop(sender.send(work()));
    });
    receiver.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// Runs the workload as far as it goes.
fn run(fs: &FaultFs, suspects: &mut Suspects) -> Result<(), String> {
    let sources = Sources::default();
    let mut store = match open(fs, &sources) {
        Ok(store) => store,
        Err(error) => return suspects.hear(&error),
    };
    let mut has_failed = false;
    for act in workload() {
        suspects.operation += 1;
        sources.begin(suspects.operation);
        match act {
            Act::Append(batch) => {
                let answer = store.batch(batch.clone());
                if let Err(error) = &answer
                    && !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict)
                {
                    suspects.hear(error)?;
                }
                if has_failed && answer.as_ref().err().is_none_or(|e| e.kind() != ErrorKind::Failed) {
                    return Err(format!("a store that had failed said {answer:?}"));
                }
                has_failed |= answer.as_ref().err().is_some_and(|e| e.kind() == ErrorKind::Failed);
                suspects.said(&batch, &answer)?;
            }
            Act::Compact => {
                if let Err(error) = store.compact() {
                    suspects.hear(&error)?;
                }
            }
            Act::Sync => {
                if let Err(error) = store.sync() {
                    suspects.hear(&error)?;
                }
            }
            Act::Read => {
                for id in ["c1", "c2", "a/b"] {
                    if let Err(error) = store.conversation(id) {
                        suspects.hear(&error)?;
                    }
                }
            }
            Act::Reopen => {
                if let Err(error) = store.close() {
                    suspects.hear(&error)?;
                }
                has_failed = false;
                suspects.reopened();
                store = match open(fs, &sources) {
                    Ok(store) => store,
                    Err(error) => return suspects.hear(&error),
                };
            }
        }
    }
    Ok(())
}

fn try_rules(sim: &SimFs, rules: Vec<Rule>) -> Result<Attempt, String> {
    let fs = FaultFs::over_sim(sim, rules);
    let mut suspects = Suspects::new();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&fs, &mut suspects)));
    let outcome = outcome.unwrap_or_else(|_| Err("a panic".to_owned()));
    suspects.reopened();
    outcome.and_then(|()| settle(sim, &suspects))?;
    Ok(Attempt { fired: fs.fired(), heard: suspects.heard })
}

pub(crate) const NOTHING_FIRED: &str = "the fault did not take place";

/// Runs the workload with faults, under a watchdog, and then looks at what survived. At least the first fault
/// must take place; it may keep a second one from doing so.
pub(crate) fn attempt(rules: Vec<Rule>) -> Result<Attempt, String> {
    attempt_on(&driver::fresh(simfs::Settings::default()), rules)
}

fn attempt_on(sim: &SimFs, rules: Vec<Rule>) -> Result<Attempt, String> {
    let (what, sim) = (format!("{rules:?}"), sim.clone());
    let attempt = in_time(&what, move || try_rules(&sim, rules))?;
    if attempt.fired.iter().any(|count| *count > 0) { Ok(attempt) } else { Err(NOTHING_FIRED.to_owned()) }
}

fn sweep(calls: &[Call], for_ever: bool) -> usize {
    sweep_on(|| driver::fresh(simfs::Settings::default()), calls, for_ever)
}

fn sweep_on(fresh: impl Fn() -> SimFs, calls: &[Call], for_ever: bool) -> usize {
    let sim = fresh();
    let sound = FaultFs::over_sim(&sim, Vec::new());
    run(&sound, &mut Suspects::new()).unwrap();
    let step = std::env::var("FAULT_STEP").ok().and_then(|step| step.parse().ok()).unwrap_or(1);
    let mut failures = Vec::new();
    let (mut runs, mut missed) = (0, 0);
    for call in calls {
        for fault in faults(*call) {
            // An interruption that never ends is not one that a program can outlive.
            if for_ever && fault == Fault::Errno(EINTR) {
                continue;
            }
            for nth in (1..=sound.count(*call)).step_by(step) {
                runs += 1;
                let rule = Rule::new(*call, nth, fault);
                let rules = vec![if for_ever { rule.for_ever() } else { rule }];
                let attempted = attempt_on(&fresh(), rules);
                // The names of an encrypted store's files are random, and with them how often some of them are read.
                if sim.is_sealed() && attempted.as_ref().is_err_and(|wrong| wrong == NOTHING_FIRED) {
                    missed += 1;
                    continue;
                }
                if let Err(wrong) = attempted {
                    failures.push(format!("{call:?} {nth}, {fault:?}: {wrong}"));
                }
            }
        }
    }
    let shown = failures.iter().take(12).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} of {runs}\n{shown}", failures.len());
    assert!(missed * 20 <= runs, "{missed} of {runs} faults did not take place");
    runs
}

#[test]
fn every_call_that_fails_once_is_outlived() {
    println!("{} faults, once", sweep(&Call::ALL, false));
}

#[cfg(feature = "encryption")]
#[test]
fn every_call_that_fails_in_an_encrypted_store_is_outlived() {
    let fresh = || {
        let sim = driver::fresh(simfs::Settings::default());
        sim.seal();
        sim
    };
    println!("{} faults, once", sweep_on(fresh, &Call::ALL, false));
    println!("{} faults, for ever", sweep_on(fresh, &Call::ALL, true));
}

#[test]
fn every_call_that_fails_for_ever_is_outlived() {
    println!("{} faults, for ever", sweep(&Call::ALL, true));
}

#[test]
fn after_a_failed_sync_nothing_is_written_until_the_store_is_opened_again() {
    for fault in [Fault::SyncDropsPages(EIO), Fault::Errno(EIO), Fault::DoneButErrno(EIO)] {
        let sim = driver::fresh(simfs::Settings::default());
        let fs = FaultFs::over_sim(&sim, Vec::new());
        let store = open(&fs, &Sources::default()).unwrap();
        assert!(store.add_message("c1", "durable").unwrap().is_durable());
        fs.replan(vec![Rule::new(Call::Sync, 1, fault)]);
        let first = store.add_message("c1", "doubtful").unwrap_err();
        let kind = first.kind();
        assert!(matches!(kind, ErrorKind::Io | ErrorKind::Failed), "{fault:?}: {first:?}");
        let writes = fs.count(Call::Write);
        for _ in 0..3 {
            assert_eq!(store.add_message("c1", "more").unwrap_err().kind(), ErrorKind::Failed);
            assert_eq!(store.sync().unwrap_err().kind(), ErrorKind::Failed);
            assert_eq!(store.compact().unwrap_err().kind(), ErrorKind::Failed);
        }
        assert_eq!(fs.count(Call::Write), writes, "{fault:?}: a store that failed writes on");
        // What no sync has covered was never shown to anybody.
        let shown = store.messages("c1", aral_store::Messages::all()).unwrap();
        assert_eq!(shown.iter().map(|message| message.content.to_string()).collect::<Vec<_>>(), ["durable"]);
        drop(store.close());
        let store = open(&fs, &Sources::default()).unwrap();
        let ought = adopted(&store).unwrap();
        assert!(store.summary("c1").unwrap().is_some_and(|summary| (1..=2).contains(&summary.messages)));
        let cut = sim.crash(&mut SplitMix::new(0));
        sim.kill();
        drop(store);
        let store = driver::open(&Home::Sim(cut), SETTINGS, &Sources::default()).unwrap();
        check::gist(&store, &ought).unwrap();
    }
}

#[test]
fn a_failed_sync_of_the_log_at_any_point_stops_the_store_for_good() {
    let mut stopped = 0;
    for fault in [Fault::SyncDropsPages(EIO), Fault::Errno(EIO), Fault::DoneButErrno(EIO)] {
        for nth in 1.. {
            let sim = driver::fresh(simfs::Settings::default());
            let fs = FaultFs::over_sim(&sim, Vec::new());
            let store = open(&fs, &Sources::default()).unwrap();
            fs.replan(vec![Rule::new(Call::Sync, nth, fault).on(".seg")]);
            let mut writes = None;
            for n in 0..24 {
                let said = store.add_message("c1", "long ".repeat(n % 5 * 300));
                if writes.is_some() {
                    assert_eq!(said.unwrap_err().kind(), ErrorKind::Failed, "{fault:?} {nth}, message {n}");
                    assert_eq!(store.compact().unwrap_err().kind(), ErrorKind::Failed);
                } else if n % 8 == 7 {
                    // A compaction syncs the log too, and may be the one to fail.
                    drop(store.compact());
                }
                if fs.all_fired() {
                    writes.get_or_insert_with(|| fs.count(Call::Write));
                }
            }
            let Some(writes) = writes else { break };
            assert_eq!(fs.count(Call::Write), writes, "{fault:?} {nth}: a store that failed writes on");
            stopped += 1;
            drop(store.close());
            let store = open(&fs, &Sources::default()).unwrap();
            assert!(store.add_message("c1", "opened again").unwrap().is_durable());
        }
    }
    assert!(stopped > 60, "{stopped} failed syncs");
}

#[test]
fn a_disk_that_says_it_is_full_for_a_while_stops_nothing_for_good() {
    for (call, most) in [(Call::Write, 12), (Call::Allocate, 3), (Call::Create, 3)] {
        for number in [ENOSPC, EDQUOT, EFBIG] {
            for nth in 1..=most {
                let sim = driver::fresh(simfs::Settings::default());
                let fs = FaultFs::over_sim(&sim, Vec::new());
                let store = open(&fs, &Sources::default()).unwrap();
                fs.replan(vec![Rule::new(call, nth, Fault::Errno(number)).for_ever().on("/log/")]);
                let say = |n: usize| store.add_message("c1", "long ".repeat(n % 5 * 300));
                let refused: Vec<_> = (0..40).filter_map(|n| say(n).err()).collect();
                assert!(fs.all_fired(), "{call:?} {nth}");
                // The hint may be lost without a word, nothing else may.
                assert!(call == Call::Write || !refused.is_empty(), "{call:?} {nth}");
                for error in refused {
                    assert_eq!(error.kind(), ErrorKind::NoSpace, "{call:?} {number} {nth}: {error:?}");
                }
                fs.replan(Vec::new());
                assert!(say(1).unwrap().is_durable(), "{call:?} {number} {nth}");
                drop(store.compact().unwrap());
            }
        }
    }
}

#[test]
fn a_full_disk_is_an_error_and_room_on_it_ends_the_error() {
    for room in (0..60).map(|n| n * 700) {
        let sim = driver::fresh(simfs::Settings::default());
        let home = Home::Sim(sim.clone());
        let store = driver::open(&home, SETTINGS, &Sources::default()).unwrap();
        let mut kept = Vec::new();
        let mut say = |store: &MessageStore, n: usize| {
            let id = format!("m{n}");
            let text = "long ".repeat(n % 9 * 60);
            let said = store.add_message("c1", NewMessage::new(text).id(&id));
            if said.is_ok() {
                kept.push(id);
            }
            said.map(|_| ())
        };
        say(&store, 0).unwrap();
        sim.set_quota(Some(sim.used() + room));
        let full = (1..200).find_map(|n| say(&store, n).err()).expect("the disk becomes full");
        assert_eq!(full.kind(), ErrorKind::NoSpace, "{full:?}");
        if let Err(error) = store.compact() {
            assert_eq!(error.kind(), ErrorKind::NoSpace, "{error:?}");
        }
        sim.set_quota(None);
        for n in 1000..1005 {
            say(&store, n).unwrap_or_else(|error| panic!("with room {room}: {error:?}"));
        }
        store.compact().unwrap();
        say(&store, 1005).unwrap();
        let cut = sim.crash(&mut SplitMix::new(room));
        sim.kill();
        drop(store);
        let store = driver::open(&Home::Sim(cut), SETTINGS, &Sources::default()).unwrap();
        let all = store.messages("c1", aral_store::Messages::all()).unwrap();
        let ids: Vec<_> = all.iter().map(|message| message.id.to_string()).collect();
        assert!(kept.iter().all(|id| ids.iter().filter(|is| *is == id).count() == 1), "with room {room}");
    }
}
