//! Conversations out of other tools' documents go in message by message, and each document comes back byte for byte.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Room, Said, files};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/transcripts");

/// What the tools wrote, with how many messages and calls each has.
const DOCUMENTS: [(&str, &str, usize, usize); 12] = [
    ("ai-sdk", "ai-sdk-6.0.326/ui_messages.json", 5, 3),
    ("ai-sdk", "ai-sdk-7.0.173/ui_messages.json", 5, 3),
    ("pydantic-ai", "pydantic-ai-2.68.0/messages.json", 6, 2),
    ("llama-index", "llama-index-core-0.14.25/chat_store.json", 3, 1),
    ("llama-index", "llama-index-core-0.14.25/chat_memory_buffer.json", 3, 1),
    ("agent-framework", "agent-framework-core-1.23.0/session.json", 5, 2),
    ("agent-framework", "agent-framework-core-1.23.0/session_file_history.json", 0, 0),
    ("agent-framework", "agent-framework-core-1.23.0/history/s-a.jsonl", 5, 2),
    ("autogen", "autogen-agentchat-0.7.5/agent_state.json", 4, 2),
    ("autogen", "autogen-agentchat-0.7.5/messages.json", 4, 2),
    ("haystack", "haystack-ai-3.4.1/messages.json", 4, 1),
    ("chainlit", "chainlit-2.12.0/get_thread.json", 2, 1),
];

fn import(room: &Room, path: &Path) -> Said {
    room.run(&["import", path.to_str().unwrap(), "--json"])
}

#[track_caller]
fn counts(said: &Said, code: i32) -> Value {
    assert_eq!(said.code, Some(code), "{said:?}");
    serde_json::from_str(&said.out).unwrap()
}

fn all(room: &Room) -> Vec<Value> {
    let listed = room.run(&["ls", "--json"]).json();
    let ids = listed.iter().map(|line| line["id"].as_str().unwrap());
    ids.map(|id| room.run(&["show", id, "--json"]).json().remove(0)).collect()
}

fn actions<'v>(conversation: &'v Value, kind: &str) -> Vec<&'v Value> {
    let actions = conversation["actions"].as_array().unwrap();
    actions.iter().filter(|action| action["action_type"] == kind).map(|action| &action["data"]).collect()
}

fn texts(conversation: &Value) -> Vec<&str> {
    let messages = conversation["messages"].as_array().unwrap().iter();
    messages.map(|message| message["content"].as_str().unwrap()).collect()
}

/// What an export of a tool writes: its files' paths and contents.
fn exported(room: &Room, tool: &str, to: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let said = room.run(&["export", "--to", tool, "-o", to]);
    assert_eq!(said.code, Some(0), "{said:?}");
    files(&room.path(to))
        .into_iter()
        .map(|file| (file.clone(), fs::read(room.path(to).join(file)).unwrap()))
        .collect()
}

#[test]
fn each_document_comes_back_byte_for_byte_has_its_calls_paired_and_goes_in_once() {
    for (tool, document, messages, calls) in DOCUMENTS {
        let room = Room::new();
        let path = Path::new(FIXTURES).join(document);
        assert_eq!(counts(&import(&room, &path), 0)["conversations"], 1, "{document}");
        let again = counts(&import(&room, &path), 0);
        assert_eq!(
            (&again["messages"], &again["actions"], &again["already_there"]),
            (&json!(0), &json!(0), &json!(1))
        );
        let session = all(&room).remove(0);
        assert_eq!(texts(&session).len(), messages, "{document}");
        let (asked, answered) = (actions(&session, "tool_call"), actions(&session, "tool_result"));
        assert_eq!((asked.len(), answered.len()), (calls, calls), "{document}");
        for call in asked {
            assert!(answered.iter().any(|result| result["call_id"] == call["call_id"]), "{document}: {call}");
            assert!(call["input"].is_object() && call["name"].is_string(), "{document}: {call}");
        }
        if messages > 0 {
            assert_eq!(
                session["title"].as_str().unwrap().contains("HARBOUR"),
                tool != "chainlit",
                "{document}"
            );
        }
        let back = exported(&room, tool, "out");
        assert_eq!(back.len(), 1);
        assert_eq!(back[0].0.file_name(), path.file_name());
        assert_eq!(back[0].1, fs::read(&path).unwrap(), "{document}");
    }
}

#[test]
fn a_retry_of_pydantic_ai_looks_like_a_result_and_is_one_that_failed() {
    let room = Room::new();
    import(&room, &Path::new(FIXTURES).join("pydantic-ai-2.68.0/messages.json"));
    let session = all(&room).remove(0);
    let failed: Vec<bool> =
        actions(&session, "tool_result").iter().map(|result| result["is_error"] == true).collect();
    assert_eq!(failed, [false, true]);
    // As earlier versions have it, for a tool and for the answer itself.
    let old = r#"[{"parts":[{"content":"No such note.","tool_name":"lookup","tool_call_id":"c","part_kind":"retry-prompt"}],"kind":"request"}]"#;
    fs::write(room.path("old.json"), old).unwrap();
    assert_eq!(counts(&import(&room, &room.path("old.json")), 0)["messages"], 0);
    let old = all(&room).into_iter().find(|one| one["id"].as_str().unwrap().contains("old-")).unwrap();
    assert_eq!(
        actions(&old, "tool_result")[0],
        &json!({"call_id": "c", "output": "No such note.", "is_error": true})
    );
}

