//! The files that were read from last, kept open.
//!
//! Owns how many there are and which of them goes first. What is read through one is held against its position's
//! checksum like everything else, so a file that is not the right one any more shows, and is looked for anew.
//! Files of an older checkpoint are let go of as soon as one of a newer is asked for. No file is closed under the
//! lock: closing the last of a file that was replaced frees its room on the disk, for which nobody should wait.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::open_file::FileName;
use crate::vfs::VfsFile;

/// How many files one store keeps open: a small part of the 1,024 that a process may have open on most systems.
const MOST: usize = 64;
/// How many all stores of a process keep open together.
const MOST_IN_ALL: usize = 128;

static IN_ALL: AtomicUsize = AtomicUsize::new(0);

/// The files that are kept, of one checkpoint.
#[derive(Debug, Default)]
pub(crate) struct KeptFiles(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    epoch: u64,
    files: Vec<KeptFile>,
    /// How often a file was asked for or kept.
    turn: u64,
}

#[derive(Debug)]
struct KeptFile {
    /// Its place in the checkpoint.
    ordinal: usize,
    file: Arc<dyn VfsFile>,
    /// The last turn in which it was wanted.
    turn: u64,
    /// Handed on when another file of the store takes its place.
    place: Option<Place>,
}

/// One of the files that a process may keep open.
#[derive(Debug)]
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let one_more = |count| (count < MOST_IN_ALL).then_some(count + 1);
        let taken = IN_ALL.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.is_ok().then_some(Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        IN_ALL.fetch_sub(1, Ordering::Relaxed);
    }
}

impl KeptFiles {
    fn locked(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file of this name, if it is kept.
    pub(crate) fn get(&self, name: FileName<'_>) -> Option<Arc<dyn VfsFile>> {
        let (found, closed) = self.locked().get(name);
        drop(closed);
        found
    }

    /// Keeps a file that has shown itself to be the right one, in place of the one that was not wanted for longest.
    pub(crate) fn keep(&self, name: FileName<'_>, file: &Arc<dyn VfsFile>) {
        let closed = self.locked().keep(name, file);
        drop(closed);
    }

    /// Lets go of a file that is not the right one any more.
    pub(crate) fn forget(&self, name: FileName<'_>) {
        let forgotten = self.locked().take(name);
        drop(forgotten);
    }

    /// Lets go of all files.
    pub(crate) fn let_go(&self) {
        let files = std::mem::take(&mut self.locked().files);
        drop(files);
    }
}

/// What is returned beside the rest is to be closed without the lock.
impl Kept {
    fn get(&mut self, name: FileName<'_>) -> (Option<Arc<dyn VfsFile>>, Vec<KeptFile>) {
        self.turn += 1;
        let older = self.go_on_to(name.epoch);
        let is_it = |kept: &&mut KeptFile| kept.ordinal == name.ordinal;
        let found = self.files.iter_mut().filter(|_| self.epoch == name.epoch).find(is_it);
        let file = found.map(|kept| {
            kept.turn = self.turn;
            Arc::clone(&kept.file)
        });
        (file, older)
    }

    fn keep(&mut self, name: FileName<'_>, file: &Arc<dyn VfsFile>) -> Vec<KeptFile> {
        let mut closed = self.go_on_to(name.epoch);
        // A reader of an older checkpoint may come late.
        if name.epoch < self.epoch || self.files.iter().any(|kept| kept.ordinal == name.ordinal) {
            return closed;
        }
        self.turn += 1;
        // Other stores may have taken all the places of the process; then this one goes on with those that it has.
        let place = if self.files.len() < MOST { Place::take() } else { None };
        let place = place.or_else(|| {
            let mut oldest = self.take_oldest()?;
            let place = oldest.place.take();
            closed.push(oldest);
            place
        });
        if place.is_some() {
            let (ordinal, file, turn) = (name.ordinal, Arc::clone(file), self.turn);
            self.files.push(KeptFile { ordinal, file, turn, place });
        }
        closed
    }

    fn take(&mut self, name: FileName<'_>) -> Option<KeptFile> {
        let at = self.files.iter().position(|kept| kept.ordinal == name.ordinal)?;
        (self.epoch == name.epoch).then(|| self.files.swap_remove(at))
    }

    /// Takes out what is kept of older checkpoints than this one, to be closed later.
    fn go_on_to(&mut self, epoch: u64) -> Vec<KeptFile> {
        if epoch <= self.epoch {
            return Vec::new();
        }
        self.epoch = epoch;
        std::mem::take(&mut self.files)
    }

    /// Takes out the file that was not wanted for longest.
    fn take_oldest(&mut self) -> Option<KeptFile> {
        let (at, _) = self.files.iter().enumerate().min_by_key(|(_, kept)| kept.turn)?;
        Some(self.files.swap_remove(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::{OpenMode, OsVfs, Vfs};

    fn name(epoch: u64, ordinal: usize) -> FileName<'static> {
        FileName { name: "c.json", epoch, ordinal }
    }

    #[test]
    fn the_files_that_were_wanted_last_are_kept_and_those_of_an_older_checkpoint_go() {
        let home = tempfile::tempdir().unwrap();
        let file = OsVfs.open(&home.path().join("c.json"), OpenMode::CreateNew).unwrap();
        let kept = KeptFiles::default();
        for ordinal in 0..MOST {
            kept.keep(name(1, ordinal), &file);
        }
        assert!(kept.get(name(1, 0)).is_some());
        kept.keep(name(1, MOST), &file);
        let is_kept = |epoch, ordinal| kept.get(name(epoch, ordinal)).is_some();
        assert_eq!(
            [is_kept(1, 0), is_kept(1, 1), is_kept(1, 2), is_kept(1, MOST)],
            [true, false, true, true]
        );
        assert_eq!(Arc::strong_count(&file), 1 + MOST);
        kept.forget(name(1, 0));
        assert_eq!((is_kept(1, 0), is_kept(2, 2)), (false, false));
        kept.keep(name(2, 7), &file);
        kept.keep(name(1, 8), &file);
        assert_eq!([is_kept(2, 7), is_kept(1, 8), is_kept(2, 8), is_kept(1, 2)], [true, false, false, false]);
        kept.let_go();
        assert_eq!(Arc::strong_count(&file), 1);
    }
}
