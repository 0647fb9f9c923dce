//! Exports: everything to one JSON file for each conversation, durable under its name.

use std::fs::{self, File};
use std::time::Instant;

use super::files::{self, Durably};
use super::{Better, Column, Measure, Place, Sample, Target, stock};
use crate::Outcome;
use crate::contenders::OURS;
use crate::contenders::aral::Aral;
use crate::figures::Metrics;
use crate::peer::Syncs;
use crate::workload::Talk;

pub(super) const MEASURE: Measure = Measure {
    name: "export",
    title: "Export to JSON files",
    about: "A million messages from the log, or from wherever a contender has them, to 10,000 JSON files; every file is synced. The peers \
        read a conversation, serialise it with serde_json and write it; their documents are a little shorter than this store's, which \
        are the Python original's to the byte. The limits are those of compaction.",
    contenders: &["raw-files", "sqlite-full", "redb", "fjall", "lmdb", "jsonl", "aral-store"],
    limit: Some("raw-files"),
    columns: &[
        Column { metric: "mb_per_s", head: "MB/s of JSON", better: Better::More },
        Column { metric: "seconds", head: "seconds", better: Better::Less },
    ],
    targets: &[Target {
        text: "0.7 of writing the ready bytes the same way",
        metric: "mb_per_s",
        better: Better::More,
        against: &["raw-files"],
        bound: 0.7,
    }],
    rounds: |scale| scale.pick(2, 1, 1),
    run: |sample| match sample.contender.as_str() {
        "raw-files" => files::limit(sample, Durably::OneByOne),
        OURS => ours(sample),
        _ => theirs(sample),
    },
    place: Place::Kept,
};

fn ours(sample: &Sample) -> Outcome<Metrics> {
    let peer = Aral::open(&sample.stocked(stock::LOG)?, Syncs::Each)?;
    let to = sample.dir.join("export");
    let start = Instant::now();
    let report = peer.store.export_aral(&to, None)?;
    let seconds = start.elapsed().as_secs_f64();
    if report.conversations != u64::from(sample.scale.conversations()) {
        return Err(format!("{} conversations were exported", report.conversations).into());
    }
    for (name, bytes) in files::ready(sample)?.iter().step_by(97) {
        if fs::read(to.join("conversations").join(name))? != *bytes {
            return Err("an exported file is not that of the snapshot".into());
        }
    }
    Ok(files::metrics(seconds, report.bytes as f64))
}

fn theirs(sample: &Sample) -> Outcome<Metrics> {
    let peer = sample.open_stock(stock::LOG)?;
    let dir = sample.dir.join("export");
    fs::create_dir(&dir)?;
    let mut bytes = 0;
    let start = Instant::now();
    for talk in (0..sample.scale.conversations()).map(Talk::new) {
        let found = peer.conversation(&talk)?.ok_or("cannot be read")?;
        let document = found.document().ok_or("cannot be written")?;
        bytes += document.len();
        files::write(&dir.join(format!("{}.json", talk.id)), &document, Durably::OneByOne)?;
    }
    File::open(&dir)?.sync_all()?;
    Ok(files::metrics(start.elapsed().as_secs_f64(), bytes as f64))
}
