//! What the rows of tools' databases become: the traps of each format, by what goes wrong in them.

use std::path::Path;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::Room;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/transcripts");

/// A store with what a database holds.
fn of(database: &str) -> Room {
    let room = Room::new();
    room.run(&["import", Path::new(FIXTURES).join(database).to_str().unwrap()]);
    room
}

fn shown(room: &Room, id: &str) -> Value {
    room.run(&["show", id, "--json"]).json().remove(0)
}

fn texts(conversation: &Value) -> Vec<&str> {
    let messages = conversation["messages"].as_array().unwrap().iter();
    messages.map(|message| message["content"].as_str().unwrap()).collect()
}

fn actions<'v>(conversation: &'v Value, kind: &str) -> Vec<&'v Value> {
    let actions = conversation["actions"].as_array().unwrap();
    actions.iter().filter(|action| action["action_type"] == kind).map(|action| &action["data"]).collect()
}

/// Holds that each call has one result.
fn paired(conversation: &Value, ought: usize) {
    let (calls, results) = (actions(conversation, "tool_call"), actions(conversation, "tool_result"));
    assert_eq!((calls.len(), results.len()), (ought, ought), "{conversation}");
    for call in calls {
        let answers = results.iter().filter(|result| result["call_id"] == call["call_id"]).count();
        assert_eq!(answers, 1, "{call}");
    }
}

fn inputs(conversation: &Value) -> u64 {
    let items = conversation["messages"].as_array().unwrap().iter();
    let items = items.chain(conversation["actions"].as_array().unwrap());
    items.filter_map(|item| item["metadata"]["usage"]["input_tokens"].as_u64()).sum()
}

const THREAD: &str = "langgraph:t-a-936dc2da";

/// Each checkpoint has all messages once more.
#[test]
fn a_message_of_langgraph_is_there_once_and_a_fork_is_a_conversation_of_its_own() {
    let room = of("langgraph-checkpoint-sqlite-3.1.2/checkpoints.db");
    let first = shown(&room, THREAD);
    let ought = [
        "Look up the HARBOUR tide.",
        "I will look.",
        "High water is at 06:12. ⚓",
        "When does the FERRY leave?",
        "The ferry leaves at 07:30.",
    ];
    assert_eq!(texts(&first), ought);
    assert_eq!((inputs(&first), &first["messages"][1]["metadata"]["model"]), (30, &json!("fake-1")));
    paired(&first, 2);
    let fork = shown(&room, &format!("{THREAD}/1f1ebbd8-fe56-60ff-8003-f122c886803b"));
    assert_eq!(fork["metadata"]["parent"]["conversation_id"], THREAD);
    assert_eq!(texts(&fork)[2..], ["When does the FERRY leave? (asked again)", "The ferry leaves at 07:30."]);
    paired(&fork, 2);
}

#[test]
fn the_messages_of_a_delta_checkpoint_without_messages_are_those_that_were_written() {
    let room = of("langgraph-checkpoint-sqlite-3.1.2/checkpoints_delta.db");
    let session = shown(&room, "langgraph:d-a-6920775f");
    let ought = ["HARBOUR tide?", "answer 1", "FERRY time?", "answer 3", "WHARF open?", "answer 5"];
    assert_eq!(texts(&session), ought);
}

#[test]
fn a_thread_of_langgraph_that_goes_on_keeps_its_name_also_when_it_was_forked() {
    let room = Room::new();
    std::fs::copy(
        Path::new(FIXTURES).join("langgraph-checkpoint-sqlite-3.1.2/checkpoints.db"),
        room.path("c.db"),
    )
    .unwrap();
    let whole = Connection::open(room.path("c.db")).unwrap();
    whole.execute_batch("CREATE TABLE later AS SELECT * FROM checkpoints WHERE checkpoint_id > '1f1ebbd8-fdea-7'; DELETE FROM checkpoints WHERE checkpoint_id > '1f1ebbd8-fdea-7'").unwrap();
    room.run(&["import", "c.db"]);
    assert_eq!(texts(&shown(&room, THREAD)).len(), 3);
    whole.execute_batch("INSERT INTO checkpoints SELECT * FROM later; DROP TABLE later").unwrap();
    assert_eq!(room.run(&["import", "c.db"]).code, Some(0));
    assert_eq!(texts(&shown(&room, THREAD)).len(), 5);
    assert_eq!(room.run(&["ls", "--json"]).json().len(), 3);
}

