//! A file system that is really full: one of two mebibytes, of which nothing is left.
//!
//! Needs the right to mount; where there is none, each test says that it is skipped. What was acknowledged is
//! there and can be read, what is refused is refused as `NoSpace`, and once there is room all goes on.

#![expect(clippy::disallowed_methods, reason = "a real file system is filled")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use aral_store::{Error, ErrorKind, MessageStore, Messages, NewMessage};
use tempfile::TempDir;

/// A small file system, for as long as this lives.
struct Small(TempDir);

impl Small {
    /// `None` where nothing can be mounted, which is said.
    #[expect(clippy::print_stdout, reason = "that a test did not run must show")]
    fn mount() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let small = run("mount", &["-t", "tmpfs", "-o", "size=2m,mode=700", "none"], home.path());
        if let Some(reason) = failure(small) {
            println!("skipped: no small file system could be mounted: {reason}");
            return None;
        }
        Some(Self(home))
    }

    fn store(&self) -> PathBuf {
        self.0.path().join("store")
    }

    fn grow(&self) {
        let grown = run("mount", &["-o", "remount,size=16m"], self.0.path());
        assert_eq!(failure(grown), None);
    }

    /// A file that takes room and can be removed.
    fn ballast(&self) -> PathBuf {
        let path = self.0.path().join("ballast");
        fs::write(&path, vec![7; 700 << 10]).unwrap();
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily if something is open still: the directory must not stay mounted.
        if failure(run("umount", &[], self.0.path())).is_some() {
            drop(run("umount", &["-l"], self.0.path()));
        }
    }
}

fn run(program: &str, args: &[&str], path: &Path) -> std::io::Result<Output> {
    Command::new(program).args(args).arg(path).stdin(Stdio::null()).output()
}

