//! A store in Firestore, on a strict fake of it: limits, lost answers, tokens, and what is refused.
//!
//! Nothing here was seen on the service itself: see docs/testing.md for what rests on what.

mod laws;
mod queries;

use std::process::Command;
use std::thread;

use aral_store::{ErrorKind, MessageStore, Messages, Mutation, NewMessage, Order, SyncPolicy};

use crate::support::driver::{Driver, Home};
use crate::support::firestore::{ALL, Bill, DOCUMENT, Fake, Fault, Role, Said};
use crate::support::ops::{self, Settings};
use crate::support::simfs::SplitMix;

const BINARY: &str = env!("CARGO_BIN_EXE_aral-store");

fn ids(store: &MessageStore) -> Vec<String> {
    let conversations = store.conversations(Order::Created).unwrap();
    let messages =
        conversations.iter().flat_map(|summary| store.messages(&summary.id, Messages::all()).unwrap());
    messages.map(|message| message.id.to_string_lossy().into_owned()).collect()
}

#[test]
fn groups_and_documents_of_any_size_are_kept_within_the_limits_and_come_back() {
    let fake = Fake::emulator();
    let url = fake.bare_url("large");
    let store = MessageStore::connect(&url).unwrap();
    let sizes = [1, DOCUMENT - 70_000, DOCUMENT, 5 * DOCUMENT];
    let text = |size: usize| "\u{1f600}é\"\\\0x".chars().cycle().take(size / 2).collect::<String>();
    for (n, size) in sizes.into_iter().enumerate() {
        store.add_message("c", NewMessage::new(text(size)).id(format!("m{n}"))).unwrap();
    }
    let check = |store: &MessageStore| {
        let messages = store.messages("c", Messages::all()).unwrap();
        assert_eq!(messages.len(), sizes.len());
        for (message, size) in messages.iter().zip(sizes) {
            assert!(message.content == text(size).as_str(), "{size}");
        }
    };
    check(&store);
    store.compact().unwrap();
    check(&MessageStore::connect(&url).unwrap());
    assert!(store.verify().unwrap().is_sound());
    // What a compaction empties and removes takes its parts with it: those that are left are of what is there.
    store.add_message("c", "again").unwrap();
    store.compact().unwrap();
    fake.alter(|documents| {
        let uploads: Vec<String> = documents
            .iter()
            .filter(|(name, _)| name.contains("/aral_objects/"))
            .filter_map(|(_, stored)| Some(stored.fields.get("upload")?["stringValue"].as_str()?.to_owned()))
            .collect();
        let parts: Vec<&String> = documents.keys().filter(|name| name.contains("/aral_parts/")).collect();
        assert!(!parts.is_empty());
        for part in parts {
            assert!(uploads.iter().any(|upload| part.contains(upload.as_str())), "left over: {part}");
        }
    });
}

#[test]
fn requests_that_are_lost_doubled_refused_and_late_lead_to_what_the_oracle_says() {
    for seed in 0..3 {
        let fake = Fake::emulator();
        let settings =
            Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };
        let mut rng = SplitMix::new(seed);
        let mut driver = Driver::new(Home::Bucket(fake.bare_url("faults")), settings).unwrap();
        fake.faults().draw(seed, 100);
        for n in 0..60 {
            let op = ops::op(&mut rng);
            driver.run(&op).unwrap_or_else(|wrong| panic!("seed {seed}, operation {n}: {wrong}"));
        }
        driver.check().unwrap();
        fake.faults().draw(0, 0);
        driver.close().unwrap();
    }
}

#[test]
fn writers_that_meet_faults_write_everything_once() {
    let fake = Fake::emulator();
    let url = fake.url("writers");
    drop(MessageStore::connect(&url).unwrap());
    fake.faults().draw(7, 60);
    thread::scope(|scope| {
        for own in 0..3 {
            let url = &url;
            scope.spawn(move || {
                // Each is a process of its own as far as the store can tell.
                let store = MessageStore::connect(url).unwrap();
                for n in 0..12 {
                    let message = NewMessage::new("x").id(format!("{own}-{n}"));
                    store.append(Mutation::add_message("c", message).key(format!("{own}-{n}"))).unwrap();
                    if n % 6 == 5 {
                        store.compact().unwrap();
                    }
                }
            });
        }
    });
    fake.faults().draw(0, 0);
    let store = MessageStore::connect(&url).unwrap();
    let mut ids = ids(&store);
    ids.sort_unstable();
    let mut expected: Vec<String> =
        (0..3).flat_map(|own| (0..12).map(move |n| format!("{own}-{n}"))).collect();
    expected.sort_unstable();
    assert_eq!(ids, expected);
    assert!(store.verify().unwrap().is_sound());
}

