//! What people and other programs read: every form of an export, as it is checked in.

use std::fs;
use std::time::SystemTime;

use aral_store::Timestamp;
use serde_json::Value;

use super::{Room, message_line};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/export");

/// A store of the conversations that the golden exports are of.
pub(super) fn example() -> Room {
    let room = Room::new();
    room.run(&["append", &format!("{GOLDEN}/conversations.jsonl")]).fine();
    room
}

fn golden(name: &str) -> String {
    fs::read_to_string(format!("{GOLDEN}/{name}")).unwrap()
}

/// The page without its style, which may change and is looked at in a browser.
fn without_style(page: &str) -> String {
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, body) = rest.split_once("</style>").unwrap();
    format!("{head}<style></style>{body}")
}

#[test]
fn a_page_and_a_transcript_are_as_they_are_checked_in() {
    let room = example();
    let page = room.run(&["export", "--to", "html"]).fine();
    assert_eq!(without_style(&page), golden("page.html"));
    assert_eq!(room.run(&["export", "--to", "markdown"]).fine(), golden("transcript.md"));
}

#[test]
fn chat_messages_are_as_they_are_checked_in_and_actions_are_counted() {
    let said = example().run(&["export", "--to", "openai"]);
    assert_eq!((said.code, said.out), (Some(0), golden("chats.jsonl")));
    assert!(said.err.contains("3 actions"), "{}", said.err);
}

#[test]
fn a_file_is_what_standard_output_gets_and_is_not_overwritten() {
    let room = example();
    for form in ["html", "markdown"] {
        let args = ["export", "--to", form, "-o", form];
        room.run(&args).fine();
        assert_eq!(fs::read_to_string(room.path(form)).unwrap(), room.run(&["export", "--to", form]).fine());
        room.run(&args).fails(2);
    }
}

#[test]
fn a_page_of_one_conversation_has_its_title_and_naming_it_twice_is_naming_it_once() {
    let room = example();
    let page = room.run(&["export", "release", "release", "--to", "html"]).fine();
    assert!(page.contains("<title>Notes for the release</title>"));
    assert_eq!((page.matches("<section").count(), page.contains("greenhouse")), (1, false));
    assert_eq!(room.run(&["export", "release", "release"]).fine().lines().count(), 4);
    room.run(&["export", "nobody", "--to", "html"]).fails(3);
}

#[test]
fn since_chooses_by_what_was_added_last() {
    let room = example();
    let ids = |since: &str| -> Vec<String> {
        let chats = room.run(&["export", "--to", "openai", "--since", since]).out;
        let chats = chats.lines().map(serde_json::from_str::<Value>);
        chats.map(|chat| chat.unwrap()["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("2025-03-14"), ["release", "inbox"]);
    assert_eq!(ids("2025-03-15T09:46:01+02:00"), ["inbox"]);
    assert_eq!(ids("2025-03-15T07:46:01.000001Z"), [""; 0]);
    assert_eq!(ids("1s"), [""; 0]);
    room.run(&["add", "release", "more"]).fine();
    assert_eq!(ids("1h"), ["release"]);
    // With names, both must hold.
    let both = room.run(&["export", "inbox", "release", "--since", "1h"]).fine();
    assert!(both.contains("\"release\"") && !both.contains("\"inbox\""), "{both}");
    assert_eq!(room.run(&["export", "--since", "1h", "--to", "aral", "-o", "recent"]).code, Some(0));
    assert_eq!(room.run(&["-d", "recent", "ls"]).fine().lines().count(), 1);
    room.run(&["export", "--since", "yesterday"]).fails(2);
}

/// A `datetime.now()` of Python has no offset, and is as far from UTC as whoever wrote it.
#[test]
fn a_time_without_an_offset_is_never_hidden_and_is_told() {
    let room = Room::new();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let hours_ago = |hours: i64| {
        let micros = i64::try_from(now.as_micros()).unwrap() - hours * 3_600_000_000;
        Timestamp::from_unix_micros(micros).unwrap().to_string().replace("+00:00", "")
    };
    let mut lines = String::new();
    for (id, hours) in [("new-york", 4), ("samoa", 11), ("old", 60)] {
        let time = hours_ago(hours);
        let line = message_line(id, "hi");
        lines.push_str(&line.replacen('{', &format!(r#"{{"created_at":"{time}","#), 1));
    }
    room.run_with(&["append"], lines.as_bytes()).fine();
    let shown = room.run(&["show", "new-york", "--since", "1h", "--json"]);
    assert!(shown.out.contains(r#""content":"hi""#), "{}", shown.out);
    assert!(shown.err.contains("1 message here may be of another time"), "{}", shown.err);
    let said = room.run(&["export", "--since", "1h", "--to", "openai"]);
    let ids: Vec<&str> = said.out.lines().filter_map(|line| line.split('"').nth(3)).collect();
    assert_eq!(ids, ["new-york", "samoa"]);
    assert!(said.err.contains("2 conversations here may be of another time"), "{}", said.err);
    // Where both are of the same clock, nothing is in doubt.
    let exact = room.run(&["export", "--since", &hours_ago(5), "--to", "openai"]);
    assert!(exact.out.lines().count() == 1 && !exact.err.contains("another time"), "{}", exact.err);
}

#[test]
fn strict_json_is_what_every_program_reads_and_says_what_it_changed() {
    let room = example();
    assert_eq!(room.run(&["add", "plain", "nothing to change"]).code, Some(0));
    for form in ["jsonl", "openai"] {
        let said = room.run(&["export", "--strict", "--to", form]);
        assert_eq!(said.code, Some(0));
        for line in said.out.lines() {
            serde_json::from_str::<Value>(line).unwrap();
        }
        let notes: Vec<&str> = said.err.lines().filter(|line| line.contains("--strict")).collect();
        assert_eq!(notes.len(), 1, "{}", said.err);
        assert!(notes[0].contains("\"naïve/`id`\", message \"a b\": "), "{}", notes[0]);
        assert!(notes[0].contains("lone surrogate to U+FFFD (1)"), "{}", notes[0]);
        assert_eq!(notes[0].contains("NaN or infinity to null (1)"), form == "jsonl");
    }
    assert!(room.run(&["export"]).fine().contains("\"score\":NaN"));
    for form in ["html", "markdown", "aral"] {
        room.run(&["export", "--strict", "--to", form, "-o", "new"]).fails(2);
    }
}

#[test]
fn what_cannot_be_read_is_named_on_the_page_too() {
    let room = Room::new();
    let input = message_line("good", "fine text") + &message_line("bad", "lost text");
    room.run_with(&["append"], input.as_bytes()).json();
    room.run(&["compact"]).fine();
    let bad = room.store().join("conversations/bad.json");
    let text = fs::read_to_string(&bad).unwrap().replace("lost text", "l\\xst text");
    fs::write(&bad, text).unwrap();
    for (form, mark) in [("html", "<b>"), ("markdown", "**")] {
        let said = room.run(&["export", "--to", form]);
        assert_eq!(said.code, Some(5), "{said:?}");
        assert!(said.err.contains("bad.json"), "{}", said.err);
        let [missing, unreadable] = ["Missing here:", "Not readable:"].map(|text| format!("{mark}{text}"));
        assert!(said.out.contains(&missing) || said.out.contains(&unreadable), "{}", said.out);
        assert!(said.out.contains("fine text") && !said.out.contains("lost text"));
    }
}
