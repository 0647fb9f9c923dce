//! One thread appends one message after another, each durable before the next.

use std::time::Instant;

use super::{Better, Column, Measure, Place, Sample, Target};
use crate::Outcome;
use crate::figures::{Latencies, Metrics};
use crate::peer::Syncs;
use crate::workload::{Digest, Row};

/// How many conversations the messages go to, in turns.
const CONVERSATIONS: u32 = 10;

/// Calls that are made before any is timed: what is made lazily is there by then.
const WARM_UP: u32 = 30;

pub(super) const MEASURE: Measure = Measure {
    name: "append",
    title: "Durable appends, one thread",
    about: "One message of 200 bytes a call, durable when it returns, to ten conversations in turns.",
    contenders: &[
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
    ],
    limit: Some("raw-written"),
    columns: &[
        Column { metric: "p50_us", head: "p50, µs", better: Better::Less },
        Column { metric: "p99_us", head: "p99, µs", better: Better::Less },
        Column { metric: "per_s", head: "messages/s", better: Better::More },
    ],
    targets: &[
        Target {
            text: "p50 at most 1.05 × that of a bare pwrite and fdatasync",
            metric: "p50_us",
            better: Better::Less,
            against: &["raw-written"],
            bound: 1.05,
        },
        Target {
            text: "p99 at most 1.5 × that of a bare pwrite and fdatasync",
            metric: "p99_us",
            better: Better::Less,
            against: &["raw-written"],
            bound: 1.5,
        },
    ],
    rounds: |scale| scale.pick(5, 3, 1),
    run,
    place: Place::Own,
};

fn run(sample: &Sample) -> Outcome<Metrics> {
    timed(sample, Syncs::Each)
}

/// Appends for as long as a sample takes, and says how long each call took.
pub(super) fn timed(sample: &Sample, syncs: Syncs) -> Outcome<Metrics> {
    let peer = sample.open(syncs)?;
    let (mut latencies, mut digest) = (Latencies::default(), Digest::default());
    for number in 0_u32.. {
        let row = Row::new(number % CONVERSATIONS, number / CONVERSATIONS);
        let start = Instant::now();
        peer.append(&row)?;
        let elapsed = start.elapsed();
        digest.add_row(&row);
        if number >= WARM_UP {
            latencies.add(elapsed);
        }
        if latencies.total() >= sample.scale.time() || digest.count >= MOST {
            break;
        }
    }
    drop(peer);
    sample.check(syncs, digest)?;
    let mut metrics = Metrics::new();
    latencies.report(&mut metrics);
    metrics.insert("per_s".into(), latencies.count() as f64 / latencies.total().as_secs_f64());
    Ok(metrics)
}

/// No sample writes more messages than fit into the files that the limits have made ready.
pub(super) const MOST: u64 = 250_000;
