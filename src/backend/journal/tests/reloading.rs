//! Beginning again with a newer checkpoint, while the same process goes on appending.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::sim::{Bucket, Client, Interruption, Shared};
use super::world::{engine, message};
use crate::backend::Backend;
use crate::backend::journal::Engine;
use crate::backend::locked::locked;

fn bucket() -> Shared {
    Arc::new(Mutex::new(Bucket::default()))
}

/// A store of which a process has a conversation in documents and a change of it in memory, and another has compacted since.
fn overtaken(client: impl FnOnce(&Shared) -> Client) -> (Shared, Engine) {
    let bucket = bucket();
    let other = engine(Client::sound(&bucket));
    other.append(vec![message("a", "1")]).unwrap();
    other.compact().unwrap();
    let late = engine(Client::sound(&bucket)).like(Arc::new(client(&bucket)));
    late.append(vec![message("a", "2")]).unwrap();
    other.append(vec![message("a", "3")]).unwrap();
    other.compact().unwrap();
    (bucket, late)
}

/// Something is appended by the same process while it begins again.
#[test]
fn what_is_appended_while_a_process_reads_the_log_again_takes_nothing_from_what_it_has_read() {
    let late: Arc<OnceLock<Engine>> = Arc::default();
    let itself = Arc::clone(&late);
    let act = move || {
        for n in 0..5 {
            itself.get().unwrap().append(vec![message("b", &n.to_string())]).unwrap();
        }
    };
    let interruption =
        Interruption { verb: "get", part: "log/CHECKPOINT-0000000000000003", act: Box::new(act) };
    let (bucket, engine) = overtaken(|bucket| Client::interrupted(bucket, interruption));
    late.set(engine).unwrap();
    let late = late.get().unwrap();
    assert_eq!(late.conversation("a").unwrap().unwrap().messages.len(), 3);
    assert_eq!(late.conversation("b").unwrap().unwrap().messages.len(), 5);
    assert_eq!(late.stats().unwrap().epoch, 2);
    assert!(locked(&bucket).objects.len() > 5);
}

/// The same to a compaction, which would find nothing to publish.
#[test]
fn a_compaction_publishes_what_it_has_committed_while_the_same_process_appends() {
    let bucket = bucket();
    engine(Client::sound(&bucket)).append(vec![message("a", "1")]).unwrap();
    let client = Arc::new(Client::sound(&bucket));
    let store = Arc::new(engine(Client::sound(&bucket)).like(client.clone()));
    let (itself, later) = (Arc::clone(&store), Arc::clone(&client));
    let append = move || drop(itself.append(vec![message("b", "1")]).unwrap());
    // The last object that is read again, once the checkpoint is there.
    let last = Interruption { verb: "get", part: "log/0000000000000002-", act: Box::new(append) };
    let act = move || later.interrupt_by(last);
    client.interrupt_by(Interruption {
        verb: "create",
        part: "log/CHECKPOINT-0000000000000001",
        act: Box::new(act),
    });
    assert_eq!(store.compact().unwrap().epoch, 1);
    assert!(locked(&bucket).objects.contains_key("conversations/a.json"), "its copies are in place");
    assert_eq!(store.stats().unwrap().epoch, 1);
    assert_eq!(store.conversation("b").unwrap().unwrap().messages.len(), 1);
}

#[test]
fn a_conversation_is_read_however_steadily_its_process_appends_and_another_one_compacts() {
    let bucket = bucket();
    let store = engine(Client::slow(&bucket, Duration::from_millis(1)));
    let other = engine(Client::sound(&bucket));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let appending = scope.spawn(|| {
            let mut count = 0;
            while !is_over.load(Ordering::SeqCst) {
                store.append(vec![message("b", &format!("{count}"))]).unwrap();
                count += 1;
            }
            count
        });
        for round in 0..30 {
            other.append(vec![message("a", &format!("{round}"))]).unwrap();
            other.compact().unwrap();
            // A change behind the document, which no longer is what the process knows.
            store.append(vec![message("a", &format!("{round} again"))]).unwrap();
            other.append(vec![message("a", &format!("{round} and again"))]).unwrap();
            other.compact().unwrap();
            let found = store.conversation("a");
            let found = found.unwrap_or_else(|error| panic!("round {round}: {error}"));
            assert_eq!(found.unwrap().messages.len(), 3 * (round + 1));
        }
        is_over.store(true, Ordering::SeqCst);
        let count = appending.join().unwrap();
        assert_eq!(store.conversation("b").unwrap().map_or(0, |found| found.messages.len()), count);
    });
}
