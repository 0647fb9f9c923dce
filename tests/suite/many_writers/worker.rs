//! A process of the tests with many writers: this program again, running one test that is none.
//!
//! Owns what such a process does: eight threads that write and read what they like until the standard input ends, or one that
//! follows. Each line on the standard input is something to ask again that a process asked which was killed.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use aral_store::{
    Edit, Error, ErrorKind, Logged, MessageStore, Messages, Mutation, NewMessage, Operation, Receipt,
};

use super::history::{Answer, Asked, Batch, Recorder, batch, now};
use super::judge::REMEMBERED;
use crate::support::simfs::{Choose, SplitMix};

const THREADS: u64 = 8;

const CONVERSATIONS: usize = 6;

/// The text by which a follower knows that nothing comes behind it.
pub(super) const THE_END: &str = "the end";

const URL: &str = "MANY_WRITERS_URL";
const NAME: &str = "MANY_WRITERS_NAME";
const RECORD: &str = "MANY_WRITERS_RECORD";
const ROLE: &str = "MANY_WRITERS_ROLE";

/// Starts a process that writes or follows.
pub(super) fn start(role: &str, url: &str, name: &str, record: &PathBuf) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "many_writers::worker::a_process_of_the_tests_with_many_writers",
            "--ignored",
            "--nocapture",
        ])
        .env(ROLE, role)
        .env(URL, url)
        .env(NAME, name)
        .env(RECORD, record)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "other tests start it in processes of its own"]
fn a_process_of_the_tests_with_many_writers() {
    let set = |name| std::env::var(name).expect("only other tests start this one");
    let (role, url, record) = (set(ROLE), set(URL), PathBuf::from(set(RECORD)));
    match role.as_str() {
        "follow" => follow(&url, &record),
        _ => write(&url, &set(NAME), &Recorder::new(&record)),
    }
}

/// Writes a line for each batch, up to the last one.
#[expect(
    clippy::disallowed_methods,
    reason = "the record is outside of the store, and a follower takes real time"
)]
fn follow(url: &str, record: &PathBuf) {
    let mut record = File::create(record).unwrap();
    let mut follower = MessageStore::options().read_only().connect(url).unwrap().follow(1).unwrap();
    loop {
        let Some(logged) = follower.next_logged().unwrap() else {
            thread::sleep(Duration::from_millis(2));
            continue;
        };
        let Logged::Batch { seq, events } = logged else { panic!("something was skipped: {logged:?}") };
        let batch: Batch = batch((seq, events));
        let mut line = serde_json::to_vec(&(now(), &batch)).unwrap();
        line.push(b'\n');
        record.write_all(&line).unwrap();
        if batch.1.iter().any(|event| event.conversation == THE_END) {
            return;
        }
    }
}

/// Opens the store. Who opens one while its server is away is told so at once, and tries again.
#[expect(clippy::disallowed_methods, reason = "a server takes real time")]
fn connect(url: &str) -> MessageStore {
    let began = Instant::now();
    loop {
        match MessageStore::connect(url) {
            Ok(store) => return store,
            Err(error) if error.kind() == ErrorKind::Io && began.elapsed() < Duration::from_secs(30) => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Writes and reads with all threads until the standard input ends.
fn write(url: &str, name: &str, recorder: &Recorder) {
    let store = connect(url);
    let (again, is_over) = (Mutex::<VecDeque<Asked>>::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let mut caller = Caller::new(&store, recorder, format!("{name}t{thread}"));
            let (again, is_over) = (&again, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    let asked = again.lock().unwrap().pop_front();
                    match asked {
                        Some(asked) => drop(caller.call(&asked)),
                        None => caller.go_on(),
                    }
                }
            });
        }
        for line in std::io::stdin().lock().lines() {
            again.lock().unwrap().push_back(serde_json::from_str(&line.unwrap()).unwrap());
        }
        is_over.store(true, Ordering::SeqCst);
    });
    store.close().unwrap();
}

/// A thread that does one thing after the other.
pub(super) struct Caller<'s> {
    store: &'s MessageStore,
    recorder: &'s Recorder,
    name: String,
    made: u64,
    choice: SplitMix,
    /// A message that was there a while ago.
    seen: Option<(String, String)>,
}

