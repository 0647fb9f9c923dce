//! Writing the original's layout somewhere else.
//!
//! Owns what an export holds: the bytes of each file that is current, and what a compaction would write for
//! each conversation that has changed. An export is of one state: it works on a copy of the index, which neither an append
//! nor a refresh changes. Files that a compaction replaces meanwhile take that state away; then all is written again, of
//! the state that the compaction has left.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use super::reads::{Need, ReadState};
use super::sync_pool::{SyncPool, with_sync_pool};
use crate::backend::no_conversation;
use crate::codec::checkpoint::Fingerprint;
use crate::codec::index_file::{IndexFile, read_index};
use crate::error::{Error, ErrorKind, Result};
use crate::index::Found;
use crate::model::{DamagedFile, ExportReport, Text};
use crate::snapshot::layout::{self, Layout};
use crate::snapshot::load::is_same;
use crate::snapshot::names::{self, fold, stem};
use crate::snapshot::nested;
use crate::snapshot::sink::{Sink, Syncs};
use crate::snapshot::stage::write_document;

/// How often an export begins again before it gives up.
const ATTEMPTS: usize = 20;

/// An export to a directory.
pub(crate) struct Export<'x> {
    /// A copy that is the export's own.
    pub(crate) reads: ReadState,
    pub(crate) to: &'x Path,
    /// Gives a copy of the state that a compaction has left since this one, if there was one.
    pub(crate) renew: &'x dyn Fn(&ReadState) -> Result<Option<ReadState>>,
}

impl ReadState {
    /// The state at this moment, which nothing that happens to the store changes.
    pub(super) fn copy(&self) -> Self {
        // Let go of before the index is taken: whoever judges an append takes the two the other way round.
        let suspects = self.suspects.read().unwrap_or_else(PoisonError::into_inner).clone();
        let index = self.index();
        // Under the index's lock: what it points to is among them.
        let state = (index.clone(), self.segments());
        Self::of((Arc::clone(&self.vfs), self.layout.clone()), state, suspects)
    }
}

/// What became of writing all that is to be exported.
enum Written {
    All(ExportReport),
    /// Files of this state have been replaced; there is a newer one.
    OfOlder(Box<ReadState>),
}

