//! Real processes that are killed at any moment, and readers beside them that must not notice.
//!
//! One process after the other appends or compacts and gets SIGKILL; meanwhile other processes list, show,
//! export and verify, and this one opens the directory for reading over and over. Each message says its number,
//! so that a hole, a duplicate, a half batch and a step back show. `KILLS` sets how many processes are killed,
//! `KILLS_SEED` where the choice of moments begins.

#![expect(clippy::disallowed_methods, reason = "processes take real time, on the real file system")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use aral_store::{MessageStore, Messages};
use serde_json::{Value, json};

use crate::support::simfs::{Choose, SplitMix};

const BINARY: &str = env!("CARGO_BIN_EXE_aral-store");

fn set(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// A store in a directory, and how many of its messages have been acknowledged.
struct Scene {
    dir: PathBuf,
    acknowledged: AtomicUsize,
    is_over: AtomicBool,
}

/// Ends the readers even if the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What a reader has seen so far.
#[derive(Default)]
struct Eye {
    most: usize,
}

impl Eye {
    /// Looks once: all that had been acknowledged before is there, in order, in whole batches, and nothing
    /// that was seen before is gone.
    fn look(&mut self, scene: &Scene, what: &str, read: impl FnOnce() -> Vec<String>) {
        let least = self.most.max(scene.acknowledged.load(Ordering::SeqCst));
        let texts = read();
        for (number, text) in texts.iter().enumerate() {
            let is = text.split(' ').next();
            assert_eq!(is, Some(number.to_string().as_str()), "{what}: a hole or a duplicate");
        }
        assert!(texts.len() >= least, "{what}: {least} were acknowledged or seen, {} are there", texts.len());
        assert!(texts.len() % 4 < 2, "{what}: {} messages end in half a batch", texts.len());
        self.most = texts.len();
    }
}

/// The line that comes after so many messages: one message, or a batch of three after every one.
fn line_after(count: usize) -> (Value, usize) {
    let message = |number: usize| {
        // Long enough that segments are filled soon.
        let content = format!("{number} {}", "x".repeat(number * 7919 % 9000));
        json!({"type": "add_message", "conversation_id": "c", "id": format!("m{number}"), "content": content})
    };
    match count % 4 {
        0 => (message(count), 1),
        _ => ((count..count + 3).map(message).collect(), 3),
    }
}

impl Scene {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.arg("-d").arg(&self.dir).args(args);
        command
    }

    /// Appends until it is killed after so many microseconds; counts the receipts that came out whole.
    fn append_and_die(&self, micros: u64) {
        let first = self.messages().len();
        let mut child = self
            .command(&["append"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let stdout = child.stdout.take().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut count = first;
                loop {
                    let (line, more) = line_after(count);
                    count += more;
                    if writeln!(stdin, "{line}").is_err() {
                        return;
                    }
                }
            });
            scope.spawn(move || {
                let mut count = first;
                for line in BufReader::new(stdout).split(b'\n') {
                    // A receipt that the kill cut short was not received.
                    let Ok(receipt) = serde_json::from_slice::<Value>(&line.unwrap()) else { break };
                    assert_eq!(
                        (&receipt["durable"], &receipt["id"]),
                        (&json!(true), &json!(format!("m{count}")))
                    );
                    count += 1;
                    self.acknowledged.fetch_max(count, Ordering::SeqCst);
                }
            });
            thread::sleep(Duration::from_micros(micros));
            child.kill().unwrap();
        });
        child.wait().unwrap();
    }

    fn compact_and_die(&self, micros: u64) {
        let mut child = self.command(&["compact"]).stdout(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_micros(micros));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// What a viewer in this process sees.
    fn messages(&self) -> Vec<String> {
        let viewer = MessageStore::options().read_only().open(&self.dir).unwrap();
        assert!(viewer.recovery().damaged.is_empty(), "{:?}", viewer.recovery());
        let listed = viewer.conversations(aral_store::Order::Created).unwrap();
        assert!(listed.len() == 1 && listed[0].id == "c", "{listed:?}");
        texts(&viewer)
    }

    /// What a run of the program prints, which must have gone well.
    fn said(&self, args: &[&str]) -> Vec<Value> {
        let output = self.command(args).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{args:?}: {out}{err}");
        // What an interrupted write left may be noted, and nothing else.
        assert!(err.lines().all(|line| line.starts_with("aral-store: note: ")), "{args:?}: {err}");
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn until_over(&self, mut work: impl FnMut()) {
        while !self.is_over.load(Ordering::SeqCst) {
            work();
        }
    }
}

fn texts(store: &MessageStore) -> Vec<String> {
    let messages = store.messages("c", Messages::all()).unwrap();
    messages.iter().map(|message| message.content.to_string()).collect()
}

fn contents<'v>(messages: impl IntoIterator<Item = &'v Value>) -> Vec<String> {
    messages.into_iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
}

