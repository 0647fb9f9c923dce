//! Whatever a chat message is made of, it comes back as it was, and with the text that it has been given since.

use aral_store::{ExportLine, Message, Text, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{put_together, taken_apart};

/// The message that a chat message becomes, as an import makes it.
fn kept(chat: &Value) -> Result<Message, String> {
    let apart = taken_apart(chat.to_string().as_bytes())?;
    let line = format!(
        r#"{{"type":"message","conversation_id":"c","id":{},"content":{},"role":{},"created_at":"{}","metadata":{}}}"#,
        apart.id.unwrap_or_else(|| "\"m1\"".to_owned()),
        apart.content,
        apart.role,
        apart.time.unwrap_or(Timestamp::EPOCH),
        apart.metadata
    );
    match ExportLine::from_json_line(line.as_bytes()) {
        Ok(ExportLine::Message { message, .. }) => Ok(message),
        other => Err(format!("{line}: {other:?}")),
    }
}

fn again(message: &Message) -> Value {
    serde_json::from_str(&put_together(message).json).unwrap()
}

/// A text that no other member has.
fn said() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => "said [a-z\"\\\\\n😀é]{0,12}".prop_map(Value::from),
        1 => Just(json!("")),
        1 => Just(json!("\n"))
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1.0e9..1.0e9).prop_map(Value::from),
        "[a-z_😀\"]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("[a-z_]{1,8}", inner), 0..4).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

fn part() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => (said(), "(input_|output_|)text").prop_map(|(text, kind)| json!({"type": kind, "text": text})),
        1 => said(),
        1 => said().prop_map(|text| json!({"type": "output_text", "text": text, "annotations": [{"at": 1}]})),
        1 => any_json().prop_map(|url| json!({"type": "image_url", "image_url": url})),
        1 => any_json().prop_map(|text| json!({"text": if text.is_string() { Value::Null } else { text }})),
    ]
}

fn content() -> impl Strategy<Value = Value> {
    prop_oneof![3 => said(), 1 => Just(Value::Null), 3 => vec(part(), 0..5).prop_map(Value::from)]
}

/// A member and what may be in it.
fn member() -> impl Strategy<Value = (String, Value)> {
    let call =
        json!({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"n\":1}"}});
    let name = |name: &str| Just(name.to_owned());
    prop_oneof![
        (name("tool_calls"), vec(Just(call), 0..3).prop_map(Value::from)),
        (name("tool_call_id"), Just(json!("call_1"))),
        (name("name"), any_json()),
        (name("refusal"), prop_oneof![Just(Value::Null), Just(json!("No."))]),
        (name("audio"), prop_oneof![Just(Value::Null), Just(json!({"id": "audio_1"}))]),
        (name("function_call"), any_json()),
        (name("id"), any_json()),
        ("created_at|created|timestamp|create_time", times()),
        (name("metadata"), any_json()),
        ("parts|contents|output|summary", vec(part(), 0..3).prop_map(Value::from)),
        ("chat_message_?|tool_calls_|content_|role_", any_json()),
        ("[a-z_]{1,9}", any_json())
            .prop_filter("a role is a role", |(name, _)| name != "role" && name != "content"),
    ]
}

fn times() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(1_741_878_693)),
        Just(json!("2025-03-13T15:11:33Z")),
        Just(json!("2025-03-13T15:11:33+00:00")),
        any_json(),
    ]
}

