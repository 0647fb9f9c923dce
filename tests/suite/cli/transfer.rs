//! What is exported can be imported, wholly and once.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Room, files, message_line};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/aral");

fn filled() -> Room {
    let room = Room::new();
    let input = concat!(
        r#"{"type":"create_conversation","conversation_id":"c1","title":"T","metadata":{"n":NaN},"extra":{"x":1}}"#,
        "\n",
        r#"{"type":"add_message","conversation_id":"c1","content":"a\ud800","id":"m","metadata":{"k":10000000000000000000000}}"#,
        "\n",
        r#"{"type":"add_message","conversation_id":"c1","content":"again","id":"m","created_at":"2024-01-01T00:00:00"}"#,
        "\n",
        r#"{"type":"add_action","conversation_id":"c1","action_type":"t","data":{"z":1,"a":2}}"#,
        "\n",
        r#"{"type":"create_conversation","conversation_id":"empty"}"#,
        "\n",
    );
    room.run_with(&["append"], input.as_bytes()).fine();
    room
}

/// Everything that a store holds, as lines.
fn all(room: &Room) -> String {
    room.run(&["export"]).fine()
}

fn counts(room: &Room, args: &[&str], input: &[u8]) -> Value {
    room.run_with(&[&["import", "--json"], args].concat(), input).json().remove(0)
}

