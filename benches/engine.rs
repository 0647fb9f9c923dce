//! What the engine's operations take on this machine: appends by size and sync policy, batches, openings,
//! reads, compactions. `cargo bench --bench engine [-- FILTER]`; `ENGINE_DIR` says on which disk.
//!
//! Figures of one machine at one moment: what guards against a slow-down is `benches/instructions.py`, and how
//! near this comes to what the machine can do is what `benches/limits` says.

#![expect(clippy::expect_used, reason = "a bench that cannot go on has nothing to say")]

use std::path::Path;

use aral_store::{Batch, MessageStore, Messages, Order, SyncPolicy};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use tempfile::TempDir;

fn main() {
    divan::main();
}

fn home() -> TempDir {
    let home = match std::env::var_os("ENGINE_DIR") {
        Some(dir) => TempDir::new_in(dir),
        None => TempDir::new(),
    };
    home.expect("a directory for the files")
}

fn open(dir: &Path, sync: SyncPolicy) -> MessageStore {
    MessageStore::options().sync(sync).compact_manually().open(dir).expect("the store opens")
}

/// A store of so many conversations of so many messages of 200 bytes, which were added in turn.
fn fill(store: &MessageStore, conversations: usize, messages: usize) {
    for first in (0..conversations * messages).step_by(1000) {
        let last = (first + 1000).min(conversations * messages);
        let add =
            |batch: Batch, n| batch.add_message(format!("c{}", n % conversations), format!("{n:0>200}"));
        let _ = store.batch((first..last).fold(Batch::new(), add)).expect("the batch is accepted");
    }
}

fn append(bencher: Bencher<'_, '_>, sync: SyncPolicy, size: usize) {
    let home = home();
    let store = open(home.path(), sync);
    bencher
        .with_inputs(|| "x".repeat(size))
        .bench_values(|text| store.add_message("c1", text).expect("the message is accepted"));
}

#[divan::bench(args = [200, 2_000, 20_000])]
fn append_durably(bencher: Bencher<'_, '_>, size: usize) {
    append(bencher, SyncPolicy::Always, size);
}

#[divan::bench(args = [200, 2_000, 20_000])]
fn append_without_sync(bencher: Bencher<'_, '_>, size: usize) {
    append(bencher, SyncPolicy::Os, size);
}

#[divan::bench(args = [100, 1_000])]
fn append_a_batch_durably(bencher: Bencher<'_, '_>, count: usize) {
    let home = home();
    let store = open(home.path(), SyncPolicy::Always);
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| {
            (0..count).fold(Batch::new(), |batch, n| batch.add_message("c1", format!("{n:0>200}")))
        })
        .bench_values(|batch| store.batch(batch).expect("the batch is accepted"));
}

#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 20)]
fn open_with_a_tail_of(bencher: Bencher<'_, '_>, events: usize) {
    let home = home();
    let store = open(home.path(), SyncPolicy::Os);
    fill(&store, 100, events / 100);
    drop(store);
    bencher.counter(ItemsCount::new(events)).bench_local(|| open(home.path(), SyncPolicy::Os));
}

#[divan::bench(args = [100, 1_000, 10_000], sample_count = 20)]
fn open_with_compacted_conversations(bencher: Bencher<'_, '_>, conversations: usize) {
    let home = home();
    let store = open(home.path(), SyncPolicy::Os);
    fill(&store, conversations, 2);
    let _ = store.compact().expect("the store is compacted");
    drop(store);
    bencher.counter(ItemsCount::new(conversations)).bench_local(|| open(home.path(), SyncPolicy::Os));
}

/// Runs a read on a store of 1,000 conversations of 100 messages, all in the log.
fn read<T>(bencher: Bencher<'_, '_>, items: usize, act: impl Fn(&MessageStore) -> T + Sync) {
    let home = home();
    let store = open(home.path(), SyncPolicy::Os);
    fill(&store, 1_000, 100);
    bencher.counter(ItemsCount::new(items)).bench(|| black_box(act(&store)));
}

#[divan::bench]
fn read_a_conversation_of_100(bencher: Bencher<'_, '_>) {
    read(bencher, 100, |store| store.conversation("c7").expect("it can be read"));
}

#[divan::bench]
fn read_the_last_10(bencher: Bencher<'_, '_>) {
    read(bencher, 10, |store| store.messages("c7", Messages::last(10)).expect("they can be read"));
}

#[divan::bench]
fn list_the_50_most_active(bencher: Bencher<'_, '_>) {
    read(bencher, 50, |store| store.first_conversations(Order::Activity, 50).expect("they can be listed"));
}

#[divan::bench(sample_count = 10)]
fn read_everything(bencher: Bencher<'_, '_>) {
    read(bencher, 100_000, |store| {
        let listed = store.conversations(Order::Created).expect("they can be listed");
        let all = |id: &str| store.messages(id, Messages::all()).expect("they can be read").len();
        listed.iter().map(|summary| all(&summary.id)).sum::<usize>()
    });
}

#[divan::bench(args = [10, 1_000], sample_count = 10)]
fn compact_10_000_messages_in(bencher: Bencher<'_, '_>, conversations: usize) {
    bencher
        .counter(ItemsCount::new(10_000_usize))
        .with_inputs(|| {
            let home = home();
            let store = open(home.path(), SyncPolicy::Os);
            fill(&store, conversations, 10_000 / conversations);
            (home, store)
        })
        .bench_refs(|(_, store)| store.compact().expect("the store is compacted"));
}
