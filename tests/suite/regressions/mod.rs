//! What once went wrong, and must not again.
//!
//! Every test tells its story first: what was seen, why, and what was done about it. They run on simulated
//! file systems, where a step of one thread can be put exactly between two steps of another.

mod beside;
mod compaction;
mod opening;
mod running;
mod salvaging;
mod viewer;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use aral_store::vfs::Vfs;
use aral_store::{MessageStore, Messages, NewMessage, Options};

use crate::support::driver::{self, DIR};
use crate::support::simfs::{self, SimFs};

/// Options of a store that compacts only when asked to.
pub(crate) fn on(vfs: impl Vfs + 'static) -> Options {
    MessageStore::options().vfs(Arc::new(vfs)).compact_manually()
}

/// The same over a file system that the test keeps a hand on.
pub(crate) fn on_shared<V: Vfs + 'static>(vfs: &Arc<V>) -> Options {
    let vfs: Arc<V> = Arc::clone(vfs);
    MessageStore::options().vfs(vfs).compact_manually()
}

pub(crate) fn open(options: Options) -> MessageStore {
    options.open(DIR).unwrap()
}

/// A file system with room for a store.
pub(crate) fn fresh() -> SimFs {
    driver::fresh(simfs::Settings::default())
}

/// Adds messages `first` to `last` to a conversation, their numbers being their ids and texts.
pub(crate) fn add(store: &MessageStore, conversation: &str, numbers: Range<usize>) {
    for n in numbers {
        let message = NewMessage::new(format!("m{n}")).id(format!("id{n}"));
        assert!(store.add_message(conversation, message).unwrap().is_durable());
    }
}

/// The texts of a conversation's messages.
pub(crate) fn texts(store: &MessageStore, conversation: &str) -> Vec<String> {
    let messages = store.messages(conversation, Messages::all()).unwrap();
    messages.iter().map(|message| message.content.as_str().unwrap().to_owned()).collect()
}

/// What [`add`] leaves behind.
pub(crate) fn added(numbers: Range<usize>) -> Vec<String> {
    numbers.map(|n| format!("m{n}")).collect()
}

/// The names of the files in the store's directory that have these letters in their path.
pub(crate) fn files_with(sim: &SimFs, part: &str) -> Vec<String> {
    let inside = sim.files().into_iter().filter(|(path, _)| path.starts_with(DIR));
    let paths = inside.map(|(path, _)| path.to_string_lossy().into_owned());
    paths.filter(|path| path.contains(part)).collect()
}

/// A closed store with some messages in `c1`, all of them in its file.
pub(crate) fn compacted(count: usize) -> SimFs {
    let sim = fresh();
    let store = open(on(sim.clone()));
    add(&store, "c1", 0..count);
    store.compact().unwrap();
    store.close().unwrap();
    sim
}

/// A path in the store's directory.
pub(crate) fn inside(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

/// Nothing but the expected comes; time passes.
pub(crate) fn pause(millis: u64) {
    let (_sender, receiver) = mpsc::channel::<()>();
    receiver.recv_timeout(Duration::from_millis(millis)).unwrap_err();
}

/// Waits until something is so, and fails if it never is.
pub(crate) fn eventually(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..5_000 {
        if is_so() {
            return;
        }
        pause(1);
    }
    panic!("never {what}");
}
