//! One thread appends durable batches, each to one conversation, all of it or nothing.

use std::time::Instant;

use super::append::MOST;
use super::{Better, Column, Measure, Place, Sample, Target};
use crate::Outcome;
use crate::figures::{Latencies, Metrics};
use crate::peer::Syncs;
use crate::workload::{Digest, Row};

const CONVERSATIONS: u32 = 10;

const CONTENDERS: &[&str] = &[
    "raw-written",
    "raw-reserved",
    "sqlite-full",
    "redb",
    "fjall",
    "lmdb",
    "raft-engine",
    "okaywal",
    "salamander-db",
    "jsonl",
    "aral-store",
];

const COLUMNS: &[Column] = &[
    Column { metric: "per_s", head: "messages/s", better: Better::More },
    Column { metric: "p50_us", head: "p50 of a batch, µs", better: Better::Less },
    Column { metric: "p99_us", head: "p99 of a batch, µs", better: Better::Less },
];

const TARGETS: &[Target] = &[
    Target {
        text: "at least 0.7 of the raw limit",
        metric: "per_s",
        better: Better::More,
        against: &["raw-written"],
        bound: 0.7,
    },
    Target {
        text: "5 × SQLite with `FULL`",
        metric: "per_s",
        better: Better::More,
        against: &["sqlite-full"],
        bound: 5.0,
    },
];

pub(super) const HUNDRED: Measure = Measure {
    name: "batch-100",
    title: "Durable batches of 100",
    about: "100 messages a call, in one conversation, with one sync.",
    contenders: CONTENDERS,
    limit: Some("raw-written"),
    columns: COLUMNS,
    targets: TARGETS,
    rounds: |scale| scale.pick(5, 2, 1),
    run: |sample| run(sample, 100),
    place: Place::Own,
};

pub(super) const THOUSAND: Measure = Measure {
    name: "batch-1000",
    title: "Durable batches of 1,000",
    about: "1,000 messages a call, in one conversation, with one sync.",
    contenders: CONTENDERS,
    limit: Some("raw-written"),
    columns: COLUMNS,
    targets: TARGETS,
    rounds: |scale| scale.pick(5, 2, 1),
    run: |sample| run(sample, 1000),
    place: Place::Own,
};

fn run(sample: &Sample, size: u32) -> Outcome<Metrics> {
    let peer = sample.open(Syncs::Each)?;
    let (mut latencies, mut digest) = (Latencies::default(), Digest::default());
    for number in 0_u32.. {
        let (talk, first) = (number % CONVERSATIONS, number / CONVERSATIONS * size);
        let rows: Vec<Row> = (first..first + size).map(|seq| Row::new(talk, seq)).collect();
        let start = Instant::now();
        peer.append_batch(&rows)?;
        let elapsed = start.elapsed();
        for row in &rows {
            digest.add_row(row);
        }
        // The first batches make files and caches ready.
        if number >= 3 {
            latencies.add(elapsed);
        }
        let is_over = latencies.total() >= sample.scale.time() || digest.count + u64::from(size) > MOST;
        if is_over && latencies.count() > 0 {
            break;
        }
    }
    drop(peer);
    sample.check(Syncs::Each, digest)?;
    let mut metrics = Metrics::new();
    let messages = latencies.count() as f64 * f64::from(size);
    metrics.insert("per_s".into(), messages / latencies.total().as_secs_f64());
    latencies.report(&mut metrics);
    Ok(metrics)
}
