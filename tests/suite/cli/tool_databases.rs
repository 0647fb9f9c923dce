//! Conversations out of other tools' databases go in row by row, and every row comes back.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::{Map, Value, json};

use super::{Room, Said, files};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/transcripts");

/// The databases that the tools wrote.
const DATABASES: [(&str, &str); 11] = [
    ("opencode", "opencode-1.18.33/opencode.db"),
    ("openai-agents", "openai-agents-0.24.0/sqlite_session.db"),
    ("openai-agents", "openai-agents-0.24.0/advanced_sqlite_session.db"),
    ("openai-agents", "openai-agents-0.24.0/sqlalchemy_session.db"),
    ("openai-agents", "openai-agents-0.24.0/encrypted_session.db"),
    ("langgraph", "langgraph-checkpoint-sqlite-3.1.2/checkpoints.db"),
    ("langgraph", "langgraph-checkpoint-sqlite-3.1.2/checkpoints_delta.db"),
    ("llm", "llm-0.36/logs.db"),
    ("google-adk", "google-adk-2.13.0/sqlite_session.db"),
    ("google-adk", "google-adk-2.13.0/database_session.db"),
    ("chainlit", "chainlit-2.12.0/chainlit.db"),
];

/// A copy of a database in a directory of its own.
fn copied(room: &Room, database: &str) -> PathBuf {
    fs::create_dir_all(room.path("tool")).unwrap();
    let path = room.path("tool").join(Path::new(database).file_name().unwrap());
    fs::copy(Path::new(FIXTURES).join(database), &path).unwrap();
    path
}

fn import(room: &Room, path: &Path) -> Said {
    room.run(&["import", path.to_str().unwrap(), "--json"])
}

#[track_caller]
fn counts(said: &Said, code: i32) -> Value {
    assert_eq!(said.code, Some(code), "{said:?}");
    serde_json::from_str(&said.out).unwrap()
}

fn shown(room: &Room, id: &str) -> Value {
    room.run(&["show", id, "--json"]).json().remove(0)
}

fn ids(room: &Room) -> Vec<String> {
    let listed = room.run(&["ls", "--json"]).json();
    listed.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect()
}

fn actions<'v>(conversation: &'v Value, kind: &str) -> Vec<&'v Value> {
    let actions = conversation["actions"].as_array().unwrap();
    actions.iter().filter(|action| action["action_type"] == kind).map(|action| &action["data"]).collect()
}

fn texts(conversation: &Value) -> Vec<(&str, &str)> {
    let messages = conversation["messages"].as_array().unwrap().iter();
    messages.map(|one| (one["role"].as_str().unwrap(), one["content"].as_str().unwrap())).collect()
}