/// Other processes, each of which reads everything.
fn read_from_outside(scene: &Scene) {
    let mut eye = Eye::default();
    scene.until_over(|| {
        eye.look(scene, "show", || {
            contents(scene.said(&["show", "c", "--json"])[0]["messages"].as_array().unwrap())
        });
        eye.look(scene, "export", || {
            let lines = scene.said(&["export", "--to", "jsonl"]);
            contents(lines.iter().filter(|line| line["type"] == "message"))
        });
        let least = eye.most;
        let listed = scene.said(&["ls", "--json"]);
        assert!(listed[0]["messages"].as_u64().unwrap() >= u64::try_from(least).unwrap(), "{listed:?}");
        scene.said(&["verify", "--json"]);
    });
}

/// Viewers in this process: fresh ones, and one that stays open as long as it lasts.
fn read_from_inside(scene: &Scene) {
    let (mut fresh, mut kept) = (Eye::default(), Eye::default());
    scene.until_over(|| {
        let viewer = MessageStore::options().read_only().open(&scene.dir).unwrap();
        // What is acknowledged from now on is not this viewer's to see.
        let opened = Scene {
            dir: scene.dir.clone(),
            acknowledged: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        };
        for _ in 0..4 {
            kept.look(&opened, "a viewer that stays open", || texts(&viewer));
            fresh.look(scene, "a fresh viewer", || scene.messages());
        }
    });
}

fn begin(dir: &Path) -> Scene {
    let scene =
        Scene { dir: dir.join("store"), acknowledged: AtomicUsize::new(0), is_over: AtomicBool::new(false) };
    let store = MessageStore::open(&scene.dir).unwrap();
    let (line, count) = line_after(0);
    let batch = aral_store::Mutation::from_json_line(line.to_string().as_bytes()).unwrap();
    assert_eq!(store.batch(batch).unwrap().len(), count);
    store.close().unwrap();
    scene.acknowledged.store(count, Ordering::SeqCst);
    scene
}

#[test]
fn killed_processes_lose_nothing_and_readers_beside_them_notice_nothing() {
    let home = tempfile::tempdir().unwrap();
    let scene = begin(home.path());
    let seed = set("KILLS_SEED", 1);
    let mut choice = SplitMix::new(seed);
    let kills = set("KILLS", 30);
    println!("KILLS={kills} KILLS_SEED={seed}");
    let mut eye = Eye::default();
    thread::scope(|scope| {
        let _over = Over(&scene.is_over);
        let readers = [scope.spawn(|| read_from_outside(&scene)), scope.spawn(|| read_from_inside(&scene))];
        for kill in 0..kills {
            let micros = |choice: &mut SplitMix, most: usize| u64::try_from(choice.pick(most)).unwrap();
            if kill % 3 == 2 {
                scene.compact_and_die(micros(&mut choice, 60_000));
            } else {
                scene.append_and_die(10_000 + micros(&mut choice, 200_000));
            }
            eye.look(&scene, "after a kill", || scene.messages());
            assert!(readers.iter().all(|reader| !reader.is_finished()), "a reader failed");
        }
    });
    scene.said(&["compact", "--json"]);
    eye.look(&scene, "at the end", || scene.messages());
    assert!(MessageStore::open(&scene.dir).unwrap().verify().unwrap().is_sound());
    assert!(kills < 10 || eye.most > 20, "too little was appended to show anything: {}", eye.most);
    println!(
        "{kills} kills, {} messages, {} acknowledged",
        eye.most,
        scene.acknowledged.load(Ordering::SeqCst)
    );
}
