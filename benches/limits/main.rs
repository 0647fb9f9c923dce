//! How near the store comes to what the machine itself can do: each figure beside the bare calls that it
//! cannot do without, in one process, taken in turn, so that a busy machine slows both.
//!
//! `cargo bench --bench limits [-- SECTION…]`; sections: durable threads os batches reads growth beside
//! replicating encrypted forks space. Files go to a new directory below `LIMITS_DIR`, or below the system's directory for such.

#![expect(clippy::print_stdout, reason = "the figures are what this is for")]
#![expect(clippy::indexing_slicing, reason = "a bench that cannot go on has nothing to say")]
#![expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "counts become figures for people")]
#![expect(clippy::disallowed_methods, reason = "the bare calls are what the store is held against")]

mod bare;

#[cfg(feature = "encryption")]
mod encrypted;

mod forking;

mod replicating;

use std::error::Error;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aral_store::{Batch, MessageStore, Messages, Order, SyncPolicy};
use bare::{GroupCommit, Written};
use tempfile::TempDir;

type Outcome = Result<(), Box<dyn Error>>;
type Section = fn() -> Outcome;

/// What a message of 200 bytes takes in the log, its frame included.
const RECORD: [u8; 320] = [7; 320];

fn main() -> Outcome {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let sections: [(&str, Section); 11] = [
        ("durable", durable),
        ("threads", threads),
        ("os", written),
        ("batches", batches),
        ("reads", reads),
        ("growth", growth),
        ("beside", beside),
        ("replicating", replicated),
        ("encrypted", encrypted),
        ("forks", forked),
        ("space", space),
    ];
    for (name, run) in sections {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            run()?;
        }
    }
    Ok(())
}

#[cfg(not(feature = "encryption"))]
fn encrypted() -> Outcome {
    Ok(())
}

#[cfg(feature = "encryption")]
fn encrypted() -> Outcome {
    for (what, sync) in [("durable", SyncPolicy::Always), ("without syncs", SyncPolicy::Os)] {
        let home = home()?;
        let mut rates = encrypted::rates(home.path(), sync)?;
        let read = rates.pop().unwrap_or_default();
        let mean = |of: fn(&(f64, f64)) -> f64| rates.iter().map(of).sum::<f64>() / rates.len() as f64;
        let (plain, sealed) = (mean(|pair| pair.0), mean(|pair| pair.1));
        let mut ratios: Vec<f64> = rates.iter().map(|pair| pair.0 / pair.1).collect();
        ratios.sort_by(f64::total_cmp);
        println!(
            "appends, {what}: {plain:.0}/s plain, {sealed:.0}/s encrypted, {:.3} times the time by the means, {:.3} by the \
             median round; read back: {:.0}/s plain, {:.0}/s encrypted",
            plain / sealed,
            ratios[ratios.len() / 2],
            read.0,
            read.1
        );
    }
    Ok(())
}

fn forked() -> Outcome {
    let home = home()?;
    for (what, milliseconds) in forking::medians(home.path())? {
        println!("a fork in {what}: {milliseconds:.2} ms");
    }
    Ok(())
}

fn home() -> Result<TempDir, Box<dyn Error>> {
    Ok(match std::env::var_os("LIMITS_DIR") {
        Some(dir) => TempDir::new_in(dir)?,
        None => TempDir::new()?,
    })
}

fn open(home: &TempDir, sync: SyncPolicy) -> Result<MessageStore, Box<dyn Error>> {
    Ok(MessageStore::options().sync(sync).compact_manually().open(home.path().join("data"))?)
}

fn text(n: usize) -> String {
    format!("{n:0>200}")
}

/// Times, sorted when they are asked about.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn take<T>(&mut self, act: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let result = act();
        self.0.push(begin.elapsed());
        result
    }

    fn at(&mut self, per_mille: usize) -> f64 {
        self.0.sort_unstable();
        let at = (self.0.len() * per_mille / 1000).min(self.0.len().saturating_sub(1));
        self.0.get(at).map_or(0.0, Duration::as_secs_f64) * 1e6
    }
}

fn versus(what: &str, ours: &mut Times, bare: &mut Times) {
    for (name, per_mille) in [("p50", 500), ("p99", 990), ("p99.9", 999)] {
        let (ours, bare) = (ours.at(per_mille), bare.at(per_mille));
        println!("{what:<34} {name:>5}: {ours:9.2} µs, bare {bare:9.2} µs, ×{:.3}", ours / bare);
    }
}

/// One thread, a sync for each message, against a write and a sync into a file that was written before.
fn durable() -> Outcome {
    let home = home()?;
    let store = open(&home, SyncPolicy::Always)?;
    let mut bare = Written::new(&home.path().join("bare"), 4 << 20)?;
    let (mut ours, mut raw) = (Times::default(), Times::default());
    for n in 0..4000 {
        let content = text(n);
        drop(ours.take(|| store.add_message("c1", content))?);
        raw.take(|| bare.append_and_sync(&RECORD))?;
    }
    versus("durable append, 1 thread", &mut ours, &mut raw);
    Ok(())
}

