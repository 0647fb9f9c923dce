//! Each command does what its help says.

use std::fs;

use super::Room;

#[test]
fn a_conversation_is_made_filled_shown_renamed_and_removed() {
    let room = Room::new();
    assert_eq!(
        room.run(&["new", "--id", "c1", "--title", "Plans", "--metadata", r#"{"a":1}"#]).fine(),
        "c1\n"
    );
    let message = room.run(&["add", "c1", "Hello", "--metadata", r#"{"b":2}"#]).fine();
    assert_eq!(
        room.run_with(&["add", "c1", "-r", "assistant", "-"], "grüezi\nmitenand\n".as_bytes()).fine().len(),
        37
    );
    let action = room.run(&["act", "c1", "tool_call", r#"{"x":[1]}"#]).fine();
    let shown = room.run(&["show", "c1", "--json"]).json().remove(0);
    let keys: Vec<&String> = shown.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["id", "title", "created_at", "metadata", "messages", "actions"]);
    assert_eq!((&shown["title"], &shown["metadata"]["a"]), (&"Plans".into(), &1.into()));
    assert_eq!(shown["messages"][0]["id"], message.trim());
    assert_eq!(shown["messages"][0]["role"], "user");
    assert_eq!(shown["messages"][1]["content"], "grüezi\nmitenand");
    assert_eq!(shown["actions"][0]["id"], action.trim());
    room.run(&["rename", "c1", "Other"]).fine();
    let transcript = room.run(&["show", "c1", "-n", "1"]).fine();
    assert!(transcript.starts_with("Other\nc1 · created "), "{transcript}");
    assert!(transcript.contains("\n… 1 message before these\n"), "{transcript}");
    assert!(
        transcript.contains("    grüezi\n    mitenand\n") && !transcript.contains("Hello"),
        "{transcript}"
    );
    assert!(transcript.contains("\naction tool_call · "), "{transcript}");
    room.run(&["rm", "--yes", &format!("c1/{}", message.trim())]).fine();
    assert_eq!(room.texts("c1"), ["grüezi\nmitenand"]);
    room.run(&["rm", "--yes", "c1"]).fine();
    assert_eq!(room.run(&["ls"]).fine(), "");
}

#[test]
fn changes_print_receipts_when_asked_for_json() {
    let room = Room::new();
    let receipt = room.run(&["new", "--id", "c1", "--json"]).fine();
    assert_eq!(
        receipt,
        "{\"seq\":1,\"conversation_id\":\"c1\",\"id\":\"c1\",\"version\":1,\"durable\":true}\n"
    );
    assert_eq!(room.run(&["--json", "rename", "c1", "T"]).json()[0]["version"], 2);
    assert_eq!(room.run(&["rm", "c1", "--yes", "--json"]).json()[0]["seq"], 3);
}

#[test]
fn a_new_conversation_without_an_id_gets_one_and_prints_it() {
    let room = Room::new();
    let id = room.run(&["new"]).fine();
    assert_eq!(id.trim().len(), 36);
    assert_eq!(room.run(&["show", id.trim(), "--json"]).json()[0]["id"], id.trim());
}

#[test]
fn a_key_makes_a_retry_harmless() {
    let room = Room::new();
    let first = room.run(&["add", "c1", "hi", "--key", "k"]).fine();
    assert_eq!(room.run(&["add", "c1", "hi", "--key", "k"]).fine(), first);
    room.run(&["add", "c1", "other", "--key", "k"]).fails(4);
    assert_eq!(room.texts("c1"), ["hi"]);
}

#[test]
fn an_id_of_ones_own_is_unique_if_asked_so() {
    let room = Room::new();
    assert_eq!(room.run(&["add", "c1", "one", "--id", "m1"]).fine(), "m1\n");
    assert_eq!(room.run(&["add", "c1", "one", "--id", "m1", "--unique-ids", "existing"]).fine(), "m1\n");
    let refused = room.run(&["add", "c1", "one", "--id", "m1", "--unique-ids", "refuse"]).fails(4);
    assert!(
        refused.contains("message \"m1\" is in conversation \"c1\" already; choose another --id"),
        "{refused}"
    );
    assert!(
        room.run(&["add", "c1", "two", "--id", "m1", "--unique-ids", "existing"])
            .fails(4)
            .contains("another one")
    );
    assert_eq!(room.texts("c1"), ["one"]);
    room.run(&["add", "c1", "two", "--id", "m1"]).fine();
    room.run(&["act", "c1", "call", "{}", "--id", "m1", "--unique-ids", "refuse"]).fine();
    assert_eq!(room.texts("c1"), ["one", "two"]);
    let line = br#"[{"type":"add_message","conversation_id":"c2","content":"a","id":"x"},{"type":"add_message","conversation_id":"c2","content":"a","id":"x"}]"#;
    assert!(
        room.run_with(&["append", "--unique-ids", "refuse"], line).fails(4).contains("line 1: message \"x\"")
    );
    room.run(&["show", "c2"]).fails(3);
}

#[test]
fn lists_come_in_both_orders_and_to_a_number() {
    let room = Room::new();
    for (conversation, text) in [("a", "1"), ("b", "2"), ("a", "3")] {
        room.run(&["add", conversation, text]).fine();
    }
    let ids = |args: &[&str]| -> Vec<String> {
        let listed = room.run(&[&["ls", "--json"], args].concat()).json();
        listed.iter().map(|summary| summary["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&[]), ["a", "b"]);
    assert_eq!(ids(&["--by", "activity"]), ["a", "b"]);
    room.run(&["add", "b", "4"]).fine();
    assert_eq!(ids(&["--by", "activity", "-n", "1"]), ["b"]);
    let summary = room.run(&["ls", "--json", "-n", "1"]).json().remove(0);
    let keys: Vec<&String> = summary.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["id", "title", "created_at", "messages", "actions", "version", "last_activity"]);
    let plain = room.run(&["ls"]).fine();
    let columns: Vec<&str> = plain.lines().next().unwrap().split('\t').collect();
    assert_eq!((columns[0], columns[3], columns[4], columns[5]), ("a", "2", "0", "Conversation a"));
}

#[test]
fn a_list_comes_by_pages() {
    let room = Room::new();
    for n in 0..5 {
        room.run(&["new", "--id", &format!("conv{n}")]).fine();
    }
    let ids = |args: &[&str]| -> Vec<String> {
        let listed = room.run(&[&["ls", "--json"], args].concat()).json();
        listed.iter().map(|summary| summary["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&["-n", "2"]), ["conv0", "conv1"]);
    assert_eq!(ids(&["-n", "2", "--after", "conv1"]), ["conv2", "conv3"]);
    assert_eq!(ids(&["-n", "2", "--after", "conv3"]), ["conv4"]);
    assert_eq!(ids(&["--by", "activity", "--after", "conv2"]), ["conv1", "conv0"]);
    assert!(room.run(&["ls", "--after", "nobody"]).fails(3).contains("nobody"));
    room.run(&["ls", "--removed", "--after", "conv1"]).fails(2);
}

#[test]
fn what_a_conversation_holds_cannot_drive_the_terminal() {
    let room = Room::new();
    room.run(&["new", "--id", "c1", "--title", "T\u{1b}[2J\u{7}"]).fine();
    room.run(&["add", "c1", "x\u{1b}]0;owned\u{7}\r"]).fine();
    for args in [["show", "c1"], ["ls", "-n9"]] {
        let out = room.run(&args).fine();
        assert!(!out.contains(['\u{1b}', '\u{7}', '\r']), "{out:?}");
    }
}

#[test]
fn compaction_writes_the_files_of_the_original_and_loses_nothing() {
    let room = Room::new();
    room.run(&["add", "c1", "hi"]).fine();
    let before = room.run(&["show", "c1", "--json"]).fine();
    let report = room.run(&["compact", "--json"]).json().remove(0);
    assert_eq!((&report["written"], &report["covered_seq"]), (&1.into(), &1.into()));
    assert!(room.store().join("conversations/c1.json").is_file());
    let index = fs::read_to_string(room.store().join("message_store.json")).unwrap();
    assert_eq!(index, "{\n  \"conversation_ids\": [\n    \"c1\"\n  ]\n}");
    assert_eq!(room.run(&["show", "c1", "--json"]).fine(), before);
    let stats = room.run(&["stats", "--json"]).json().remove(0);
    assert_eq!((&stats["conversations"], &stats["messages"]), (&1.into(), &1.into()));
    assert_eq!((&stats["last_seq"], &stats["dirty_conversations"]), (&1.into(), &0.into()));
}

#[test]
fn a_sound_store_verifies() {
    let room = Room::new();
    room.run(&["add", "c1", "hi"]).fine();
    assert!(room.run(&["verify"]).fine().starts_with("sound: "));
    let last = room.run(&["verify", "--json"]).json().pop().unwrap();
    assert_eq!((&last["type"], &last["sound"]), (&"summary".into(), &true.into()));
    assert_eq!((&last["damaged"], &last["events"]), (&0.into(), &1.into()));
}

#[test]
fn the_directory_comes_from_the_option_then_the_environment_then_the_default() {
    let room = Room::new();
    let run = |args: &[&str], dir: Option<&str>| {
        let mut command = std::process::Command::new(super::BINARY);
        command.current_dir(room.0.path()).env_remove("ARAL_STORE_DIR").args(args);
        dir.map(|dir| command.env("ARAL_STORE_DIR", dir));
        super::said(super::piped(&mut command)).fine()
    };
    run(&["-d", "given", "add", "c1", "x"], Some("environment"));
    run(&["add", "c2", "x"], Some("environment"));
    run(&["add", "c3", "x"], None);
    run(&["add", "c4", "x"], Some(""));
    for (dir, ids) in [("given", "c1"), ("environment", "c2"), ("data", "c3 c4")] {
        let listed = run(&["ls", "-d", dir], None);
        let found: Vec<&str> = listed.lines().map(|line| line.split('\t').next().unwrap()).collect();
        assert_eq!(found.join(" "), ids);
    }
}

#[test]
fn help_and_version_are_results() {
    let room = Room::new();
    assert!(room.run(&["--version"]).fine().starts_with("aral-store "));
    for args in [&["--help"][..], &["add", "--help"], &["help", "import"]] {
        assert!(room.run(args).fine().contains("Example:"), "{args:?}");
    }
    assert!(!room.store().exists());
}

#[test]
fn a_slash_that_may_mean_two_things_is_refused() {
    let room = Room::new();
    let line = r#"{"type":"add_message","conversation_id":"a","id":"b","content":"x"}"#;
    room.run_with(&["append"], line.as_bytes()).fine();
    room.run(&["new", "--id", "a/b"]).fine();
    room.run(&["rm", "--yes", "a/b"]).fails(2);
    room.run(&["new", "--id", "x/y"]).fine();
    room.run(&["rm", "--yes", "x/y"]).fine();
    assert_eq!(room.texts("a"), ["x"]);
}
