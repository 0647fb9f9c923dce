//! The files that were read from last, kept open.
//!
//! Owns how many there are and which of them goes first: one that was not wanted since a hand that goes round came
//! by it last, which is close to the one that was not wanted for longest, and found at once (CLOCK, by Corbató). The
//! new file comes to the old one's place, behind the hand, so that all the others have their turn before it.
//! What is read through one is held against its position's checksum like everything else, so a file that is not the right one any more shows, and is looked for anew.
//! Files of an older checkpoint are let go of as soon as one of a newer is asked for. No file is closed under the
//! lock: closing the last of a file that was replaced frees its room on the disk, for which nobody should wait.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::vfs::{Vfs, VfsFile};

/// One store keeps one in so many of the files that a process may have open.
const ONE_IN: usize = 10;
/// All stores of a process together keep one in so many.
const ONE_IN_FOR_ALL: usize = 8;
/// With the few that each store may keep where others have taken all of those, one in so many.
const ONE_IN_WITH_FEW: usize = 4;
/// How many these are.
const FEW: usize = 8;
/// How many a store keeps where a process may have as many open as it likes.
const MOST: usize = 4096;

static IN_ALL: AtomicUsize = AtomicUsize::new(0);

/// Which file it is: its name in the snapshot and, for the time of its publishing, the place in the checkpoint of an
/// epoch by which it is staged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileName<'n> {
    pub(crate) name: &'n str,
    pub(crate) epoch: u64,
    pub(crate) ordinal: usize,
}

/// The files that are kept, of one checkpoint.
#[derive(Debug)]
pub(crate) struct FileCache {
    /// How many this store keeps.
    most: usize,
    /// How many all stores of the process keep.
    most_in_all: usize,
    /// How many they keep with the few that each may have beyond that.
    most_with_few: usize,
    kept: Mutex<Cached>,
}

#[derive(Debug, Default)]
struct Cached {
    epoch: u64,
    /// In a ring, which a hand goes round to find the one that has not been wanted for long.
    files: Vec<CachedFile>,
    hand: usize,
    /// Where in the ring a file is, by its place in the checkpoint.
    by_ordinal: HashMap<usize, usize, foldhash::fast::RandomState>,
}

#[derive(Debug)]
struct CachedFile {
    /// Its place in the checkpoint.
    ordinal: usize,
    file: Arc<dyn VfsFile>,
    /// Whether it was wanted since the hand came by.
    is_wanted: bool,
    /// Handed on when another file of the store comes instead.
    _place: Place,
}

/// One of the files that a process may keep open.
#[derive(Debug)]
struct Place;

impl Place {
    fn take(most: usize) -> Option<Self> {
        let one_more = |count| (count < most).then(|| count + 1);
        let taken = IN_ALL.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        // Made only if it was taken: to drop one gives it back.
        taken.is_ok().then(|| Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        IN_ALL.fetch_sub(1, Ordering::Relaxed);
    }
}

impl FileCache {
    /// Keeps as many as this file system lets a process have open a part of.
    pub(crate) fn new(vfs: &dyn Vfs) -> Self {
        let limit = vfs.open_files_limit();
        Self {
            most: (limit / ONE_IN).min(MOST),
            most_in_all: limit / ONE_IN_FOR_ALL,
            most_with_few: limit / ONE_IN_WITH_FEW,
            kept: Mutex::default(),
        }
    }

    fn locked(&self) -> MutexGuard<'_, Cached> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file of this name, if it is kept.
    pub(crate) fn get(&self, name: FileName<'_>) -> Option<Arc<dyn VfsFile>> {
        let (found, closed) = self.locked().get(name);
        drop(closed);
        found
    }

    /// Keeps a file that has shown itself to be the right one, in place of one that has not been wanted for long.
    pub(crate) fn keep(&self, name: FileName<'_>, file: &Arc<dyn VfsFile>) {
        let closed = self.locked().keep(name, file, self);
        drop(closed);
    }

    /// Lets go of a file that is not the right one any more.
    pub(crate) fn forget(&self, name: FileName<'_>) {
        let forgotten = self.locked().take(name);
        drop(forgotten);
    }

