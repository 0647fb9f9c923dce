//! Following the files of tools as they are written.
//!
//! Owns which files have changed since they were last taken in, and the waiting for more. The store is open for writing all the while;
//! what a pass has added is durable before it is told.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aral_store::{MessageStore, SyncPolicy};

use super::intake::{Intake, Purpose, Removed};
use super::sessions::{self, Sessions};
use super::wakes::Wakes;
use crate::args::ImportArgs;
use crate::exit::{Exit, Failure};
use crate::output::{self, Form};
use crate::place;
use crate::signals::Stop;
use crate::style;
use crate::transcripts::Tool;
use crate::upkeep::print_fields;

/// How long it waits before it sees whether it is to end.
const PAUSE: Duration = Duration::from_millis(100);

/// How long files go unseen that nothing tells of, in microseconds: not all file systems do.
const EVERY: i64 = 2_000_000;

/// How long a file that is being written is left alone, in microseconds.
const SETTLE: i64 = 200_000;

/// By what it shows that a file has changed: how long it is, when that was, and which file it is.
type Mark = Vec<(u64, i64, i64, u64)>;

/// What is known of a file.
struct Seen {
    mark: Mark,
    /// How long it was when it was found to be another one than what is here: what is added to it does not change that.
    conflicting: Option<u64>,
}

pub(super) fn run(
    dir: &Path,
    form: Form,
    (args, stop): (&ImportArgs, Stop),
    (roots, tool): (&[PathBuf], Option<Tool>),
) -> Result<Exit, Failure> {
    let store = place::for_writing_with(dir, MessageStore::options().sync(SyncPolicy::Os))?;
    let removed = if args.revive { Removed::Revive } else { Removed::KeepOut };
    let mut watch = Watch { store: &store, stop: stop.clone(), form, removed, tool, seen: HashMap::new() };
    let mut wakes = Wakes::new();
    let ended = (|| {
        let mut is_first = true;
        loop {
            let began = style::now();
            let found = sessions::listed(roots, tool);
            wakes.watch(roots.iter().map(PathBuf::as_path).chain(found.paths().filter_map(Path::parent)));
            watch.pass(found, is_first)?;
            is_first = false;
            wait(&mut wakes, &stop, began)?;
        }
    })();
    // Whatever ended it, what is told to be in the store is.
    store.sync()?;
    store.close()?;
    ended
}

/// Waits until something may have changed.
fn wait(wakes: &mut Wakes, stop: &Stop, began: i64) -> Result<(), Failure> {
    let mut is_changed = false;
    loop {
        if let Some(signal) = stop.signal() {
            return Err(Failure::Stopped(signal));
        }
        if !output::is_read_after(Duration::ZERO) {
            return Err(Failure::Unread);
        }
        is_changed |= wakes.after(PAUSE);
        let lasted = style::now().saturating_sub(began);
        if lasted >= EVERY || (is_changed && lasted >= SETTLE) {
            return Ok(());
        }
    }
}

struct Watch<'s> {
    store: &'s MessageStore,
    stop: Stop,
    form: Form,
    removed: Removed,
    tool: Option<Tool>,
    seen: HashMap<PathBuf, Seen>,
}

impl Watch<'_> {
    /// Takes in what has changed.
    fn pass(&mut self, found: Sessions, is_first: bool) -> Result<(), Failure> {
        let mut fresh = Vec::new();
        for path in found.paths() {
            // What changes from here on is seen by the next pass.
            let mark = mark(path);
            let known = self.seen.get(path);
            let is_same = known.is_some_and(|known| known.mark == mark);
            let length = mark.first().map_or(0, |(length, ..)| *length);
            let is_longer = known.is_some_and(|known| known.conflicting.is_some_and(|then| length >= then));
            let conflicting = known.and_then(|known| known.conflicting).filter(|_| is_longer);
            self.seen.insert(path.to_owned(), Seen { mark, conflicting });
            if !is_same && !is_longer {
                fresh.push(path.to_owned());
            }
        }
        let found = found.only(&fresh, is_first);
        if fresh.is_empty() && !is_first {
            return Ok(());
        }
        let purpose = Purpose::Add;
        let mut intake = Intake::new(self.store, purpose, self.stop.clone()).with(self.removed).watching();
        let taken = self.take(found, &mut intake);
        intake.sum_up();
        self.store.sync()?;
        let counts = intake.counts;
        let is_news = counts.conversations + counts.messages + counts.actions > 0 || intake.changed > 0;
        if is_first || is_news {
            print_fields(self.form, counts.fields())
                .map_err(|failure| failure.after(|| counts.in_words()))?;
        }
        taken
    }

    /// One file after the other, to see which of them are others than what is here.
    fn take(&mut self, found: Sessions, intake: &mut Intake<'_>) -> Result<(), Failure> {
        for one in found.each() {
            let is_none = |path: &Path| self.tool.is_none() && !sessions::may_be_one(path);
            if one.paths().any(is_none) {
                continue;
            }
            let before = intake.counts.conflicts;
            sessions::take(&one, self.tool, intake)?;
            for path in one.paths() {
                if let Some(seen) = self.seen.get_mut(path).filter(|_| intake.counts.conflicts > before) {
                    seen.conflicting = seen.mark.first().map(|(length, ..)| *length);
                }
            }
        }
        Ok(())
    }
}

/// A database is changed also by its log.
fn mark(path: &Path) -> Mark {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    [path, Path::new(&log)].into_iter().filter_map(of_file).collect()
}

#[cfg(unix)]
fn of_file(path: &Path) -> Option<(u64, i64, i64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let seen = path.symlink_metadata().ok()?;
    Some((seen.len(), seen.mtime(), seen.mtime_nsec(), seen.ino()))
}

#[cfg(not(unix))]
fn of_file(path: &Path) -> Option<(u64, i64, i64, u64)> {
    let seen = path.symlink_metadata().ok()?;
    let time = seen.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some((seen.len(), i64::try_from(time.as_micros()).ok()?, 0, 0))
}
