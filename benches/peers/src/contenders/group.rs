//! A bare group commit: who comes first writes and syncs for all who wait.
//!
//! Owns the queue and nothing else. There are two condition variables, so that the end of a group wakes its own members and
//! one of the next group, and nobody who would only sleep again.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Condvar, Mutex};

use crate::Outcome;

#[derive(Debug)]
pub(crate) struct GroupCommit {
    file: File,
    state: Mutex<State>,
    turns: [Condvar; 2],
}

#[derive(Debug, Default)]
struct State {
    /// What the group that gathers has to write.
    waiting: Vec<u8>,
    /// An empty buffer, to be exchanged for the full one.
    spare: Vec<u8>,
    /// The number of the group that gathers, and how many groups are durable.
    gathering: u64,
    done: u64,
    has_leader: bool,
    has_failed: bool,
    end: u64,
}

impl GroupCommit {
    pub(crate) fn new(file: File) -> Self {
        Self { file, state: Mutex::default(), turns: [Condvar::new(), Condvar::new()] }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    fn turn(&self, group: u64) -> &Condvar {
        let [even, odd] = &self.turns;
        if group % 2 == 0 { even } else { odd }
    }

    /// Returns when the bytes are durable.
    pub(crate) fn append(&self, bytes: &[u8]) -> Outcome<()> {
        let mut state = self.state.lock().map_err(|_| "poisoned")?;
        state.waiting.extend_from_slice(bytes);
        let group = state.gathering;
        while state.done <= group && state.has_leader {
            state = self.turn(group).wait(state).map_err(|_| "poisoned")?;
        }
        if state.has_failed {
            return Err("the group's sync failed".into());
        }
        if state.done > group {
            return Ok(());
        }
        state.has_leader = true;
        state.gathering += 1;
        let spare = std::mem::take(&mut state.spare);
        let mut full = std::mem::replace(&mut state.waiting, spare);
        let at = state.end;
        state.end += u64::try_from(full.len())?;
        drop(state);
        let written = self.file.write_all_at(&full, at).and_then(|()| self.file.sync_data());
        full.clear();
        let mut state = self.state.lock().map_err(|_| "poisoned")?;
        state.spare = full;
        state.done = group + 1;
        state.has_leader = false;
        state.has_failed |= written.is_err();
        drop(state);
        self.turn(group).notify_all();
        self.turn(group + 1).notify_one();
        Ok(written?)
    }
}
