//! Many processes on one database: what was acknowledged is there once, and everybody sees one order.
//!
//! Writers are processes that get SIGKILL at any moment, and threads of this one, which share transactions. A follower
//! in a process of its own prints what it sees. `DATABASE_KILLS` sets how many times each writer is killed.

#![expect(clippy::disallowed_methods, reason = "processes take real time, on the real file system")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use aral_store::{Change, MessageStore, NewMessage};
use serde_json::{Value, json};

use crate::support::databases;
use crate::support::simfs::{Choose, SplitMix};

const BINARY: &str = env!("CARGO_BIN_EXE_aral-store");

/// How many processes write, and how many threads of this one.
const PROCESSES: u64 = 6;
const THREADS: u64 = 8;

/// Receipts that came out whole, by the messages' ids.
type Receipts = Mutex<BTreeMap<String, u64>>;

fn kills() -> u64 {
    std::env::var("DATABASE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(5)
}

fn command(url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(["-d", url]).args(args);
    command
}

/// Appends until it is killed after so many milliseconds, and gives what it said on standard error.
fn append_and_die(url: &str, next: &AtomicU64, receipts: &Receipts, millis: u64) -> String {
    let piped = Stdio::piped;
    let mut child = command(url, &["append"]).stdin(piped()).stdout(piped()).stderr(piped()).spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut stderr = child.stderr.take().unwrap();
    let mut said = String::new();
    thread::scope(|scope| {
        scope.spawn(move || {
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                let conversation = format!("c{}", number % 5);
                let line = json!({"type": "add_message", "conversation_id": conversation,
                    "id": format!("m{number}"), "content": "x".repeat(usize::try_from(number % 900).unwrap())});
                if writeln!(stdin, "{line}").is_err() {
                    return;
                }
            }
        });
        scope.spawn(|| {
            for line in BufReader::new(stdout).split(b'\n') {
                // A receipt that the kill cut short was not received.
                let Ok(receipt) = serde_json::from_slice::<Value>(&line.unwrap()) else { break };
                assert_eq!(receipt["durable"], json!(true));
                let id = receipt["id"].as_str().unwrap().to_owned();
                let before = receipts.lock().unwrap().insert(id, receipt["seq"].as_u64().unwrap());
                assert_eq!(before, None, "one message, two receipts");
            }
        });
        thread::sleep(Duration::from_millis(millis));
        child.kill().unwrap();
        stderr.read_to_string(&mut said).unwrap();
    });
    child.wait().unwrap();
    said
}

/// A process that follows, and ends with this, whatever happens.
struct Following(Child);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Reads until the event that a mark names, or the end, and gives every message's id by its number.
fn follow(stdout: ChildStdout) -> BTreeMap<u64, String> {
    let mut seen = BTreeMap::new();
    for (line, number) in BufReader::new(stdout).lines().zip(1_u64..) {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_eq!(event["seq"].as_u64(), Some(number), "the follower missed an event, or saw one twice");
        let id = event["id"].as_str().unwrap().to_owned();
        let is_last = id == "the end";
        seen.insert(number, id);
        if is_last {
            break;
        }
    }
    seen
}

/// One writer less, even if it panics: the others must not go on for ever.
struct Leaving<'a>(&'a AtomicU64);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn processes_that_are_killed_leave_every_receipt_there_once_in_one_order() {
    let dir = tempfile::tempdir().unwrap();
    for url in databases::urls(dir.path()) {
        let (next, receipts) = (AtomicU64::new(0), Receipts::default());
        let live = AtomicU64::new(PROCESSES);
        let store = MessageStore::connect(&url).unwrap();
        let seen = thread::scope(|scope| {
            let mut child = command(&url, &["log", "-f", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
            let stdout = child.stdout.take().unwrap();
            let _following = Following(child);
            let follower = scope.spawn(|| follow(stdout));
            for process in 0..PROCESSES {
                let (url, next, receipts, live) = (&url, &next, &receipts, &live);
                scope.spawn(move || {
                    let _leaving = Leaving(live);
                    let mut choice = SplitMix::new(process);
                    for _ in 0..kills() {
                        let millis = 30 + u64::try_from(choice.pick(300)).unwrap();
                        let said = append_and_die(url, next, receipts, millis);
                        assert!(!said.contains("aral-store: "), "{said}");
                    }
                });
            }
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        while live.load(Ordering::SeqCst) > 0 {
                            let id = format!("m{}", next.fetch_add(1, Ordering::SeqCst));
                            let message = NewMessage::new("from a thread").id(id.clone());
                            let receipt = store.add_message("c0", message).unwrap();
                            receipts.lock().unwrap().insert(id, receipt.seq);
                        }
                    })
                })
                .collect();
            for thread in threads {
                thread.join().unwrap();
            }
            drop(store.add_message("c0", NewMessage::new("").id("the end")).unwrap());
            follower.join().unwrap()
        });
        let events = store.events(1).unwrap();
        let events = events.into_iter().flat_map(|(seq, events)| (seq..).zip(events));
        let ids: BTreeMap<u64, String> = events
            .map(|(seq, event)| {
                let Change::AddMessage(message) = event.change else { panic!("nobody did anything else") };
                (seq, message.id.to_string())
            })
            .collect();
        assert!(ids.keys().copied().eq(1..=store.stats().unwrap().last_seq), "the numbers have gaps");
        assert_eq!(seen, ids, "the follower saw something else");
        let times: BTreeMap<&String, usize> = ids.values().fold(BTreeMap::new(), |mut times, id| {
            *times.entry(id).or_default() += 1;
            times
        });
        assert!(times.values().all(|times| *times == 1), "something happened twice");
        let receipts = receipts.into_inner().unwrap();
        println!("{} events, {} receipts", ids.len(), receipts.len());
        assert!(receipts.len() > 100, "{} receipts are too few to tell", receipts.len());
        for (id, seq) in &receipts {
            assert_eq!(ids.get(seq), Some(id), "a receipt's message is not in its place");
        }
        assert_eq!(store.verify().unwrap().damaged, []);
    }
}
