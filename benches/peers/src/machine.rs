//! The machine, as far as its figures depend on it.
//!
//! Owns what is said of it: no names of hosts, no paths.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Outcome;

/// The kind of file system that a directory is on, as the kernel names it.
pub(crate) fn file_system(dir: &Path) -> Outcome<String> {
    let dir = dir.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ').skip(1);
        let (Some(place), Some(kind)) = (words.next(), words.next()) else { continue };
        // A later mount hides an earlier one in the same place.
        if dir.starts_with(place) && best.is_none_or(|(length, _)| place.len() >= length) {
            best = Some((place.len(), kind));
        }
    }
    Ok(best.ok_or("no file system")?.1.to_owned())
}

fn first_after(path: &str, start: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(start))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The machine and the tools.
pub(crate) fn described(dir: &Path) -> Outcome<BTreeMap<String, String>> {
    let mut machine = BTreeMap::new();
    let mut say = |what: &str, value: Option<String>| {
        machine.insert(what.to_owned(), value.unwrap_or_else(|| "unknown".to_owned()));
    };
    let threads = std::thread::available_parallelism()?;
    say(
        "CPU",
        first_after("/proc/cpuinfo", "model name").map(|name| format!("{name}, {threads} hardware threads")),
    );
    let gib = |text: String| {
        let kib: f64 = text.strip_suffix(" kB")?.parse().ok()?;
        Some(format!("{:.0} GiB", kib / f64::from(1 << 20)))
    };
    say("memory", first_after("/proc/meminfo", "MemTotal").and_then(gib));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").ok();
    say("kernel", kernel.map(|release| format!("Linux {}", release.trim())));
    say("file system", file_system(dir).ok());
    let rustc = Command::new("rustc").arg("--version").output().ok();
    let version = rustc.and_then(|output| String::from_utf8(output.stdout).ok());
    say("compiler", version.map(|text| text.trim().to_owned()));
    Ok(machine)
}

/// What the processors have done since the machine was started, in ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticks {
    all: u64,
    stolen: u64,
}

impl Ticks {
    /// Until now.
    pub(crate) fn now() -> Option<Self> {
        let text = fs::read_to_string("/proc/stat").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        // User, nice, system, idle, iowait, irq, softirq, steal; what follows is part of the first two.
        let ticks: Vec<u64> = line.split_whitespace().take(8).filter_map(|word| word.parse().ok()).collect();
        Some(Self { all: ticks.iter().sum(), stolen: *ticks.get(7)? })
    }

    /// The part of the time since then in which a virtual machine's processors were given to others by their host.
    pub(crate) fn stolen_since(self) -> Option<String> {
        let now = Self::now()?;
        let (all, stolen) = (now.all.checked_sub(self.all)?, now.stolen.checked_sub(self.stolen)?);
        (all > 0).then(|| format!("{:.1} % of the processors' time", stolen as f64 * 100.0 / all as f64))
    }
}

/// The versions of the contenders, from the lock file that this was built with.
pub(crate) fn versions() -> BTreeMap<String, String> {
    const LOCK: &str = include_str!("../Cargo.lock");
    const NAMES: [&str; 11] = [
        "aral-store",
        "fjall",
        "heed",
        "lmdb-master-sys",
        "okaywal",
        "postgres",
        "raft-engine",
        "redb",
        "rusqlite",
        "salamander-db",
        "tokio-postgres",
    ];
    let quoted = |line: &str, key: &str| {
        line.strip_prefix(key).map(|rest| rest.trim_start_matches(" = ").trim_matches('"').to_owned())
    };
    let mut versions = BTreeMap::new();
    let mut name = String::new();
    for line in LOCK.lines() {
        if let Some(found) = quoted(line, "name") {
            name = found;
        } else if let Some(version) = quoted(line, "version").filter(|_| NAMES.contains(&name.as_str())) {
            versions.insert(name.clone(), version);
        }
    }
    versions.insert("SQLite".into(), rusqlite::version().to_owned());
    versions
}
