//! Lists of chat messages go in, in every usual shape, wholly and once.

use std::fs;

use serde_json::{Value, json};

use super::Room;

fn counts(run: super::Said, code: i32) -> Value {
    assert_eq!(run.code, Some(code), "{run:?}");
    serde_json::from_str(&run.out).unwrap()
}

fn shown(room: &Room, id: &str) -> Value {
    room.run(&["show", id, "--json"]).json().remove(0)
}

#[test]
fn every_usual_shape_is_recognised() {
    let list = r#"[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}]"#;
    let object = format!(r#"{{"messages":{list}}}"#);
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&object).unwrap()).unwrap();
    for (name, text, ids) in [
        ("list.json", list.to_owned(), &["list"][..]),
        ("object.json", object.clone(), &["object"]),
        ("pretty.json", pretty, &["pretty"]),
        ("lines.jsonl", format!("{object}\n\n{object}\n"), &["lines", "lines-3"]),
        ("many.json", format!("[\n{object},\n{object}]"), &["many-1", "many-2"]),
        ("own.json", object.replacen('{', r#"{"id":"mine","title":"T","#, 1), &["mine"]),
    ] {
        let room = Room::new();
        fs::write(room.path(name), text).unwrap();
        let first = counts(room.run(&["import", name, "--json"]), 0);
        assert_eq!(
            (&first["conversations"], &first["messages"]),
            (&ids.len().into(), &(2 * ids.len()).into())
        );
        for id in ids {
            assert_eq!(room.texts(id), ["Be brief.", "Hi"], "{name}");
            assert_eq!(shown(&room, id)["messages"][0]["role"], "system");
        }
        let again = counts(room.run(&["import", name, "--json"]), 0);
        assert_eq!(
            (&again["messages"], &again["already_there"]),
            (&0.into(), &ids.len().into()),
            "{name}: nothing goes in twice"
        );
    }
}

#[test]
fn what_has_no_place_of_its_own_is_kept_in_the_metadata() {
    let room = Room::new();
    let calls = r#"[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"n\":10000000000000000000001}"}}]"#;
    let text = format!(
        r#"{{"id":"c","model":"m-1","created":1741878693,"messages":[
        {{"role":"assistant","content":null,"tool_calls":{calls}}},
        {{"role":"tool","tool_call_id":"call_1","content":"42","metadata":{{"n":10000000000000000000001}}}},
        {{"role":"user","name":"Ada","id":"own","content":[{{"type":"text","text":"Look: \ud83d\ude00"}},"and",
            {{"type":"image_url","image_url":{{"url":"data:x"}}}},{{"type":"text","text":"this"}}]}},
        {{"role":"user","content":"half \ud800"}}]}}"#
    );
    fs::write(room.path("in.json"), text).unwrap();
    let run = room.run(&["import", "in.json", "--json"]);
    assert!(run.err.contains("1 part of type image_url"), "{}", run.err);
    assert_eq!(counts(run, 0)["messages"], 4);
    let raw = room.run(&["show", "c", "--json"]).fine();
    assert!(raw.contains(r"half \ud800"), "{raw}");
    assert_eq!(raw.matches("10000000000000000000001").count(), 2, "{raw}");
    let chat: Value = serde_json::from_str(&raw.replace(r"\ud800", "")).unwrap();
    assert_eq!(chat["created_at"], "2025-03-13T15:11:33+00:00");
    assert_eq!(chat["metadata"], json!({"model": "m-1"}));
    let messages = chat["messages"].as_array().unwrap();
    assert_eq!(messages[0]["content"], "");
    assert_eq!(messages[0]["metadata"]["tool_calls"], serde_json::from_str::<Value>(calls).unwrap());
    assert_eq!(messages[1]["metadata"]["tool_call_id"], "call_1");
    assert_eq!((&messages[2]["content"], &messages[2]["id"]), (&"Look: 😀\nand\nthis".into(), &"own".into()));
    assert_eq!(messages[2]["metadata"]["name"], "Ada");
    assert_eq!(messages[2]["metadata"]["content"].as_array().unwrap().len(), 4);
}

