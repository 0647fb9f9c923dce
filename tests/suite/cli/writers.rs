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
    let shown = room.run(&["show", "c"]);
    assert!(shown.code == Some(0) && shown.out.contains("A1") && shown.out.contains("B1"), "{shown:?}");
    // What it wrote before it found out is no message of the store, and is told, and kept.
    assert!(!shown.out.contains("A2") && shown.err.contains("events 2 to 2"), "{shown:?}");
    let found = room.run(&["verify"]);
    assert!(found.code == Some(5) && found.out.contains("events 2 to 2"), "{found:?}");
    room.run(&["compact"]);
    assert_eq!(room.texts("c"), ["A1", "B1"]);
    room.run(&["verify"]).fine();
    assert_eq!(fs::read_dir(room.store().join("log/quarantine")).unwrap().count(), 1);
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

#[test]
fn many_writers_at_a_time_get_their_turn_one_after_the_other() {
    let room = Room::new();
    let writers: Vec<_> =
        (0..32).map(|n| piped(&mut room.command(&["add", "c", &format!("m{n}")]))).collect();
    for writer in writers {
        let run = said(writer);
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    let mut texts = room.texts("c");
    texts.sort();
    let mut all: Vec<_> = (0..32).map(|n| format!("m{n}")).collect();
    all.sort();
    assert_eq!(texts, all);
}

#[test]
fn a_loop_of_writers_starves_nobody() {
    let room = Room::new();
    room.run(&["add", "c", "first"]).fine();
    let mut single = piped(&mut room.command(&["add", "c", "single"]));
    let mut others = 0;
    while single.try_wait().unwrap().is_none() {
        others += 1;
        assert!(others < 500, "five hundred writers came first");
        room.run(&["add", "c", "other"]).fine();
    }
    assert_eq!(said(single).code, Some(0));
    assert!(room.texts("c").contains(&"single".to_owned()));
}

#[test]
fn a_wait_that_was_in_vain_says_how_long_it_was() {
    let room = Room::new();
    let mut first = Appending::begin(&room);
    first.add("A1");
    let error = room.run(&["add", "c", "x", "--wait", "20ms"]).fails(6);
    assert!(error.contains("within 20ms") && error.contains("reading"), "{error}");
    assert!(room.run(&["add", "c", "x", "--no-wait"]).fails(6).contains("nobody waited"));
    room.run(&["add", "c", "x", "--wait", "soon"]).fails(2);
    drop(first.stdin);
    assert_eq!(said(first.child).code, Some(0));
    assert_eq!(room.texts("c"), ["A1"]);
}

#[test]
fn an_export_beside_a_writer_makes_an_equal_store() {
    let (room, other) = (Room::new(), Room::new());
    let mut writer = Appending::begin(&room);
    for content in ["A1", "A2"] {
        writer.add(content);
    }
    let file = other.path("all.jsonl");
    room.run(&["export", "-o", file.to_str().unwrap()]).fine();
    // The writer is still there, and goes on.
    room.run(&["add", "c", "x", "--no-wait"]).fails(6);
    writer.add("A3");
    other.run(&["import", file.to_str().unwrap()]).fine();
    assert_eq!((other.texts("c"), room.texts("c").len()), (vec!["A1".to_owned(), "A2".to_owned()], 3));
    drop(writer.stdin);
    assert_eq!(said(writer.child).code, Some(0));
}
