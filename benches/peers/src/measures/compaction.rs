//! Compactions: of everything, and of what has changed.

use std::fs::File;
use std::time::Instant;

use super::files::{self, Durably};
use super::stock::{self, check, copy};
use super::{Better, Column, Measure, Place, Sample, Target};
use crate::Outcome;
use crate::contenders::OURS;
use crate::contenders::aral::Aral;
use crate::figures::Metrics;
use crate::peer::{Peer, Syncs};
use crate::scale::PER_CONVERSATION;
use crate::workload::{Row, Talk};

pub(super) const ALL: Measure = Measure {
    name: "compaction",
    title: "Compaction of everything",
    about: "A million messages from the log to 10,000 JSON files, which are durable under their names afterwards. The limits write the \
        same bytes, ready in memory, to as many files beside their names, and rename them: `raw-files` syncs each file before \
        that, `raw-files+syncfs` the whole file system once.",
    contenders: &["raw-files", "raw-files+syncfs", "aral-store"],
    limit: Some("raw-files"),
    columns: &[
        Column { metric: "seconds", head: "seconds", better: Better::Less },
        Column { metric: "mb_per_s", head: "MB/s of JSON", better: Better::More },
    ],
    targets: &[Target {
        text: "0.7 of writing the ready bytes the same way",
        metric: "mb_per_s",
        better: Better::More,
        against: &["raw-files"],
        bound: 0.7,
    }],
    rounds: |scale| scale.pick(3, 1, 1),
    run: |sample| match sample.contender.as_str() {
        "raw-files" => files::limit(sample, Durably::OneByOne),
        "raw-files+syncfs" => files::limit(sample, Durably::AllAtOnce),
        _ => all(sample),
    },
    place: Place::Kept,
};

pub(super) const CHANGED: Measure = Measure {
    name: "compaction-changed",
    title: "Compaction of what has changed",
    about: "The compacted store of 10,000 conversations, after a message more in 10, 100 and 1,000 of them.",
    contenders: &["aral-store"],
    limit: None,
    columns: &[
        Column { metric: "ms_10", head: "10 changed, ms", better: Better::Less },
        Column { metric: "ms_100", head: "100 changed, ms", better: Better::Less },
        Column { metric: "ms_1000", head: "1,000 changed, ms", better: Better::Less },
        Column { metric: "spread", head: "cost of one: of 1,000 by of 100", better: Better::Less },
    ],
    targets: &[Target {
        text: "in proportion: one of 1,000 costs at most 1.25 × one of 100",
        metric: "spread",
        better: Better::Less,
        against: &[],
        bound: 1.25,
    }],
    rounds: |scale| scale.pick(3, 1, 1),
    run: changed,
    place: Place::Kept,
};

fn all(sample: &Sample) -> Outcome<Metrics> {
    copy(&sample.stocked(stock::LOG)?, &sample.dir)?;
    rustix::fs::syncfs(File::open(&sample.dir)?)?;
    let peer = Aral::open(&sample.dir, Syncs::Each)?;
    let start = Instant::now();
    let report = peer.store.compact()?;
    let seconds = start.elapsed().as_secs_f64();
    drop(peer);
    let talks = sample.scale.conversations();
    if report.written != usize::try_from(talks)? {
        return Err(format!("{} conversations were written", report.written).into());
    }
    let again = Aral::open(&sample.dir, Syncs::Each)?;
    for talk in (0..talks).step_by(97).map(Talk::new) {
        check(again.conversation(&talk)?.ok_or("no conversation")?.as_ref(), &talk, 0, PER_CONVERSATION)?;
    }
    Ok(files::metrics(seconds, report.written_bytes as f64))
}

fn changed(sample: &Sample) -> Outcome<Metrics> {
    let (stock, _) = sample.stock_of(stock::COMPACTED, OURS)?;
    copy(&stock, &sample.dir)?;
    rustix::fs::syncfs(File::open(&sample.dir)?)?;
    let peer = Aral::open(&sample.dir, Syncs::Each)?;
    let mut metrics = Metrics::new();
    let cost = |count: u32, seq: u32| -> Outcome<f64> {
        let count = count.min(sample.scale.conversations() / 2);
        let rows: Vec<Row> = (0..count).map(|number| Row::new(number, seq)).collect();
        peer.append_batch(&rows)?;
        let start = Instant::now();
        let report = peer.store.compact()?;
        let elapsed = start.elapsed().as_secs_f64() * 1e3;
        if report.written != usize::try_from(count)? {
            return Err(format!("{} conversations were written instead of {count}", report.written).into());
        }
        Ok(elapsed)
    };
    // The first one after an opening reads what the later ones know.
    cost(10, PER_CONVERSATION)?;
    let ten = cost(10, PER_CONVERSATION + 1)?;
    let hundred = cost(100, PER_CONVERSATION + 2)?;
    let thousand = cost(1000, PER_CONVERSATION + 3)?;
    metrics.insert("ms_10".into(), ten);
    metrics.insert("ms_100".into(), hundred);
    // In a small store there are fewer to change.
    let half = f64::from(sample.scale.conversations() / 2);
    metrics.insert("ms_1000".into(), thousand);
    metrics.insert("spread".into(), (thousand / half.min(1000.0)) / (hundred / half.min(100.0)));
    Ok(metrics)
}
