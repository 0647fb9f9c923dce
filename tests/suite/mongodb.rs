//! A store in a real MongoDB server: queries, what a server refuses, and a server that dies.
//!
//! Holds docs/mongodb.md to what it says: its queries are run here.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use aral_store::{
    Conversation, ErrorKind, JsonObject, MessageStore, Messages, Mutation, NewAction, NewConversation,
    NewMessage, Operation, Order, Text,
};
use mongodb::bson::{Bson, Document, doc};

use crate::support::mongod::{self, Server};

const BINARY: &str = env!("CARGO_BIN_EXE_aral-store");

fn fresh(server: &Server, name: &str) -> (String, MessageStore) {
    let database = format!("{name}-{}", server.port);
    let store = MessageStore::connect(server.url(&database)).unwrap();
    (database, store)
}

fn object(text: &str) -> JsonObject {
    JsonObject::parse(text).unwrap()
}

fn find(server: &Server, database: &str, collection: &str) -> Vec<Document> {
    server.find(database, doc! { "find": collection, "sort": { "_id": 1 }, "batchSize": 1000 })
}

/// The commands in the documentation, in their order.
fn documented() -> Vec<Document> {
    let text = include_str!("../../docs/mongodb.md");
    let blocks = text.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.map(|block| serde_json::from_str(block).unwrap()).collect()
}

/// A value whose integers are all of one type.
fn plain(value: Bson) -> Bson {
    if let Bson::Int32(n) = value {
        return Bson::Int64(n.into());
    }
    if let Bson::Document(document) = value {
        return document.into_iter().map(|(name, value)| (name, plain(value))).collect::<Document>().into();
    }
    value
}

