//! Stores that are made ready once in a run and then opened by many samples.
//!
//! Owns what they hold and how they are made: each by a process of its own, when the first sample asks for it. What a stock holds
//! follows from its name, so that whoever reads it can check what is read.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{Measure, Place, Sample};
use crate::contenders::unsynced::Unsynced;
use crate::contenders::{self, OURS};
use crate::figures::Metrics;
use crate::peer::{Held, Peer, Syncs};
use crate::scale::PER_CONVERSATION;
use crate::workload::{Row, Talk};
use crate::{Outcome, process};

/// Everything as it was appended, conversations in turns: a conversation's messages lie scattered over the whole.
pub(super) const LOG: &str = "stock-log";
/// The same, one conversation after another.
pub(super) const SIDE: &str = "stock-side";
/// A tenth of the messages in as many conversations.
pub(super) const SMALL: &str = "stock-small";
/// `LOG`, compacted. Only for this store.
pub(super) const COMPACTED: &str = "stock-compacted";
/// Many conversations of one message; compacted, in the case of this store.
pub(super) const MANY: &str = "stock-many";

const fn stock(name: &'static str, run: fn(&Sample) -> Outcome<Metrics>) -> Measure {
    Measure {
        name,
        title: "",
        about: "",
        contenders: &[],
        limit: None,
        columns: &[],
        targets: &[],
        rounds: |_| 1,
        run,
        place: Place::Kept,
    }
}

pub(super) const ALL: &[Measure] = &[
    stock(LOG, |sample| load(sample, PER_CONVERSATION, Order::InTurns)),
    stock(SIDE, |sample| load(sample, PER_CONVERSATION, Order::OneAfterAnother)),
    stock(SMALL, |sample| load(sample, PER_CONVERSATION / 10, Order::InTurns)),
    stock(COMPACTED, compacted),
    stock(MANY, many),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    InTurns,
    OneAfterAnother,
}

/// How many conversations `MANY` holds.
pub(super) fn count_of_many(sample: &Sample) -> u32 {
    sample.scale.pick(1_000_000, 10_000, 100)
}

impl Sample {
    /// Where a stock of this contender lies; it is made now if it is not there.
    pub(super) fn stocked(&self, stock: &str) -> Outcome<PathBuf> {
        self.stock_of(stock, &self.contender).map(|(dir, _)| dir)
    }

    /// The same of any contender, with the figures of its making.
    pub(super) fn stock_of(&self, stock: &str, contender: &str) -> Outcome<(PathBuf, Metrics)> {
        let dir = self.shared.join(format!("{stock}-{contender}"));
        let made = self.shared.join(format!("{stock}-{contender}.json"));
        if !made.exists() {
            fs::create_dir(&dir)?;
            let output = Command::new(std::env::current_exe()?)
                .args(["sample", stock, contender, self.scale.name()])
                .args([&dir, &self.shared])
                .stdin(Stdio::null())
                .stderr(Stdio::inherit())
                .output()?;
            if !output.status.success() {
                return Err(format!("{stock} of {contender} could not be made").into());
            }
            fs::write(&made, output.stdout)?;
            rustix::fs::syncfs(fs::File::open(&dir)?)?;
        }
        Ok((dir, serde_json::from_slice(&fs::read(&made)?)?))
    }

    /// Opens a stock.
    pub(super) fn open_stock(&self, stock: &str) -> Outcome<Box<dyn Peer>> {
        contenders::open(&self.contender, &self.stocked(stock)?, Syncs::Each)
    }
}

/// Fails unless these are the messages that this conversation has from this number on.
pub(super) fn check(found: &dyn Held, talk: &Talk, first: u32, count: u32) -> Outcome<()> {
    if found.count() != usize::try_from(count)? {
        return Err(format!("{} messages instead of {count}", found.count()).into());
    }
    for at in 0..count {
        if found.text(usize::try_from(at)?) != Some(Row::new(talk.number, first + at).content.as_str()) {
            return Err(format!("message {at} of {} is another one", talk.id).into());
        }
    }
    Ok(())
}

fn load(sample: &Sample, per: u32, order: Order) -> Outcome<Metrics> {
    let talks = sample.scale.conversations();
    // jsonl would sync every file of a batch on its own; raft-engine reads a whole batch for any entry of it.
    let syncs = if sample.contender == "jsonl" { Syncs::Never } else { Syncs::Each };
    let size = if sample.contender == "raft-engine" { 16 } else { 10_000 };
    let peer = sample.open(syncs)?;
    let mut rows = Vec::new();
    let mut seconds = 0.0;
    let mut append = |rows: &mut Vec<Row>| -> Outcome<()> {
        let start = Instant::now();
        peer.append_batch(rows)?;
        seconds += start.elapsed().as_secs_f64();
        rows.clear();
        Ok(())
    };
    for number in 0..talks * per {
        let (talk, seq) = match order {
            Order::InTurns => (number % talks, number / talks),
            Order::OneAfterAnother => (number / per, number % per),
        };
        rows.push(Row::new(talk, seq));
        if rows.len() == size {
            append(&mut rows)?;
        }
    }
    if !rows.is_empty() {
        append(&mut rows)?;
    }
    drop(peer);
    let messages = f64::from(talks * per);
    let mut metrics = Metrics::new();
    metrics.insert("load_s".into(), seconds);
    metrics.insert("per_s".into(), messages / seconds);
    metrics.insert("disk_per".into(), disk_bytes(&sample.dir)? / messages);
    metrics.insert("written_per".into(), process::written_bytes()? / messages);
    Ok(metrics)
}

/// How many bytes of the device files take.
pub(super) fn disk_bytes(dir: &Path) -> Outcome<f64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0.0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += metadata.blocks() as f64 * 512.0;
        if metadata.is_dir() {
            bytes += disk_bytes(&entry.path())?;
        }
    }
    Ok(bytes)
}

/// Copies what is in a directory into another one, which exists.
pub(super) fn copy(from: &Path, to: &Path) -> Outcome<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// A store of this kind that syncs nothing, to make stocks with.
fn quick_store(dir: &Path) -> Outcome<aral_store::MessageStore> {
    let options = aral_store::MessageStore::options().compact_manually().vfs(std::sync::Arc::new(Unsynced));
    Ok(options.open(dir.join("aral"))?)
}

fn compacted(sample: &Sample) -> Outcome<Metrics> {
    copy(&sample.stocked(LOG)?, &sample.dir)?;
    let store = quick_store(&sample.dir)?;
    store.compact()?;
    store.close()?;
    Ok(Metrics::new())
}

fn many(sample: &Sample) -> Outcome<Metrics> {
    let count = count_of_many(sample);
    if sample.contender != OURS {
        let peer = sample.open(Syncs::Each)?;
        for first in (0..count).step_by(10_000) {
            let rows: Vec<Row> =
                (first..count.min(first + 10_000)).map(|number| Row::new(number, 0)).collect();
            peer.append_batch(&rows)?;
        }
        return Ok(Metrics::new());
    }
    let store = quick_store(&sample.dir)?;
    for first in (0..count).step_by(10_000) {
        let rows = (first..count.min(first + 10_000)).map(|number| Row::new(number, 0));
        let batch: Outcome<Vec<_>> = rows.map(|row| contenders::aral::mutation(&row)).collect();
        drop(store.batch(batch?)?);
    }
    store.compact()?;
    store.close()?;
    Ok(Metrics::new())
}
