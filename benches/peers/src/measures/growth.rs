//! Whether an append costs more where much has been said.

use std::time::Instant;

use super::{Better, Column, Measure, Place, Sample, Target};
use crate::Outcome;
use crate::figures::{Latencies, Metrics};
use crate::peer::Syncs;
use crate::workload::{Digest, Row};

pub(super) const MEASURE: Measure = Measure {
    name: "growth",
    title: "Appending to long conversations",
    about: "Durable appends in turns to four conversations that hold 10, 1,000, 10,000 and 100,000 messages; p50.",
    contenders: &["raw-written", "sqlite-full", "redb", "fjall", "lmdb", "jsonl", "aral-store"],
    limit: None,
    columns: &[
        Column { metric: "us_10", head: "10, µs", better: Better::Less },
        Column { metric: "us_1000", head: "1,000, µs", better: Better::Less },
        Column { metric: "us_10000", head: "10,000, µs", better: Better::Less },
        Column { metric: "us_100000", head: "100,000, µs", better: Better::Less },
        Column { metric: "growth", head: "last by first", better: Better::Less },
    ],
    targets: &[Target {
        text: "the same for 100,000 as for 10 (at most 1.1 ×)",
        metric: "growth",
        better: Better::Less,
        against: &[],
        bound: 1.1,
    }],
    rounds: |scale| scale.pick(3, 1, 1),
    run,
    place: Place::Own,
};

const NAMES: [&str; 4] = ["us_10", "us_1000", "us_10000", "us_100000"];

fn run(sample: &Sample) -> Outcome<Metrics> {
    let held: [u32; 4] =
        sample.scale.pick([10, 1000, 10_000, 100_000], [10, 100, 1000, 10_000], [10, 20, 30, 40]);
    let peer = sample.open(Syncs::Each)?;
    let mut digest = Digest::default();
    for (talk, held) in (0..).zip(held) {
        for first in (0..held).step_by(1000) {
            let rows: Vec<Row> = (first..held.min(first + 1000)).map(|seq| Row::new(talk, seq)).collect();
            for row in &rows {
                digest.add_row(row);
            }
            peer.append_batch(&rows)?;
        }
    }
    let mut latencies: [Latencies; 4] = Default::default();
    let start = Instant::now();
    for more in 0_u32.. {
        for ((talk, held), latencies) in (0..).zip(held).zip(&mut latencies) {
            let row = Row::new(talk, held + more);
            let start = Instant::now();
            peer.append(&row)?;
            latencies.add(start.elapsed());
            digest.add_row(&row);
        }
        if start.elapsed() >= sample.scale.time() {
            break;
        }
    }
    drop(peer);
    sample.check(Syncs::Each, digest)?;
    let mut metrics = Metrics::new();
    for (name, latencies) in NAMES.iter().zip(&mut latencies) {
        metrics.insert((*name).to_owned(), latencies.percentile(0.5));
    }
    let of = |name: &str| metrics.get(name).copied().unwrap_or(f64::NAN);
    let growth = of("us_100000") / of("us_10");
    metrics.insert("growth".into(), growth);
    Ok(metrics)
}
