//! Parts of a conversation as `show` gives them: by time, and by whole turns.

use serde_json::Value;

use super::Room;

fn with_a_call() -> Room {
    let room = Room::new();
    let chat = r#"{"id":"rain","messages":[
        {"role":"user","content":"Hello!","created_at":"2025-03-12T08:00:00Z"},
        {"role":"assistant","content":"Hello.","created_at":"2025-03-12T08:00:01Z"},
        {"role":"user","content":"Will it rain?","created_at":"2025-03-13T08:00:00Z"},
        {"role":"assistant","content":"","tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{}"}}],"created_at":"2025-03-13T08:00:01Z"},
        {"role":"tool","tool_call_id":"call_1","content":"rain","created_at":"2025-03-13T08:00:02Z"}]}"#;
    assert_eq!(room.run_with(&["import", "--from", "openai", "-"], chat.as_bytes()).code, Some(0));
    room
}

fn roles(room: &Room, args: &[&str]) -> Vec<String> {
    let shown = room.run(&[&["show", "rain", "--json"], args].concat()).json().remove(0);
    let role = |message: &Value| message["role"].as_str().unwrap().to_owned();
    shown["messages"].as_array().unwrap().iter().map(role).collect()
}

#[test]
fn a_window_of_whole_turns_begins_with_the_user_and_keeps_calls_and_results_together() {
    let room = with_a_call();
    assert_eq!(roles(&room, &["-n", "1"]), ["tool"]);
    for number in ["1", "2", "3", "4"] {
        assert_eq!(roles(&room, &["-n", number, "--whole-turns"]), ["user", "assistant", "tool"]);
    }
    assert_eq!(roles(&room, &["-n", "5", "--whole-turns"]).len(), 5);
    let transcript = room.run(&["show", "rain", "-n", "1", "--whole-turns"]).fine();
    assert!(
        transcript.contains("\n… 2 messages before these\n") && transcript.contains("Will it rain?"),
        "{transcript}"
    );
}

#[test]
fn messages_are_shown_by_time() {
    let room = with_a_call();
    assert_eq!(roles(&room, &["--since", "2025-03-13"]), ["user", "assistant", "tool"]);
    assert_eq!(roles(&room, &["--until", "2025-03-13"]), ["user", "assistant"]);
    assert_eq!(
        roles(&room, &["--since", "2025-03-12", "--until", "2025-03-13T10:00:02+02:00", "-n", "1"]),
        ["assistant"]
    );
    assert_eq!(roles(&room, &["--since", "24h"]), [""; 0]);
    let transcript = room.run(&["show", "rain", "--until", "2025-03-13"]).fine();
    assert!(
        transcript.contains(" · 5 messages") && transcript.contains("\n… 3 messages left out\n"),
        "{transcript}"
    );
    let refused = room.run(&["show", "rain", "--until", "yesterday"]).fails(2);
    assert!(refused.contains("--until \"yesterday\" is no point in time"), "{refused}");
}
