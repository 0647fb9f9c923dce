//! Files that were made to do harm, or that are none: what cannot be taken in is named, and nothing else suffers.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Room, Said, files};

fn import(room: &Room, path: &str) -> Said {
    room.run(&["import", path, "--json"])
}

#[track_caller]
fn counts(said: &Said, code: i32) -> Value {
    assert_eq!(said.code, Some(code), "{said:?}");
    serde_json::from_str(&said.out).unwrap()
}

fn line(id: &str, text: &str) -> String {
    format!(
        "{{\"type\":\"user\",\"uuid\":\"{id}\",\"sessionId\":\"s\",\"message\":{{\"content\":\"{text}\"}}}}\n"
    )
}

/// One such line kept out all of the session that came behind it.
#[test]
fn a_line_that_no_item_can_hold_is_named_and_the_others_go_in() {
    let room = Room::new();
    fs::create_dir(room.path("in")).unwrap();
    let huge = line("huge", &"x".repeat(65 << 20));
    let text = line("a", "one") + &huge + &line("b", "three") + &line(&"i".repeat(2_000), "four");
    fs::write(room.path("in/s.jsonl"), &text).unwrap();
    let said = import(&room, "in");
    let done = counts(&said, 1);
    assert_eq!((&done["bad_lines"], &done["refused"], &done["messages"]), (&1.into(), &0.into(), &2.into()));
    assert!(said.err.contains("s.jsonl") && said.err.contains("line 2: not imported"), "{}", said.err);
    fs::write(room.path("in/s.jsonl"), text + &line("c", "five")).unwrap();
    let again = counts(&import(&room, "in"), 1);
    assert_eq!((&again["messages"], &again["conflicts"]), (&1.into(), &0.into()));
    assert_eq!(room.texts("claude-code:s"), ["one", "three", "five"]);
}

#[test]
fn a_line_nested_ten_thousand_deep_is_kept_as_it_is() {
    let room = Room::new();
    fs::create_dir(room.path("in")).unwrap();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let text = format!(
        "{{\"type\":\"user\",\"sessionId\":\"s\",\"message\":{{\"content\":{deep}}},\"deep\":{deep}}}\n"
    );
    fs::write(room.path("in/s.jsonl"), &text).unwrap();
    let payload = format!(
        "{{\"timestamp\":\"t\",\"type\":\"response_item\",\"payload\":{{\"type\":\"function_call\",\"arguments\":{deep}}}}}\n"
    );
    fs::write(room.path("in/r.jsonl"), &payload).unwrap();
    let gemini = format!(
        "{{\"sessionId\":\"g\",\"projectHash\":\"p\",\"id\":\"m\",\"type\":\"user\",\"content\":{deep}}}\n"
    );
    fs::write(room.path("in/g.jsonl"), &gemini).unwrap();
    assert_eq!(counts(&import(&room, "in"), 0)["conversations"], 3);
    for (tool, file, ought) in [
        ("claude-code", "s.jsonl", &text),
        ("codex", "r.jsonl", &payload),
        ("gemini-cli", "g.jsonl", &gemini),
    ] {
        assert_eq!(room.run(&["export", "--to", tool, "-o", "out"]).code, Some(0));
        assert_eq!(&fs::read_to_string(room.path("out").join(file)).unwrap(), ought, "{tool}");
    }
}

#[test]
fn links_pipes_and_archives_are_not_gone_into_and_nothing_is_written_beside_the_store() {
    let room = Room::new();
    fs::create_dir_all(room.path("in/sub")).unwrap();
    fs::create_dir(room.path("elsewhere")).unwrap();
    fs::write(room.path("elsewhere/e.jsonl"), line("e", "elsewhere")).unwrap();
    fs::write(room.path("in/sub/s.jsonl"), line("a", "one")).unwrap();
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, room.path(name)).unwrap();
    link("../elsewhere", "in/folder");
    link("../elsewhere/e.jsonl", "in/link.jsonl");
    link("link.db", "in/link.db");
    link("..", "in/sub/up");
    for name in ["in/pipe.jsonl", "in/pipe.db", "in/pipe.json"] {
        rustix::fs::mkfifoat(rustix::fs::CWD, room.path(name), rustix::fs::Mode::RUSR).unwrap();
    }
    // How an archive begins that says of its one file that it is 100 GiB.
    let mut archive = b"PK\x03\x04\x2d\0\0\0\x08\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x12\0\x14\0conversations.json".to_vec();
    archive.extend_from_slice(&[1, 0, 16, 0, 0, 0, 0, 0, 25, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0]);
    fs::write(room.path("export.zip"), archive).unwrap();
    assert_eq!(counts(&import(&room, "in"), 0)["conversations"], 1);
    let said = import(&room, "export.zip");
    assert!(said.code == Some(1) && said.err.contains("a ZIP archive, and not a whole one"), "{said:?}");
    for pipe in ["in/pipe.json", "in/pipe.db"] {
        assert!(room.run(&["import", pipe, "--from", "haystack"]).fails(2).contains("this is none"));
    }
    let beside: Vec<_> =
        files(&room.path(".")).into_iter().filter(|file| !file.starts_with("store")).collect();
    assert_eq!(beside.len(), 10, "{beside:?}");
}

#[test]
fn a_session_whose_name_leads_elsewhere_is_written_to_no_place_outside_of_the_directory() {
    let room = Room::new();
    let tool = rusqlite::Connection::open(room.path("agents.db")).unwrap();
    tool.execute_batch(
        "CREATE TABLE agent_sessions (session_id TEXT PRIMARY KEY, created_at TIMESTAMP, updated_at TIMESTAMP);
         CREATE TABLE agent_messages (id INTEGER PRIMARY KEY, session_id TEXT, message_data TEXT, created_at TIMESTAMP);
         INSERT INTO agent_sessions VALUES ('../../out', '2026-01-01 00:00:00', ''), ('/etc/x', '2026-01-01 00:00:00', ''),
           (NULL, NULL, NULL), (x'ff', NULL, NULL);
         INSERT INTO agent_messages VALUES (1, '../../out', '{\"role\":\"user\",\"content\":\"Hi\"}', NULL), (2, '/etc/x', 'no JSON', 7.5);",
    )
    .unwrap();
    drop(tool);
    let said = import(&room, "agents.db");
    assert_eq!(counts(&said, 1)["conversations"], 3, "{said:?}");
    let said = room.run(&["export", "--to", "openai-agents", "-o", "below/here"]);
    assert!(said.code == Some(1) && said.err.contains("is no name of a file"), "{said:?}");
    let written = files(&room.path("below"));
    assert!(written.iter().all(|file| file.starts_with("here")), "{written:?}");
    assert!(!Path::new("/etc/x-8f634135.jsonl").exists());
}
