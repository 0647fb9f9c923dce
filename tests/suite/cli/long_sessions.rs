//! Sessions that are longer than what is taken in at once, and that are read while others are added.

use std::fs;

use serde_json::Value;

use super::{Room, Said};

fn import(room: &Room) -> Said {
    room.run(&["import", "in", "--json"])
}

#[track_caller]
fn counts(said: &Said, code: i32) -> Value {
    assert_eq!(said.code, Some(code), "{said:?}");
    serde_json::from_str(&said.out).unwrap()
}

/// A line of Claude Code with these members beside those that each has.
fn line(id: &str, members: &str) -> String {
    format!("{{\"uuid\":\"{id}\",\"sessionId\":\"s\",\"timestamp\":\"2026-01-01T00:00:00Z\",{members}}}\n")
}

fn prompt(id: &str, text: &str) -> String {
    line(id, &format!("\"type\":\"user\",\"message\":{{\"role\":\"user\",\"content\":\"{text}\"}}"))
}

/// So many bytes of lines that are no part of the talk.
fn records(bytes: usize) -> String {
    let text = "x\\n\\\"y\\\" ".repeat(900);
    let mut records = String::new();
    while records.len() < bytes {
        records +=
            &line(&format!("r{}", records.len()), &format!("\"type\":\"progress\",\"text\":\"{text}\""));
    }
    records
}

/// Many parts of one file, and files of every kind among them.
#[test]
fn long_sessions_come_back_byte_for_byte_and_go_in_once() {
    let room = Room::new();
    fs::create_dir_all(room.path("in")).unwrap();
    let long = prompt("a", "one") + &records(3 << 20) + "no JSON\n" + &prompt("b", "two");
    let short = prompt("a", "short");
    let document = r#"[{"uuid":"u1","name":"Tide","chat_messages":[{"uuid":"m1","sender":"human","text":"High water?"}]}]"#;
    for (name, text) in
        [("a.jsonl", &*long), ("b.jsonl", &short), ("c.json", document), ("d.jsonl", ""), ("e.jsonl", &long)]
    {
        fs::write(room.path(&format!("in/{name}")), text).unwrap();
    }
    let said = import(&room);
    let done = counts(&said, 1);
    assert_eq!((&done["conversations"], &done["bad_lines"]), (&4.into(), &2.into()), "{said:?}");
    assert_eq!(said.err.matches("it is no JSON object").count(), 2, "{}", said.err);
    assert!(said.err.contains("nothing is in this file yet"), "{}", said.err);
    let again = counts(&import(&room), 1);
    assert_eq!(
        (&again["already_there"], &again["messages"], &again["actions"]),
        (&4.into(), &0.into(), &0.into())
    );
    // It goes on, and in the middle of a part.
    fs::write(room.path("in/a.jsonl"), long.clone() + &prompt("c", "three")).unwrap();
    let more = counts(&import(&room), 1);
    assert_eq!(
        (&more["conversations"], &more["messages"], &more["actions"]),
        (&1.into(), &1.into(), &0.into())
    );
    assert_eq!(room.texts("claude-code:s/a"), ["one", "two", "three"]);
    let back = room.run(&["export", "--to", "claude-code", "-o", "back"]);
    assert_eq!(back.code, Some(0), "{back:?}");
    for name in ["a.jsonl", "b.jsonl", "e.jsonl"] {
        let [mine, back] =
            ["in", "back"].map(|folder| fs::read(room.path(&format!("{folder}/{name}"))).unwrap());
        assert!(mine == back, "{name}");
    }
    // One that was changed far behind its beginning is another one.
    fs::write(room.path("in/e.jsonl"), long.replace("two", "2")).unwrap();
    let conflict = import(&room);
    assert_eq!(counts(&conflict, 1)["conflicts"], 1);
    assert!(conflict.err.contains("that came of in/e.jsonl"), "{}", conflict.err);
}

/// What a conversation begins with is said by lines that may come late.
#[test]
fn a_prompt_that_comes_late_is_the_title_all_the_same() {
    let room = Room::new();
    fs::create_dir_all(room.path("in")).unwrap();
    let reply = |other: &str| {
        let members = format!(
            "\"type\":\"assistant\",\"requestSessionId\":\"{other}\",\"message\":{{\"content\":\"yes\"}}"
        );
        line("reply", &members)
    };
    let text = records(2 << 20)
        + &prompt("a", "Late tide")
        + &records(1 << 20)
        + &reply("other")
        + &records(1 << 20);
    fs::write(room.path("in/s.jsonl"), text).unwrap();
    counts(&import(&room), 0);
    let shown = room.run(&["show", "claude-code:s", "--json"]).json().remove(0);
    assert_eq!(shown["title"], "Late tide");
    assert_eq!(shown["metadata"]["parent"]["conversation_id"], "claude-code:other");
}
