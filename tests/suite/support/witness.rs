//! A file system that keeps the books on what a sync has covered.
//!
//! Wraps any other one and changes nothing. Owns, for each file, what was written in which order, and which of
//! it lay before the start of a sync that has succeeded; for each name, whether a sync of its directory has
//! covered it. At a receipt it proves from the books alone that the frame is durable. Knows of the format
//! where frames begin and how long they are, and nothing else.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aral_store::vfs::{DirEntry, Lock, Mapping, Metadata, OpenMode, Vfs, VfsFile};

use super::check::Checked;

/// Where a segment's first frame begins, and what frames are multiples of.
const DATA_START: usize = 4096;
const FRAME_ALIGN: usize = 32;

#[derive(Debug)]
struct Written {
    start: usize,
    bytes: Vec<u8>,
    /// When the call returned; never, while it is under way.
    finished: u64,
    is_durable: bool,
}

/// The time at which a name came to stand for what it stands for, and whether that is durable.
#[derive(Clone, Copy, Debug)]
struct Named {
    time: u64,
    is_durable: bool,
}

#[derive(Debug, Default)]
struct Books {
    /// By the file's number, which it keeps through renames.
    files: BTreeMap<u64, Vec<Written>>,
    /// The paths of files, also of those that were removed since: a receipt may be older than a removal.
    paths: BTreeMap<PathBuf, u64>,
    names: BTreeMap<PathBuf, Named>,
    time: u64,
    syncs: u64,
}

/// Clones share the books.
#[derive(Clone, Debug)]
pub(crate) struct Witness {
    inner: Arc<dyn Vfs>,
    books: Arc<Mutex<Books>>,
}

#[derive(Debug)]
struct WitnessedFile {
    inner: Arc<dyn VfsFile>,
    number: u64,
    books: Arc<Mutex<Books>>,
}

fn locked(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Books {
    fn name(&mut self, path: &Path) {
        self.time += 1;
        self.names.insert(path.to_owned(), Named { time: self.time, is_durable: false });
    }

    /// A file's bytes as its process sees them, each with whether the medium has it.
    fn image(&self, number: u64) -> (Vec<u8>, Vec<bool>) {
        let (mut bytes, mut durable) = (Vec::new(), Vec::new());
        for written in self.files.get(&number).into_iter().flatten() {
            let end = written.start + written.bytes.len();
            bytes.resize(end.max(bytes.len()), 0);
            durable.resize(end.max(durable.len()), true);
            bytes[written.start..end].copy_from_slice(&written.bytes);
            durable[written.start..end].fill(written.is_durable);
        }
        (bytes, durable)
    }

    /// The first name on the way to a path that a cut of power could take away.
    fn doubtful_name<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        path.ancestors().find(|part| self.names.get(*part).is_some_and(|named| !named.is_durable))
    }
}

