//! Backups by processes that are killed, beside processes that are killed.
//!
//! `KILLS` sets how many rounds there are, `KILLS_SEED` where the choice of moments begins.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use aral_store::{MessageStore, Messages};
use serde_json::Value;

use super::{Room, message_line, piped, said};
use crate::support::simfs::{Choose, SplitMix};

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// Kills a process after some milliseconds, while it is given lines, and says what it printed until then.
fn killed_after(mut child: Child, millis: u64, mut lines: impl Iterator<Item = String> + Send) -> String {
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut printed = String::new();
    thread::scope(|scope| {
        scope.spawn(move || lines.try_for_each(|line| stdin.write_all(line.as_bytes())));
        scope.spawn(|| stdout.read_to_string(&mut printed));
        thread::sleep(Duration::from_millis(millis));
        child.kill().unwrap();
    });
    child.wait().unwrap();
    printed
}

/// The newest event in lines of JSON, of which the last one may be cut.
fn newest(printed: &str, field: &str) -> u64 {
    let values = printed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    values.filter_map(|value| value[field].as_u64()).max().unwrap_or(0)
}

#[test]
fn what_a_killed_replication_had_printed_is_in_the_backup_whatever_else_is_killed() {
    let room = Room::new();
    let mut choice = SplitMix::new(number("KILLS_SEED", 1));
    let mut pick = |most: usize| u64::try_from(choice.pick(most)).unwrap();
    room.run(&["add", "c", "0"]).fine();
    let mut said_last = 0;
    let kills = number("KILLS", 8);
    for kill in 0..kills {
        let replicate = piped(&mut room.command(&["replicate", "b", "--every", "20ms", "--json"]));
        let appending = piped(&mut room.command(&["append"]));
        let (first, last) = (pick(400), pick(400));
        let printed = thread::scope(|scope| {
            let lines = (0..).map(|n: u32| message_line("c", &format!("{n} {}", "x".repeat(2_000))));
            let writer = scope.spawn(move || killed_after(appending, 100 + first, lines));
            let printed = killed_after(replicate, 100 + last, std::iter::empty());
            writer.join().unwrap();
            printed
        });
        if kill % 2 == 1 {
            let compact = piped(&mut room.command(&["compact"]));
            killed_after(compact, pick(60), std::iter::empty());
        }
        said_last = newest(&printed, "last_seq").max(said_last);
        let to = format!("back-{kill}");
        let restored = room.run(&["restore", "b", "--to", &to, "--json"]);
        if said_last == 0 && restored.code == Some(3) {
            continue;
        }
        let last_seq = restored.json()[0]["last_seq"].as_u64().unwrap();
        assert!(last_seq >= said_last, "{said_last} was printed, and {last_seq} is there");
        let store = MessageStore::options().read_only().open(room.path(&to)).unwrap();
        assert!(store.verify().unwrap().is_sound());
        let messages = store.messages("c", Messages::all()).unwrap();
        assert_eq!(u64::try_from(messages.len()).unwrap(), last_seq, "each event is a message");
        let original = MessageStore::options().read_only().open(room.store()).unwrap();
        let all = original.messages("c", Messages::all()).unwrap();
        assert_eq!(all[..messages.len()], messages[..], "as the store has them");
    }
    assert!(said_last > kills, "{said_last}");
    let report = room.run(&["backup", "b", "--json"]).json();
    room.run(&["restore", "b", "--to", "last"]).fine();
    let exported = |dir: &str| room.run(&["-d", dir, "export"]).fine();
    assert_eq!(exported("last"), exported("store"));
    assert_eq!(
        report[0]["last_seq"].as_u64(),
        Some(newest(&room.run(&["stats", "--json"]).fine(), "last_seq"))
    );
}

