//! The log is printed as it is, goes on as it grows, and hides nothing.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::{Room, message_line, piped, said};

/// The lines of a program that goes on running.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = piped(&mut command);
        let (sender, lines) = channel();
        let out: Lines<BufReader<ChildStdout>> = BufReader::new(child.stdout.take().unwrap()).lines();
        thread::spawn(move || out.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        Self { child, lines }
    }

    #[track_caller]
    fn json(&self) -> Value {
        let line = self.lines.recv_timeout(Duration::from_secs(20)).expect("a line comes");
        serde_json::from_str(&line).unwrap()
    }

    fn stop(mut self) -> String {
        self.child.kill().unwrap();
        said(self.child).err
    }
}

#[test]
fn events_are_printed_in_the_form_that_append_takes() {
    let room = Room::new();
    let input = message_line("c1", "one") + &message_line("c2", "t\two");
    assert_eq!(room.run_with(&["append"], input.as_bytes()).json().len(), 2);
    room.run(&["rename", "c1", "T"]).fine();
    let printed = room.run(&["log", "--json"]).fine();
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seqs: Vec<u64> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [1, 2, 3]);
    assert_eq!(lines[2]["type"], "set_title");
    let other = Room::new();
    assert_eq!(other.run_with(&["append"], printed.as_bytes()).json().len(), 3);
    for id in ["c1", "c2"] {
        let show = ["show", id, "--json"];
        assert_eq!(other.run(&show).fine(), room.run(&show).fine());
    }
    let plain = room.run(&["log", "--from", "2"]).fine();
    let second: Vec<&str> = plain.lines().next().unwrap().split('\t').collect();
    assert_eq!((second[0], second[1], second[2], second[4]), ("2", "c2", "add_message", "user: t\\two"));
    assert_eq!(plain.lines().nth(1).unwrap(), "3\tc1\tset_title\t\tT");
    assert_eq!(room.run(&["log", "--from", "4"]).fine(), "");
    room.run(&["log", "--from", "0"]).fails(2);
}

#[test]
fn what_is_no_longer_in_the_log_is_told() {
    let room = Room::new();
    for text in ["one", "two"] {
        room.run(&["add", "c1", text]).fine();
    }
    room.run(&["compact"]).fine();
    room.run(&["add", "c1", "three"]).fine();
    let run = room.run(&["log"]);
    assert_eq!((run.code, run.out.lines().count()), (Some(0), 1));
    assert!(run.err.starts_with("aral-store: note: events 1 to 2 are no longer in the log"), "{}", run.err);
    assert!(room.run(&["log", "--from", "2"]).err.contains("event 2 is no longer"));
    assert!(room.run(&["log", "--from", "3"]).fine().starts_with("3\t"));
}

#[test]
fn a_follower_sees_a_live_writer_through_its_compactions() {
    let room = Room::new();
    room.run(&["add", "c1", "0"]).fine();
    let follower = Running::start(room.command(&["log", "-f", "--json"]));
    assert_eq!(follower.json()["seq"], 1);
    let mut seq = 1;
    for round in 1..=3 {
        for _ in 0..5 {
            room.run(&["add", "c1", &format!("round {round}")]).fine();
            seq += 1;
            // Seen before the next is written, so no compaction can come between.
            assert_eq!(follower.json()["seq"], seq);
        }
        room.run(&["compact"]).fine();
    }
    room.run(&["rename", "c1", "T"]).fine();
    let last = follower.json();
    assert_eq!((&last["seq"], &last["type"]), (&(seq + 1).into(), &"set_title".into()));
    assert_eq!(follower.stop(), "", "nothing was missed");
}

#[test]
fn a_follower_that_came_too_late_says_what_it_missed_and_goes_on() {
    let room = Room::new();
    room.run(&["add", "c1", "one"]).fine();
    room.run(&["compact"]).fine();
    let follower = Running::start(room.command(&["log", "-f", "--json", "--from", "1"]));
    room.run(&["add", "c1", "two"]).fine();
    assert_eq!(follower.json()["seq"], 2);
    assert!(follower.stop().contains("event 1 is no longer in the log"));
}

#[test]
fn a_batch_of_a_writer_that_stays_open_is_seen_at_once() {
    use std::io::Write;
    let room = Room::new();
    let mut writer = piped(&mut room.command(&["append"]));
    let mut stdin = writer.stdin.take().unwrap();
    stdin.write_all(message_line("c1", "one").as_bytes()).unwrap();
    let mut receipts = BufReader::new(writer.stdout.take().unwrap()).lines();
    receipts.next().unwrap().unwrap();
    let follower = Running::start(room.command(&["log", "-f", "--json"]));
    assert_eq!(follower.json()["seq"], 1);
    let batch = format!("[{},{}]\n", message_line("c1", "two").trim(), message_line("c2", "three").trim());
    stdin.write_all(batch.as_bytes()).unwrap();
    assert_eq!((follower.json()["seq"].clone(), follower.json()["seq"].clone()), (2.into(), 3.into()));
    drop(stdin);
    assert_eq!(said(writer).code, Some(0));
    follower.stop();
}

/// Nothing was printed, and nothing said.
#[test]
fn a_beginning_past_the_end_is_told_with_the_end() {
    let room = Room::new();
    room.run(&["add", "c1", "x"]).fine();
    room.run(&["add", "c1", "y"]).fine();
    for form in [&["log", "--from", "99"][..], &["log", "--from", "99", "--json"]] {
        let run = room.run(form);
        assert_eq!((run.code, run.out.as_str()), (Some(0), ""));
        assert_eq!(run.err, "aral-store: note: the log ends with event 2, and there is none from 99 on\n");
    }
    // Where somebody who has read everything goes on.
    assert_eq!(room.run(&["log", "--from", "3"]).fine(), "");
}

/// It went on until the next event came, which may be never.
#[test]
fn a_follower_that_nobody_reads_any_more_ends() {
    let room = Room::new();
    room.run(&["add", "c", "x"]).fine();
    let mut child = piped(&mut room.command(&["log", "-f"]));
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    BufRead::read_line(&mut out, &mut line).unwrap();
    assert!(line.contains("add_message"), "{line}");
    drop(out);
    // Nothing more is appended: that it ends at all is what is tested.
    let run = said(child);
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""));
}
