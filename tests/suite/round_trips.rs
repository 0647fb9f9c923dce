//! How often a call goes over the network, counted on the way: the waiting for it is most of what a call takes.

#![expect(clippy::disallowed_methods, reason = "a network takes threads of its own")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use aral_store::{Conversations, MessageStore, Messages, Mutation, Order, Search};

use crate::support::server::{self, Server};

/// A way to a server that counts how often the server was spoken to after it had spoken.
struct Way {
    port: u16,
    trips: Arc<AtomicU64>,
}

impl Way {
    fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, to) = (listener.local_addr().unwrap().port(), server.port);
        let trips = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&trips);
        // It ends with the process; who accepts keeps nothing from ending.
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(("127.0.0.1", to)).unwrap());
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let has_spoken = Arc::new(AtomicBool::new(true));
                let (from, into) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let (speaks, counted) = (Arc::clone(&has_spoken), Arc::clone(&counted));
                thread::spawn(move || copy(from, into, || speaks.store(true, Ordering::SeqCst)));
                thread::spawn(move || {
                    copy(client, server, || {
                        let is_next = has_spoken.swap(false, Ordering::SeqCst);
                        counted.fetch_add(is_next.into(), Ordering::SeqCst);
                    });
                });
            }
        });
        Self { port, trips }
    }

    /// How many round trips something takes.
    fn count(&self, act: impl FnOnce()) -> u64 {
        let before = self.trips.load(Ordering::SeqCst);
        act();
        self.trips.load(Ordering::SeqCst) - before
    }
}

/// Copies what comes, and calls before each part goes on.
fn copy(mut from: TcpStream, mut into: TcpStream, mut see: impl FnMut()) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        see();
        if into.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    from.shutdown(Shutdown::Both).ok();
    into.shutdown(Shutdown::Both).ok();
}

#[test]
fn appends_and_reads_take_the_round_trips_that_are_promised() {
    let Some(server) = server::shared() else { return };
    let way = Way::to(server);
    let store = MessageStore::connect(server::url_by(way.port, "trips")).unwrap();
    let add = |conversation: &str| drop(store.add_message(conversation, "x").unwrap());
    let keyed = |key: &str| drop(store.append(Mutation::add_message("c1", "x").key(key)).unwrap());
    let batch = || (0..20).map(|n| Mutation::add_message(format!("c{}", n % 3), "x")).collect::<Vec<_>>();
    // A statement is prepared when it is needed first.
    (0..10).for_each(|_| add("c1"));
    keyed("k0");
    // The first of them begins conversations, which is something else.
    (0..2).for_each(|_| drop(store.batch(batch()).unwrap()));
    add("new");
    store.messages("c1", Messages::last(10)).unwrap();
    let id = store.messages("c1", Messages::last(1)).unwrap()[0].id.clone();
    store.message("c1", &id).unwrap();

    assert_eq!(way.count(|| add("newer")), 2, "to a conversation that was not there");
    assert_eq!(way.count(|| keyed("k1")), 2, "with a key");
    assert_eq!(way.count(|| keyed("k1")), 2, "with a key that was used");
    assert_eq!(way.count(|| add("c1")), 1, "to a conversation that was written before");
    assert_eq!(way.count(|| drop(store.batch(batch()).unwrap())), 1, "many at once");
    assert_eq!(way.count(|| drop(store.messages("c1", Messages::last(10)).unwrap())), 1, "the last ten");
    assert_eq!(way.count(|| drop(store.message("c1", &id).unwrap())), 1, "one by its id");

    let twice = |name: &str, trips: u64, read: &dyn Fn()| {
        // What it asks is prepared by the first one.
        read();
        assert_eq!(way.count(read), trips, "{name}");
    };
    twice("the first ten", 1, &|| drop(store.messages("c1", Messages::first(10)).unwrap()));
    twice("a summary", 1, &|| drop(store.summary("c1").unwrap()));
    twice("the newest number", 1, &|| assert!(store.refresh().unwrap() > 0));
    // One question for each table, and the beginning and the end of one state.
    twice("a conversation", 5, &|| drop(store.conversation("c1").unwrap()));
    twice("a list", 3, &|| drop(store.conversations(Conversations::by(Order::Activity)).unwrap()));
    twice("actions", 4, &|| drop(store.actions("c1").unwrap()));
    // And one for whether it keeps a policy.
    twice("how large it is", 6, &|| drop(store.stats().unwrap()));
    twice("a search without an index", 6, &|| drop(store.search("x").unwrap()));
    store.batch(vec![Mutation::add_message("c1", "x"); 100]).unwrap();
    // Somebody else takes them into the index: nobody comes or goes by this way meanwhile.
    MessageStore::connect(server.url("trips")).unwrap().search("x").unwrap();
    twice("a search", 7, &|| drop(store.search(Search::new("x").limit(10)).unwrap()));
}