#[test]
fn messages_a_line_are_one_conversation_that_may_grow() {
    let room = Room::new();
    let line = |role: &str, text: &str| json!({"role": role, "content": text}).to_string();
    let first = [line("user", "Hi"), String::new(), line("assistant", "Hello.")].join("\n");
    fs::write(room.path("talk.jsonl"), &first).unwrap();
    for (messages, there) in [(2, 0), (0, 1)] {
        let done = counts(room.run(&["import", "talk.jsonl", "--json"]), 0);
        assert_eq!((&done["messages"], &done["already_there"]), (&messages.into(), &there.into()));
    }
    fs::write(room.path("talk.jsonl"), format!("{first}\n{}\n", line("user", "More"))).unwrap();
    assert_eq!(counts(room.run(&["import", "talk.jsonl", "--json", "--from", "openai"]), 0)["messages"], 1);
    assert_eq!(room.texts("talk"), ["Hi", "Hello.", "More"]);
    let piped = room.run_with(&["import", "-", "--json"], first.as_bytes());
    assert_eq!(counts(piped, 0)["messages"], 2);
    // One line that is none: nothing goes in, for what is behind it would move up.
    let bad = format!("{}\n{{\"role\":7}}\nnonsense\n{}\n", line("user", "Hi"), line("user", "Ho"));
    fs::write(room.path("bad.jsonl"), bad).unwrap();
    let run = room.run(&["import", "bad.jsonl", "--json"]);
    assert!(run.err.contains("line 2: ") && run.err.contains("line 3: "), "{}", run.err);
    let done = counts(run, 1);
    assert_eq!((&done["conversations"], &done["bad_lines"]), (&0.into(), &2.into()));
}

#[test]
fn what_this_version_cannot_read_is_named_once_and_makes_no_store() {
    let room = Room::new();
    for (text, word) in [
        ("{\"sessionId\":\"s\",\"projectHash\":\"p\",\"messages\":[]}\n", "Gemini CLI"),
        ("root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\n", "no form that is known"),
        ("\0\x01\x02", "no form that is known"),
    ] {
        fs::write(room.path("in"), text).unwrap();
        let run = room.run(&["import", "in"]);
        let line = run.fails(1);
        assert!(line.contains(word) && line.contains("what can be read is lines of"), "{line}");
        let piped = room.run_with(&["import", "-"], text.lines().collect::<String>().as_bytes()).fails(1);
        assert!(piped.contains(word), "{piped}");
        assert!(!room.store().exists(), "{text}");
    }
    assert!(room.run(&["import", "--help"]).out.contains("claude.ai"));
}

#[test]
fn of_very_many_bad_lines_the_first_are_named_and_the_rest_are_counted() {
    let room = Room::new();
    fs::write(room.path("in"), "nonsense\n".repeat(5_000)).unwrap();
    let run = room.run(&["import", "in", "--from", "jsonl", "--json"]);
    let named = run.err.lines().filter(|line| line.contains("not imported: line ")).count();
    assert_eq!((named, run.err.contains("not imported: 4900 more")), (100, true));
    assert_eq!(counts(run, 1)["bad_lines"], 5_000);
}

