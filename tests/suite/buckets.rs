//! A store in a bucket of a real server: random mutations, many processes, and what servers refuse.
//!
//! What is tested here rests on servers that imitate S3; that the engine needs no more of one than it says is tested on a simulated
//! bucket, in `src/backend/journal/tests/`.

#![expect(clippy::disallowed_methods, reason = "a copy of a bucket is made on the real file system")]

#[cfg(feature = "cloud")]
mod refusals;

use std::collections::BTreeSet;
use std::process::Command;
use std::thread;

use aral_store::{ErrorKind, MessageStore, Messages, NewMessage, Order, SyncPolicy};

use crate::support::buckets;
use crate::support::driver::{Driver, Home};
use crate::support::ops::{self, Settings};
use crate::support::simfs::SplitMix;

const SETTINGS: Settings =
    Settings { sync: SyncPolicy::Always, first_segment_bytes: 8 << 10, compacts_on_close: false };

const BINARY: &str = env!("CARGO_BIN_EXE_aral-store");

fn urls(name: &str) -> Vec<String> {
    let url = |home| if let Home::Bucket(url) = home { Some(url) } else { None };
    buckets::of(name).into_iter().filter_map(url).collect()
}

#[test]
fn random_mutations_lead_to_what_the_oracle_says() {
    for (seed, home) in (0..).zip(buckets::of("model")) {
        let mut rng = SplitMix::new(seed);
        let mut driver = Driver::new(home.clone(), SETTINGS).unwrap();
        for n in 0..120 {
            let op = ops::op(&mut rng);
            driver.run(&op).unwrap_or_else(|wrong| panic!("{home:?}, operation {n}: {wrong}"));
        }
        driver.check().unwrap();
        driver.close().unwrap();
    }
}

#[test]
fn processes_and_threads_write_one_bucket_and_everything_is_there_once() {
    for url in urls("many") {
        drop(MessageStore::connect(&url).unwrap());
        let children: Vec<_> = (0..3)
            .map(|process| {
                let lines: String = (0..20)
                    .map(|n| {
                        let id = format!("p{process}-{n}");
                        format!(
                            r#"{{"type":"add_message","conversation_id":"c{}","content":"x","id":"{id}"}}"#,
                            n % 3
                        ) + "\n"
                    })
                    .collect();
                let (url, input) = (url.clone(), lines);
                thread::spawn(move || {
                    use std::io::Write;
                    use std::process::Stdio;
                    let mut child = Command::new(BINARY)
                        .args(["-d", &url, "append"])
                        .stdin(Stdio::piped())
                        .stdout(Stdio::piped())
                        .spawn()
                        .unwrap();
                    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
                    let output = child.wait_with_output().unwrap();
                    assert!(output.status.success());
                    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 20);
                })
            })
            .collect();
        let store = MessageStore::connect(&url).unwrap();
        thread::scope(|scope| {
            for own in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    for n in 0..10 {
                        store
                            .add_message(
                                &format!("c{}", n % 3),
                                NewMessage::new("y").id(format!("t{own}-{n}")),
                            )
                            .unwrap();
                        if own == 0 && n % 5 == 4 {
                            store.compact().unwrap();
                        }
                    }
                });
            }
        });
        for child in children {
            child.join().unwrap();
        }
        let mut ids = BTreeSet::new();
        for summary in store.conversations(Order::Created).unwrap() {
            for message in store.messages(&summary.id, Messages::all()).unwrap() {
                assert!(ids.insert(message.id.to_string_lossy().into_owned()), "twice: {:?}", message.id);
            }
        }
        assert_eq!((ids.len(), store.stats().unwrap().last_seq), (100, 100));
        assert!(store.verify().unwrap().is_sound());
        store.close().unwrap();
    }
}

#[test]
fn a_directory_is_backed_up_to_a_bucket_and_comes_back_from_it() {
    for url in urls("backup") {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("data");
        let run = |args: &[&str]| {
            let output = Command::new(BINARY).args(args).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            (output.status.code(), String::from_utf8(output.stdout).unwrap(), said)
        };
        let store = MessageStore::open(&dir).unwrap();
        store.add_message("c1", "one").unwrap();
        let (code, out, said) = run(&["-d", dir.to_str().unwrap(), "backup", &url]);
        assert!(code == Some(0) && out.contains("last_seq"), "{url}: {code:?} {out} {said}");
        store.compact().unwrap();
        store.add_message("c2", "two").unwrap();
        let mut replica = MessageStore::options().replica(&dir, &url).unwrap();
        assert_eq!(replica.pass().unwrap().last_seq, 2);
        for n in 0..3 {
            store.add_message("c1", format!("{n}")).unwrap();
            assert_eq!(replica.pass().unwrap().last_seq, 3 + n);
        }
        drop(replica);
        let (new, before) = (home.path().join("new"), home.path().join("before"));
        let (code, out, said) = run(&["restore", &url, "--to", new.to_str().unwrap()]);
        assert!(code == Some(0) && said.is_empty(), "{url}: {out} {said}");
        let again = MessageStore::open(&new).unwrap();
        for summary in store.conversations(Order::Created).unwrap() {
            assert_eq!(again.conversation(&summary.id).unwrap(), store.conversation(&summary.id).unwrap());
        }
        assert_eq!(again.stats().unwrap().last_seq, 5);
        let (code, _, said) = run(&["restore", &url, "--to", before.to_str().unwrap(), "--at", "2"]);
        assert_eq!(code, Some(0), "{url}: {said}");
        assert_eq!(MessageStore::open(&before).unwrap().stats().unwrap().messages, 2);
        let refused = MessageStore::connect(&url).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
    }
}

#[test]
fn what_a_server_refuses_is_an_error_that_names_the_remedy() {
    for place in buckets::places("refused") {
        let error = MessageStore::connect(place.url_in("not-there")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert!(error.message().contains("make it first"), "{error}");
        let reading = MessageStore::options().read_only().connect(place.url()).unwrap_err();
        assert_eq!(reading.kind(), ErrorKind::NotFound, "{reading}");
    }
}
