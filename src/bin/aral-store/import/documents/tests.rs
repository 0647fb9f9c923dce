//! Whatever a document holds, it goes in, and comes back as it was written last.

use std::collections::BTreeMap;
use std::fs;

use aral_store::{MessageStore, Order};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::{Map, Value, json};

use super::super::intake::{Intake, Purpose};
use super::take;
use crate::exit::Failure;
use crate::signals::Stop;
use crate::transcripts::source::{Source, parts};
use crate::transcripts::{Kept, Tool};

/// The names that the tools' documents have, so that their readers come to every corner.
const NAMES: &str = "id|role|parts|type|text|content|kind|part_kind|tool_name|tool_call_id|args|outcome|meta|usage|blocks|block_type|\
                     additional_kwargs|tool_calls|function|arguments|contents|call_id|result|message|author|parent|metadata|sender|\
                     uuid|chat_messages|toolCallId|state|input|output|models_usage|source|thought|steps|parentId|createdAt|timestamp";
const TEXTS: &str = "user|assistant|tool|text|tool-x|tool_call|function_call|function_result|text-delta|request|response|retried|\
                     success|user-prompt|tool-return|human|2026-11-29T06:26:51Z|[{]\"a\":1[}]|[a-z😀\"\\\\\n]{0,5}";

fn any_value() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), TEXTS.prop_map(Value::from)];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((NAMES, inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// The messages where this tool's documents have them.
fn document(tool: Tool, messages: &[Value], is_pretty: bool) -> String {
    let talk = |id: &str| {
        let nodes: Map<String, Value> =
            messages.iter().enumerate().map(|(at, one)| (at.to_string(), one.clone())).collect();
        match () {
            () if tool == Tool::Chatgpt => json!({"id": id, "mapping": nodes}),
            () if tool == Tool::ClaudeAi => json!({"uuid": id, "chat_messages": messages}),
            () => json!({"id": id, "chat": {"history": {"messages": nodes}}}),
        }
    };
    let value = match () {
        () if [Tool::Chatgpt, Tool::ClaudeAi, Tool::OpenWebui].contains(&tool) => {
            json!([talk("one"), talk("two")])
        }
        () if tool == Tool::LlamaIndex => json!({"store": {"k": messages, "l": messages}, "class_name": "S"}),
        () if tool == Tool::AgentFramework => {
            json!({"session_id": "s", "state": {"a": {"messages": messages}, "b": 1}})
        }
        () if tool == Tool::Chainlit => json!({"id": "t", "steps": messages}),
        () => Value::from(messages.to_vec()),
    };
    if is_pretty { serde_json::to_string_pretty(&value).unwrap() + "\n" } else { value.to_string() }
}

/// The document that a store has for a tool: what its newest conversations come to.
fn back(store: &MessageStore, tool: Tool) -> Vec<String> {
    let mut documents: BTreeMap<String, BTreeMap<u64, String>> = BTreeMap::new();
    for found in store.conversations(Order::Created).unwrap() {
        let conversation = store.conversation(&found.id).unwrap().unwrap();
        let source = Source::of(&conversation.metadata).unwrap();
        let (pieces, others) = parts(&conversation, tool);
        assert_eq!(others, 0);
        let text = pieces.into_iter().map(|piece| piece.raw).collect();
        documents.entry(source.path).or_default().insert(source.part, text);
    }
    documents.into_values().map(|parts| parts.into_values().collect()).collect()
}

proptest! {
    #![proptest_config(Config::with_cases(96))]

    #[test]
    fn any_document_goes_in_and_comes_back_also_when_it_is_written_anew(
        tool in prop::sample::select(
            Tool::ALL.into_iter().filter(|tool| tool.kept() == Kept::Document && *tool != Tool::Aider)
                .chain([Tool::Chainlit]).collect::<Vec<_>>()
        ),
        first in vec(any_value(), 1..5),
        second in vec(any_value(), 0..5),
        is_pretty in any::<bool>(),
    ) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("talk.json");
        let store = MessageStore::in_memory();
        // Its beginning stays, so that it is the same one.
        let second = [first[..1].to_vec(), second].concat();
        for messages in [&first, &first, &second, &first] {
            let text = document(tool, messages, is_pretty);
            #[expect(clippy::disallowed_methods, reason = "the input is no part of the store")]
            fs::write(&path, &text).unwrap();
            for again in [false, true] {
                let mut intake = Intake::new(&store, Purpose::Add, Stop::default());
                match take(&path, tool, &mut intake) {
                    Ok(()) => {}
                    Err(Failure::Input(_)) => return Ok(()),
                    Err(failure) => panic!("{failure:?}"),
                }
                prop_assert_eq!((intake.counts.conflicts, intake.counts.refused), (0, 0));
                if again {
                    prop_assert_eq!((intake.counts.messages, intake.counts.actions, intake.changed), (0, 0, 0));
                }
            }
            prop_assert!(back(&store, tool).contains(&text), "{}: {}", tool.name(), text);
        }
    }
}