/// The frame that has a place in it: where it starts and ends.
fn frame_around(bytes: &[u8], place: usize) -> Option<(usize, usize)> {
    let mut at = DATA_START;
    loop {
        let length = bytes.get(at + 4..at + 8)?.try_into().ok().map(u32::from_le_bytes)?;
        let length = usize::try_from(length).ok()?;
        let end = at + FRAME_ALIGN + length.next_multiple_of(FRAME_ALIGN);
        if (at..end).contains(&place) {
            return Some((at, end));
        }
        if length == 0 {
            return None;
        }
        at = end;
    }
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

impl Witness {
    pub(crate) fn over(inner: impl Vfs + 'static) -> Self {
        Self { inner: Arc::new(inner), books: Arc::default() }
    }

    /// How many syncs of files have succeeded.
    pub(crate) fn syncs(&self) -> u64 {
        locked(&self.books).syncs
    }

    /// Proves that the frame whose payload has these letters would survive a cut of power right now: every
    /// byte of it and of its segment's header was written before the start of a sync that has succeeded, and
    /// every name on the way to it was made before the start of a sync of its directory that has.
    pub(crate) fn prove(&self, mark: &str) -> Checked {
        let books = locked(&self.books);
        // Whatever is behind it: what could not be read when it was compacted is set aside as `.seg.unread`.
        let is_segment = |path: &Path| path.file_name().is_some_and(|n| n.to_string_lossy().contains(".seg"));
        let segments = books.paths.iter().filter(|(path, _)| is_segment(path));
        for (path, number) in segments {
            let (bytes, durable) = books.image(*number);
            let Some(place) = find(&bytes, mark.as_bytes()) else { continue };
            let (start, end) = frame_around(&bytes, place).ok_or("the letters lie in no frame")?;
            let unsynced = (0..DATA_START).chain(start..end).find(|at| !durable[*at]);
            if let Some(at) = unsynced {
                return Err(format!("{mark}: no sync has covered byte {at} of {}", path.display()));
            }
            if let Some(name) = books.doubtful_name(path) {
                return Err(format!("{mark}: no sync has covered the name {}", name.display()));
            }
            return Ok(());
        }
        Err(format!("{mark}: no segment has it"))
    }

    fn wrap(&self, inner: Arc<dyn VfsFile>) -> io::Result<(u64, Arc<dyn VfsFile>)> {
        let number = inner.metadata()?.file_number;
        Ok((number, Arc::new(WitnessedFile { inner, number, books: Arc::clone(&self.books) })))
    }
}

impl Vfs for Witness {
    fn open(&self, path: &Path, how: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let (number, file) = self.wrap(self.inner.open(path, how)?)?;
        let mut books = locked(&self.books);
        books.paths.insert(path.to_owned(), number);
        if how == OpenMode::CreateNew {
            books.name(path);
        }
        Ok(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)?;
        let mut books = locked(&self.books);
        books.names.remove(from);
        // What is set aside is no segment any more, and its name proves as little as that of one that was removed.
        if to.extension().is_none_or(|extension| extension != "unread") {
            books.name(to);
        }
        if let Some(number) = books.paths.remove(from) {
            books.paths.insert(to.to_owned(), number);
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_file(path)?;
        locked(&self.books).names.remove(path);
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir(path)?;
        locked(&self.books).name(path);
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_dir(path)?;
        locked(&self.books).names.remove(path);
        Ok(())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.read_dir(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.inner.metadata(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let begun = locked(&self.books).time;
        self.inner.sync_dir(path)?;
        for (name, named) in &mut locked(&self.books).names {
            named.is_durable |= name.parent() == Some(path) && named.time <= begun;
        }
        Ok(())
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.inner.try_lock(path)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        self.inner.canonical(path)
    }
}

impl VfsFile for WitnessedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        // In the books before it happens: no sync that has begun covers a write that is under way.
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let written = Written { start, bytes: bytes.to_vec(), finished: u64::MAX, is_durable: false };
        let nth = {
            let mut books = locked(&self.books);
            let writes = books.files.entry(self.number).or_default();
            writes.push(written);
            writes.len() - 1
        };
        let done = self.inner.write_at(bytes, offset);
        let mut books = locked(&self.books);
        books.time += 1;
        let finished = books.time;
        if let Some(written) = books.files.get_mut(&self.number).and_then(|writes| writes.get_mut(nth)) {
            written.bytes.truncate(done.as_ref().copied().unwrap_or(bytes.len()));
            written.finished = finished;
        }
        done
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.inner.allocate(length)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.inner.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        let begun = locked(&self.books).time;
        self.inner.sync()?;
        let mut books = locked(&self.books);
        books.syncs += 1;
        for written in books.files.entry(self.number).or_default() {
            written.is_durable |= written.finished <= begun;
        }
        Ok(())
    }

    fn metadata(&self) -> io::Result<Metadata> {
        self.inner.metadata()
    }

    fn map(&self) -> io::Result<Option<Arc<dyn Mapping>>> {
        self.inner.map()
    }
}
