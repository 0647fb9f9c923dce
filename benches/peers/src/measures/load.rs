//! The large store that the later measures read: how fast it is made, and what it takes on the device.

use super::{Better, Column, Measure, Place, stock};
use crate::workload::USER_BYTES;

pub(super) const MEASURE: Measure = Measure {
    name: "load",
    title: "A million messages",
    about: "10,000 conversations of 100 messages, appended in turns, in durable batches of 10,000 (raft-engine, which reads a whole \
        batch for each entry of it: of 16; jsonl, which has a file for each conversation: without syncs). The user's own bytes are \
        252 a message. Files that are reserved ahead count in full.",
    contenders: &["sqlite-full", "redb", "fjall", "lmdb", "raft-engine", "jsonl", "aral-store"],
    limit: None,
    columns: &[
        Column { metric: "disk_per", head: "on the device, bytes a message", better: Better::Less },
        Column { metric: "amplification", head: "written, × the user's bytes", better: Better::Less },
        Column { metric: "per_s", head: "messages/s", better: Better::More },
    ],
    targets: &[],
    rounds: |_| 1,
    run: |sample| {
        let (_, mut metrics) = sample.stock_of(stock::LOG, &sample.contender)?;
        let written = metrics.get("written_per").copied().unwrap_or_default();
        metrics.insert("amplification".into(), written / USER_BYTES);
        Ok(metrics)
    },
    place: Place::Own,
};
