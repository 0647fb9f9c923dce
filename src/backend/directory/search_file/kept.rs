//! The index for searching, kept open from one search to the next.
//!
//! Owns the connections that nobody uses at the moment. Between two searches a connection has no transaction, so that it is in nobody's way,
//! and it is used again only while the file is the one that it was opened on, as it was then.

use std::mem::ManuallyDrop;
use std::sync::{Mutex, PoisonError};

use super::SearchFile;
use crate::backend::locked::locked;
use crate::snapshot::layout::{self, Layout};
use crate::vfs::{Metadata, Vfs};

/// How many are kept. Searches of more threads open the file for themselves.
const MOST: usize = 4;

/// Connections to one store's index.
#[derive(Debug)]
pub(in crate::backend::directory) struct SearchFiles {
    idle: Mutex<Vec<Kept>>,
    /// Whose they are. A process that was forked off neither uses nor closes those of its parent: SQLite may have been in the middle of
    /// something with them, and so may a thread with the list.
    process: u32,
}

/// A connection, and the file as it was when it was opened.
#[derive(Debug)]
pub(in crate::backend::directory) struct Kept {
    pub(in crate::backend::directory) file: SearchFile,
    found: Metadata,
}

impl SearchFiles {
    pub(in crate::backend::directory) fn new() -> Self {
        Self { idle: Mutex::default(), process: std::process::id() }
    }

    /// A connection to the file that is there now; `None` if there is none, or none that can be opened.
    pub(in crate::backend::directory) fn take(&self, vfs: &dyn Vfs, layout: &Layout) -> Option<Kept> {
        let found = layout::probe(vfs, &layout.search_index()).ok()?;
        let mut kept = None;
        if self.process == std::process::id() {
            let mut idle = locked(&self.idle);
            // Also lets go of a file that has been removed, which keeps its room until then.
            idle.retain(|kept| Some(kept.found) == found);
            kept = idle.pop();
        }
        match (kept, found) {
            (Some(kept), _) => Some(kept),
            (None, Some(found)) => Some(Kept { file: SearchFile::open_to_read(vfs, layout)?, found }),
            (None, None) => None,
        }
    }

    /// Keeps a connection for the next search, if it is of the file that is there now. What it was reading ends with that.
    pub(in crate::backend::directory) fn give_back(&self, kept: Kept, vfs: &dyn Vfs, layout: &Layout) {
        if kept.file.end_reading().is_err() || self.process != std::process::id() {
            return;
        }
        let mut idle = locked(&self.idle);
        // Order: the look at the file under the lock. Reversed, whoever removes it and lets go of all that is kept could miss this one.
        if idle.len() < MOST
            && matches!(layout::probe(vfs, &layout.search_index()), Ok(Some(now)) if now == kept.found)
        {
            idle.push(kept);
        }
    }

    /// Closes those that nobody uses.
    pub(in crate::backend::directory) fn let_go(&self) {
        if self.process == std::process::id() {
            locked(&self.idle).clear();
        }
    }
}

impl Drop for SearchFiles {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            let idle = self.idle.get_mut().unwrap_or_else(PoisonError::into_inner);
            let _left_open = ManuallyDrop::new(std::mem::take(idle));
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the index is a file of the real file system")]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backend::settings::Settings;

    #[test]
    fn a_process_that_was_forked_off_leaves_its_parents_connections_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (vfs, layout) = (Arc::clone(&Settings::default().vfs), Layout::new(dir.path()));
        std::fs::create_dir(layout.log()).unwrap();
        drop(SearchFile::open_to_write(&*vfs, &layout).unwrap());
        let mut files = SearchFiles::new();
        let count = |files: &SearchFiles| locked(&files.idle).len();
        let search = |files: &SearchFiles| {
            let kept = files.take(&*vfs, &layout).unwrap();
            kept.file.begin_reading().unwrap();
            files.give_back(kept, &*vfs, &layout);
        };
        search(&files);
        search(&files);
        assert_eq!(count(&files), 1);
        files.process += 1;
        search(&files);
        files.let_go();
        assert_eq!(count(&files), 1);
        // Whoever is its owner closes what is idle.
        files.process -= 1;
        files.let_go();
        assert_eq!(count(&files), 0);
    }
}