#[test]
fn the_queries_of_the_documentation_answer_what_it_says() {
    for server in mongod::shared() {
        let (database, store) = fresh(server, "queries");
        let at = |text: &str| text.parse().unwrap();
        let message = |content: &str, role: &str, time: &str, metadata: &str| {
            NewMessage::new(content).role(role).created_at(at(time)).metadata(object(metadata))
        };
        let with = |model: &str, tokens: u32| {
            format!(r#"{{"model":"{model}","usage":{{"total_tokens":{tokens}}}}}"#)
        };
        store
            .append(Mutation::create_conversation("c1", NewConversation::new().title("Rain in Kyoto")))
            .unwrap();
        store.add_message("c1", message("Hello", "user", "2026-03-01T10:00:00+00:00", "{}")).unwrap();
        store
            .add_message("c1", message("Hi!", "assistant", "2026-03-01T10:00:01+00:00", &with("m1", 10)))
            .unwrap();
        store.add_message("c2", message("And?", "user", "2026-03-02T09:00:00+00:00", "{}")).unwrap();
        store
            .add_message("c2", message("So.", "assistant", "2026-03-02T09:00:02+00:00", &with("m1", 5)))
            .unwrap();
        store.add_message("c2", message("More?", "user", "2026-03-02T09:01:00+00:00", "{}")).unwrap();
        store
            .add_action("c2", NewAction::new("tool_call", object(r#"{"name":"search","error":null}"#)))
            .unwrap();
        store
            .add_action("c2", NewAction::new("tool_call", object(r#"{"name":"search","error":"away"}"#)))
            .unwrap();
        store.sync().unwrap();
        let answers: Vec<Vec<Document>> =
            documented().into_iter().map(|command| server.find(&database, command)).collect();
        let plain = |answers: Vec<Vec<Document>>| {
            let all = answers
                .into_iter()
                .map(|answer| answer.into_iter().map(|found| plain(found.into())).collect());
            all.collect::<Vec<Vec<Bson>>>()
        };
        let expected = [
            vec![doc! { "role": "user", "content": "Hello" }, doc! { "role": "assistant", "content": "Hi!" }],
            vec![
                doc! { "_id": { "day": "2026-03-01", "model": "m1" }, "tokens": 10_i64, "messages": 1 },
                doc! { "_id": { "day": "2026-03-02", "model": "m1" }, "tokens": 5_i64, "messages": 1 },
            ],
            vec![doc! { "_id": "search", "calls": 2, "failed": 1 }],
            vec![doc! { "conversation_id": "c2", "content": "More?" }],
            vec![doc! { "_id": "c2", "version": 5_i64, "last_seq": 8_i64 }],
        ];
        assert_eq!(plain(answers), plain(expected.into()));
        store.close().unwrap();
    }
}

#[test]
fn what_a_database_cannot_hold_is_beside_as_it_is_and_comes_back_exactly() {
    let Some(server) = mongod::shared().first() else { return };
    let (database, store) = fresh(server, "exact");
    let metadata = object(
        r#"{"big":100000000000000000000,"small":7,"float":1.0,"nan":NaN,"half":"\ud800","nul":"a\u0000b","$set":{"a.b":[]}}"#,
    );
    let half = Text::from_wtf8(b"x\xed\xa0\x80y".to_vec()).unwrap();
    let content = "long ".repeat(5 << 20);
    store
        .add_message("c\0", NewMessage::new(half.clone()).id(half.clone()).metadata(metadata.clone()))
        .unwrap();
    store
        .add_message(
            "c\0",
            NewMessage::new(content.clone()).metadata(object(r#"{"big":100000000000000000000}"#)),
        )
        .unwrap();
    store.sync().unwrap();
    assert!(store.verify().unwrap().is_sound());
    let [first, second]: [Document; 2] = find(server, &database, "aral_messages").try_into().unwrap();
    assert_eq!(first.get_str("metadata_json").unwrap(), metadata.as_json());
    assert_eq!(first.get_str("content").unwrap(), half.to_string_lossy());
    assert_eq!(first.get_document("exact").unwrap().get_binary_generic("content").unwrap(), half.as_wtf8());
    assert!(first.get("metadata").is_none());
    assert_eq!(second.get_document("metadata").unwrap(), &doc! { "big": "100000000000000000000" });
    assert_eq!(second.get_array("truncated").unwrap(), &vec![Bson::from("content")]);
    assert_eq!(second.get_str("content").unwrap().len(), 2 << 20);
    store.close().unwrap();
    let store = MessageStore::connect(server.url(&database)).unwrap();
    // An object of 25 MiB is in parts, and a compaction makes more of them.
    store.compact().unwrap();
    let names = doc! { "find": "aral_parts", "projection": { "_id": 1 }, "batchSize": 1000 };
    let parts = server.find(&database, names).len();
    assert!(parts >= 4, "{parts}");
    let read: Conversation = store.conversation("c\0").unwrap().unwrap();
    assert_eq!((&read.messages[0].content, &read.messages[0].metadata), (&half, &metadata));
    assert_eq!(read.messages[1].content.as_str(), Some(content.as_str()));
    store.close().unwrap();
}

#[test]
fn documents_that_something_else_has_changed_are_told_and_a_repair_makes_them_anew() {
    for server in mongod::shared() {
        let (database, store) = fresh(server, "repair");
        for n in 0..3 {
            store.add_message("c1", NewMessage::new(format!("{n}"))).unwrap();
        }
        store.add_message("c2", "here").unwrap();
        store.append(Mutation::new("c2", Operation::RemoveConversation)).unwrap();
        store.sync().unwrap();
        assert!(
            find(server, &database, "aral_conversations").len() == 1 && store.verify().unwrap().is_sound()
        );
        let change = doc! { "q": { "place": 1_i64 }, "u": { "$set": { "content": "altered" } } };
        server.command(&database, doc! { "update": "aral_messages", "updates": [change] }).unwrap();
        let stray = doc! { "_id": { "c": "c2", "p": 0_i64 }, "conversation_id": "c2", "place": 0_i64, "as_of": 99_i64 };
        server.command(&database, doc! { "insert": "aral_messages", "documents": [stray] }).unwrap();
        let told = store.verify().unwrap().damaged;
        let said = |id: &str| {
            told.iter().find(|told| told.conversation_id.as_deref() == Some(id)).unwrap().reason.clone()
        };
        assert!(
            said("c1").contains("the one at place 1: its content is not what the events led to"),
            "{told:?}"
        );
        assert!(
            said("c2").contains("no such conversation") && said("c2").contains("repair --in-place"),
            "{told:?}"
        );
        store.close().unwrap();
        let report = MessageStore::options().repair_in_place(server.url(&database)).unwrap();
        assert!(report.is_complete() && report.notes.len() == 2, "{report:?}");
        assert_eq!((report.conversations, report.messages), (1, 3));
        let store = MessageStore::options().read_only().connect(server.url(&database)).unwrap();
        assert!(store.verify().unwrap().is_sound());
        assert_eq!(find(server, &database, "aral_messages").len(), 3);
    }
}

#[test]
fn a_server_that_is_killed_again_and_again_loses_nothing_and_gives_nothing_twice() {
    for is_set in [true, false] {
        let Some(server) = mongod::start(is_set, &[]) else { return };
        let (_, store) = fresh(&server, "killed");
        let is_over = AtomicBool::new(false);
        let acknowledged: Vec<String> = thread::scope(|scope| {
            let writers: Vec<_> = (0..3)
                .map(|own| {
                    let (store, is_over) = (&store, &is_over);
                    scope.spawn(move || {
                        let mut mine = Vec::new();
                        for n in 0.. {
                            if is_over.load(Ordering::SeqCst) {
                                break;
                            }
                            let id = format!("t{own}-{n}");
                            match store.add_message(&format!("c{own}"), NewMessage::new("x").id(id.as_str()))
                            {
                                Ok(_) => mine.push(id),
                                Err(error) => assert_eq!(error.kind(), ErrorKind::Io, "{error}"),
                            }
                        }
                        mine
                    })
                })
                .collect();
            for _ in 0..3 {
                pause(400);
                server.kill();
                pause(200);
                server.start_again();
            }
            pause(400);
            is_over.store(true, Ordering::SeqCst);
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
        });
        let mut there: Vec<String> = Vec::new();
        for summary in store.conversations(Order::Created).unwrap() {
            let messages = store.messages(&summary.id, Messages::all()).unwrap();
            there.extend(messages.iter().map(|message| message.id.to_string_lossy().into_owned()));
        }
        let count = there.len();
        there.sort();
        there.dedup();
        assert_eq!(there.len(), count, "twice");
        assert!(acknowledged.len() > 10, "{}", acknowledged.len());
        let lost: Vec<&String> = acknowledged.iter().filter(|id| there.binary_search(id).is_err()).collect();
        assert!(lost.is_empty(), "{lost:?}");
        assert_eq!(store.stats().unwrap().last_seq, u64::try_from(count).unwrap());
        store.sync().unwrap();
        let report = store.verify().unwrap();
        assert!(report.is_sound() && report.notes.is_empty(), "{report:?}");
        store.close().unwrap();
    }
}

#[test]
fn a_replica_set_whose_primary_is_killed_goes_on_and_shows_everything_that_was_acknowledged() {
    let Some((mut servers, url)) = mongod::start_three() else { return };
    let url = url.replace("DATABASE", "three");
    let (writer, reader) =
        (MessageStore::connect(&url).unwrap(), MessageStore::options().read_only().connect(&url).unwrap());
    for n in 0..5 {
        writer.add_message("c", NewMessage::new("x").id(format!("a{n}"))).unwrap();
        assert_eq!(reader.messages("c", Messages::all()).unwrap().len(), n + 1);
    }
    writer.sync().unwrap();
    let is_primary = |server: &Server| {
        let hello = server.command("admin", doc! { "hello": 1 }).unwrap();
        hello.get_bool("isWritablePrimary").unwrap()
    };
    let primary = servers.iter().position(is_primary).unwrap();
    drop(servers.remove(primary));
    for n in 5..10 {
        writer.add_message("c", NewMessage::new("x").id(format!("a{n}"))).unwrap();
        assert_eq!(reader.messages("c", Messages::all()).unwrap().len(), n + 1);
    }
    writer.sync().unwrap();
    let report = reader.verify().unwrap();
    assert!(report.is_sound() && report.notes.is_empty(), "{report:?}");
    // Without a majority nothing can be confirmed: an error that says so, and nothing that might be old.
    drop(servers.remove(0));
    let error = writer.add_message("c", "x").unwrap_err();
    assert!(error.kind() == ErrorKind::Io && error.to_string().contains("primary"), "{error}");
    assert_eq!(reader.messages("c", Messages::all()).unwrap_err().kind(), ErrorKind::Io);
}

#[expect(clippy::disallowed_methods, reason = "a server takes real time to be in the middle of something")]
fn pause(millis: u64) {
    thread::sleep(std::time::Duration::from_millis(millis));
}

#[test]
fn who_may_not_and_what_is_not_there_is_told_with_the_remedy_and_no_password() {
    let Some(server) = mongod::start(false, &["--auth"]) else { return };
    let user = |name: &str, role: &str| {
        doc! { "createUser": name, "pwd": "se:cret", "roles": [{ "role": role, "db": "app" }] }
    };
    let root = doc! { "createUser": "root", "pwd": "se:cret", "roles": ["root"] };
    server.command("admin", root).unwrap();
    mongod::wait(async {
        let uri = format!("mongodb://root:se%3Acret@127.0.0.1:{}/admin", server.port);
        let client = mongodb::Client::with_uri_str(uri).await.unwrap();
        for (name, role) in [("writer", "readWrite"), ("reader", "read")] {
            client.database("admin").run_command(user(name, role)).await.unwrap();
        }
    });
    let url = |login: &str, behind: &str| format!("mongodb://{login}@127.0.0.1:{}/app?{behind}", server.port);
    let refused = |url: &str, kind: ErrorKind, words: &str| {
        let error = MessageStore::connect(url).unwrap_err();
        let text = error.to_string();
        assert!(error.kind() == kind && text.contains(words), "{:?} {text}", error.kind());
        assert!(!text.contains("cret") && !text.contains("writer"), "{text}");
    };
    let source = "authSource=admin";
    refused(
        &url("writer:wrong-secret", source),
        ErrorKind::InvalidInput,
        "does not accept the user or the password",
    );
    refused(&url("writer:se%3Acret", ""), ErrorKind::InvalidInput, "authSource=");
    refused(&format!("mongodb://127.0.0.1:{}/app", server.port), ErrorKind::ReadOnly, "readWrite");
    refused(&url("reader:se%3Acret", source), ErrorKind::ReadOnly, "open it read-only");
    refused(
        &url("writer:se%3Acret", "tls=true&serverSelectionTimeoutMS=2000&authSource=admin"),
        ErrorKind::InvalidInput,
        "tls=",
    );
    refused(
        &url("writer:se%3Acret", "replicaSet=rs9&serverSelectionTimeoutMS=2000&authSource=admin"),
        ErrorKind::Io,
        "replicaSet=",
    );
    refused(
        "mongodb://writer:se%3Acret@127.0.0.1:1/app?serverSelectionTimeoutMS=2000",
        ErrorKind::Io,
        "refuses connections",
    );
    let store = MessageStore::connect(url("writer:se%3Acret", source)).unwrap();
    store.add_message("c1", "hello").unwrap();
    store.close().unwrap();
    let reader = MessageStore::options().read_only().connect(url("reader:se%3Acret", source)).unwrap();
    assert_eq!(reader.messages("c1", Messages::all()).unwrap().len(), 1);
    assert!(reader.verify().unwrap().is_sound() && reader.stats().unwrap().documents_seq == Some(1));
    let nowhere = url("reader:se%3Acret", "authSource=admin&collectionPrefix=other_");
    let error = MessageStore::options().read_only().connect(nowhere).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let listed = Command::new(BINARY).args(["-d", &url("reader:se%3Acret", source), "ls"]).output().unwrap();
    assert!(listed.status.success() && String::from_utf8(listed.stdout).unwrap().contains("c1"));
    let stats =
        Command::new(BINARY).args(["-d", &url("reader:se%3Acret", source), "stats"]).output().unwrap();
    assert!(String::from_utf8(stats.stdout).unwrap().contains("documents_seq"));
}
