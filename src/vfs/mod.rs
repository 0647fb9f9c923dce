//! The only way to the operating system's files.
//!
//! Owns the trait behind which all I/O happens and its implementation on a real file system. Tests and
//! fuzzers put their own in its place: one that drops what was not synced, fails the k-th call, flips bits.
//! Knows nothing of what the files mean. Errors are `io::Error`; the caller adds the path and the purpose.
//!
//! Every directory that is created gets mode 0700 and every file 0600: transcripts are private.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod lock;

pub(crate) mod memory_file;

mod os;

mod overlay;

mod pieces;

mod seal;

pub use lock::Lock;
pub use os::OsVfs;
pub(crate) use os::is_out_of_files;
pub(crate) use overlay::Overlay;
pub(crate) use pieces::read_by_pieces;
pub use seal::EventSeal;

/// A file system.
///
/// Names and calls are those of POSIX where there are any. Nothing is durable until the matching sync has
/// returned: a file's bytes and length by [`VfsFile::sync`], its name by [`Vfs::sync_dir`] of its directory.
pub trait Vfs: Send + Sync + fmt::Debug {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// Those of the system. A path whose last part is a symbolic link is refused for writing.
    fn open(&self, path: &Path, how: OpenMode) -> io::Result<Arc<dyn VfsFile>>;

    /// How many files the process may have open at a time: what a store keeps open for its next reads is a small part
    /// of it. 256 if nobody says, which is what a process may have on every system that this runs on.
    fn open_files_limit(&self) -> usize {
        256
    }

    /// Gives a file another name, atomically replacing a file that has it.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Exchanges what two names stand for, at once.
    ///
    /// # Errors
    ///
    /// Those of the system; `Unsupported` where it cannot be done at once, and nothing has happened then.
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        let _ = (one, other);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Gives a file another name that nothing has yet.
    ///
    /// # Errors
    ///
    /// Those of the system; `AlreadyExists` if something has that name, which stays as it is. A file system that
    /// cannot do both at once looks first, as this does if nobody says how.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self.metadata(to) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.rename(from, to),
            Err(error) => Err(error),
        }
    }

    /// Takes a file's name away. Who has it open or mapped keeps it.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Makes one directory, mode 0700. Its parent must exist.
    ///
    /// # Errors
    ///
    /// Those of the system; `AlreadyExists` if something has that name.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, in no particular order.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// What is known of a file without opening it; symbolic links are not followed.
    ///
    /// # Errors
    ///
    /// Those of the system; `NotFound` if there is nothing.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// When this returns, the names in the directory are durable.
    ///
    /// # Errors
    ///
    /// Those of the system. After an error nothing is known about what is durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes an exclusive lock on a file, making the file if there is none; the lock ends when the returned
    /// value is dropped or its process dies. `None` if somebody else holds it.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>>;

    /// The path that names the same directory for everyone in this process.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn canonical(&self, path: &Path) -> io::Result<PathBuf>;

    /// What seals the events that are written to the log, and names the files beside it, where they must tell nothing
    /// of what is in them. `None` anywhere but in an encrypted store.
    fn sealing(&self) -> Option<Arc<dyn EventSeal>> {
        None
    }

    /// Whether every value of this type is the same file system, as those of the operating system's are. If
    /// not, each [`Arc`] of one is taken for a file system of its own, and a directory in it for another.
    fn is_the_only_one(&self) -> bool {
        false
    }
}

/// Which file system a path is in, within this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity(Option<usize>);

impl Identity {
    pub(crate) fn of(vfs: &Arc<dyn Vfs>) -> Self {
        Self((!vfs.is_the_only_one()).then(|| Arc::as_ptr(vfs).cast::<()>().addr()))
    }
}

/// An open file.
pub trait VfsFile: Send + Sync + fmt::Debug {
    /// Reads up to `buffer.len()` bytes at an offset; 0 means that the file ends there.
    ///
    /// # Errors
    ///
    /// Those of the system, `Interrupted` included.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes some of the bytes at an offset and says how many.
    ///
    /// # Errors
    ///
    /// Those of the system, `Interrupted` included. Some bytes may have been written all the same.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes the file `length` bytes long, with zeros for what is new and blocks reserved for all of it
    /// where the file system can, so that a full disk shows now and not in the middle of a record.
    ///
    /// # Errors
    ///
    /// Those of the system; `StorageFull` leaves the file as it was.
    fn allocate(&self, length: u64) -> io::Result<()>;

