//! The real file system.
//!
//! Owns every call of `std::fs`, rustix and memmap2. Positioned reads and writes only, so that no two
//! threads share a cursor. Symbolic links are never followed for writing: a link planted in the store's
//! directory must not make it write elsewhere.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DirEntry, FileKind, Lock, Mapping, Metadata, OpenMode, Vfs, VfsFile};

/// The file system of the operating system.
#[derive(Debug, Default, Clone, Copy)]
pub struct OsVfs;

#[derive(Debug)]
struct OsFile(File);

#[derive(Debug)]
struct OsLock {
    file: File,
    /// The path as the system takes it, made once: it is looked at for every group of records.
    path: CString,
    /// What was locked.
    locked: rustix::fs::Stat,
    /// Who took it. A process that was forked off shares the lock, and must not let go of it for its parent.
    process: u32,
}

impl Drop for OsLock {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            return;
        }
        // Closing the file would do, were it not for a process that another thread is about to start: between
        // its fork and its exec it has a copy of every open file, and a lock lives as long as any copy.
        self.file.unlock().ok();
    }
}

impl Lock for OsLock {
    fn changed_nanos(&self) -> io::Result<Option<i128>> {
        match rustix::fs::lstat(self.path.as_c_str()) {
            Ok(found) => {
                let is_same = (found.st_dev, found.st_ino) == (self.locked.st_dev, self.locked.st_ino);
                let nanos = || i128::from(found.st_ctime) * 1_000_000_000 + i128::from(found.st_ctime_nsec);
                Ok(is_same.then(nanos))
            }
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    fn release(&self) -> bool {
        self.process == std::process::id() && self.file.unlock().is_ok()
    }

    fn retake(&self) -> io::Result<bool> {
        // A process that was forked off has the same file as its parent, to which the system gives a lock that the parent holds.
        if self.process != std::process::id() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

#[expect(clippy::disallowed_types, reason = "this module is the way to the operating system")]
fn options() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.mode(0o600).custom_flags(rustix_flags(rustix::fs::OFlags::CLOEXEC));
    options
}

/// Whether a file could not be opened because too many are open.
pub(crate) fn is_out_of_files(error: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    errno.is_some_and(|errno| [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].contains(&errno))
}

/// The bits of open flags as `std` takes them.
fn rustix_flags(flags: rustix::fs::OFlags) -> i32 {
    i32::try_from(flags.bits()).unwrap_or(0)
}

#[expect(clippy::disallowed_methods, reason = "this module is the way to the operating system")]
impl Vfs for OsVfs {
    fn is_the_only_one(&self) -> bool {
        true
    }

    fn open_files_limit(&self) -> usize {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
    }

    fn open(&self, path: &Path, how: OpenMode) -> io::Result<Arc<dyn VfsFile>> {
        let mut options = options();
        let no_links = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
        // Without NONBLOCK, opening a FIFO that somebody put in a file's place would wait for ever.
        let careful = rustix_flags(no_links | rustix::fs::OFlags::NONBLOCK);
        let file = match how {
            OpenMode::Read => options.read(true).custom_flags(careful).open(path),
            OpenMode::ReadWrite => options.read(true).write(true).custom_flags(careful).open(path),
            OpenMode::CreateNew => {
                options.read(true).write(true).create_new(true).custom_flags(careful).open(path)
            }
        };
        let file = file.map_err(|error| match rustix::io::Errno::from_io_error(&error) {
            Some(rustix::io::Errno::LOOP) => {
                io::Error::other("it is a symbolic link; put the file itself there")
            }
            _ => error,
        })?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(Arc::new(OsFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).map_err(|errno| match errno {
            // What an older kernel and a file system that cannot say.
            Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP => io::ErrorKind::Unsupported.into(),
            errno => errno.into(),
        })
    }

    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        use rustix::fs::{CWD, RenameFlags};
        use rustix::io::Errno;
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Not every file system, and no old kernel, can rename so. A second name is refused by all of them
            // where there is one already.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match fs::hard_link(from, to) {
                Ok(()) => fs::remove_file(from),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
                Err(_) if fs::symlink_metadata(to).is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
                Err(_) => fs::rename(from, to),
            },
            renamed => renamed.map_err(Into::into),
        }
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        fs::read_dir(path)?
            .map(|entry| {
                let entry = entry?;
                let kind = kind_of(entry.file_type()?);
                Ok(match entry.file_name().into_string() {
                    Ok(name) => DirEntry { name, name_is_exact: true, kind },
                    Err(name) => {
                        DirEntry { name: name.to_string_lossy().into_owned(), name_is_exact: false, kind }
                    }
                })
            })
            .collect()
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        Ok(describe(&fs::symlink_metadata(path)?))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let careful = rustix_flags(rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC);
        let file =
            options().read(true).write(true).create(true).truncate(false).custom_flags(careful).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                let locked = rustix::fs::fstat(&file)?;
                let path = CString::new(path.as_os_str().as_bytes())?;
                Ok(Some(Box::new(OsLock { file, path, locked, process: std::process::id() })))
            }
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }
}

fn kind_of(kind: fs::FileType) -> FileKind {
    if kind.is_file() {
        FileKind::File
    } else if kind.is_dir() {
        FileKind::Directory
    } else {
        FileKind::Other
    }
}

