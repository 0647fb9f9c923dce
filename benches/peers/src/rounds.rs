//! A run: every sample in a process of its own, contenders in turns.
//!
//! Owns the order. Within a round all contenders are measured one after another, so that what the machine does meanwhile
//! meets all of them, and each round begins with another one. A process more costs nothing that is timed, and gives nobody
//! the allocator, the caches or the threads that somebody else left behind.

use std::collections::BTreeMap;
use std::os::unix::fs::DirEntryExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{fs, io};

use crate::Outcome;
use crate::figures::Metrics;
use crate::measures::{Measure, Place};
use crate::results::Taken;
use crate::scale::Scale;

/// What a run is told.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) scale: Scale,
    /// Where files are made; it exists and is this run's alone.
    pub(crate) dir: PathBuf,
    /// The contenders to measure; empty for all.
    pub(crate) contenders: Vec<String>,
}

impl Plan {
    fn takes(&self, contender: &str) -> bool {
        self.contenders.is_empty() || self.contenders.iter().any(|wanted| wanted == contender)
    }

    /// Takes all rounds of a measure.
    pub(crate) fn take(&self, measure: &Measure) -> Outcome<Taken> {
        let start = Instant::now();
        // A limit always takes part: without it no figure can be judged.
        let contenders: Vec<&str> = measure
            .contenders
            .iter()
            .copied()
            .filter(|name| self.takes(name) || measure.limit == Some(*name))
            .collect();
        let mut taken = Taken::default();
        for round in 0..(measure.rounds)(self.scale) {
            let mut found: BTreeMap<String, Metrics> = BTreeMap::new();
            let turn = usize::try_from(round)? % contenders.len().max(1);
            let (before, from) = contenders.split_at(turn);
            for contender in from.iter().chain(before) {
                match self.sample(measure, contender, round) {
                    Ok(metrics) => {
                        found.insert((*contender).to_owned(), metrics);
                    }
                    Err(error) => {
                        eprintln!("{}, {contender}: {error}", measure.name);
                        taken.failed.insert((*contender).to_owned(), error.to_string());
                    }
                }
            }
            taken.rounds.push(found);
        }
        eprintln!("{}: {:.1} s", measure.name, start.elapsed().as_secs_f64());
        Ok(taken)
    }

    fn sample(&self, measure: &Measure, contender: &str, round: u32) -> Outcome<Metrics> {
        let dir = self.dir.join(format!("{}-{round}-{contender}", measure.name));
        fs::create_dir(&dir)?;
        // What the one before left to be written must not slow this one down.
        rustix::fs::syncfs(fs::File::open(&dir)?)?;
        let output = Command::new(std::env::current_exe()?)
            .args(["sample", measure.name, contender, self.scale.name()])
            .args([dir.as_path(), self.shared().as_path()])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .output()?;
        if measure.place == Place::Own {
            remove_all(&dir)?;
        }
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr);
            let reason = reason.lines().last().unwrap_or("no reason given").to_owned();
            return Err(format!("{} ({reason})", output.status).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    pub(crate) fn shared(&self) -> PathBuf {
        self.dir.join("shared")
    }
}

/// Removes a directory and what is in it. Files go in the order of their inodes: among a million of them, the order of
/// their names' hashes takes a file system back and forth through its tables.
pub(crate) fn remove_all(dir: &Path) -> io::Result<()> {
    let mut entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::ino);
    for entry in entries {
        if entry.file_type()?.is_dir() {
            remove_all(&entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir(dir)
}

/// A new directory for a run, on a real file system.
pub(crate) fn make_place(parent: &Path) -> Outcome<PathBuf> {
    fs::create_dir_all(parent)?;
    let kind = crate::machine::file_system(parent)?;
    if kind == "tmpfs" || kind == "ramfs" {
        let reason = "nothing is durable there, and nothing costs anything; choose another with --dir";
        return Err(format!("{} is on {kind}: {reason}", parent.display()).into());
    }
    let dir = parent.join(format!("run-{}", std::process::id()));
    fs::create_dir(&dir)?;
    fs::create_dir(dir.join("shared"))?;
    Ok(dir)
}