/// Two threads that hold the same talk have the same hashes.
#[test]
fn a_chain_of_hashes_that_threads_of_llm_share_is_in_each_of_them() {
    let room = Room::new();
    std::fs::copy(Path::new(FIXTURES).join("llm-0.36/logs.db"), room.path("logs.db")).unwrap();
    let tool = Connection::open(room.path("logs.db")).unwrap();
    let forked = "INSERT INTO threads SELECT '01zzz', 'Forked', tip_message_hash, id, datetime_utc FROM threads LIMIT 1;
                  INSERT INTO turns (id, thread_id, parent_message_hash, tip_message_hash, model, datetime_utc)
                  SELECT '01zzt', '01zzz', parent_message_hash, tip_message_hash, 'other', '2026-11-30T00:00:00+00:00' FROM turns LIMIT 1";
    tool.execute_batch(forked).unwrap();
    drop(tool);
    assert_eq!(room.run(&["import", "logs.db"]).code, Some(0));
    let first = shown(&room, "llm:01m8jzkdy5a7na7s339z189y6v");
    let fork = shown(&room, "llm:01zzz");
    assert_eq!(fork["metadata"]["parent"]["conversation_id"], "llm:01m8jzkdy5a7na7s339z189y6v");
    for session in [&first, &fork] {
        paired(session, 2);
        assert_eq!(texts(session).len(), 8, "{session}");
        assert_eq!((&session["messages"][0]["role"], texts(session)[0]), (&json!("system"), "Be brief."));
    }
    // A text of fragments is put together, and an answer has the model of the turn of its own thread.
    assert_eq!(texts(&first)[4], "High water 06:12, low water 12:31.\n\nWhen does the FERRY leave?");
    let model = |session: &Value| session["messages"][2]["metadata"]["model"].clone();
    assert_eq!((model(&first), model(&fork)), (json!("fake-1-2026"), json!("other")));
    assert_eq!(inputs(&first), 40);
    let failed = actions(&first, "tool_result").iter().filter(|result| result["is_error"] == true).count();
    assert_eq!(failed, 1);
    // A chain that leads into itself ends.
    let tool = Connection::open(room.path("logs.db")).unwrap();
    tool.execute_batch("UPDATE messages SET parent_hash = hash").unwrap();
    assert_eq!(room.run(&["import", "logs.db"]).code, Some(0));
}

#[test]
fn what_llm_wrote_before_it_had_threads_is_prompts_and_answers() {
    let room = Room::new();
    let tool = Connection::open(room.path("logs.db")).unwrap();
    tool.execute_batch(
        "CREATE TABLE conversations (id TEXT PRIMARY KEY, name TEXT, model TEXT);
         CREATE TABLE responses (id TEXT PRIMARY KEY, model TEXT, prompt TEXT, system TEXT, prompt_json TEXT, options_json TEXT,
           response TEXT, response_json TEXT, conversation_id TEXT, duration_ms INTEGER, datetime_utc TEXT, input_tokens INTEGER,
           output_tokens INTEGER);
         INSERT INTO conversations VALUES ('c', 'Boats', 'fake-1');
         INSERT INTO responses VALUES ('r', 'fake-1', 'How many boats?', 'Be brief.', NULL, '{}', 'Three.', NULL, 'c', 5,
           '2024-01-02T03:04:05.000006', 7, 2), ('s', 'fake-1', 'Alone?', NULL, NULL, '{}', 'Yes.', NULL, NULL, 5, NULL, NULL, NULL);",
    )
    .unwrap();
    drop(tool);
    assert_eq!(room.run(&["import", "logs.db"]).code, Some(0));
    let session = shown(&room, "llm:c");
    assert_eq!(texts(&session), ["Be brief.", "How many boats?", "Three."]);
    assert_eq!(
        (inputs(&session), &session["messages"][2]["created_at"]),
        (7, &json!("2024-01-02T03:04:05.000006+00:00"))
    );
    let others = room.run(&["export", "--to", "llm", "-o", "out"]);
    assert_eq!(others.code, Some(0), "{others:?}");
}

/// One service keeps times as numbers, the other as texts that do not say that they are in UTC.
#[test]
fn the_two_services_of_adk_give_the_same_talk_with_the_same_times() {
    for (database, id) in [
        ("google-adk-2.13.0/sqlite_session.db", "google-adk:notes/u1/s-a-33202145"),
        ("google-adk-2.13.0/database_session.db", "google-adk:notes/u1/s-a-5355e812"),
    ] {
        let room = of(database);
        let session = shown(&room, id);
        let ought = [
            "Look up the HARBOUR tide.",
            "I will look.",
            "High water is at 06:12. ⚓",
            "When does the FERRY leave?",
            "The ferry leaves at 07:30.",
        ];
        assert_eq!(texts(&session), ought, "{database}");
        paired(&session, 2);
        assert_eq!(inputs(&session), 30);
        assert_eq!(actions(&session, "thinking")[0]["text"], "I should look.");
        let time = session["messages"][0]["created_at"].as_str().unwrap();
        assert!(time.starts_with("2026-11-29T06:30:25.") && time.ends_with("+00:00"), "{time}");
    }
}

/// Its writes may overtake one another, so that an input is empty that was not.
#[test]
fn a_step_of_chainlit_without_an_input_has_none_and_no_empty_one() {
    let room = Room::new();
    std::fs::copy(Path::new(FIXTURES).join("chainlit-2.12.0/chainlit.db"), room.path("c.db")).unwrap();
    let id = "chainlit:11111111-1111-4111-8111-111111111111";
    room.run(&["import", "c.db"]);
    let session = shown(&room, id);
    assert_eq!((texts(&session)[0], &session["title"]), ("Look up the HARBOUR tide.", &json!("Tide talk")));
    paired(&session, 1);
    assert_eq!(actions(&session, "tool_call")[0]["input"]["name"], "n1");
    let tool = Connection::open(room.path("c.db")).unwrap();
    tool.execute_batch("UPDATE steps SET input = '', output = '' WHERE type = 'tool'").unwrap();
    drop(tool);
    let other = Room::new();
    std::fs::copy(room.path("c.db"), other.path("c.db")).unwrap();
    other.run(&["import", "c.db"]);
    let session = shown(&other, id);
    assert_eq!(
        (actions(&session, "tool_call")[0]["input"].is_null(), actions(&session, "tool_result").len()),
        (true, 0)
    );
}