fn failure(run: std::io::Result<Output>) -> Option<String> {
    match run {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

fn texts(store: &MessageStore) -> Vec<String> {
    let messages = store.messages("c", Messages::all()).unwrap();
    messages.iter().map(|message| message.content.to_string()).collect()
}

fn text(number: usize) -> String {
    format!("{number} {}", "x".repeat(number * 997 % 20_000))
}

fn append(store: &MessageStore, number: usize) -> Result<(), Error> {
    let message = NewMessage::new(text(number)).id(format!("m{number}"));
    store.add_message("c", message).map(|receipt| assert!(receipt.is_durable()))
}

/// Appends until the disk is full, and gives how many messages there are.
fn fill(store: &MessageStore, mut count: usize) -> usize {
    let refusals_at = |count| {
        // A shorter message may still fit where a longer one did not.
        (0..3).all(|_| append(store, count).is_err_and(|error| error.kind() == ErrorKind::NoSpace))
    };
    for _ in 0..10_000 {
        match append(store, count) {
            Ok(()) => count += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
                assert!(refusals_at(count), "a full disk stays full");
                return count;
            }
        }
    }
    panic!("the disk was never full");
}

#[track_caller]
fn has_all(store: &MessageStore, count: usize) {
    assert_eq!(texts(store), (0..count).map(text).collect::<Vec<_>>());
}

/// Everything is there, for this handle, for a viewer and for a check of every byte.
fn is_sound(small: &Small, store: &MessageStore, count: usize) {
    has_all(store, count);
    let viewer = MessageStore::options().read_only().open(small.store()).unwrap();
    has_all(&viewer, count);
    let report = viewer.verify().unwrap();
    assert!(report.is_sound(), "{report:?}");
}

/// No room even for a small message.
fn fill_up(small: &Small) {
    let rest = small.0.path().join("rest");
    let mut bytes = Vec::new();
    while fs::write(&rest, &bytes).is_ok() {
        bytes.resize(bytes.len() + 4096, 0);
    }
}

#[test]
fn an_open_store_outlives_a_full_disk_and_goes_on_when_there_is_room() {
    let Some(small) = Small::mount() else { return };
    let ballast = small.ballast();
    let store = MessageStore::options().compact_manually().open(small.store()).unwrap();
    let mut count = fill(&store, 0);
    assert!(count > 10, "{count} messages fill the disk");
    is_sound(&small, &store, count);
    // Room by a removal.
    fs::remove_file(ballast).unwrap();
    let more = fill(&store, count);
    assert!(more > count + 10, "{count} and then {more}");
    count = more;
    fill_up(&small);
    is_sound(&small, &store, count);
    for _ in 0..3 {
        let error = store.compact().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
        is_sound(&small, &store, count);
    }
    // Room by a larger disk.
    small.grow();
    append(&store, count).unwrap();
    is_sound(&small, &store, count + 1);
    store.compact().unwrap();
    append(&store, count + 1).unwrap();
    is_sound(&small, &store, count + 2);
    store.close().unwrap();
    let store = MessageStore::open(small.store()).unwrap();
    has_all(&store, count + 2);
    store.close().unwrap();
}

#[test]
fn a_store_that_was_closed_on_a_full_disk_opens_there_and_elsewhere() {
    let Some(small) = Small::mount() else { return };
    let store = MessageStore::options().compact_manually().open(small.store()).unwrap();
    let count = fill(&store, 0);
    fill_up(&small);
    store.close().unwrap();
    let store = MessageStore::options().compact_manually().open(small.store()).unwrap();
    has_all(&store, count);
    let error = append(&store, count).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    is_sound(&small, &store, count);
    let beside = tempfile::tempdir().unwrap();
    store.export_aral(beside.path().join("out"), None).unwrap();
    small.grow();
    append(&store, count).unwrap();
    store.close().unwrap();
    let exported = MessageStore::open(beside.path().join("out")).unwrap();
    has_all(&exported, count);
    exported.close().unwrap();
}

#[cfg(feature = "cli")]
mod program {
    use std::io::Write;

    use serde_json::{Value, json};

    use super::*;

    fn command(small: &Small, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aral-store"));
        command.arg("-d").arg(small.store()).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::piped());
        command
    }

    fn said(small: &Small, args: &[&str], code: i32) -> String {
        let output = command(small, args).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?} {output:?}");
        if code == 7 {
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(error.contains("make room") && error.matches('\n').count() == 1, "{error}");
        }
        String::from_utf8(output.stdout).unwrap()
    }

    fn shown(small: &Small) -> Vec<String> {
        let shown: Value = serde_json::from_str(&said(small, &["show", "c", "--json"], 0)).unwrap();
        let messages = shown["messages"].as_array().unwrap();
        messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_program_says_that_the_disk_is_full_and_loses_nothing() {
        let Some(small) = Small::mount() else { return };
        let ballast = small.ballast();
        let mut child = command(&small, &["append"]).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let feed = std::thread::spawn(move || {
            for number in 0.. {
                let line = json!({"type": "add_message", "conversation_id": "c", "content": text(number)});
                if writeln!(stdin, "{line}").is_err() {
                    return;
                }
            }
        });
        let output = child.wait_with_output().unwrap();
        feed.join().unwrap();
        assert_eq!(output.status.code(), Some(7), "{output:?}");
        let count = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        assert!(count > 10, "{count} receipts");
        let all = |count: usize| (0..count).map(text).collect::<Vec<_>>();
        assert_eq!(shown(&small), all(count));
        fill_up(&small);
        said(&small, &["compact"], 7);
        said(&small, &["add", "c", &"x".repeat(20_000)], 7);
        assert_eq!(shown(&small), all(count));
        for args in [&["ls"][..], &["stats"], &["verify"], &["export", "--to", "jsonl"]] {
            said(&small, args, 0);
        }
        fs::remove_file(ballast).unwrap();
        said(&small, &["add", "c", &text(count)], 0);
        small.grow();
        said(&small, &["compact"], 0);
        assert_eq!(shown(&small), all(count + 1));
        said(&small, &["verify"], 0);
    }
}
