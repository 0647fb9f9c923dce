//! Any JSON and any text come back exactly, whichever engine keeps them, and each engine exports the same bytes.
//!
//! What is drawn holds what databases have no room for: half of a surrogate pair, NUL, `NaN`, integers of any length, keys in an
//! order. The number of cases is in `MODEL_CASES`.

use std::fmt::Write;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use aral_store::{
    ActionEdit, Edit, JsonObject, MessageStore, Messages, Mutation, NewAction, NewConversation, NewMessage,
    Operation, SyncPolicy, Text,
};

use crate::support::databases;
use crate::support::driver::{self, Home};
use crate::support::ops::Settings;
use crate::support::sources::{Sources, time};

const SETTINGS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

/// Code points, halves of pairs among them.
fn points() -> impl Strategy<Value = Vec<u32>> {
    let point = prop_oneof![
        4 => 0x20_u32..0x7f,
        2 => 0_u32..0x100,
        2 => 0xd7f0_u32..0xe010,
        1 => 0x1_0000_u32..0x11_0000,
    ];
    vec(point, 0..12)
}

/// The last six bits, as they stand behind the first byte of a character.
fn low(bits: u32) -> u8 {
    u8::try_from(0x80 | (bits & 0x3f)).unwrap()
}

/// A text of any code points; two halves of a pair that meet are not a text.
fn text() -> impl Strategy<Value = Text> {
    points().prop_filter_map("halves meet", |points| {
        let mut bytes = Vec::new();
        for point in points {
            match char::from_u32(point) {
                Some(character) => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
                None => bytes.extend([0xed, low(point >> 6), low(point)]),
            }
        }
        Text::from_wtf8(bytes).ok()
    })
}

/// A string as it may stand in JSON: with escapes, or without where that is possible.
fn string() -> impl Strategy<Value = String> {
    (points(), any::<bool>()).prop_map(|(points, escapes)| {
        let mut json = String::from("\"");
        for point in points {
            match char::from_u32(point) {
                Some(plain) if !escapes && plain >= ' ' && !"\"\\".contains(plain) => json.push(plain),
                Some(other) => {
                    for unit in other.encode_utf16(&mut [0; 2]) {
                        write!(json, "\\u{unit:04x}").unwrap();
                    }
                }
                None => write!(json, "\\u{point:04x}").unwrap(),
            }
        }
        json + "\""
    })
}

/// Numbers and names that other readers change or refuse.
const NAMED: [&str; 12] =
    ["null", "true", "false", "NaN", "Infinity", "-Infinity", "-0.0", "-0", "1", "1.0", "1e2", "1E400"];

/// Any value as JSON.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        proptest::sample::select(&NAMED[..]).prop_map(str::to_owned),
        "0|-?[1-9][0-9]{0,120}",
        any::<f64>()
            .prop_filter("these have names", |float| float.is_finite())
            .prop_map(|float| format!("{float:?}")),
        string(),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            vec((string(), inner), 0..5).prop_map(members),
        ]
    })
}

fn members(members: Vec<(String, String)>) -> String {
    let members: Vec<_> = members.into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("{{{}}}", members.join(", "))
}

fn object() -> impl Strategy<Value = JsonObject> {
    vec((string(), value()), 0..5).prop_map(|all| JsonObject::parse(&members(all)).unwrap())
}

/// A field without a name in the layout.
fn extra() -> impl Strategy<Value = JsonObject> {
    value().prop_map(|value| JsonObject::parse(&format!("{{\"x-field\":{value}}}")).unwrap())
}

/// What is written: texts and objects for every place that takes one.
type Drawn = (([Text; 2], [Text; 3]), [JsonObject; 3], JsonObject);