#[test]
fn a_document_that_is_written_anew_is_followed_and_comes_back_as_it_is_now() {
    let room = Room::new();
    let message =
        |id: &str, text: &str| json!({"id": id, "role": "user", "parts": [{"type": "text", "text": text}]});
    let path = room.path("chat.json");
    let mut ids = Vec::new();
    // It grows, what is in it is changed, and it loses the end.
    for (messages, now) in [
        (vec![message("a", "One"), message("b", "Two")], vec!["One", "Two"]),
        (vec![message("a", "One"), message("b", "Two"), message("c", "Three")], vec!["One", "Two", "Three"]),
        (vec![message("a", "One"), message("b", "2"), message("c", "Three")], vec!["One", "2", "Three"]),
        (vec![message("a", "One"), message("c", "Three")], vec!["One", "2", "Three"]),
        (vec![message("a", "One"), message("c", "Three"), message("b", "Two")], vec!["One", "Two", "Three"]),
    ] {
        let text = serde_json::to_string_pretty(&messages).unwrap();
        fs::write(&path, &text).unwrap();
        counts(&import(&room, &path), 0);
        let again = counts(&import(&room, &path), 0);
        assert_eq!(again["conversations"], 0, "{again}");
        let session = all(&room).remove(0);
        ids.push(session["id"].clone());
        assert_eq!(texts(&session), now);
        let to = format!("out{}", ids.len());
        assert_eq!(exported(&room, "ai-sdk", &to)[0].1, text.as_bytes());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[test]
fn documents_of_one_name_that_begin_alike_are_two() {
    let room = Room::new();
    for version in ["6.0.326", "7.0.173"] {
        import(&room, &Path::new(FIXTURES).join(format!("ai-sdk-{version}")));
    }
    assert_eq!((all(&room).len(), exported(&room, "ai-sdk", "out").len()), (2, 2));
}

/// As it is publicly described.
#[test]
fn exports_of_chatgpt_claude_ai_and_open_webui_are_conversations_with_their_trees() {
    let node = |id: &str, parent: Value, role: &str, text: &str| {
        json!({"id": id, "parent": parent, "children": [], "message": {"id": id, "author": {"role": role}, "create_time": 1_700_000_001.5,
            "content": {"content_type": "text", "parts": [text]}, "metadata": {"model_slug": "m"}}})
    };
    let mapping = json!({"r": {"id": "r", "message": null, "parent": null, "children": ["a"]}, "a": node("a", json!("r"), "user", "High water?"),
        "b": node("b", json!("a"), "assistant", "At six."), "c": node("c", json!("a"), "assistant", "At noon.")});
    let chatgpt = json!([{"title": "Tide", "create_time": 1_700_000_000.25, "mapping": mapping, "current_node": "c", "conversation_id": "one"},
        {"title": "", "create_time": 1_700_000_000.25, "mapping": {}, "id": "two"}]);
    let said = |id: &str, sender: &str, text: &str| {
        json!({"uuid": id, "sender": sender, "text": text, "created_at": "2024-01-01T00:00:00Z",
        "content": [{"type": "text", "text": text}]})
    };
    let claude = json!([{"uuid": "one", "name": "Tide", "created_at": "2024-01-01T00:00:00Z",
        "chat_messages": [said("a", "human", "High water?"), said("b", "assistant", "At six.")]}]);
    let of = |id: &str, parent: Value, role: &str, text: &str| json!({"id": id, "parentId": parent, "role": role, "content": text, "timestamp": 1_700_000_001});
    let webui = json!([{"id": "one", "title": "Tide", "created_at": 1_700_000_000, "chat": {"title": "Tide", "history": {"currentId": "b",
        "messages": {"a": of("a", Value::Null, "user", "High water?"), "b": of("b", json!("a"), "assistant", "At six.")}}}}]);
    for (tool, document, ought) in [
        ("chatgpt", chatgpt, &["High water?", "At six.", "At noon."][..]),
        ("claude-ai", claude, &["High water?", "At six."]),
        ("open-webui", webui, &["High water?", "At six."]),
    ] {
        let room = Room::new();
        let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
        fs::write(room.path("conversations.json"), &text).unwrap();
        counts(&import(&room, &room.path("conversations.json")), 0);
        assert_eq!(counts(&import(&room, &room.path("conversations.json")), 0)["conversations"], 0, "{tool}");
        let session = room.run(&["show", &format!("{tool}:one"), "--json"]).json().remove(0);
        assert_eq!((texts(&session), &session["title"]), (ought.to_vec(), &json!("Tide")), "{tool}");
        if tool != "claude-ai" {
            assert_eq!(session["messages"][1]["metadata"]["parent_id"], "a", "{tool}");
        }
        assert_eq!(exported(&room, tool, "out")[0].1, text.as_bytes(), "{tool}");
        // A document of which a conversation is gone would be no JSON.
        room.run(&["rm", &format!("{tool}:one"), "--yes"]);
        let said = room.run(&["export", "--to", tool, "-o", "less"]);
        assert!(files(&room.path(".")).iter().all(|file| !file.starts_with("less")), "{said:?}");
    }
}

#[test]
fn what_is_broken_in_a_document_is_named_with_its_file() {
    let room = Room::new();
    fs::create_dir(room.path("in")).unwrap();
    let deep = format!("[{{\"role\":\"user\",\"parts\":{}{}}}]", "[".repeat(10_000), "]".repeat(10_000));
    for (name, text) in [
        ("cut.json", r#"[{"role":"user","parts":[]},{"role":"#),
        ("odd.json", r#"[{"role":"user","parts":[]},7,"x"]"#),
        ("deep.json", &deep),
        ("package.json", r#"{"name":"x","version":"1"}"#),
    ] {
        fs::write(room.path("in").join(name), text).unwrap();
    }
    let said = import(&room, &room.path("in"));
    let done = counts(&said, 1);
    assert_eq!((&done["conversations"], &done["bad_lines"]), (&json!(2), &json!(3)), "{said:?}");
    assert!(
        said.err.contains("cut.json") && said.err.contains("odd.json") && !said.err.contains("package.json")
    );
    let back = exported(&room, "ai-sdk", "out");
    for (path, bytes) in back {
        assert_eq!(bytes, fs::read(room.path("in").join(path.file_name().unwrap())).unwrap());
    }
    let named = room.run(&["import", "in/package.json", "--from", "haystack"]);
    assert!(named.code == Some(1) && named.err.contains("it is no list"), "{named:?}");
}

#[test]
fn what_is_no_conversation_among_those_of_an_export_is_named_and_comes_back() {
    for (tool, talk) in [
        ("chatgpt", r#"{"conversation_id":"one","title":"Tide","mapping":{"a":{"id":"a","message":null}}}"#),
        (
            "claude-ai",
            r#"{"uuid":"one","name":"Tide","chat_messages":[{"uuid":"a","sender":"human","text":"High water?"}]}"#,
        ),
        (
            "open-webui",
            r#"{"id":"one","title":"Tide","chat":{"messages":[{"id":"a","role":"user","content":"High water?"}]}}"#,
        ),
    ] {
        let room = Room::new();
        let text = format!("[{talk},7,null]");
        fs::write(room.path("conversations.json"), &text).unwrap();
        let said = import(&room, &room.path("conversations.json"));
        assert_eq!(counts(&said, 1)["bad_lines"], 2, "{tool}: {said:?}");
        assert!(said.err.contains("no JSON object"), "{tool}: {said:?}");
        assert_eq!(exported(&room, tool, "out")[0].1, text.as_bytes(), "{tool}");
    }
}

/// The command that begins a session is printed with the prompt in it, line by line.
#[test]
fn false_user_lines_of_aider_are_none_and_its_history_comes_back_byte_for_byte() {
    let room = Room::new();
    let history = Path::new(FIXTURES).join("aider-0.86.2/.aider.chat.history.md");
    let whole = fs::read_to_string(&history).unwrap();
    fs::create_dir(room.path("repo")).unwrap();
    let path = room.path("repo/.aider.chat.history.md");
    let second = whole.rfind("\n# aider chat started at").unwrap();
    for end in [second - 40, second, whole.len() - 30, whole.len()] {
        let part = whole.get(..end).unwrap();
        fs::write(&path, part).unwrap();
        counts(&import(&room, &room.path("repo")), 0);
        assert_eq!(counts(&import(&room, &room.path("repo")), 0)["conversations"], 0);
        let back = exported(&room, "aider", &format!("out{end}"));
        assert_eq!((back.len(), String::from_utf8(back[0].1.clone()).unwrap().as_str()), (1, part));
    }
    let sessions = all(&room);
    assert_eq!(sessions.len(), 2);
    assert_eq!(
        texts(&sessions[0]),
        ["When does the FERRY leave?\n> quoted line\n#### a heading line", "The ferry leaves at 07:30."]
    );
    assert_eq!(texts(&sessions[1]), ["And the LIGHTHOUSE?", "The lighthouse blinks twice."]);
    assert_eq!(sessions[0]["messages"][0]["metadata"]["is_guess"], true);
    assert!(
        sessions[1]["created_at"].as_str().unwrap().starts_with("2026-11-29T06:47:44"),
        "{}",
        sessions[1]
    );
}
