//! Sessions of other tools go in line by line, and come back byte for byte.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Room, Said};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/transcripts");
const CLAUDE: &str = "2c39f46c-762b-45bd-bdd1-7dbd38c39aac";
const CLAUDE_FORK: &str = "197dde38-8aa6-47e4-9a39-732231502d0c";
const CODEX: &str = "01a22600-5fbc-7f03-9d03-fe8d65326e05";
const CODEX_FORK: &str = "01a22600-62f8-70b2-bb88-ad5301c0f5e5";

fn claude() -> PathBuf {
    Path::new(FIXTURES).join("claude-code-2.1.332/projects")
}

fn codex() -> PathBuf {
    Path::new(FIXTURES).join("codex-0.171.0/sessions")
}

fn gemini() -> PathBuf {
    Path::new(FIXTURES).join("gemini-cli-0.61.0/tmp")
}

fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn counts(said: &Said, code: i32) -> Value {
    assert_eq!(said.code, Some(code), "{said:?}");
    serde_json::from_str(&said.out).unwrap()
}

fn import(room: &Room, path: &Path) -> Said {
    room.run(&["import", name(path), "--json"])
}

/// What an export of a tool's files says.
fn export(room: &Room, tool: &str, to: &str, code: i32) -> String {
    let said = room.run(&["export", "--to", tool, "-o", to]);
    assert_eq!((said.code, said.out.as_str()), (Some(code), ""), "{said:?}");
    said.err
}

fn shown(room: &Room, id: &str) -> Value {
    room.run(&["show", id, "--json"]).json().remove(0)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Holds that a folder has these files, byte for byte.
fn same(one: &Path, other: &Path) {
    let (mine, theirs) = (files(one), files(other));
    let below = |paths: &[PathBuf], root: &Path| -> Vec<PathBuf> {
        paths.iter().map(|path| path.strip_prefix(root).unwrap().to_owned()).collect()
    };
    assert_eq!(below(&mine, one), below(&theirs, other));
    for (mine, theirs) in mine.iter().zip(&theirs) {
        assert_eq!(fs::read(mine).unwrap(), fs::read(theirs).unwrap(), "{}", mine.display());
    }
}

fn actions<'v>(conversation: &'v Value, kind: &str) -> Vec<&'v Value> {
    let actions = conversation["actions"].as_array().unwrap();
    actions.iter().filter(|action| action["action_type"] == kind).map(|action| &action["data"]).collect()
}

#[test]
fn what_was_imported_is_exported_as_it_was_and_goes_in_once() {
    let room = Room::new();
    for (tool, folder) in [("claude-code", claude()), ("codex", codex()), ("gemini-cli", gemini())] {
        let done = counts(&import(&room, &folder), 0);
        assert_eq!(done["conversations"], 2, "{tool}");
        let again = counts(&import(&room, &folder), 0);
        assert_eq!((&again["conversations"], &again["already_there"]), (&0.into(), &2.into()), "{tool}");
        room.run(&["compact"]).fine();
        export(&room, tool, tool, 0);
        same(&room.path(tool), &folder);
        // What is there and the same is fine; what is there and not the same stays.
        export(&room, tool, tool, 0);
        let first = files(&room.path(tool)).remove(0);
        fs::write(&first, "mine").unwrap();
        let refused = export(&room, tool, tool, 1);
        assert!(refused.contains("exists already and is not overwritten"), "{refused}");
        assert_eq!(fs::read(&first).unwrap(), b"mine");
    }
    // A store that was moved through the lines of an export gives the same.
    let lines = room.run(&["export"]).fine();
    let moved = Room::new();
    moved.run_with(&["import", "-"], lines.as_bytes()).fine();
    export(&moved, "codex", "back", 0);
    same(&moved.path("back"), &codex());
}