impl Export<'_> {
    /// Writes all conversations, or these.
    pub(crate) fn run(mut self, chosen: Option<&[String]>) -> Result<ExportReport> {
        let ids = match chosen {
            None => self.all_ids(),
            Some(chosen) => {
                let ids = self.those_of(chosen);
                let missing = chosen.iter().find(|id| !ids.contains(id));
                missing.map_or(Ok(ids), |missing| Err(no_conversation(missing)))?
            }
        };
        let target = Layout::new(self.to);
        self.prepare(&target)?;
        with_sync_pool(ids.len(), |pool| {
            let mut ids = ids;
            for _ in 0..ATTEMPTS {
                let mut written = Vec::new();
                match self.write(&ids, &target, pool, &mut written)? {
                    Written::All(report) => return Ok(report),
                    Written::OfOlder(newer) => self.reads = *newer,
                }
                // What was removed since is not part of the state that the export is of now.
                ids = chosen.map_or_else(|| self.all_ids(), |chosen| self.those_of(chosen));
                for path in &written {
                    layout::remove_file(&*self.reads.vfs, path)?;
                }
            }
            let reason = "compactions replace files faster than they can be exported; export again, or fewer conversations at once";
            Err(Error::new(ErrorKind::Conflict, reason).at(self.reads.layout.root(), None))
        })
    }

    /// Those of these ids that are there, each once.
    fn those_of(&self, chosen: &[String]) -> Vec<String> {
        let all: HashSet<String> = self.all_ids().into_iter().collect();
        let mut seen = HashSet::new();
        chosen.iter().filter(|id| all.contains(*id) && seen.insert(*id)).cloned().collect()
    }

    /// Writes these conversations, and says which files it has made.
    fn write(
        &self,
        ids: &[String],
        target: &Layout,
        pool: &SyncPool,
        written: &mut Vec<PathBuf>,
    ) -> Result<Written> {
        let mut report = ExportReport::default();
        let (mut taken, mut listed) = (HashSet::new(), Vec::new());
        for id in ids {
            let file_name = self.file_name(id, &taken);
            let path = target.conversation(&file_name);
            let error = match self.one(id, &path, pool) {
                Ok(bytes) => {
                    taken.insert(fold(&file_name));
                    listed.push(Text::from(stem(&file_name)));
                    report.conversations += 1;
                    report.bytes += bytes;
                    written.push(path);
                    continue;
                }
                Err(error) => error,
            };
            if error.kind() == ErrorKind::Corrupt
                // What a compaction has replaced is no damage.
                && let Some(newer) = (self.renew)(&self.reads)?
            {
                return Ok(Written::OfOlder(Box::new(newer)));
            }
            if !self.is_unreadable(&error) {
                return Err(error);
            }
            report.damaged.push(DamagedFile {
                path: error.place().map_or_else(|| self.to.to_owned(), |place| place.path.clone()),
                offset: error.place().and_then(|place| place.offset),
                conversation_id: Some(id.clone()),
                reason: error.message().to_owned(),
                is_forbidden: error.is_forbidden(),
            });
        }
        pool.wait()?;
        let vfs = &*self.reads.vfs;
        layout::sync_dir(vfs, &target.conversations())?;
        let bytes = self.index_base().with_ids(listed).write();
        layout::write_file(vfs, &target.index_file(), &bytes)?;
        layout::sync_dir(vfs, self.to)?;
        Ok(Written::All(report))
    }

    /// Whether an error is about one conversation's file, which is named, and keeps no other one out.
    fn is_unreadable(&self, error: &Error) -> bool {
        let folder = self.reads.layout.conversations();
        let is_of_a_file = error.place().is_some_and(|place| place.path.starts_with(folder));
        error.kind() == ErrorKind::Corrupt || (error.kind() == ErrorKind::Io && is_of_a_file)
    }

    /// Every id in order, damaged ones too: they are to be named.
    fn all_ids(&self) -> Vec<String> {
        let id = |found: Found<'_>| match found {
            Found::Slot(slot) => Some(slot.summary.id.clone()),
            Found::Checkpoint(entry, _) | Found::Damaged(entry) => Some(entry.id.to_owned()),
            Found::Nothing => None,
        };
        self.reads.index().order().filter_map(id).collect()
    }

    /// Makes the directories, the outer one unless it is there and empty.
    fn prepare(&self, target: &Layout) -> Result<()> {
        let vfs = &*self.reads.vfs;
        nested::must_lie_outside_of(vfs, self.reads.layout.root(), self.to)?;
        nested::must_lie_in_no_store(vfs, self.to)?;
        layout::ensure_dir(vfs, self.to)?;
        let there = vfs.read_dir(self.to).map_err(|e| Error::io("list", self.to, e))?;
        if !there.is_empty() {
            return Err(Error::invalid("the directory to export to is not empty").at(self.to, None));
        }
        layout::ensure_dir(vfs, &target.conversations()).map(|_| ())
    }

    /// The name that a conversation's file has, or would get.
    fn file_name(&self, id: &str, taken: &HashSet<String>) -> String {
        let index = self.reads.index();
        let checkpoint = index.checkpoint();
        let has =
            checkpoint.find(id).and_then(|ordinal| checkpoint.entry(ordinal)).map(|e| e.file_name.to_owned());
        has.filter(|name| !name.is_empty() && !taken.contains(&fold(name)))
            .unwrap_or_else(|| names::choose(id, taken))
    }

    /// Writes one conversation and says how many bytes it took.
    fn one(&self, id: &str, path: &Path, pool: &SyncPool) -> Result<u64> {
        let vfs = &*self.reads.vfs;
        // What is not whole is not part of an export.
        let remove = |_: &Error| drop(layout::remove_file(vfs, path));
        if let Some(length) = self.copied(id, path, pool).inspect_err(remove)? {
            return Ok(length);
        }
        let written = self.reads.read(id, Need::Everything, |view, fetcher| {
            let mut sink = Sink::create(vfs, path)?;
            write_document(view.slot(), view.lists(), fetcher, false, &mut sink)?;
            sink.finish(pool).map(|print| print.len)
        });
        let written = written.and_then(|written| written.ok_or_else(|| no_conversation(id)));
        written.inspect_err(remove)
    }

    /// Copies a conversation's file, if nothing has happened to the conversation since it was written, and says how
    /// long it is. A copy that is not right is left for what comes in its place to remove.
    fn copied(&self, id: &str, path: &Path, pool: &SyncPool) -> Result<Option<u64>> {
        let vfs = &*self.reads.vfs;
        let Some((places, recorded)) = self.current_file(id) else { return Ok(None) };
        for place in &places {
            if layout::probe(vfs, place)?.is_none_or(|there| there.len != recorded.len) {
                continue;
            }
            let mut sink = Sink::create(vfs, path)?;
            let print = layout::read_through(vfs, place, |piece| sink.write(piece))?;
            if print.is_some_and(|print| is_same(&print, &recorded)) {
                return sink.finish(pool).map(|print| Some(print.len));
            }
        }
        // Not as recorded: the view says what is wrong with it.
        Ok(None)
    }

    /// Where the file of a conversation may be to which nothing has happened since it was written, and how it looks.
    fn current_file(&self, id: &str) -> Option<([PathBuf; 2], Fingerprint)> {
        let index = self.reads.index();
        let ordinal = match index.find(id) {
            Found::Checkpoint(_, ordinal) => Some(ordinal),
            Found::Slot(slot) if index.has_all_in_file(slot) => slot.ordinal,
            Found::Slot(_) | Found::Damaged(_) | Found::Nothing => None,
        }?;
        let entry = index.checkpoint().entry(ordinal)?;
        let staged = self.reads.layout.staged(index.checkpoint().head().epoch, ordinal);
        Some(([self.reads.layout.conversation(entry.file_name), staged], entry.file))
    }

    /// What else stands in the store's own list.
    fn index_base(&self) -> IndexFile {
        let found = layout::read_file(&*self.reads.vfs, &self.reads.layout.index_file()).ok().flatten();
        found.and_then(|(bytes, _)| read_index(&bytes).ok()).unwrap_or_default()
    }
}
