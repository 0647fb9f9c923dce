//! What everything costs in requests.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::sim::{Bucket, Client, Shared};
use super::world::{engine, message};
use crate::backend::Backend;
use crate::backend::journal::Engine;
use crate::backend::locked::locked;
use crate::backend::settings::Settings;
use crate::model::{ConsumerCursor, Keep, Messages, Mutation, Operation, Order};

fn bucket() -> Shared {
    Arc::new(Mutex::new(Bucket::default()))
}

/// How many requests an act takes.
fn cost<T>(bucket: &Shared, act: impl FnOnce() -> T) -> (usize, T) {
    let before = locked(bucket).count();
    let value = act();
    (locked(bucket).count() - before, value)
}

fn fill(store: &Engine, conversations: usize, messages: usize) {
    for part in (0..conversations).collect::<Vec<_>>().chunks(100) {
        let all = part
            .iter()
            .flat_map(|c| (0..messages).map(move |n| Mutation::add_message(format!("c{c}"), format!("{n}"))));
        store.append(all.collect()).unwrap();
    }
}

#[test]
fn an_append_takes_one_request_however_many_share_it() {
    let bucket = bucket();
    let store = engine(Client::sound(&bucket));
    assert_eq!(cost(&bucket, || store.append(vec![message("a", "1")]).unwrap()).0, 1);
    let many = (0..1000).map(|n| message(&format!("c{n}"), "1")).collect();
    assert_eq!(cost(&bucket, || store.append(many).unwrap()).0, 1);
    // A refusal takes a look at whether it is still right.
    assert_eq!(
        cost(&bucket, || store
            .append(vec![Mutation::new("none", Operation::RemoveConversation)])
            .unwrap_err())
        .0,
        1
    );
    // Judged on what another one has written meanwhile: one that is refused, the look at that, its end, and one more.
    let other = engine(Client::sound(&bucket));
    other.append(vec![message("a", "2")]).unwrap();
    assert_eq!(cost(&bucket, || store.append(vec![message("a", "3")]).unwrap()).0, 5);
}

#[test]
fn an_opening_takes_few_requests_whatever_is_in_the_store() {
    for (conversations, messages) in [(1, 1), (200, 20)] {
        let bucket = bucket();
        let store = engine(Client::sound(&bucket));
        fill(&store, conversations, messages);
        store.compact().unwrap();
        let (requests, opened) = cost(&bucket, || engine(Client::sound(&bucket)));
        assert_eq!(requests, 8);
        let (requests, list) = cost(&bucket, || opened.conversations(Order::Activity, None).unwrap());
        assert_eq!((requests, list.len()), (1, conversations));
        let (requests, last) = cost(&bucket, || opened.messages("c0", &Messages::last(10)).unwrap());
        assert_eq!((requests, last.len()), (2, messages.min(10)));
        // From memory from then on, but for the look at what others have appended.
        assert_eq!(cost(&bucket, || opened.messages("c0", &Messages::last(10)).unwrap()).0, 1);
        let reading = Settings { is_read_only: true, ..Settings::default() };
        let client = Arc::new(Client::sound(&bucket));
        assert_eq!(cost(&bucket, || Engine::open(client, reading).unwrap()).0, 6);
    }
}

#[test]
#[ignore = "takes a minute where nothing is optimised; the same as above with more conversations"]
fn an_opening_of_ten_thousand_conversations_takes_no_more() {
    let bucket = bucket();
    let store = engine(Client::sound(&bucket));
    fill(&store, 10_000, 100);
    store.compact().unwrap();
    let (requests, opened) = cost(&bucket, || engine(Client::sound(&bucket)));
    assert_eq!((requests, opened.stats().unwrap().messages), (8, 1_000_000));
}