/// Every row of every table as an export writes it, read by SQLite itself.
fn rows(path: &Path) -> BTreeSet<String> {
    let database = Connection::open(path).unwrap();
    let mut found = BTreeSet::new();
    let tables: Vec<String> = database
        .prepare("SELECT name FROM pragma_table_list WHERE type = 'table' AND schema = 'main'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .filter(|name: &String| !["sqlite_sequence", "sqlite_schema"].contains(&name.as_str()))
        .collect();
    for table in tables {
        let mut statement = database.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut given = statement.query([]).unwrap();
        while let Some(row) = given.next().unwrap() {
            let mut members = Map::new();
            for (at, name) in names.iter().enumerate() {
                let value = match row.get_ref(at).unwrap() {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(number) => json!(number),
                    ValueRef::Real(number) => json!(number),
                    ValueRef::Text(text) => json!(std::str::from_utf8(text).unwrap()),
                    ValueRef::Blob(bytes) => json!({"base64": STANDARD.encode(bytes)}),
                };
                members.insert(name.clone(), value);
            }
            found.insert(json!({"table": table, "row": members}).to_string());
        }
    }
    found
}

#[test]
fn every_row_and_every_value_of_a_database_comes_back_and_goes_in_once() {
    for (tool, database) in DATABASES {
        let room = Room::new();
        let path = copied(&room, database);
        let before = fs::read(&path).unwrap();
        let done = counts(&import(&room, &path), 0);
        assert!(done["conversations"].as_u64().unwrap() >= 2, "{database}: {done}");
        let again = counts(&import(&room, &path), 0);
        assert_eq!(
            (&again["conversations"], &again["messages"], &again["actions"]),
            (&json!(0), &json!(0), &json!(0))
        );
        assert_eq!(again["already_there"], done["conversations"], "{database}");
        // Its files are as they were, and none is beside them.
        assert_eq!((fs::read(&path).unwrap(), files(&room.path("tool")).len()), (before, 1));
        let said = room.run(&["export", "--to", tool, "-o", "out"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        let lines: BTreeSet<String> = files(&room.path("out"))
            .iter()
            .flat_map(|file| {
                let text = fs::read_to_string(room.path("out").join(file)).unwrap();
                text.lines().map(str::to_owned).collect::<Vec<_>>()
            })
            .filter(|line| !line.contains(r#"{"table":"sqlite_schema""#))
            .collect();
        let ought = rows(&path);
        let lost: Vec<&String> = ought.difference(&lines).collect();
        let made_up: Vec<&String> = lines.difference(&ought).collect();
        assert_eq!((lost, made_up), (Vec::<&String>::new(), Vec::new()), "{database}");
        // What is looked at does not say all of it once more.
        let conversation = ids(&room).remove(0);
        assert!(!room.run(&["show", &conversation]).fine().contains("\"raw\""), "{database}");
    }
}

#[test]
fn the_talk_of_opencode_has_its_tools_paired_and_its_usage_once() {
    let room = Room::new();
    import(&room, &Path::new(FIXTURES).join("opencode-1.18.33"));
    let session = shown(&room, "opencode:ses_dda0f920fffewY4VXP244jSLAe");
    assert_eq!(session["title"], "I will look at both notes.");
    let metadata = &session["metadata"];
    assert_eq!((&metadata["cwd"], &metadata["version"]), (&json!("/home/ada/harbour"), &json!("1.18.33")));
    let said = [
        ("user", "\"Read the HARBOUR notes.\""),
        ("assistant", "I will look at both notes."),
        ("assistant", "High water is at 06:12 and three boats are moored. ⚓"),
        ("user", "\"When does the FERRY leave?\""),
        ("assistant", "The ferry leaves at 07:30."),
    ];
    assert_eq!(texts(&session), said);
    assert_eq!(actions(&session, "thinking")[0]["text"], "I should read the tide note first.");
    // The part that ends a step has the numbers of its message.
    let used: Vec<&Value> =
        session["actions"].as_array().unwrap().iter().map(|one| &one["metadata"]["usage"]).collect();
    let inputs: u64 = used.iter().filter_map(|usage| usage["input_tokens"].as_u64()).sum();
    assert_eq!(inputs, 430, "what the session's row has as its sum");
    // The fork's messages have the calls' ids of the first, and one call of it failed.
    let fork = shown(&room, "opencode:ses_dda0baf3cffe5sz4NWd60UMDae");
    for session in [&session, &fork] {
        let (calls, results) = (actions(session, "tool_call"), actions(session, "tool_result"));
        assert_eq!(calls.len(), results.len());
        for call in calls {
            assert_eq!(
                results.iter().filter(|result| result["call_id"] == call["call_id"]).count(),
                1,
                "{call}"
            );
        }
    }
    let failed: Vec<&Value> =
        actions(&fork, "tool_result").into_iter().filter(|result| result["is_error"] == true).collect();
    assert_eq!(failed[0]["output"], "File not found: /home/ada/harbour/absent.txt");
}

#[test]
fn a_row_that_the_tool_has_changed_is_changed_and_a_new_one_is_added_behind() {
    let room = Room::new();
    let path = copied(&room, "opencode-1.18.33/opencode.db");
    import(&room, &path);
    let id = "opencode:ses_dda0f920fffewY4VXP244jSLAe";
    room.run(&["rename", id, "My own title"]).fine();
    let tool = Connection::open(&path).unwrap();
    let part = "prt_225f0f2f9001LlSBh55sO7LdWk";
    tool.execute("UPDATE part SET data = '{\"type\":\"text\",\"text\":\"At noon.\"}' WHERE id = ?1", [part])
        .unwrap();
    tool.execute(
        "INSERT INTO part SELECT 'prt_z', message_id, session_id, time_created, time_updated, \
         '{\"type\":\"text\",\"text\":\"Or later.\"}' FROM part WHERE id = ?1",
        [part],
    )
    .unwrap();
    // What is there no more stays here.
    tool.execute("DELETE FROM part WHERE id = 'prt_225f09d50001X0mu75RJ9jMM3V'", []).unwrap();
    // Numbers of rows that are no key say nothing.
    tool.execute_batch("VACUUM").unwrap();
    drop(tool);
    let said = import(&room, &path);
    let done = counts(&said, 0);
    assert_eq!(
        (&done["conversations"], &done["messages"], &done["actions"]),
        (&json!(1), &json!(1), &json!(0)),
        "{said:?}"
    );
    assert!(said.err.contains("1 item had been changed at the source"), "{}", said.err);
    let session = shown(&room, id);
    let last: Vec<(&str, &str)> = texts(&session).into_iter().rev().take(2).collect();
    assert_eq!(last, [("assistant", "Or later."), ("assistant", "At noon.")]);
    assert_eq!(
        (&session["title"], session["actions"].as_array().unwrap().len()),
        (&json!("My own title"), 17)
    );
    let again = counts(&import(&room, &path), 0);
    assert_eq!((&again["conversations"], &again["already_there"]), (&json!(0), &json!(3)));
}

/// The branch that was made from the second turn has the rows of the first.
#[test]
fn branches_of_an_advanced_session_are_conversations_that_name_the_main_one() {
    let room = Room::new();
    import(&room, &Path::new(FIXTURES).join("openai-agents-0.24.0"));
    let found = ids(&room);
    let main = found.iter().find(|id| id.starts_with("openai-agents:adv-a-") && !id.contains('/')).unwrap();
    let other = shown(&room, &format!("{main}/other"));
    assert_eq!(other["metadata"]["parent"]["conversation_id"], main.as_str());
    let said = [
        "Look up the HARBOUR tide.",
        "High water is at 06:12. ⚓",
        "When does the FERRY leave?",
        "The ferry leaves at 07:30.",
    ];
    let main = shown(&room, main);
    assert_eq!(texts(&main).into_iter().map(|(_, text)| text).collect::<Vec<_>>(), said);
    let texts: Vec<&str> = texts(&other).into_iter().map(|(_, text)| text).collect();
    assert_eq!((texts[0], texts[3]), (said[0], "Again: The ferry leaves at 07:30."));
    let (calls, results) = (actions(&other, "tool_call"), actions(&other, "tool_result"));
    assert_eq!(
        (&calls[0]["input"]["name"], &results[0]["output"]),
        (&json!("tide"), &json!("note tide: Quay 3"))
    );
    let usage = |session: &Value| -> u64 {
        let actions = session["actions"].as_array().unwrap().iter();
        actions.filter_map(|one| one["metadata"]["usage"]["input_tokens"].as_u64()).sum()
    };
    assert_eq!(
        (usage(&main), usage(&other)),
        (30, 10),
        "turns that a branch shares were used on the main one"
    );
}

#[test]
fn what_an_encrypted_session_wrote_stays_as_it_is() {
    let room = Room::new();
    import(&room, &Path::new(FIXTURES).join("openai-agents-0.24.0/encrypted_session.db"));
    let id = ids(&room).into_iter().find(|id| id.contains("enc-a")).unwrap();
    let session = shown(&room, &id);
    assert_eq!(actions(&session, "record").iter().filter(|data| data["type"] == "encrypted").count(), 8);
    let raw = session["actions"][1]["metadata"]["source"]["raw"].as_str().unwrap();
    assert!(raw.contains("__enc__"), "{raw}");
}

#[test]
fn a_database_that_is_being_written_is_read_as_it_was_committed_and_none_of_its_files_is_changed() {
    let room = Room::new();
    let path = copied(&room, "opencode-1.18.33/opencode.db");
    let tool = Connection::open(&path).unwrap();
    tool.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;
         UPDATE session SET title = 'Committed';
         BEGIN IMMEDIATE; UPDATE session SET title = 'Not yet';",
    )
    .unwrap();
    let content = || {
        files(&room.path("tool"))
            .into_iter()
            .map(|file| (file.clone(), fs::read(room.path("tool").join(file)).unwrap()))
    };
    let before: Vec<_> = content().filter(|(file, _)| !file.to_str().unwrap().ends_with("-shm")).collect();
    assert_eq!(counts(&import(&room, &path), 0)["conversations"], 3);
    let after: Vec<_> = content().filter(|(file, _)| !file.to_str().unwrap().ends_with("-shm")).collect();
    assert_eq!(before, after);
    assert_eq!(shown(&room, "opencode:ses_dda0f920fffewY4VXP244jSLAe")["title"], "Committed");
    tool.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    // A file that SQLite would have to make beside it is not made.
    fs::create_dir(room.path("lone")).unwrap();
    tool.execute_batch("UPDATE session SET title = 'In the log'").unwrap();
    for end in ["", "-wal"] {
        fs::copy(room.path(&format!("tool/opencode.db{end}")), room.path(&format!("lone/opencode.db{end}")))
            .unwrap();
    }
    let said = room.run(&["import", "lone/opencode.db"]);
    assert!(said.code == Some(1) && said.err.contains("its -shm file is not"), "{said:?}");
    assert_eq!(files(&room.path("lone")).len(), 2);
    // Without a writer there is neither.
    drop(tool);
    assert_eq!(files(&room.path("tool")).len(), 1);
    for changed in [2, 0] {
        assert_eq!(counts(&import(&room, &path), 0)["conversations"], changed);
        assert_eq!(files(&room.path("tool")).len(), 1);
    }
}

#[test]
fn what_is_no_tools_database_is_refused_and_keeps_no_other_one_out() {
    let room = Room::new();
    let path = copied(&room, "opencode-1.18.33/opencode.db");
    let whole = fs::read(&path).unwrap();
    let at = |name: &str| room.path("tool").join(name);
    fs::write(at("short.db"), b"SQLite format 3\0").unwrap();
    fs::write(at("cut.db"), &whole[..20_000]).unwrap();
    let mut rotten = whole.clone();
    rotten[2_000..90_000].fill(0xff);
    fs::write(at("rotten.db"), rotten).unwrap();
    Connection::open(at("other.db"))
        .unwrap()
        .execute_batch("CREATE TABLE t(x); CREATE VIEW session AS SELECT 1")
        .unwrap();
    std::os::unix::fs::symlink("/etc/passwd", at("link.db")).unwrap();
    let said = import(&room, &room.path("tool"));
    let done = counts(&said, 1);
    assert!(done["conversations"].as_u64().unwrap() >= 3, "{said:?}");
    for name in ["short.db", "cut.db", "rotten.db"] {
        assert!(said.err.contains(name), "{name}: {}", said.err);
    }
    assert!(!said.err.contains("other.db") && !said.err.contains("link.db"), "{}", said.err);
    assert_eq!(texts(&shown(&room, "opencode:ses_dda0f920fffewY4VXP244jSLAe")).len(), 5);
    let named = room.run(&["import", "tool/other.db"]);
    assert!(
        named.code == Some(1) && named.err.contains("has the tables of no tool that is known"),
        "{named:?}"
    );
    let named = room.run(&["import", "tool/opencode.db", "--from", "openai-agents"]);
    assert!(named.code == Some(1) && named.err.contains("it is of opencode"), "{named:?}");
    let named = room.run(&["import", "tool/opencode.db", "--from", "codex"]);
    assert!(named.code == Some(1) && named.err.contains("it is of opencode"), "{named:?}");
}

#[test]
fn a_row_that_no_item_can_hold_is_named_and_the_others_go_in() {
    let room = Room::new();
    let path = copied(&room, "opencode-1.18.33/opencode.db");
    let tool = Connection::open(&path).unwrap();
    tool.execute("UPDATE part SET data = zeroblob(70000000) WHERE id = 'prt_225f07088001SmlvB4jL47JYgm'", [])
        .unwrap();
    drop(tool);
    let said = import(&room, &path);
    assert_eq!(counts(&said, 1)["bad_lines"], 1);
    assert!(
        said.err.contains("has 70") && said.err.contains("more than an item of a store may have"),
        "{}",
        said.err
    );
    assert_eq!(texts(&shown(&room, "opencode:ses_dda0f920fffewY4VXP244jSLAe")).len(), 4);
}
