//! Input that can only be a mistake is refused, and says which.

use std::fs;

use super::Room;

/// The last value counted, and the others were lost without a word.
#[test]
fn a_key_that_is_there_twice_is_refused_and_named() {
    let room = Room::new();
    let add = |fields: &str| format!(r#"{{"type":"add_message","conversation_id":"c",{fields}}}"#);
    for line in [
        add(r#""content":"a","content":"b""#),
        add(r#""content":"a","metadata":{"content":1,"content":2}"#),
        add(r#""content":"a","metadata":{"n":[{"content":1,"content":2}]}"#),
    ] {
        let error = room.run_with(&["append"], line.as_bytes()).fails(1);
        assert!(error.contains(r#""content" is there twice"#), "{line}: {error}");
    }
    let head = r#"{"type":"conversation","id":"c","created_at":"2025-01-01T00:00:00"}"#;
    let message = r#"{"type":"message","conversation_id":"c","id":"m","content":"a","content":"b","created_at":"2025-01-01T00:00:00"}"#;
    for input in [
        format!("{head}\n{message}\n"),
        r#"[{"role":"user","content":"a","content":"b"}]"#.to_owned(),
        r#"{"role":"user","content":"a","content":"b"}"#.to_owned(),
    ] {
        let run = room.run_with(&["import", "-"], input.as_bytes());
        assert!(run.code == Some(1) && run.err.contains(r#""content" is there twice"#), "{input}: {run:?}");
    }
    // So it is in an argument, which nobody reads a second time either.
    let twice = r#"{"n":{"content":1,"content":2}}"#;
    for args in [
        &["add", "d", "x", "--metadata", twice][..],
        &["new", "--metadata", twice],
        &["act", "d", "t", twice],
    ] {
        let error = room.run(args).fails(2);
        assert!(error.contains(r#""content" is there twice"#), "{args:?}: {error}");
    }
}

/// Each of these made an empty message.
#[test]
fn a_message_that_says_nothing_is_refused() {
    let room = Room::new();
    for (input, part) in [
        (r#"[{"role":"user","contnt":"hi"}]"#, r#""content" is missing; perhaps "contnt" is meant for it"#),
        (r#"{"role":"user","contnt":"hi"}"#, r#"perhaps "contnt" is meant"#),
        (r#"[{"role":"user"}]"#, r#""content" is missing"#),
        (r#"{"messages":[{"role":"user","name":"n"}]}"#, r#""content" is missing"#),
    ] {
        let run = room.run_with(&["import", "-"], input.as_bytes());
        assert!(run.code == Some(1) && run.err.contains(part), "{input}: {run:?}");
    }
    fs::write(
        room.path("calls.json"),
        r#"[{"role":"assistant","tool_calls":[]},{"role":"user","content":null}]"#,
    )
    .unwrap();
    room.run(&["import", "calls.json"]).fine();
    for args in [&["add", "p", "-"][..], &["act", "p", "t", "-"]] {
        let error = room.run(args).fails(1);
        assert!(error.contains("empty") && error.contains("''"), "{error}");
    }
    room.run(&["add", "p", ""]).fine();
    room.run_with(&["add", "p", "-"], b"\n").fine();
    assert_eq!(room.texts("p"), ["", ""]);
}

#[test]
fn a_field_near_a_known_one_is_kept_and_told_once() {
    let room = Room::new();
    let message = |id: &str| {
        format!(
            r#"{{"type":"message","conversation_id":"c","id":"{id}","content":"a","rol":"x","created_at":"2025-01-01T00:00:00"}}"#
        )
    };
    let run = room.run_with(&["import", "-"], format!("{}\n{}\n", message("1"), message("2")).as_bytes());
    let told = r#"the field "rol" is kept as it is; perhaps "role" is meant"#;
    assert_eq!((run.code, run.err.matches(told).count()), (Some(0), 1), "{run:?}");
}

#[test]
fn a_byte_order_mark_before_an_input_is_passed_over() {
    let room = Room::new();
    room.run_with(&["import", "-"], b"\xef\xbb\xbf[{\"role\":\"user\",\"content\":\"x\"}]").fine();
    let line = [b"\xef\xbb\xbf", super::message_line("c", "y").as_bytes()].concat();
    room.run_with(&["append"], &line).fine();
    assert_eq!(room.texts("c"), ["y"]);
}

/// Each advised something that helped nobody.
#[test]
fn what_stands_in_the_way_is_named_with_what_helps() {
    let room = Room::new();
    room.run(&["add", "c", "x"]).fine();
    room.run(&["show", "c", "--since", "-7d", "--until=-1h"]).fine();
    assert!(room.run(&["show", "c", "--since", "-x"]).fails(2).contains("is no point in time"));
    assert!(room.run(&["add", "c", "x", "--expect", "-1"]).fails(2).contains("--expect"));
    fs::write(room.path("y.jsonl.partial"), "").unwrap();
    assert!(room.run(&["export", "-o", "y.jsonl"]).fails(2).contains("left of an export that was stopped"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("nowhere", room.path("dangling")).unwrap();
        assert!(room.run(&["-d", "dangling", "ls"]).fails(3).contains("symbolic link that leads nowhere"));
        room.run(&["compact"]).fine();
        let file = room.store().join("conversations/c.json");
        fs::rename(&file, room.path("c.json")).unwrap();
        std::os::unix::fs::symlink(room.path("c.json"), &file).unwrap();
        let run = room.run(&["show", "c"]);
        assert!(run.err.contains("it is a symbolic link; put the file itself there"), "{run:?}");
    }
    let error = aral_store::MessageStore::open("").unwrap_err();
    assert!(error.to_string().contains("path is empty"), "{error}");
}