#[test]
fn lines_carry_everything_to_another_store_and_a_second_time_nothing() {
    let (from, to) = (filled(), Room::new());
    let lines = all(&from);
    assert_eq!(lines.lines().count(), 6);
    assert!(lines.starts_with(r#"{"type":"conversation","id":"c1","title":"T","created_at":""#), "{lines}");
    let first = counts(&to, &["-"], lines.as_bytes());
    assert_eq!(
        (&first["conversations"], &first["messages"], &first["actions"]),
        (&2.into(), &2.into(), &1.into())
    );
    assert_eq!(all(&to), lines);
    let second = counts(&to, &["-"], lines.as_bytes());
    assert_eq!((&second["conversations"], &second["already_there"]), (&0.into(), &2.into()));
    assert_eq!(all(&to), lines);
}

#[test]
fn an_import_that_was_stopped_is_completed_by_the_next() {
    let from = filled();
    let lines = all(&from);
    for stop in 0..=lines.lines().count() {
        let to = Room::new();
        let part: String = lines.split_inclusive('\n').take(stop).collect();
        let cut = to.run_with(&["import", "-"], part.as_bytes());
        let is_whole = stop == lines.lines().count();
        let reason = if stop == 0 { "is empty" } else { "breaks off" };
        assert_eq!((cut.code, cut.err.contains(reason)), (Some((!is_whole).into()), !is_whole), "{cut:?}");
        counts(&to, &["-"], lines.as_bytes());
        assert_eq!(all(&to), lines, "after {stop} lines");
    }
}

#[test]
fn versions_survive_so_that_what_is_expected_goes_on_from_there() {
    let from = Room::new();
    let input = concat!(
        r#"{"type":"add_message","conversation_id":"begun","content":"by its first"}"#,
        "\n",
        r#"{"type":"create_conversation","conversation_id":"edited"}"#,
        "\n",
        r#"{"type":"add_message","conversation_id":"edited","content":"a","id":"m"}"#,
        "\n",
        r#"{"type":"edit_message","conversation_id":"edited","content":"b","message_id":"m"}"#,
        "\n",
        r#"{"type":"clear","conversation_id":"edited"}"#,
        "\n",
        r#"{"type":"add_action","conversation_id":"edited","action_type":"t","id":"a"}"#,
        "\n",
    );
    from.run_with(&["append"], input.as_bytes()).fine();
    let versions = |room: &Room| -> Vec<Value> {
        room.run(&["ls", "--json"]).json().iter().map(|summary| summary["version"].clone()).collect()
    };
    assert_eq!(versions(&from), [1, 5]);
    let (by_lines, by_directory, completed) = (Room::new(), Room::new(), Room::new());
    let lines = all(&from);
    counts(&by_lines, &["-"], lines.as_bytes());
    let store = from.store();
    assert_eq!(by_directory.run(&["import", store.to_str().unwrap()]).code, Some(0));
    // Of a conversation at the end of a cut file nobody knows whether more belongs to it.
    let cut = lines.replacen("{\"type\":\"end\"", "", 1);
    assert_eq!(completed.run_with(&["import", "-"], cut.as_bytes()).code, Some(1));
    assert_eq!(versions(&completed), [1, 2]);
    let again = counts(&completed, &["-"], lines.as_bytes());
    assert_eq!((&again["conversations"], &again["already_there"]), (&0.into(), &2.into()));
    for room in [&by_lines, &by_directory, &completed] {
        assert_eq!(versions(room), [1, 5]);
        assert_eq!(room.run(&["add", "edited", "next", "--expect", "5"]).code, Some(0));
    }
    let again = by_lines.run_with(&["import", "-"], lines.as_bytes());
    assert_eq!((again.code, again.err.contains("more events here")), (Some(0), true), "{again:?}");
}

#[test]
fn actions_stand_where_they_happened_and_a_cut_is_said() {
    let room = Room::new();
    let line = |kind: &str, id: &str, minute: u8| {
        let rest = if kind == "message" { r#""content":"x""# } else { r#""action_type":"t""# };
        format!(
            r#"{{"type":"add_{kind}","conversation_id":"c","id":"{id}","created_at":"2025-03-13T15:{minute}:00Z",{rest}}}"#
        )
    };
    let input = [
        line("message", "m1", 10),
        line("action", "a1", 11),
        line("message", "m2", 12),
        line("action", "a2", 13),
        line("message", "m3", 14),
    ];
    room.run_with(&["append"], input.join("\n").as_bytes()).fine();
    let lines = all(&room);
    let ids = |lines: &str| -> Vec<String> {
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter_map(|line| line["id"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(ids(&lines), ["c", "m1", "a1", "m2", "a2", "m3"]);
    let other = Room::new();
    counts(&other, &["-"], lines.as_bytes());
    let events: Vec<String> =
        other.run(&["log", "--json"]).json().iter().map(|e| e["id"].to_string()).collect();
    assert_eq!(events, [r#""m1""#, r#""a1""#, r#""m2""#, r#""a2""#, r#""m3""#]);
    for (text, reason) in [
        (lines.replacen("\"x\"", "\"y\"", 1), "checksum"),
        (lines.lines().filter(|line| !line.contains("a2")).collect::<Vec<_>>().join("\n"), "2 actions"),
        (lines.replacen(r#""actions":2"#, r#""actions":3"#, 1), "3 actions"),
    ] {
        let said = Room::new().run_with(&["import", "-"], text.as_bytes());
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.err.contains("not whole") && said.err.contains(reason), "{said:?}");
    }
    // Twice the same, one behind the other, with the line ends of another system.
    let twice = format!("{lines}{}", lines.replace("\"c\"", "\"d\"")).replace('\n', "\r\n");
    let said = Room::new().run_with(&["import", "-"], twice.as_bytes());
    assert!(
        said.err.matches("not whole").count() == 1 && said.err.contains("checksum"),
        "only the second: {said:?}"
    );
    // Lines of before, which say nothing of their end.
    let old: Vec<String> = lines
        .lines()
        .filter(|line| !line.contains("\"end\""))
        .map(|l| l.replace(r#","version":5"#, ""))
        .collect();
    let said = Room::new().run_with(&["import", "-"], old.join("\n").as_bytes());
    assert_eq!((said.code, said.err.contains("earlier versions")), (Some(0), true), "{said:?}");
}

#[test]
fn every_directory_of_the_original_goes_in_unchanged_and_once() {
    for entry in fs::read_dir(FIXTURES).unwrap() {
        let source = entry.unwrap().path();
        let name = source.to_str().unwrap();
        let room = Room::new();
        let first = room.run(&["import", name, "--json"]);
        assert_eq!(first.code, Some(0), "{first:?}");
        let original = room.run(&["-d", name, "export"]).out;
        assert_eq!(all(&room), original, "{name}");
        let again = counts(&room, &[name], b"");
        assert_eq!((&again["conversations"], &again["messages"]), (&0.into(), &0.into()), "{name}");
        assert_eq!(all(&room), original, "{name}");
    }
}

#[test]
fn a_conversation_that_is_another_one_is_a_conflict_and_the_rest_goes_in() {
    let (from, to) = (filled(), Room::new());
    to.run(&["add", "c1", "mine"]).fine();
    let run = to.run_with(&["import", "-", "--json"], all(&from).as_bytes());
    let counts: Value = serde_json::from_str(run.out.trim()).unwrap();
    assert_eq!((&counts["conflicts"], &counts["conversations"]), (&1.into(), &1.into()));
    assert!(run.fails(4).contains("\"c1\""));
    assert_eq!(to.texts("c1"), ["mine"]);
    assert!(to.texts("empty").is_empty());
}

#[test]
fn bad_lines_are_named_and_the_rest_goes_in() {
    let (from, to) = (filled(), Room::new());
    let lines = all(&from).replacen('\n', "\nnonsense\n{\"type\":\"mystery\"}\n", 1);
    fs::write(to.path("in.jsonl"), &lines).unwrap();
    let run = to.run(&["import", "in.jsonl", "--json"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let named: Vec<&str> = run.err.lines().collect();
    assert_eq!(named.len(), 3, "{run:?}");
    assert!(named[2].contains("line 8") && named[2].contains("checksum"), "{run:?}");
    assert!(named[0].contains("line 2") && named[0].contains("in.jsonl") && named[1].contains("line 3"));
    assert_eq!(all(&to), all(&from));
}

#[test]
fn a_damaged_file_is_named_and_the_others_go_in() {
    let room = Room::new();
    let source = room.path("source/conversations");
    fs::create_dir_all(&source).unwrap();
    fs::write(room.path("source/message_store.json"), r#"{"conversation_ids": ["bad", "good"]}"#).unwrap();
    fs::write(source.join("bad.json"), "{").unwrap();
    let good = r#"{"id":"good","title":"G","created_at":"2024-01-01T00:00:00","metadata":{},"messages":[],"actions":[]}"#;
    fs::write(source.join("good.json"), good).unwrap();
    let before = files(&room.path("source"));
    let run = room.run(&["import", "source", "--json"]);
    assert_eq!(run.code, Some(5), "{run:?}");
    assert!(run.err.contains("bad.json"), "{run:?}");
    assert_eq!(room.run(&["show", "good", "--json"]).json()[0]["title"], "G");
    assert_eq!(files(&room.path("source")), before, "the source is only read");
}

#[test]
fn an_export_overwrites_nothing() {
    let room = filled();
    room.run(&["export", "--to", "jsonl", "-o", "out.jsonl"]).fine();
    assert_eq!(fs::read_to_string(room.path("out.jsonl")).unwrap(), all(&room));
    room.run(&["add", "c1", "more"]).fine();
    room.run(&["export", "--to", "jsonl", "-o", "out.jsonl"]).fails(2);
    assert!(!fs::read_to_string(room.path("out.jsonl")).unwrap().contains("more"));
    assert!(!room.path("out.jsonl.partial").exists());
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(room.path("out.jsonl")).unwrap().permissions())
            & 0o777,
        0o600
    );
    room.run(&["export", "--to", "jsonl", "-o", "/dev/null"]).fine();
    room.run(&["export", "--to", "jsonl", "-o", "missing/out.jsonl"]).fails(3);
}

#[test]
fn named_conversations_are_exported_alone() {
    let room = filled();
    let lines = room.run(&["export", "empty"]).fine();
    assert_eq!((lines.lines().count(), lines.contains("c1")), (2, false));
}

#[test]
fn an_export_for_the_original_is_a_store_of_its_own() {
    let room = filled();
    assert_eq!(room.run(&["export", "--to", "aral", "-o", "out"]).code, Some(0));
    assert_eq!(room.run(&["-d", "out", "export"]).out, all(&room));
    let expected = ["conversations/c1.json", "conversations/empty.json", "message_store.json"];
    assert_eq!(files(&room.path("out")), expected.map(Path::new));
    room.run(&["export", "--to", "aral", "-o", "out"]).fails(2);
    assert_eq!(room.run(&["export", "empty", "--to", "aral", "-o", "one"]).code, Some(0));
    assert_eq!(files(&room.path("one")).len(), 2);
}

#[test]
fn a_store_is_not_imported_into_itself_nor_an_empty_directory_into_one() {
    let room = filled();
    room.run(&["import", "store"]).fails(2);
    fs::create_dir(room.path("nothing")).unwrap();
    room.run(&["import", "nothing"]).fails(3);
    room.run_with(&["import", "-"], message_line("c", "x").as_bytes())
        .code
        .map(|code| assert_eq!(code, 1))
        .unwrap();
}

#[test]
fn nothing_brings_back_what_was_removed_unless_it_is_asked_to() {
    let room = filled();
    let old = all(&room);
    assert_eq!(room.run(&["export", "--to", "aral", "-o", "old"]).code, Some(0));
    room.run(&["rm", "c1", "--yes"]).fine();
    room.run(&["compact"]).fine();
    room.run(&["rm", "empty", "--yes"]).fine();
    // In the store, in one that was repaired, and in that once it was compacted.
    assert_eq!(room.run(&["repair", "--to", "repaired"]).code, Some(0));
    for (dir, compacts) in [("store", false), ("repaired", false), ("repaired", true)] {
        if compacts {
            room.run(&["-d", dir, "compact"]).fine();
        }
        let removed = room.run(&["-d", dir, "ls", "--removed", "--json"]).json();
        let ids: Vec<&Value> = removed.iter().map(|tombstone| &tombstone["id"]).collect();
        assert_eq!(ids, ["empty", "c1"], "{dir}");
        for (args, input) in [(["import", "-"], old.as_str()), (["import", "old"], "")] {
            let said = room.run_with(&[&["-d", dir][..], &args].concat(), input.as_bytes());
            assert_eq!((said.code, said.err.matches("--revive").count()), (Some(4), 2), "{said:?}");
            assert!(room.run(&["-d", dir, "ls"]).fine().is_empty());
        }
    }
    // Whoever names the conversation begins it anew.
    room.run(&["-d", "repaired", "add", "c1", "anew"]).fine();
    assert_eq!(room.run(&["-d", "repaired", "ls", "--removed"]).fine().lines().count(), 1);
    assert_eq!(room.run_with(&["import", "-", "--revive"], old.as_bytes()).code, Some(0));
    assert_eq!(all(&room), old);
    assert!(room.run(&["ls", "--removed"]).fine().is_empty());
}

/// The file of a single conversation was refused, and a long one was taken for chat messages, its actions for metadata.
#[test]
fn the_file_of_a_single_conversation_goes_in_as_it_is() {
    for length in [1, 100_000] {
        let from = Room::new();
        let long = "x".repeat(length);
        let input = [
            r#"{"type":"create_conversation","conversation_id":"a b","title":"T","metadata":{"k":[1.0,"\ud800"]}}"#.to_owned(),
            format!(r#"{{"type":"add_message","conversation_id":"a b","content":"{long}","id":"m1","extra":{{"type":"t","seen":1e2}}}}"#),
            r#"{"type":"add_action","conversation_id":"a b","action_type":"click","data":{"x":1},"id":"a1"}"#.to_owned(),
            r#"{"type":"add_message","conversation_id":"a b","content":"\ud83d","role":"assistant","id":"m2"}"#.to_owned(),
        ];
        from.run_with(&["append"], input.join("\n").as_bytes()).fine();
        from.run(&["compact"]).fine();
        let shown = |room: &Room| room.run(&["show", "a b", "--json"]).fine();
        let whole = shown(&from);
        let file = from.store().join("conversations/a b.json");
        let copy = from.path("kept.json");
        fs::copy(&file, &copy).unwrap();
        let name = copy.to_str().unwrap();
        let to = Room::new();
        assert_eq!(counts(&to, &[name], b"")["actions"], 1, "{length}");
        assert_eq!(shown(&to), whole, "{length}");
        assert_eq!(counts(&to, &[name], b"")["already_there"], 1, "{length}");
        assert_eq!(counts(&Room::new(), &["-"], &fs::read(&copy).unwrap())["messages"], 2, "{length}");
        // One that was removed comes back if that is asked for.
        from.run(&["rm", "a b", "--yes"]).fine();
        assert!(from.run(&["import", name]).fails(4).contains("--revive"));
        assert_eq!(counts(&from, &[name, "--revive"], b"")["conversations"], 1);
        assert_eq!(shown(&from), whole);
        let nan = fs::read_to_string(&copy).unwrap().replace("\"x\": 1", "\"x\": NaN");
        let refused = to.run_with(&["-d", "other", "import", "-"], nan.as_bytes()).fails(1);
        assert!(refused.contains("from a directory"), "{refused}");
        let broken = fs::read_to_string(&copy).unwrap().replace("\"action_type\"", "\"kind\"");
        fs::write(&copy, broken).unwrap();
        let refused = to.run(&["-d", "other", "import", name]).fails(1);
        assert!(refused.contains("action 1") && refused.contains("action_type"), "{refused}");
    }
}

/// A pipe whose first command failed passed for the import of an empty store, and made one.
#[test]
fn an_empty_input_is_refused_and_an_export_of_an_empty_store_is_not() {
    let room = Room::new();
    fs::write(room.path("empty"), "\n").unwrap();
    for args in [&["import", "-"][..], &["import", "empty"], &["import", "-", "--from", "openai"]] {
        let error = room.run(args).fails(1);
        assert!(error.contains("the input is empty") && !room.store().exists(), "{args:?}: {error}");
    }
    room.run(&["new", "--id", "c"]).fine();
    room.run(&["rm", "c", "--yes"]).fine();
    let exported = room.run(&["export"]).fine();
    let counts = room.run_with(&["-d", "other", "import", "-", "--json"], exported.as_bytes()).json();
    assert_eq!(counts[0]["conversations"], 0);
}
