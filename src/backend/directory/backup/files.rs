//! The files of a checkpoint: those of the conversations, and the list of them.
//!
//! Owns the question which of them a backup has, and the copying of the others. A file is what its checkpoint says by its
//! length and checksum, wherever a compaction has it at the moment, and nothing else is copied. What is there already
//! is read once before it is relied on.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::place::Place;
use crate::backend::directory::checkpoint_file::read_checkpoint;
use crate::backend::directory::sync_pool::{SyncPool, with_sync_pool};
use crate::codec::checkpoint::{Checkpoint, Entry, FileState, Fingerprint};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{BackupReport, DamagedFile};
use crate::snapshot::layout::{self, Layout, looks_like};
use crate::snapshot::load::{checked, is_same, unreadable};
use crate::snapshot::sink::{Sink, Syncs, Unsynced};
use crate::snapshot::stray::MISSING;
use crate::vfs::{FileKind, Vfs};

/// What stands for the list of conversations, which no conversation's file is called.
pub(super) const LIST: &str = "";

/// Which checkpoint's directory has each file: the newest one that counts.
#[derive(Debug, Default)]
pub(super) struct Have(HashMap<String, Kept>);

#[derive(Clone, Copy, Debug)]
struct Kept {
    epoch: u64,
    /// How the file looks, once it has been read.
    print: Option<(u64, u32)>,
}

impl Have {
    /// Looks at what came with each checkpoint up to one.
    pub(super) fn read(vfs: &dyn Vfs, place: &Place, up_to: u64) -> Result<Self> {
        let mut have = Self::default();
        for epoch in epochs(vfs, place)?.into_iter().filter(|epoch| *epoch <= up_to) {
            for name in names_in(vfs, place, epoch)? {
                have.0.insert(name, Kept { epoch, print: None });
            }
        }
        Ok(have)
    }

    /// Where the newest version of a file is.
    pub(super) fn path(&self, place: &Place, name: &str) -> Option<PathBuf> {
        self.0.get(name).map(|kept| path_of(place, kept.epoch, name))
    }

    /// Whether the newest version of a file is the one that is asked for, by its checksum.
    fn is(&mut self, vfs: &dyn Vfs, place: &Place, name: &str, print: &Fingerprint) -> Result<bool> {
        let Some(kept) = self.0.get_mut(name) else { return Ok(false) };
        if kept.print.is_none() {
            let found = unless_damaged(layout::print_of(vfs, &path_of(place, kept.epoch, name)))?;
            kept.print = Some(found.map_or((0, 0), |found| (found.len, found.crc)));
        }
        Ok(kept.print == Some((print.len, print.crc)))
    }

    fn put(&mut self, name: &str, epoch: u64, print: &Fingerprint) {
        self.0.insert(name.to_owned(), Kept { epoch, print: Some((print.len, print.crc)) });
    }

    /// Takes note that a file is gone.
    pub(super) fn forget(&mut self, name: &str, epoch: u64) {
        if self.0.get(name).is_some_and(|kept| kept.epoch == epoch) {
            self.0.remove(name);
        }
    }
}

/// The epochs whose directories count, in order: those that have their checkpoint, and those of checkpoints that are not
/// kept any more and have left files to later ones.
pub(super) fn epochs(vfs: &dyn Vfs, place: &Place) -> Result<Vec<u64>> {
    let mut epochs = Vec::new();
    for entry in layout::list_dir(vfs, &place.checkpoints())? {
        let Ok(epoch) = u64::from_str_radix(&entry.name, 16) else { continue };
        let is_there = |sign: PathBuf| Ok::<_, Error>(layout::probe(vfs, &sign)?.is_some());
        if is_there(place.checkpoint(epoch))? || is_there(place.dropped(epoch))? {
            epochs.push(epoch);
        }
    }
    epochs.sort_unstable();
    Ok(epochs)
}

/// The files that came with a checkpoint.
pub(super) fn names_in(vfs: &dyn Vfs, place: &Place, epoch: u64) -> Result<Vec<String>> {
    let files = place.files(epoch);
    let mut names: Vec<String> =
        layout::list_dir(vfs, &files.conversations())?.into_iter().map(|entry| entry.name).collect();
    if layout::probe(vfs, &files.index_file())?.is_some() {
        names.push(LIST.to_owned());
    }
    Ok(names)
}

/// Removes what was copied for checkpoints before an epoch and never counted, because another one came first.
pub(super) fn remove_unfinished(vfs: &dyn Vfs, place: &Place, before: u64) -> Result<()> {
    let counted = epochs(vfs, place)?;
    let all = layout::list_dir(vfs, &place.checkpoints())?;
    let all = all.iter().filter_map(|entry| u64::from_str_radix(&entry.name, 16).ok());
    for epoch in all.filter(|epoch| *epoch < before && !counted.contains(epoch)) {
        let files = place.files(epoch);
        for dir in [files.conversations(), files.root().to_owned()] {
            for entry in layout::list_dir(vfs, &dir)? {
                layout::remove_file(vfs, &dir.join(&entry.name))?;
            }
            if layout::probe(vfs, &dir)?.is_some() {
                vfs.remove_dir(&dir).map_err(|e| Error::io("remove", &dir, e))?;
            }
        }
    }
    Ok(())
}