#[test]
fn the_talk_of_claude_code_is_messages_and_its_tools_are_paired() {
    let room = Room::new();
    import(&room, &claude());
    let session = shown(&room, &format!("claude-code:{CLAUDE}"));
    assert_eq!(session["title"], "Read the HARBOUR notes.");
    assert_eq!(session["metadata"]["cwd"], "/home/ada/harbour");
    assert_eq!(session["metadata"]["version"], "2.1.332");
    let messages = session["messages"].as_array().unwrap();
    let prompts: Vec<&str> = messages
        .iter()
        .filter(|message| message["role"] == "user" && message["metadata"]["is_prompt"].is_null())
        .map(|message| message["content"].as_str().unwrap())
        .collect();
    assert_eq!(
        prompts,
        ["Read the HARBOUR notes.", "Now the FERRY?", "Read the MISSING note.", "And the LIGHTHOUSE?"]
    );
    let replies: Vec<&str> = messages
        .iter()
        .filter(|message| message["role"] == "assistant")
        .map(|message| message["content"].as_str().unwrap())
        .collect();
    assert_eq!(replies.len(), 5, "{replies:?}");
    let (calls, results) = (actions(&session, "tool_call"), actions(&session, "tool_result"));
    assert_eq!((calls.len(), results.len()), (3, 3));
    for call in &calls {
        let answers = results.iter().filter(|result| result["call_id"] == call["call_id"]).count();
        assert_eq!(answers, 1, "{call}");
    }
    assert_eq!(results.iter().filter(|result| result["is_error"] == true).count(), 1);
    assert_eq!(actions(&session, "thinking")[0]["text"], "I should read the tide note first.");
    // Each of a reply's lines has its usage, which counts once.
    let items = messages.iter().chain(session["actions"].as_array().unwrap());
    let used: Vec<&Value> =
        items.map(|item| &item["metadata"]).filter(|item| !item["usage"].is_null()).collect();
    let mut replies: Vec<&str> = used.iter().map(|item| item["reply_id"].as_str().unwrap()).collect();
    let all = replies.len();
    replies.sort_unstable();
    replies.dedup();
    assert_eq!((replies.len(), all), (6, 6));
}

/// The same message has one uuid in both files.
#[test]
fn a_fork_of_claude_code_is_a_session_of_its_own_that_names_where_it_comes_from() {
    let room = Room::new();
    import(&room, &claude());
    let fork = shown(&room, &format!("claude-code:{CLAUDE_FORK}"));
    assert_eq!(fork["metadata"]["parent"]["conversation_id"], format!("claude-code:{CLAUDE}"));
    let shared = "c8afc71b-5103-4c1b-af82-bfc94cb9c503";
    for id in [CLAUDE, CLAUDE_FORK] {
        let session = shown(&room, &format!("claude-code:{id}"));
        let found = session["messages"].as_array().unwrap().iter().filter(|message| message["id"] == shared);
        assert_eq!(found.count(), 1, "{id}");
    }
}

#[test]
fn a_fork_of_codex_names_the_lines_that_it_begins_with_and_says_if_they_are_not_there() {
    let fork = files(&codex()).into_iter().find(|path| name(path).contains(CODEX_FORK)).unwrap();
    let room = Room::new();
    let said = import(&room, &fork);
    assert_eq!(counts(&said, 0)["conversations"], 1);
    assert!(said.err.contains(CODEX) && said.err.contains("that is not in the store"), "{}", said.err);
    let parent = &shown(&room, &format!("codex:{CODEX_FORK}"))["metadata"]["parent"];
    assert_eq!(
        (&parent["conversation_id"], &parent["lines"]),
        (&format!("codex:{CODEX}").into(), &41.into())
    );
    let said = import(&room, &codex());
    assert_eq!((said.code, said.err.contains("not in the store")), (Some(0), false), "{said:?}");
    let session = shown(&room, &format!("codex:{CODEX}"));
    let (calls, results) = (actions(&session, "tool_call"), actions(&session, "tool_result"));
    assert_eq!(calls[0]["input"]["cmd"], "cat tide.txt");
    assert_eq!((calls.len(), results.len()), (3, 3));
    let models =
        session["messages"].as_array().unwrap().iter().filter(|message| message["role"] == "assistant");
    assert!(models.clone().all(|message| message["metadata"]["model"] == "gpt-5.2-codex"), "{session}");
}

