//! Files of tools are followed as they are written.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Room, piped, said};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/transcripts");

/// A run of `import --watch` and what it has printed so far.
struct Watch {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Watch {
    fn begin(room: &Room, args: &[&str]) -> Self {
        let mut child = piped(
            room.command(&[&["import", "--watch", "--json"], args].concat())
                .stdin(std::process::Stdio::null()),
        );
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    /// The counts of the next look that brought news.
    #[track_caller]
    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Ends it, and gives what it said on standard error.
    #[track_caller]
    fn end(self, signal: Signal, code: i32) -> String {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let mut child = self.child;
        child.stdout = Some(self.out.into_inner());
        let said = said(child);
        assert_eq!((said.code, said.out.as_str()), (Some(code), ""), "{said:?}");
        said.err
    }
}

fn line(text: &str) -> String {
    format!(
        "{{\"type\":\"user\",\"uuid\":\"{text}\",\"sessionId\":\"s\",\"message\":{{\"content\":\"{text}\"}}}}\n"
    )
}

fn append(path: &Path, text: &str) {
    #[expect(clippy::disallowed_types, reason = "what the tool does is done on the real file system")]
    let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn projects(room: &Room) -> PathBuf {
    let folder = room.path("projects/h");
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn what_a_tool_appends_is_taken_in_line_by_line_and_once() {
    let room = Room::new();
    let file = projects(&room).join("s.jsonl");
    append(&file, &line("one"));
    let mut watch = Watch::begin(&room, &["projects"]);
    assert_eq!(watch.next()["messages"], 1);
    append(&file, &(line("two") + "{\"type\":\"user\",\"half"));
    assert_eq!(watch.next()["messages"], 1);
    append(&file, "\":1}\n");
    assert_eq!(watch.next()["actions"], 1);
    // A new directory with a new session in it.
    fs::create_dir(room.path("projects/other")).unwrap();
    append(&room.path("projects/other/t.jsonl"), &line("three"));
    assert_eq!(watch.next()["conversations"], 1);
    let err = watch.end(Signal::TERM, 143);
    assert!(!err.contains("not complete"), "{err}");
    assert_eq!(room.texts("claude-code:s"), ["one", "two"]);
    // Another run finds nothing new, and goes on.
    let mut watch = Watch::begin(&room, &["projects", "--from", "claude-code"]);
    assert_eq!(
        (watch.next()["already_there"].as_u64(), fs::read_to_string(&file).unwrap().lines().count()),
        (Some(2), 3)
    );
    append(&file, &line("four"));
    assert_eq!(watch.next()["messages"], 1);
    watch.end(Signal::INT, 130);
    assert_eq!(room.texts("claude-code:s"), ["one", "two", "four"]);
}

#[test]
fn a_file_that_is_moved_cut_or_written_anew_loses_nothing_of_what_is_here() {
    let room = Room::new();
    let folder = projects(&room);
    let file = folder.join("s.jsonl");
    append(&file, &(line("one") + &line("two")));
    let mut watch = Watch::begin(&room, &["projects"]);
    assert_eq!(watch.next()["messages"], 2);
    // Cut, and the same again with more.
    fs::write(&file, line("one")).unwrap();
    fs::write(&file, line("one") + &line("two") + &line("three")).unwrap();
    assert_eq!(watch.next()["messages"], 1);
    // Moved away, with another session in its place.
    fs::rename(&file, folder.join("old.jsonl")).unwrap();
    append(&folder.join("t.jsonl"), &line("four").replace("\"s\"", "\"t\""));
    let mut sessions = 0;
    while sessions < 2 {
        sessions += watch.next()["conversations"].as_u64().unwrap();
    }
    // Written anew with something else: what is here stays, and the others go on.
    fs::write(folder.join("t.jsonl"), line("five").replace("\"s\"", "\"t\"")).unwrap();
    append(&folder.join("u.jsonl"), &line("six").replace("\"s\"", "\"u\""));
    assert_eq!(watch.next()["conversations"], 1);
    let err = watch.end(Signal::TERM, 143);
    assert_eq!(room.texts("claude-code:s"), ["one", "two", "three"]);
    assert_eq!(room.texts("claude-code:u"), ["six"], "{err}");
}

#[test]
fn a_database_is_followed_while_its_tool_has_it_open() {
    let room = Room::new();
    fs::create_dir(room.path("tool")).unwrap();
    let path = room.path("tool/opencode.db");
    fs::copy(Path::new(FIXTURES).join("opencode-1.18.33/opencode.db"), &path).unwrap();
    let tool = Connection::open(&path).unwrap();
    tool.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; UPDATE session SET title = title",
    )
    .unwrap();
    let mut watch = Watch::begin(&room, &["tool/opencode.db"]);
    assert_eq!(watch.next()["conversations"], 3);
    let text = "UPDATE part SET data = '{\"type\":\"text\",\"text\":\"At noon.\"}' WHERE id = 'prt_225f0f2f9001LlSBh55sO7LdWk'";
    tool.execute_batch(text).unwrap();
    let changed = watch.next();
    assert_eq!((&changed["conversations"], &changed["messages"]), (&1.into(), &0.into()));
    watch.end(Signal::TERM, 143);
    assert_eq!(room.texts("opencode:ses_dda0f920fffewY4VXP244jSLAe").last().unwrap(), "At noon.");
}

#[test]
fn what_cannot_be_followed_is_refused_before_a_store_is_made() {
    let room = Room::new();
    assert!(
        room.run(&["import", "--watch", "nowhere"]).fails(3).contains("no directory and no file to follow")
    );
    assert!(room.run(&["import", "--watch", "-"]).fails(2).contains("--watch follows the files of tools"));
    fs::create_dir(room.path("empty")).unwrap();
    assert!(
        room.run(&["import", "--watch", "empty", "--from", "jsonl"]).fails(2).contains("--watch follows")
    );
    assert!(!room.store().exists());
}
