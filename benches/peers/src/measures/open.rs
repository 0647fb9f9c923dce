//! A process opens a large store that was closed, and reads one conversation.

use std::time::Instant;

use super::stock::{self, check};
use super::{Better, Column, Measure, Place, Sample, Target};
use crate::contenders::{self, OURS};
use crate::figures::Metrics;
use crate::peer::Syncs;
use crate::scale::PER_CONVERSATION;
use crate::workload::Talk;
use crate::{Outcome, process};

const COLUMNS: &[Column] = &[
    Column { metric: "open_ms", head: "opened, ms", better: Better::Less },
    Column { metric: "first_ms", head: "and read one conversation, ms", better: Better::Less },
    Column { metric: "rss_mb", head: "resident, MB", better: Better::Less },
    Column { metric: "anon_mb", head: "of it not files, MB", better: Better::Less },
];

pub(super) const LARGE: Measure = Measure {
    name: "open",
    title: "Opening a million messages",
    about: "The store of above, closed; this store's is compacted. The files are in the page cache. jsonl opens nothing but a \
        directory.",
    contenders: &["sqlite-full", "redb", "fjall", "lmdb", "raft-engine", "jsonl", "aral-store"],
    limit: None,
    columns: COLUMNS,
    targets: &[
        Target { text: "opened in 5 ms", metric: "open_ms", better: Better::Less, against: &[], bound: 5.0 },
        Target { text: "30 MB resident", metric: "rss_mb", better: Better::Less, against: &[], bound: 30.0 },
    ],
    rounds: |scale| scale.pick(5, 2, 1),
    run: |sample| {
        let stock = if sample.contender == OURS { stock::COMPACTED } else { stock::LOG };
        run(sample, stock, PER_CONVERSATION)
    },
    place: Place::Own,
};

pub(super) const UNCOMPACTED: Measure = Measure {
    name: "open-log",
    title: "Opening a million messages that were never compacted",
    about: "The same store of ours as it was appended: everything is in the log, and read.",
    contenders: &["raw-map", "raft-engine", "aral-store"],
    limit: Some("raw-map"),
    columns: COLUMNS,
    targets: &[],
    rounds: |scale| scale.pick(3, 1, 1),
    run: |sample| run(sample, stock::LOG, PER_CONVERSATION),
    place: Place::Own,
};

pub(super) const MANY: Measure = Measure {
    name: "open-many",
    title: "Opening a million conversations",
    about: "Each of one message; this store's is compacted, which makes a million files.",
    contenders: &["sqlite-full", "lmdb", "aral-store"],
    limit: None,
    columns: COLUMNS,
    targets: &[Target {
        text: "opened in 50 ms",
        metric: "open_ms",
        better: Better::Less,
        against: &[],
        bound: 50.0,
    }],
    rounds: |scale| scale.pick(3, 1, 1),
    run: |sample| run(sample, stock::MANY, 1),
    place: Place::Own,
};

fn run(sample: &Sample, stock: &str, per: u32) -> Outcome<Metrics> {
    let dir = sample.stocked(stock)?;
    let talk = Talk::new(7);
    let start = Instant::now();
    let peer = contenders::open(&sample.contender, &dir, Syncs::Each)?;
    let opened = start.elapsed();
    let found = peer.conversation(&talk)?.ok_or("cannot be read")?;
    let first = start.elapsed();
    let mut metrics = Metrics::new();
    metrics.insert("open_ms".into(), opened.as_secs_f64() * 1e3);
    metrics.insert("first_ms".into(), first.as_secs_f64() * 1e3);
    metrics.insert("rss_mb".into(), process::resident_mb()?);
    metrics.insert("anon_mb".into(), process::anonymous_bytes()? / 1e6);
    check(found.as_ref(), &talk, 0, per)?;
    Ok(metrics)
}