/// A resume writes all messages once more, in another shape; the file that it begins with the same id has nearly nothing in it.
#[test]
fn what_a_resume_of_gemini_writes_again_is_there_once_and_keeps_its_usage() {
    let room = Room::new();
    assert_eq!(counts(&import(&room, &gemini()), 0)["conversations"], 2);
    let session = shown(&room, "gemini-cli:session-2026-11-29T06-40-996ed00d");
    assert_eq!(session["title"], "Read the HARBOUR notes.");
    let messages = session["messages"].as_array().unwrap();
    let said: Vec<(&str, &str)> = messages
        .iter()
        .filter(|message| message["metadata"]["is_prompt"].is_null())
        .map(|message| (message["role"].as_str().unwrap(), message["content"].as_str().unwrap()))
        .collect();
    let ought = [
        ("user", "Read the HARBOUR notes."),
        ("assistant", "I will look at both notes."),
        ("assistant", "High water is at 06:12 and three boats are moored. ⚓"),
        ("user", "When does the FERRY leave?"),
        ("assistant", "The ferry leaves at 07:30."),
        ("user", "Read the MISSING note."),
        ("assistant", "There is no such note."),
    ];
    assert_eq!(said, ought);
    let (calls, results) = (actions(&session, "tool_call"), actions(&session, "tool_result"));
    assert_eq!((calls.len(), results.len()), (3, 3));
    for call in &calls {
        assert_eq!(results.iter().filter(|result| result["call_id"] == call["call_id"]).count(), 1, "{call}");
    }
    assert_eq!(results.iter().filter(|result| result["is_error"] == true).count(), 1);
    let items = messages.iter().chain(session["actions"].as_array().unwrap());
    let usages: Vec<&Value> =
        items.map(|item| &item["metadata"]["usage"]).filter(|usage| !usage.is_null()).collect();
    let inputs: u64 = usages.iter().map(|usage| usage["input_tokens"].as_u64().unwrap()).sum();
    assert_eq!(
        (usages.len(), inputs),
        (5, 3551 + 3555 + 3557 + 3559 + 3562),
        "one has neither text nor thoughts"
    );
}

#[test]
fn a_session_that_goes_on_is_added_to_whatever_was_made_of_its_title() {
    let room = Room::new();
    let file = files(&claude()).into_iter().find(|path| name(path).contains(CLAUDE)).unwrap();
    let whole = fs::read(&file).unwrap();
    let copy = room.path(&format!("{CLAUDE}.jsonl"));
    let mut total = 0;
    // Cut anywhere, in the middle of a line, too.
    for end in [700, 5_000, 5_003, 20_000, 40_001, whole.len()] {
        fs::write(&copy, &whole[..end]).unwrap();
        let said = import(&room, &copy);
        let done = counts(&said, 0);
        total += done["messages"].as_u64().unwrap() + done["actions"].as_u64().unwrap();
        let is_cut = whole[end - 1] != b'\n';
        assert_eq!(said.err.contains("is not complete yet"), is_cut, "{end}: {}", said.err);
        room.run(&["rename", &format!("claude-code:{CLAUDE}"), "My own title"]).fine();
    }
    let session = shown(&room, &format!("claude-code:{CLAUDE}"));
    let items = session["messages"].as_array().unwrap().len() + session["actions"].as_array().unwrap().len();
    assert_eq!((u64::try_from(items).unwrap(), &session["title"]), (total, &"My own title".into()));
    export(&room, "claude-code", "out", 0);
    assert_eq!(fs::read(room.path("out").join(format!("{CLAUDE}.jsonl"))).unwrap(), whole);
    assert_eq!(fs::read(&copy).unwrap(), whole, "what is imported is only read");
}

/// The first lines of this one have no time, and those behind them do.
#[test]
fn a_session_that_was_first_imported_before_it_had_a_time_goes_on() {
    let room = Room::new();
    let file = files(&claude()).into_iter().find(|path| name(path).contains(CLAUDE_FORK)).unwrap();
    let whole = fs::read(&file).unwrap();
    let copy = room.path(&format!("{CLAUDE_FORK}.jsonl"));
    for end in [90, 256, 2_000, whole.len()] {
        fs::write(&copy, &whole[..end]).unwrap();
        assert_eq!(counts(&import(&room, &copy), 0)["conversations"], 1, "{end}");
        assert_eq!(counts(&import(&room, &copy), 0)["already_there"], 1, "{end}");
    }
    export(&room, "claude-code", "out", 0);
    assert_eq!(fs::read(room.path("out").join(format!("{CLAUDE_FORK}.jsonl"))).unwrap(), whole);
}

#[test]
fn what_is_another_tools_or_was_not_imported_is_no_silent_success() {
    let room = Room::new();
    let said = room.run(&["import", name(&claude()), "--from", "codex", "--json"]);
    assert_eq!((&counts(&said, 1)["conversations"], &counts(&said, 1)["bad_lines"]), (&0.into(), &2.into()));
    assert!(said.err.contains("it is no session of Codex"), "{}", said.err);
    room.run(&["add", "mine", "x"]).fine();
    let said = room.run(&["export", "mine", "--to", "codex", "-o", "out"]);
    assert!(said.code == Some(1) && said.err.contains("did not come of Codex"), "{said:?}");
}