/// Many threads, against a group commit that does nothing but write and sync what has gathered.
fn threads() -> Outcome {
    for count in [8_usize, 64] {
        let home = home()?;
        let store = open(&home, SyncPolicy::Always)?;
        let bare = GroupCommit::new(Written::new(&home.path().join("bare"), 64 << 20)?);
        let each = 3200 / count;
        let (mut ours, mut raw) = (Times::default(), Times::default());
        for round in 0..7 {
            ours.take(|| {
                in_threads(count, |thread| {
                    for n in 0..each {
                        let receipt = store.add_message(&format!("c{thread}"), text(round * each + n));
                        black_box(receipt.ok());
                    }
                });
            });
            raw.take(|| {
                in_threads(count, |_| {
                    for _ in 0..each {
                        bare.append(&RECORD);
                    }
                });
            });
        }
        let total = (each * count) as f64;
        let rate = |times: &mut Times| total / times.at(500) * 1e6;
        let (ours, raw) = (rate(&mut ours), rate(&mut raw));
        println!(
            "durable appends, {count:>2} threads          : {ours:9.0} /s, bare {raw:9.0} /s, ×{:.3}",
            ours / raw
        );
    }
    Ok(())
}

fn in_threads(count: usize, work: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        for thread in 0..count {
            let work = &work;
            scope.spawn(move || work(thread));
        }
    });
}

/// One thread, no sync, against one `write` per message.
fn written() -> Outcome {
    const ROUND: usize = 50;
    let home = home()?;
    let store = open(&home, SyncPolicy::Os)?;
    let mut bare = Written::new(&home.path().join("bare"), 64 << 20)?;
    let (mut ours, mut raw) = (Times::default(), Times::default());
    let conversations: Vec<String> = (0..100).map(|n| format!("c{n}")).collect();
    // In short rounds, so that most of them fall between two turns of whatever else runs on the machine.
    for round in 0..2000 {
        let contents: Vec<String> = (0..ROUND).map(text).collect();
        let id = &conversations[round % conversations.len()];
        ours.take(|| {
            for content in &contents {
                black_box(store.add_message(id, content.as_str()).ok());
            }
        });
        raw.take(|| {
            for _ in 0..ROUND {
                bare.append(&RECORD).ok();
            }
        });
    }
    let each = |times: &mut Times| times.at(500) / ROUND as f64;
    let (ours, raw) = (each(&mut ours), each(&mut raw));
    println!("append, no sync, 1 thread             : {ours:9.3} µs, bare {raw:9.3} µs, ×{:.3}", raw / ours);
    Ok(())
}

/// One thread, batches, against one write and one sync of as many bytes.
fn batches() -> Outcome {
    for count in [100_usize, 1000] {
        let home = home()?;
        let store = open(&home, SyncPolicy::Always)?;
        let mut bare = Written::new(&home.path().join("bare"), 64 << 20)?;
        let (mut ours, mut raw) = (Times::default(), Times::default());
        let bytes = vec![7_u8; count * 256];
        for round in 0..60 {
            let batch = (0..count)
                .fold(Batch::new(), |batch, n| batch.add_message(format!("c{}", (round + n) % 100), text(n)));
            ours.take(|| store.batch(batch))?;
            raw.take(|| bare.append_and_sync(&bytes))?;
        }
        let (ours, raw) = (ours.at(500), raw.at(500));
        println!(
            "durable batch of {count:>4}                 : {ours:9.1} µs, bare {raw:9.1} µs, ×{:.3}",
            raw / ours
        );
    }
    Ok(())
}

