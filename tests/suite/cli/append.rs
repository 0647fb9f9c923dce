//! What `append` promises of its receipts.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread;

use aral_store::{MessageStore, Messages};
use serde_json::Value;

use super::{Room, message_line, piped, said};

#[test]
fn receipts_come_in_order_and_a_batch_has_one_for_each_mutation() {
    let room = Room::new();
    let input = concat!(
        r#"{"type":"create_conversation","conversation_id":"c1","title":"T"}"#,
        "\n\n  \r\n",
        r#"[{"type":"add_message","conversation_id":"c1","content":"a","id":"m1"},"#,
        r#"{"type":"add_action","conversation_id":"c1","action_type":"t","data":{},"id":"a1"}]"#,
        "\r\n",
        r#"{"type":"clear","conversation_id":"c1"}"#,
    );
    let receipts = room.run_with(&["append"], input.as_bytes()).json();
    let seqs: Vec<_> = receipts.iter().map(|receipt| receipt["seq"].as_u64().unwrap()).collect();
    let ids: Vec<_> = receipts.iter().map(|receipt| receipt["id"].as_str().unwrap()).collect();
    assert_eq!((seqs, ids), (vec![1, 2, 3, 4], vec!["c1", "m1", "a1", "c1"]));
    assert!(receipts.iter().all(|receipt| receipt["durable"] == true));
}

#[test]
fn the_first_bad_line_stops_it_and_what_came_before_stays() {
    for (bad, code) in [
        (&b"{\"type\":\"add_message\""[..], 1),
        (b"{\"type\":\"add_message\",\"conversation_id\":\"c\",\"content\":\"\xff\"}", 1),
        (b"[]", 1),
        (b"{\"type\":\"set_title\",\"conversation_id\":\"nobody\",\"title\":\"x\"}", 3),
        (b"{\"type\":\"create_conversation\",\"conversation_id\":\"c\"}", 4),
        (b"{\"type\":\"clear\",\"conversation_id\":\"c\",\"expect\":9}", 4),
        // The first of the batch would be possible; all of it must not happen.
        (
            b"[{\"type\":\"clear\",\"conversation_id\":\"c\"},{\"type\":\"clear\",\"conversation_id\":\"d\"}]",
            3,
        ),
    ] {
        let room = Room::new();
        let (before, after) = (message_line("c", "before"), message_line("c", "after"));
        let input = [before.as_bytes(), b"\n", bad, b"\n", after.as_bytes()];
        let run = room.run_with(&["append"], &input.concat());
        assert_eq!(run.out.lines().count(), 1, "{run:?}");
        let error = run.fails(code);
        assert!(error.contains("line 3"), "{error}");
        assert_eq!(room.texts("c"), ["before"]);
    }
}

#[test]
fn it_reads_files_and_names_them() {
    let room = Room::new();
    std::fs::write(room.path("in.jsonl"), message_line("c", "one") + "nonsense\n").unwrap();
    let error = room.run(&["append", "in.jsonl"]).fails(1);
    assert!(error.contains("line 2") && error.contains("in.jsonl"), "{error}");
    assert_eq!(room.texts("c"), ["one"]);
    room.run(&["append", "gone.jsonl"]).fails(3);
}