#[test]
fn lines_that_are_none_are_named_and_kept_and_the_rest_goes_in() {
    let room = Room::new();
    let lines = [
        r#"{"type":"user","uuid":"u1","sessionId":"s","timestamp":"2026-01-01T00:00:00Z","message":{"role":"user","content":"One \ud83d"}}"#,
        "nonsense",
        "",
        r#"{"type":"tomorrow","sessionId":"s","deep":{"a":[1e400,-0.0,12345678901234567890123]}}"#,
        r#"{"type":"assistant","uuid":"u2","sessionId":"s","message":{"id":"m","content":[{"type":"tool_use","id":"c","name":"n","input":{"a":1,"a":2}}]}}"#,
        "{\"type\":\"user\",\"uuid\":\"u3\",\"sessionId\":\"s\",\"message\":{\"content\":\"Three\"}}\r",
    ];
    let text = lines.join("\n") + "\n";
    fs::create_dir(room.path("projects")).unwrap();
    fs::write(room.path("projects/s.jsonl"), &text).unwrap();
    let said = import(&room, &room.path("projects"));
    let done = counts(&said, 1);
    assert_eq!((&done["conversations"], &done["bad_lines"]), (&1.into(), &1.into()), "{said:?}");
    assert!(said.err.contains("line 2: ") && said.err.contains("s.jsonl"), "{}", said.err);
    export(&room, "claude-code", "out", 0);
    assert_eq!(fs::read_to_string(room.path("out/s.jsonl")).unwrap(), text);
    // What is no UTF-8 cannot be kept as text, and is said to be missing.
    fs::write(
        room.path("projects/s.jsonl"),
        [text.as_bytes(), b"\"\xff\"\n{\"sessionId\":\"s\"}\n"].concat(),
    )
    .unwrap();
    let said = import(&room, &room.path("projects"));
    assert!(said.code == Some(1) && said.err.contains("line 7: it is not UTF-8"), "{said:?}");
    let said = export(&room, "claude-code", "lacking", 1);
    assert!(said.contains("the first of them line 7"), "{said}");
}

#[test]
fn what_is_no_session_is_named_and_keeps_no_other_one_out() {
    let room = Room::new();
    fs::create_dir(room.path("mixed")).unwrap();
    for file in files(&codex()) {
        fs::copy(&file, room.path("mixed").join(file.file_name().unwrap())).unwrap();
    }
    fs::write(room.path("mixed/notes.jsonl"), "{\"role\":\"user\",\"content\":\"x\"}\n").unwrap();
    fs::write(room.path("mixed/bin.jsonl"), b"\0\x01").unwrap();
    std::os::unix::fs::symlink("/etc", room.path("mixed/link")).unwrap();
    let said = import(&room, &room.path("mixed"));
    let done = counts(&said, 1);
    assert_eq!((&done["conversations"], &done["bad_lines"]), (&2.into(), &2.into()), "{said:?}");
    assert!(said.err.contains("notes.jsonl") && said.err.contains("bin.jsonl"), "{}", said.err);
    let piped = room.run_with(&["import", "-"], &fs::read(&files(&codex())[0]).unwrap()).fails(1);
    assert!(piped.contains("a session is read from its file"), "{piped}");
    room.run(&["import", "mixed", "--from", "claude-code", "--dry-run"]);
    fs::create_dir(room.path("empty")).unwrap();
    assert!(room.run(&["import", "empty", "--from", "codex"]).fails(3).contains("no sessions of Codex"));
    assert!(room.run(&["import"]).fails(2).contains("PATH"));
    let usage = room.run(&["export", "--to", "codex"]).fails(2);
    assert!(usage.contains("-o DIR"), "{usage}");
}

