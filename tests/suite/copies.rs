//! Copies of a live store, made file by file while it is written and compacted.
//!
//! Whatever copies a directory reads each file at a moment of its own, in any order. So a copy is a choice, for each
//! file, of one of the versions that it had since the copying began, its absence among them; all these choices are
//! gone through. What is promised of each: it has everything that had been acknowledged before the copying began, or
//! a reader, a writer and `verify` say that it has not, and no compaction makes it look sound.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use aral_store::{ErrorKind, Keep, MessageStore, Messages, NewMessage, Options, Order, RecoveryReport};

use crate::regressions::{on, open};
use crate::support::driver::{self, DIR};
use crate::support::simfs::{self, SimFs};

/// Options of a store with small segments: each copy of one is read several times over.
fn small(sim: &SimFs) -> Options {
    on(sim.clone()).segment_bytes(64 << 10).first_segment_bytes(8 << 10)
}

/// The ids of the messages of each conversation.
type Content = BTreeMap<String, Vec<String>>;

/// One version of a file, none if there was none, and the last moment at which it was there.
struct Version {
    bytes: Option<Vec<u8>>,
    until: usize,
}

/// A store that is written to while it is copied.
struct Live {
    /// The states of the file system, before each of its operations and at the end.
    states: Vec<SimFs>,
    /// What had been acknowledged, and from which of these states on.
    acknowledged: Vec<(usize, Content)>,
}

fn say(store: &MessageStore, content: &mut Content, conversation: &str, id: &str) {
    let message = NewMessage::new(format!("said as {id}")).id(id);
    assert!(store.add_message(conversation, message).unwrap().is_durable());
    content.entry(conversation.to_owned()).or_default().push(id.to_owned());
}

/// Something that a store does, and what is acknowledged then.
type Step = fn(&MessageStore, &mut Content);

impl Live {
    /// Has a store do some things before the copying begins, and some during it.
    fn run(before: &[Step], during: &[Step]) -> Self {
        let sim = driver::fresh(simfs::Settings::default());
        // Without its history, on which nothing of this depends: each of its files would multiply the copies.
        let store = open(small(&sim).keep(Keep::Nothing));
        let mut content = Content::new();
        for step in before {
            step(&store, &mut content);
        }
        let began = sim.op_count();
        let mut acknowledged = vec![(0, content.clone())];
        let history = sim.record(|sim| {
            for step in during {
                step(&store, &mut content);
                acknowledged.push((usize::try_from(sim.op_count() - began).unwrap(), content.clone()));
            }
        });
        let mut states: Vec<SimFs> = history.into_iter().map(|(_, state)| state).collect();
        states.push(sim.snapshot());
        Self { states, acknowledged }
    }

    /// What had been acknowledged when the file system was in this state, and was not taken away later: a copy may
    /// have any of what came while it was made.
    fn promised(&self, state: usize) -> Content {
        let then = self.acknowledged.iter().rposition(|(from, _)| *from <= state).unwrap();
        let mut promised = self.acknowledged[then].1.clone();
        for (_, later) in &self.acknowledged[then..] {
            promised.retain(|id, _| later.contains_key(id));
        }
        promised
    }

    /// Whether a conversation had been removed by then.
    fn is_removed(&self, id: &str, state: usize) -> bool {
        let then = self.acknowledged.iter().rposition(|(from, _)| *from <= state).unwrap();
        self.acknowledged[..then].iter().any(|(_, content)| content.contains_key(id))
            && !self.acknowledged[then].1.contains_key(id)
    }

