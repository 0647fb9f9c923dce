//! What a message takes in the log beyond its own bytes, when each is appended alone.

use super::stock::disk_bytes;
use super::{Better, Column, Measure, Place, Sample, Target};
use crate::Outcome;
use crate::contenders::OURS;
use crate::figures::Metrics;
use crate::peer::Syncs;
use crate::workload::{Row, USER_BYTES};

const CONVERSATIONS: u32 = 10;

pub(super) const MEASURE: Measure = Measure {
    name: "disk",
    title: "Bytes beyond the messages' own",
    about: "Messages appended one by one, unsynced, to ten conversations; the user's own bytes are 252 a message. The first figure of \
        this store is what its log holds; reserved blocks behind it count in the second.",
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
    let facts = peer.facts()?;
    let in_log = facts.iter().find(|(name, _)| *name == "log_bytes").map(|(_, bytes)| *bytes);
    drop(peer);
    let count = f64::from(count);
    let disk = disk_bytes(&sample.dir)?;
    let mut metrics = Metrics::new();
    metrics.insert("disk_per".into(), disk / count);
    let bytes = in_log.filter(|_| sample.contender == OURS).unwrap_or(disk);
    metrics.insert("beyond".into(), bytes / count - USER_BYTES);
    Ok(metrics)
}