#[test]
fn an_append_whose_answer_is_lost_in_any_way_takes_place_once() {
    let fake = Fake::emulator();
    let store = MessageStore::connect(fake.bare_url("lost")).unwrap();
    for (n, fault) in ALL.into_iter().enumerate() {
        fake.faults().plan(":commit", &[fault]);
        let receipt = store.add_message("c", NewMessage::new("x").id(format!("m{n}"))).unwrap();
        assert_eq!(receipt.seq, u64::try_from(n).unwrap() + 1, "{fault:?}");
    }
    // The same to one whose parts are in requests of their own.
    let large = "x".repeat(5 * DOCUMENT);
    for (n, fault) in ALL.into_iter().enumerate().filter(|(n, _)| n % 4 < 3) {
        for sound in 0..2 {
            fake.faults().plan(":commit", &vec![Fault::Twice; sound]);
            fake.faults().plan(":commit", &[fault]);
            store.add_message("c", NewMessage::new(large.as_str()).id(format!("l{n}-{sound}"))).unwrap();
        }
    }
    assert_eq!(ids(&store).len(), ALL.len() + 18);
    assert!(store.verify().unwrap().is_sound());
}

#[test]
fn what_the_service_refuses_is_an_error_that_names_the_remedy() {
    let fake = Fake::emulator();
    let url = fake.url("refused");
    for (wrong, kind, words) in [
        (url.replacen("(default)", "elsewhere", 1), ErrorKind::NotFound, "gcloud firestore databases create"),
        (url.replacen("shop-1", "shop-2", 1), ErrorKind::Io, "correct the URL"),
    ] {
        let error = MessageStore::connect(&wrong).unwrap_err();
        assert!(error.kind() == kind && error.message().contains(words), "{error}");
    }
    let reading = MessageStore::options().read_only().connect(&url).unwrap_err();
    assert_eq!(reading.kind(), ErrorKind::NotFound, "{reading}");
    // In another database of the same project it is another store.
    let other = MessageStore::connect(url.replacen("(default)", "chats-2", 1)).unwrap();
    other.add_message("c", "hi").unwrap();
    assert!(MessageStore::connect(&url).unwrap().conversations(Order::Created).unwrap().is_empty());
}

#[test]
fn tokens_are_renewed_once_they_are_refused_and_their_end_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for is_login in [false, true] {
        let fake = Fake::with_accounts();
        let file = dir.path().join(format!("{is_login}.json"));
        fake.write_credentials(&file, is_login);
        let url = format!("{}&credentials={}", fake.bare_url("tokens"), file.display());
        // Without credentials a request is anybody's.
        let anybody = MessageStore::connect(fake.url("tokens")).unwrap_err();
        assert!(anybody.message().contains("accept the credentials"), "{anybody}");
        let store = MessageStore::connect(&url).unwrap();
        store.add_message("c", "one").unwrap();
        assert_eq!(fake.accounts().given(), 1);
        fake.accounts().expire();
        store.add_message("c", "two").unwrap();
        assert_eq!((fake.accounts().given(), store.stats().unwrap().last_seq), (2, 2));
        fake.accounts().appoint(Role::Viewer);
        let error = store.add_message("c", "three").unwrap_err();
        assert!(error.message().contains("roles/datastore.user"), "{error}");
        let reader = MessageStore::options().read_only().connect(&url).unwrap();
        assert_eq!(reader.messages("c", Messages::all()).unwrap().len(), 2);
        fake.accounts().appoint(Role::Stranger);
        let error = reader.messages("c", Messages::all()).unwrap_err();
        assert!(error.message().contains("roles/datastore.viewer"), "{error}");
        fake.accounts().appoint(Role::User);
        fake.accounts().revoke();
        let error = store.add_message("c", "four").unwrap_err();
        let remedy = if is_login { "log in again" } else { "make another key" };
        assert!(error.message().contains(remedy) && error.message().contains("invalid_grant"), "{error}");
        assert!(!error.to_string().contains("SECRET") && !error.to_string().contains("ya29"), "{error}");
    }
}