#[test]
fn following_takes_a_request_for_each_object_and_one_for_the_end() {
    let bucket = bucket();
    let store = engine(Client::sound(&bucket));
    (0..5).for_each(|n| drop(store.append(vec![message("a", &format!("{n}"))]).unwrap()));
    let mut follower = store.follow(1).unwrap();
    let (requests, count) = cost(&bucket, || std::iter::from_fn(|| follower.next_logged().unwrap()).count());
    assert_eq!((requests, count), (6, 5));
    assert_eq!(cost(&bucket, || follower.next_logged().unwrap()).0, 1);
}

#[test]
fn a_compaction_takes_a_few_requests_for_each_conversation_that_has_changed_and_each_object_of_the_log() {
    let requests = |conversations: usize, objects: usize| {
        let bucket = bucket();
        let store = engine(Client::sound(&bucket));
        fill(&store, 500, 1);
        store.compact().unwrap();
        for n in 0..objects {
            let each = conversations / objects;
            let batch = (n * each..(n + 1) * each).map(|c| message(&format!("c{c}"), "new")).collect();
            store.append(batch).unwrap();
        }
        let compacted = cost(&bucket, || store.compact().unwrap());
        assert_eq!((compacted.1.written, compacted.1.dropped_segments), (conversations, objects + 1));
        compacted.0
    };
    let base = requests(1, 1);
    // The document, its copy twice looked at and written, and the one before it.
    assert_eq!(requests(101, 1) - base, 700);
    assert_eq!(requests(100, 100) - requests(100, 1), 99 * 3);
}

#[test]
fn what_is_kept_of_the_past_costs_an_opening_and_a_read_nothing_and_a_look_back_a_request_for_each_chapter() {
    let bucket = bucket();
    let store = engine(Client::sound(&bucket));
    // So that none goes on with the one before.
    store.keep_history(Keep::Bytes(3_000_000)).unwrap();
    let text = "x".repeat(200_000);
    for n in 0..5 {
        store.append(vec![Mutation::add_message("a", format!("{n}{text}"))]).unwrap();
        store.compact().unwrap();
    }
    let count = locked(&bucket).objects.keys().filter(|name| name.ends_with(".chapter")).count();
    assert!(count >= 2, "{count}");
    let is_in_a_list_of_the_log = |name: &String| name.starts_with("log/") && name.ends_with(".chapter");
    assert!(!locked(&bucket).objects.keys().any(is_in_a_list_of_the_log));
    let (requests, opened) = cost(&bucket, || engine(Client::sound(&bucket)));
    assert_eq!(requests, 8);
    assert_eq!(cost(&bucket, || opened.messages("a", &Messages::last(10)).unwrap()).0, 2);
    assert_eq!(cost(&bucket, || opened.messages("a", &Messages::last(10)).unwrap()).0, 1);
    // A look at what is new, two lists, and the end of the log.
    let (requests, history) = cost(&bucket, || opened.history("a").unwrap());
    assert_eq!((requests, history.damage), (4 + count, None));
    // A look at what is new, two lists, and the choice.
    assert_eq!(cost(&bucket, || opened.kept_history().unwrap()).0, 4);
}

#[test]
fn a_store_without_consumers_pays_one_request_for_them_in_a_compaction_and_one_with_them_a_few() {
    let begun = |consumers: usize| {
        let bucket = bucket();
        let store = engine(Client::sound(&bucket));
        store.keep_history(Keep::Nothing).unwrap();
        store.append(vec![message("a", "1")]).unwrap();
        let cursors = store.cursors().unwrap();
        for n in 0..consumers {
            let mut held = cursors.hold(&format!("c{n}")).unwrap();
            held.claim(ConsumerCursor::new(0, None)).unwrap();
            if n == 0 {
                // A look at the cursor, and its replacement.
                let moved = || held.advance(ConsumerCursor::new(0, None)).unwrap();
                assert_eq!(cost(&bucket, moved).0, 2);
            }
        }
        drop(cursors);
        cost(&bucket, || store.compact().unwrap()).0
    };
    let (none, one, three) = (begun(0), begun(1), begun(3));
    // The one object that is covered is looked at for its length, and not emptied; the decision; the cursor.
    assert_eq!((one, three), (none + 1 - 2 + 1 + 1, one + 2));
}