    /// The versions of each file that ever was.
    fn versions(&self) -> BTreeMap<PathBuf, Vec<Version>> {
        let all = self.states.iter().flat_map(|state| state.files().into_iter().map(|(path, _)| path));
        let is_finished = |path: &PathBuf| path.extension().is_none_or(|extension| extension != "tmp");
        // What is not finished is known by its name and never read: it is left out, or there would be too many copies.
        let names: BTreeSet<PathBuf> = all.filter(|path| path.starts_with(DIR)).filter(is_finished).collect();
        let of = |path: &PathBuf| {
            let mut versions: Vec<Version> = Vec::new();
            for (until, state) in self.states.iter().enumerate() {
                let bytes = state.read(path);
                match versions.iter_mut().find(|version| version.bytes == bytes) {
                    Some(version) => version.until = until,
                    None => versions.push(Version { bytes, until }),
                }
            }
            versions
        };
        names.into_iter().map(|path| (path.clone(), of(&path))).collect()
    }

    /// Goes through every copy, and says how many there were.
    fn each_copy(&self, check: &mut dyn FnMut(&SimFs, &Content, &str)) -> usize {
        let versions: Vec<_> = self.versions().into_iter().collect();
        let mut chosen = vec![0; versions.len()];
        let mut count = 0;
        loop {
            let copy = driver::fresh(simfs::Settings::default());
            // A copy has files of its own, with other numbers than those of the original.
            (0..64).for_each(|n| copy.put(format!("/home/other-{n}"), b""));
            copy.put_dir(DIR);
            copy.put_dir(format!("{DIR}/log"));
            copy.put_dir(format!("{DIR}/conversations"));
            let mut began = usize::MAX;
            let mut told = String::new();
            for ((path, versions), at) in versions.iter().zip(&chosen) {
                let version = &versions[*at];
                began = began.min(version.until);
                if let Some(bytes) = &version.bytes {
                    copy.put(path, bytes);
                }
                if versions.len() > 1 {
                    let name = path.strip_prefix(DIR).unwrap().display();
                    let none = if version.bytes.is_none() { ": none" } else { "" };
                    write!(told, "{name} as of {}{none}; ", version.until).unwrap();
                }
            }
            let mut promised = self.promised(began);
            if self.is_removed("gone", began) {
                promised.insert("gone".to_owned(), Vec::new());
            }
            check(&copy, &promised, &format!("copied from {began} on: {told}"));
            count += 1;
            let mut at = 0;
            while at < chosen.len() && chosen[at] + 1 == versions[at].1.len() {
                chosen[at] = 0;
                at += 1;
            }
            if at == chosen.len() {
                return count;
            }
            chosen[at] += 1;
        }
    }
}

/// Whether an opening says of a conversation that it need not be all there.
fn is_told(report: &RecoveryReport, id: &str) -> bool {
    report.damaged.iter().any(|file| file.conversation_id.as_deref().is_none_or(|told| told == id))
}

/// The conversations that lack something of what was promised, without a word from the store.
fn silent(store: &MessageStore, promised: &Content) -> Vec<String> {
    let report = store.recovery();
    let mut silent = Vec::new();
    for (id, ids) in promised {
        let found: Vec<String> = match store.messages(id, Messages::all()) {
            Ok(messages) => {
                messages.iter().map(|message| message.id.to_string_lossy().into_owned()).collect()
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                continue;
            }
        };
        if ids.iter().any(|id| !found.contains(id)) && !is_told(&report, id) {
            silent.push(id.clone());
        }
    }
    // What had been removed must not come back, either.
    let is_back = store.conversations(Order::Created).unwrap().iter().any(|summary| summary.id == "gone");
    if is_back && promised.get("gone").is_some_and(Vec::is_empty) && !is_told(&report, "gone") {
        silent.push("gone".to_owned());
    }
    silent
}

/// Whether everything that was promised can be read.
fn is_whole(store: &MessageStore, promised: &Content) -> bool {
    promised.iter().all(|(id, ids)| {
        let found = store.messages(id, Messages::all()).unwrap_or_default();
        ids.iter().all(|id| found.iter().any(|message| message.id == id.as_str()))
    })
}