#[test]
fn the_command_line_finds_the_emulator_and_the_machines_account_by_the_usual_variables() {
    let run = |variables: &[(&str, &str)], url: &str, args: &[&str]| {
        let mut command = Command::new(BINARY);
        for name in [
            "GOOGLE_APPLICATION_CREDENTIALS",
            "FIRESTORE_EMULATOR_HOST",
            "CLOUDSDK_CONFIG",
            "GCE_METADATA_HOST",
        ] {
            command.env_remove(name);
        }
        command
            .env("HOME", "/nowhere")
            .envs(variables.iter().copied())
            .args(["-d", url])
            .args(args)
            .output()
            .unwrap()
    };
    let emulator = Fake::emulator();
    let host = emulator.address().strip_prefix("http://").unwrap();
    let plain = "firestore://shop-1/(default)/agents/prod";
    let variables = [("FIRESTORE_EMULATOR_HOST", host)];
    assert!(run(&variables, plain, &["add", "c1", "Hello!"]).status.success());
    let shown = run(&variables, plain, &["show", "c1"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("Hello!"));
    let listed = run(&variables, &plain.replacen("shop-1", "SECRET-2", 1), &["ls"]);
    let error = String::from_utf8_lossy(&listed.stderr).into_owned();
    assert!(!listed.status.success() && error.contains("correct the URL"), "{error}");
}

#[test]
fn documents_that_were_altered_or_removed_by_hand_are_named() {
    let fake = Fake::emulator();
    let url = fake.bare_url("altered");
    let store = MessageStore::connect(&url).unwrap();
    store.add_message("c", NewMessage::new("x".repeat(2 * DOCUMENT))).unwrap();
    store.add_message("c", "last").unwrap();
    drop(store);
    fake.alter(|documents| {
        let part = documents.keys().find(|name| name.contains("/aral_parts/")).cloned().unwrap();
        documents.remove(&part);
    });
    let error = MessageStore::connect(&url).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.message().contains(".seg") && error.message().contains("part"), "{error}");
    fake.alter(|documents| {
        let head = documents.iter_mut().find(|(_, stored)| stored.fields.contains_key("upload")).unwrap().1;
        head.fields.remove("size");
    });
    let error = MessageStore::connect(&url).unwrap_err();
    assert!(error.kind() == ErrorKind::Corrupt && error.message().contains("altered"), "{error}");
}

#[test]
fn the_bill_is_what_the_documentation_says() {
    let fake = Fake::emulator();
    let url = fake.bare_url("bill");
    let store = MessageStore::connect(&url).unwrap();
    let cost = |act: &dyn Fn()| {
        let before = fake.bill();
        act();
        let after = fake.bill();
        Bill {
            requests: after.requests - before.requests,
            reads: after.reads - before.reads,
            writes: after.writes - before.writes,
            deletes: after.deletes - before.deletes,
        }
    };
    let bill = |requests, reads, writes, deletes| Bill { requests, reads, writes, deletes };
    assert_eq!(cost(&|| drop(store.add_message("c", "x").unwrap())), bill(1, 0, 1, 0));
    let large = "x".repeat(2 * DOCUMENT);
    assert_eq!(cost(&|| drop(store.add_message("c", large.as_str()).unwrap())), bill(1, 0, 3, 0));
    assert_eq!(cost(&|| drop(store.summary("c").unwrap())), bill(1, 1, 0, 0));
    store.compact().unwrap();
    assert_eq!(cost(&|| drop(MessageStore::options().read_only().connect(&url).unwrap())), bill(6, 6, 0, 0));
    // What a request is refused for costs nothing here; the service may bill it.
    assert_eq!(cost(&|| drop(MessageStore::connect(&url).unwrap())), bill(8, 6, 0, 0));
}

#[test]
fn documents_to_query_are_billed_beside() {
    let fake = Fake::emulator();
    let store = MessageStore::connect(fake.url("bill")).unwrap();
    store.add_message("c", "x").unwrap();
    store.sync().unwrap();
    let before = fake.bill();
    store.add_message("c", "y").unwrap();
    store.sync().unwrap();
    let after = fake.bill();
    // The object; then the mark twice, the conversation and the message. Whoever syncs while the thread is at it looks once more.
    assert_eq!((after.writes - before.writes, after.deletes - before.deletes), (5, 0));
    assert!((1..=3).contains(&(after.reads - before.reads)), "{after:?}");
}

/// For `tests/firestore_client.py`, which is Google's own client in Python.
#[test]
#[ignore = "serves another program until its standard input ends"]
fn the_fake_serves_another_program() {
    let fake = Fake::emulator();
    let store = MessageStore::connect(fake.url("python")).unwrap();
    store.add_message("c", "from Rust").unwrap();
    store.sync().unwrap();
    println!("SERVING {}", fake.address());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
    // Whatever the other program did, the store has not been touched.
    assert!(store.verify().unwrap().is_sound());
}

#[test]
fn a_service_that_does_not_recover_is_an_error_that_says_what_is_open() {
    let fake = Fake::emulator();
    let store = MessageStore::connect(fake.bare_url("down")).unwrap();
    fake.faults().plan(":commit", &[Fault::Answered(Said::Unavailable, true)]);
    fake.faults().plan(":batchGet", &[Fault::Answered(Said::Exhausted, false); 3]);
    // It took place, and is found once the service answers again.
    assert_eq!(store.add_message("c", NewMessage::new("x").id("m")).unwrap().seq, 1);
    assert_eq!(ids(&store), ["m"]);
}