#[test]
fn a_replication_goes_on_as_the_store_grows_and_ends_when_it_is_told_to() {
    let room = Room::new();
    room.run(&["add", "c", "one"]).fine();
    let mut command = room.command(&["replicate", "b", "--every", "10ms", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || newest(&lines.next().unwrap().unwrap(), "last_seq");
    assert_eq!(next(), 1);
    room.run(&["add", "c", "two"]).fine();
    assert_eq!(next(), 2);
    room.run(&["compact"]).fine();
    room.run(&["add", "c", "three"]).fine();
    while next() < 3 {}
    let busy = room.run(&["backup", "b"]).fails(6);
    assert!(busy.contains("another process is writing to this backup"), "{busy}");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    assert_eq!(said(child).code, Some(143));
    room.run(&["restore", "b", "--to", "back", "--at", "2"]).fine();
    assert_eq!(
        room.run(&["-d", "back", "show", "c", "--json"]).json()[0]["messages"].as_array().unwrap().len(),
        2
    );
}

/// A store that was moved away for a moment, and a disk that was not mounted for one, ended it for good.
#[test]
fn a_replication_outlives_what_is_away_and_begins_no_other_backup_meanwhile() {
    let room = Room::new();
    room.run(&["add", "c", "one"]).fine();
    let mut command = room.command(&["replicate", "b", "--every", "20ms", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut next = || newest(&lines.next().unwrap().unwrap(), "last_seq");
    let mut note = || said.next().unwrap().unwrap();
    assert_eq!(next(), 1);
    for (away, text) in [("store", "two"), ("b", "three")] {
        std::fs::rename(room.path(away), room.path("away")).unwrap();
        if away == "b" {
            std::fs::create_dir(room.path("b")).unwrap();
        }
        let told = note();
        assert!(told.contains("nothing is backed up until this is over"), "{away}: {told}");
        if away == "b" {
            std::fs::remove_dir(room.path("b")).expect("nothing was made in it");
        }
        std::fs::rename(room.path("away"), room.path(away)).unwrap();
        // What is said of it may change while it lasts.
        while !note().contains("the backup goes on") {}
        room.run(&["add", "c", text]).fine();
        while next() < if away == "b" { 3 } else { 2 } {}
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    room.run(&["restore", "b", "--to", "back"]).fine();
    assert_eq!(room.run(&["-d", "back", "export"]).fine(), room.run(&["export"]).fine());
}

#[test]
fn what_is_no_place_for_a_backup_is_named() {
    let room = Room::new();
    room.run(&["add", "c", "one"]).fine();
    for (args, code, says) in [
        (&["backup", "store"][..], 2, "must not lie in the directory of its store"),
        (&["backup", "sqlite:x.db"], 2, "aral-store copy FROM TO"),
        (&["-d", "sqlite:x.db", "backup", "b"], 2, "aral-store copy FROM TO"),
        (&["backup", "backup:monday"], 2, "is written with ./ before it"),
        (&["restore", "postgres://h/db", "--to", "x"], 2, "aral-store copy FROM TO"),
        (&["restore", "store", "--to", "x"], 2, "this place holds no backup"),
        (&["restore", "nowhere", "--to", "x"], 3, "nowhere"),
        (&["-d", "nowhere", "backup", "b"], 3, "there is no store"),
        (&["backup", "b", "--keep", "soon"], 2, "30d"),
    ] {
        let error = room.run(args).fails(code);
        assert!(error.contains(says), "{args:?}: {error}");
        assert!(!room.path("b").exists() && !room.path("x").exists(), "{args:?} makes nothing");
    }
    #[cfg(not(feature = "mongodb"))]
    assert!(room.run(&["backup", "mongodb://h/db"]).fails(2).contains("the cargo feature mongodb"));
    room.run(&["backup", "b"]).fine();
    for args in [&["-d", "b", "ls"][..], &["-d", "b", "add", "c", "x"]] {
        let error = room.run(args).fails(2);
        assert!(error.contains("this directory holds a backup"), "{error}");
    }
    let error = room.run(&["restore", "b", "--to", "x", "--at", "7"]).fails(3);
    assert!(error.contains("it has those after events 0 to 1"), "{error}");
}
