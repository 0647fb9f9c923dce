//! What a message takes in the log beyond its own bytes, when each is appended alone.

use std::fs;
use std::path::Path;

use super::stock::disk_bytes;
use super::{Better, Column, Measure, Place, Sample, Target};
use crate::Outcome;
use crate::figures::Metrics;
use crate::peer::Syncs;
use crate::workload::{Row, USER_BYTES};

const CONVERSATIONS: u32 = 10;

pub(super) const MEASURE: Measure = Measure {
    name: "disk",
    title: "Bytes beyond the messages' own",
    about: "Messages appended one by one, unsynced, to ten conversations; the user's own bytes are 252 a message. Zeros at the end of a \
        file are room for more, and do not count in the first figure; in the second all blocks of the device do.",
    contenders: &["sqlite-normal", "redb", "fjall", "lmdb", "raft-engine", "jsonl", "aral-store"],
    limit: None,
    columns: &[
        Column { metric: "beyond", head: "bytes beyond, a message", better: Better::Less },
        Column { metric: "disk_per", head: "on the device, bytes a message", better: Better::Less },
    ],
    targets: &[Target {
        text: "48 bytes and padding (of at most 8)",
        metric: "beyond",
        better: Better::Less,
        against: &[],
        bound: 56.0,
    }],
    rounds: |_| 1,
    run,
    place: Place::Own,
};

fn run(sample: &Sample) -> Outcome<Metrics> {
    let count: u32 = sample.scale.pick(100_000, 10_000, 1000);
    let peer = sample.open(Syncs::Never)?;
    for number in 0..count {
        peer.append(&Row::new(number % CONVERSATIONS, number / CONVERSATIONS))?;
    }
    drop(peer);
    let count = f64::from(count);
    let disk = disk_bytes(&sample.dir)?;
    let mut metrics = Metrics::new();
    metrics.insert("disk_per".into(), disk / count);
    metrics.insert("beyond".into(), used_bytes(&sample.dir)? as f64 / count - USER_BYTES);
    Ok(metrics)
}

/// How many bytes the files hold, without the zeros at their ends.
fn used_bytes(dir: &Path) -> Outcome<usize> {
    let mut used = 0;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            used += used_bytes(&path)?;
        } else {
            used += fs::read(path)?.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        }
    }
    Ok(used)
}
