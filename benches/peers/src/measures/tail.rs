//! A process is killed after it has appended 64 MiB, and another one opens what it left.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{Better, Column, Measure, Place, Sample, Target};
use crate::contenders::{mapped, raw};
use crate::figures::Metrics;
use crate::peer::Syncs;
use crate::workload::{Digest, Row, USER_BYTES};
use crate::{Outcome, contenders, process};

const CONVERSATIONS: u32 = 100;

/// How many messages a batch has: few enough for a log of many records.
const BATCH: u32 = 10;

pub(super) const MEASURE: Measure = Measure {
    name: "tail",
    title: "Opening after kill -9, 64 MiB behind the last checkpoint",
    about: "64 MiB of messages in batches of ten, unsynced (okaywal, redb: synced), then SIGKILL; every message is there afterwards. The limit \
        maps as many bytes of records and checks them with crc32, without looking at them. MB/s are the user's bytes by the time to open.",
    contenders: &[
        "raw-crc",
        "sqlite-normal",
        "redb",
        "fjall",
        "lmdb",
        "raft-engine",
        "okaywal",
        "aral-store",
    ],
    limit: Some("raw-crc"),
    columns: &[
        Column { metric: "open_ms", head: "opened, ms", better: Better::Less },
        Column { metric: "mb_per_s", head: "MB/s", better: Better::More },
        Column { metric: "rss_mb", head: "resident, MB", better: Better::Less },
    ],
    targets: &[Target {
        text: "at least half the speed of mmap and crc32",
        metric: "mb_per_s",
        better: Better::More,
        against: &["raw-crc"],
        bound: 0.5,
    }],
    rounds: |scale| scale.pick(2, 1, 1),
    run,
    place: Place::Own,
};

/// What the process does that is killed.
pub(super) const WRITER: Measure = Measure { name: "tail-writer", run: write_and_wait, ..MEASURE };

fn messages(sample: &Sample) -> u32 {
    let bytes: u32 = sample.scale.pick(64 << 20, 8 << 20, 1 << 18);
    bytes / 276 / BATCH * BATCH
}

fn rows(number: u32) -> Vec<Row> {
    let (talk, first) = (number % CONVERSATIONS, number / CONVERSATIONS * BATCH);
    (first..first + BATCH).map(|seq| Row::new(talk, seq)).collect()
}

/// okaywal syncs every entry, and redb keeps in its own memory what it does not sync.
fn syncs(sample: &Sample) -> Syncs {
    if ["okaywal", "redb"].contains(&sample.contender.as_str()) { Syncs::Each } else { Syncs::Never }
}

fn write_and_wait(sample: &Sample) -> Outcome<Metrics> {
    let contender = if sample.contender == "raw-crc" { "raw-write" } else { sample.contender.as_str() };
    let peer = contenders::open(contender, &sample.dir, syncs(sample))?;
    for number in 0..messages(sample) / BATCH {
        peer.append_batch(&rows(number))?;
    }
    println!("written");
    std::io::stdout().flush()?;
    loop {
        std::thread::park();
    }
}

fn run(sample: &Sample) -> Outcome<Metrics> {
    let mut writer = Command::new(std::env::current_exe()?)
        .args(["sample", WRITER.name, &sample.contender, sample.scale.name()])
        .args([&sample.dir, &sample.shared])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(writer.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    writer.kill()?;
    writer.wait()?;
    if line != "written\n" {
        return Err("the writer did not finish".into());
    }
    let mut written = Digest::default();
    for number in 0..messages(sample) / BATCH {
        for row in &rows(number) {
            written.add_row(row);
        }
    }
    let start = Instant::now();
    let (elapsed, rss, found) = if sample.contender == "raw-crc" {
        let map = mapped::map(&sample.dir.join("raw"))?.ok_or("no file")?;
        std::hint::black_box(crc32fast::hash(map.bytes()));
        let elapsed = start.elapsed();
        let rss = process::resident_mb()?;
        (elapsed, rss, raw::digest_of(&raw::open_file(&sample.dir, raw::Blocks::None)?)?)
    } else {
        let peer = sample.open(syncs(sample))?;
        let elapsed = start.elapsed();
        let rss = process::resident_mb()?;
        (elapsed, rss, peer.digest()?)
    };
    if found != written {
        return Err(format!(
            "{} messages were written, and {} found or not the same",
            written.count, found.count
        )
        .into());
    }
    let mut metrics = Metrics::new();
    metrics.insert("open_ms".into(), elapsed.as_secs_f64() * 1e3);
    metrics.insert("mb_per_s".into(), written.count as f64 * USER_BYTES / 1e6 / elapsed.as_secs_f64());
    metrics.insert("rss_mb".into(), rss);
    Ok(metrics)
}
