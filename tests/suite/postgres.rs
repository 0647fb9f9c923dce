//! A PostgreSQL server that goes away, and a network that cuts connections: callers hear the truth, and nothing is there twice.

#![expect(clippy::disallowed_methods, reason = "a server and a network take real time")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use aral_store::{Change, ErrorKind, Logged, MessageStore, NewMessage};

use crate::support::proxy::Proxy;
use crate::support::server;

/// What callers heard: the numbers of what was carried out, and what was not.
#[derive(Default)]
struct Heard {
    receipts: BTreeMap<String, u64>,
    failed: BTreeSet<String>,
}

/// Appends so many messages, each once.
fn append(store: &MessageStore, name: &str, count: u64, heard: &Mutex<Heard>) {
    for number in 0..count {
        let id = format!("{name}-{number}");
        let done = store.add_message("c1", NewMessage::new("x").id(id.clone()));
        let mut heard = heard.lock().unwrap();
        match done {
            Ok(receipt) => drop(heard.receipts.insert(id, receipt.seq)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Io, "{error}");
                assert!(!error.message().contains("whether it took place"), "{error}");
                heard.failed.insert(id);
            }
        }
    }
}

fn messages_by_number(store: &MessageStore) -> BTreeMap<u64, String> {
    let batches = store.events(1).unwrap();
    let events = batches.into_iter().flat_map(|(seq, events)| (seq..).zip(events));
    let name =
        |change| if let Change::AddMessage(message) = change { message.id.to_string() } else { panic!() };
    events.map(|(seq, event)| (seq, name(event.change))).collect()
}

/// Holds that a store has what was heard, and nothing else.
fn hold(url: &str, heard: &Heard) {
    let store = MessageStore::connect(url).unwrap();
    let is = messages_by_number(&store);
    let ought: BTreeMap<u64, String> = heard.receipts.iter().map(|(id, seq)| (*seq, id.clone())).collect();
    assert_eq!(is, ought);
    assert!(is.keys().copied().eq(1..=store.stats().unwrap().last_seq), "the numbers have gaps");
    assert!(is.values().all(|id| !heard.failed.contains(id)), "what failed is there");
    assert_eq!(store.verify().unwrap().damaged, []);
}

#[test]
fn a_commit_that_is_cut_off_is_reported_as_it_went_and_happens_once() {
    let Some(server) = server::shared() else { return };
    let proxy = Proxy::before(server, 4);
    let heard = Mutex::<Heard>::default();
    thread::scope(|scope| {
        for process in 0..2 {
            let store = Arc::new(MessageStore::connect(server::url_by(proxy.port, "cuts")).unwrap());
            for thread in 0..3 {
                let (store, heard) = (Arc::clone(&store), &heard);
                scope.spawn(move || append(&store, &format!("{process}-{thread}"), 25, heard));
            }
        }
    });
    let heard = heard.into_inner().unwrap();
    let cuts = proxy.cuts();
    println!("{} commits, {cuts} cut, {} failed", proxy.commits(), heard.failed.len());
    assert!(cuts >= 6, "{cuts} cuts are too few to tell");
    assert_eq!(heard.receipts.len() + heard.failed.len(), 150);
    hold(&server.url("cuts"), &heard);
}

/// Ends the others if one fails: they would go on for ever.
struct Failing<'a>(&'a AtomicBool, &'a AtomicBool);

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        self.1.store(thread::panicking(), Ordering::SeqCst);
    }
}

#[test]
fn a_server_that_is_started_anew_twice_loses_nothing_and_followers_go_on() {
    let Some(server) = server::start() else { return };
    let url = server.url("restarts");
    let (heard, is_over, has_failed) =
        (Mutex::<Heard>::default(), AtomicBool::new(false), AtomicBool::new(false));
    let reader = MessageStore::connect(&url).unwrap();
    let count = || heard.lock().unwrap().receipts.len();
    let seen = thread::scope(|scope| {
        let _failing = Failing(&is_over, &has_failed);
        let writers: Vec<_> = (0..4)
            .map(|process| {
                let (url, heard, is_over) = (&url, &heard, &is_over);
                scope.spawn(move || {
                    let store = MessageStore::connect(url).unwrap();
                    let mut round = 0;
                    while !is_over.load(Ordering::SeqCst) {
                        append(&store, &format!("{process}-{round}"), 5, heard);
                        round += 1;
                    }
                })
            })
            .collect();
        let follower = scope.spawn(|| {
            let (mut seen, mut follower) = (BTreeMap::new(), reader.follow(1).unwrap());
            loop {
                let Some(logged) = follower.next_logged().unwrap() else {
                    assert!(!has_failed.load(Ordering::SeqCst), "the end will not come");
                    thread::sleep(Duration::from_millis(2));
                    continue;
                };
                let Logged::Batch { seq, events } = logged else { panic!("something was skipped") };
                for (seq, event) in (seq..).zip(events) {
                    let Change::AddMessage(message) = event.change else {
                        panic!("nobody did anything else")
                    };
                    assert_eq!(seen.insert(seq, message.id.to_string()), None);
                    if message.id == "the end" {
                        return seen;
                    }
                }
            }
        });
        for mode in ["fast", "immediate"] {
            let before = count();
            server::wait_until("writing", || count() > before + 20);
            server.restart(mode);
        }
        let before = count();
        server::wait_until("writing after the restarts", || count() > before + 20);
        is_over.store(true, Ordering::SeqCst);
        for writer in writers {
            writer.join().unwrap();
        }
        let last = reader.add_message("c1", NewMessage::new("").id("the end")).unwrap();
        heard.lock().unwrap().receipts.insert("the end".to_owned(), last.seq);
        follower.join().unwrap()
    });
    let heard = heard.into_inner().unwrap();
    println!("{} receipts, {} failed", heard.receipts.len(), heard.failed.len());
    hold(&url, &heard);
    assert_eq!(seen, messages_by_number(&reader), "the follower saw something else");
}

