//! The files that no checkpoint names.
//!
//! Owns the telling of those that the next opening takes in from those that it does not: a second file of a
//! conversation, one of a conversation that is in the log alone, and one of a conversation that was removed.

use std::collections::HashMap;

use super::Check;
use crate::codec::checkpoint::Checkpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::index::Reliance;
use crate::snapshot::layout;
use crate::snapshot::names::{ENDING, stem};
use crate::snapshot::stray::{self, Unrecorded};

impl Check<'_> {
    /// Checks the files that the checkpoint does not name.
    pub(super) fn unlisted(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let entries = checkpoint.entries().map(|entry| (entry.id.to_owned(), entry.file_name.to_owned()));
        self.files_but(entries.collect(), Some(checkpoint))
    }

    /// Checks a directory that has no checkpoint: one that the original wrote.
    pub(super) fn unmanaged(&mut self) -> Result<()> {
        self.list_of_conversations(&crate::codec::checkpoint::CheckpointHead::default())?;
        self.files_but(HashMap::new(), None)
    }

    /// Checks every conversation's file but those that a checkpoint knows, if there is one.
    fn files_but(&mut self, mut own: HashMap<String, String>, known: Option<&Checkpoint>) -> Result<()> {
        let dir = self.layout.conversations();
        if layout::probe(self.vfs, &dir)?.is_none() {
            return Ok(());
        }
        let recorded: std::collections::HashSet<String> = own.values().cloned().collect();
        let mut entries = self.vfs.read_dir(&dir).map_err(|e| Error::io("list", &dir, e))?;
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        for entry in entries {
            if !entry.name.ends_with(ENDING) || recorded.contains(&*entry.name) {
                continue;
            }
            let path = dir.join(&entry.name);
            let found = match Unrecorded::read(self.vfs, &entry.name, &path) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(error) => {
                    self.damaged(&error, Some(stem(&entry.name)));
                    continue;
                }
            };
            self.report.files += 1;
            self.report.bytes += found.length;
            self.report.conversations += 1;
            if let Some(error) = found.wrong {
                self.damaged(&error, Some(stem(&entry.name)));
                continue;
            }
            // While a compaction is being published the files are as neither of its two checkpoints says.
            let is_told = !self.is_publishing && self.is_stray(&path, &found.id, &own, known);
            if !is_told && known.is_some() {
                self.report.notes.push(format!("no checkpoint knows of {}", path.display()));
            }
            own.entry(found.id).or_insert_with(|| entry.name.clone());
        }
        Ok(())
    }

    /// Tells of a file that no opening takes in.
    fn is_stray(
        &mut self,
        path: &std::path::Path,
        id: &str,
        own: &HashMap<String, String>,
        known: Option<&Checkpoint>,
    ) -> bool {
        let damaged = &mut self.report.damaged;
        let reliance = self.index.as_ref().map(|index| index.reliance(id));
        if let Some(own) = own.get(id) {
            stray::tell_second(damaged, path, id, own);
        } else if reliance.is_some_and(|reliance| reliance != Reliance::FileAlone) {
            stray::tell_in_log(damaged, path, id);
        } else if let Some(tombstone) = known.and_then(|known| known.tombstone(id)) {
            let error = Error::new(ErrorKind::Corrupt, stray::of_removed(tombstone.id, tombstone.seq));
            self.damaged(&error.at(path, None), Some(id));
        } else {
            return false;
        }
        true
    }
}