/// What is read from the log: 1,000 conversations of 100 messages, side by side or scattered.
fn reads() -> Outcome {
    for (how, scattered) in [("scattered", true), ("side by side", false)] {
        let home = home()?;
        let store = open(&home, SyncPolicy::Os)?;
        let mut ids = Vec::new();
        for n in 0..100_000 {
            let conversation = if scattered { n % 1000 } else { n / 100 };
            let receipt = store.add_message(&format!("c{conversation}"), text(n))?;
            if n % 100 == 50 {
                ids.push((receipt.conversation_id, receipt.id));
            }
        }
        let figure = |what: &str, act: &mut dyn FnMut(usize) -> Outcome| -> Outcome {
            let mut times = Times::default();
            for n in 0..5000 {
                times.take(|| act(n * 7 % 1000))?;
            }
            println!("{what:<24} {how:<13}: {:9.2} µs, p99 {:9.2} µs", times.at(500), times.at(990));
            Ok(())
        };
        figure("conversation of 100", &mut |n| {
            black_box(store.conversation(&format!("c{n}"))?);
            Ok(())
        })?;
        figure("last 10", &mut |n| {
            black_box(store.messages(&format!("c{n}"), Messages::last(10))?);
            Ok(())
        })?;
        figure("50 most active", &mut |_| {
            black_box(store.first_conversations(Order::Activity, 50)?);
            Ok(())
        })?;
        figure("1 before a message", &mut |n| {
            let (conversation, id) = &ids[n];
            black_box(store.messages(conversation, Messages::last(1).before(id))?);
            Ok(())
        })?;
        let mut scan = Times::default();
        for _ in 0..5 {
            let read: Result<usize, Box<dyn Error>> = scan.take(|| {
                let mut messages = 0;
                for summary in store.conversations(Order::Created)? {
                    messages += store.messages(&summary.id, Messages::all())?.len();
                }
                Ok(messages)
            });
            assert_eq!(read?, 100_000, "every message is read");
        }
        println!("scan of all, {how:<25}: {:9.2} million messages/s", 0.1 / (scan.at(500) / 1e6));
    }
    Ok(())
}

/// Whether an append costs more the longer its conversation is.
fn growth() -> Outcome {
    let home = home()?;
    let store = open(&home, SyncPolicy::Os)?;
    let mut length = 0;
    for upto in [10_usize, 100, 1_000, 10_000, 100_000] {
        while length < upto {
            drop(store.add_message("long", text(length))?);
            length += 1;
        }
        let mut times = Times::default();
        for n in 0..1000 {
            let content = text(n);
            drop(times.take(|| store.add_message("long", content))?);
            length += 1;
        }
        println!("append behind {upto:>6} messages         : {:9.3} µs", times.at(500));
    }
    Ok(())
}

/// Appends with a replication beside them and without one, in turn.
fn replicated() -> Outcome {
    for (what, sync) in [("durable appends", SyncPolicy::Always), ("appends without syncs", SyncPolicy::Os)] {
        let home = home()?;
        let rates = replicating::rates(home.path(), sync)?;
        let (alone, replicated): (Vec<f64>, Vec<f64>) = rates.iter().copied().unzip();
        let mut ratios: Vec<f64> = rates.iter().map(|(alone, replicated)| replicated / alone).collect();
        ratios.sort_by(f64::total_cmp);
        let sum = |rates: &[f64]| rates.iter().sum::<f64>() / rates.len() as f64;
        println!(
            "{what}: {:.0} a second alone, {:.0} replicated; {:.3} of it by the means, {:.3} by the median round",
            sum(&alone),
            sum(&replicated),
            sum(&replicated) / sum(&alone),
            ratios[ratios.len() / 2],
        );
    }
    Ok(())
}

/// Reads while eight threads append durably, against the same reads on a store at rest.
fn beside() -> Outcome {
    let home = home()?;
    let store = open(&home, SyncPolicy::Always)?;
    let batch = (0..1000).fold(Batch::new(), |batch, n| batch.add_message("read", text(n)));
    drop(store.batch(batch)?);
    let read = |times: &mut Times| -> Outcome {
        for _ in 0..3000 {
            times.take(|| store.messages("read", Messages::last(10)).map(black_box))?;
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    };
    let (mut at_rest, mut beside) = (Times::default(), Times::default());
    read(&mut at_rest)?;
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| -> Outcome {
        for thread in 0..8 {
            let (store, ends) = (&store, &ends);
            scope.spawn(move || {
                while !ends.load(Ordering::Relaxed) {
                    black_box(store.add_message(&format!("c{thread}"), text(thread)).ok());
                }
            });
        }
        let read = read(&mut beside);
        ends.store(true, Ordering::Relaxed);
        read
    })?;
    versus("last 10 beside 8 durable appenders", &mut beside, &mut at_rest);
    Ok(())
}

/// What a message of 200 bytes costs on the disk, and in memory.
fn space() -> Outcome {
    let home = home()?;
    let store = open(&home, SyncPolicy::Os)?;
    for n in 0..1_000 {
        drop(store.add_message(&format!("conversation-{n}"), text(n))?);
    }
    let before = store.stats()?;
    let fill = || -> Outcome {
        for n in 0..100_000 {
            drop(store.add_message(&format!("conversation-{}", n % 1000), text(n))?);
        }
        Ok(())
    };
    let mut filled = Ok(());
    let memory = allocation_counter::measure(|| filled = fill());
    filled?;
    let after = store.stats()?;
    let per = |count: f64| count / 100_000.0;
    println!("memory per message, kept              : {:9.1} bytes", per(memory.bytes_current as f64));
    println!("allocations per append                : {:9.1}", per(memory.count_total as f64));
    let log = per((after.log_bytes - before.log_bytes) as f64);
    println!("log per message of 200 bytes          : {log:9.1} bytes, segments' unused ends included");
    Ok(())
}
