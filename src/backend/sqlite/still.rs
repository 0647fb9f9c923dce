//! A database file that nobody is writing, in a directory where this user may make no files.
//!
//! Owns how it is told that somebody has begun to. SQLite takes its word for it that such a file does not change: it looks at no log and takes no lock.
//! So whatever was read counts only if there is still no log and the file is the one that it was: a writer makes the log before it changes anything.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::vfs::{Metadata, Vfs};

/// What the log's name has behind the database's.
const LOG: &str = "-wal";

/// A file as it was when it was opened.
#[derive(Debug)]
pub(super) struct Still {
    path: PathBuf,
    log: PathBuf,
    vfs: Arc<dyn Vfs>,
    was: Metadata,
}

impl Still {
    /// Looks at a file that is to be opened.
    pub(super) fn of(path: &Path, vfs: &Arc<dyn Vfs>) -> Result<Self> {
        let mut log = path.as_os_str().to_owned();
        log.push(LOG);
        let was = vfs.metadata(path).map_err(|error| Error::io("open the database", path, error))?;
        let still = Self { path: path.to_owned(), log: log.into(), vfs: Arc::clone(vfs), was };
        if !still.has_log() {
            return Ok(still);
        }
        let reason = format!(
            "what was written last is in {}, and it takes the right to write in the directory to read both together; copy both \
             files into a directory of your own, or let somebody open the store who may write there",
            still.log.display()
        );
        Err(Error::new(ErrorKind::ReadOnly, reason).at(path, None))
    }

    /// Whether there is something in a log. An empty one was left by somebody who wrote nothing.
    fn has_log(&self) -> bool {
        self.vfs.metadata(&self.log).is_ok_and(|log| log.len > 0)
    }

    /// Refuses what was read if somebody may have written meanwhile.
    pub(super) fn check(&self) -> Result<()> {
        if !self.has_log() && self.vfs.metadata(&self.path).is_ok_and(|now| now == self.was) {
            return Ok(());
        }
        let reason = "somebody has begun to write the database while it was read; read it again";
        Err(Error::new(ErrorKind::Io, reason).at(&self.path, None))
    }

    /// The name by which SQLite opens it as a file that does not change.
    pub(super) fn name(&self) -> String {
        let mut name = String::from("file:");
        if self.path.is_absolute() {
            // In front of a path that begins with two of them, it would take what follows for a host.
            name.push_str("//");
        }
        for byte in self.path.as_os_str().as_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                    name.push(char::from(*byte));
                }
                _ => name.extend(["%".to_owned(), format!("{byte:02X}")]),
            }
        }
        name + "?immutable=1"
    }
}