/// As the Python package's history for `LangChain` keeps them.
#[test]
fn the_calls_of_a_langchain_conversation_are_chat_messages_calls() {
    let call = json!({"name": "weather", "args": {"city": "Bern", "n": 12_345}, "id": "call_1", "type": "tool_call"});
    let bad = json!({"name": "weather", "args": "{\"city\":", "id": "call_2", "error": "cut"});
    let data = json!({"type": "ai", "content": null, "tool_calls": [call], "invalid_tool_calls": [bad]});
    let asked = json!({"langchain": {"type": "ai", "data": data, "text": ["content"]}});
    let data = json!({"type": "tool", "content": null, "tool_call_id": "call_1", "status": "success"});
    let answered = json!({"langchain": {"type": "tool", "data": data, "text": ["content"]}});
    let room = Room::new();
    let mut lines = String::new();
    for (role, content, metadata) in [("assistant", "", asked), ("tool", "rain", answered)] {
        let line = json!({"type": "add_message", "conversation_id": "c", "content": content, "role": role, "metadata": metadata});
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    room.run_with(&["append"], lines.as_bytes()).fine();
    let out: Value = serde_json::from_str(&room.run(&["export", "--to", "openai"]).out).unwrap();
    let function = |arguments: &str| json!({"name": "weather", "arguments": arguments});
    let calls = json!([
        {"id": "call_1", "type": "function", "function": function("{\"city\":\"Bern\",\"n\":12345}")},
        {"id": "call_2", "type": "function", "function": function("{\"city\":")},
    ]);
    assert_eq!(out["messages"][0], json!({"role": "assistant", "content": "", "tool_calls": calls}));
    assert_eq!(out["messages"][1], json!({"role": "tool", "content": "rain", "tool_call_id": "call_1"}));
}

#[test]
fn what_came_in_as_chat_messages_goes_out_as_it_came() {
    let calls = json!([{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    let image = json!({"type": "image_url", "image_url": {"url": "data:x"}});
    let messages = json!([
        {"role": "user", "content": "Rain?", "name": "Ada", "id": "own", "created": 1_741_878_693},
        {"role": "assistant", "content": null, "tool_calls": calls, "refusal": null, "audio": null},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        {"role": "user", "content": [{"type": "text", "text": "Look:"}, image, "and"], "metadata": {"k": [1.5]}},
        {"role": "assistant", "tool_calls": calls},
        {"role": "assistant", "content": "", "cost": {"content": 3}},
    ]);
    let items = json!([
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Rain?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{\"a\":1}", "status": "completed"},
        {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "It rains.", "annotations": []}]},
    ]);
    let room = Room::new();
    for (name, list) in [("messages", &messages), ("items", &items)] {
        fs::write(room.path(&format!("{name}.json")), list.to_string()).unwrap();
        let done = counts(room.run(&["import", &format!("{name}.json"), "--json"]), 0);
        assert_eq!(done["messages"], list.as_array().unwrap().len());
        let out = room.run(&["export", name, "--to", "openai"]);
        assert_eq!(out.code, Some(0));
        let out: Value = serde_json::from_str(&out.out).unwrap();
        assert_eq!(&out["messages"], list);
        // By way of lines it is the same in another store.
        let other = Room::new();
        let lines = room.run(&["export", name]).fine();
        assert_eq!(other.run_with(&["import", "-"], lines.as_bytes()).code, Some(0));
        let out: Value = serde_json::from_str(&other.run(&["export", "--to", "openai"]).out).unwrap();
        assert_eq!(&out["messages"], list);
    }
    assert_eq!(room.texts("items"), ["Rain?", "", "{\"a\":1}", "rain", "It rains."]);
}

#[test]
fn an_edited_message_goes_out_as_it_is_now_and_what_is_left_out_is_said() {
    let room = Room::new();
    let image = json!({"type": "image_url", "image_url": {"url": "data:x"}});
    let list = json!([
        {"role": "user", "content": [{"type": "text", "text": "secret one"}, image, "secret two"]},
        {"role": "assistant", "content": null, "tool_calls": []},
    ]);
    fs::write(room.path("c.json"), list.to_string()).unwrap();
    assert_eq!(room.run(&["import", "c.json"]).code, Some(0));
    let edit = r#"{"type":"edit_message","conversation_id":"c","message_id":"m1","content":"[removed]"}"#;
    let more = concat!(
        "\n",
        r#"{"type":"edit_message","conversation_id":"c","message_id":"m2","content":"Now."}"#,
        "\n",
        r#"{"type":"add_message","conversation_id":"c","content":"here","metadata":{"tokens":3,"name":"Ada"}}"#,
        "\n",
        r#"{"type":"add_action","conversation_id":"c","action_type":"t"}"#,
        "\n",
        r#"{"type":"set_title","conversation_id":"c","title":"T"}"#,
        "\n",
        r#"{"type":"set_metadata","conversation_id":"c","metadata":{"k":1}}"#,
    );
    room.run_with(&["append"], format!("{edit}{more}").as_bytes()).fine();
    let said = room.run(&["export", "--to", "openai"]);
    let out: Value = serde_json::from_str(&said.out).unwrap();
    let now = json!([
        {"role": "user", "content": [{"type": "text", "text": "[removed]"}, image]},
        {"role": "assistant", "content": "Now.", "tool_calls": []},
        {"role": "user", "content": "here", "name": "Ada"},
    ]);
    assert_eq!(out["messages"], now);
    for what in
        ["1 action", "1 title", "the metadata of 1 conversation", "metadata of 1 message", "3 messages"]
    {
        assert!(said.err.contains(what), "{what}: {}", said.err);
    }
    assert!(!room.run(&["show", "c", "--json"]).fine().contains("secret"), "no old text is left");
}

#[test]
fn what_cannot_be_read_is_named_with_its_place_and_the_rest_goes_in() {
    let room = Room::new();
    let good = |id: &str| format!(r#"{{"id":"{id}","messages":[{{"role":"user","content":"x"}}]}}"#);
    let bad = [r#"{"messages":[{"content":"x"}]}"#, r#"{"messages":7}"#, "{", r#"{"other":1}"#];
    let lines = format!("{}\n{}\n{}\n{}\n{}\n{}\n", good("a"), bad[0], bad[1], bad[2], bad[3], good("b"));
    fs::write(room.path("in.jsonl"), lines).unwrap();
    let run = room.run(&["import", "in.jsonl", "--json"]);
    for (part, reason) in [
        ("line 2", "message 1: \"role\""),
        ("line 3", "\"messages\""),
        ("line 4", "EOF"),
        ("line 5", "missing"),
    ] {
        let line = run.err.lines().find(|line| line.contains(&format!("not imported: {part}: "))).unwrap();
        assert!(line.contains(reason) && line.ends_with("in in.jsonl"), "{line}");
    }
    let done = counts(run, 1);
    assert_eq!((&done["conversations"], &done["bad_lines"]), (&2.into(), &4.into()));
    let broken = format!("[{},{},{{\"id", good("c"), good("d"));
    fs::write(room.path("broken.json"), broken).unwrap();
    let run = room.run(&["import", "broken.json", "--json"]);
    assert!(run.err.contains("the list breaks off") && run.err.contains("byte "), "{}", run.err);
    assert_eq!(counts(run, 1)["conversations"], 2);
}

#[test]
fn a_conversation_that_has_grown_is_added_to_and_another_one_is_a_conflict() {
    let room = Room::new();
    let write = |texts: &[&str]| {
        let messages: Vec<Value> =
            texts.iter().map(|text| json!({"role": "user", "content": text})).collect();
        fs::write(room.path("chat.json"), json!({ "messages": messages }).to_string()).unwrap();
        room.run(&["import", "chat.json", "--json"])
    };
    assert_eq!(counts(write(&["a", "b"]), 0)["messages"], 2);
    assert_eq!(counts(write(&["a", "b", "c"]), 0)["messages"], 1);
    assert_eq!(room.texts("chat"), ["a", "b", "c"]);
    assert_eq!(counts(write(&["a", "x"]), 4)["conflicts"], 1);
    assert_eq!(room.texts("chat"), ["a", "b", "c"]);
    let twice = r#"{"id":"twice","messages":[]}"#;
    fs::write(room.path("twice.jsonl"), format!("{twice}\n{twice}\n")).unwrap();
    assert_eq!(counts(room.run(&["import", "twice.jsonl", "--json"]), 4)["conflicts"], 1);
}

#[test]
fn input_without_a_name_goes_in_once_too() {
    let room = Room::new();
    let text = br#"[{"role":"user","content":"Hi"}]"#;
    for (messages, there) in [(1, 0), (0, 1)] {
        let done = counts(room.run_with(&["import", "-", "--json"], text), 0);
        assert_eq!((&done["messages"], &done["already_there"]), (&messages.into(), &there.into()));
    }
    let other = br#"[{"role":"user","content":"Ho"}]"#;
    assert_eq!(
        counts(room.run_with(&["import", "-", "--json", "--from", "openai"], other), 0)["messages"],
        1
    );
    assert_eq!(room.run(&["ls", "--json"]).json().len(), 2);
}

#[test]
fn a_dry_run_counts_and_adds_nothing() {
    let room = Room::new();
    fs::write(room.path("in.json"), r#"[{"role":"user","content":"Hi"}]"#).unwrap();
    let tried = counts(room.run(&["import", "in.json", "--json", "--dry-run"]), 0);
    assert_eq!((&tried["conversations"], &tried["messages"]), (&1.into(), &1.into()));
    assert!(!room.store().exists());
    let done = counts(room.run(&["import", "in.json", "--json"]), 0);
    assert_eq!(done, tried, "it said what came");
    let again = counts(room.run(&["import", "in.json", "--json", "--dry-run"]), 0);
    assert_eq!((&again["messages"], &again["already_there"]), (&0.into(), &1.into()));
    fs::write(room.path("in.json"), r#"[{"role":"user","content":"Ho"}]"#).unwrap();
    assert_eq!(counts(room.run(&["import", "in.json", "--json", "--dry-run"]), 4)["conflicts"], 1);
    assert_eq!(room.run(&["stats", "--json"]).json()[0]["last_seq"], 2);
}

#[test]
#[cfg(unix)]
fn a_signal_stops_an_import_and_another_run_adds_the_rest() {
    use std::process::Command;
    let room = Room::new();
    let line = |number| format!(r#"{{"id":"c{number}","messages":[{{"role":"user","content":"x"}}]}}"#);
    let lines: Vec<String> = (0..60_000).map(line).collect();
    fs::write(room.path("in.jsonl"), lines.join("\n")).unwrap();
    let child = super::piped(&mut room.command(&["import", "in.jsonl", "--json"]));
    while !room.store().join("log/CONTROL").exists() {
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let run = super::said(child);
    if run.code == Some(0) {
        println!("skipped: the import was faster than the signal");
        return;
    }
    assert!(run.err.contains("stopped; "), "{run:?}");
    let done = counts(run, 130)["conversations"].as_u64().unwrap();
    assert_eq!(room.run(&["stats", "--json"]).json()[0]["conversations"], done);
    assert_eq!(counts(room.run(&["import", "in.jsonl", "--json"]), 0)["conversations"], 60_000 - done);
}

#[test]
#[cfg(unix)]
fn a_signal_is_heard_while_an_import_waits_for_input() {
    use std::io::Write;
    use std::process::Command;
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let room = Room::new();
        let mut child = super::piped(&mut room.command(&["import", "-", "--json"]));
        let mut stdin = child.stdin.take().unwrap();
        for id in ["a", "b"] {
            writeln!(stdin, r#"{{"id":"{id}","messages":[{{"role":"user","content":"x"}}]}}"#).unwrap();
        }
        // Neither waits for what may follow it.
        while room.run(&["show", "b"]).code != Some(0) {
            std::thread::yield_now();
        }
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let run = super::said(child);
        drop(stdin);
        assert!(run.err.contains("stopped; "), "{run:?}");
        assert_eq!(counts(run, code)["conversations"], 2);
        assert_eq!((room.texts("a"), room.texts("b")), (vec!["x".to_owned()], vec!["x".to_owned()]));
        assert!(room.run(&["verify"]).fine().starts_with("sound: "));
    }
}

/// A file of one conversation gave it the file's name, and once a second line had been added the first one went in
/// again under the name of its line. The first line has the file's name alone now, however many follow.
#[test]
fn a_file_that_grows_by_a_line_adds_that_line_only() {
    let line = |text: &str| format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#) + "\n";
    let room = Room::new();
    fs::write(room.path("f.jsonl"), line("one")).unwrap();
    assert_eq!(counts(room.run(&["import", "f.jsonl", "--json"]), 0)["conversations"], 1);
    fs::write(room.path("f.jsonl"), line("one") + &line("two")).unwrap();
    let grown = counts(room.run(&["import", "f.jsonl", "--json"]), 0);
    assert_eq!((&grown["conversations"], &grown["already_there"]), (&1.into(), &1.into()));
    assert_eq!((room.texts("f"), room.texts("f-2")), (vec!["one".to_owned()], vec!["two".to_owned()]));
}
