//! Documents to query: what others find in the database, and what becomes of it when it is altered.

use std::thread;

use aral_store::{Edit, JsonObject, MessageStore, Mutation, NewAction, NewMessage, Operation};
use serde_json::{Value, json};

use super::laws::{DOCUMENTS, ask};
use crate::support::firestore::Fake;

fn object(json: &str) -> JsonObject {
    JsonObject::parse(json).unwrap()
}

/// What a query below a store's document finds.
fn find(fake: &Fake, parent: &str, query: &Value) -> Vec<Value> {
    let path = format!("{DOCUMENTS}/aral_stores/{parent}:runQuery");
    let (status, said) = ask(fake, &path, Some("owner"), &json!({ "structuredQuery": query }).to_string());
    assert_eq!(status, 200, "{said}");
    let found = said.as_array().unwrap().iter().filter_map(|answer| answer.get("document")).cloned();
    found.map(|document| document["fields"].clone()).collect()
}

fn all(fake: &Fake, parent: &str, collection: &str) -> Vec<Value> {
    find(fake, parent, &json!({ "from": [{ "collectionId": collection }] }))
}

fn texts(found: &[Value], field: &str) -> Vec<String> {
    found.iter().map(|fields| fields[field]["stringValue"].as_str().unwrap_or_default().to_owned()).collect()
}

fn current(store: &MessageStore) {
    store.sync().unwrap();
    let stats = store.stats().unwrap();
    assert_eq!(stats.documents_seq, Some(stats.last_seq), "{:?}", stats.documents_error);
    let report = store.verify().unwrap();
    assert!(report.is_sound(), "{report:?}");
}