    /// Lets go of all files.
    pub(crate) fn let_go(&self) {
        let files = self.locked().take_all();
        drop(files);
    }
}

/// What is returned beside the rest is to be closed without the lock.
impl Cached {
    fn get(&mut self, name: FileName<'_>) -> (Option<Arc<dyn VfsFile>>, Vec<CachedFile>) {
        let older = self.go_on_to(name.epoch);
        if name.epoch < self.epoch {
            return (None, older);
        }
        let at = self.by_ordinal.get(&name.ordinal);
        let file = at.and_then(|at| self.files.get_mut(*at)).map(|kept| {
            kept.is_wanted = true;
            Arc::clone(&kept.file)
        });
        (file, older)
    }

    fn keep(
        &mut self,
        name: FileName<'_>,
        file: &Arc<dyn VfsFile>,
        limits: &FileCache,
    ) -> (Option<Arc<dyn VfsFile>>, Vec<CachedFile>) {
        let older = self.go_on_to(name.epoch);
        // A reader of an older checkpoint may come late.
        if name.epoch < self.epoch || self.by_ordinal.contains_key(&name.ordinal) {
            return (None, older);
        }
        // Other stores may have taken all the places of the process; then this one goes on with those that it has.
        let share = if self.files.len() < FEW { limits.most_with_few } else { limits.most_in_all };
        let room = if self.files.len() < limits.most { Place::take(share) } else { None };
        let (ordinal, file) = (name.ordinal, Arc::clone(file));
        let Some(place) = room else { return (self.replace_unwanted(ordinal, file), older) };
        self.by_ordinal.insert(ordinal, self.files.len());
        self.files.push(CachedFile { ordinal, file, is_wanted: false, _place: place });
        (None, older)
    }

    fn take(&mut self, name: FileName<'_>) -> Option<CachedFile> {
        let at = self.by_ordinal.get(&name.ordinal).copied()?;
        if self.epoch == name.epoch { self.take_at(at) } else { None }
    }

    /// Takes out what is kept of older checkpoints than this one, to be closed later.
    fn go_on_to(&mut self, epoch: u64) -> Vec<CachedFile> {
        if epoch <= self.epoch {
            return Vec::new();
        }
        self.epoch = epoch;
        self.take_all()
    }

    fn take_all(&mut self) -> Vec<CachedFile> {
        self.by_ordinal.clear();
        std::mem::take(&mut self.files)
    }

    /// Puts a file in the place of the first that was not wanted since the hand came by, and gives that one. The
    /// hand goes round twice at most.
    fn replace_unwanted(&mut self, ordinal: usize, file: Arc<dyn VfsFile>) -> Option<Arc<dyn VfsFile>> {
        loop {
            self.hand = if self.hand < self.files.len() { self.hand } else { 0 };
            let at = self.hand;
            let kept = self.files.get_mut(at)?;
            self.hand += 1;
            if !std::mem::take(&mut kept.is_wanted) {
                self.by_ordinal.remove(&kept.ordinal);
                self.by_ordinal.insert(ordinal, at);
                kept.ordinal = ordinal;
                return Some(std::mem::replace(&mut kept.file, file));
            }
        }
    }

