//! What the index takes for a message more.

use std::process::{Command, Stdio};

use super::{Better, Column, Measure, Place, Sample, Target, stock};
use crate::figures::Metrics;
use crate::scale::PER_CONVERSATION;
use crate::{Outcome, process};

pub(super) const MEASURE: Measure = Measure {
    name: "memory",
    title: "Memory of an index",
    about: "Two logs of the same conversations, one with ten times as many messages, each opened by a process of its own: the difference in \
        memory that belongs to no file, for each message more. Beside it what `stats()` counts, conversations included.",
    contenders: &["raft-engine", "aral-store"],
    limit: None,
    columns: &[
        Column { metric: "bytes_per", head: "bytes a message", better: Better::Less },
        Column { metric: "stats_per", head: "by its own count", better: Better::Neither },
    ],
    targets: &[Target {
        text: "24 bytes a message",
        metric: "bytes_per",
        better: Better::Less,
        against: &[],
        bound: 24.0,
    }],
    rounds: |scale| scale.pick(3, 1, 1),
    run,
    place: Place::Own,
};

/// What each of the two processes does, with the stock's name in the place of a directory.
pub(super) const OPENED: Measure = Measure { name: "memory-opened", run: opened, ..MEASURE };

fn opened(sample: &Sample) -> Outcome<Metrics> {
    let before = process::anonymous_bytes()?;
    let peer = crate::contenders::open(&sample.contender, &sample.dir, crate::peer::Syncs::Each)?;
    let mut metrics = Metrics::new();
    metrics.insert("bytes".into(), process::anonymous_bytes()? - before);
    for (name, figure) in peer.facts()? {
        metrics.insert(name.to_owned(), figure);
    }
    Ok(metrics)
}

fn measured(sample: &Sample, stock: &str) -> Outcome<Metrics> {
    let dir = sample.stocked(stock)?;
    let output = Command::new(std::env::current_exe()?)
        .args(["sample", OPENED.name, &sample.contender, sample.scale.name()])
        .args([&dir, &sample.shared])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("a store could not be opened".into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn run(sample: &Sample) -> Outcome<Metrics> {
    let (small, large) = (measured(sample, stock::SMALL)?, measured(sample, stock::LOG)?);
    let talks = f64::from(sample.scale.conversations());
    let per = f64::from(PER_CONVERSATION);
    let bytes = |of: &Metrics| of.get("bytes").copied().ok_or("no figure");
    let mut metrics = Metrics::new();
    metrics.insert("bytes_per".into(), (bytes(&large)? - bytes(&small)?) / (talks * per * 0.9));
    if let (Some(index), Some(messages)) = (large.get("index_bytes"), large.get("messages")) {
        metrics.insert("stats_per".into(), index / messages);
    }
    Ok(metrics)
}
