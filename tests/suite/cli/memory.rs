//! Little memory: what is asked for is done in it, or it is an error and no abort.

use std::fs;
use std::process::Command;

use super::{BINARY, Room, Said, message_line, piped, said};

/// How many messages the conversation `h` has, and how long each is: together as long as all that the program may have.
const COUNT: usize = 30;
const LENGTH: usize = 2_000_000;

/// The limit on a program's memory, in the kibibytes of the shell's `ulimit`: 60,000,000 bytes.
const LIMIT: usize = 58_593;

/// Where the conversation lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Log,
    File,
}

fn text(at: usize) -> String {
    format!("{at:06}{}", "x".repeat(LENGTH - 6))
}

/// A store with the conversation in it, and a line for one more message in the file `one`.
fn filled(place: Place) -> Room {
    let room = Room::new();
    let lines: String = (0..COUNT).map(|at| message_line("h", &text(at))).collect();
    assert_eq!(room.run_with(&["append"], lines.as_bytes()).fine().lines().count(), COUNT);
    if place == Place::File {
        room.run(&["compact"]).fine();
    }
    fs::write(room.path("one"), message_line("h", &text(COUNT))).unwrap();
    room
}

/// Runs a command that may have little memory.
fn run(room: &Room, args: &str) -> Said {
    let mut command = Command::new("/bin/sh");
    // Whoever runs the tests may have asked for the places in the code, and for large stacks.
    command.env_remove("RUST_BACKTRACE").env_remove("RUST_MIN_STACK").current_dir(room.0.path());
    command.args(["-c", &format!("ulimit -d {LIMIT}; exec \"$0\" -d store {args}"), BINARY]);
    said(piped(&mut command))
}

/// Holds that a command said that there is no memory, in its own words: those of the standard library stand where nobody
/// has asked whether there is any.
#[track_caller]
fn has_no_memory(said: Said) {
    // Behind the notes of the opening, if there are any.
    let error = said.err.lines().last().unwrap_or_default();
    assert!(error.contains("memory") && error.contains("; ask for less"), "{said:?}");
    assert_eq!(said.code, Some(8), "{said:?}");
}

/// As much of a session as 16 MiB was in memory at once, several times over.
#[test]
fn long_sessions_are_taken_in_in_little_memory() {
    let room = Room::new();
    fs::create_dir(room.path("in")).unwrap();
    let words = "tide and harbour and ferry ".repeat(40);
    for (name, megabytes) in [("a", 24), ("b", 12)] {
        let mut lines = String::new();
        while lines.len() < megabytes << 20 {
            let at = lines.len();
            for role in ["user", "assistant"] {
                let line = format!(
                    "{{\"type\":\"{role}\",\"uuid\":\"{role}{at}\",\"sessionId\":\"{name}\",\"timestamp\":\"2026-01-01T00:00:00Z\",\
                     \"message\":{{\"role\":\"{role}\",\"content\":\"{words}\"}}}}\n"
                );
                lines += &line;
            }
        }
        fs::write(room.path(&format!("in/{name}.jsonl")), lines).unwrap();
    }
    let said = run(&room, "import in --json");
    assert_eq!(said.code, Some(0), "{said:?}");
    let counts: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&counts["conversations"], &counts["bad_lines"]), (&2.into(), &0.into()));
    let back = room.run(&["export", "--to", "claude-code", "-o", "back"]);
    assert_eq!(back.code, Some(0), "{back:?}");
    for name in ["a.jsonl", "b.jsonl"] {
        let [mine, back] =
            ["in", "back"].map(|folder| fs::read(room.path(&format!("{folder}/{name}"))).unwrap());
        assert!(mine == back, "{name}");
    }
}

/// A file was read as a whole; where that could not be had, it counted as damaged, and a repair left the conversation out.
#[test]
fn a_file_that_there_is_no_memory_for_is_not_damaged() {
    let room = filled(Place::File);
    let file = room.path("store/conversations/h.json");
    // Which a copy of the store is too.
    fs::File::options().append(true).open(&file).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    for args in ["verify", "ls", "show h -n 1"] {
        run(&room, args).fine();
    }
    has_no_memory(run(&room, "repair --to new"));
    assert!(!room.path("new").exists());
    // Without a record of it, as the original leaves it.
    fs::remove_dir_all(room.path("store/log")).unwrap();
    assert!(run(&room, "verify").fine().contains("sound"));
    assert_eq!(run(&room, "ls").fine().split('\t').nth(3), Some("30"));
    // Changed, which only a reading as a whole can judge.
    room.run(&["add", "other", "to have a log"]).fine();
    let mut bytes = fs::read(&file).unwrap();
    bytes.extend_from_slice(b"  ");
    fs::write(&file, bytes).unwrap();
    for args in ["verify", "ls", "show h -n 1", "repair --to newer", "compact"] {
        has_no_memory(run(&room, args));
    }
    assert_eq!(room.run(&["verify"]).code, Some(5));
}