/// Holds a copy to what is promised of it.
fn judge(copy: &SimFs, promised: &Content, told: &str) {
    let options = || small(copy);
    let verdict = options().verify(DIR);
    let is_sound = verdict.as_ref().is_ok_and(aral_store::VerifyReport::is_sound);
    match options().read_only().open(DIR) {
        Ok(viewer) => {
            assert_eq!(silent(&viewer, promised), Vec::<String>::new(), "a reader, {told}");
            assert!(!is_sound || is_whole(&viewer, promised), "verify calls it sound, {told}");
            viewer.close().unwrap();
        }
        Err(error) => {
            assert!([ErrorKind::Corrupt, ErrorKind::NotFound].contains(&error.kind()), "{error:?}, {told}");
            assert!(!is_sound, "verify calls it sound, {told}");
        }
    }
    match options().open(DIR) {
        Ok(store) => {
            assert_eq!(silent(&store, promised), Vec::<String>::new(), "a writer, {told}");
            let is_whole_before = is_whole(&store, promised);
            drop(store.add_message("later", "goes on").unwrap());
            store.compact().ok();
            store.close().ok();
            let again = options().open(DIR).unwrap_or_else(|error| panic!("opened again: {error:?}, {told}"));
            let is_sound = again.verify().unwrap().is_sound();
            assert!(!is_sound || is_whole(&again, promised), "a compaction made it look sound, {told}");
            assert!(!is_whole_before || is_whole(&again, promised), "a compaction lost something, {told}");
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}, {told}"),
    }
}

/// A store with everything in its files but the newest message.
const COMPACTED_AND_ONE_MORE: [Step; 4] = [
    |store, content| {
        say(store, content, "a", "a1");
        say(store, content, "b", "b1");
    },
    |store, content| say(store, content, "gone", "g1"),
    |store, _| drop(store.compact().unwrap()),
    |store, content| say(store, content, "a", "a2"),
];

#[expect(clippy::print_stdout, reason = "a run says how much it has seen")]
fn sweep(what: &str, during: &[Step]) {
    let live = Live::run(&COMPACTED_AND_ONE_MORE, during);
    let mut whole = 0;
    let count = live.each_copy(&mut |copy, promised, told| {
        judge(copy, promised, told);
        let viewer = small(copy).read_only().open(DIR);
        whole += usize::from(viewer.is_ok_and(|viewer| is_whole(&viewer, promised)));
    });
    println!("{what}: {count} copies, {whole} with everything");
    assert!(0 < whole && 4 < count, "{what}: {whole} of {count}");
}

#[test]
fn a_copy_made_while_messages_are_added_has_what_was_acknowledged_or_says_so() {
    sweep(
        "additions",
        &[
            |store, content| say(store, content, "b", "b2"),
            |store, content| say(store, content, "new", "n1"),
            |store, content| say(store, content, "a", "a3"),
        ],
    );
}

#[test]
fn a_copy_made_while_the_store_is_compacted_has_what_was_acknowledged_or_says_so() {
    sweep("a compaction", &[|store, _| drop(store.compact().unwrap())]);
}

#[test]
fn a_copy_made_while_a_conversation_is_removed_has_what_was_acknowledged_or_says_so() {
    sweep(
        "a removal",
        &[
            |store, content| {
                drop(store.remove_conversation("gone").unwrap());
                content.remove("gone");
            },
            |store, _| drop(store.compact().unwrap()),
        ],
    );
}

#[test]
fn a_copy_made_while_the_store_is_closed_and_opened_has_what_was_acknowledged_or_says_so() {
    sweep(
        "an addition to a compacted store",
        &[
            |store, content| say(store, content, "b", "b2"),
            |store, _| drop(store.compact().unwrap()),
            |store, content| say(store, content, "b", "b3"),
        ],
    );
}

/// A copy may have a file of one compaction, the list of another, and the log from before both.
#[test]
fn a_copy_made_while_the_store_is_compacted_twice_has_what_was_acknowledged_or_says_so() {
    sweep(
        "two compactions",
        &[
            |store, _| drop(store.compact().unwrap()),
            |store, content| say(store, content, "a", "a3"),
            |store, _| drop(store.compact().unwrap()),
        ],
    );
}
