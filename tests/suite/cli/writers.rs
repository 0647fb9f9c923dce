//! Several writers at a time.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout};

use super::{Room, files, message_line, piped, said};

/// A writer that appends what it is given.
struct Appending {
    child: Child,
    stdin: ChildStdin,
    receipts: BufReader<ChildStdout>,
}

impl Appending {
    fn begin(room: &Room) -> Self {
        let mut child = piped(&mut room.command(&["append"]));
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, stdin, receipts: BufReader::new(stdout) }
    }

    fn say(&mut self, content: &str) {
        self.stdin.write_all(message_line("c", content).as_bytes()).unwrap();
    }

    /// Appends, and waits for the receipt.
    fn add(&mut self, content: &str) {
        self.say(content);
        let mut receipt = String::new();
        self.receipts.read_line(&mut receipt).unwrap();
        assert!(receipt.contains("\"durable\":true"), "{receipt:?}");
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_writer_whose_lock_is_removed_is_told_so_instead_of_a_receipt() {
    let room = Room::new();
    let mut first = Appending::begin(&room);
    first.add("A1");
    fs::remove_file(room.store().join("log/LOCK")).unwrap();
    room.run(&["add", "c", "B1"]).fine();
    first.say("A2");
    let mut receipt = String::new();
    first.receipts.read_line(&mut receipt).unwrap();
    assert_eq!(receipt, "");
    drop(first.stdin);
    let error = said(first.child).fails(6);
    assert!(error.contains("the lock was lost") && error.contains("open it again"), "{error}");
    assert_eq!(room.texts("c"), ["A1", "B1"]);
    room.run(&["verify"]).fine();
}

/// The first segment, in which all these tests happen.
fn segment(room: &Room) -> PathBuf {
    room.store().join("log/0000000000000001-0000000000000001.seg")
}

/// A store whose second writer did not see the second event of the first, which its writer took for acknowledged.
fn with_an_orphan() -> Room {
    let room = Room::new();
    let mut first = Appending::begin(&room);
    first.add("A1");
    let before = fs::read(segment(&room)).unwrap();
    first.add("A2");
    let after = fs::read(segment(&room)).unwrap();
    first.kill();
    fs::write(segment(&room), before).unwrap();
    fs::remove_file(room.store().join("log/CONTROL")).unwrap();
    room.run(&["add", "c", "B1"]).fine();
    fs::write(segment(&room), after).unwrap();
    room
}

#[test]
fn what_an_overtaken_writer_left_is_told_and_kept() {
    let room = with_an_orphan();
    let found = room.run(&["verify"]);
    assert_eq!(found.code, Some(5), "{found:?}");
    assert!(found.out.contains("events 2 to 2 of a writer that was overtaken"), "{found:?}");
    let shown = room.run(&["show", "c"]);
    assert!(shown.code == Some(0) && shown.err.contains("events 2 to 2"), "{shown:?}");
    let repaired = room.run(&["repair", "--to", "new", "--json"]);
    assert_eq!(repaired.code, Some(5), "{repaired:?}");
    assert!(repaired.out.contains(r#""first_seq":2,"last_seq":2"#), "{repaired:?}");

    let bytes = fs::read(segment(&room)).unwrap();
    let compacted = room.run(&["compact"]);
    assert_eq!(compacted.code, Some(0), "{compacted:?}");
    let kept = files(&room.store().join("log/quarantine"));
    assert_eq!(kept.len(), 1, "{kept:?}");
    let kept = room.store().join("log/quarantine").join(&kept[0]);
    assert!(format!("{compacted:?}").contains(&*kept.to_string_lossy()), "{compacted:?}");
    let kept = fs::read(kept).unwrap();
    assert!(bytes.windows(kept.len()).any(|window| window == kept));
    assert!(kept.windows(2).any(|window| window == b"A2"));
    room.run(&["verify"]).fine();
    assert_eq!(room.texts("c"), ["A1", "B1"]);
}
