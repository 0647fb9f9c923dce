//! A reader beside eight threads that append durably.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Better, Column, Measure, Place, Sample, Target};
use crate::Outcome;
use crate::figures::{Latencies, Metrics};
use crate::peer::{Peer, Syncs};
use crate::wire::{self, Owned};
use crate::workload::{Row, Talk, mixed};

pub(super) const MEASURE: Measure = Measure {
    name: "readers",
    title: "Reading while others append durably",
    about: "A thread reads the last 10 messages of a conversation every 200 µs, first alone and then beside eight threads that append \
        durably to other conversations. The limit copies ten messages from memory, with no lock, beside the bare group commit: what is \
        above it alone comes from the processor's being busy, what is above that from waiting.",
    contenders: &["raw-written+gc", "sqlite-full", "redb", "fjall", "lmdb", "aral-store"],
    limit: Some("raw-written+gc"),
    columns: &[
        Column { metric: "busy_p99_us", head: "p99 beside appends, µs", better: Better::Less },
        Column { metric: "busy_p50_us", head: "p50 beside appends, µs", better: Better::Less },
        Column { metric: "alone_p99_us", head: "p99 alone, µs", better: Better::Less },
        Column { metric: "alone_p50_us", head: "p50 alone, µs", better: Better::Less },
        Column { metric: "per_s", head: "appended meanwhile, messages/s", better: Better::More },
    ],
    targets: &[Target {
        text: "p99 not as if it waited for a sync: at most 100 µs",
        metric: "busy_p99_us",
        better: Better::Less,
        against: &[],
        bound: 100.0,
    }],
    rounds: |scale| scale.pick(3, 2, 1),
    run,
    place: Place::Own,
};

const WRITERS: u32 = 8;
const TALKS: u32 = 100;
const PER: u32 = 50;
const PAUSE: Duration = Duration::from_micros(200);

fn run(sample: &Sample) -> Outcome<Metrics> {
    let peer = sample.open(Syncs::Each)?;
    for first in (0..TALKS).step_by(10) {
        for talk in first..first + 10 {
            let rows: Vec<Row> = (0..PER).map(|seq| Row::new(talk, seq)).collect();
            peer.append_batch(&rows)?;
        }
    }
    let talks: Vec<Talk> = (0..TALKS).map(Talk::new).collect();
    let reader = Reader { peer: peer.as_ref(), talks, memory: copies()? };
    let mut metrics = Metrics::new();
    reader.report("alone", sample, &mut metrics)?;
    let is_over = AtomicBool::new(false);
    let start = Instant::now();
    let counts = thread::scope(|scope| -> Outcome<u32> {
        let (peer, is_over) = (peer.as_ref(), &is_over);
        let writers: Vec<_> =
            (0..WRITERS).map(|thread| scope.spawn(move || appends(peer, TALKS + thread, is_over))).collect();
        let read = reader.report("busy", sample, &mut metrics);
        is_over.store(true, Ordering::Relaxed);
        let mut count = 0;
        for writer in writers {
            count += writer.join().map_err(|_| "a writer panicked")??;
        }
        read.map(|()| count)
    })?;
    metrics.insert("per_s".into(), f64::from(counts) / start.elapsed().as_secs_f64());
    Ok(metrics)
}

fn appends(peer: &dyn Peer, talk: u32, is_over: &AtomicBool) -> Outcome<u32> {
    let mut seq = 0;
    while !is_over.load(Ordering::Relaxed) && seq < 25_000 {
        peer.append(&Row::new(talk, seq))?;
        seq += 1;
    }
    Ok(seq)
}

/// Ten messages in memory, for the limit.
fn copies() -> Outcome<Vec<Owned>> {
    (0..10).map(|seq| Ok(wire::decode(&wire::encoded(&Row::new(0, seq)))?.to_owned())).collect()
}

struct Reader<'a> {
    peer: &'a dyn Peer,
    talks: Vec<Talk>,
    memory: Vec<Owned>,
}

impl Reader<'_> {
    fn report(&self, name: &str, sample: &Sample, metrics: &mut Metrics) -> Outcome<()> {
        let mut latencies = Latencies::default();
        let begun = Instant::now();
        for number in 0_u64.. {
            let at = usize::try_from(mixed(number) % u64::from(TALKS))?;
            let talk = self.talks.get(at).ok_or("no conversation")?;
            let start = Instant::now();
            let found = self.peer.last(talk, 10)?;
            if found.is_none() {
                std::hint::black_box(self.memory.clone());
            }
            latencies.add(start.elapsed());
            let count = found.map_or(10, |found| found.count());
            if count != 10 {
                return Err(format!("{count} messages instead of 10").into());
            }
            if begun.elapsed() >= sample.scale.time() {
                break;
            }
            thread::sleep(PAUSE);
        }
        metrics.insert(format!("{name}_p99_us"), latencies.percentile(0.99));
        metrics.insert(format!("{name}_p50_us"), latencies.percentile(0.5));
        Ok(())
    }
}