fn chats() -> impl Strategy<Value = Value> {
    let of_role =
        ("user|assistant|system|tool|developer|critic", prop::option::of(content()), vec(member(), 0..5));
    let message = of_role.prop_map(|(role, content, members)| {
        let mut chat: Map<String, Value> = members.into_iter().collect();
        chat.insert("role".to_owned(), role.into());
        chat.extend(content.map(|content| ("content".to_owned(), content)));
        Value::Object(chat)
    });
    let kind = "function_call|function_call_output|reasoning|custom_tool_call|web_search_call|item_reference";
    let texts = prop_oneof![said(), vec(part(), 0..3).prop_map(Value::from), any_json()];
    let item = (kind, "arguments|output|summary|input", texts, vec(member(), 0..4));
    let item = item.prop_map(|(kind, name, text, members)| {
        let mut chat: Map<String, Value> = members.into_iter().collect();
        chat.insert("type".to_owned(), kind.into());
        chat.insert(name, text);
        Value::Object(chat)
    });
    prop_oneof![2 => message, 1 => item]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_chat_message_comes_back_as_it_was(chat in chats()) {
        if let Ok(message) = kept(&chat) {
            prop_assert_eq!(again(&message), chat, "{}", message.metadata.as_json());
        }
    }

    #[test]
    fn an_edited_message_has_its_new_text_and_nothing_of_the_old(chat in chats(), new in "new [0-9]{0,9}") {
        if let Ok(mut message) = kept(&chat) {
            let old = message.content.clone();
            message.content = Text::from(&new);
            let is_now = again(&message).to_string();
            let quoted = Value::from(new.as_str()).to_string();
            prop_assert!(is_now.contains(quoted.trim_matches('"')), "{is_now}");
            // Its other members may have said the same by chance.
            let old = old.to_string_lossy();
            for said in old.split("said ").filter(|said| said.trim().len() > 6) {
                let said = Value::from(said.trim()).to_string();
                prop_assert!(!is_now.contains(said.trim_matches('"')), "{said} in {is_now}");
                prop_assert!(!message.metadata.as_json().contains(said.trim_matches('"')));
            }
        }
    }
}

#[test]
fn what_the_apis_write_is_kept_readable_and_once() {
    for (chat, text) in [
        (json!({"role": "assistant", "content": null, "tool_calls": [{"id": "call_1"}]}), ""),
        (json!({"role": "tool", "tool_call_id": "call_1", "content": "rain"}), "rain"),
        (
            json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{\"a\":1}"}),
            "{\"a\":1}",
        ),
        (json!({"type": "function_call_output", "call_id": "c", "output": "rain"}), "rain"),
        (
            json!({"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "why"}]}),
            "why",
        ),
        (json!({"role": "user", "parts": [{"type": "text", "text": "one"}, {"text": "two"}]}), "one\ntwo"),
        (json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}), ""),
    ] {
        let message = kept(&chat).unwrap();
        assert_eq!(message.content, text);
        assert!(text.is_empty() || !message.metadata.as_json().contains(text), "{:?}", message.metadata);
        assert_eq!(again(&message), chat);
    }
    for bad in [json!({"content": "x"}), json!({"role": 1}), json!({"role": "user", "content": 1}), json!([])]
    {
        assert!(kept(&bad).is_err(), "{bad}");
    }
}

#[test]
fn a_picture_stays_beside_an_edited_text_and_what_is_sealed_does_not() {
    let image = json!({"type": "image_url", "image_url": {"url": "data:x"}});
    let chat = json!({"role": "user", "content": [
        {"type": "text", "text": "old one"}, image, {"type": "text", "text": "old two"}]});
    let mut message = kept(&chat).unwrap();
    message.content = Text::from("[removed]");
    let text = json!({"type": "text", "text": "[removed]"});
    assert_eq!(again(&message), json!({"role": "user", "content": [text, image]}));
    let mut pictured = kept(&json!({"role": "user", "content": [image]})).unwrap();
    pictured.content = Text::from("[removed]");
    assert_eq!(again(&pictured), json!({"role": "user", "content": [text, image]}));
    let sealed = json!({"type": "reasoning", "summary": [{"text": "why"}], "encrypted_content": "x"});
    let mut sealed = kept(&sealed).unwrap();
    sealed.content = Text::from("[removed]");
    assert_eq!(again(&sealed), json!({"type": "reasoning", "summary": [{"text": "[removed]"}]}));
}

#[test]
fn what_earlier_versions_kept_whole_comes_back_unless_it_was_edited() {
    let parts = json!([{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {}}]);
    let mut message = Message::new("m1", "one", "user", Timestamp::EPOCH);
    let metadata = json!({"content": parts, "tool_calls": [], "name": 7, "tokens": 3}).to_string();
    message.metadata = aral_store::JsonObject::parse(&metadata).unwrap();
    assert_eq!(again(&message), json!({"role": "user", "content": parts, "tool_calls": []}));
    assert!(put_together(&message).lacks_metadata);
    message.content = Text::from("[removed]");
    assert_eq!(again(&message)["content"][0]["text"], "[removed]");
    assert!(!again(&message).to_string().contains("one"));
}
