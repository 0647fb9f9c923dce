//! Followers on a PostgreSQL server are told of what other processes append, and go on after whatever happens to the line.

use std::thread;
use std::time::Duration;

use aral_store::{Follower, Logged, MessageStore};

use crate::support::server;

/// Longer than it takes to be told, and far longer than anybody would poll.
const LONG: Duration = Duration::from_secs(120);

/// The next event, for which it waits as long as it takes; it never looks without having been told to.
fn next(follower: &mut Follower) -> u64 {
    loop {
        match follower.next_logged().unwrap() {
            Some(Logged::Batch { seq, .. }) => return seq,
            Some(other) => panic!("{other:?}"),
            None => assert!(follower.wait(LONG), "nothing was said of what was appended"),
        }
    }
}

/// The session that listens in this database, by the channel of its own.
const LISTENERS: &str = "SELECT pid FROM pg_stat_activity WHERE application_name = 'aral-store' \
                         AND query LIKE 'SELECT pg_advisory_lock_shared%'";

#[test]
fn a_follower_is_told_of_what_others_append_and_goes_on_when_its_line_is_cut() {
    let Some(server) = server::start() else { return };
    let url = server.url("told");
    let writer = MessageStore::connect(&url).unwrap();
    let reader = MessageStore::options().read_only().connect(&url).unwrap();
    let mut followers = [reader.follow(1).unwrap(), reader.follow(1).unwrap()];
    writer.add_message("c1", "before").unwrap();
    for follower in &mut followers {
        assert_eq!(next(follower), 1);
        assert_eq!(follower.next_logged().unwrap(), None);
    }
    let add = |number: u64| {
        thread::scope(|scope| {
            let waiting: Vec<_> =
                followers.iter_mut().map(|follower| scope.spawn(move || next(follower))).collect();
            // Whoever is told, is told while it waits.
            server::wait_until("the line", || !server.sql(LISTENERS).is_empty());
            assert_eq!(writer.add_message("c1", "more").unwrap().seq, number);
            for follower in waiting {
                assert_eq!(follower.join().unwrap(), number);
            }
        });
    };
    let mut add = add;
    add(2);
    assert_eq!(server.sql(LISTENERS).lines().count(), 1, "all followers of a store share a line");
    server.sql(&format!("SELECT pg_terminate_backend(pid) FROM ({LISTENERS}) AS lines"));
    add(3);
    server.restart("fast");
    add(4);
    server.restart("immediate");
    add(5);
    drop(followers);
    reader.close().unwrap();
    server::wait_until("the end of the line", || server.sql(LISTENERS).is_empty());
    // Whom nobody hears says nothing.
    writer.add_message("c1", "unheard").unwrap();
    assert_eq!(server.sql("SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory'"), "0");
}

#[test]
fn a_follower_that_comes_later_is_told_of_what_is_appended_in_one_round_trip() {
    let Some(server) = server::start() else { return };
    let url = server.url("later");
    let writer = MessageStore::connect(&url).unwrap();
    let add = || writer.add_message("c1", "x").unwrap().seq;
    // By then it knows what it appends to, and that nobody listens.
    let last = (0..8).map(|_| add()).max().unwrap();
    for _ in 0..2 {
        let reader = MessageStore::options().read_only().connect(&url).unwrap();
        let mut follower = reader.follow(reader.stats().unwrap().last_seq + 1).unwrap();
        let mut told = |_| {
            thread::scope(|scope| {
                let waiting = scope.spawn(|| next(&mut follower));
                server::wait_until("the line", || !server.sql(LISTENERS).is_empty());
                assert_eq!(add(), waiting.join().unwrap());
            });
        };
        (0..3).for_each(&mut told);
        drop(follower);
        reader.close().unwrap();
        server::wait_until("the end of the line", || server.sql(LISTENERS).is_empty());
        (0..3).for_each(|_| assert!(add() > last));
    }
    assert_eq!(writer.refresh().unwrap(), last + 12);
}