/// A store from elsewhere may name any file.
#[test]
fn an_export_writes_to_no_place_outside_of_its_directory() {
    for path in ["../out.jsonl", "/etc/out.jsonl", "", "a/../../out.jsonl"] {
        let room = Room::new();
        let metadata = format!(r#"{{"source":{{"tool":"codex","session":"s","path":"{path}"}}}}"#);
        room.run(&["new", "--id", "codex:s", "--metadata", &metadata]).fine();
        let said = export(&room, "codex", "below/here", 1);
        assert!(said.contains("is no name of a file"), "{said}");
        assert!(!room.path("below/out.jsonl").exists() && !room.path("out.jsonl").exists());
    }
}

/// What was added here, and what was forked here, is in no file of the tool.
#[test]
fn what_did_not_come_of_a_file_is_left_out_of_it_and_told() {
    let room = Room::new();
    import(&room, &codex());
    let session = format!("codex:{CODEX}");
    room.run(&["add", &session, "my own"]).fine();
    room.run(&["fork", &session, "--at", "msg_fake3416", "--id", "mine"]).fine();
    let said = export(&room, "codex", "out", 0);
    assert!(
        said.contains("1 item that did not come of its file") && said.contains("\"mine\" began with"),
        "{said}"
    );
    same(&room.path("out"), &codex());
    // A number that no file has so many lines for is a line that is missing, and no reason to stop.
    let line = r#"{"source":{"tool":"codex","line":1000000000000,"raw":"far"}}"#;
    let head = r#"{"source":{"tool":"codex","session":"far","path":"far.jsonl"}}"#;
    room.run(&["new", "--id", "codex:far", "--metadata", head]).fine();
    room.run(&["add", "codex:far", "x", "--metadata", line]).fine();
    let said = export(&room, "codex", "more", 1);
    assert!(said.contains("999999999999 lines of its file are not in the store"), "{said}");
    assert_eq!(files(&room.path("more")).len(), 3);
}

#[test]
fn files_of_one_name_in_two_sessions_are_two_and_what_is_no_file_is_refused() {
    let room = Room::new();
    let line = |session: &str, text: &str| {
        format!(
            "{{\"type\":\"user\",\"uuid\":\"u\",\"sessionId\":\"{session}\",\"message\":{{\"content\":\"{text}\"}}}}\n"
        )
    };
    for (folder, session) in [("h1", "s1"), ("h2", "s2")] {
        fs::create_dir_all(room.path("projects").join(folder)).unwrap();
        fs::write(room.path("projects").join(folder).join("agent-1.jsonl"), line(session, folder)).unwrap();
    }
    fs::write(room.path("projects/h1/empty.jsonl"), "").unwrap();
    let marked = format!("\u{feff}{}", line("marked", "Hi"));
    fs::write(room.path("projects/h1/marked.jsonl"), &marked).unwrap();
    let said = import(&room, &room.path("projects"));
    assert_eq!(counts(&said, 0)["conversations"], 3);
    assert!(
        said.err.contains("nothing is in this file yet") && said.err.contains("empty.jsonl"),
        "{}",
        said.err
    );
    assert_eq!(room.texts("claude-code:s2/agent-1"), ["h2"]);
    assert_eq!(room.texts("claude-code:marked"), ["Hi"]);
    let parent = &shown(&room, "claude-code:s1/agent-1")["metadata"]["parent"];
    assert_eq!(parent["conversation_id"], "claude-code:s1");
    export(&room, "claude-code", "out", 0);
    fs::remove_file(room.path("projects/h1/empty.jsonl")).unwrap();
    same(&room.path("out"), &room.path("projects"));
    // What was changed since stays as it is here, and the file is named.
    fs::write(room.path("projects/h2/agent-1.jsonl"), line("s2", "another")).unwrap();
    let said = import(&room, &room.path("projects"));
    assert!(said.code == Some(4) && said.err.contains("h2/agent-1.jsonl"), "{said:?}");
    let pipe = room.path("pipe.jsonl");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    assert!(room.run(&["import", "pipe.jsonl", "--from", "codex"]).fails(2).contains("this is none"));
}

#[test]
fn the_sessions_of_this_machine_are_listed_and_imported_without_a_path() {
    let room = Room::new();
    fs::create_dir_all(room.path("home/.claude")).unwrap();
    std::os::unix::fs::symlink(claude(), room.path("home/.claude/projects")).unwrap();
    let run = |args: &[&str]| {
        let mut command = room.command(args);
        command.env("HOME", room.path("home")).env("CODEX_HOME", codex().parent().unwrap());
        super::said(super::piped(command.env_remove("CLAUDE_CONFIG_DIR")))
    };
    let listed = run(&["sources", "--json"]).json();
    let of = |at: usize| (listed[at]["tool"].as_str().unwrap(), listed[at]["sessions"].as_u64().unwrap());
    assert_eq!((of(0), of(1)), (("claude-code", 2), ("codex", 2)));
    assert!(!room.store().exists(), "nothing is made by looking");
    assert_eq!(counts(&run(&["import", "--from", "claude-code", "--json"]), 0)["conversations"], 2);
    assert_eq!(counts(&run(&["import", "--from", "codex", "--json"]), 0)["conversations"], 2);
    let mut nowhere = room.command(&["import", "--from", "codex"]);
    let said = super::said(super::piped(nowhere.env("CODEX_HOME", room.path("no"))));
    assert!(said.code == Some(3) && said.err.contains("name their directory"), "{said:?}");
}