    /// Takes one out of the ring; the last one comes to where it was.
    fn take_at(&mut self, at: usize) -> Option<CachedFile> {
        let taken = (at < self.files.len()).then(|| self.files.swap_remove(at))?;
        self.by_ordinal.remove(&taken.ordinal);
        if let Some(moved) = self.files.get(at) {
            self.by_ordinal.insert(moved.ordinal, at);
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::{OpenMode, OsVfs};

    fn name(epoch: u64, ordinal: usize) -> FileName<'static> {
        FileName { name: "c.json", epoch, ordinal }
    }

    /// So many, whatever others keep.
    fn unbounded(most: usize) -> FileCache {
        FileCache { most, most_in_all: usize::MAX, most_with_few: usize::MAX, kept: Mutex::default() }
    }

    fn file() -> (tempfile::TempDir, Arc<dyn VfsFile>) {
        let home = tempfile::tempdir().unwrap();
        let file = OsVfs.open(&home.path().join("c.json"), OpenMode::CreateNew).unwrap();
        (home, file)
    }

    #[test]
    fn the_files_that_were_wanted_are_kept_and_those_of_an_older_checkpoint_go() {
        let (_home, file) = file();
        let kept = unbounded(4);
        let is_kept = |epoch, ordinal| kept.get(name(epoch, ordinal)).is_some();
        for ordinal in 0..4 {
            kept.keep(name(1, ordinal), &file);
        }
        assert!(is_kept(1, 0));
        kept.keep(name(1, 4), &file);
        assert_eq!([0, 1, 2, 3, 4].map(|ordinal| is_kept(1, ordinal)), [true, false, true, true, true]);
        assert_eq!(Arc::strong_count(&file), 1 + 4);
        // Where all are wanted, one of them goes.
        kept.keep(name(1, 5), &file);
        let left = [0, 2, 3, 4, 5].map(|ordinal| is_kept(1, ordinal));
        assert_eq!(left.iter().filter(|is_left| **is_left).count(), 4);
        assert!(is_kept(1, 5));
        kept.forget(name(1, 5));
        assert_eq!((is_kept(1, 5), Arc::strong_count(&file)), (false, 1 + 3));
        assert!(!is_kept(2, 4));
        assert_eq!(Arc::strong_count(&file), 1);
        kept.keep(name(2, 7), &file);
        kept.keep(name(1, 8), &file);
        assert_eq!([is_kept(2, 7), is_kept(1, 8), is_kept(2, 8)], [true, false, false]);
        kept.let_go();
        assert_eq!((is_kept(2, 7), Arc::strong_count(&file)), (false, 1));
    }

    #[test]
    fn each_file_is_found_whatever_went_and_came() {
        let (_home, first) = file();
        let kept = unbounded(7);
        // The same numbers each time, of a generator by Knuth.
        let mut drawn = 1_u64;
        let mut files = HashMap::new();
        for _ in 0..5000 {
            drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let ordinal = usize::try_from((drawn >> 33) % 19).unwrap();
            match (drawn >> 60) % 4 {
                0 => kept.forget(name(1, ordinal)),
                1 | 2 => {
                    let (_, file) = files.entry(ordinal).or_insert_with(file);
                    kept.keep(name(1, ordinal), file);
                }
                _ => {
                    let found = kept.get(name(1, ordinal));
                    let ought = files.get(&ordinal).map_or(&first, |(_, file)| file);
                    assert!(found.is_none_or(|found| Arc::ptr_eq(&found, ought)), "{ordinal}");
                }
            }
            let inner = kept.locked();
            assert!(inner.files.len() <= 7 && inner.files.len() == inner.by_ordinal.len());
        }
        assert_eq!(kept.locked().files.len(), 7);
    }

    #[test]
    fn whoever_comes_again_before_all_others_have_come_is_kept() {
        let (_home, file) = file();
        let kept = unbounded(8);
        let mut read = |ordinal| {
            let was_kept = kept.get(name(1, ordinal)).is_some();
            kept.keep(name(1, ordinal), &file);
            was_kept
        };
        // More than are kept, once each, and then a few of others again and again.
        assert!((0..20).all(|ordinal| !read(ordinal)));
        for round in 0..3 {
            assert_eq!([read(30), read(31), read(32)], [round > 0; 3], "round {round}");
        }
        // Those few stay for a while when many others come once.
        assert_eq!((40..46).map(&mut read).filter(|was_kept| *was_kept).count(), 0);
        assert_eq!([read(30), read(31), read(32)], [true; 3]);
    }

    #[test]
    fn no_more_are_kept_than_a_part_of_what_a_process_may_open() {
        let (_home, file) = file();
        // Others have taken all that there are, but for the few.
        let kept = FileCache { most_in_all: 0, ..unbounded(99) };
        for ordinal in 0..20 {
            kept.keep(name(1, ordinal), &file);
        }
        assert_eq!(Arc::strong_count(&file), 1 + FEW);
        assert!(kept.get(name(1, 19)).is_some());
        // Others have taken these too.
        let none = FileCache { most_in_all: 0, most_with_few: 0, ..unbounded(99) };
        none.keep(name(1, 0), &file);
        assert!(none.get(name(1, 0)).is_none());
        let kept = FileCache::new(&OsVfs);
        let limit = OsVfs.open_files_limit();
        assert!(limit > 0 && kept.most <= limit / 10 && kept.most <= kept.most_in_all.min(4096));
        assert!(kept.most_in_all <= kept.most_with_few && kept.most_with_few <= limit / 4);
    }
}