fn batch(id: &str, number: u64, (texts, objects, extra): &Drawn) -> Vec<Mutation> {
    let ([own, title], [content, role, other]) = texts.clone();
    let [one, two, three] = objects.clone();
    let mut conversation = NewConversation::new().title(title).metadata(one.clone()).created_at(time(number));
    conversation.extra = extra.clone();
    let mut message = NewMessage::new(content).role(role).metadata(two.clone()).created_at(time(number));
    (message.id, message.extra) = (Some(own.clone()), extra.clone());
    let mut action = NewAction::new(other.clone(), three).metadata(two).created_at(time(number));
    (action.id, action.extra) = (Some(own), extra.clone());
    let edit = Edit::content(other).metadata(one.clone());
    let change = |operation| Mutation::new(id, operation);
    vec![
        Mutation::reset_conversation(id, conversation),
        Mutation::add_message(id, message.clone()),
        Mutation::add_action(id, action.clone()),
        Mutation::add_message(id, message.id(format!("m{number}"))),
        change(Operation::EditMessage { message_id: format!("m{number}").into(), edit }),
        Mutation::add_action(id, action.id(format!("a{number}"))),
        change(Operation::EditAction { action_id: format!("a{number}").into(), edit: ActionEdit::data(one) }),
    ]
}

/// Holds what one store gives back to what was given, and to what another store gives back.
fn hold(store: &MessageStore, other: &MessageStore, id: &str, drawn: &Drawn) {
    let (([own, title], [content, role, text]), [one, two, three], extra) = drawn;
    let kept = store.conversation(id).unwrap().unwrap();
    assert_eq!((&kept.title, &kept.metadata, &kept.extra), (title, one, extra));
    let [message, edited] = &kept.messages[..] else { panic!("{kept:?}") };
    assert_eq!((&message.id, &message.content, &message.role), (own, content, role));
    assert_eq!((&message.metadata, &message.extra), (two, extra));
    assert_eq!((&edited.content, &edited.role, &edited.metadata, &edited.extra), (text, role, one, extra));
    let [action, edited] = &kept.actions[..] else { panic!("{kept:?}") };
    assert_eq!((&action.id, &action.action_type, &action.data), (own, text, three));
    assert_eq!((&action.metadata, &action.extra), (two, extra));
    assert_eq!((&edited.action_type, &edited.data, &edited.metadata), (text, one, two));
    assert_eq!(kept.metadata.as_json(), one.as_json());
    assert_eq!(Some(kept), other.conversation(id).unwrap());
    assert_eq!(store.message(id, own).unwrap(), other.message(id, own).unwrap());
    let of_role = Messages::all().role(role.clone());
    assert_eq!(store.messages(id, of_role.clone()).unwrap(), other.messages(id, of_role).unwrap());
}

/// Every file below a directory, by its name there.
#[expect(clippy::disallowed_methods, reason = "an export lies on the real file system")]
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            all.extend(
                files(&entry.path()).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)),
            );
        } else {
            all.push((name, std::fs::read(entry.path()).unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
fn any_json_and_any_text_come_back_exactly_from_every_engine() {
    let dir = tempfile::tempdir().unwrap();
    let mut homes = vec![Home::Memory, Home::Real(dir.path().join("data"))];
    homes.extend(databases::of(&dir.path().join("databases")));
    let open = |home: &Home| driver::open(home, SETTINGS, &Sources::default()).unwrap();
    let stores: Vec<_> = homes.iter().map(open).collect();
    let cases = std::env::var("MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let count = std::cell::Cell::new(0);
    let named = || text().prop_filter("an id and a title are not empty", |text| !text.is_empty());
    let texts = ([(); 2].map(|()| named()), [(); 3].map(|()| text()));
    let objects = [(); 3].map(|()| object());
    let ran = runner.run(&(texts, objects, extra()), |drawn| {
        count.set(count.get() + 1);
        let id = format!("c{}", count.get());
        let run = || {
            for store in &stores {
                drop(store.batch(batch(&id, count.get(), &drawn)).unwrap());
                hold(store, &stores[0], &id, &drawn);
            }
        };
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
            .map_err(|_| TestCaseError::fail("it came back otherwise"))
    });
    if let Err(failure) = ran {
        panic!("{failure}");
    }
    let exports: Vec<_> = stores
        .iter()
        .enumerate()
        .map(|(number, store)| {
            let to = dir.path().join(format!("export{number}"));
            store.export_aral(&to, None).unwrap();
            files(&to)
        })
        .collect();
    assert!(exports[0].len() > usize::try_from(cases).unwrap());
    for (export, home) in exports.iter().zip(&homes) {
        assert!(*export == exports[0], "{home:?} exports other bytes");
    }
}
