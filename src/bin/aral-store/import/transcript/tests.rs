//! Whatever lines a file has, they go in, and the file comes back.

use std::fs;
use std::path::Path;

use aral_store::MessageStore;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::{Map, Value};

use super::super::intake::{Intake, Purpose};
use super::{Looks, read};
use crate::lines::Source;
use crate::signals::Stop;
use crate::transcripts::Tool;
use crate::transcripts::source::{File, file};

/// The names and texts that the tools' lines have, so that their readers come to every corner.
const NAMES: &str = "type|subtype|uuid|parentUuid|sessionId|requestSessionId|timestamp|message|role|content|id|model|usage|text|\
                     thinking|name|input|tool_use_id|is_error|isMeta|cwd|payload|call_id|arguments|output|summary|\
                     history_base|thread_id|end_ordinal_exclusive|turn_id|toolCalls|args|result|functionResponse|response|\
                     thoughts|description|tokens|messages|input_tokens|status|contents|call_id|[$]set";
const TEXTS: &str = "user|assistant|system|text|tool_use|tool_result|thinking|response_item|session_meta|turn_context|\
                     token_usage_record|message|reasoning|function_call|function_call_output|gemini|a_response|error|\
                     2026-11-29T06:26:51Z|<command-name>x|[{]\"a\":1[}]|[a-z😀\"\\\\\n]{0,5}";

/// Takes a file in.
fn take(tool: Tool, path: &Path, intake: &mut Intake<'_>) {
    let mut lines = Source::File(path.to_owned()).open().unwrap();
    let looks = Looks::of(intake);
    read((tool, path), &mut lines, looks, &mut |step| step.carry_out(intake)).unwrap();
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        6 => TEXTS.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Value::from),
            2 => object_of(inner),
        ]
    })
}

fn object_of(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    vec((NAMES, value), 0..6).prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>()))
}

fn any_line() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => object_of(any_value()).prop_map(|value| value.to_string()),
        1 => any_value().prop_map(|value| value.to_string()),
        1 => "[ -~é\r\t]{0,12}",
        1 => " {1,3}[a-z]",
        1 => Just(r#"{"type":"user","message":{"content":"\ud800"},"n":1e999,"n":-0.0}"#.to_owned()),
    ]
}

proptest! {
    #![proptest_config(Config::with_cases(128))]

    #[test]
    fn any_lines_go_in_and_come_back_also_in_two_parts(
        tool in prop::sample::select(vec![Tool::ClaudeCode, Tool::Codex, Tool::GeminiCli, Tool::AgentFramework]),
        ought in vec(any_line(), 1..14),
        cut in any::<prop::sample::Index>(),
    ) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("session.jsonl");
        let text: String = ought.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        let store = MessageStore::in_memory();
        let cut = (0..=cut.index(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        for part in [text.get(..cut).unwrap(), &text, &text] {
            #[expect(clippy::disallowed_methods, reason = "the input is no part of the store")]
            fs::write(&path, part).unwrap();
            let mut intake = Intake::new(&store, Purpose::Add, Stop::default());
            take(tool, &path, &mut intake);
            prop_assert_eq!((intake.counts.conflicts, intake.counts.refused), (0, 0));
        }
        let ids: Vec<String> =
            store.conversations(aral_store::Order::Created).unwrap().into_iter().map(|found| found.id).collect();
        prop_assert_eq!(ids.len(), 1);
        let conversation = store.conversation(&ids[0]).unwrap().unwrap();
        prop_assert_eq!(file(&conversation, tool), File { lines: ought, ..File::default() });
    }
}

/// What fuzzers of the readers begin with, and what they have found.
#[test]
fn the_saved_lines_of_each_tool_go_in_and_come_back() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    for (tool, folder) in
        [(Tool::ClaudeCode, "claude_code"), (Tool::Codex, "codex"), (Tool::GeminiCli, "gemini_cli")]
    {
        #[expect(clippy::disallowed_methods, reason = "the input is no part of the store")]
        let saved: Vec<_> =
            fs::read_dir(corpus.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(saved.len() > 3, "{folder}");
        for path in saved {
            let store = MessageStore::in_memory();
            let mut intake = Intake::new(&store, Purpose::Add, Stop::default());
            take(tool, &path, &mut intake);
            let found = store.conversations(aral_store::Order::Created).unwrap();
            let conversation = store.conversation(&found[0].id).unwrap().unwrap();
            #[expect(clippy::disallowed_methods, reason = "the input is no part of the store")]
            let text = fs::read(&path).unwrap();
            let lines = file(&conversation, tool).lines;
            let whole = text.split(|byte| *byte == b'\n').take(lines.len()).map(<[u8]>::to_vec);
            assert_eq!(
                lines.into_iter().map(String::into_bytes).collect::<Vec<_>>(),
                whole.collect::<Vec<_>>()
            );
        }
    }
}
