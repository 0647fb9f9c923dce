//! One kind of operation, as often as is asked for, for whoever counts the instructions: run with N and with
//! 2 N of them, the difference is what N of them take, and what comes before and after cancels out.
//!
//! `counted DIR OPERATION N`; see `benches/instructions.py`, which does the counting.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;

use aral_store::{Batch, Keep, MessageStore, Messages, NewMessage, Options, Order, SyncPolicy};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, operation, count] = arguments.as_slice() else {
        return Err("usage: counted DIR OPERATION N".into());
    };
    let (dir, count) = (Path::new(dir), count.parse()?);
    match operation.as_str() {
        "append durably" => append(&open(dir, SyncPolicy::Always)?, count),
        "append in batches" => append_in_batches(&open(dir, SyncPolicy::Os)?, count),
        #[cfg(feature = "encryption")]
        "append durably, encrypted" => append(&encrypted(SyncPolicy::Always).open(dir)?, count),
        #[cfg(feature = "encryption")]
        "append in batches, encrypted" => append_in_batches(&encrypted(SyncPolicy::Os).open(dir)?, count),
        "append" | "fill" => append(&open(dir, SyncPolicy::Os)?, count),
        // The directories of these were filled before, by `fill`.
        "replay" => done(open(dir, SyncPolicy::Os)),
        // What it takes to keep the history besides is in docs/decisions/0055-kept-by-default.md.
        "compact" => done(options(SyncPolicy::Os).keep(Keep::Nothing).open(dir)?.compact()),
        _ => match operation.strip_suffix(" from JSON") {
            Some(operation) => read_as(operation, &filled(dir, true)?, count),
            None => read_as(operation, &filled(dir, false)?, count),
        },
    }
}

fn read_as(operation: &str, store: &MessageStore, count: usize) -> Outcome {
    match operation {
        "read a message" => read(count, |id| done(store.messages(id, Messages::last(1)))),
        "read a message by its id" => read(count, |id| done(store.message(id, &format!("{id}-50")))),
        "read the last 10" => read(count, |id| done(store.messages(id, Messages::last(10)))),
        "read a conversation of 100" => read(count, |id| done(store.conversation(id))),
        "look at a conversation of 100" => read(count, |id| {
            let mut bytes = 0;
            store.for_each_message(id, Messages::all(), |message| bytes += message.content.len())?;
            done(Ok(bytes))
        }),
        "list the 50 most active" => read(count, |_| done(store.first_conversations(Order::Activity, 50))),
        _ => Err("there is no such operation".into()),
    }
}

/// What was made or read is of no use here, but must not be left out.
fn done<T>(made: aral_store::Result<T>) -> Outcome {
    drop(black_box(made?));
    Ok(())
}

fn open(dir: &Path, sync: SyncPolicy) -> aral_store::Result<MessageStore> {
    options(sync).open(dir)
}

fn options(sync: SyncPolicy) -> Options {
    Options::default().sync(sync).compact_manually()
}

#[cfg(feature = "encryption")]
fn encrypted(sync: SyncPolicy) -> Options {
    options(sync).key(aral_store::Key::from_bytes([7; 32]))
}

/// A text of 200 bytes, which takes no making.
const TEXT: &str = "Two hundred bytes of talk, no more and no less, so that what is counted is the work of the store, and \
                    not that of whoever makes up texts; the words themselves mean nothing, and nobody will read them .";
const _: () = assert!(TEXT.len() == 200, "the figures are those of messages of 200 bytes");

/// Messages of 200 bytes, a hundred to each conversation, in turn.
fn append(store: &MessageStore, count: usize) -> Outcome {
    let ids: Vec<String> = (0..count.div_ceil(100)).map(|n| format!("conversation-{n}")).collect();
    for n in 0..count {
        drop(store.add_message(ids.get(n % ids.len()).ok_or("no id")?, TEXT)?);
    }
    Ok(())
}

fn append_in_batches(store: &MessageStore, count: usize) -> Outcome {
    for first in (0..count).step_by(100) {
        let batch = (first..first + 100)
            .fold(Batch::new(), |batch, n| batch.add_message(format!("conversation-{}", n % 50), TEXT));
        drop(store.batch(batch)?);
    }
    Ok(())
}

/// A store of sixty conversations with a hundred messages each: in the log, or in JSON files that were read once.
fn filled(dir: &Path, in_json: bool) -> Result<MessageStore, Box<dyn Error>> {
    let store = open(dir, SyncPolicy::Os)?;
    let ids: Vec<String> = (0..60).map(|n| format!("conversation-{n}")).collect();
    for n in 0..6000 {
        let id = ids.get(n % ids.len()).ok_or("no id")?;
        let message = NewMessage::new(TEXT);
        // One of each has an id of its own, for what looks for it.
        let is_known = n / ids.len() == 50;
        drop(store.add_message(id, if is_known { message.id(format!("{id}-50")) } else { message })?);
    }
    if in_json {
        drop(store.compact()?);
        ids.iter().try_for_each(|id| done(store.conversation(id)))?;
    }
    Ok(store)
}

fn read(count: usize, act: impl Fn(&str) -> Outcome) -> Outcome {
    let ids: Vec<String> = (0..60).map(|n| format!("conversation-{n}")).collect();
    for n in 0..count {
        act(ids.get(n % ids.len()).ok_or("no id")?)?;
    }
    Ok(())
}