#[test]
fn a_receipt_comes_before_the_next_line_is_there_and_readers_see_it() {
    let room = Room::new();
    let mut child = piped(&mut room.command(&["append", "-"]));
    let mut stdin = child.stdin.take().unwrap();
    let mut receipts = BufReader::new(child.stdout.take().unwrap()).lines();
    for number in 1..=5_u64 {
        stdin.write_all(message_line("c", &format!("m{number}")).as_bytes()).unwrap();
        let receipt: Value = serde_json::from_str(&receipts.next().unwrap().unwrap()).unwrap();
        assert_eq!(receipt["version"], number);
        let seen = room.texts("c");
        assert_eq!(seen.len().to_string(), number.to_string());
        assert_eq!(seen.last().unwrap(), &format!("m{number}"));
        assert_eq!(room.run(&["ls", "--json"]).json()[0]["messages"], number);
        assert_eq!(room.run(&["verify"]).code, Some(0));
    }
    // A second writer is told so, and the first one goes on.
    let error = room.run(&["add", "c", "x", "--no-wait"]).fails(6);
    assert!(error.contains("store"), "{error}");
    drop(stdin);
    assert_eq!(said(child).code, Some(0));
    room.run(&["add", "c", "x"]).fine();
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_acknowledged() {
    let room = Room::new();
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..12_usize {
        let mut child = piped(&mut room.command(&["append"]));
        let mut stdin = child.stdin.take().unwrap();
        let feed = thread::spawn(move || {
            for number in 0.. {
                let line = message_line("c", &format!("{round}.{number}"));
                if stdin.write_all(line.as_bytes()).is_err() {
                    return;
                }
            }
        });
        let mut receipts = BufReader::new(child.stdout.take().unwrap());
        let mut take = || {
            let mut line = String::new();
            receipts.read_line(&mut line).unwrap();
            // A line that was cut short by the kill is no receipt.
            if line.ends_with('\n') { serde_json::from_str::<Value>(&line).ok() } else { None }
        };
        let mut ids = Vec::new();
        for _ in 0..=round * 7 {
            ids.extend(take());
        }
        child.kill().unwrap();
        while let Some(receipt) = take() {
            ids.push(receipt);
        }
        child.wait().unwrap();
        feed.join().unwrap();
        acknowledged.extend(ids.iter().map(|receipt| receipt["id"].as_str().unwrap().to_owned()));
        let store = MessageStore::open(room.store()).unwrap();
        let kept = store.messages("c", Messages::all()).unwrap();
        let kept: Vec<String> = kept.iter().map(|message| message.id.to_string()).collect();
        // What was under way when the kill came may be there too, in its place and unacknowledged.
        let mut rest = kept.iter();
        for id in &acknowledged {
            assert!(rest.any(|kept| kept == id), "{id} is there, once, in order");
        }
        assert!(kept.len() <= acknowledged.len() + round + 1, "{} of {}", kept.len(), acknowledged.len());
        store.close().unwrap();
    }
    assert!(room.run(&["verify"]).fine().contains("sound"));
}

#[test]
#[cfg(unix)]
fn a_signal_lets_the_mutation_in_hand_be_finished() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let room = Room::new();
        let mut child = piped(&mut room.command(&["append"]));
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(message_line("c", "one").as_bytes()).unwrap();
        let mut receipt = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut receipt).unwrap();
        assert!(receipt.contains("\"seq\":1,"), "{receipt}");
        // The input stays open: the program waits in a read.
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        assert_eq!(said(child).code, Some(code));
        drop(stdin);
        assert_eq!(room.texts("c"), ["one"]);
    }
}

#[test]
fn it_ends_quietly_when_nobody_reads_the_receipts() {
    let room = Room::new();
    let mut child = piped(&mut room.command(&["append"]));
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    for number in 0..1000 {
        if stdin.write_all(message_line("c", &number.to_string()).as_bytes()).is_err() {
            break;
        }
    }
    drop(stdin);
    let run = said(child);
    assert_eq!((run.code, run.err.as_str()), (Some(141), ""));
    assert_eq!(room.texts("c"), ["0"]);
}

#[test]
#[cfg(unix)]
fn a_used_up_quota_is_an_error_and_not_a_death() {
    let room = Room::new();
    room.run(&["add", "c", "before"]).fine();
    let script = format!("ulimit -f 400; exec {} -d store append", super::BINARY);
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .current_dir(room.0.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    drop(stdin.write_all(message_line("c", &"x".repeat(1 << 20)).as_bytes()));
    drop(stdin);
    said(child).fails(7);
    room.run(&["add", "c", "after"]).fine();
    assert_eq!(room.texts("c"), ["before", "after"]);
}
