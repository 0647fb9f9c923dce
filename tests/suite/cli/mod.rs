//! The command line, run as its users run it.
//!
//! Owns the running of the binary and the reading of what it said. Every test has a directory of its own.

#![expect(clippy::disallowed_methods, reason = "what the program did is looked at on the real file system")]

mod accepting;
mod append;
mod backups;
mod chats;

mod commands;
mod consuming;
mod databases;
mod export_browser;
mod export_forms;
mod export_hostile;
mod failures;
mod ids;
mod joined;
mod log;
mod long_sessions;
mod malformed;
mod manual;
mod memory;
mod mistakes;
mod names;
mod nested;
mod past;
mod repair;
mod retention;
mod searching;
#[cfg(feature = "serve")]
mod serve;
mod sessions;
mod terminal;
mod tool_archives;
mod tool_databases;
mod tool_documents;
mod tool_hostile;
mod tool_talks;
mod transcripts;
mod transfer;
mod unprinted;
mod verdicts;
mod watching;
mod windows;
mod writers;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_aral-store");

/// What a run of the program gave.
#[derive(Debug)]
struct Said {
    /// The exit code; `None` if a signal ended it.
    code: Option<i32>,
    out: String,
    /// Standard error, but for the next.
    err: String,
    /// The line that tells of a new store, with which most tests begin.
    made: Option<String>,
}

impl Said {
    /// The output of a run that must have gone well without a word on standard error, but for that of how long what was removed can be
    /// brought back.
    #[track_caller]
    fn fine(self) -> String {
        assert_eq!((self.code, self.err_without_past().as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }

    /// Standard error without what a removal says of bringing it back.
    fn err_without_past(&self) -> String {
        let is_past = |line: &&str| line.starts_with("aral-store: note: aral-store unremove brings it back ");
        self.err.split_inclusive('\n').filter(|line| !is_past(line)).collect()
    }

    /// The one line of a run that must have failed with this code.
    #[track_caller]
    fn fails(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.err.starts_with("aral-store: "), "{self:?}");
        assert_eq!(self.err.matches('\n').count(), 1, "one line: {self:?}");
        self.err
    }

    /// The lines of the output as JSON.
    #[track_caller]
    fn json(self) -> Vec<Value> {
        self.fine().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A directory with room for a store and for what stands beside it.
struct Room(TempDir);

impl Room {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn store(&self) -> PathBuf {
        self.path("store")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.current_dir(self.0.path()).env_remove("ARAL_STORE_DIR").args(["-d", "store"]).args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Said {
        self.run_with(args, b"")
    }

    fn run_with(&self, args: &[&str], input: &[u8]) -> Said {
        let mut command = self.command(args);
        let mut child = piped(&mut command);
        let mut stdin = child.stdin.take().unwrap();
        // The program may end before it has read everything.
        drop(stdin.write_all(input));
        drop(stdin);
        said(child)
    }

    /// The texts of a conversation's messages.
    fn texts(&self, id: &str) -> Vec<String> {
        let shown = self.run(&["show", id, "--json"]).json();
        let messages = shown[0]["messages"].as_array().unwrap();
        messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
    }
}

fn piped(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn said(child: Child) -> Said {
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    let lines = || err.split_inclusive('\n');
    let is_the_making = |line: &&str| line.ends_with("; --no-create refuses that\n");
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: lines().filter(|line| !is_the_making(line)).collect(),
        made: lines().find(is_the_making).map(str::to_owned),
    }
}

/// Runs a command at a terminal, which `script` makes, and types an answer; `None` where there is no `script`.
fn at_a_terminal(room: &Room, args: &str, answer: &str) -> Option<Said> {
    if !Path::new("/usr/bin/script").exists() {
        return None;
    }
    let line = format!("{BINARY} -d store {args}");
    let mut command = Command::new("/usr/bin/script");
    command.current_dir(room.0.path()).args(["-qec", &line, "/dev/null"]);
    let mut child = piped(command.stdin(Stdio::piped()));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(answer.as_bytes()).unwrap();
    // The terminal ends with its input, so that stays open until the program has ended.
    let run = said(child);
    drop(stdin);
    Some(run)
}

fn message_line(conversation: &str, content: &str) -> String {
    let [conversation, content] = [conversation, content].map(|text| Value::from(text).to_string());
    format!(r#"{{"type":"add_message","conversation_id":{conversation},"content":{content}}}"#) + "\n"
}

/// Every file below a directory, by its path from there.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                waiting.push(path);
            } else {
                found.push(path.strip_prefix(dir).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}
