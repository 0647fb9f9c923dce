//! Many threads append durably at the same time, each to a conversation of its own.

use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use super::append::MOST;
use super::{Better, Column, Measure, Place, Sample, Target};
use crate::Outcome;
use crate::figures::{Latencies, Metrics};
use crate::peer::{Peer, Syncs};
use crate::workload::{Digest, Row};

const CONTENDERS: &[&str] = &[
    "raw-written+gc",
    "raw-reserved+gc",
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
    Column { metric: "p50_us", head: "p50, µs", better: Better::Less },
    Column { metric: "p99_us", head: "p99, µs", better: Better::Less },
];

/// 0.9 of the bare group commit, ahead of raft-engine and okaywal.
const OF_LIMIT: Target = Target {
    text: "at least 0.9 of a bare group commit",
    metric: "per_s",
    better: Better::More,
    against: &["raw-written+gc"],
    bound: 0.9,
};

const AHEAD_OF_RAFT: Target = Target {
    text: "ahead of raft-engine",
    metric: "per_s",
    better: Better::More,
    against: &["raft-engine"],
    bound: 1.0,
};

const AHEAD_OF_OKAY: Target = Target {
    text: "ahead of okaywal",
    metric: "per_s",
    better: Better::More,
    against: &["okaywal"],
    bound: 1.0,
};

pub(super) const EIGHT: Measure = Measure {
    name: "threads-8",
    title: "Durable appends, 8 threads",
    about: "As above, from 8 threads at once, each to a conversation of its own.",
    contenders: CONTENDERS,
    limit: Some("raw-written+gc"),
    columns: COLUMNS,
    targets: &[OF_LIMIT, AHEAD_OF_RAFT, AHEAD_OF_OKAY],
    rounds: |scale| scale.pick(5, 2, 1),
    run: |sample| run(sample, 8),
    place: Place::Own,
};

pub(super) const SIXTY_FOUR: Measure = Measure {
    name: "threads-64",
    title: "Durable appends, 64 threads",
    about: "As above, from 64 threads at once.",
    contenders: CONTENDERS,
    limit: Some("raw-written+gc"),
    columns: COLUMNS,
    targets: &[
        OF_LIMIT,
        AHEAD_OF_RAFT,
        AHEAD_OF_OKAY,
        Target {
            text: "20 × SQLite with `FULL`",
            metric: "per_s",
            better: Better::More,
            against: &["sqlite-full"],
            bound: 20.0,
        },
    ],
    rounds: |scale| scale.pick(5, 2, 1),
    run: |sample| run(sample, 64),
    place: Place::Own,
};

pub(super) fn run(sample: &Sample, threads: u32) -> Outcome<Metrics> {
    let peer = sample.open(Syncs::Each)?;
    let barrier = Barrier::new(usize::try_from(threads)? + 1);
    let most = u32::try_from(MOST)? / threads;
    let (found, elapsed) = thread::scope(|scope| {
        let (peer, barrier) = (peer.as_ref(), &barrier);
        let one = |thread| scope.spawn(move || appends(sample, peer, barrier, thread, most));
        let all: Vec<_> = (0..threads).map(one).collect();
        barrier.wait();
        let start = Instant::now();
        let found: Vec<_> = all.into_iter().map(thread::ScopedJoinHandle::join).collect();
        (found, start.elapsed())
    });
    drop(peer);
    let (mut latencies, mut digest) = (Latencies::default(), Digest::default());
    for one in found {
        let (took, wrote) = one.map_err(|_| "a thread panicked")??;
        latencies.join(took);
        digest.join(wrote);
    }
    sample.check(Syncs::Each, digest)?;
    let mut metrics = Metrics::new();
    metrics.insert("per_s".into(), latencies.count() as f64 / elapsed.as_secs_f64());
    latencies.report(&mut metrics);
    Ok(metrics)
}

/// What one thread does: appends until the time is over.
fn appends(
    sample: &Sample,
    peer: &dyn Peer,
    barrier: &Barrier,
    thread: u32,
    most: u32,
) -> Outcome<(Latencies, Digest)> {
    let (mut latencies, mut digest) = (Latencies::default(), Digest::default());
    barrier.wait();
    let begun = Instant::now();
    for seq in 0..most {
        let row = Row::new(thread, seq);
        let start = Instant::now();
        peer.append(&row)?;
        latencies.add(start.elapsed());
        digest.add_row(&row);
        if begun.elapsed() >= sample.scale.time() {
            break;
        }
    }
    Ok((latencies, digest))
}
