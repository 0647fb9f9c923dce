//! Searching from the command line.

use std::fs;

use super::{Room, at_a_terminal, message_line};

#[test]
fn nothing_that_was_said_moves_the_cursor_and_every_hit_is_one_line() {
    let room = Room::new();
    let lines = message_line("c1", "before\u{1b}[2J\nthe needle\tbehind\u{202e}")
        + &message_line("c\u{7}", "a needle");
    room.run_with(&["append"], lines.as_bytes());
    let found = room.run(&["search", "needle"]).fine();
    assert_eq!(found.lines().count(), 2, "{found}");
    assert!(found.contains("before\\u{1b}[2J the needle behind\\u{202e}\n"), "{found}");
    assert!(found.contains("c\\u{7}\t0\t"), "{found}");
    let json = room.run(&["search", "needle", "--conversation", "c1", "--json"]).json();
    assert_eq!(json[0]["snippet"], "before\u{1b}[2J\nthe needle\tbehind\u{202e}");
    assert_eq!(json[0]["hits"], serde_json::json!([[15, 21]]));
    let Some(shown) = at_a_terminal(&room, "search needle --conversation c1", "") else {
        println!("skipped: nothing here makes a terminal");
        return;
    };
    assert!(shown.out.contains("\u{1b}[33mneedle\u{1b}[0m behind"), "{shown:?}");
    assert!(!shown.out.contains("\u{1b}[2J"), "{shown:?}");
}

#[test]
fn a_search_ends_with_the_codes_of_every_command() {
    let room = Room::new();
    room.run(&["search", "x"]).fails(3);
    room.run(&["add", "c1", "one needle"]).fine();
    assert_eq!(room.run(&["search", "nothing"]).fine(), "");
    for query in ["", "\"open", "*", "-"] {
        room.run(&["search", query]).fails(2);
    }
    room.run(&["search", "x", "--conversation", "nowhere"]).fails(3);
    room.run(&["search", "x", "--since", "yesterday"]).fails(2);
    // Words that are given apart are one query.
    assert_eq!(room.run(&["search", "needle", "one", "-n", "5"]).fine().lines().count(), 1);
    assert_eq!(room.run(&["search", "needle", "-n", "0"]).fine(), "");
    assert_eq!(room.run(&["search", "needle", "-r", "assistant"]).fine(), "");
    assert_eq!(room.run(&["search", "needle", "--since", "1h", "--salvage"]).code, Some(0));
}

#[test]
fn the_best_come_first_where_that_is_wanted_and_also_of_what_is_searched_one_by_one() {
    let room = Room::new();
    for (id, text) in [("c1", "needle needle"), ("c2", "a needle"), ("c3", "one needle in all this hay")] {
        room.run(&["add", id, text]).fine();
    }
    let order = |options: &[&str]| {
        let found = room.run(&[&["search", "needle", "--json"], options].concat()).json();
        found.iter().map(|hit| hit["conversation_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(order(&[]), ["c3", "c2", "c1"]);
    assert_eq!(order(&["--order", "newest"]), ["c3", "c2", "c1"]);
    assert_eq!(order(&["--order", "best"]), ["c1", "c2", "c3"]);
    assert_eq!(order(&["--order", "best", "-n", "2"]), ["c1", "c2"]);
    room.run(&["index"]).fine();
    assert_eq!(order(&["--order", "best", "-n", "2"]), ["c1", "c2"]);
    room.run(&["search", "needle", "--order", "worst"]).fails(2);
    room.run(&["compact"]).fine();
    let file = room.store().join("conversations/c2.json");
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("a needle", "noodle")).unwrap();
    let found = room.run(&["search", "needle", "--order", "best"]);
    let ids: Vec<&str> = found.out.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!((found.code, ids), (Some(5), vec!["c1", "c3"]), "{found:?}");
}

#[test]
fn what_is_damaged_is_named_and_the_rest_is_searched() {
    let room = Room::new();
    for id in ["c1", "c2", "c3"] {
        room.run(&["add", id, "a needle"]).fine();
    }
    room.run(&["compact"]).fine();
    let file = room.store().join("conversations/c2.json");
    let text = fs::read_to_string(&file).unwrap();
    // Also where only a look at the bytes shows it, because the file's time and size are what they were.
    for keeps_time in [false, true] {
        let time = file.metadata().unwrap().modified().unwrap();
        fs::write(&file, text.replace("needle", "noodle")).unwrap();
        if keeps_time {
            fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        }
        let found = room.run(&["search", "needle"]);
        assert_eq!((found.code, found.out.lines().count()), (Some(5), 2), "{keeps_time}: {found:?}");
        assert!(found.err.contains("c2.json"), "{keeps_time}: {found:?}");
        fs::write(&file, &text).unwrap();
        room.run(&["accept", "--all"]);
    }
}

#[test]
fn a_time_in_doubt_is_told() {
    let room = Room::new();
    let line = r#"{"type":"add_message","conversation_id":"c1","content":"needle","created_at":"2025-03-13T05:00:00"}"#;
    room.run_with(&["append"], line.as_bytes());
    let found =
        room.run(&["search", "needle", "--since", "2025-03-13T00:00:00Z", "--until", "2025-03-13T06:00:00Z"]);
    assert_eq!((found.code, found.out.lines().count()), (Some(0), 1));
    assert!(found.err.contains("1 message here may be of another time"), "{found:?}");
}

#[test]
fn what_was_imported_from_a_tool_is_searched_by_itself() {
    let room = Room::new();
    let mut lines = String::new();
    for (number, tool) in [("0", "codex"), ("1", "claude-code"), ("2", "claude-code")] {
        let source = [r#"{"tool":""#, tool, r#"","session":"s"#, number, r#"","path":"x"}"#].concat();
        let begin =
            [r#"{"type":"create_conversation","conversation_id":"c"#, number, r#"","metadata":{"source":"#];
        lines += &[&begin.concat(), &*source, "}}\n"].concat();
    }
    for number in 0..200 {
        lines += &message_line(if number % 50 == 0 { "c0" } else { "c3" }, &format!("needle {number}"));
    }
    lines += &message_line("c1", "another needle");
    room.run_with(&["append"], lines.as_bytes());
    let of = |options: &[&str]| {
        let found = room.run(&[&["search", "needle", "--json"], options].concat()).json();
        found.iter().map(|hit| hit["snippet"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = ["needle 150", "needle 100", "needle 50", "needle 0"];
    for _ in 0..2 {
        assert_eq!(of(&["--source", "codex"]), all);
        assert_eq!(of(&["--source", "codex", "-n", "2"]), all[..2]);
        assert_eq!(of(&["--source", "codex", "-n", "9"]), all);
        assert_eq!(of(&["--source", "claude-code"]), ["another needle"]);
        assert_eq!(of(&["--source", "aider"]), [""; 0]);
        room.run(&["index"]).fine();
    }
    room.run(&["search", "needle", "--source", "claude"]).fails(2);
}