#[test]
fn conversations_and_what_they_hold_are_found_by_anybody_who_queries() {
    let fake = Fake::emulator();
    let store = MessageStore::connect(fake.url("a/b")).unwrap();
    let metadata = object(r#"{"model":"m-1","usage":{"tokens":7},"big":100000000000000000000}"#);
    store.add_message("c/1", NewMessage::new("Hi").role("user").id("m1")).unwrap();
    store.add_message("c/1", NewMessage::new("Hello").role("assistant").metadata(metadata).id("m2")).unwrap();
    store.add_message("c/1", NewMessage::new("gone").id("m3")).unwrap();
    store
        .append(Mutation::add_action("c/1", NewAction::new("call", object(r#"{"name":"search"}"#))))
        .unwrap();
    let long = "x".repeat(700_000);
    store.add_message("other", NewMessage::new(long.as_str())).unwrap();
    store.append(Mutation::new("c/1", Operation::RemoveMessage("m3".into()))).unwrap();
    let edit = Edit::content("Hi!");
    store.append(Mutation::new("c/1", Operation::EditMessage { message_id: "m1".into(), edit })).unwrap();
    current(&store);
    let conversation = "a~b/aral_conversations/c~2F1";
    let messages = all(&fake, conversation, "aral_messages");
    assert_eq!(texts(&messages, "content"), ["Hi!", "Hello"]);
    let usage = &messages[1]["metadata"]["mapValue"]["fields"];
    assert_eq!(usage["usage"]["mapValue"]["fields"]["tokens"], json!({ "integerValue": "7" }));
    // No number becomes another.
    assert_eq!(usage["big"], json!({ "stringValue": "100000000000000000000" }));
    assert_eq!(texts(&all(&fake, conversation, "aral_actions"), "action_type"), ["call"]);
    let by_role = json!({
        "from": [{ "collectionId": "aral_messages" }],
        "where": { "fieldFilter": { "field": { "fieldPath": "role" }, "op": "EQUAL", "value": { "stringValue": "assistant" } } },
    });
    assert_eq!(texts(&find(&fake, conversation, &by_role), "id"), ["m2"]);
    let newest = json!({
        "from": [{ "collectionId": "aral_conversations" }], "limit": 1,
        "orderBy": [{ "field": { "fieldPath": "last_seq" }, "direction": "DESCENDING" }],
    });
    assert_eq!(texts(&find(&fake, "a~b", &newest), "id"), ["c/1"]);
    // What does not fit is cut, and says so.
    let cut = &all(&fake, "a~b/aral_conversations/other", "aral_messages")[0];
    assert_eq!(cut["content"]["stringValue"].as_str().unwrap().len(), 384 << 10);
    assert_eq!(cut["truncated"]["arrayValue"]["values"], json!([{ "stringValue": "content" }]));
    store.append(Mutation::new("c/1", Operation::RemoveConversation)).unwrap();
    current(&store);
    assert_eq!(all(&fake, conversation, "aral_messages").len(), 0);
    assert_eq!(texts(&all(&fake, "a~b", "aral_conversations"), "id"), ["other"]);
}

#[test]
fn the_largest_documents_are_within_the_limits() {
    let fake = Fake::emulator();
    let store = MessageStore::connect(fake.url("largest")).unwrap();
    // Half of a surrogate pair has to be kept beside what is shown of the text, and as much as there is room for.
    let broken = |length: usize| {
        let mut bytes = vec![b'x'; length - 3];
        bytes.extend([0xed, 0xa0, 0x80]);
        aral_store::Text::from_wtf8(bytes).unwrap()
    };
    let json = |length: usize| object(&format!(r#"{{"k":"{}"}}"#, "y".repeat(length - 8)));
    let numbers = format!("{{{}}}", (0..450).map(|n| format!(r#""{n}":{n}"#)).collect::<Vec<_>>().join(","));
    let id = "/".repeat(1000);
    let message = NewMessage::new(broken(384 << 10)).role(broken(16 << 10)).metadata(json(96 << 10));
    store.add_message(&id, message).unwrap();
    store.add_message(&id, NewMessage::new("z".repeat(2 << 20)).metadata(object(&numbers))).unwrap();
    store.append(Mutation::add_action(&id, NewAction::new(broken(16 << 10), json(384 << 10)))).unwrap();
    current(&store);
    // The journal has everything as it was.
    let messages = store.messages(&id, aral_store::Messages::all()).unwrap();
    assert!(messages[0].content == broken(384 << 10) && messages[1].content.len() == 2 << 20);
}

#[test]
fn who_is_late_replaces_no_document_of_a_later_event() {
    let fake = Fake::emulator();
    let url = fake.url("late");
    let store = MessageStore::connect(&url).unwrap();
    current(&store);
    let other = MessageStore::connect(&url).unwrap();
    current(&other);
    // Before the first one's document arrives, the other one has written what came behind it.
    let act = move || {
        let edit = Edit::content("later");
        other.append(Mutation::new("c", Operation::EditMessage { message_id: "m".into(), edit })).unwrap();
        other.sync().unwrap();
    };
    fake.faults().interrupt("earlier-document", Box::new(act));
    // In the object of the log the text is in base64.
    store.add_message("c", NewMessage::new("earlier-document").id("m")).unwrap();
    store.sync().unwrap();
    current(&store);
    let found = all(&fake, "late/aral_conversations/c", "aral_messages");
    assert_eq!(texts(&found, "content"), ["later"]);
}

#[test]
fn several_processes_keep_the_documents_whatever_happens_to_their_requests() {
    let fake = Fake::emulator();
    let url = fake.url("kept");
    drop(MessageStore::connect(&url).unwrap());
    fake.faults().draw(3, 30);
    thread::scope(|scope| {
        for own in 0..3 {
            let url = &url;
            scope.spawn(move || {
                let store = MessageStore::connect(url).unwrap();
                for n in 0..10 {
                    let id = format!("{own}-{n}");
                    store
                        .append(Mutation::add_message("c", NewMessage::new("x").id(id.as_str())).key(&*id))
                        .unwrap();
                    if n % 3 == 2 {
                        let removed = Operation::RemoveMessage(id.as_str().into());
                        store.append(Mutation::new("c", removed).key(format!("r{id}"))).unwrap();
                    }
                    if n == 5 {
                        store.compact().unwrap();
                    }
                }
            });
        }
    });
    fake.faults().draw(0, 0);
    let store = MessageStore::connect(&url).unwrap();
    current(&store);
    assert_eq!(all(&fake, "kept/aral_conversations/c", "aral_messages").len(), 21);
}

/// What somebody does to the fields of a document.
type Act = fn(&mut serde_json::Map<String, Value>);

#[test]
fn documents_that_were_altered_are_named_and_made_anew() {
    let fake = Fake::emulator();
    let url = fake.url("altered");
    let store = MessageStore::connect(&url).unwrap();
    for n in 0..3 {
        store.add_message("c", NewMessage::new(format!("{n}"))).unwrap();
    }
    store.add_message("d", "x").unwrap();
    current(&store);
    store.close().unwrap();
    let alterations: [(&str, Act); 4] = [
        ("/aral_conversations/c", |fields| {
            drop(fields.insert("title".to_owned(), json!({ "stringValue": "!" })));
        }),
        ("/aral_messages/000000000001", |fields| drop(fields.remove("metadata"))),
        ("/aral_messages/000000000001", |fields| {
            drop(fields.insert("more".to_owned(), json!({ "nullValue": null })));
        }),
        ("/aral_messages/000000000002", |fields| fields.clear()),
    ];
    for (name, act) in alterations {
        fake.alter(|documents| {
            let stored = documents.iter_mut().find(|(path, _)| path.ends_with(name)).unwrap().1;
            act(&mut stored.fields);
        });
        let store = MessageStore::connect(&url).unwrap();
        let report = store.verify().unwrap();
        let damaged = &report.damaged[0];
        assert_eq!(damaged.conversation_id.as_deref(), Some("c"), "{name}: {report:?}");
        assert!(damaged.reason.contains("repair --in-place"), "{}", damaged.reason);
        store.close().unwrap();
        let report = MessageStore::options().repair_in_place(&url).unwrap();
        assert!(report.is_complete() && report.notes.len() == 1, "{report:?}");
        current(&MessageStore::connect(&url).unwrap());
    }
    // A mark that is none is nobody's, and what it says is made anew.
    fake.alter(|documents| {
        let mark = documents.iter_mut().find(|(path, _)| path.ends_with("/aral_mark/documents")).unwrap().1;
        mark.fields.remove("seq");
    });
    let store = MessageStore::connect(&url).unwrap();
    store.add_message("c", "on").unwrap();
    current(&store);
}