impl<'s> Caller<'s> {
    pub(super) fn new(store: &'s MessageStore, recorder: &'s Recorder, name: String) -> Self {
        let seed = u64::from(crc32fast::hash(name.as_bytes()));
        Self { store, recorder, name, made: 0, choice: SplitMix::new(seed), seen: None }
    }

    /// A name that nothing else has.
    fn name(&mut self) -> String {
        self.made += 1;
        format!("{}-{}", self.name, self.made)
    }

    /// Does something.
    fn go_on(&mut self) {
        let conversation = format!("c{}", self.choice.pick(CONVERSATIONS));
        let new = self.name();
        let add = |ids, key, expect| Asked::Add { conversation: conversation.clone(), ids, key, expect };
        let asked = match (self.choice.pick(20), self.seen.take()) {
            (0..=5, _) => add(vec![new], None, None),
            (6..=8, _) => add(vec![new.clone()], Some(new), None),
            (9, _) => add((0..3).map(|n| format!("{new}.{n}")).collect(), None, None),
            (10, _) => {
                let summary = self.call(&Asked::Summary { conversation: conversation.clone() });
                let Answer::Summary(summary) = summary else { return };
                add(vec![new], None, Some(summary.map_or(0, |(version, _)| version)))
            }
            (11 | 12, Some((conversation, id))) => Asked::Edit { conversation, id, text: new },
            (13 | 14, Some((conversation, id))) => Asked::Remove { conversation, id, key: new },
            (15, _) => Asked::Summary { conversation },
            _ => Asked::Last { conversation, count: 1 + self.choice.pick(REMEMBERED) },
        };
        let answer = self.call(&asked);
        if let Answer::Messages(messages) = answer {
            let at = self.choice.pick(messages.len());
            self.seen = messages.into_iter().nth(at).map(|(id, _)| (asked.conversation().to_owned(), id));
        }
    }

    /// Makes a call, and keeps a record of it.
    pub(super) fn call(&mut self, asked: &Asked) -> Answer {
        self.recorder.call(asked, || make(self.store, asked).unwrap_or_else(refused))
    }
}

fn make(store: &MessageStore, asked: &Asked) -> aral_store::Result<Answer> {
    let conversation = asked.conversation();
    let with_key = |mutation: Mutation, key: &Option<String>| match key {
        Some(key) => mutation.key(key.clone()),
        None => mutation,
    };
    let written = |receipts: Vec<Receipt>| {
        assert!(receipts.iter().all(Receipt::is_durable), "{receipts:?}");
        Answer::Written(receipts.iter().map(|receipt| (receipt.seq, receipt.version)).collect())
    };
    Ok(match asked {
        Asked::Add { ids, key, expect, .. } => {
            let new = |id: &String| {
                let message = NewMessage::new(id.clone()).id(id.clone());
                let mutation = with_key(Mutation::add_message(conversation, message), key);
                expect.map_or(mutation.clone(), |version| mutation.expect(version))
            };
            written(store.batch(ids.iter().map(new).collect::<Vec<_>>())?)
        }
        Asked::Edit { id, text, .. } => {
            written(vec![store.edit_message(conversation, id, Edit::content(text.clone()))?])
        }
        Asked::Remove { id, key, .. } => {
            let operation = Operation::RemoveMessage(id.clone().into());
            written(vec![store.append(Mutation::new(conversation, operation).key(key.clone()))?])
        }
        Asked::Last { count, .. } => {
            let messages = store.messages(conversation, Messages::last(*count))?;
            let plain = messages.into_iter().map(|m| (m.id.to_string(), m.content.to_string()));
            Answer::Messages(plain.collect())
        }
        Asked::Summary { .. } => {
            let summary = store.summary(conversation)?;
            Answer::Summary(summary.map(|summary| (summary.version, summary.messages)))
        }
    })
}

fn refused(error: Error) -> Answer {
    let said = error.to_string();
    let kind = error.kind();
    if kind == ErrorKind::Conflict {
        Answer::Conflict
    } else if kind == ErrorKind::NotFound {
        Answer::NotFound
    } else if said.contains("whether it took place could not be found out") {
        Answer::Open(said)
    } else {
        assert_eq!(kind, ErrorKind::Io, "{said}");
        Answer::Failed(said)
    }
}
