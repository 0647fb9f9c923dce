//! Hearing of changes in directories.
//!
//! Owns the asking of the operating system. What cannot be asked is looked at by and by: whoever waits here does so for a limited time.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[cfg(target_os = "linux")]
pub(super) struct Wakes {
    /// Absent where the system gives none.
    events: Option<rustix::fd::OwnedFd>,
    watched: HashSet<PathBuf>,
}

#[cfg(target_os = "linux")]
impl Wakes {
    pub(super) fn new() -> Self {
        use rustix::fs::inotify::{CreateFlags, init};
        Self { events: init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok(), watched: HashSet::new() }
    }

    /// Hears of these from now on, files or directories. Of one that is watched already, or cannot be, nothing more comes of it.
    pub(super) fn watch<'p>(&mut self, paths: impl Iterator<Item = &'p Path>) {
        use rustix::fs::inotify::{WatchFlags, add_watch};
        let Some(events) = &self.events else { return };
        let of = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE
            | WatchFlags::CLOSE_WRITE;
        for path in paths {
            if !self.watched.contains(path) && add_watch(events, path, of).is_ok() {
                self.watched.insert(path.to_owned());
            }
        }
    }

    /// Waits so long at most; whether something has been heard.
    pub(super) fn after(&mut self, time: Duration) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let time = Timespec { tv_sec: 0, tv_nsec: i64::from(time.subsec_nanos()) };
        let Some(events) = &self.events else {
            // Interrupted or not, this was the wait.
            return poll(&mut [], Some(&time)).is_err();
        };
        let mut waiting = [PollFd::new(events, PollFlags::IN)];
        let is_heard = poll(&mut waiting, Some(&time)).is_ok_and(|count| count > 0);
        let mut buffer = [0; 4096];
        // What it was does not matter: all files are looked at.
        while is_heard && rustix::io::read(events, &mut buffer[..]).is_ok_and(|read| read > 0) {}
        is_heard
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) struct Wakes;

#[cfg(not(target_os = "linux"))]
impl Wakes {
    pub(super) fn new() -> Self {
        Self
    }

    pub(super) fn watch<'p>(&mut self, _: impl Iterator<Item = &'p Path>) {}

    pub(super) fn after(&mut self, time: Duration) -> bool {
        !crate::output::is_read_after(time)
    }
}