/// Each of these was killed by the signal of an abort, or held all of the conversation.
#[test]
fn what_asks_for_a_part_is_done_in_the_memory_of_that_part() {
    for place in [Place::Log, Place::File] {
        let room = filled(place);
        let last = text(COUNT - 1);
        assert!(run(&room, "show h -n 1").fine().contains(&last), "{place:?}");
        assert!(run(&room, "show h -n 1 --json").fine().contains(&last), "{place:?}");
        assert_eq!(run(&room, "ls").fine().split('\t').nth(3), Some("30"), "{place:?}");
        assert!(run(&room, "stats").fine().contains("messages\t30\n"), "{place:?}");
        assert!(run(&room, "verify").fine().contains("sound"), "{place:?}");
        let log = run(&room, "log --json");
        assert_eq!(log.code, Some(0), "{place:?}: {}", log.err);
        assert_eq!(log.out.lines().count(), if place == Place::Log { COUNT } else { 0 });
        let shown = run(&room, "show h").fine();
        assert!((0..COUNT).all(|at| shown.contains(&text(at))), "{place:?}");
        assert_eq!(run(&room, "append one").fine().lines().count(), 1, "{place:?}");
        run(&room, "compact").fine();
        assert_eq!(room.texts("h"), (0..=COUNT).map(text).collect::<Vec<_>>(), "{place:?}");
    }
}

/// Every form held all of the conversation, and so did whatever showed it as JSON.
#[test]
fn a_conversation_is_printed_a_message_at_a_time() {
    for place in [Place::Log, Place::File] {
        let room = filled(place);
        let act = r#"{"type":"add_action","conversation_id":"h","action_type":"a","data":{"messages":[]}}"#;
        room.run_with(&["append", "-"], act.as_bytes()).fine();
        let either = ["show h --json", "show h -n 20", "export --to jsonl"];
        let forms = ["export --to html", "export --to markdown", "export h --to openai --strict"];
        // How a message is written does not depend on where it lay.
        for args in either.iter().chain(forms.iter().filter(|_| place == Place::Log)) {
            let little = run(&room, args);
            assert_eq!(little.code, Some(0), "{place:?}, {args}: {}", little.err);
            // What is printed with all the memory that there is.
            let all = room.run(&args.split(' ').collect::<Vec<_>>());
            assert!(little.out.len() > 20 * LENGTH && little.out == all.out, "{place:?}, {args}");
        }
        run(&room, "export --to aral -o copy");
        assert!(fs::metadata(room.path("copy/conversations/h.json")).unwrap().len() > 59_000_000);
        let shown = room.run(&["show", "h", "--json"]).json();
        assert_eq!(shown[0]["messages"][29]["content"].as_str(), Some(&*text(29)));
        assert_eq!(shown[0]["actions"][0]["data"].to_string(), r#"{"messages":[]}"#);
    }
}

/// A line that was too long to be taken apart, or a message to be changed, ended the program in the middle of it.
#[test]
fn what_there_is_no_memory_to_take_in_is_refused_and_nothing_else_is_lost() {
    let room = Room::new();
    let short = message_line("h", "short");
    // Too long to be read, and too long to be taken apart.
    for length in [70_000_000, 30_000_000, 20_000_000] {
        let long = message_line("h", &"x".repeat(length));
        fs::write(room.path("lines"), format!("{short}{long}{short}")).unwrap();
        let said = run(&room, "append lines");
        assert_eq!(said.out.lines().count(), 1, "{length}: {}", said.err);
        has_no_memory(said);
    }
    assert_eq!(room.texts("h"), ["short"; 3]);
    // What is there is read, changed and encoded.
    let add = |id: &str, length| {
        let text = "x".repeat(length);
        format!(r#"{{"type":"add_message","conversation_id":"big","id":"{id}","content":"{text}"}}"#) + "\n"
    };
    room.run_with(&["append"], add("a", 18_000_000).as_bytes()).fine();
    let edit = r#"{"type":"edit_message","conversation_id":"big","message_id":"a","role":"tool"}"#;
    fs::write(room.path("lines"), edit).unwrap();
    has_no_memory(run(&room, "append lines"));
    assert!(room.run(&["verify"]).fine().contains("sound"));
    // A text that comes as it is, and is encoded.
    fs::write(room.path("text"), "x".repeat(30_000_000)).unwrap();
    has_no_memory(run(&room, "add big - < text"));
    assert!(room.run(&["verify"]).fine().contains("sound"));
    // An import holds up to 64 MiB of a conversation, so as to add it as one.
    let room = filled(Place::Log);
    fs::write(room.path("export"), room.run(&["export", "--to", "jsonl"]).fine()).unwrap();
    fs::remove_dir_all(room.store()).unwrap();
    has_no_memory(run(&room, "import export"));
    assert!(room.run(&["verify"]).fine().contains("sound"));
}

/// Of one message that takes a good part of the memory: writing it into a file, and each way to print it, ended the program
/// in the middle.
#[test]
fn a_message_that_there_is_no_memory_to_write_or_print_is_an_error_and_stays() {
    let room = Room::new();
    room.run_with(&["append"], message_line("big", &"x".repeat(25_000_000)).as_bytes()).fine();
    let prints = ["show big", "show big -n 1", "show big --json", "export", "export --to openai"];
    let more = ["export --to html", "export --to markdown"];
    for args in prints.iter().chain(&more).chain(&["log", "log --json", "compact"]) {
        has_no_memory(run(&room, args));
    }
    for args in ["ls", "stats", "verify"] {
        run(&room, args).fine();
    }
    room.run(&["compact"]).fine();
    for args in prints.iter().chain(&more) {
        has_no_memory(run(&room, args));
    }
    assert!(run(&room, "verify").fine().contains("sound"));
    assert_eq!(room.texts("big").iter().map(String::len).collect::<Vec<_>>(), [25_000_000]);
}