#[test]
fn threads_that_append_at_the_same_time_share_their_requests() {
    const THREADS: usize = 64;
    const EACH: usize = 10;
    let bucket = bucket();
    let store = engine(Client::slow(&bucket, Duration::from_millis(20)));
    let (requests, ()) = cost(&bucket, || {
        std::thread::scope(|scope| {
            for own in 0..THREADS {
                let store = &store;
                scope.spawn(move || {
                    for n in 0..EACH {
                        store.append(vec![message(&format!("c{own}"), &n.to_string())]).unwrap();
                    }
                });
            }
        });
    });
    println!("{} messages in {requests} requests, one after the other", THREADS * EACH);
    // Of as many as came in the group before, some may come too late on a machine that has much else to do.
    assert!(requests * 32 <= THREADS * EACH, "{requests}");
}

/// How many bytes of objects an act sends and receives.
fn bytes<T>(bucket: &Shared, act: impl FnOnce() -> T) -> ((usize, usize), T) {
    let before = locked(bucket).bytes;
    let value = act();
    let after = locked(bucket).bytes;
    ((after.0 - before.0, after.1 - before.1), value)
}

#[test]
fn what_is_sent_and_received_is_what_is_written_and_read_and_little_beside() {
    sent_and_received(Keep::Nothing);
    sent_and_received(Keep::Everything);
}

fn sent_and_received(keep: Keep) {
    const TEXT: usize = 200;
    let bucket = bucket();
    let store = engine(Client::sound(&bucket));
    store.keep_history(keep).unwrap();
    let text = "x".repeat(TEXT);
    let (one, _) = bytes(&bucket, || store.append(vec![message("a", &text)]).unwrap());
    assert!(one.0 < 4_272 + 2 * TEXT + 100 && one.1 == 0, "{one:?}");
    let (many, _) = bytes(&bucket, || {
        let all = (0..1000).map(|n| Mutation::add_message(format!("c{}", n % 100), &*text));
        store.append(all.collect()).unwrap()
    });
    assert!(many.0 < 4_272 + 1000 * (TEXT + 50), "{many:?}");
    let (followed, count) = bytes(&bucket, || {
        let mut follower = store.follow(1).unwrap();
        std::iter::from_fn(|| follower.next_logged().unwrap()).count()
    });
    assert_eq!((followed, count), ((0, one.0 + many.0), 2));
    let (compacted, report) = bytes(&bucket, || store.compact().unwrap());
    let written = usize::try_from(report.written_bytes).unwrap();
    // Where history is kept, the events once more, and where in them each conversation is; they are read for it.
    let events = if keep == Keep::Nothing { 0 } else { one.0 + many.0 };
    // A document and its copy each; to be copied, a document is read, and what it replaces and what came of it are looked at.
    assert!(compacted.0 < 2 * written + 200 * 101 + events, "{compacted:?}");
    assert!(compacted.1 < 3 * written + events, "{compacted:?}");
    let (opened, again) = bytes(&bucket, || engine(Client::sound(&bucket)));
    assert!(opened.1 < 200 * 101 && opened.0 < 300, "{opened:?}");
    let last = || again.messages("c0", &Messages::last(10)).unwrap().len();
    let document = locked(&bucket).objects["conversations/c0.json"].len();
    assert_eq!(bytes(&bucket, last), ((0, document), 10));
    assert_eq!(bytes(&bucket, last), ((0, 0), 10));
}

#[test]
fn those_who_read_at_the_same_time_share_a_look() {
    let bucket = bucket();
    let store = engine(Client::sound(&bucket));
    store.append(vec![message("a", "1")]).unwrap();
    let (requests, ()) = cost(&bucket, || {
        std::thread::scope(|scope| {
            (0..8).for_each(|_| drop(scope.spawn(|| store.summary("a").unwrap())));
        });
    });
    assert!((1..=8).contains(&requests), "{requests}");
}