    /// Gets a range that was allocated and never written ready for being written and synced: afterwards a sync
    /// of it need not tell the device which blocks are in use, only what is in them. Its bytes stay zeros.
    ///
    /// It saves time and nothing else; a file system that has no such difference does nothing.
    ///
    /// # Errors
    ///
    /// Those of the system; the file is as good as before.
    fn ready(&self, range: Range<u64>) -> io::Result<()> {
        let _ = range;
        Ok(())
    }

    /// Makes the file `length` bytes long, cutting or extending it.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// When this returns, the file's bytes and its length are durable (`fdatasync`).
    ///
    /// # Errors
    ///
    /// Those of the system. After an error nothing is known about what is durable, and a second call may
    /// succeed without having written: never call it again on this file.
    fn sync(&self) -> io::Result<()>;

    /// What is known of the open file.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn metadata(&self) -> io::Result<Metadata>;

    /// The file's bytes in memory, if this file system can map them. Only for files that nobody cuts
    /// shorter while the mapping lives.
    ///
    /// What is written to the file later must show in it: the store reads through maps what it appends. A
    /// file system that can only make a copy gives `Ok(None)`.
    ///
    /// # Errors
    ///
    /// Those of the system. `Ok(None)` means that the caller must read instead.
    fn map(&self) -> io::Result<Option<Arc<dyn Mapping>>>;
}

/// The bytes of a mapped file.
pub trait Mapping: Send + Sync + fmt::Debug {
    /// All of them, as long as the file was when it was mapped.
    fn bytes(&self) -> &[u8];
}

/// How to open a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenMode {
    /// For reading; it must exist.
    Read,
    /// For reading and writing; it must exist.
    ReadWrite,
    /// For reading and writing; it must not exist.
    CreateNew,
}

/// A name in a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirEntry {
    /// The name; only names that are valid Unicode are usable by the store, so the rest is given lossily.
    pub name: String,
    /// Whether `name` is exactly the name on disk.
    pub name_is_exact: bool,
    /// What has the name.
    pub kind: FileKind,
}

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, a device, or whatever else.
    Other,
}

/// What a file system knows of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Metadata {
    /// What it is.
    pub kind: FileKind,
    /// Its length in bytes.
    pub len: u64,
    /// When its bytes last changed, in nanoseconds from the Unix epoch.
    pub modified_nanos: i128,
    /// A number that tells this file from every other one of its file system: the inode.
    pub file_number: u64,
}

/// Reads exactly `buffer.len()` bytes, going on after short reads and interruptions.
///
/// # Errors
///
/// Those of the system; `UnexpectedEof` if the file ends before.
pub fn read_exact_at(file: &dyn VfsFile, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.read_at(buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                buffer = buffer.get_mut(count..).unwrap_or_default();
                offset += u64::try_from(count).unwrap_or(u64::MAX);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes all the bytes, going on after short writes and interruptions.
///
/// # Errors
///
/// Those of the system; `WriteZero` if the system takes nothing more. Some bytes may have been written.
pub fn write_all_at(file: &dyn VfsFile, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = bytes.get(count..).unwrap_or_default();
                offset += u64::try_from(count).unwrap_or(u64::MAX);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads a whole file, of at most `limit` bytes.
///
/// # Errors
///
/// Those of the system; `InvalidData` past the limit.
pub fn read_all(file: &dyn VfsFile, limit: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len;
    if length > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{length} bytes, over the limit of {limit}"),
        ));
    }
    let mut bytes = zeros(usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?)?;
    read_exact_at(file, &mut bytes, 0)?;
    Ok(bytes)
}

/// So many bytes to read into.
///
/// # Errors
///
/// `OutOfMemory` if they cannot be had, where `vec!` would end the process.
pub(crate) fn zeros(length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.resize(length, 0);
    Ok(bytes)
}

/// Holds that there is memory for so many bytes, which are about to be asked for in a way that has no answer to a no.
///
/// # Errors
///
/// `OutOfMemory` if they cannot be had.
pub(crate) fn room_for(length: usize) -> io::Result<()> {
    // What is less is rarely refused, and asked for too often to be asked for twice.
    if length < LARGE {
        return Ok(());
    }
    let mut room: Vec<u8> = Vec::new();
    room.try_reserve_exact(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
    // Memory that nobody looks at would not be asked for.
    std::hint::black_box(&room);
    Ok(())
}

/// From how many bytes on it is asked whether they can be had.
const LARGE: usize = 1 << 20;