/// Where a file is that came with a checkpoint.
pub(super) fn path_of(place: &Place, epoch: u64, name: &str) -> PathBuf {
    let files = place.files(epoch);
    if name == LIST { files.index_file() } else { files.conversation(name) }
}

/// The files of a checkpoint on their way into a backup.
#[derive(Debug)]
pub(super) struct Files<'f> {
    pub(super) vfs: &'f dyn Vfs,
    pub(super) source: &'f Layout,
    pub(super) place: &'f Place,
    pub(super) checkpoint: &'f Checkpoint,
    /// The checkpoint that the backup had until now: what it names was there.
    pub(super) base: Option<&'f Checkpoint>,
}

impl Files<'_> {
    fn epoch(&self) -> u64 {
        self.checkpoint.head().epoch
    }

    /// Copies the files that are not there. When this returns, they are durable.
    ///
    /// # Errors
    ///
    /// I/O errors; `Corrupt` if a file is neither there nor as recorded in the store.
    pub(super) fn take(&self, have: &mut Have, report: &mut BackupReport) -> Result<()> {
        let own = self.place.files(self.epoch());
        for dir in [own.root().to_owned(), own.conversations()] {
            layout::ensure_dir(self.vfs, &dir)?;
        }
        with_sync_pool(self.checkpoint.len(), |pool| {
            let taken = self.take_all((have, report), pool);
            // Order: whatever has ended it, hear of every sync before what was copied is relied on.
            pool.wait()?;
            taken
        })?;
        for dir in [own.conversations(), own.root().to_owned(), self.place.checkpoints()] {
            layout::sync_dir(self.vfs, &dir)?;
        }
        Ok(())
    }

    fn take_all(&self, (have, report): (&mut Have, &mut BackupReport), pool: &SyncPool) -> Result<()> {
        for (ordinal, entry) in self.checkpoint.entries().enumerate() {
            if entry.file_name.is_empty() || entry.state == FileState::Missing {
                continue;
            }
            match self.take_one(&entry, ordinal, (have, report), pool) {
                // What could not be read when the store first saw it need not be there any more, or be readable.
                Err(error) if entry.state != FileState::Intact && is_of_source(&error, self.source) => {}
                taken => taken?,
            }
        }
        self.take_list(have, report, pool)
    }

    fn take_one(
        &self,
        entry: &Entry<'_>,
        ordinal: usize,
        (have, report): (&mut Have, &mut BackupReport),
        pool: &SyncPool,
    ) -> Result<()> {
        if have.is(self.vfs, self.place, entry.file_name, &entry.file)? {
            return Ok(());
        }
        let place = self.source.conversation(entry.file_name);
        // A compaction that is being published has it in one of two places, and may move it between two looks.
        let places = [place.clone(), self.source.staged(self.epoch(), ordinal), place.clone()];
        let was_there = self
            .base
            .and_then(|base| base.entry(base.find(entry.id)?))
            .is_some_and(|before| before.file_name == entry.file_name && is_same(&before.file, &entry.file));
        if self.copy((entry.file_name, &entry.file, was_there), &places, (have, report), pool)? {
            report.files += 1;
            return Ok(());
        }
        Err(match checked(self.vfs, &place, Some(&entry.file))? {
            Some((_, Some(error))) => error,
            // It has just been put there.
            Some((_, None)) => Error::corrupt(&place, 0, "a compaction was published meanwhile"),
            None => Error::corrupt(&place, 0, MISSING),
        })
    }

    /// The list is for the original's eyes: if it is not as recorded, nothing else is amiss, and it is told.
    fn take_list(&self, have: &mut Have, report: &mut BackupReport, pool: &SyncPool) -> Result<()> {
        let Some(print) = self.checkpoint.head().index_file else { return Ok(()) };
        if have.is(self.vfs, self.place, LIST, &print)? {
            return Ok(());
        }
        let place = self.source.index_file();
        let places = [place.clone(), self.source.staged_index(self.epoch()), place.clone()];
        if !self.copy((LIST, &print, false), &places, (have, report), pool)? {
            let reason = "the list of conversations is not as the store wrote it, and is not in the backup";
            let told = DamagedFile {
                path: place,
                offset: None,
                conversation_id: None,
                reason: reason.to_owned(),
                is_forbidden: false,
            };
            // A look that is taken again tells it once.
            if !report.damaged.contains(&told) {
                report.damaged.push(told);
            }
        }
        Ok(())
    }

    /// Copies a file from wherever it is as it was recorded; `false` if it is nowhere.
    fn copy(
        &self,
        (name, print, was_there): (&str, &Fingerprint, bool),
        places: &[PathBuf],
        (have, report): (&mut Have, &mut BackupReport),
        pool: &SyncPool,
    ) -> Result<bool> {
        let target = path_of(self.place, self.epoch(), name);
        if was_there {
            let damaged = have.path(self.place, name).unwrap_or_else(|| target.clone());
            if layout::probe(self.vfs, &damaged)?.is_some() {
                report.set_aside.push(self.place.set_aside(self.vfs, &damaged)?);
            }
            if !report.mended.contains(&damaged) {
                report.mended.push(damaged);
            }
        }
        for path in places {
            if self.copy_from(path, &target, print, pool)? {
                have.put(name, self.epoch(), print);
                report.bytes += print.len;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn copy_from(&self, path: &Path, target: &Path, print: &Fingerprint, pool: &SyncPool) -> Result<bool> {
        let is_so_long = |found: crate::vfs::Metadata| found.kind == FileKind::File && found.len == print.len;
        if !layout::probe(self.vfs, path)?.is_some_and(is_so_long) {
            return Ok(false);
        }
        let mut sink = Sink::create(self.vfs, target)?;
        let found = unless_damaged(layout::read_through(self.vfs, path, |piece| sink.write(piece)))?;
        if !found.is_some_and(|found| is_same(&found, print)) {
            drop(sink);
            layout::remove_file(self.vfs, target)?;
            return Ok(false);
        }
        sink.finish(pool).map(|_| true)
    }

    /// The conversations whose files are not as the store has them, and the files that it has not taken in.
    pub(super) fn amiss(&self) -> Result<Vec<DamagedFile>> {
        let mut amiss = Vec::new();
        let mut known = HashSet::new();
        for (ordinal, entry) in self.checkpoint.entries().enumerate() {
            known.insert(entry.file_name);
            let path = self.source.conversation(entry.file_name);
            let error = match entry.state {
                FileState::Missing => Some(Error::corrupt(&path, 0, MISSING)),
                FileState::Damaged => Some(Error::corrupt(&path, 0, entry.note)),
                FileState::Intact => {
                    let is_held = self.checkpoint.held().of(ordinal).is_some();
                    self.error_of(&path, &entry.file, is_held)?
                }
            };
            amiss.extend(error.map(|error| unreadable(entry.id, &error)));
        }
        for entry in layout::list_dir(self.vfs, &self.source.conversations())? {
            if entry.name.ends_with(".json") && !known.contains(&*entry.name) {
                amiss.push(DamagedFile {
                    path: self.source.conversation(&entry.name),
                    offset: None,
                    conversation_id: None,
                    reason: "the store has not taken this file in, so that it is not in the backup"
                        .to_owned(),
                    is_forbidden: false,
                });
            }
        }
        Ok(amiss)
    }

    /// What is wrong with a file that does not look as it was recorded, or that a compaction could not read.
    fn error_of(&self, path: &Path, print: &Fingerprint, is_held: bool) -> Result<Option<Error>> {
        match layout::probe(self.vfs, path)? {
            Some(found) if looks_like(&found, print) && !is_held => Ok(None),
            Some(_) => Ok(checked(self.vfs, path, Some(print))?.and_then(|(_, error)| error)),
            None => Ok(Some(Error::corrupt(path, 0, MISSING))),
        }
    }
}

/// What was read; nothing if it is damaged, which of a sealed file is told before its checksum can be asked.
pub(super) fn unless_damaged<T>(read: Result<Option<T>>) -> Result<Option<T>> {
    match read {
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
        read => read,
    }
}

/// Whether an error is about a file of the store, and not about the copy of it.
fn is_of_source(error: &Error, source: &Layout) -> bool {
    error.place().is_some_and(|place| place.path.starts_with(source.root()))
}

/// Syncs each file at once.
#[derive(Debug)]
struct AtOnce;

impl Syncs for AtOnce {
    fn sync(&self, unsynced: Unsynced) -> Result<()> {
        unsynced.sync()
    }

    fn wait(&self) -> Result<()> {
        Ok(())
    }
}

/// Copies a checkpoint. It has its name, durably, only once it has proved itself.
pub(super) fn copy_checkpoint(vfs: &dyn Vfs, from: &Path, to: &Path) -> Result<()> {
    let unfinished = to.with_extension("tmp");
    let mut sink = Sink::create(vfs, &unfinished)?;
    layout::read_through(vfs, from, |piece| sink.write(piece))?;
    sink.finish(&AtOnce)?;
    read_checkpoint(vfs, &unfinished)?;
    vfs.rename(&unfinished, to).map_err(|e| Error::io("rename", &unfinished, e))?;
    layout::sync_dir(vfs, to.parent().unwrap_or(to))
}
