//! Looking back and going back, as users do it.

use super::Room;

/// A conversation that was added to, edited, renamed and cut down, event by event.
fn room() -> Room {
    let room = Room::new();
    room.run(&["add", "c1", "Helo", "--id", "m1"]).fine();
    room.run(&["add", "c1", "Hi", "-r", "assistant", "--id", "m2"]).fine();
    let edit = r#"{"type":"edit_message","conversation_id":"c1","message_id":"m1","content":"Hello"}"#;
    room.run_with(&["append"], edit.as_bytes()).fine();
    room.run(&["rename", "c1", "Greetings"]).fine();
    room.run(&["rm", "c1/m2", "--yes"]).fine();
    room
}

#[test]
fn a_conversation_is_shown_as_it_was() {
    let room = room();
    let texts = |at: &str| -> Vec<String> {
        let shown = room.run(&["show", "c1", "--at", at, "--json"]).json().remove(0);
        let messages = shown["messages"].as_array().unwrap().clone();
        messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(texts("1"), ["Helo"]);
    assert_eq!(texts("v2"), ["Helo", "Hi"]);
    assert_eq!(texts("3"), ["Hello", "Hi"]);
    assert_eq!(texts("5"), ["Hello"]);
    let refused = [
        room.run(&["show", "c1", "--at", "99"]),
        room.run(&["diff", "c1", "99"]),
        room.run(&["diff", "c1", "2", "6"]),
        room.run(&["revert", "c1", "--at", "99"]),
        room.run(&["revert", "c1", "--at", "6", "--dry-run"]),
    ];
    for run in refused {
        assert!(run.fails(3).contains("the newest of the store is 5"));
    }
    let shown = room.run(&["show", "c1", "--at", "3", "-n", "1"]).fine();
    assert!(shown.starts_with("Conversation c1\nc1 · created "), "{shown}");
    assert!(shown.contains("\n… 1 message left out\n") && shown.contains("    Hi\n"), "{shown}");
    assert!(room.run(&["show", "c1", "--at", "v9"]).fails(3).contains("no version 9; its newest is 5"));
    assert!(room.run(&["show", "c1", "--at", "2000-01-01"]).fails(3).contains("no conversation \"c1\" then"));
    assert!(room.run(&["show", "c1", "--at", "soon"]).fails(2).contains("no point in the past"));
    let now = room.run(&["show", "c1", "--at", "0s", "--json"]);
    assert!(now.err.contains("nothing says when events 3 to 5 happened"), "{now:?}");
}

#[test]
fn what_happened_to_a_conversation_is_listed_also_after_its_end() {
    let room = room();
    room.run(&["add", "c2", "of another one"]).fine();
    let plain = room.run(&["log", "c1"]).fine();
    let columns: Vec<Vec<&str>> = plain.lines().map(|line| line.split('\t').collect()).collect();
    let numbers: Vec<[&str; 3]> = columns.iter().map(|line| [line[0], line[1], line[3]]).collect();
    assert_eq!(numbers[0], ["1", "v1", "add_message"]);
    assert_eq!(numbers[4], ["5", "v5", "remove_message"]);
    assert!(columns[0][2].starts_with("20") && columns[2][2] == "-", "{plain}");
    assert_eq!(room.run(&["log", "c1", "--from", "4"]).fine().lines().count(), 2);
    let json = room.run(&["log", "c1", "--json"]).fine();
    let other = Room::new();
    assert_eq!(other.run_with(&["append"], json.as_bytes()).json().len(), 5, "the lines are those of append");
    room.run(&["rm", "c1", "--yes"]).fine();
    assert_eq!(
        room.run(&["log", "c1"]).fine().lines().last().unwrap().split('\t').nth(3),
        Some("remove_conversation")
    );
    room.run(&["log", "nobody"]).fails(3);
    room.run(&["log", "c1", "-f"]).fails(2);
    room.run(&["keep", "nothing"]).fine();
    room.run(&["compact"]).fine();
    let gone = room.run(&["log", "c1"]);
    assert_eq!((gone.code, gone.out.as_str()), (Some(0), ""));
    assert!(gone.err.contains("up to event 7 is no longer kept"), "{gone:?}");
    let kept = room.run(&["log", "c2"]);
    assert!(
        kept.err.contains("up to 6 are no longer kept one by one: before those here it had version 1"),
        "{kept:?}"
    );
}

#[test]
fn two_states_are_compared() {
    let room = room();
    let differs = room.run(&["diff", "c1", "v2"]).fine();
    let lines: Vec<&str> = differs.lines().collect();
    assert_eq!(lines[0], "title Conversation c1 → Greetings");
    assert!(lines[1].starts_with("- assistant · ") && lines[1].ends_with(" · m2"), "{differs}");
    assert_eq!(lines[2], "    Hi");
    assert!(lines[3].starts_with("~ user · "), "{differs}");
    assert_eq!(lines[4..], ["  - Helo", "  + Hello"]);
    assert_eq!(room.run(&["diff", "c1", "3", "3"]).fine(), "");
    let json = room.run(&["diff", "c1", "v2", "3", "--json"]).json().remove(0);
    assert_eq!(json["messages"][0]["change"], "edited");
    assert_eq!(json["messages"][0]["new"]["content"], "Hello");
    assert!(json.get("title").is_none() && json["reordered"] == false, "{json}");
    room.run(&["rm", "c1", "--yes"]).fine();
    assert!(room.run(&["diff", "c1", "3"]).fails(3).contains("say with which state"));
    assert!(!room.run(&["diff", "c1", "2", "3"]).fine().is_empty());
}

#[test]
fn changes_are_taken_back_and_what_was_removed_comes_back() {
    let room = room();
    let shown = room.run(&["undo", "c1", "--dry-run"]).fine();
    assert!(shown.starts_with("+ assistant · "), "{shown}");
    assert_eq!(room.texts("c1"), ["Hello"]);
    assert_eq!(room.run(&["undo", "c1"]).fine(), "c1: version 6, by event 6\n");
    assert_eq!(room.texts("c1"), ["Hello", "Hi"]);
    let receipts = room.run(&["revert", "c1", "--at", "v2", "--json"]).json();
    assert_eq!(receipts.len(), 2);
    assert_eq!(room.texts("c1"), ["Helo", "Hi"]);
    assert_eq!(room.run(&["undo", "c1", "1"]).fine(), "c1: version 10, by 2 events, 9 to 10\n");
    assert_eq!(room.texts("c1"), ["Hello", "Hi"]);
    room.run(&["rm", "c1/m1", "--yes"]).fine();
    room.run(&["unremove", "c1/m1"]).fine();
    assert_eq!(room.texts("c1"), ["Hello", "Hi"]);
    assert!(room.run(&["unremove", "c1/m1"]).fails(4).contains("is in conversation"));
    room.run(&["rm", "c1", "--yes"]).fine();
    room.run(&["unremove", "c1"]).fine();
    assert_eq!(room.texts("c1"), ["Hello", "Hi"]);
    room.run(&["rm", "c1", "--yes"]).fine();
    room.run(&["undo", "c1"]).fine();
    assert_eq!(room.texts("c1"), ["Hello", "Hi"]);
    assert!(room.run(&["unremove", "c1"]).fails(4).contains("revert makes it what it was"));
    assert!(room.run(&["unremove", "c9"]).fails(3).contains("there never was"));
    assert!(room.run(&["undo", "c1", "99"]).fails(3).contains("fewer than 99"));
    room.run(&["undo", "c1", "0"]).fails(2);
    let newest = room.run(&["stats", "--json"]).json().remove(0)["last_seq"].to_string();
    let same = room.run(&["revert", "c1", "--at", &newest]).fine();
    assert_eq!(same, "c1: is so already; nothing was changed\n");
    assert_eq!(room.run(&["verify"]).code, Some(0));
}

#[test]
fn a_conversation_is_branched_off_and_its_branches_are_listed_and_compared() {
    let room = Room::new();
    for (id, text, role) in [
        ("question-1", "What shall we build?", "user"),
        ("answer-1", "A bridge.", "assistant"),
        ("question-2", "How long does it take?", "user"),
    ] {
        room.run(&["add", "chat-1", text, "-r", role, "--id", id]).fine();
    }
    assert_eq!(room.run(&["fork", "chat-1", "--at", "question-1", "--id", "b1"]).fine(), "b1\n");
    room.run(&["add", "b1", "A store.", "-r", "assistant"]).fine();
    assert_eq!(room.texts("b1"), ["What shall we build?", "A store."]);
    assert_eq!(room.texts("chat-1").len(), 3);
    room.run(&["fork", "chat-1", "--before", "question-1", "--id", "b2", "--title", "Anew"]).fine();
    let receipt = room.run(&["fork", "chat-1", "--at", "v2", "--id", "b3", "--json"]).json().remove(0);
    assert_eq!((&receipt["conversation_id"], &receipt["id"]), (&"b3".into(), &"b3".into()));
    assert_eq!(room.texts("b3"), ["What shall we build?", "A bridge."]);
    let made = room.run(&["fork", "b1"]).fine();
    assert_eq!(made.trim().len(), 36, "an id is made up");
    let beginning = room.run(&["fork", "chat-", "--at", "answ", "--id", "b4"]);
    assert_eq!(beginning.code, Some(0));
    assert!(beginning.err.contains(r#""chat-" is taken for "chat-1""#), "{beginning:?}");
    assert!(beginning.err.contains(r#""answ" is taken for "answer-1""#), "{beginning:?}");
    assert_eq!(room.texts("b4").len(), 2);

    let tree = room.run(&["ls", "--tree"]).fine();
    let column = |n: usize| -> Vec<String> {
        tree.lines().map(|line| line.split('\t').nth(n).unwrap().to_owned()).collect()
    };
    let below = format!("    {}", made.trim());
    assert_eq!(column(0), ["chat-1", "  b1", &below, "  b2", "  b3", "  b4"]);
    assert_eq!(column(5)[..2], ["-", "chat-1 v3 question-1"]);
    assert_eq!((column(5)[3].as_str(), column(6)[3].as_str()), ("chat-1 v3", "Anew"));
    let json = room.run(&["ls", "--tree", "--json"]).json();
    assert_eq!((&json[0]["forked_from"], &json[0]["depth"]), (&serde_json::Value::Null, &0.into()));
    let from = serde_json::json!({"conversation_id": "chat-1", "version": 3, "message_id": null});
    assert_eq!((&json[3]["forked_from"], &json[3]["depth"]), (&from, &1.into()));
    room.run(&["ls", "--tree", "-n", "1"]).fails(2);

    let differs = room.run(&["diff", "chat-1", "b1"]).fine();
    let said: Vec<&str> = differs.lines().filter(|line| line.starts_with("    ")).collect();
    assert_eq!(said, ["    A bridge.", "    How long does it take?", "    A store."]);
    assert!(room.run(&["diff", "chat-1", "nobody"]).fails(2).contains("nor is there such a conversation"));
    assert!(room.run(&["diff", "chat-1", "b1", "v2"]).fails(2).contains("no point in the past"));
    room.run(&["rm", "chat-1", "--yes"]).fine();
    assert_eq!(room.texts("b1"), ["What shall we build?", "A store."]);
}

#[test]
fn a_fork_of_what_is_not_there_says_what_is() {
    let room = room();
    assert!(room.run(&["fork", "nobody"]).fails(3).contains("`aral-store ls` lists them"));
    assert!(room.run(&["fork", "c1", "--at", "m9"]).fails(3).contains("a version such as v3"));
    assert!(room.run(&["fork", "c1", "--at", "m2"]).fails(3).contains("there is no message \"m2\""));
    assert!(room.run(&["fork", "c1", "--before", "m2"]).fails(3).contains("there is no message \"m2\""));
    assert!(room.run(&["fork", "c1", "--at", "99"]).fails(3).contains("the newest of the store is 5"));
    assert!(room.run(&["fork", "c1", "--at", "v9"]).fails(3).contains("no version 9"));
    assert!(room.run(&["fork", "c1", "--id", "c1"]).fails(4).contains("choose another --id"));
    room.run(&["fork", "c1", "--id", ""]).fails(2);
    room.run(&["fork", "c1", "--at", "3", "--before", "m1"]).fails(2);
    assert!(room.run(&["fork", "c1", "--before", "2"]).fails(3).contains("there is no message \"2\""));
    room.run(&["add", "c1", "again", "--id", "answer-1"]).fine();
    room.run(&["add", "c1", "and again", "--id", "answer-1"]).fine();
    let twice = room.run(&["fork", "c1", "--at", "answ", "--id", "c0"]);
    assert!(twice.err.contains(r#""answ" is taken for "answer-1""#), "{twice:?}");
    assert_eq!(room.texts("c0"), ["Hello", "again", "and again"]);
    room.run(&["add", "c1", "another", "--id", "answer-2"]).fine();
    let either = room.run(&["fork", "c1", "--at", "answer"]).fails(2);
    assert!(either.contains(r#"more than one message: "answer-1", "answer-2""#), "{either}");
    for id in ["answer-2", "answer-1", "answer-1"] {
        room.run(&["rm", &format!("c1/{id}"), "--yes"]).fine();
    }
    // A message may be called like an event, and then it is meant.
    room.run(&["add", "c1", "more", "--id", "2"]).fine();
    room.run(&["add", "c1", "behind it"]).fine();
    let both = room.run(&["fork", "c1", "--at", "2", "--id", "c2"]);
    assert!(both.err.contains("is taken for the message with this id"), "{both:?}");
    assert_eq!(room.texts("c2"), ["Hello", "more"]);
    room.run(&["rm", "c1", "--yes"]).fine();
    assert!(room.run(&["fork", "c1"]).fails(3).contains("fork what it was then, at event 20"));
    assert!(room.run(&["fork", "c1", "--at", "m1"]).fails(3).contains("fork what it was then, at event 20"));
    room.run(&["fork", "c1", "--at", "3", "--id", "c3"]).fine();
    assert_eq!(room.texts("c3"), ["Hello", "Hi"]);
    let nowhere = Room::new();
    nowhere.run(&["fork", "c1"]).fails(3);
    assert!(!nowhere.store().exists());
}

#[test]
fn history_that_is_damaged_or_missing_is_told_and_not_taken_for_dropped() {
    let room = Room::new();
    room.run(&["add", "c0", "here"]).fine();
    // As long as that none is gone on with by the next compaction.
    room.run(&["keep", "9999w,0B"]).fine();
    for text in ["one", "two", "three"] {
        room.run(&["add", "c1", text]).fine();
        room.run(&["compact"]).fine();
    }
    let archive = room.0.path().join("store/log/archive");
    let mut chapters: Vec<_> =
        std::fs::read_dir(archive).unwrap().map(|entry| entry.unwrap().path()).collect();
    chapters.retain(|path| path.extension().is_some_and(|ending| ending == "chapter"));
    chapters.sort();
    let sound = std::fs::read(&chapters[1]).unwrap();
    let mut flipped = sound.clone();
    let at = flipped.len() / 2;
    flipped[at] ^= 1;
    std::fs::write(&chapters[1], &flipped).unwrap();
    let name = chapters[1].file_name().unwrap().to_str().unwrap();
    let told = |said: &str| assert!(said.contains(name) && said.contains("verify"), "{said}");
    told(&room.run(&["show", "c1", "--at", "v1"]).fails(5));
    told(&room.run(&["revert", "c1", "--at", "v1"]).fails(5));
    told(&room.run(&["undo", "c1", "3"]).fails(5));
    let log = room.run(&["log", "c1"]);
    told(&log.err);
    assert_eq!((log.code, log.out.lines().count()), (Some(5), 1), "{log:?}");
    assert!(!room.run(&["show", "c1", "--at", "v3"]).fine().is_empty());
    std::fs::remove_file(&chapters[1]).unwrap();
    for command in ["keep", "stats"] {
        let run = room.run(&[command]);
        assert!(
            run.code == Some(5) && run.err.contains("the history of events 3 to 3 is missing"),
            "{run:?}"
        );
    }
    assert!(room.run(&["show", "c1", "--at", "v1"]).fails(5).contains("is missing"));
    let chosen = room.run(&["keep", "9999w,0B", "--yes"]);
    assert!(chosen.code == Some(0) && chosen.err.contains("events 3 to 3 is missing"), "{chosen:?}");
    let verified = room.run(&["verify"]);
    assert!(
        verified.code == Some(5) && verified.out.contains("the history of events 3 to 3 is missing"),
        "{verified:?}"
    );
}

/// It was taken for a choice of nothing: the next one dropped what there was unasked, and nobody else said a word.
#[test]
fn a_choice_that_cannot_be_read_counts_as_one_that_keeps_everything() {
    let room = Room::new();
    room.run(&["add", "c1", "one"]).fine();
    room.run(&["keep", "everything"]).fine();
    room.run(&["compact"]).fine();
    let keep = room.0.path().join("store/log/archive/KEEP");
    let mut bytes = std::fs::read(&keep).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&keep, &bytes).unwrap();
    for choice in ["30d", "nothing"] {
        let refused = room.run(&["keep", choice]).fails(2);
        assert!(refused.contains("--yes") && refused.contains("nobody knows"), "{refused}");
    }
    let stats = room.run(&["stats"]);
    assert!(stats.code == Some(5) && stats.err.contains("KEEP"), "{stats:?}");
    let removed = room.run(&["rm", "c1", "--yes"]);
    assert!(removed.err.contains("aral-store unremove brings it back"), "{removed:?}");
    room.run(&["keep", "everything"]).fine();
    room.run(&["unremove", "c1"]).fine();
}

#[test]
fn what_a_compaction_cannot_keep_of_a_damaged_conversation_is_told() {
    let room = Room::new();
    room.run(&["add", "c1", "one"]).fine();
    room.run(&["keep", "nothing"]).fine();
    room.run(&["compact"]).fine();
    room.run(&["keep", "everything"]).fine();
    std::fs::write(room.0.path().join("store/conversations/c1.json"), "{ no JSON").unwrap();
    assert_eq!(room.run(&["rm", "c1", "--yes"]).code, Some(0));
    let compacted = room.run(&["compact"]);
    assert!(compacted.err.contains("what it was before is not kept in the history: "), "{compacted:?}");
    assert!(compacted.err.contains("c1.json"), "{compacted:?}");
    let verified = room.run(&["verify"]);
    assert!(
        verified.code == Some(0) && verified.out.contains("nothing before them says what it was"),
        "{verified:?}"
    );
}

/// What a chapter before had whole was told as no longer kept.
#[test]
fn what_was_removed_because_its_file_was_damaged_comes_back_from_the_chapters_before() {
    let room = Room::new();
    room.run(&["add", "c1", "one"]).fine();
    room.run(&["keep", "everything"]).fine();
    room.run(&["compact"]).fine();
    std::fs::write(room.0.path().join("store/conversations/c1.json"), "{ no JSON").unwrap();
    assert_eq!(room.run(&["rm", "c1", "--yes"]).code, Some(0));
    assert_eq!(room.run(&["compact"]).code, Some(0));
    room.run(&["unremove", "c1"]).fine();
    assert!(room.run(&["show", "c1"]).fine().contains("one"));
}

#[test]
fn the_past_of_a_store_that_is_salvaged_is_refused_by_a_command_that_there_is() {
    let room = room();
    let log = room.0.path().join("store/log");
    let mut segments: Vec<_> = std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|ending| ending == "seg"));
    segments.sort();
    let mut bytes = std::fs::read(&segments[0]).unwrap();
    bytes[200] ^= 0xff;
    std::fs::write(&segments[0], bytes).unwrap();
    let past = room.run(&["--salvage", "log", "c1"]);
    assert!(
        past.code == Some(1) && past.err.contains("`log` without a conversation gives those"),
        "{past:?}"
    );
    assert_eq!(room.run(&["--salvage", "log"]).out.lines().count(), 5);
}

#[test]
fn a_repaired_store_keeps_as_much_as_the_old_one_and_the_history_that_stays_behind_is_said() {
    let room = room();
    room.run(&["keep", "30d"]).fine();
    room.run(&["compact"]).fine();
    for (args, store) in [(["repair", "--to", "new"].as_slice(), "new"), (&["repair", "--in-place"], "store")]
    {
        let said = room.run(args).fine();
        assert!(said.contains("the history of events 1 to 5 stays in the old store alone"), "{said}");
        let keep = room.run(&["-d", store, "keep"]).fine();
        assert_eq!(keep.lines().next(), Some("keep\t30d"), "{args:?}");
    }
    room.run(&["add", "c1", "more"]).fine();
    room.run(&["compact"]).fine();
    assert_eq!(room.run(&["log", "c1"]).out.lines().count(), 1, "what came since is kept");
}

#[test]
fn how_much_of_the_history_is_kept_is_chosen_told_and_never_dropped_unasked() {
    let room = room();
    assert_eq!(room.run(&["keep"]).fine(), "keep\t30d,256MiB\nfrom\t1\nbytes\t0\n");
    let stats = room.run(&["stats", "--json"]).json().remove(0);
    assert!(stats["history_keep"] == "30d,256MiB" && stats["history_bytes"] == 0, "{stats}");
    room.run(&["keep", "some"]).fails(2);
    assert_eq!(room.run(&["keep", "30d"]).fine(), "keep\t30d\nfrom\t1\nbytes\t0\n");
    room.run(&["compact"]).fine();
    let log = room.run(&["log"]);
    assert!(log.err.contains("see show or export, and log CONV for events 1 to 5"), "{log:?}");
    let kept = room.run(&["keep", "--json"]).json().remove(0);
    assert!(kept["from"] == 1 && kept["bytes"].as_u64() > Some(100), "{kept}");
    let stats = room.run(&["stats", "--json"]).json().remove(0);
    assert!(stats["history_from"] == 1 && stats["history_bytes"] == kept["bytes"], "{stats}");
    // A copy of the directory has its history, a backup has states of its own.
    assert!(
        std::process::Command::new("cp")
            .args(["-r", "store", "copy"])
            .current_dir(room.0.path())
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(room.run(&["-d", "copy", "log", "c1"]).fine().lines().count(), 5);
    room.run(&["backup", "kept"]).fine();
    room.run(&["restore", "kept", "--to", "back"]).fine();
    assert_eq!(room.run(&["-d", "back", "keep"]).fine(), "keep\t30d,256MiB\nfrom\t6\nbytes\t0\n");
    assert_eq!(room.run(&["log", "c1"]).fine().lines().count(), 5, "all of it is still there");
    let removed = room.run(&["rm", "c1", "--yes"]);
    let until = removed.err.split_once("unremove brings it back until ").map_or("", |(_, until)| until);
    let (day, rest) = until.split_once(' ').unwrap_or_default();
    assert!(
        day.len() == "2025-03-13".len() && rest.starts_with("at least (history is kept for 30d); "),
        "{removed:?}"
    );
    room.run(&["compact"]).fine();
    room.run(&["unremove", "c1"]).fine();
    assert_eq!(room.texts("c1"), ["Hello"]);
    let refused = room.run(&["keep", "nothing"]).fails(2);
    assert!(refused.contains("goes back to event 1 now; say so with --yes"), "{refused}");
    let dropped = room.run(&["keep", "nothing", "--yes"]);
    assert!(dropped.err.contains("the history of events 1 to 6 was dropped"), "{dropped:?}");
    assert!(room.run(&["show", "c1", "--at", "1"]).fails(3).contains("no longer kept"));
    assert_eq!(room.texts("c1"), ["Hello"]);
    assert_eq!(room.run(&["keep", "30d,1B"]).fine(), "keep\t30d,1B\nfrom\t7\nbytes\t0\n");
    assert_eq!(
        room.run(&["compact"]).err,
        "",
        "what is older than a day is not, and is kept though it is more than a byte"
    );
    let dropped = room.run(&["keep", "1B", "--yes"]);
    assert!(dropped.err.contains("the history of events 7 to"), "{dropped:?}");
    room.run(&["add", "c1", "more"]).fine();
    let compacted = room.run(&["compact"]);
    assert!(compacted.err.contains("the history of events 9 to 9 was dropped"), "{compacted:?}");
}