fn describe(metadata: &fs::Metadata) -> Metadata {
    Metadata {
        kind: kind_of(metadata.file_type()),
        len: metadata.len(),
        modified_nanos: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
        file_number: metadata.ino(),
    }
}

impl VfsFile for OsFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(&self.0, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(&self.0, bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        use rustix::fs::FallocateFlags;
        use rustix::io::Errno;
        loop {
            match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, length) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                // Some file systems cannot reserve; a sparse file is then the best there is.
                Err(Errno::OPNOTSUPP) => return self.0.set_len(length.max(self.0.metadata()?.len())),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn ready(&self, range: Range<u64>) -> io::Result<()> {
        // Reserved blocks count as never written until something is: the first sync behind such a write has to
        // change the file's map of blocks as well, which takes a commit of the file system's journal.
        static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
        let mut at = range.start;
        while at < range.end {
            let left = usize::try_from(range.end - at).unwrap_or(usize::MAX);
            let written = self.write_at(ZEROS.get(..left).unwrap_or(&ZEROS), at)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            at += u64::try_from(written).unwrap_or(u64::MAX);
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn metadata(&self) -> io::Result<Metadata> {
        Ok(describe(&self.0.metadata()?))
    }

    fn map(&self) -> io::Result<Option<Arc<dyn Mapping>>> {
        if self.0.metadata()?.len() == 0 {
            return Ok(None);
        }
        Ok(Some(Arc::new(OsMapping(map_file(&self.0)?))))
    }
}

#[derive(Debug)]
struct OsMapping(memmap2::Mmap);

impl Mapping for OsMapping {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[expect(unsafe_code, reason = "a memory map is the one thing that cannot be had without it")]
fn map_file(file: &File) -> io::Result<memmap2::Mmap> {
    // SAFETY: the mapping is read-only and shared. The store maps only segments and checkpoints: files that
    // are never cut shorter by it, that no other process has business writing to, and whose every byte is
    // checked against a checksum before use, so bytes that change underneath are an error and not a
    // decision. A foreign process that truncates one of them makes a read raise SIGBUS; docs/durability.md
    // names that limit.
    unsafe { memmap2::Mmap::map(file) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::{read_all, write_all_at};

    #[test]
    fn a_lock_that_was_let_go_of_is_taken_again_unless_another_one_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("turn");
        let kept = OsVfs.try_lock(&path).unwrap().unwrap();
        assert!(kept.release());
        let other = OsVfs.try_lock(&path).unwrap().unwrap();
        assert!(!kept.retake().unwrap());
        drop(other);
        assert!(kept.retake().unwrap());
        assert!(OsVfs.try_lock(&path).unwrap().is_none());
    }

    #[test]
    fn what_is_written_is_read_and_mapped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let file = OsVfs.open(&path, OpenMode::CreateNew).unwrap();
        file.allocate(8192).unwrap();
        write_all_at(&*file, b"hello", 4096).unwrap();
        file.sync().unwrap();
        OsVfs.sync_dir(dir.path()).unwrap();
        let bytes = read_all(&*file, 1 << 20).unwrap();
        assert_eq!((bytes.len(), &bytes[4096..4101], bytes[0]), (8192, &b"hello"[..], 0));
        assert_eq!(file.map().unwrap().unwrap().bytes(), bytes);
        assert_eq!(read_all(&*file, 100).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_lock_is_exclusive_and_ends_with_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LOCK");
        let held = OsVfs.try_lock(&path).unwrap();
        assert!(held.is_some());
        assert!(OsVfs.try_lock(&path).unwrap().is_none());
        drop(held);
        assert!(OsVfs.try_lock(&path).unwrap().is_some());
    }

    #[test]
    fn a_lock_whose_file_is_replaced_is_no_longer_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LOCK");
        let held = OsVfs.try_lock(&path).unwrap().unwrap();
        assert!(held.changed_nanos().unwrap().is_some());
        OsVfs.remove_file(&path).unwrap();
        assert_eq!(held.changed_nanos().unwrap(), None);
        let second = OsVfs.try_lock(&path).unwrap().unwrap();
        assert!(held.changed_nanos().unwrap().is_none() && second.changed_nanos().unwrap().is_some());
    }

    #[test]
    fn a_new_name_takes_the_place_of_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| dir.path().join(name));
        for path in [&from, &to] {
            write_all_at(&*OsVfs.open(path, OpenMode::CreateNew).unwrap(), path.as_os_str().as_bytes(), 0)
                .unwrap();
        }
        assert_eq!(OsVfs.rename_new(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(OsVfs.metadata(&to).unwrap().len, wide(to.as_os_str().len()));
        OsVfs.remove_file(&to).unwrap();
        OsVfs.rename_new(&from, &to).unwrap();
        assert_eq!(OsVfs.metadata(&to).unwrap().len, wide(from.as_os_str().len()));
        assert!(OsVfs.metadata(&from).is_err());
    }

    fn wide(length: usize) -> u64 {
        u64::try_from(length).unwrap()
    }

    #[test]
    fn a_symbolic_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        OsVfs.open(&target, OpenMode::CreateNew).unwrap();
        std::os::unix::fs::symlink(&target, dir.path().join("link")).unwrap();
        assert!(OsVfs.open(&dir.path().join("link"), OpenMode::ReadWrite).is_err());
        assert!(OsVfs.open(&dir.path().join("link"), OpenMode::Read).is_err());
    }
}
