//! What the store is held against: a file that was written before, and the least that a group commit can do.

#![expect(clippy::disallowed_types, reason = "the bare calls are what the store is held against")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

/// A file of zeros that are on the device, so that writing over them changes nothing but bytes.
pub(crate) struct Written {
    file: File,
    length: u64,
    at: u64,
}

impl Written {
    /// Makes the file.
    pub(crate) fn new(path: &Path, length: u64) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        let zeros = vec![0; 1 << 16];
        for at in (0..length).step_by(zeros.len()) {
            file.write_all_at(&zeros, at)?;
        }
        file.sync_all()?;
        Ok(Self { file, length, at: 0 })
    }

    /// Writes behind what was written before, and from the start again at the end.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u64::try_from(bytes.len()).map_err(io::Error::other)?;
        if self.at + length > self.length {
            self.at = 0;
        }
        self.file.write_all_at(bytes, self.at)?;
        self.at += length;
        Ok(())
    }

    /// The same, and waits until the device has it.
    pub(crate) fn append_and_sync(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.append(bytes)?;
        self.file.sync_data()
    }
}

/// Leader and followers: whoever finds nobody at work writes and syncs what has gathered, for all.
pub(crate) struct GroupCommit {
    state: Mutex<Gathering>,
    is_done: Condvar,
    file: Mutex<Written>,
}

#[derive(Default)]
struct Gathering {
    bytes: Vec<u8>,
    /// The number of the group that gathers.
    group: u64,
    /// How many groups are done.
    done: u64,
    is_busy: bool,
}

impl GroupCommit {
    pub(crate) fn new(file: Written) -> Self {
        let state = Gathering { group: 1, ..Gathering::default() };
        Self { state: Mutex::new(state), is_done: Condvar::new(), file: Mutex::new(file) }
    }

    /// Returns once the device has the bytes.
    pub(crate) fn append(&self, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.bytes.extend_from_slice(bytes);
        let mine = state.group;
        while state.done < mine {
            if state.is_busy {
                state = self.is_done.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.is_busy = true;
            state.group += 1;
            let group = std::mem::take(&mut state.bytes);
            drop(state);
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            // A figure that was taken on a disk that fails would be worth nothing.
            if file.append_and_sync(&group).is_err() {
                std::process::abort();
            }
            drop(file);
            state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.is_busy = false;
            state.done = mine;
            self.is_done.notify_all();
        }
    }
}
