//! The limit of writing many files: bytes that are ready.
//!
//! Owns the two ways in which files become durable under their names: a sync for each, or one for the whole file system. The
//! bytes are those of this store's own snapshot, so that as many are written to as many files.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use super::{Sample, stock};
use crate::Outcome;
use crate::contenders::OURS;
use crate::figures::Metrics;

/// Files and their names.
pub(super) type Ready = Vec<(String, Vec<u8>)>;

/// The files that this store makes of the large store.
pub(super) fn ready(sample: &Sample) -> Outcome<Ready> {
    let (dir, _) = sample.stock_of(stock::COMPACTED, OURS)?;
    let mut ready = Vec::new();
    for entry in fs::read_dir(dir.join("aral").join("conversations"))? {
        let entry = entry?;
        ready.push((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?));
    }
    Ok(ready)
}

/// How files are made durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Durably {
    OneByOne,
    AllAtOnce,
}

/// Writes files under other names, syncs them, gives them their names, and syncs those.
pub(super) fn write_all(dir: &Path, ready: &Ready, how: Durably) -> Outcome<()> {
    let (staged, place) = (dir.join("staged"), dir.join("files"));
    fs::create_dir(&staged)?;
    fs::create_dir(&place)?;
    for (name, bytes) in ready {
        write(&staged.join(name), bytes, how)?;
    }
    if how == Durably::AllAtOnce {
        rustix::fs::syncfs(File::open(dir)?)?;
    }
    for (name, _) in ready {
        fs::rename(staged.join(name), place.join(name))?;
    }
    for synced in [&staged, &place] {
        File::open(synced)?.sync_all()?;
    }
    Ok(File::open(dir)?.sync_all()?)
}

/// Writes one file, and syncs it if each is.
pub(super) fn write(path: &Path, bytes: &[u8], how: Durably) -> Outcome<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    if how == Durably::OneByOne {
        file.sync_data()?;
    }
    Ok(())
}

/// Takes the limit's sample.
pub(super) fn limit(sample: &Sample, how: Durably) -> Outcome<Metrics> {
    let ready = ready(sample)?;
    rustix::fs::syncfs(File::open(&sample.dir)?)?;
    let start = Instant::now();
    write_all(&sample.dir, &ready, how)?;
    let seconds = start.elapsed().as_secs_f64();
    for (name, bytes) in ready.iter().step_by(97) {
        if fs::read(sample.dir.join("files").join(name))? != *bytes {
            return Err("a file holds something else".into());
        }
    }
    let bytes: usize = ready.iter().map(|(_, bytes)| bytes.len()).sum();
    Ok(metrics(seconds, bytes as f64))
}

pub(super) fn metrics(seconds: f64, bytes: f64) -> Metrics {
    Metrics::from([("seconds".into(), seconds), ("mb_per_s".into(), bytes / 1e6 / seconds)])
}
