//! A change whose outcome cannot be printed is told to be done, so that nobody makes it twice.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use super::{Room, Said, message_line, said};

/// Runs a command whose standard output is a full device; `None` where there is no such device.
fn run_full(room: &Room, args: &[&str], input: &str) -> Option<Said> {
    if !Path::new("/dev/full").exists() {
        return None;
    }
    let full = fs::File::create("/dev/full").unwrap();
    let mut command = room.command(args);
    let mut child = command.stdin(Stdio::piped()).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    Some(said(child))
}

#[test]
fn a_change_that_cannot_be_printed_is_told_to_be_done() {
    let room = Room::new();
    room.run(&["add", "gone", "x"]).fine();
    fs::write(room.path("chat.json"), r#"[{"role":"user","content":"Hi"}]"#).unwrap();
    for (args, parts) in [
        (&["new", "--id", "p"][..], &["event 2", "\"p\"", "do not run it again"][..]),
        (&["add", "p", "x", "--id", "m1"], &["event 3", "\"m1\"", "second time"]),
        (&["add", "p", "y", "--id", "m2", "--key", "k"], &["event 4", "\"m2\"", "same --key"]),
        (&["act", "p", "t", "{}", "--id", "a1"], &["event 5", "\"a1\"", "second time"]),
        (&["rename", "p", "T", "--json"], &["event 6", "do not run it again"]),
        (&["rm", "gone", "--yes", "--json"], &["event 7", "\"gone\"", "do not run it again"]),
        (&["import", "chat.json"], &["imported", "conversations 1", "messages 1"]),
        (&["compact"], &["compacted", "epoch 2"]),
        (&["repair", "--to", "saved"], &["repaired", "complete"]),
    ] {
        let Some(said) = run_full(&room, args, "") else { return };
        let error = said.fails(9);
        assert!(parts.iter().all(|part| error.contains(part)), "{args:?}: {error}");
        assert!(error.contains("durable") && !error.contains("try again"), "{args:?}: {error}");
    }
    assert_eq!(room.texts("p"), ["x", "y"]);
    assert!(room.path("saved/log").exists());
}

#[test]
fn append_names_the_last_line_that_was_carried_out() {
    let room = Room::new();
    let input = "\n".to_owned() + &message_line("c", "a") + &message_line("c", "b");
    let Some(said) = run_full(&room, &["append"], &input) else { return };
    let error = said.fails(9);
    assert!(error.contains("line 2, event 1;") && !error.contains("try again"), "{error}");
    assert_eq!(room.texts("c"), ["a"]);
}

/// Half of the files were taken as they are if nobody read which.
#[test]
fn every_file_is_accepted_whoever_reads_of_it() {
    let room = Room::new();
    for id in ["a", "b"] {
        room.run(&["add", id, "one"]).fine();
    }
    room.run(&["compact"]).fine();
    for id in ["a", "b"] {
        let file = room.store().join(format!("conversations/{id}.json"));
        fs::write(&file, fs::read_to_string(&file).unwrap().replace("one", "two")).unwrap();
    }
    let Some(said) = run_full(&room, &["accept", "--all"], "") else { return };
    let error = said.fails(9);
    assert!(error.contains(r#"accepted the files of "a", "b""#), "{error}");
    assert_eq!((room.texts("a"), room.texts("b")), (vec!["two".to_owned()], vec!["two".to_owned()]));
}

#[test]
fn help_that_cannot_be_printed_is_no_success() {
    let room = Room::new();
    for args in [&["--help"][..], &["add", "--help"], &["--version"]] {
        let Some(said) = run_full(&room, args, "") else { return };
        assert!(said.fails(7).contains("standard output"), "{args:?}");
    }
}