#[test]
fn callers_of_one_process_share_their_commits() {
    let Some(server) = server::shared() else { return };
    let proxy = Proxy::before(server, 0);
    let store = MessageStore::connect(server::url_by(proxy.port, "shares")).unwrap();
    let before = proxy.commits();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| (0..10).for_each(|_| drop(store.add_message("c1", "x").unwrap())));
        }
    });
    let commits = proxy.commits() - before;
    assert_eq!(store.stats().unwrap().last_seq, 160);
    assert!((1..=80).contains(&commits), "{commits} commits for 160 messages from 16 threads");
}

#[test]
fn processes_that_create_a_store_at_once_create_it_once() {
    let Some(server) = server::shared() else { return };
    let url = server.url("created");
    let mut numbers: Vec<u64> = thread::scope(|scope| {
        let add = || MessageStore::connect(&url).unwrap().add_message("c1", "x").unwrap().seq;
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(add)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(server.sql("SELECT COUNT(*), MAX(next_seq) FROM created.aral_meta"), "1|9");
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    let Some(server) = server::shared() else { return };
    let url = server.url("newer");
    let store = MessageStore::connect(&url).unwrap();
    store.add_message("c1", "x").unwrap();
    server.sql("UPDATE newer.aral_meta SET schema_version = 99");
    // Also by one that was open before.
    assert_eq!(store.add_message("c1", "y").unwrap_err().kind(), ErrorKind::UnsupportedFormat);
    assert_eq!(MessageStore::connect(&url).unwrap_err().kind(), ErrorKind::UnsupportedFormat);
    let reading = MessageStore::options().read_only().connect(&url).unwrap_err();
    assert_eq!(reading.kind(), ErrorKind::UnsupportedFormat);
    assert_eq!(server.sql("SELECT schema_version, next_seq FROM newer.aral_meta"), "99|2");
}

#[test]
fn a_user_who_may_only_read_reads_and_is_told_so_of_writing() {
    let Some(server) = server::shared() else { return };
    let store = MessageStore::connect(server.url("guarded")).unwrap();
    store.add_message("c1", "x").unwrap();
    server.sql(
        "CREATE ROLE looker LOGIN; GRANT USAGE ON SCHEMA guarded TO looker; \
         GRANT SELECT ON ALL TABLES IN SCHEMA guarded TO looker",
    );
    let url = server.url("guarded").replace("app@", "looker:hunter2@");
    let reader = MessageStore::options().read_only().connect(&url).unwrap();
    assert_eq!(reader.conversation("c1").unwrap().unwrap().messages.len(), 1);
    assert_eq!(reader.verify().unwrap().damaged, []);
    let error = MessageStore::connect(&url).unwrap().add_message("c1", "y").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    let error = MessageStore::connect(url.replace("guarded", "elsewhere")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
}

#[test]
fn a_server_or_a_database_that_is_not_there_is_told_at_once_and_without_the_password() {
    let Some(server) = server::shared() else { return };
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let with_password = |url: String| url.replace("app@", "app:hunter2@");
    let absent = with_password(server.url("x")).replace("/postgres?", "/nowhere?");
    for (url, kind) in [
        (with_password(server::url_by(nobody, "x")), ErrorKind::Io),
        (absent, ErrorKind::NotFound),
        (server.url("x") + "&sslmode=require", ErrorKind::InvalidInput),
    ] {
        let error = MessageStore::connect(&url).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    let reading = MessageStore::options().read_only().connect(server.url("empty")).unwrap_err();
    assert_eq!(reading.kind(), ErrorKind::NotFound);
    assert_eq!(server.sql("SELECT COUNT(*) FROM pg_namespace WHERE nspname IN ('x', 'empty')"), "0");
}
