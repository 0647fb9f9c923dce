//! What is measured.
//!
//! Owns the list of measures, the form that a measure has, and the sample that one process takes. A measure a file: how it is
//! taken, who takes part, what its table shows, and what it is to reach.

use std::path::PathBuf;

use crate::Outcome;
use crate::contenders::{self, Home};
use crate::figures::Metrics;
use crate::peer::{Peer, Syncs};
use crate::scale::Scale;
use crate::server;
use crate::workload::Digest;

mod append;
mod batch;
mod buffered;
mod compaction;
mod databases;
mod disk;
mod export;
mod files;
mod growth;
mod load;
mod memory;
mod open;
mod readers;
mod reads;
mod stock;
mod tail;
mod threads;

pub(crate) const ALL: &[Measure] = &[
    append::MEASURE,
    threads::EIGHT,
    threads::SIXTY_FOUR,
    buffered::MEASURE,
    batch::HUNDRED,
    batch::THOUSAND,
    growth::MEASURE,
    readers::MEASURE,
    load::MEASURE,
    disk::MEASURE,
    memory::MEASURE,
    open::LARGE,
    open::UNCOMPACTED,
    open::MANY,
    tail::MEASURE,
    reads::LOG,
    reads::SIDE,
    reads::SNAPSHOT,
    compaction::ALL,
    compaction::CHANGED,
    export::MEASURE,
];

/// What is measured of stores in databases, which is a run of its own.
pub(crate) const DATABASES: &[Measure] = &[
    databases::SQLITE_ONE,
    databases::SQLITE_EIGHT,
    databases::SQLITE_READS,
    databases::POSTGRES_ONE,
    databases::POSTGRES_SIXTY_FOUR,
    databases::POSTGRES_READS,
];

/// What only other samples ask for.
const PARTS: &[&[Measure]] = &[stock::ALL, &[tail::WRITER, memory::OPENED]];

/// One thing that is measured.
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// What is done, for the reader of the table.
    pub(crate) about: &'static str,
    pub(crate) contenders: &'static [&'static str],
    /// Whose figure of the same round the others are divided by.
    pub(crate) limit: Option<&'static str>,
    pub(crate) columns: &'static [Column],
    pub(crate) targets: &'static [Target],
    pub(crate) rounds: fn(Scale) -> u32,
    pub(crate) run: fn(&Sample) -> Outcome<Metrics>,
    /// Where its files go.
    pub(crate) place: Place,
}

/// How long the files of a sample stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Until the sample is over.
    Own,
    /// Until the run is over: making many files soon after many were removed is slow on some file systems.
    Kept,
}

/// What a table shows of the metrics; the first column is what contenders are ranked by.
pub(crate) struct Column {
    pub(crate) metric: &'static str,
    pub(crate) head: &'static str,
    pub(crate) better: Better,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Better {
    Less,
    More,
    /// A fact, by which nobody is better.
    Neither,
}

/// What this store is to reach.
pub(crate) struct Target {
    pub(crate) text: &'static str,
    pub(crate) metric: &'static str,
    pub(crate) better: Better,
    /// What the figure is divided by: nothing, or the best of these in the same round.
    pub(crate) against: &'static [&'static str],
    pub(crate) bound: f64,
}

/// Stands for all rivals of a measure in [`Target::against`].
pub(crate) const RIVALS: &[&str] = &["*"];

/// What one process measures.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) contender: String,
    /// A directory for this sample alone, which exists.
    pub(crate) dir: PathBuf,
    /// Where what was loaded lies, for all samples of the run.
    pub(crate) shared: PathBuf,
    pub(crate) scale: Scale,
    pub(crate) home: Home,
    /// Of the server, if there is one.
    pub(crate) port: u16,
}

impl Sample {
    pub(crate) fn open(&self, syncs: Syncs) -> Outcome<Box<dyn Peer>> {
        match self.home {
            Home::Directory => contenders::open(&self.contender, &self.dir, syncs),
            home => contenders::open_in(home, &self.contender, &self.dir, self.port),
        }
    }

    /// The same sample of stores in databases.
    fn at_home(&self, home: Home, port: u16) -> Self {
        let (contender, dir, shared) = (self.contender.clone(), self.dir.clone(), self.shared.clone());
        Self { contender, dir, shared, scale: self.scale, home, port }
    }

    /// Fails unless exactly this is found by somebody who opens what was left.
    pub(crate) fn check(&self, syncs: Syncs, written: Digest) -> Outcome<()> {
        let found = self.open(syncs)?.digest()?;
        if found == written {
            return Ok(());
        }
        Err(format!("{} messages were written, and {} found or not the same", written.count, found.count)
            .into())
    }
}

/// A measure that can be asked for.
pub(crate) fn named(name: &str) -> Option<&'static Measure> {
    ALL.iter().chain(DATABASES).find(|measure| measure.name == name)
}

/// Why a measure cannot be taken here.
pub(crate) fn missing(measure: &Measure) -> Option<&'static str> {
    if measure.name.starts_with("postgres-") { server::missing() } else { None }
}

/// A measure, or a part of one that has a process of its own.
pub(crate) fn part(name: &str) -> Option<&'static Measure> {
    named(name).or_else(|| PARTS.iter().copied().flatten().find(|part| part.name == name))
}
